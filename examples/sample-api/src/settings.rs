//! What the source holds and who may read it: the part that stays fixed while the server runs.

use std::{collections::BTreeMap, str::FromStr};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::{Faults, Opens, Rota};

/// What the source holds, and how it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Everything that looks random follows from this number.
    pub seed: u64,
    /// Where the credential is looked for.
    pub opens: Opens,
    /// The token that opens every client without one of its own.
    pub token: String,
    /// Tokens of single clients: such a client is opened by this token and no other.
    pub client_tokens: BTreeMap<u32, String>,
    /// Records of each dated route on each day, from 2000-01-01 on; before that day the source
    /// holds none.
    pub per_day: u64,
    /// Records of each route that takes no period (`cliente`, `produto`), and events that wait from
    /// the start.
    pub catalogue: u64,
    /// Every client gets byte-identical records.
    pub identical_clients: bool,
    /// Records that are shorter are padded to exactly this many bytes, if the padding field fits at
    /// all.
    pub record_bytes: Option<usize>,
    /// `per_page` when the request names none.
    pub default_per_page: u64,
    /// A greater `per_page` is lowered to this without a word, as real APIs do.
    pub max_per_page: u64,
    /// Listings that are rendered before the server accepts requests, so that a benchmark measures
    /// the client and not this API.
    pub prerender: Vec<Prerender>,
    /// Remember the text of every record served in a whole answer, for [`crate::Served`]. Costs
    /// about as much memory as was served.
    pub remember_records: bool,
    /// How it misbehaves from the start.
    pub faults: Faults,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            seed: 1,
            opens: Opens::default(),
            token: "segredo".into(),
            client_tokens: BTreeMap::new(),
            per_day: 120,
            catalogue: 300,
            identical_clients: false,
            record_bytes: None,
            default_per_page: 150,
            max_per_page: 1000,
            prerender: Vec::new(),
            remember_records: true,
            faults: Faults::default(),
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.token.is_empty(), "an empty token would let nobody be refused");
        ensure!((1..=u64::from(u32::MAX)).contains(&self.max_per_page), "max_per_page must lie between 1 and 2^32 - 1");
        ensure!(
            (1..=self.max_per_page).contains(&self.default_per_page),
            "default_per_page must lie between 1 and max_per_page"
        );
        ensure!(self.per_day <= 10_000_000, "per_day must be at most 10 million");
        ensure!(self.catalogue <= 1_000_000_000, "catalogue must be at most 1 billion");
        self.faults.check()
    }
}

/// One listing to be rendered ahead, as text `CLIENTE:ROTA:FROM:TO:PER_PAGE`.
///
/// With [`Settings::identical_clients`] one serves all clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prerender {
    /// The client whose records they are.
    pub cliente: u32,
    /// The route.
    pub rota: Rota,
    /// First day, `YYYY-MM-DD`. Routes without a period ignore it.
    pub from: String,
    /// Last day, included.
    pub to: String,
    /// The page size that requests will ask for; others are rendered on request.
    pub per_page: u64,
}

impl FromStr for Prerender {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let mut part = |what: &str| parts.next().with_context(|| format!("{text:?}: no {what}"));
        let it = Self {
            cliente: part("client")?.parse().context("client")?,
            rota: part("route")?.parse()?,
            from: part("first day")?.into(),
            to: part("last day")?.into(),
            per_page: part("page size")?.parse().context("page size")?,
        };
        ensure!(parts.next().is_none(), "{text:?}: more than CLIENTE:ROTA:FROM:TO:PER_PAGE");
        Ok(it)
    }
}
