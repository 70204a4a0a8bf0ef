//! Deterministic random numbers: ChaCha20, seeded with the hash of the scrap and cursor that the
//! connector got. Two attempts at a page differ, since `now` does; a replay draws the same numbers.
//! They must not be used as secrets.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::bindings::wasi::random::{insecure, insecure_seed, random};
use super::wit;
use crate::guest::Guest;

/// Bytes that a guest may draw at once; it can ask again.
const BYTES_MAX: u64 = 1024 * 1024;
/// The prefix of the seed's hash, so that no other hash of Atlas is a seed.
const DOMAIN: &str = "atlas-data-flow/guest-random/1";

pub(super) fn of_page(scrap: &wit::Scrap, cursor: Option<&str>) -> ChaCha20Rng {
    let (start, end) = scrap.period.as_ref().map_or(("", ""), |period| (&period.start, &period.end));
    seeded(&[
        "page",
        &scrap.client_id.to_string(),
        &scrap.route,
        start,
        end,
        &scrap.page_size.to_string(),
        &scrap.settings,
        scrap.definition.as_deref().unwrap_or_default(),
        &scrap.now,
        if cursor.is_some() { "cursor" } else { "first" },
        cursor.unwrap_or_default(),
    ])
}

pub(super) fn of_describe() -> ChaCha20Rng {
    seeded(&["describe"])
}

fn seeded(parts: &[&str]) -> ChaCha20Rng {
    let mut hash = Sha256::new();
    for part in [DOMAIN].iter().chain(parts) {
        // Each part with its length, or two lists of parts could read the same.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    ChaCha20Rng::from_seed(hash.finalize().into())
}

impl Guest {
    fn random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > BYTES_MAX {
            wasmtime::bail!("{len} random bytes at once, more than {BYTES_MAX}");
        }
        let mut bytes = vec![0; usize::try_from(len)?];
        self.wasi.random.fill_bytes(&mut bytes);
        Ok(bytes)
    }
}

impl random::Host for Guest {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.wasi.random.next_u64())
    }
}

impl insecure::Host for Guest {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.wasi.random.next_u64())
    }
}

impl insecure_seed::Host for Guest {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.wasi.random.next_u64(), self.wasi.random.next_u64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::scrap;

    fn drawn(mut random: ChaCha20Rng) -> u64 {
        random.next_u64()
    }

    #[test]
    fn the_same_page_draws_the_same_numbers_from_one_version_of_atlas_to_the_next() {
        assert_eq!(drawn(of_page(&scrap(), Some("p=2"))), drawn(of_page(&scrap(), Some("p=2"))));
        insta::assert_snapshot!(drawn(of_page(&scrap(), Some("p=2"))));
    }

    #[test]
    fn whatever_the_connector_is_told_makes_a_difference() {
        let change = |change: fn(&mut wit::Scrap)| {
            let mut scrap = scrap();
            change(&mut scrap);
            drawn(of_page(&scrap, None))
        };
        let mut all = vec![
            drawn(of_page(&scrap(), None)),
            drawn(of_page(&scrap(), Some(""))),
            drawn(of_page(&scrap(), Some("p=2"))),
            change(|scrap| scrap.client_id = 2152),
            change(|scrap| scrap.route = "venda".to_owned()),
            change(|scrap| scrap.now = "2025-10-20T12:00:01Z".to_owned()),
            drawn(of_describe()),
        ];
        let before = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), before);
    }
}
