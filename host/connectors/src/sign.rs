//! Signing connectors: Ed25519 in minisign's format (<https://jedisct1.github.io/minisign/>), so
//! that any minisign tool can check what Atlas signed, and sign with a key that Atlas made. Running
//! connectors needs no secret key; publishing them does.
//!
//! Only the files' layout is our own code here; Ed25519, BLAKE2b and scrypt are not.

use std::fmt::Write as _;

use atlas_model::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::{Blake2b256, Blake2b512, Digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use thiserror::Error;
use zeroize::Zeroizing;

/// What a secret key's file holds: algorithm, key derivation, checksum (2 bytes each), salt (32),
/// the derivation's two costs (8 each); then, encrypted if there is a password, the key's number
/// (8), seed (32), public key (32), and a checksum (32).
const SECRET_BYTES: usize = 158;
const HEAD: usize = 54;
const ED25519: &[u8; 2] = b"Ed";
/// A signature over the file's BLAKE2b-512 rather than the file.
const ED25519_PREHASHED: &[u8; 2] = b"ED";
const SCRYPT: &[u8; 2] = b"Sc";
const NO_PASSWORD: &[u8; 2] = &[0, 0];
const BLAKE2B: &[u8; 2] = b"B2";
/// The cost of decrypting a key that Atlas made: 128 MiB and about half a second.
const OPERATIONS: u64 = 1 << 22;
const MEMORY: u64 = 1 << 27;
/// The most that decrypting a key of another tool may cost: minisign's own takes 1 GiB.
const MEMORY_MAX: u64 = 1 << 30;
const OPERATIONS_MAX: u64 = 1 << 25;

/// A new key pair, as the two files that minisign would write.
pub struct NewKey {
    /// The secret key's file.
    pub secret_file: Secret,
    /// The public key's file.
    pub public_file: String,
    /// The public key alone, as `atlas.toml` takes it.
    pub public_key: String,
}

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError {
    /// The secret key cannot be used.
    #[error("{0}")]
    BadKey(&'static str),
    /// The secret key is encrypted, and the password is not its.
    #[error("the password of the secret key is missing or wrong")]
    WrongPassword,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// A secret key, open.
struct SigningKey {
    number: [u8; 8],
    pair: Ed25519KeyPair,
}

/// Makes a key pair. With a password the secret key is encrypted by it.
pub fn generate(password: Option<&Secret>) -> Result<NewKey, SignError> {
    let random = SystemRandom::new();
    let fill = |bytes: &mut [u8]| random.fill(bytes).map_err(|_| SignError::NoRandomness);
    let (mut number, mut seed, mut salt) = ([0; 8], Zeroizing::new([0; 32]), [0; 32]);
    fill(&mut number)?;
    fill(seed.as_mut_slice())?;
    fill(&mut salt)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| SignError::NoRandomness)?;
    let public = pair.public_key().as_ref();

    let mut file = Zeroizing::new(Vec::with_capacity(SECRET_BYTES));
    file.extend_from_slice(ED25519);
    file.extend_from_slice(password.map_or(NO_PASSWORD, |_| SCRYPT));
    file.extend_from_slice(BLAKE2B);
    file.extend_from_slice(&salt);
    file.extend_from_slice(&OPERATIONS.to_le_bytes());
    file.extend_from_slice(&MEMORY.to_le_bytes());
    for part in [&number, seed.as_slice(), public] {
        file.extend_from_slice(part);
    }
    file.extend_from_slice(&checksum(&number, &seed[..], public));
    if let Some(password) = password {
        encrypt(&mut file, password)?;
    }
    let secret_file = format!("untrusted comment: Atlas signing key\n{}\n", BASE64.encode(&*file));
    let public_key = BASE64.encode([ED25519, &number[..], public].concat());
    let public_file = format!("untrusted comment: minisign public key {}\n{public_key}\n", shown(number));
    Ok(NewKey { secret_file: Secret::new(secret_file), public_file, public_key })
}

/// Signs these bytes; gives the signature's file. `name` goes into the comment that is signed
/// along, for people.
pub fn sign(secret_file: &Secret, password: Option<&Secret>, bytes: &[u8], name: &str) -> Result<String, SignError> {
    let key = open(secret_file, password)?;
    let signature = key.pair.sign(&Blake2b512::digest(bytes));
    // One line, whatever the file is called: the comment ends at the end of its line.
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let comment = format!("file:{name}\thashed");
    let around = key.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
    let signature = [ED25519_PREHASHED, &key.number[..], signature.as_ref()].concat();
    Ok(format!(
        "untrusted comment: signature by key {}\n{}\ntrusted comment: {comment}\n{}\n",
        shown(key.number),
        BASE64.encode(signature),
        BASE64.encode(around)
    ))
}

fn open(secret_file: &Secret, password: Option<&Secret>) -> Result<SigningKey, SignError> {
    let line = secret_file.expose().lines().nth(1).unwrap_or_default().trim();
    let decoded = BASE64.decode(line).map(Zeroizing::new);
    let mut file = decoded.map_err(|_| SignError::BadKey("its second line is not base64"))?;
    if file.len() != SECRET_BYTES || &file[..2] != ED25519 || &file[4..6] != BLAKE2B {
        return Err(SignError::BadKey("it is no minisign secret key"));
    }
    let encrypted = match <&[u8; 2]>::try_from(&file[2..4]) {
        Ok(NO_PASSWORD) => false,
        Ok(SCRYPT) => true,
        _ => return Err(SignError::BadKey("it is encrypted in a way that is not known")),
    };
    if encrypted {
        encrypt(&mut file, password.ok_or(SignError::WrongPassword)?)?;
    }
    let (number, rest) = file[HEAD..].split_at(8);
    let (seed, rest) = rest.split_at(32);
    let (public, sum) = rest.split_at(32);
    // Without a password minisign leaves the checksum out.
    if encrypted && checksum(number, seed, public) != *sum {
        return Err(SignError::WrongPassword);
    }
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public);
    let pair = pair.map_err(|_| SignError::BadKey("its public key is another's"))?;
    Ok(SigningKey { number: number.try_into().unwrap_or_default(), pair })
}

/// Encrypts the second half of a key's file, or decrypts it: the same, since it is laid over with a
/// stream of bytes.
fn encrypt(file: &mut [u8], password: &Secret) -> Result<(), SignError> {
    let (head, body) = file.split_at_mut(HEAD);
    let number = |at: usize| head[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
    let params = scrypt_params(number(38), number(46)).ok_or(SignError::BadKey("to decrypt it would cost too much"))?;
    let mut stream = Zeroizing::new([0; SECRET_BYTES - HEAD]);
    let made = scrypt::scrypt(password.expose().as_bytes(), &head[6..38], &params, stream.as_mut_slice());
    made.map_err(|_| SignError::BadKey("it is encrypted in a way that is not known"))?;
    for (byte, over) in body.iter_mut().zip(stream.iter()) {
        *byte ^= over;
    }
    Ok(())
}

/// What libsodium makes of the two costs (`crypto_pwhash_scryptsalsa208sha256`), which minisign's
/// files state. None past the largest that minisign uses.
fn scrypt_params(operations: u64, memory: u64) -> Option<scrypt::Params> {
    const R: u64 = 8;
    if operations > OPERATIONS_MAX || memory > MEMORY_MAX {
        return None;
    }
    let operations = operations.max(32_768);
    let by_operations = operations < memory / 32;
    let n_max = if by_operations { operations / (R * 4) } else { memory / (R * 128) };
    let log_n = (1..63).find(|log_n| 1_u64 << log_n > n_max / 2)?;
    let p = if by_operations { 1 } else { ((operations / 4) >> log_n) / R };
    scrypt::Params::new(log_n, 8, u32::try_from(p).ok()?).ok()
}

fn checksum(number: &[u8], seed: &[u8], public: &[u8]) -> [u8; 32] {
    let mut hash = Blake2b256::new();
    for part in [ED25519, number, seed, public] {
        hash.update(part);
    }
    hash.finalize().into()
}

/// A key's number, as minisign shows it.
fn shown(number: [u8; 8]) -> String {
    number.iter().rev().fold(String::new(), |mut shown, byte| {
        let _ = write!(shown, "{byte:02X}");
        shown
    })
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::load::{public_key, verify};

    fn password() -> Secret {
        Secret::new("segredo da chave".to_owned())
    }

    #[test]
    fn what_is_signed_holds_by_the_public_key_and_by_no_other_and_for_no_other_bytes() {
        for password in [None, Some(password())] {
            let key = generate(password.as_ref()).unwrap();
            let signature = sign(&key.secret_file, password.as_ref(), b"component", "pedido.wasm").unwrap();
            let key = public_key(&key.public_key).unwrap();
            assert_eq!(verify(from_ref(&key), b"component", signature.as_bytes()), Ok(()));
            assert!(verify(from_ref(&key), b"componemt", signature.as_bytes()).is_err());
            let altered = signature.replace("file:pedido.wasm", "file:venda.wasm");
            assert!(verify(from_ref(&key), b"component", altered.as_bytes()).is_err());
            let other = public_key(&generate(None).unwrap().public_key).unwrap();
            assert!(verify(from_ref(&other), b"component", signature.as_bytes()).is_err());
            assert_eq!(verify(&[other, key], b"component", signature.as_bytes()), Ok(()));
        }
    }

    #[test]
    fn an_encrypted_key_needs_its_password() {
        let key = generate(Some(&password())).unwrap();
        for wrong in [None, Some(Secret::new("outra".to_owned()))] {
            let refused = sign(&key.secret_file, wrong.as_ref(), b"component", "pedido.wasm").err();
            assert_eq!(refused, Some(SignError::WrongPassword));
        }
    }

    #[test]
    fn a_file_that_is_no_secret_key_or_would_cost_too_much_is_refused() {
        let key = generate(Some(&password())).unwrap();
        let line = key.secret_file.expose().lines().nth(1).unwrap().to_owned();
        let altered = |at: usize, byte: u8| {
            let mut file = BASE64.decode(&line).unwrap();
            file[at] = byte;
            format!("comment\n{}\n", BASE64.encode(file))
        };
        let files =
            [String::new(), "comment\n?\n".to_owned(), "comment\nAAAA\n".to_owned(), altered(2, 9), altered(50, 1)];
        for file in files {
            let refused = sign(&Secret::new(file.clone()), Some(&password()), b"", "x").err();
            assert!(matches!(refused, Some(SignError::BadKey(_))), "{refused:?}: {file}");
        }
    }

    #[test]
    fn the_costs_mean_what_they_mean_to_libsodium() {
        let shape = |operations, memory| scrypt_params(operations, memory).map(|p| (p.log_n(), p.r(), p.p()));
        assert_eq!(shape(OPERATIONS, MEMORY), Some((17, 8, 1)));
        // minisign's own.
        assert_eq!(shape(33_554_432, 1_073_741_824), Some((20, 8, 1)));
        assert_eq!(shape(u64::MAX, 1), None);
    }
}
