//! Signing connectors and checking signatures, file by file: keys and components are read here,
//! signatures and keys written.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use atlas_connectors::{self, NewKey, SignError};
use atlas_model::{Secret, notice};

use super::Connectors;
use super::failure::Failure;
use super::kind::Kind;

/// A key's file: three short lines.
const KEY_BYTES_MAX: usize = 8 * 1024;

/// A component that was signed, or whose signature holds.
pub struct Signed {
    /// Its signature's file.
    pub signature: PathBuf,
    /// The component's SHA-256, lower-case hex.
    pub sha256: String,
}

impl Connectors {
    /// Makes a key pair: the secret key in a new file that only this user may read, the public key
    /// beside it (`FILE.pub`). Neither replaces a file. Gives the public key's file, and the key as
    /// `atlas.toml` takes it.
    pub fn make_key(&self, secret_file: &Path, password: Option<&Secret>) -> Result<(PathBuf, String), Failure> {
        let NewKey { secret_file: secret, public_file: public, public_key } =
            atlas_connectors::generate_key(password).map_err(|error| key_failure(secret_file, &error))?;
        let mut public_file = secret_file.as_os_str().to_owned();
        public_file.push(".pub");
        let public_file = PathBuf::from(public_file);
        write_new(secret_file, secret.expose().as_bytes(), 0o600)?;
        write_new(&public_file, public.as_bytes(), 0o644)?;
        Ok((public_file, public_key))
    }

    /// Signs a component and writes the signature beside it. The file must be what Atlas would
    /// load, as far as that can be seen without running it: otherwise the fault would only be found
    /// by operators who trust the signature.
    pub fn sign(&self, file: &Path, secret_file: &Path, password: Option<&Secret>) -> Result<Signed, Failure> {
        let secret = read_key(secret_file)?;
        let component = self.read_component(file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let text = atlas_connectors::sign(&Secret::new(secret), password, &component.bytes, &name)
            .map_err(|error| key_failure(secret_file, &error))?;
        let signature = atlas_connectors::signature_file(file);
        std::fs::write(&signature, text).map_err(|error| unwritable(&signature, &error))?;
        Ok(Signed { signature, sha256: component.sha256 })
    }

    /// Whether a component is signed by this key (a public key, or a file with one), or without one
    /// by a key that `atlas.toml` lists for the route of the file's name.
    pub fn verify(&self, file: &Path, key: Option<&str>) -> Result<Signed, Failure> {
        let route = file.file_stem().unwrap_or_default().to_string_lossy();
        let keys = match key {
            Some(key) => vec![public_key(key)?],
            None => self.trust().keys(&route).to_vec(),
        };
        if keys.is_empty() {
            let notice = notice!("error-no-keys", file = file.display(), route = route);
            return Err(Failure::new("op-connector", notice, Kind::Configuration));
        }
        let component = self.read_component(file)?;
        atlas_connectors::verify_signature(&component, &keys, &route)
            .map_err(|error| Failure::load(file, &error.into()))?;
        Ok(Signed { signature: atlas_connectors::signature_file(file), sha256: component.sha256 })
    }

    fn read_component(&self, file: &Path) -> Result<atlas_connectors::ComponentFile, Failure> {
        atlas_connectors::read_checked(file, self.limits()).map_err(|error| Failure::load(file, &error))
    }
}

fn public_key(key: &str) -> Result<atlas_connectors::PublicKey, Failure> {
    if let Ok(key) = atlas_connectors::public_key(key) {
        return Ok(key);
    }
    let text = read_key(Path::new(key))?;
    atlas_connectors::public_key(&text).map_err(|error| {
        let notice = notice!("error-key-file", file = key, reason = error);
        Failure::new("op-connector", notice, Kind::Configuration)
    })
}

fn read_key(file: &Path) -> Result<String, Failure> {
    let failed = |reason: String| {
        let notice = notice!("error-key-file", file = file.display(), reason = reason);
        Failure::new("op-connector", notice, Kind::Configuration)
    };
    let bytes = atlas_connectors::read_small(file, KEY_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| failed("it is not text".to_owned()))
}

fn key_failure(file: &Path, error: &SignError) -> Failure {
    let notice = match error {
        SignError::WrongPassword => notice!("error-key-password", file = file.display()),
        SignError::BadKey(_) | SignError::NoRandomness => {
            notice!("error-key-file", file = file.display(), reason = error)
        }
    };
    Failure::new("op-connector", notice, Kind::Configuration).because(error)
}

fn unwritable(file: &Path, error: &std::io::Error) -> Failure {
    let notice = notice!("error-file-unwritable", file = file.display(), reason = error);
    Failure::new("op-connector", notice, Kind::Configuration)
}

fn write_new(file: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options.open(file).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let notice = notice!("error-key-exists", file = file.display());
            Failure::new("op-connector", notice, Kind::Configuration)
        }
        _ => unwritable(file, &error),
    })
}
