//! A flight recorder: which calls of guests this process has under way, in a small file that
//! outlives it.
//!
//! A fault of the engine can end the whole process, and which call caused it is lost with it. So
//! each call takes a slot of the file before it begins and frees it when it has returned, by one
//! `pwrite` each and without a flush: only the process dies here, and the system still has what it
//! wrote. A handler of the signals of crashes writes the signal's number into the file. A process
//! that is killed, by an operator or for want of memory, or loses its power leaves no such mark,
//! and nothing is concluded from the calls that it had under way.
//!
//! The next process that is started beside the file reads it (`crashes`), and removes it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use atlas_sandbox::private::{create_private, make_private};
use atlas_sandbox::{Deadly, INSTANCES};
use rustix::fd::BorrowedFd;
use serde::{Deserialize, Serialize};

/// One slot for each instance that there may be, and one before them for the process itself.
const SLOTS: usize = 1 + INSTANCES as usize;
/// Bytes of a slot: two digests and a route's name in JSON have room in it.
const SLOT_BYTES: usize = 512;
/// Where the mark stands: the last byte of the first slot.
const MARK_AT: u64 = SLOT_BYTES as u64 - 1;
/// What such files are called.
const EXTENSION: &str = "flights";
/// Crashes that are gone through at a start; the rest waits for the next one.
const CRASHES_MAX: usize = 16;

/// The descriptor that the signal handler writes to; negative: none.
static MARKED: AtomicI32 = AtomicI32::new(-1);

/// Installs handlers for the signals of crashes, which mark the recorder's file, if one is open,
/// and then end the process as the signal would have. To be called before there is an engine: its
/// own handlers then come first, and pass on the signals that no guest's code caused.
#[allow(unsafe_code)]
pub fn mark_crashes() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        for deadly in Deadly::ALL {
            let signal = deadly.number();
            let end = move || {
                mark(signal);
                // If it cannot be ended by this signal, it is by another.
                if signal_hook::low_level::emulate_default_handler(signal).is_err() {
                    signal_hook::low_level::abort();
                }
            };
            // SAFETY: the action runs in a signal handler, so it may call only what is
            // async-signal-safe (signal-safety(7)), and does: it reads an atomic number, writes one
            // byte by `pwrite`, restores the default action and raises the signal. It allocates
            // nothing, takes no lock, and cannot panic. It does not return to the instruction that
            // failed: the process ends within it.
            let registered = unsafe { signal_hook_registry::register_signal_unchecked(signal, end) };
            if let Err(error) = registered {
                tracing::debug!(%error, signal = deadly.name(), "a crash by this signal leaves no mark");
            }
        }
    });
}

/// Writes the signal's number where the recorder has it. Async-signal-safe.
#[allow(unsafe_code)]
fn mark(signal: i32) {
    let fd = MARKED.load(Ordering::Relaxed);
    let Ok(signal) = u8::try_from(signal) else { return };
    if fd >= 0 {
        // SAFETY: the descriptor is that of a recorder's file, which stays open until it is no
        // longer named here.
        let file = unsafe { BorrowedFd::borrow_raw(fd) };
        let _ = rustix::io::pwrite(file, &[signal], MARK_AT);
    }
}

/// The kind of a guest's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A page of a scrap, or one that is looked at: its requests go to the source.
    Page,
    /// A page that is replayed: a trial, or a look at the first request.
    Replay,
}

/// A call under way, as the file records it, without its arguments, which may be secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallUnderWay {
    /// The component's SHA-256, lower-case hex.
    pub sha256: String,
    /// Its route.
    pub route: String,
    /// Which kind of call it is.
    pub kind: CallKind,
    /// The scrap; none: it is not of one that is stored.
    pub scrap_id: Option<i64>,
    /// The SHA-256 of the page's cursor, lower-case hex; none: it is the first page.
    pub cursor: Option<String>,
}

/// The process that a recorder's calls belong to, and its database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlightOwner {
    /// The process's id among hosts.
    pub host: String,
    /// A digest of where the database is.
    pub database: String,
}

/// The calls that this process has under way. Without a folder to write to, none are noted.
#[derive(Default)]
pub(super) struct FlightRecorder {
    open: OnceLock<Arc<OpenRecorder>>,
}

struct OpenRecorder {
    /// Locked for as long as the process lives.
    file: File,
    path: PathBuf,
    free: Mutex<Vec<usize>>,
}

/// A slot that is taken for as long as a call is under way.
pub(super) struct Flight {
    taken: Option<(Arc<OpenRecorder>, usize)>,
}

impl FlightRecorder {
    /// Starts recording calls, in a file of this folder. A second call changes nothing.
    pub(super) fn open(&self, folder: &Path, owner: &FlightOwner) -> io::Result<()> {
        if self.open.get().is_some() {
            return Ok(());
        }
        make_private(folder)?;
        let path = folder.join(&owner.host).with_extension(EXTENSION);
        let file = create_private(&path)?;
        file.lock()?;
        file.set_len((SLOTS * SLOT_BYTES) as u64)?;
        write_slot(&file, 0, owner)?;
        let recorder = OpenRecorder { file, path, free: Mutex::new((1..SLOTS).rev().collect()) };
        let recorder = self.open.get_or_init(|| Arc::new(recorder));
        MARKED.store(recorder.file.as_raw_fd(), Ordering::Relaxed);
        Ok(())
    }

    /// Records a call until the returned [`Flight`] is dropped.
    pub(super) fn begin(&self, call: &CallUnderWay) -> Flight {
        let Some(open) = self.open.get() else { return Flight { taken: None } };
        let slot = open.free().pop();
        // There are as many slots as instances; a call without one would only not be noted.
        let Some(slot) = slot else { return Flight { taken: None } };
        if let Err(error) = write_slot(&open.file, slot, call) {
            tracing::debug!(%error, "a call was not noted");
        }
        Flight { taken: Some((Arc::clone(open), slot)) }
    }
}

impl OpenRecorder {
    fn free(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some((open, slot)) = self.taken.take() {
            // The first byte says whether there is a call.
            if open.file.write_all_at(&[0], (slot * SLOT_BYTES) as u64).is_ok() {
                open.free().push(slot);
            }
        }
    }
}

impl Drop for OpenRecorder {
    fn drop(&mut self) {
        let _ = MARKED.compare_exchange(self.file.as_raw_fd(), -1, Ordering::Relaxed, Ordering::Relaxed);
        // Nothing is under way any more. One that stays is removed by the next process.
        let _ = fs::remove_file(&self.path);
    }
}

/// Writes a slot in one piece: its text, and zeros after it.
fn write_slot(file: &File, slot: usize, content: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(content)?;
    // The last byte of the first slot is the mark's.
    if bytes.len() >= SLOT_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a slot has no room for it"));
    }
    bytes.resize(SLOT_BYTES - 1, 0);
    file.write_all_at(&bytes, (slot * SLOT_BYTES) as u64)
}

fn read_slot<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<T> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    serde_json::from_slice(&bytes[..end]).ok()
}

/// The record that a crashed process left.
#[derive(Debug)]
pub struct Crash {
    /// Whose calls they were.
    pub owner: FlightOwner,
    /// The signal's name.
    pub signal: &'static str,
    /// What it had under way.
    pub calls: Vec<CallUnderWay>,
    path: PathBuf,
    /// Locked: no other process reads it meanwhile.
    _file: File,
}

impl Crash {
    /// Removes the record once its calls were repeated, so that it is not read again.
    pub fn forget(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Reads the records of crashed processes of this database. Removes files of processes that ended
/// in another way. Reads files: call it where blocking is allowed.
pub(super) fn crashes(folder: &Path, database: &str) -> io::Result<Vec<Crash>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    let mut crashes = Vec::new();
    for path in paths {
        let left = match read(&path, database) {
            Ok(Left::Nothing) => fs::remove_file(&path).map(|()| None),
            Ok(Left::Crash(crash)) => Ok(Some(crash)),
            Ok(Left::InUse) => Ok(None),
            Err(error) => Err(error),
        };
        match left {
            Ok(crash) => crashes.extend(crash),
            Err(error) => tracing::warn!(file = %path.display(), %error, "what a process had under way cannot be read"),
        }
        if crashes.len() == CRASHES_MAX {
            break;
        }
    }
    Ok(crashes)
}

enum Left {
    /// Its process lives, or it is another database's.
    InUse,
    /// Its process was killed, or ended by itself.
    Nothing,
    Crash(Crash),
}

fn read(path: &Path, database: &str) -> io::Result<Left> {
    let file = File::options().read(true).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(Left::InUse),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    let mut bytes = vec![0; SLOTS * SLOT_BYTES];
    if file.metadata()?.len() < bytes.len() as u64 {
        // Its process died while it opened it.
        return Ok(Left::Nothing);
    }
    file.read_exact_at(&mut bytes, 0)?;
    let mut slots = bytes.chunks(SLOT_BYTES);
    let first = slots.next().unwrap_or_default();
    let Some(owner) = read_slot::<FlightOwner>(first) else { return Ok(Left::Nothing) };
    let Some(deadly) = first.last().and_then(|mark| Deadly::of(i32::from(*mark))) else { return Ok(Left::Nothing) };
    if owner.database != database {
        return Ok(Left::InUse);
    }
    let calls = slots.filter_map(read_slot::<CallUnderWay>).collect();
    Ok(Left::Crash(Crash { owner, signal: deadly.name(), calls, path: path.to_owned(), _file: file }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(host: &str) -> FlightOwner {
        FlightOwner { host: host.to_owned(), database: "db".to_owned() }
    }

    fn call(scrap: i64) -> CallUnderWay {
        CallUnderWay {
            sha256: "ab".repeat(32),
            route: "x".repeat(64),
            kind: CallKind::Page,
            scrap_id: Some(scrap),
            cursor: Some("cd".repeat(32)),
        }
    }

    /// A recorder's file with this mark, as a process leaves it that is gone.
    fn left(folder: &Path, host: &str, mark: u8, begin: &[i64], end: &[i64]) {
        let aside = tempfile::tempdir().unwrap();
        let recorder = FlightRecorder::default();
        recorder.open(aside.path(), &owner(host)).unwrap();
        let mut flights: Vec<(i64, Flight)> = begin.iter().map(|id| (*id, recorder.begin(&call(*id)))).collect();
        flights.retain(|(id, _)| !end.contains(id));
        let path = folder.join(host).with_extension(EXTENSION);
        fs::copy(&recorder.open.get().unwrap().path, &path).unwrap();
        File::options().write(true).open(path).unwrap().write_all_at(&[mark], MARK_AT).unwrap();
    }

    #[test]
    fn what_a_crashed_process_had_under_way_is_read_and_nothing_that_had_returned() {
        let folder = tempfile::tempdir().unwrap();
        left(folder.path(), "a", 6, &[1, 2, 3], &[2]);
        let [crash] = &crashes(folder.path(), "db").unwrap()[..] else { panic!("one crash") };
        assert_eq!((crash.signal, &crash.owner), ("SIGABRT", &owner("a")));
        assert_eq!(crash.calls, [call(1), call(3)]);
        // Of another database it says nothing, and stays for those who use that one.
        assert!(crashes(folder.path(), "another").unwrap().is_empty());
    }

    #[test]
    fn a_process_that_was_killed_leaves_nothing_to_conclude_from() {
        let folder = tempfile::tempdir().unwrap();
        for (host, mark) in [("none", 0), ("kill", 9), ("term", 15)] {
            left(folder.path(), host, mark, &[1], &[]);
        }
        assert!(crashes(folder.path(), "db").unwrap().is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_process_that_lives_is_left_alone_and_one_that_ends_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = FlightRecorder::default();
        recorder.open(folder.path(), &owner("a")).unwrap();
        let _flight = recorder.begin(&call(1));
        assert!(crashes(folder.path(), "db").unwrap().is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop((_flight, recorder));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_is_no_recorders_any_more_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.flights"), "x").unwrap();
        fs::write(folder.path().join("b.flights"), vec![b'{'; SLOTS * SLOT_BYTES]).unwrap();
        fs::write(folder.path().join("notas.txt"), "x").unwrap();
        assert!(crashes(folder.path(), "db").unwrap().is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn more_calls_than_there_are_slots_are_not_noted_and_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = FlightRecorder::default();
        recorder.open(folder.path(), &owner("a")).unwrap();
        let flights: Vec<Flight> = (0..SLOTS as i64 + 5).map(|id| recorder.begin(&call(id))).collect();
        assert_eq!(flights.iter().filter(|flight| flight.taken.is_none()).count(), 6);
        drop(flights);
        assert!(recorder.begin(&call(1)).taken.is_some());
    }
}
