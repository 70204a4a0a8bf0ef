//! What the hostile connectors have in common: a tame description, and two ways to be hostile.

use atlas_connector_sdk::{Descriptor, HttpError, Page, Request, Response};

pub use atlas_connector_sdk as sdk;
#[doc(hidden)]
pub use atlas_connector_sdk::{Connector, FetchError, Scrap};

/// The route that each of them serves, so that any can take the place of any other under a scrap.
pub const ROUTE: &str = "hostil";

/// As harmless a description as can be.
#[must_use]
pub fn tame() -> Descriptor {
    Descriptor { key: vec!["/id".to_owned()], ..Descriptor::new(ROUTE, "jueri", "1.0.0") }
}

/// An answer of the sample API: three customers of the client's.
///
/// # Errors
/// As any request has.
pub fn customers(scrap: &Scrap) -> Result<Response, FetchError> {
    customers_sent(scrap)?.ok()
}

/// What comes of asking for them, whatever it is.
///
/// # Errors
/// As any request has.
pub fn customers_sent(scrap: &Scrap) -> Result<Response, HttpError> {
    Request::get(format!("{}/cliente", scrap.client_id)).query("per_page", 3).send()
}

/// An answer of the sample API with a thousand records of a route that takes a period.
///
/// # Errors
/// As any request has.
pub fn thousand(scrap: &Scrap, route: &str) -> Result<Response, FetchError> {
    let records = Request::get(format!("{}/{route}", scrap.client_id)).query("per_page", 1000);
    records.query("data_inicial", "2020-01-01").query("data_final", "2024-12-31").send()?.ok()
}

/// A page that is fine.
///
/// # Errors
/// As any request has.
pub fn good_page(scrap: &Scrap) -> Result<Page, FetchError> {
    Ok(Page::selected(customers(scrap)?.select("/data")?))
}

/// A page without records.
#[must_use]
pub fn empty_page() -> Page {
    Page::json(Vec::new())
}

/// A connector that describes itself tamely and fetches pages by a function of its own.
#[macro_export]
macro_rules! fetch {
    ($fetch:expr) => {
        $crate::connector!(|| Ok($crate::tame()), $fetch);
    };
}

/// A connector that describes itself by a function of its own, and whose pages are fine.
#[macro_export]
macro_rules! describe {
    ($describe:expr) => {
        $crate::connector!($describe, |scrap, _| $crate::good_page(scrap));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! connector {
    ($describe:expr, $fetch:expr) => {
        struct Hostile;

        impl $crate::Connector for Hostile {
            fn describe(_: Option<&str>) -> Result<$crate::sdk::Descriptor, String> {
                let describe: fn() -> Result<$crate::sdk::Descriptor, String> = $describe;
                describe()
            }

            fn fetch_page(
                scrap: &$crate::Scrap,
                cursor: Option<&str>,
            ) -> Result<$crate::sdk::Page, $crate::FetchError> {
                let fetch: fn(&$crate::Scrap, Option<&str>) -> Result<$crate::sdk::Page, $crate::FetchError> = $fetch;
                fetch(scrap, cursor)
            }
        }

        $crate::sdk::export!(Hostile);
    };
}
