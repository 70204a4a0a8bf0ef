//! Secrets at rest: sealed on their way into a table where there is a key, opened on their way out. XChaCha20-Poly1305, with
//! the client, the API and the column as associated data, so that a sealed value that is moved to another row does not open.
//!
//! A sealed value is `atlas1:` and the Base64 of a random nonce of 24 bytes, the ciphertext and its tag. What stands in the
//! clear, from before there was a key, is read as it is, and sealed when it is written the next time.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD};
use base64::{alphabet, engine::DecodePaddingMode};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use zeroize::Zeroizing;

use super::error::{Fault, StoreError};
use crate::source::Secret;

const PREFIX: &str = "atlas1:";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// A key in hexadecimal has this many digits.
const HEX_DIGITS: usize = 2 * KEY_BYTES;

/// The key of an installation's secrets. Not printable.
#[derive(Clone)]
pub struct StoreKey(Zeroizing<[u8; KEY_BYTES]>);

impl StoreKey {
    /// Reads 32 bytes in hexadecimal or Base64 (either alphabet, padded or not); `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = Zeroizing::new(if text.len() == HEX_DIGITS { from_hex(text)? } else { from_base64(text)? });
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16);
    text.as_bytes().chunks(2).map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = |alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
    engine(&alphabet::STANDARD).or_else(|| engine(&alphabet::URL_SAFE))
}

/// Where a secret stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) cliente_id: i32,
    pub(super) api: &'a str,
    pub(super) column: Column,
}

/// The columns that hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Token,
    Credencial,
    Partes,
    Acesso,
    Configuracao,
}

impl Place<'_> {
    fn associated(self) -> String {
        let column = match self.column {
            Column::Token => "clientes_tokens.token",
            Column::Credencial => "clientes_apis.credencial",
            Column::Partes => "clientes_credenciais.partes",
            Column::Acesso => "clientes_credenciais.acesso",
            Column::Configuracao => "clientes_configuracoes.configuracao",
        };
        format!("{column}\0{}\0{}", self.cliente_id, self.api)
    }
}

/// Seals and opens, with the installation's key if it has one.
#[derive(Clone, Default)]
pub(super) struct Sealer(Option<StoreKey>);

impl Sealer {
    pub(super) fn new(key: Option<StoreKey>) -> Self {
        Self(key)
    }

    /// Whether there is a key.
    pub(super) fn has_key(&self) -> bool {
        self.0.is_some()
    }

    /// A secret as the table is to hold it. An empty one, which hides nothing, stays as it is.
    pub(super) fn seal(&self, place: Place<'_>, secret: &Secret) -> Result<String, StoreError> {
        let text = secret.expose();
        let Some(key) = self.0.as_ref().filter(|_| !text.is_empty()) else {
            // It would be taken for a sealed one when it is read.
            return if text.starts_with(PREFIX) { Err(missing_key(place)) } else { Ok(text.to_owned()) };
        };
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let associated = place.associated();
        let payload = Payload { msg: text.as_bytes(), aad: associated.as_bytes() };
        let sealed = key.cipher().encrypt((&nonce).into(), payload);
        // It fails for messages of hundreds of gigabytes alone.
        let sealed = sealed.map_err(|_| StoreError::new(Fault::Other, "seal a secret", "it is too long"))?;
        Ok(format!("{PREFIX}{}", STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// A secret as it is.
    pub(super) fn open(&self, place: Place<'_>, stored: String) -> Result<Secret, StoreError> {
        let Some(sealed) = stored.strip_prefix(PREFIX) else { return Ok(Secret::new(stored)) };
        let key = self.0.as_ref().ok_or_else(|| missing_key(place))?;
        let wrong = || StoreError::new(Fault::KeyWrong, "open a sealed secret", describe(place));
        let sealed = STANDARD_NO_PAD.decode(sealed).map_err(|_| wrong())?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(wrong)?;
        let associated = place.associated();
        let payload = Payload { msg: sealed, aad: associated.as_bytes() };
        let text = key.cipher().decrypt(nonce.into(), payload).map_err(|_| wrong())?;
        String::from_utf8(text).map(Secret::new).map_err(|_| wrong())
    }
}

fn missing_key(place: Place<'_>) -> StoreError {
    StoreError::new(Fault::KeyMissing, "open a sealed secret", describe(place))
}

fn describe(place: Place<'_>) -> String {
    let api = if place.api.is_empty() { String::new() } else { format!(", API {}", place.api) };
    format!("client {}{api}", place.cliente_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_not_impl_any!(StoreKey: std::fmt::Debug, std::fmt::Display, serde::Serialize);

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F";
    const PLACE: Place<'static> = Place { cliente_id: 2151, api: "bling", column: Column::Credencial };

    fn sealer(text: &str) -> Sealer {
        Sealer::new(StoreKey::parse(text))
    }

    fn opened(sealer: &Sealer, place: Place<'_>, stored: &str) -> Result<String, Fault> {
        sealer.open(place, stored.to_owned()).map(|s| s.expose().to_owned()).map_err(|e| e.fault)
    }

    #[test]
    fn a_key_is_32_bytes_in_hexadecimal_or_base64() {
        let key = StoreKey::parse(HEX).map(|key| key.0);
        assert!(key.as_ref().is_some_and(|k| k[1] == 1 && k[31] == 31));
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        for text in [base64.to_owned(), format!("{base64}=\n")] {
            assert_eq!(StoreKey::parse(&text).map(|k| *k.0), key.as_ref().map(|k| **k), "{text}");
        }
        for text in ["", "senha", &HEX[1..], &base64[1..], &HEX.replace('a', "x")] {
            assert!(StoreKey::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_sealed_secret_opens_with_its_key_in_its_place_and_nowhere_else() -> Result<(), StoreError> {
        let own = sealer(HEX);
        let secret = Secret::new("segredo".to_owned());
        let stored = own.seal(PLACE, &secret)?;
        assert!(stored.starts_with(PREFIX) && !stored.contains("segredo"));
        assert_ne!(stored, own.seal(PLACE, &secret)?);
        assert_eq!(opened(&own, PLACE, &stored), Ok("segredo".to_owned()));
        for elsewhere in [
            Place { cliente_id: 2152, ..PLACE },
            Place { api: "outra", ..PLACE },
            Place { column: Column::Token, ..PLACE },
        ] {
            assert_eq!(opened(&own, elsewhere, &stored), Err(Fault::KeyWrong));
        }
        assert_eq!(opened(&sealer(&HEX.replace('0', "1")), PLACE, &stored), Err(Fault::KeyWrong));
        assert_eq!(opened(&Sealer::default(), PLACE, &stored), Err(Fault::KeyMissing));
        for broken in [&stored[..stored.len() - 2], "atlas1:", "atlas1:not base64"] {
            assert_eq!(opened(&own, PLACE, broken), Err(Fault::KeyWrong), "{broken}");
        }
        Ok(())
    }

    #[test]
    fn what_stands_in_the_clear_is_read_with_a_key_and_without() {
        for sealer in [sealer(HEX), Sealer::default()] {
            assert_eq!(opened(&sealer, PLACE, "segredo"), Ok("segredo".to_owned()));
        }
    }

    #[test]
    fn without_a_key_nothing_is_written_that_would_pass_for_sealed() {
        let refused = Sealer::default().seal(PLACE, &Secret::new("atlas1:xyz".to_owned()));
        assert_eq!(refused.map_err(|e| e.fault), Err(Fault::KeyMissing));
    }
}
