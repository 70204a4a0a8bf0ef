//! The facts of a scrap that its connector gets.

use serde::{Deserialize, Serialize};

use super::bindings::atlas::connector::types as wit;

/// The facts of a scrap that its connector gets. Not printable, since its settings may hold
/// secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrapFacts {
    /// Its number; none: it is not stored.
    pub scrap_id: Option<i64>,
    /// The client.
    pub cliente_id: i32,
    /// First and last day.
    pub period: Option<(String, String)>,
    /// Records to ask for in a page.
    pub page_size: i32,
    /// The connector's settings, a JSON object, with secrets in their places.
    pub settings: String,
}

impl std::fmt::Debug for ScrapFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { scrap_id, cliente_id, period, page_size, settings: _ } = self;
        let mut told = f.debug_struct("ScrapFacts");
        told.field("scrap_id", scrap_id).field("cliente_id", cliente_id).field("period", period);
        told.field("page_size", page_size).finish_non_exhaustive()
    }
}

impl ScrapFacts {
    /// The scrap as the guest gets it, with the moment `now`, which is the guest's only clock.
    pub(crate) fn at(&self, route: &str, now: &str) -> wit::Scrap {
        wit::Scrap {
            client_id: self.cliente_id.unsigned_abs(),
            route: route.to_owned(),
            period: self.period.clone().map(|(start, end)| wit::Period { start, end }),
            page_size: self.page_size.unsigned_abs(),
            settings: self.settings.clone(),
            definition: None,
            now: now.to_owned(),
        }
    }
}
