//! How things look to programs: the same for the API's answers and for events. Names are those of
//! the tables.

use atlas_model::{Notice, Scrap};
use atlas_service::RunReport;
use atlas_service::i18n::Catalogue;
use atlas_service::zone::moment;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::events::Live;

/// A scrap.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ScrapView {
    /// Its number.
    pub(super) id: i64,
    pub(super) cliente_id: i32,
    pub(super) rota: String,
    /// First day of the period, ISO 8601.
    pub(super) periodo_inicio: Option<String>,
    /// Last day, included.
    pub(super) periodo_fim: Option<String>,
    /// Records asked for in a page.
    pub(super) tamanho_pagina: i32,
    /// `pendente`, `executando`, `concluido`, `concluido_com_ressalva`, `interrompido`, `pausado`,
    /// `token_recusado`, `suspenso`, `cancelado` or `falhou`.
    pub(super) estado: &'static str,
    /// The state in words.
    pub(super) estado_texto: String,
    /// Why it is in this state, in words.
    pub(super) motivos: Vec<String>,
    /// Pages checkpointed.
    pub(super) paginas: i64,
    /// Pages known and not yet checkpointed.
    pub(super) fronteira: i64,
    /// Records read: always the sum of the four below.
    pub(super) lidos: i64,
    pub(super) inseridos: i64,
    pub(super) duplicados: i64,
    pub(super) reencontrados: i64,
    pub(super) rejeitados: i64,
    /// What the source declared last.
    pub(super) total_declarado: Option<i64>,
    /// How long it has run, in milliseconds, over the runs that have ended.
    pub(super) duracao_ms: i64,
    /// When a worker goes on with it, if one will.
    pub(super) retomar_em: Option<String>,
    /// How many slices it is divided into; 0: none.
    pub(super) fatias: i32,
    pub(super) fatias_concluidas: i32,
    /// The scrap that it is a slice of.
    pub(super) fatia_de: Option<i64>,
    pub(super) conector_versao: Option<String>,
    pub(super) conector_sha256: Option<String>,
    pub(super) criado_em: String,
}

impl ScrapView {
    pub(super) fn of(scrap: &Scrap, texts: &Catalogue) -> Self {
        let (start, end) = scrap.period.clone().unzip();
        let (version, sha256) = scrap.connector.clone().unzip();
        let report = RunReport::of(scrap);
        Self {
            id: scrap.id,
            cliente_id: scrap.cliente_id,
            rota: scrap.rota.clone(),
            periodo_inicio: start,
            periodo_fim: end,
            tamanho_pagina: scrap.page_size,
            estado: scrap.state.name(),
            estado_texto: texts.text(&Notice::new(&format!("state-{}", scrap.state.name()))),
            motivos: report.reasons.iter().map(|reason| texts.text(reason)).collect(),
            paginas: scrap.pages,
            fronteira: scrap.frontier,
            lidos: scrap.counts.lidos,
            inseridos: scrap.counts.inseridos,
            duplicados: scrap.counts.duplicados,
            reencontrados: scrap.counts.reencontrados,
            rejeitados: scrap.counts.rejeitados,
            total_declarado: scrap.total_records,
            duracao_ms: scrap.elapsed_ms,
            retomar_em: scrap.again_at.as_deref().map(rfc3339),
            fatias: scrap.slices,
            fatias_concluidas: scrap.slices_done,
            fatia_de: scrap.slice_of,
            conector_versao: version,
            conector_sha256: sha256,
            criado_em: rfc3339(&scrap.created_at),
        }
    }
}

/// A scrap and how it goes, as listeners are told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct LiveView {
    #[serde(flatten)]
    pub(super) scrap: ScrapView,
    /// Records a second, over the last half second.
    pub(super) registros_por_segundo: f64,
    /// Mean time of a page in milliseconds, where it runs in this process.
    pub(super) pagina_ms: Option<f64>,
    /// How long it still takes at its pace so far, in seconds, where that can be known.
    pub(super) restam_s: Option<f64>,
    /// Until when its requests wait.
    pub(super) limitado_ate: Option<String>,
    /// Attempts at pages that failed, in this run.
    pub(super) tentativas_falhas: u64,
}

impl LiveView {
    pub(super) fn of(live: &Live, texts: &Catalogue) -> Self {
        Self {
            scrap: ScrapView::of(&live.scrap, texts),
            registros_por_segundo: live.rate,
            pagina_ms: live.page_ms,
            restam_s: live.left_s,
            limitado_ate: live.throttled_until.clone(),
            tentativas_falhas: live.attempts,
        }
    }
}

/// A time as either database writes it (`2026-11-29 10:00:00.5+00`, `2026-11-29 10:00:00`: then it
/// is UTC), as RFC 3339 has it. What is none is given as it is.
pub(super) fn rfc3339(text: &str) -> String {
    let shown = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    moment(text).map_or_else(|| text.to_owned(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_either_database_are_told_alike() {
        for text in
            ["2026-11-29 10:00:00", "2026-11-29 10:00:00.123", "2026-11-29 07:00:00.5-03", "2026-11-29 10:00:00+00"]
        {
            assert_eq!(rfc3339(text), "2026-11-29T10:00:00Z", "{text}");
        }
        assert_eq!(rfc3339("2026-11-29 15:30:00+05:30"), "2026-11-29T10:00:00Z");
        assert_eq!(rfc3339("soon"), "soon");
    }
}
