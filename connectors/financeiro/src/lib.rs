//! Financial entries (`financeiro`) of the Jueri v1 API.

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Page, Scrap};

struct Financeiro;

impl Connector for Financeiro {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        Ok(Descriptor { takes_period: true, ..jueri::descriptor("financeiro") })
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        let page = jueri::page_number(cursor)?;
        let period = scrap.period()?;
        let answer = jueri::request(scrap, "financeiro", page)
            .query("data_inicial", &period.start)
            .query("data_final", &period.end)
            .send()?
            .ok()?;
        jueri::read(&answer, page)
    }
}

atlas_connector_sdk::export!(Financeiro);
