//! Compiling, in a child process: a component can be made so that the compiler takes minutes or gigabytes over it, and nothing
//! inside a process stops that. The child is this very program, told to do nothing else. It limits itself before it reads a
//! byte, gets the component on its standard input, and gives the compiled code on its standard output. Whoever no longer wants
//! the result drops the future, and the child is killed.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;
use wasmtime::component::Component;

use super::cache::{self, ComponentCache};
use super::engine::{self, ConnectorEngine};
use super::heavy::HeavyWork;
use crate::limits::Limits;

/// The hidden command that makes a process the child.
pub const CHILD_COMMAND: &str = "compile-component";
/// Children at the same time: each may use what [`Limits::compile_memory`] says.
const AT_ONCE: usize = 2;
/// Threads of one child. Its stacks count as its memory.
const THREADS: &str = "4";
/// Compiled code that is taken from a child. Python's, the largest honest one, has 40 MB; what comes to six times as much is meant
/// to fill this process's memory, and the cache.
const COMPILED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The child's own words about a failure, as much of them as is worth reading.
const COMPLAINT_MAX: u64 = 4 * 1024;
/// What Rust and the system say when there is no more memory: for a value, a mapping, a thread's stack.
const NO_MEMORY: [&str; 3] = ["memory allocation of", "Cannot allocate memory", "Resource temporarily unavailable"];
/// What a busy machine may take for a second of CPU time.
const WALL_FACTOR: u32 = 3;

/// Why a component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CompileError {
    /// It took more than it may.
    #[error("compiling it took more than the limit {name} ({value})")]
    Limit { name: &'static str, value: u64 },
    /// It used up the CPU time that it may have, which it would again.
    #[error("compiling it took more than {seconds} s of CPU time")]
    TooSlow { seconds: u64 },
    /// It becomes more code than any connector needs.
    #[error("it becomes more than {limit} bytes of code")]
    TooLarge { limit: usize },
    /// The compiler refused it.
    #[error("{0}")]
    Failed(String),
    /// Nothing is known against it: the compiler could not do its work.
    #[error("{0}")]
    Hindered(String),
}

/// Where compiling happens.
#[derive(Debug, Clone)]
enum Place {
    /// In children of this program.
    Child(PathBuf),
    /// In this process: for the tests of the library, which are another program and know no such command.
    Here,
    /// Nowhere: it is not known where this program is, and in this process no limit would hold.
    Nowhere,
}

/// Compiles components.
#[derive(Clone)]
pub(super) struct Compiler {
    place: Place,
    limits: Limits,
    at_once: Arc<Semaphore>,
}

impl Compiler {
    /// Compiles in children of this program.
    pub(super) fn new(limits: &Limits) -> Self {
        // The running program, even if its file was replaced meanwhile; where there is no /proc, its file.
        let own = PathBuf::from("/proc/self/exe");
        let own = if own.exists() { Some(own) } else { std::env::current_exe().ok() };
        let place = match own {
            _ if cfg!(test) => Place::Here,
            Some(program) => Place::Child(program),
            None => Place::Nowhere,
        };
        Self { place, limits: *limits, at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The compiled component: the copy if there is one, else compiled now, and kept.
    pub(super) async fn compile(
        &self,
        engine: &Arc<ConnectorEngine>,
        cache: &ComponentCache,
        heavy: &HeavyWork,
        sha256: &str,
        component: Bytes,
    ) -> Result<Component, CompileError> {
        let failed = |error: &dyn std::fmt::Display| CompileError::Failed(error.to_string());
        let (its_engine, its_cache, its_sha256) = (Arc::clone(engine), cache.clone(), sha256.to_owned());
        let seconds = self.limits.compile_cpu_s;
        let found = heavy.run(move || match its_cache.find(its_engine.engine(), &its_sha256) {
            // What was not enough once is not tried again, nor is less.
            None => match its_cache.too_slow(its_engine.engine(), &its_sha256) {
                Some(tried) if seconds <= tried => Err(CompileError::TooSlow { seconds }),
                _ => Ok(None),
            },
            found => Ok(found),
        });
        if let Some(component) = found.await.map_err(|e| failed(&e))?? {
            return Ok(component);
        }
        // Held until the code is taken over: it is as large as what the child was given the memory for.
        // The semaphore is never closed.
        let _place = self.at_once.acquire().await.ok();
        let compiled = match &self.place {
            Place::Child(program) => self.in_child(program, engine.largest_guest(), component).await,
            Place::Here => engine.engine().precompile_component(&component).map_err(|e| failed(&format!("{e:#}"))),
            Place::Nowhere => Err(CompileError::Hindered("it is not known where this program is".to_owned())),
        };
        let (its_engine, cache, sha256) = (Arc::clone(engine), cache.clone(), sha256.to_owned());
        let compiled = match compiled {
            Ok(compiled) => compiled,
            Err(error @ CompileError::TooSlow { seconds }) => {
                let noted = heavy.run(move || cache.note_too_slow(its_engine.engine(), &sha256, seconds)).await;
                return Err(noted.err().map_or(error, |e| failed(&e)));
            }
            Err(error) => return Err(error),
        };
        let taken = heavy.run_and_hand_on(move |permit| {
            let component = cache::take_over(its_engine.engine(), &compiled)?;
            // Nobody has to wait for the disk.
            tokio::task::spawn_blocking(move || {
                cache.keep(its_engine.engine(), &sha256, &compiled);
                drop(permit);
            });
            Ok::<_, wasmtime::Error>(component)
        });
        taken.await.map_err(|e| failed(&e))?.map_err(|error| not_taken_over(format!("{error:#}")))
    }

    async fn in_child(
        &self,
        program: &PathBuf,
        largest_guest: usize,
        component: Bytes,
    ) -> Result<Vec<u8>, CompileError> {
        let limits = &self.limits;
        let hindered = |what: &str, error: &std::io::Error| CompileError::Hindered(format!("{what}: {error}"));
        let mut child = Command::new(program)
            .arg(CHILD_COMMAND)
            .arg(limits.compile_cpu_s.to_string())
            .arg(limits.compile_memory.to_string())
            .arg(largest_guest.to_string())
            // It needs nothing of ours, and ours may hold a password.
            .env_clear()
            .env("RAYON_NUM_THREADS", THREADS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| hindered("the compiler did not start", &e))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A child that ended early says why itself.
                let _ = stdin.write_all(&component).await;
            }
        };
        let work = async {
            let most = COMPILED_BYTES_MAX as u64 + 1;
            let (compiled, complaint, ()) = tokio::join!(read(stdout, most), read(stderr, COMPLAINT_MAX), feed);
            let status = child.wait().await?;
            Ok((compiled?, complaint?, status))
        };
        let wall = Duration::from_secs(limits.compile_cpu_s).saturating_mul(WALL_FACTOR);
        let done = tokio::time::timeout(wall, work).await;
        // On a busy machine: it might have been done.
        let Ok(done) = done else {
            return Err(CompileError::Limit { name: "compile_cpu_s", value: limits.compile_cpu_s });
        };
        let (compiled, complaint, status) =
            done.map_err(|e: std::io::Error| hindered("the compiler was not understood", &e))?;
        if compiled.len() > COMPILED_BYTES_MAX {
            return Err(CompileError::TooLarge { limit: COMPILED_BYTES_MAX });
        }
        if status.success() {
            return Ok(compiled);
        }
        Err(self.verdict(status, String::from_utf8_lossy(&complaint).trim()))
    }

    fn verdict(&self, status: ExitStatus, complaint: &str) -> CompileError {
        if ended_by_cpu_limit(status) {
            return CompileError::TooSlow { seconds: self.limits.compile_cpu_s };
        }
        if NO_MEMORY.iter().any(|words| complaint.contains(words)) {
            return CompileError::Limit { name: "compile_memory", value: self.limits.compile_memory as u64 };
        }
        match (complaint, status.code()) {
            (_, None) if was_killed(status) => CompileError::Hindered(format!("the compiler was killed ({status})")),
            (_, None) => CompileError::Failed(format!("the compiler crashed ({status})")),
            ("", Some(_)) => CompileError::Hindered(format!("the compiler gave up ({status})")),
            (complaint, Some(_)) => CompileError::Failed(complaint.to_owned()),
        }
    }
}

/// The engine has no room for such a component, or the machine has none for anything.
fn not_taken_over(reason: String) -> CompileError {
    match NO_MEMORY.iter().any(|words| reason.contains(words)) {
        true => CompileError::Hindered(reason),
        false => CompileError::Failed(reason),
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(limit).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

#[cfg(unix)]
fn ended_by_cpu_limit(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    status.signal() == Some(rustix::process::Signal::XCPU.as_raw())
}

#[cfg(not(unix))]
fn ended_by_cpu_limit(_: ExitStatus) -> bool {
    false
}

/// By somebody, or by a system that had no memory left: not for anything that the component is.
#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    status.signal() == Some(rustix::process::Signal::KILL.as_raw())
}

#[cfg(not(unix))]
fn was_killed(_: ExitStatus) -> bool {
    false
}

/// What the child does: limits itself, reads a component, compiles it, writes the code. `Err`: what to say before it ends.
pub fn compile_as_child(
    cpu_s: u64,
    memory: u64,
    guest_memory: usize,
    mut from: impl Read,
    mut to: impl Write,
) -> Result<(), String> {
    limit_self(cpu_s, memory).map_err(|e| format!("the compiler could not limit itself: {e}"))?;
    let mut component = Vec::new();
    from.read_to_end(&mut component).map_err(|e| e.to_string())?;
    let engine = engine::compiler(guest_memory).map_err(|e| format!("{e:#}"))?;
    let compiled = engine.precompile_component(&component).map_err(|e| format!("{e:#}"))?;
    to.write_all(&compiled).and_then(|()| to.flush()).map_err(|e| e.to_string())
}

/// CPU time (a second past the limit the system kills, should the signal of the limit be ignored), memory (what a process can write to: reserved addresses cost nothing), and no core file, which would hold a
/// third party's code.
#[cfg(unix)]
fn limit_self(cpu_s: u64, memory: u64) -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let limits = [(Resource::Cpu, cpu_s, cpu_s + 1), (Resource::Data, memory, memory), (Resource::Core, 0, 0)];
    for (resource, soft, hard) in limits {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn limit_self(_: u64, _: u64) -> Result<(), std::convert::Infallible> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;

    #[tokio::test]
    async fn what_the_child_compiles_fits_the_engine_that_runs_it() {
        let limits = Limits::default();
        let hash = |engine: &wasmtime::Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let running = ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap();
        assert_eq!(hash(running.engine()), hash(&engine::compiler(limits.guest_memory).unwrap()));
    }

    #[tokio::test]
    async fn a_compiler_that_is_not_there_is_told() {
        let limits = Limits::default();
        let program = PathBuf::from("/nowhere/atlas");
        let refused = Compiler::new(&limits).in_child(&program, limits.guest_memory, Bytes::new()).await.unwrap_err();
        assert!(matches!(refused, CompileError::Hindered(_)), "{refused:?}");
        assert!(refused.to_string().starts_with("the compiler did not start"), "{refused}");
    }

    #[tokio::test]
    async fn nothing_is_compiled_in_this_process_because_the_program_was_not_found() {
        let limits = Limits::default();
        let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
        let compiler = Compiler { place: Place::Nowhere, ..Compiler::new(&limits) };
        let (cache, heavy) = (ComponentCache::open(None), HeavyWork::default());
        let component = Bytes::from(wat::parse_str("(component)").unwrap());
        let refused = compiler.compile(&engine, &cache, &heavy, "00", component).await.err();
        assert!(matches!(refused, Some(CompileError::Hindered(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn what_was_too_slow_is_tried_again_only_if_it_may_take_longer() {
        let limits = Limits::default();
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
        let (compiler, heavy) = (Compiler::new(&limits), HeavyWork::default());
        let cache = ComponentCache::open(Some(&folder.path().join("cache")));
        let component = Bytes::from(wat::parse_str("(component)").unwrap());
        let seconds = limits.compile_cpu_s;
        cache.note_too_slow(engine.engine(), "00", seconds);
        let refused = compiler.compile(&engine, &cache, &heavy, "00", component.clone()).await.err();
        assert_eq!(refused, Some(CompileError::TooSlow { seconds }));
        cache.note_too_slow(engine.engine(), "00", seconds - 1);
        assert!(compiler.compile(&engine, &cache, &heavy, "00", component).await.is_ok());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_child_that_gives_more_code_than_any_connector_needs_is_not_heard_to_the_end() {
        // It says what it was told, for ever.
        let program = PathBuf::from("/usr/bin/yes");
        let limits = Limits::default();
        let refused = Compiler::new(&limits).in_child(&program, limits.guest_memory, Bytes::new()).await.unwrap_err();
        assert_eq!(refused, CompileError::TooLarge { limit: COMPILED_BYTES_MAX });
    }

    #[test]
    fn bytes_of_data_that_lie_far_apart_do_not_become_all_that_is_between_them() {
        let sparse = "(core module (memory 256) (data (i32.const 0) \"x\") (data (i32.const 16000000) \"x\"))";
        let component = wat::parse_str(format!("(component {})", sparse.repeat(8))).unwrap();
        let compiler = engine::compiler(Limits::default().guest_memory).unwrap();
        let compiled = compiler.precompile_component(&component).unwrap();
        assert!(compiled.len() < 1024 * 1024, "{} bytes become {}", component.len(), compiled.len());
    }
}
