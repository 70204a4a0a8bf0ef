//! Folders and files that are believed when they are read back: compiled code, and what is remembered of routes. So only this
//! user may write to them, and nobody ever sees half of a file.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Creates a folder for this user alone. One that belongs to somebody else, or that others may write to, is refused.
#[cfg(unix)]
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::symlink_metadata(path)?;
    let ours = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || metadata.mode() & 0o022 != 0 || metadata.uid() != ours {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the directory must belong to this user, and nobody else may write to it (chmod 700)",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Writes a file aside, sees to it that it is on the disk, and renames it into its place.
pub(super) fn write_aside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Several tasks of several processes may write the same file at once.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let aside = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
    let written = fs::File::create(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        // Renamed before its bytes are there, it could be half a file after a power cut.
        file.sync_data()?;
        fs::rename(&aside, path)
    });
    if written.is_err() {
        // What is left of it is in nobody's way.
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
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pedido.json");
        write_aside(&file, b"1").unwrap();
        write_aside(&file, b"2").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
