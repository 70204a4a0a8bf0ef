//! The key with which secrets are sealed in the database.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
/// A key in hexadecimal has this many digits.
const HEX_DIGITS: usize = 2 * KEY_BYTES;

/// The key of an installation's secrets. Not printable.
#[derive(Clone)]
pub struct StoreKey(Zeroizing<[u8; KEY_BYTES]>);

impl StoreKey {
    /// Reads 32 bytes in hexadecimal or Base64 (either alphabet, padded or not); `None` if it is
    /// neither.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = Zeroizing::new(if text.len() == HEX_DIGITS { from_hex(text)? } else { from_base64(text)? });
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// The bytes themselves, for the cipher alone.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
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

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_not_impl_any!(StoreKey: std::fmt::Debug, std::fmt::Display, serde::Serialize);

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F";

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
}
