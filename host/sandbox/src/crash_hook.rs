//! A hook for tests by which a guest crashes its process, like a fault of the engine: by a line of
//! its log, where the environment allows it. No release has it.

use rustix::process::{Signal, getpid, kill_process};

/// What a line begins with; the signal's name follows.
const LINE: &str = "atlas test: end this process by ";
/// The variable that allows it.
const ALLOWED: &str = "ATLAS_TEST_GUESTS_MAY_END_THE_PROCESS";

/// Ends the process if a line asks for it.
pub(crate) fn end_if_asked(line: &str) {
    let signal = match line.strip_prefix(LINE) {
        Some("SIGABRT") => Signal::ABORT,
        Some("SIGSEGV") => Signal::SEGV,
        Some("SIGBUS") => Signal::BUS,
        Some("SIGILL") => Signal::ILL,
        Some("SIGFPE") => Signal::FPE,
        Some("SIGKILL") => Signal::KILL,
        _ => return,
    };
    if std::env::var_os(ALLOWED).is_some() {
        // What cannot be sent shows in the test that waits for it.
        let _ = kill_process(getpid(), signal);
        std::thread::sleep(std::time::Duration::from_secs(10));
    }
}

/// Passes the permission on: a child process has none of the environment but this.
pub(crate) fn pass_on(child: &mut tokio::process::Command) {
    child.envs(std::env::var_os(ALLOWED).map(|allowed| (ALLOWED, allowed)));
}
