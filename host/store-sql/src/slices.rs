//! Scraps that are divided into slices, read as one.

use std::collections::BTreeMap;

use atlas_model::{Counts, Scrap, ScrapState};

use crate::values::{CountsRow, row};

/// The state of a scrap that its slices make up, as the table has it. No run ever begins or ends
/// with it.
pub(crate) const DIVIDED: &str = "dividido";

row! {
    /// Slices of one scrap that are in one state.
    pub(crate) struct Slices {
        fatia_de: i64,
        estado: String,
        /// Whether a worker will take them again without an operator.
        retoma: bool,
        quantas: i64,
        fronteira: i64,
        paginas: i64,
        total_declarado: Option<i64>,
        declararam: i64,
        duracao_ms: i64,
        motivo: Option<String>,
        retomar_em: Option<String>,
        varredura: i32,
        conector_versao: Option<String>,
        conector_sha256: Option<String>,
        conectores: i64,
    } + {
        counts: CountsRow,
    }
}

impl Slices {
    fn state(&self) -> ScrapState {
        ScrapState::from_name(&self.estado).unwrap_or(ScrapState::Falhou)
    }
}

/// The least and the greatest id of the scraps that are divided; none if none is.
pub(crate) fn range(scraps: &[Scrap]) -> Option<(i64, i64)> {
    let divided = || scraps.iter().filter(|scrap| scrap.slices > 0).map(|scrap| scrap.id);
    Some((divided().min()?, divided().max()?))
}

/// Fills in divided scraps with the sums over their slices.
pub(crate) fn unite(scraps: &mut [Scrap], slices: Vec<Slices>) {
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
        scrap.counts += Counts::from(some.counts.clone());
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

/// The state of a divided scrap, from its slices' states, each with whether a worker will take it
/// again: done when all are, else the state of those that still move, else of what stopped them.
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
