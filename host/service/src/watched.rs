//! The queries that the server polls: scraps that change, and whether the database answers.

use atlas_model::{SchemaStatus, Scrap};

use super::atlas::Atlas;
use super::failure::Failure;

const WATCHING: &str = "op-browse";

impl Atlas {
    /// The greatest id of a scrap; 0 if there is none.
    pub async fn newest_scrap(&self) -> Result<i64, Failure> {
        self.store().newest_scrap().await.map_err(|error| Failure::store(WATCHING, &error))
    }

    /// Scraps, slices among them, that run, ended within the last few seconds, or have an id
    /// greater than `after`; at most `limit`.
    pub async fn watch_scraps(&self, after: i64, limit: i64) -> Result<Vec<Scrap>, Failure> {
        self.store().watch_scraps(after, limit).await.map_err(|error| Failure::store(WATCHING, &error))
    }

    /// A scrap, if it is there.
    pub async fn find_scrap(&self, id: i64) -> Result<Option<Scrap>, Failure> {
        self.store().scrap(id).await.map_err(|error| Failure::store(WATCHING, &error))
    }

    /// What the database holds of our tables.
    pub async fn schema(&self) -> Result<SchemaStatus, Failure> {
        self.store().schema().await.map_err(|error| Failure::store("op-connect", &error))
    }
}
