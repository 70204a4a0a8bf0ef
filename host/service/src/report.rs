//! The summary of a run.

use atlas_model::{Counts, Notice, Scrap};
use serde::Serialize;

use super::failure::Failure;

/// A run's summary. Serialised, it is the JSON that the documents list; `motivo` is filled in where
/// the language is known: on the command line, or in a request.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The scrap.
    pub scrap_id: i64,
    /// The state in which it was left.
    pub status: &'static str,
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub rota: String,
    /// Pages checkpointed, over all runs of the scrap.
    pub paginas: i64,
    /// Records read.
    pub lidos: i64,
    /// New rows.
    pub inseridos: i64,
    /// Rows that were there.
    pub duplicados: i64,
    /// Rows that were there, most likely from an earlier attempt at the same page.
    pub reencontrados: i64,
    /// Records kept in `dados_rejeitados`.
    pub rejeitados: i64,
    /// What the source declared.
    pub total_declarado: Option<i64>,
    /// Over all runs of the scrap.
    pub duracao_ms: i64,
    /// The version of the connector that the last run began with. Each page records the one that
    /// fetched it.
    pub conector: Option<ConnectorReport>,
    /// How many slices it is divided into, and how many of them are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fatias: Option<SlicesReport>,
    /// Why it ended as it did, in the operator's language.
    pub motivo: Option<String>,
    /// Why, before it has a language; the first is in `failure` too.
    #[serde(skip)]
    pub reasons: Vec<Notice>,
    /// How it ended, if not simply well.
    #[serde(skip)]
    pub failure: Option<Failure>,
}

/// The slices of a scrap.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SlicesReport {
    /// All of them.
    pub total: i32,
    /// Those that are done.
    pub concluidas: i32,
}

/// Which connector.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectorReport {
    /// Its version, for people.
    pub versao: String,
    /// Its digest.
    pub sha256: String,
}

impl RunReport {
    /// A scrap as it stands.
    pub fn of(scrap: &Scrap) -> Self {
        let reasons = scrap.reason.as_deref().map(read_reasons).unwrap_or_default();
        Self {
            scrap_id: scrap.id,
            status: scrap.state.name(),
            cliente_id: scrap.cliente_id,
            rota: scrap.rota.clone(),
            paginas: scrap.pages,
            lidos: scrap.counts.lidos,
            inseridos: scrap.counts.inseridos,
            duplicados: scrap.counts.duplicados,
            reencontrados: scrap.counts.reencontrados,
            rejeitados: scrap.counts.rejeitados,
            total_declarado: scrap.total_records,
            duracao_ms: scrap.elapsed_ms,
            conector: scrap.connector.clone().map(|(versao, sha256)| ConnectorReport { versao, sha256 }),
            fatias: (scrap.slices > 0).then_some(SlicesReport { total: scrap.slices, concluidas: scrap.slices_done }),
            motivo: None,
            reasons,
            failure: None,
        }
    }

    /// The counts.
    pub fn counts(&self) -> Counts {
        Counts {
            lidos: self.lidos,
            inseridos: self.inseridos,
            duplicados: self.duplicados,
            reencontrados: self.reencontrados,
            rejeitados: self.rejeitados,
        }
    }
}

/// Reasons as the table keeps them: a JSON array of notices.
pub(super) fn write_reasons(reasons: &[Notice]) -> Option<String> {
    if reasons.is_empty() {
        return None;
    }
    serde_json::to_string(reasons).ok()
}

fn read_reasons(text: &str) -> Vec<Notice> {
    serde_json::from_str(text).unwrap_or_default()
}
