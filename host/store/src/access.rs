//! Authentication of the page and the API: the password, one-time links, sessions, tokens. The
//! store has no secret that could be used: the SHA-256 of random ones, and the Argon2id hash of the
//! password.

use async_trait::async_trait;
use atlas_model::{AccessKind, AccessRow, Earlier, NewAccess};

use crate::StoreError;

/// Accesses: the password, links, sessions and tokens. Every call is atomic; `now` and all that
/// expires are seconds since 1970.
#[async_trait]
pub trait Doors: Send + Sync {
    /// Adds an access, and returns its number. A password replaces the one before, and ends all
    /// sessions and links.
    async fn add_access(&self, access: &NewAccess<'_>) -> Result<i64, StoreError>;

    /// The access with this secret, unless it has expired.
    async fn access_of(&self, kind: AccessKind, secret: &str, now: i64) -> Result<Option<AccessRow>, StoreError>;

    /// Uses up a link. Of several calls at once, one returns true.
    async fn use_link(&self, secret: &str, now: i64) -> Result<bool, StoreError>;

    /// The password's hash.
    async fn password(&self) -> Result<Option<String>, StoreError>;

    /// The accesses of a kind, the newest first, at most `ACCESSES_MAX`.
    async fn accesses(&self, kind: AccessKind) -> Result<Vec<AccessRow>, StoreError>;

    /// Records that an access was used, and when it expires now.
    async fn saw_access(&self, id: i64, now: i64, expires: Option<i64>) -> Result<(), StoreError>;

    /// Whether an access still exists, and has not expired.
    async fn has_access(&self, id: i64, now: i64) -> Result<bool, StoreError>;

    /// Removes an access; false if it was not there.
    async fn remove_access(&self, kind: AccessKind, id: i64) -> Result<bool, StoreError>;

    /// Deletes expired accesses, and requests that were answered before `since`.
    async fn forget_accesses(&self, now: i64, since: i64) -> Result<(), StoreError>;

    /// Records that a request under a key has begun, unless the key is known.
    async fn begin_request(&self, access: i64, key: &str, request: &str, now: i64) -> Result<Earlier, StoreError>;

    /// Records the response to a request; `None` forgets the request, so that it may be made again.
    async fn end_request(&self, access: i64, key: &str, answer: Option<(i32, &str)>) -> Result<(), StoreError>;
}
