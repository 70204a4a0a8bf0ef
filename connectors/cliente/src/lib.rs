//! Customers (`cliente`) of the Jueri v1 API: all of them, whatever the day.

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Page, Scrap};

struct Cliente;

impl Connector for Cliente {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        Ok(jueri::descriptor("cliente"))
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        let page = jueri::page_number(cursor)?;
        let answer = jueri::request(scrap, "cliente", page).send()?.ok()?;
        jueri::read(&answer, page)
    }
}

atlas_connector_sdk::export!(Cliente);
