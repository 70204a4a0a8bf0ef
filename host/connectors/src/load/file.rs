//! Reads a component's file, which is untrusted: never more of it than the limit, never a pipe that
//! would block, never a device; and its digest is taken over the very bytes that are loaded.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::LoadError;
use super::trust::{SIGNATURE_BYTES_MAX, signature_file};

/// A component's file as it was read, once.
pub struct ComponentFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// All of its bytes.
    pub bytes: Bytes,
    /// Their SHA-256, lower-case hex.
    pub sha256: String,
    /// The signature that stands beside it, if one does, or why it could not be read.
    pub(crate) signature: Result<Option<Vec<u8>>, Box<LoadError>>,
}

/// Where a file may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The folder of connectors. A symbolic link is followed only if it ends within the folder: a
    /// user who can put a link there could put the file there as well, and no other file of the
    /// machine is opened.
    Folder,
    /// The operator named this very file: links are followed.
    Named,
}

/// Reads a component of at most `limit` bytes, and its signature.
pub(super) fn read(path: &Path, origin: Origin, limit: usize) -> Result<ComponentFile, LoadError> {
    let bytes = Bytes::from(read_bytes(path, origin, limit)?);
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = match signature_file(path) {
        file if file.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) => Ok(None),
        file => read_bytes(&file, origin, SIGNATURE_BYTES_MAX).map(Some).map_err(Box::new),
    };
    Ok(ComponentFile { path: path.to_owned(), bytes, sha256, signature })
}

/// Reads a regular file of at most `limit` bytes.
pub(super) fn read_bytes(path: &Path, origin: Origin, limit: usize) -> Result<Vec<u8>, LoadError> {
    match origin {
        Origin::Folder => read_regular(&within_its_folder(path)?, origin, limit),
        Origin::Named => read_regular(path, origin, limit),
    }
}

fn within_its_folder(path: &Path) -> Result<PathBuf, LoadError> {
    let metadata = std::fs::symlink_metadata(path).map_err(unreadable)?;
    if !metadata.is_symlink() {
        return Ok(path.to_owned());
    }
    let target = path.canonicalize().map_err(unreadable)?;
    let folder = path.parent().unwrap_or(Path::new(".")).canonicalize().map_err(unreadable)?;
    if !target.starts_with(&folder) {
        return Err(LoadError::LinkLeadsOut { target: target.display().to_string() });
    }
    Ok(target)
}

fn read_regular(path: &Path, origin: Origin, limit: usize) -> Result<Vec<u8>, LoadError> {
    let mut file = open(path, origin)?;
    let before = file.metadata().map_err(unreadable)?;
    if !before.is_file() {
        return Err(LoadError::Unreadable("it is not a regular file".to_owned()));
    }
    let too_large = |bytes| LoadError::TooLarge { bytes, limit };
    if before.len() > limit as u64 {
        return Err(too_large(before.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(limit));
    // It may grow while it is read.
    (&mut file).take(limit as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(too_large(bytes.len() as u64));
    }
    let after = file.metadata().map_err(unreadable)?;
    let changed = before.modified().ok() != after.modified().ok() || after.len() != bytes.len() as u64;
    if changed {
        return Err(LoadError::Unreadable("it changed while it was read".to_owned()));
    }
    Ok(bytes)
}

/// Opens a file without blocking, were it a pipe. Links of the folder were resolved before; a link
/// that is put in the file's place meanwhile is not followed.
#[cfg(unix)]
fn open(path: &Path, origin: Origin) -> Result<File, LoadError> {
    use rustix::fs::{Mode, OFlags};

    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, origin == Origin::Folder);
    let opened = rustix::fs::open(path, flags, Mode::empty());
    opened.map(File::from).map_err(|errno| unreadable(errno.into()))
}

#[cfg(not(unix))]
fn open(path: &Path, _: Origin) -> Result<File, LoadError> {
    File::open(path).map_err(unreadable)
}

fn unreadable(error: Error) -> LoadError {
    LoadError::Unreadable(error.to_string())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const LIMIT: usize = 1000;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn refusal(path: &Path) -> LoadError {
        read(path, Origin::Folder, LIMIT).err().unwrap()
    }

    #[test]
    fn a_file_is_read_once_and_its_digest_is_of_what_was_read() {
        let folder = folder();
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "abc").unwrap();
        let file = read(&path, Origin::Folder, LIMIT).unwrap();
        assert_eq!(file.bytes.as_ref(), b"abc");
        assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_file_past_the_limit_is_not_read() {
        let folder = folder();
        let path = folder.path().join("huge.wasm");
        // Half a gigabyte that takes no room on the disk.
        File::create(&path).unwrap().set_len(500 << 20).unwrap();
        assert_eq!(refusal(&path), LoadError::TooLarge { bytes: 500 << 20, limit: LIMIT });
    }

    #[test]
    fn a_pipe_a_device_and_a_folder_are_no_files_and_nobody_waits_for_them() {
        let folder = folder();
        let pipe = folder.path().join("pipe.wasm");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let directory = folder.path().join("directory.wasm");
        std::fs::create_dir(&directory).unwrap();
        let socket = folder.path().join("socket.wasm");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [pipe, directory, socket, PathBuf::from("/dev/zero")] {
            assert!(matches!(refusal(&path), LoadError::Unreadable(_)), "{}", path.display());
        }
    }

    #[test]
    fn a_link_is_followed_within_the_folder_and_not_out_of_it() {
        let (folder, outside) = (folder(), self::folder());
        let file = folder.path().join("..data").join("a.wasm");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "within").unwrap();
        std::fs::write(outside.path().join("b.wasm"), "outside").unwrap();
        let link = folder.path().join("a.wasm");
        symlink("..data/a.wasm", &link).unwrap();
        assert_eq!(read(&link, Origin::Folder, LIMIT).unwrap().bytes.as_ref(), b"within");

        let out = folder.path().join("b.wasm");
        symlink(outside.path().join("b.wasm"), &out).unwrap();
        assert!(matches!(refusal(&out), LoadError::LinkLeadsOut { .. }));
        assert_eq!(read(&out, Origin::Named, LIMIT).unwrap().bytes.as_ref(), b"outside");

        let nowhere = folder.path().join("c.wasm");
        symlink("c.wasm", &nowhere).unwrap();
        assert!(matches!(refusal(&nowhere), LoadError::Unreadable(_)));
    }
}
