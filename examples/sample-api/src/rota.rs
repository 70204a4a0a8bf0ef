//! The routes of the API, as a type, so that a misspelt one fails where it is written and not as a
//! 404 in some test.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One kind of record that the API lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rota {
    /// Customers: a catalogue, the same whatever the period.
    Cliente,
    /// Products: a catalogue, the same whatever the period.
    Produto,
    /// Orders, by day.
    Pedido,
    /// Sales, by day.
    Venda,
    /// Payables and receivables, by day.
    Financeiro,
    /// Events: handed out, the oldest first, until they are acknowledged.
    Evento,
}

impl Rota {
    /// Every route, in the order of the API's document.
    pub const ALL: [Rota; 6] =
        [Rota::Cliente, Rota::Produto, Rota::Pedido, Rota::Venda, Rota::Financeiro, Rota::Evento];

    /// Those that are listed page by page, and stay where they are.
    pub const LISTED: [Rota; 5] = [Rota::Cliente, Rota::Produto, Rota::Pedido, Rota::Venda, Rota::Financeiro];

    /// The route's name, as it stands in the path.
    pub fn name(self) -> &'static str {
        match self {
            Rota::Cliente => "cliente",
            Rota::Produto => "produto",
            Rota::Pedido => "pedido",
            Rota::Venda => "venda",
            Rota::Financeiro => "financeiro",
            Rota::Evento => "evento",
        }
    }

    /// Whether its records belong to days. The others ignore `data_inicial` and `data_final`.
    pub fn takes_period(self) -> bool {
        !matches!(self, Rota::Cliente | Rota::Produto | Rota::Evento)
    }
}

impl fmt::Display for Rota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rota {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Rota::ALL
            .into_iter()
            .find(|rota| rota.name() == text)
            .ok_or_else(|| anyhow::anyhow!("no route is called {text:?}"))
    }
}
