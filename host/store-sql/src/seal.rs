//! Secrets at rest: sealed on their way into a table where there is a key, opened on their way out.
//! XChaCha20-Poly1305, with the client, the API and the column as associated data, so that a sealed
//! value that is moved to another row does not open.
//!
//! A sealed value is `atlas1:` and the Base64 of a random nonce of 24 bytes, the ciphertext and its
//! tag. What stands in the clear, from before there was a key, is read as it is, and sealed when it
//! is written the next time.

use atlas_model::{Secret, StoreKey};
use atlas_store::{Fault, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};

const PREFIX: &str = "atlas1:";

const NONCE_BYTES: usize = 24;

/// The place of a secret in the tables, which is its associated data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SecretLocation<'a> {
    pub(crate) cliente_id: i32,
    pub(crate) api: &'a str,
    pub(crate) column: Column,
}

/// The columns that hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Token,
    Credencial,
    Partes,
    Acesso,
    Configuracao,
}

impl SecretLocation<'_> {
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
pub(crate) struct Sealer(Option<StoreKey>);

impl Sealer {
    pub(crate) fn new(key: Option<StoreKey>) -> Self {
        Self(key)
    }

    /// Whether there is a key.
    pub(crate) fn has_key(&self) -> bool {
        self.0.is_some()
    }

    /// A secret as the table is to hold it. An empty one, which hides nothing, stays as it is.
    pub(crate) fn seal(&self, place: SecretLocation<'_>, secret: &Secret) -> Result<String, StoreError> {
        let text = secret.expose();
        let Some(key) = self.0.as_ref().filter(|_| !text.is_empty()) else {
            // It would be taken for a sealed one when it is read.
            return if text.starts_with(PREFIX) { Err(missing_key(place)) } else { Ok(text.to_owned()) };
        };
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let associated = place.associated();
        let payload = Payload { msg: text.as_bytes(), aad: associated.as_bytes() };
        let sealed = cipher(key).encrypt((&nonce).into(), payload);
        // It fails for messages of hundreds of gigabytes alone.
        let sealed = sealed.map_err(|_| StoreError::new(Fault::Other, "seal a secret", "it is too long"))?;
        Ok(format!("{PREFIX}{}", STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// A secret as it is.
    pub(crate) fn open(&self, place: SecretLocation<'_>, stored: String) -> Result<Secret, StoreError> {
        let Some(sealed) = stored.strip_prefix(PREFIX) else { return Ok(Secret::new(stored)) };
        let key = self.0.as_ref().ok_or_else(|| missing_key(place))?;
        let wrong = || StoreError::new(Fault::KeyWrong, "open a sealed secret", describe(place));
        let sealed = STANDARD_NO_PAD.decode(sealed).map_err(|_| wrong())?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(wrong)?;
        let associated = place.associated();
        let payload = Payload { msg: sealed, aad: associated.as_bytes() };
        let text = cipher(key).decrypt(nonce.into(), payload).map_err(|_| wrong())?;
        String::from_utf8(text).map(Secret::new).map_err(|_| wrong())
    }
}

fn cipher(key: &StoreKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

fn missing_key(place: SecretLocation<'_>) -> StoreError {
    StoreError::new(Fault::KeyMissing, "open a sealed secret", describe(place))
}

fn describe(place: SecretLocation<'_>) -> String {
    let api = if place.api.is_empty() { String::new() } else { format!(", API {}", place.api) };
    format!("client {}{api}", place.cliente_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F";
    const PLACE: SecretLocation<'static> =
        SecretLocation { cliente_id: 2151, api: "bling", column: Column::Credencial };

    fn sealer(text: &str) -> Sealer {
        Sealer::new(StoreKey::parse(text))
    }

    fn opened(sealer: &Sealer, place: SecretLocation<'_>, stored: &str) -> Result<String, Fault> {
        sealer.open(place, stored.to_owned()).map(|s| s.expose().to_owned()).map_err(|e| e.fault)
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
            SecretLocation { cliente_id: 2152, ..PLACE },
            SecretLocation { api: "outra", ..PLACE },
            SecretLocation { column: Column::Token, ..PLACE },
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
