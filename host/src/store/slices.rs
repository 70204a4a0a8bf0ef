//! Scraps that are divided into slices: created at once, read as one.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::types::{Counts, Scrap, ScrapState};

/// The state of a scrap that its slices make up, as the table has it. No run ever begins or ends with it.
pub(super) const DIVIDED: &str = "dividido";

pub(super) const INSERT: &str = "INSERT INTO scraps \
     (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina, configuracao, host, estado, fatias, fatia_de, fronteira, \
      lote, tentativas_max) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id";

/// What the slices of some scraps add up to, by their states.
pub(super) const TOGETHER: &str = "SELECT fatia_de, estado, retomar_em IS NOT NULL AS retoma, COUNT(*) AS quantas, \
       CAST(SUM(fronteira) AS BIGINT) AS fronteira, CAST(SUM(paginas) AS BIGINT) AS paginas, \
       CAST(SUM(lidos) AS BIGINT) AS lidos, CAST(SUM(inseridos) AS BIGINT) AS inseridos, \
       CAST(SUM(duplicados) AS BIGINT) AS duplicados, CAST(SUM(reencontrados) AS BIGINT) AS reencontrados, \
       CAST(SUM(rejeitados) AS BIGINT) AS rejeitados, CAST(SUM(total_declarado) AS BIGINT) AS total_declarado, \
       COUNT(total_declarado) AS declararam, CAST(SUM(duracao_ms) AS BIGINT) AS duracao_ms, \
       MIN(motivo) AS motivo, CAST(MIN(retomar_em) AS TEXT) AS retomar_em, MAX(varredura) AS varredura, \
       MIN(conector_versao) AS conector_versao, MIN(conector_sha256) AS conector_sha256, \
       COUNT(DISTINCT conector_sha256) AS conectores \
     FROM scraps WHERE fatia_de BETWEEN $1 AND $2 GROUP BY fatia_de, estado, retomar_em IS NOT NULL";

pub(super) const UNFINISHED: &str =
    "SELECT id FROM scraps WHERE fatia_de = $1 AND estado NOT IN ('concluido', 'concluido_com_ressalva') ORDER BY id";

/// Slices of one scrap that are in one state.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Slices {
    fatia_de: i64,
    estado: String,
    /// Whether they are gone on with by themselves.
    retoma: bool,
    quantas: i64,
    fronteira: i64,
    paginas: i64,
    #[sqlx(flatten)]
    counts: Counts,
    total_declarado: Option<i64>,
    declararam: i64,
    duracao_ms: i64,
    motivo: Option<String>,
    retomar_em: Option<String>,
    varredura: i32,
    conector_versao: Option<String>,
    conector_sha256: Option<String>,
    conectores: i64,
}

impl Slices {
    fn state(&self) -> ScrapState {
        ScrapState::from_name(&self.estado).unwrap_or(ScrapState::Falhou)
    }
}

/// The least and the greatest id of the scraps that are divided; none if none is.
pub(super) fn range(scraps: &[Scrap]) -> Option<(i64, i64)> {
    let divided = || scraps.iter().filter(|scrap| scrap.slices > 0).map(|scrap| scrap.id);
    Some((divided().min()?, divided().max()?))
}

/// Has scraps that are divided say what their slices add up to.
pub(super) fn unite(scraps: &mut [Scrap], slices: Vec<Slices>) {
    let mut by_whole: BTreeMap<i64, Vec<Slices>> = BTreeMap::new();
    for some in slices {
        by_whole.entry(some.fatia_de).or_default().push(some);
    }
    for scrap in scraps.iter_mut().filter(|scrap| scrap.slices > 0) {
        if let Some(slices) = by_whole.get(&scrap.id) {
            unite_one(scrap, slices);
        }
    }
}

fn unite_one(scrap: &mut Scrap, slices: &[Slices]) {
    let sum = |of: fn(&Slices) -> i64| slices.iter().map(of).sum::<i64>();
    let states: Vec<(ScrapState, bool)> = slices.iter().map(|some| (some.state(), some.retoma)).collect();
    scrap.state = state_together(&states);
    // Of the slices that give the whole its state: why that is so.
    scrap.reason = slices.iter().filter(|some| some.state() == scrap.state).find_map(|some| some.motivo.clone());
    scrap.again_at = slices.iter().filter_map(|some| some.retomar_em.clone()).min();
    scrap.frontier = sum(|some| some.fronteira);
    scrap.pages = sum(|some| some.paginas);
    scrap.elapsed_ms = sum(|some| some.duracao_ms);
    scrap.sweep = slices.iter().map(|some| some.varredura).max().unwrap_or_default();
    for some in slices {
        scrap.counts += some.counts;
    }
    let all_declared = slices.iter().all(|some| some.declararam == some.quantas);
    scrap.total_records = all_declared.then(|| sum(|some| some.total_declarado.unwrap_or_default()));
    let mut versions = slices.iter().filter_map(|some| some.conector_versao.clone().zip(some.conector_sha256.clone()));
    let version = versions.next();
    let is_one =
        slices.iter().all(|some| some.conectores <= 1) && versions.all(|other| Some(&other) == version.as_ref());
    scrap.connector = version.filter(|_| is_one);
    let done = slices.iter().filter(|some| some.state().is_done()).map(|some| some.quantas).sum::<i64>();
    scrap.slices_done = i32::try_from(done).unwrap_or(i32::MAX);
}

/// In which state a scrap is whose slices are in these, each with whether it is gone on with by itself: done when all are, else as
/// whatever still moves, else as what stopped it.
fn state_together(slices: &[(ScrapState, bool)]) -> ScrapState {
    use ScrapState::*;

    let any = |wanted: ScrapState| slices.iter().any(|(state, _)| *state == wanted);
    if slices.iter().all(|(state, _)| state.is_done()) {
        return if any(ConcluidoComRessalva) { ConcluidoComRessalva } else { Concluido };
    }
    let moving = [Executando, Pendente].into_iter().find(|state| any(*state));
    let waiting = slices.iter().find(|(state, goes_on)| *goes_on && !state.is_done()).map(|(state, _)| *state);
    let stopped = [Falhou, TokenRecusado, Cancelado, Interrompido, Suspenso, Pausado];
    moving.or(waiting).or_else(|| stopped.into_iter().find(|state| any(*state))).unwrap_or(Falhou)
}

/// The same on either database, but for how a transaction begins that writes.
macro_rules! impl_slices {
    (for $store:ty, of: $database:ty, begin: $begin:literal) => {
        const _: () = {
            use crate::store::{CursorId, NewScrap, Scrap, ScrapState, StoreError, rows, slices};

            impl $store {
                /// Creates a scrap, or one that is divided and its slices: all of them or none.
                async fn insert_scrap(&self, scrap: &NewScrap) -> Result<i64, StoreError> {
                    let sort = || StoreError::sort("create the scrap");
                    let mut tx = self.pool.begin_with($begin).await.map_err(sort())?;
                    let id = Self::insert_scrap_within(&mut tx, scrap).await?;
                    tx.commit().await.map_err(sort())?;
                    Ok(id)
                }

                /// The same as a part of a transaction.
                async fn insert_scrap_within(
                    tx: &mut <$database as sqlx::Database>::Connection,
                    scrap: &NewScrap,
                ) -> Result<i64, StoreError> {
                    let sort = || StoreError::sort("create the scrap");
                    let count = i32::try_from(scrap.slices.len()).unwrap_or(i32::MAX);
                    let whole = (count > 0).then_some(());
                    let own = std::iter::once((scrap.period.as_ref(), whole.is_some()));
                    let slices = scrap.slices.iter().map(|period| (Some(period), false));
                    let mut first = None;
                    for (period, is_divided) in own.chain(slices) {
                        let fresh = if scrap.paused { ScrapState::Pausado } else { ScrapState::Pendente };
                        let state = if is_divided { slices::DIVIDED } else { fresh.name() };
                        let id: i64 = sqlx::query_scalar(slices::INSERT)
                            .bind(scrap.cliente_id)
                            .bind(&scrap.rota)
                            .bind(period.map(|(from, _)| from))
                            .bind(period.map(|(_, to)| to))
                            .bind(scrap.page_size)
                            .bind(&scrap.settings)
                            .bind(scrap.host.as_ref().filter(|_| !is_divided))
                            .bind(state)
                            .bind(if is_divided { count } else { 0 })
                            .bind(first)
                            .bind(i64::from(!is_divided))
                            .bind(scrap.batch)
                            .bind(scrap.retries)
                            .fetch_one(&mut *tx)
                            .await
                            .map_err(sort())?;
                        if !is_divided {
                            let root =
                                sqlx::query(rows::INSERT_ROOT).bind(id).bind(0).bind(CursorId::ROOT.0.as_slice());
                            root.execute(&mut *tx).await.map_err(sort())?;
                        }
                        first = first.or(Some(id));
                    }
                    Ok(first.unwrap_or_default())
                }

                async fn read_scrap(&self, id: i64) -> Result<Option<Scrap>, StoreError> {
                    let row: Option<rows::ScrapRow> = sqlx::query_as(rows::SCRAP_BY_ID)
                        .bind(id)
                        .fetch_optional(&self.pool)
                        .await
                        .map_err(StoreError::sort("read the scrap"))?;
                    Ok(self.united(row.into_iter().map(Scrap::from).collect()).await?.pop())
                }

                async fn united(&self, mut scraps: Vec<Scrap>) -> Result<Vec<Scrap>, StoreError> {
                    let Some((least, greatest)) = slices::range(&scraps) else { return Ok(scraps) };
                    let together =
                        sqlx::query_as(slices::TOGETHER).bind(least).bind(greatest).fetch_all(&self.pool).await;
                    slices::unite(&mut scraps, together.map_err(StoreError::sort("add up the scrap's slices"))?);
                    Ok(scraps)
                }

                async fn list_unfinished_slices(&self, whole: i64) -> Result<Vec<i64>, StoreError> {
                    let ids = sqlx::query_scalar(slices::UNFINISHED).bind(whole).fetch_all(&self.pool).await;
                    ids.map_err(StoreError::sort("list the scrap's slices"))
                }
            }
        };
    };
}
pub(super) use impl_slices;

#[cfg(test)]
mod tests {
    use super::ScrapState::*;
    use super::*;

    #[test]
    fn a_whole_is_done_when_all_of_its_slices_are_and_never_before() {
        assert_eq!(state_together(&[(Concluido, false), (Concluido, false)]), Concluido);
        assert_eq!(state_together(&[(Concluido, false), (ConcluidoComRessalva, false)]), ConcluidoComRessalva);
        for state in ScrapState::ALL.into_iter().filter(|state| !state.is_done()) {
            for goes_on in [false, true] {
                assert!(!state_together(&[(Concluido, false), (state, goes_on)]).is_done(), "{state:?}");
            }
        }
    }

    #[test]
    fn a_whole_of_which_something_moves_is_not_called_stopped() {
        assert_eq!(state_together(&[(Falhou, false), (Executando, false)]), Executando);
        assert_eq!(state_together(&[(Falhou, false), (Pendente, false)]), Pendente);
        assert_eq!(state_together(&[(Falhou, false), (Suspenso, true)]), Suspenso);
        assert_eq!(state_together(&[(Pausado, false), (Falhou, false), (Concluido, false)]), Falhou);
    }
}
