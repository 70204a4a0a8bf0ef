//! Checks the operator's pins of a route's file before any part of it is parsed: a digest, or a
//! signature by a listed key. Signatures are minisign's (Ed25519 over the file,
//! <https://jedisct1.github.io/minisign/>), in a file beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use minisign_verify::Signature;
use thiserror::Error;

use super::ComponentFile;
pub use minisign_verify::PublicKey;

/// A signature file: four short lines, two of them comments.
pub(super) const SIGNATURE_BYTES_MAX: usize = 8 * 1024;
/// Keys of one route. Each may have to be tried.
const KEYS_MAX: usize = 16;
const SHA256_HEX: usize = 64;

/// The pins of all routes.
#[derive(Debug, Clone, Default)]
pub struct TrustPolicy {
    routes: BTreeMap<String, Pin>,
}

/// What is demanded of one route's file. At least one of the two is set.
#[derive(Debug, Clone)]
pub struct Pin {
    sha256: Option<String>,
    keys: Vec<PublicKey>,
}

/// Why a pin is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PinError {
    /// Not a digest.
    #[error("sha256 must be 64 hexadecimal digits")]
    BadDigest,
    /// Not a public key.
    #[error("keys must be 1 to 16 public keys of minisign (RW…)")]
    BadKeys,
}

/// Why a file does not satisfy its route's pin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrustError {
    /// Another file than the one that was pinned.
    #[error("route {route} is pinned to the SHA-256 {pinned}, and the file has {found}")]
    OtherDigest {
        /// The route.
        route: String,
        /// What `atlas.toml` says.
        pinned: String,
        /// What the file has.
        found: String,
    },
    /// No signature, where one is demanded.
    #[error("route {route} demands a signature, and there is no {signature}")]
    Unsigned {
        /// The route.
        route: String,
        /// The file that should be there.
        signature: String,
    },
    /// A signature that does not hold.
    #[error("route {route} demands a signature, and {signature} does not hold: {reason}")]
    BadSignature {
        /// The route.
        route: String,
        /// The file of the signature.
        signature: String,
        /// Why not.
        reason: String,
    },
}

impl Pin {
    /// Checks what the settings say of one route: a SHA-256 in hexadecimal, public keys as
    /// `minisign` writes them, or both, which then must both hold. None if they say nothing.
    pub fn new(sha256: Option<&str>, keys: Option<&[String]>) -> Result<Option<Self>, PinError> {
        let sha256 = sha256.map(|digest| digest.trim().to_ascii_lowercase());
        let is_digest = |digest: &str| digest.len() == SHA256_HEX && digest.bytes().all(|b| b.is_ascii_hexdigit());
        if !sha256.as_deref().is_none_or(is_digest) {
            return Err(PinError::BadDigest);
        }
        // An empty list is refused: it could mean that no signature is accepted, or that none is
        // demanded.
        if keys.is_some_and(|keys| keys.is_empty() || keys.len() > KEYS_MAX) {
            return Err(PinError::BadKeys);
        }
        let keys = keys.unwrap_or_default().iter().map(|key| public_key(key)).collect::<Result<Vec<_>, _>>()?;
        Ok((sha256.is_some() || !keys.is_empty()).then_some(Self { sha256, keys }))
    }
}

/// A public key as `minisign` prints it: the base64 line, or the whole file with its comment.
pub fn public_key(text: &str) -> Result<PublicKey, PinError> {
    let key = match text.trim().lines().count() {
        1 => PublicKey::from_base64(text.trim()),
        _ => PublicKey::decode(text.trim()),
    };
    key.map_err(|_| PinError::BadKeys)
}

impl TrustPolicy {
    /// These pins, by route.
    pub fn new(routes: BTreeMap<String, Pin>) -> Self {
        Self { routes }
    }

    /// The keys that a route's file may be signed by.
    pub fn keys(&self, route: &str) -> &[PublicKey] {
        self.routes.get(route).map_or(&[], |pin| &pin.keys)
    }

    /// Checks a file against a route's pin. A route without a pin accepts any file.
    pub(crate) fn check(&self, route: &str, file: &ComponentFile) -> Result<(), TrustError> {
        let Some(pin) = self.routes.get(route) else {
            return Ok(());
        };
        let route = route.to_owned();
        if let Some(pinned) = pin.sha256.as_ref().filter(|pinned| **pinned != file.sha256) {
            return Err(TrustError::OtherDigest { route, pinned: pinned.clone(), found: file.sha256.clone() });
        }
        match pin.keys.is_empty() {
            true => Ok(()),
            false => verify_signature(file, &pin.keys, &route),
        }
    }
}

/// Whether a file is signed by one of these keys, as its route demands.
pub fn verify_signature(file: &ComponentFile, keys: &[PublicKey], route: &str) -> Result<(), TrustError> {
    let route = route.to_owned();
    let signature = signature_file(&file.path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    match &file.signature {
        Ok(Some(text)) => {
            verify(keys, &file.bytes, text).map_err(|reason| TrustError::BadSignature { route, signature, reason })
        }
        Ok(None) => Err(TrustError::Unsigned { route, signature }),
        Err(error) => Err(TrustError::BadSignature { route, signature, reason: error.to_string() }),
    }
}

/// Where the signature of a file stands: beside it, as `minisign` puts it.
pub fn signature_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// Whether one of the keys signed these bytes; if not, why, in English.
pub(crate) fn verify(keys: &[PublicKey], bytes: &[u8], signature: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(signature).map_err(|_| "it is not text".to_owned())?;
    let signature = Signature::decode(text).map_err(|error| error.to_string())?;
    // Signatures over the file itself rather than its hash are as good; minisign made them until
    // 2021.
    let legacy = true;
    let mut last = None;
    for key in keys {
        match key.verify(bytes, &signature, legacy) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| "no key to verify it by".to_owned(), |error| error.to_string()))
}
