//! A connector that does nothing but use up processor time: each of its 64 pages turns round
//! `page-size` million times.

use std::hint::black_box;

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Page, Scrap};

const PAGES: u32 = 64;

struct Gira;

impl Connector for Gira {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        Ok(Descriptor::new("gira", "voraz", env!("CARGO_PKG_VERSION")))
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        for round in 0..u64::from(scrap.page_size) * 1_000_000 {
            black_box(round);
        }
        let branches = if cursor.is_none() { 1..PAGES } else { 0..0 };
        Ok(Page::json(Vec::new()).then(branches.map(|page| page.to_string())))
    }
}

atlas_connector_sdk::export!(Gira);
