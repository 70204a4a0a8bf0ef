//! Sales (`venda`) of the Jueri v1 API.

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Page, Scrap};

struct Venda;

impl Connector for Venda {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        Ok(Descriptor { takes_period: true, ..jueri::descriptor("venda") })
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        let page = jueri::page_number(cursor)?;
        let period = scrap.period()?;
        let answer = jueri::request(scrap, "venda", page)
            .query("data_inicial", &period.start)
            .query("data_final", &period.end)
            .send()?
            .ok()?;
        jueri::read(&answer, page)
    }
}

atlas_connector_sdk::export!(Venda);
