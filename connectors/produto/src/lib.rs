//! Products (`produto`) of the Jueri v1 API: all of them, whatever the day.

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Page, Scrap};

struct Produto;

impl Connector for Produto {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        Ok(jueri::descriptor("produto"))
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        let page = jueri::page_number(cursor)?;
        let answer = jueri::request(scrap, "produto", page).send()?.ok()?;
        jueri::read(&answer, page)
    }
}

atlas_connector_sdk::export!(Produto);
