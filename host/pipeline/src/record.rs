//! Checks and hashes records.
//!
//! `hash_conteudo` is the SHA-256 of a domain-separated text: a fixed prefix, the client, the
//! route, and the canonical form of the record. Client and route are inside because the column is
//! unique across the whole table: without them, one client's record would silently suppress
//! another's identical one.

use atlas_json::{Canonicalizer, Pointer, RecordLimits, Rejection};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Changes when the canonical form does: then every row is hashed anew, and old content comes in
/// once more.
const DOMAIN: &[u8] = b"atlas:dados_raw:1\0";

/// A record of a page, checked.
#[derive(Debug)]
pub(super) enum Checked {
    /// A record that can be stored.
    Good {
        payload: Bytes,
        /// 64 hex digits.
        hash: String,
    },
    /// A record that cannot.
    Bad { content: Bytes, rejection: Rejection },
}

/// A page's records, checked, and what they are as a whole.
#[derive(Debug)]
pub(super) struct CheckedPage {
    pub(super) records: Vec<Checked>,
    /// A hash over the records' identities, in order.
    pub(super) members: [u8; 32],
    /// A hash over the records' content, in order; none for a page without records.
    pub(super) content: Option<[u8; 32]>,
}

/// Checks and hashes records of one client and route.
pub(super) struct RecordChecker {
    canonicalizer: Canonicalizer,
    prefix: Sha256,
    key: Vec<Pointer>,
}

impl RecordChecker {
    pub(super) fn new(
        cliente_id: i32,
        origem: &str,
        limits: RecordLimits,
        key: Vec<Pointer>,
        unhashed: Vec<Pointer>,
    ) -> Self {
        Self { canonicalizer: Canonicalizer::new(limits, unhashed), prefix: prefix(cliente_id, origem), key }
    }

    /// Checks a page. `with_members`: whether its records' identities are wanted, which costs
    /// another look at each.
    pub(super) fn check(&mut self, records: Vec<Bytes>, with_members: bool) -> CheckedPage {
        let mut members = Sha256::new();
        let mut content = Sha256::new();
        let any = !records.is_empty();
        let records: Vec<Checked> = records
            .into_iter()
            .map(|record| {
                let digest = self.digest(&record);
                let identity: [u8; 32] = match &digest {
                    Ok(digest) => *digest,
                    Err(_) => Sha256::digest(&record).into(),
                };
                content.update(identity);
                if with_members {
                    self.add_member(&mut members, &record, &identity);
                }
                match digest {
                    Ok(digest) => Checked::Good { payload: record, hash: hex(&digest) },
                    Err(rejection) => Checked::Bad { content: record, rejection },
                }
            })
            .collect();
        CheckedPage { records, members: members.finalize().into(), content: any.then(|| content.finalize().into()) }
    }

    fn digest(&mut self, record: &[u8]) -> Result<[u8; 32], Rejection> {
        let canonical = self.canonicalizer.canonicalize(record)?;
        let mut hash = self.prefix.clone();
        hash.update(canonical);
        Ok(hash.finalize().into())
    }

    /// The values of the record's key, or the record itself where it has none.
    fn add_member(&self, members: &mut Sha256, record: &[u8], identity: &[u8; 32]) {
        let values: Option<Vec<&[u8]>> =
            self.key.iter().map(|pointer| Some(&record[atlas_json::find(record, pointer).ok().flatten()?])).collect();
        match values {
            Some(values) if !values.is_empty() => {
                for value in values {
                    members.update((value.len() as u64).to_le_bytes());
                    members.update(value);
                }
            }
            _ => members.update(identity),
        }
    }
}

/// The `hash_conteudo` of one record, for looking up its row, or for inserting a rejected record
/// after all. Fails if the record cannot be stored.
pub fn content_hash(
    cliente_id: i32,
    origem: &str,
    unhashed: Vec<Pointer>,
    limits: RecordLimits,
    record: &[u8],
) -> Result<String, Rejection> {
    let mut canonicalizer = Canonicalizer::new(limits, unhashed);
    let mut hash = prefix(cliente_id, origem);
    hash.update(canonicalizer.canonicalize(record)?);
    Ok(hex(&hash.finalize()))
}

fn prefix(cliente_id: i32, origem: &str) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(cliente_id.to_le_bytes());
    // With its length before it, no route and record can read as another route and record.
    hash.update((origem.len() as u64).to_le_bytes());
    hash.update(origem);
    hash
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(cliente: i32, origem: &str, record: &str) -> String {
        content_hash(cliente, origem, Vec::new(), RecordLimits::default(), record.as_bytes())
            .unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn the_hash_is_of_the_value_not_of_its_spelling() {
        let plain = hash(1, "pedido", r#"{"a":1,"b":"á"}"#);
        assert_eq!(plain, hash(1, "pedido", "{ \"b\": \"\\u00e1\", \"a\": 1 }"));
        assert_ne!(plain, hash(1, "pedido", r#"{"a":1.0,"b":"á"}"#));
        // Held fixed: were it to change unseen, every row would come in once more.
        assert_eq!(plain, "92f87add1e6fafc8d418d166cb8272e541e5b0fa6e1bb35095fbe2f521458632");
    }

    #[test]
    fn client_and_route_are_inside_the_hash() {
        let record = r#"{"id":1}"#;
        assert_ne!(hash(1, "pedido", record), hash(2, "pedido", record));
        assert_ne!(hash(1, "pedido", record), hash(1, "venda", record));
        assert_ne!(hash(1, "a", "12"), hash(1, "a1", "2"));
    }

    #[test]
    fn members_are_the_keys_in_order_whatever_else_changes() {
        let key = vec![Pointer::parse("/id").unwrap_or_else(|e| panic!("{e}"))];
        let mut checker = RecordChecker::new(1, "pedido", RecordLimits::default(), key, Vec::new());
        let mut page = |texts: &[&'static str]| {
            let records = texts.iter().map(|t| Bytes::from_static(t.as_bytes())).collect();
            checker.check(records, true)
        };
        let before = page(&[r#"{"id":1,"s":"novo"}"#, r#"{"id":2}"#]);
        let updated = page(&[r#"{"id":1,"s":"pago"}"#, r#"{"id":2}"#]);
        let shifted = page(&[r#"{"id":2}"#, r#"{"id":3}"#]);
        assert_eq!(before.members, updated.members);
        assert_ne!(before.content, updated.content);
        assert_ne!(before.members, shifted.members);
    }
}
