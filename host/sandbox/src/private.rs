//! Private folders and files, whose content is trusted when it is read back: compiled code and the
//! state of routes. Only this user may write to them, and no reader ever sees half of a file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Creates a folder for this user alone. Refuses one that belongs to another user, or that others
/// may write to.
#[cfg(unix)]
pub fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() && is_ours_alone(&metadata) { Ok(()) } else { Err(not_private("directory", "700")) }
}

#[cfg(unix)]
fn is_ours_alone(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    metadata.mode() & 0o022 == 0 && metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(unix)]
fn not_private(what: &str, mode: &str) -> io::Error {
    let why = format!("the {what} must belong to this user, and nobody else may write to it (chmod {mode})");
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// An open file of a private folder, and a path that leads to it even if its name was replaced
/// since.
pub(crate) struct PrivateFile {
    _open: fs::File,
    pub(crate) path: PathBuf,
}

/// Opens a file of a private folder, and checks the owner and mode of both again, since other users
/// may be able to rename the folder's parents.
#[cfg(unix)]
pub(crate) fn open_private(directory: &Path, name: &str) -> io::Result<PrivateFile> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{Mode, OFlags, open, openat};

    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let folder = fs::File::from(open(directory, flags | OFlags::DIRECTORY, Mode::empty())?);
    if !is_ours_alone(&folder.metadata()?) {
        return Err(not_private("directory", "700"));
    }
    let file = fs::File::from(openat(&folder, name, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() || !is_ours_alone(&metadata) {
        return Err(not_private("file", "600"));
    }
    let by_number = format!("/proc/self/fd/{}", file.as_raw_fd());
    let path = if cfg!(target_os = "linux") { by_number.into() } else { directory.join(name) };
    Ok(PrivateFile { _open: file, path })
}

#[cfg(not(unix))]
pub(crate) fn open_private(directory: &Path, name: &str) -> io::Result<PrivateFile> {
    let path = directory.join(name);
    Ok(PrivateFile { _open: fs::File::open(&path)?, path })
}

/// Creates a file that only this user may read or write, whatever the process's umask is.
pub fn create_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(not(unix))]
pub fn make_private(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Writes a file aside, sees to it that it is on the disk, and renames it into its place.
pub fn write_aside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Several tasks of several processes may write the same file at once.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let aside = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
    let written = create_private(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        // Renamed before its bytes are there, it could be half a file after a power cut.
        file.sync_data()?;
        fs::rename(&aside, path)
    });
    if written.is_err() {
        // A leftover does no harm if this fails.
        let _ = fs::remove_file(&aside);
    }
    written
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_made_for_this_user_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        make_private(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        make_private(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o707, 0o722] {
            let folder = parent.path().join(format!("{mode:o}"));
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            let refused = make_private(&folder).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{mode:o}");
        }
    }

    #[test]
    fn a_link_to_a_folder_is_no_private_folder() {
        let parent = tempfile::tempdir().unwrap();
        let (folder, link) = (parent.path().join("folder"), parent.path().join("link"));
        make_private(&folder).unwrap();
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(make_private(&link).is_err());
    }

    #[test]
    fn a_file_that_others_may_write_to_or_that_stands_elsewhere_is_not_opened() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("folder");
        make_private(&folder).unwrap();
        write_aside(&folder.join("a"), b"a").unwrap();
        let mode = |name: &str, mode| fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
        let opened = |folder: &Path, name: &str| open_private(folder, name).map(|file| fs::read(file.path).unwrap());
        assert_eq!(opened(&folder, "a").unwrap(), b"a");
        std::os::unix::fs::symlink(folder.join("a"), folder.join("link")).unwrap();
        fs::create_dir(folder.join("directory")).unwrap();
        for name in ["link", "directory", "missing"] {
            assert!(opened(&folder, name).is_err(), "{name}");
        }
        mode("a", 0o660);
        assert_eq!(opened(&folder, "a").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        mode("a", 0o644);
        mode(".", 0o770);
        assert_eq!(opened(&folder, "a").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        // Under another name, as one may give it who may write to the parent.
        mode(".", 0o700);
        let moved = parent.path().join("moved");
        let before = open_private(&folder, "a").unwrap();
        fs::rename(&folder, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &folder).unwrap();
        assert!(opened(&folder, "a").is_err());
        assert_eq!(fs::read(before.path).unwrap(), b"a");
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pedido.json");
        write_aside(&file, b"1").unwrap();
        write_aside(&file, b"2").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
