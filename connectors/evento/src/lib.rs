//! Events (`evento`): the example of a source that hands out records until it is told that they
//! arrived.
//!
//! ```text
//! GET {cliente}/evento?limite=100      the oldest events, until they are acknowledged
//!
//! {"data": [{"id": 1, …}, …], "lote": "5f2c…"}
//! {"data": [], "lote": null}           when none is left
//!
//! POST {cliente}/evento/ack            {"lote": "5f2c…"}; once or more, it comes to the same
//! ```
//!
//! An event that is acknowledged is gone, so it must be in the table before. That is the host's
//! part: it fetches a cursor of `after-commit` only when the page that named it is checkpointed.
//! Ours is to name the events by what the very same answer said of them: to ask again at that time
//! would acknowledge others, which nobody has kept.
//!
//! ```text
//! (none)       polls               after the commit: ack:LOTE
//! ack:LOTE     acknowledges        next:             poll:LOTE
//! poll:LOTE    polls after that    after the commit: ack:ANOTHER, or nothing, when none is left
//! ```
//!
//! If the host dies in between, it polls again (the same events come, and are recognised in the
//! table) or acknowledges again.

use atlas_connector_sdk::{Connector, Descriptor, FetchError, Method, Page, Request, RequestPattern, Scrap};

struct Evento;

impl Connector for Evento {
    fn describe(_definition: Option<&str>) -> Result<Descriptor, String> {
        // Declared here, and granted by the operator: without both, no POST leaves the host.
        let acknowledge = RequestPattern { method: Method::Post, path: "/*/evento/ack".to_owned() };
        Ok(Descriptor { page_size: 100, requests: vec![acknowledge], ..jueri::descriptor("evento") })
    }

    fn fetch_page(scrap: &Scrap, cursor: Option<&str>) -> Result<Page, FetchError> {
        match cursor.map(|cursor| cursor.split_once(':').unwrap_or((cursor, ""))) {
            None => poll(scrap, None),
            Some(("poll", lot)) => poll(scrap, Some(lot)),
            Some(("ack", lot)) => acknowledge(scrap, lot),
            Some((other, _)) => Err(FetchError::Fatal(format!("neither a poll nor an acknowledgment: {other:.40}"))),
        }
    }
}

/// `acknowledged`: the lot before, if this is not the first poll.
fn poll(scrap: &Scrap, acknowledged: Option<&str>) -> Result<Page, FetchError> {
    let answer = Request::get(format!("{}/evento", scrap.client_id)).query("limite", scrap.page_size).send()?.ok()?;
    let events = answer.select("/data")?;
    // As the JSON text that it is, quotes included: so it goes back exactly as it came.
    let lot = answer.json("/lote")?.filter(|lot| lot != "null");
    match lot {
        _ if events.len() == 0 => Ok(Page::selected(events)),
        None => Err(FetchError::InvalidResponse("events without a lot could not be acknowledged".to_owned())),
        // To go on would be to go round in circles, and to end would be to say that none is left.
        Some(lot) if acknowledged == Some(&lot) => {
            Err(FetchError::retry(format!("the lot {lot:.40} was acknowledged, and is handed out again")))
        }
        Some(lot) => Ok(Page::selected(events).after_commit([format!("ack:{lot}")])),
    }
}

fn acknowledge(scrap: &Scrap, lot: &str) -> Result<Page, FetchError> {
    let target = format!("{}/evento/ack", scrap.client_id);
    Request::post(target).json(format!("{{\"lote\":{lot}}}")).send()?.ok()?;
    // The lot makes the next poll's cursor another than the last one's: a cursor that is known is
    // not fetched again.
    Ok(Page::json(Vec::new()).then([format!("poll:{lot}")]))
}

atlas_connector_sdk::export!(Evento);
