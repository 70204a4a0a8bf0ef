//! Starting a child, and talking to it.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use atlas_model::Limits;
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

#[cfg(debug_assertions)]
use super::super::crash_hook;
use super::super::line::GuestHttp;
use super::CHILD_COMMAND;
use super::exchange::{answer, next_request};
use super::protocol::{Task, Word, from_json, receive_frame, send_frame, to_json};

/// Bytes of compiled code that are accepted from a child. Python's, the largest honest one, has 40
/// MB; code of six times as much is meant to fill this process's memory, and the cache.
pub(crate) const COMPILED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// What the last word of a child may have beside a log: a description of 128 KiB of text, which is
/// six times as much in JSON at the most, or a complaint.
const LAST_WORD_MAX: u64 = 1024 * 1024;
/// Bytes of a log's line in the last word, beside its text.
const LINE_BYTES: u64 = 64;
/// Threads of the compiler in one child. Its stacks count as its memory.
const THREADS: &str = "4";
/// Seconds of wall time that a busy machine may take for a second of CPU time.
const WALL_FACTOR: u32 = 3;
/// Messages of Rust and the system that mean a lack of memory: for a value, a mapping, a thread's
/// stack.
const NO_MEMORY: [&str; 3] = ["memory allocation of", "Cannot allocate memory", "Resource temporarily unavailable"];
/// Characters shown of a child's output that is not a last word.
const COMPLAINT_SHOWN: usize = 4 * 1024;

/// The program that is started as a child: this one.
#[derive(Debug, Clone)]
pub(crate) struct Program(pub(crate) PathBuf);

impl Program {
    /// The running program, even if its file was replaced meanwhile; where there is no /proc, its
    /// file. `None` if its place is not known.
    pub(crate) fn own() -> Option<Self> {
        let own = PathBuf::from("/proc/self/exe");
        if own.exists() { Some(Self(own)) } else { std::env::current_exe().ok().map(Self) }
    }
}

/// A signal of a crash: the process gets it for its own fault, and dies of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadly {
    /// SIGABRT
    Abort,
    /// SIGSEGV
    Segv,
    /// SIGBUS
    Bus,
    /// SIGILL
    Ill,
    /// SIGFPE
    Fpe,
}

impl Deadly {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Abort, Self::Segv, Self::Bus, Self::Ill, Self::Fpe];

    /// By its number.
    pub fn of(signal: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|deadly| deadly.number() == signal)
    }

    /// Its number on this system.
    pub fn number(self) -> i32 {
        let signal = match self {
            Self::Abort => Signal::ABORT,
            Self::Segv => Signal::SEGV,
            Self::Bus => Signal::BUS,
            Self::Ill => Signal::ILL,
            Self::Fpe => Signal::FPE,
        };
        signal.as_raw()
    }

    /// Its name, as signal(7) has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Abort => "SIGABRT",
            Self::Segv => "SIGSEGV",
            Self::Bus => "SIGBUS",
            Self::Ill => "SIGILL",
            Self::Fpe => "SIGFPE",
        }
    }
}

/// Why a child has no last word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChildError {
    /// It ended itself, by such a signal.
    #[error("it ended the process ({})", .0.name())]
    Ended(Deadly),
    /// It used up its CPU time.
    #[error("it used up its CPU time")]
    OutOfTime,
    /// It used up its memory.
    #[error("it used up its memory")]
    OutOfMemory,
    /// It was not done in time, on a machine that may be busy.
    #[error("it was not done in time")]
    Late,
    /// It handed over more than is taken.
    #[error("it handed over more than is taken")]
    TooLarge,
    /// It gave up, and said why: it panicked, or could not do what it was told.
    #[error("{0}")]
    GaveUp(String),
    /// No fault of the file: the child did not start, was killed, or its output could not be read.
    #[error("{0}")]
    Hindered(String),
}

impl ChildError {
    fn hindered(what: &str, error: &io::Error) -> Self {
        Self::Hindered(format!("{what}: {error}"))
    }
}

/// A child at work. Dropping it kills the process.
pub(crate) struct Child {
    process: tokio::process::Child,
    /// `None` once the child gets no more input.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: ChildStderr,
    limits: Limits,
    until: Instant,
}

impl Child {
    /// Starts a child, and gives it its task, the bytes that the task is about, and the code of the
    /// modules that were taken out of the component.
    pub(crate) async fn start(
        program: &Program,
        task: &Task,
        bytes: &[u8],
        modules: &[Vec<u8>],
    ) -> Result<Self, ChildError> {
        let hindered = |error: io::Error| ChildError::hindered("the child process did not start", &error);
        let limits = &task.limits;
        // The guest's own meter ends it before; this limit is for one that escapes the meter.
        let calls_s = limits.guest_cpu_ms.div_ceil(1000).saturating_add(2);
        let compile_s = if task.work.compiles() { limits.compile_cpu_s } else { calls_s };
        let mut command = Command::new(&program.0);
        command.arg(CHILD_COMMAND).args([compile_s, calls_s, limits.compile_memory as u64].map(|n| n.to_string()));
        // The child needs no variable of the environment, which may hold a password.
        command.env_clear().env("RAYON_NUM_THREADS", THREADS);
        #[cfg(debug_assertions)]
        crash_hook::pass_on(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().map_err(hindered)?;
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(hindered(io::Error::other("no pipes")));
        };
        let wall = Duration::from_secs(if task.work.compiles() { limits.compile_cpu_s } else { 0 });
        let wall = wall.saturating_mul(WALL_FACTOR) + Duration::from_millis(limits.page_wall_ms);
        let until = Instant::now() + wall;
        let mut child = Self { process, stdin: Some(stdin), stdout, stderr, limits: *limits, until };
        let task = to_json(task).map_err(hindered)?;
        let given = async {
            if let Some(stdin) = &mut child.stdin {
                // Errors are ignored: a child that ended early reports why itself.
                let _ = send_frame(stdin, &task).await;
                let _ = send_frame(stdin, bytes).await;
                for module in modules {
                    let _ = send_frame(stdin, module).await;
                }
            }
        };
        tokio::time::timeout_at(until, given).await.map_err(|_| ChildError::Late)?;
        Ok(child)
    }

    /// Receives the compiled code. `None` if the child ended, or is about to, without any; its last
    /// word says why.
    pub(crate) async fn code(&mut self) -> Result<Option<Vec<u8>>, ChildError> {
        self.stdin = None;
        let until = self.until;
        let code = tokio::time::timeout_at(until, receive_frame(&mut self.stdout, COMPILED_BYTES_MAX)).await;
        match code.map_err(|_| ChildError::Late)? {
            Ok(code) => Ok(code),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(ChildError::TooLarge),
            // It was ended in the middle of it.
            Err(_) => Ok(None),
        }
    }

    /// Sends the requests of the child's guest, until it makes no more.
    pub(crate) async fn serve(&mut self, http: &mut GuestHttp) -> Result<(), ChildError> {
        let until = self.until;
        let served = async {
            while let Some(request) = next_request(&mut self.stdout, &self.limits).await? {
                let answered = http.send(request).await;
                match &mut self.stdin {
                    Some(stdin) => answer(stdin, answered).await?,
                    None => break,
                }
            }
            Ok::<_, io::Error>(())
        };
        // A broken pipe means that the child ended, and its exit status says more.
        tokio::time::timeout_at(until, served).await.map(drop).map_err(|_| ChildError::Late)
    }

    /// Waits for its last word.
    pub(crate) async fn last_word(mut self) -> Result<Word, ChildError> {
        self.stdin = None;
        let until = self.until;
        let log = (self.limits.log_bytes as u64).saturating_mul(6);
        let log = log.saturating_add((self.limits.log_lines as u64).saturating_mul(LINE_BYTES));
        let most = log.saturating_add(LAST_WORD_MAX);
        let ended = async {
            let said = read(&mut self.stderr, most.saturating_add(1)).await?;
            if said.len() as u64 > most {
                // Killed, since it would block on the pipe.
                self.process.kill().await?;
                return Ok(None);
            }
            Ok::<_, io::Error>(Some((said, self.process.wait().await?)))
        };
        let ended = tokio::time::timeout_at(until, ended).await.map_err(|_| ChildError::Late)?;
        let ended = ended.map_err(|error| ChildError::hindered("the child was not understood", &error))?;
        let (said, status) = ended.ok_or(ChildError::TooLarge)?;
        verdict(status, &said)
    }
}

fn verdict(status: ExitStatus, said: &[u8]) -> Result<Word, ChildError> {
    let word = if status.success() { from_json(said).ok() } else { None };
    if let Some(word) = word {
        return Ok(word);
    }
    let complaint = String::from_utf8_lossy(said);
    let complaint = complaint.trim();
    if ended_by(status) == Some(Signal::XCPU.as_raw()) {
        return Err(ChildError::OutOfTime);
    }
    if NO_MEMORY.iter().any(|words| complaint.contains(words)) {
        return Err(ChildError::OutOfMemory);
    }
    if let Some(deadly) = ended_by(status).and_then(Deadly::of) {
        return Err(ChildError::Ended(deadly));
    }
    let shown: String = complaint.chars().take(COMPLAINT_SHOWN).collect();
    match (shown.as_str(), status.code()) {
        ("", _) | (_, None) => Err(ChildError::Hindered(format!("the child process gave up ({status})"))),
        (said, Some(_)) => Err(ChildError::GaveUp(said.to_owned())),
    }
}

async fn read(from: &mut (impl AsyncRead + Unpin), limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// The signal that ended a process; none if it ended by itself.
fn ended_by(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// What is made of a child that the system ended by a signal, and that had said this.
    fn ended(signal: i32, said: &str) -> Result<Word, ChildError> {
        verdict(ExitStatus::from_raw(signal), said.as_bytes())
    }

    #[test]
    fn a_child_that_ends_itself_is_told_from_one_that_is_ended() {
        for (signal, name) in [(6, "SIGABRT"), (11, "SIGSEGV"), (7, "SIGBUS"), (4, "SIGILL"), (8, "SIGFPE")] {
            let Err(ChildError::Ended(deadly)) = ended(signal, "") else { panic!("{name}") };
            assert_eq!(deadly.name(), name);
        }
        for killed in [9, 15, 2] {
            assert!(matches!(ended(killed, ""), Err(ChildError::Hindered(_))), "{killed}");
        }
        assert_eq!(ended(24, ""), Err(ChildError::OutOfTime));
        assert_eq!(ended(6, "memory allocation of 80 bytes failed\n"), Err(ChildError::OutOfMemory));
    }

    #[test]
    fn a_last_word_counts_only_from_a_child_that_ended_well() {
        assert_eq!(ended(0, r#""PageReturned""#), Ok(Word::PageReturned));
        assert!(ended(11, r#""PageReturned""#).is_err());
        assert!(matches!(ended(0, "{"), Err(ChildError::GaveUp(_))));
        assert_eq!(ended(101 << 8, "it panicked"), Err(ChildError::GaveUp("it panicked".to_owned())));
        assert!(matches!(ended(101 << 8, ""), Err(ChildError::Hindered(_))));
    }
}
