//! One call of `describe`: under all limits, and without HTTP.

use std::sync::Arc;
use std::time::Duration;

use atlas_model::Limits;

use super::contract::ContractPre;
use super::engine::ConnectorEngine;
use super::guest::Guest;
use super::raw_descriptor::{Described, NotDescribed, RawDescriptor, TEXT_MAX};
use super::reason::reason_of_trap;
use super::wasi::Wasi;

/// Characters shown of the error text of a failed `describe`.
const REASON_SHOWN: usize = 512;

/// Asks a connector what it is. `name`: the file's, as its log has it.
pub(crate) async fn describe(
    engine: &ConnectorEngine,
    limits: &Limits,
    name: &str,
    contract: &ContractPre,
) -> Described {
    let share = engine.share(None, name);
    let place = share.place().await;
    let mut store = Guest::store(engine, limits, &share, name, None, Wasi::of_describe());
    store.data_mut().log.keep();
    let (cpu, turnstile, contract) = (store.data().cpu(), share.turnstile(), Arc::clone(contract));
    let call = engine.run(async move {
        let _place = place;
        let called = cpu.charge(turnstile, contract.describe(&mut store)).await;
        let raw = called.map_err(|trap| reason_of_trap(&trap, store.data().limit_reached(&trap)));
        (raw, store.data_mut().log.kept())
    });
    let wall = Duration::from_millis(limits.page_wall_ms);
    let (raw, log) = match tokio::time::timeout(wall, call).await {
        Ok(Ok((raw, log))) => (raw, log),
        Ok(Err(lost)) => (Err(format!("{lost:#}")), Vec::new()),
        Err(_) => {
            let late = format!("it took longer than {} ms (limit page_wall_ms)", limits.page_wall_ms);
            (Err(late), Vec::new())
        }
    };
    let refused = |reason: String| reason.chars().take(REASON_SHOWN).collect();
    let raw = raw.and_then(|raw| raw.map_err(refused)).map_err(NotDescribed::Failed);
    let raw = raw.map(RawDescriptor::from).and_then(|raw| match raw.text_bytes() {
        bytes if bytes > TEXT_MAX => Err(NotDescribed::TooLong(bytes)),
        _ => Ok(raw),
    });
    Described { descriptor: raw, log }
}
