//! Requests that a program sends under a key, so that the same request twice is done once.

use atlas_model::Earlier;

use super::atlas::Atlas;
use super::failure::Failure;

const NOTING: &str = "op-access";

impl Atlas {
    /// Notes that a request begins under a key of an access. What came of an earlier one with the
    /// same key decides whether it may go on: only [`Earlier::None`] lets it.
    pub async fn begin_request(&self, access: i64, key: &str, request: &str) -> Result<Earlier, Failure> {
        let begun = self.store().begin_request(access, key, request, chrono::Utc::now().timestamp()).await;
        begun.map_err(|error| Failure::store(NOTING, &error))
    }

    /// Notes the answer to a request, its status and body; none: it may be made again.
    pub async fn end_request(&self, access: i64, key: &str, answer: Option<(i32, &str)>) -> Result<(), Failure> {
        self.store().end_request(access, key, answer).await.map_err(|error| Failure::store(NOTING, &error))
    }
}
