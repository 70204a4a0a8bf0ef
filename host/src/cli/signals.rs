//! Ctrl-C: the first drains, the second stops at once. What is checkpointed is safe in either case.

use tokio_util::sync::CancellationToken;

use super::output::Output;
use crate::notice;
use crate::service::Exit;

/// A token that the first Ctrl-C (or SIGTERM) cancels. The second ends the process.
pub(super) fn stop_on_interrupt(output: &Output) -> CancellationToken {
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let (quiet, draining) = (output.quiet, output.text(&notice!("run-draining")));
    tokio::spawn(async move {
        interrupted().await;
        if !quiet {
            #[allow(clippy::print_stderr)] // no progress bar can be reached from here
            {
                eprintln!("\n{draining}");
            }
        }
        stopping.cancel();
        interrupted().await;
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
    stop
}

#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    // A signal that cannot be listened to leaves the other.
    let mut terminate = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    let _ = tokio::signal::ctrl_c().await;
}
