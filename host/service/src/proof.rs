//! Proof that no record is missing: checks that the counts of pages add up.

use atlas_model::{Counts, OddPage};

use super::atlas::Atlas;
use super::failure::Failure;

const VERIFYING: &str = "op-verify";

impl Atlas {
    /// What the checkpointed pages of a scrap, or of its slices, add up to.
    pub async fn pages_together(&self, scrap_id: i64) -> Result<Counts, Failure> {
        self.store().pages_together(scrap_id).await.map_err(|error| Failure::store(VERIFYING, &error))
    }

    /// Pages of a scrap whose counts do not add up, or that declared another total than the first
    /// page of their sweep; at most `limit`.
    pub async fn odd_pages(&self, scrap_id: i64, limit: i64) -> Result<Vec<OddPage>, Failure> {
        self.store().odd_pages(scrap_id, limit).await.map_err(|error| Failure::store(VERIFYING, &error))
    }
}
