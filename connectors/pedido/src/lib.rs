//! Orders (`pedido`) of the Jueri v1 API.
//!
//! ```text
//! GET {cliente}/pedido?data_inicial=2025-10-20&data_final=2025-10-24&page=1&per_page=1000
//!
//! {"data": [{"id": 1, …}, …], "current_page": 1, "last_page": 5, "next_page_url": "…",
//!  "total": 4711}
//! ```

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Page, Scrap};

struct Pedido;

impl Connector for Pedido {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        Ok(Descriptor { takes_period: true, ..jueri::descriptor("pedido") })
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        let page = jueri::page_number(cursor)?;
        let period = scrap.period()?;
        let answer = jueri::request(scrap, "pedido", page)
            .query("data_inicial", &period.start)
            .query("data_final", &period.end)
            .send()?
            .ok()?;
        jueri::read(&answer, page)
    }
}

atlas_connector_sdk::export!(Pedido);
