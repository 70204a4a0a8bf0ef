//! What the routes of the Jueri v1 API have in common: `GET {cliente}/{rota}?page=…&per_page=…`
//! below `…/sis/api/v1`, a bearer token, and an envelope of `data`, `current_page`, `last_page`,
//! `next_page_url` and `total`.
//!
//! A cursor is a page's number (cursor format 1).

mod paging;

use atlas_connector_sdk::{Descriptor, FetchError, Page, Request, Response, Scrap};

pub use paging::Paging;

/// A route of this API. What the routes do not share is set by each.
#[must_use]
pub fn descriptor(route: &str) -> Descriptor {
    Descriptor {
        page_size: 1000,
        // The API states no budget. What clients of it hold themselves to is the operator's to set.
        key: vec!["/id".to_owned()],
        ..Descriptor::new(route, "jueri", env!("CARGO_PKG_VERSION"))
    }
}

/// The page that a cursor stands for; without a cursor, the first.
///
/// # Errors
/// `Fatal` for what is no cursor of this API.
pub fn page_number(cursor: Option<&str>) -> Result<u64, FetchError> {
    let Some(cursor) = cursor else { return Ok(1) };
    match cursor.parse() {
        Ok(page) if page > 0 && cursor.bytes().all(|b| b.is_ascii_digit()) => Ok(page),
        _ => Err(FetchError::Fatal(format!("not a page number: {cursor:.40}"))),
    }
}

/// Asks for a page of a client's records.
pub fn request(scrap: &Scrap, route: &str, page: u64) -> Request {
    Request::get(format!("{}/{route}", scrap.client_id)).query("page", page).query("per_page", scrap.page_size)
}

/// Reads the envelope of a page.
///
/// # Errors
/// `InvalidResponse` when it is not the envelope of that page.
pub fn read(answer: &Response, page: u64) -> Result<Page, FetchError> {
    let records = answer.select("/data")?;
    let paging = Paging {
        page,
        records: records.len(),
        current_page: answer.u64("/current_page")?,
        last_page: answer.u64("/last_page")?,
        more: answer.says("/next_page_url")?,
    };
    Ok(Page::selected(records).then(paging.next()?).of_total(answer.informs("/total")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_page_number_and_nothing_else() {
        assert_eq!(page_number(None).ok(), Some(1));
        assert_eq!(page_number(Some("17")).ok(), Some(17));
        for wrong in ["", "0", "-1", "+2", " 2", "2.0", "dois", "99999999999999999999"] {
            assert!(matches!(page_number(Some(wrong)), Err(FetchError::Fatal(_))), "{wrong}");
        }
    }
}
