//! A connector that does nothing but use memory: each of its 64 pages fills `page-size` MiB, many
//! times over.

use std::hint::black_box;

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Page, Scrap};

const PAGES: u32 = 64;
const MIB: usize = 1024 * 1024;
const TIMES: u8 = 8;

struct Aloca;

impl Connector for Aloca {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        Ok(Descriptor::new("aloca", "voraz", env!("CARGO_PKG_VERSION")))
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        for filling in 1..=TIMES {
            black_box(vec![filling; scrap.page_size as usize * MIB]);
        }
        let branches = if cursor.is_none() { 1..PAGES } else { 0..0 };
        Ok(Page::json(Vec::new()).then(branches.map(|page| page.to_string())))
    }
}

atlas_connector_sdk::export!(Aloca);
