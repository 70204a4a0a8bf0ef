//! Ctrl-C: the first drains, the second stops at once. What is checkpointed is safe in either case.

use std::io;
use std::thread;

use atlas_model::notice;
use atlas_service::{Exit, Failure, Kind};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::terminal;

/// A token that the first Ctrl-C (or SIGTERM) cancels. The second ends the process.
///
/// Signals are waited for on a thread of their own, with a runtime of its own: neither a panic nor
/// a thread that is stuck (a terminal that takes nothing) keeps the process from obeying.
pub(super) fn stop_on_interrupt(output: &Output) -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let draining = (!output.quiet).then(|| output.text(&notice!("run-draining")));
    let failed = |error: io::Error| Failure::not_started("op-run", Kind::Configuration, &error).because(&error);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Before the work begins, so that no signal meets the default action.
    let mut interrupts = {
        let _within = runtime.enter();
        Interrupts::listen().map_err(failed)?
    };
    let obey = move || {
        runtime.block_on(interrupts.next());
        stopping.cancel();
        // Elsewhere: writing may block, and the second signal must be heard all the same.
        let say = move || draining.iter().for_each(|text| terminal::error_line(&format!("\n{text}")));
        let _ = thread::Builder::new().name("atlas-draining".to_owned()).spawn(say);
        runtime.block_on(interrupts.next());
        std::process::exit(i32::from(Exit::Interrupted.code()));
    };
    thread::Builder::new().name("atlas-signals".to_owned()).spawn(obey).map_err(failed)?;
    Ok(stop)
}

/// SIGINT and SIGTERM.
#[cfg(unix)]
struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Interrupts {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Interrupts;

#[cfg(not(unix))]
impl Interrupts {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
