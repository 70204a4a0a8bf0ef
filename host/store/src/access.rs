//! What opens the page and the API: a password, one-time links, sessions, tokens. The store has no
//! secret of them that could be used: of random ones their SHA-256, of the password its Argon2id
//! hash.

use async_trait::async_trait;
use atlas_model::{AccessKind, AccessRow, Earlier, NewAccess};

use crate::StoreError;

/// Doors. Every call is atomic; `now` and all that expires are seconds since 1970.
#[async_trait]
pub trait Doors: Send + Sync {
    /// Has something open a door, and gives its number. A password takes the place of the one
    /// before, and ends all sessions and links.
    async fn add_access(&self, access: &NewAccess<'_>) -> Result<i64, StoreError>;

    /// What has this secret and has not expired.
    async fn access_of(&self, kind: AccessKind, secret: &str, now: i64) -> Result<Option<AccessRow>, StoreError>;

    /// Uses a link up. Of many who try at once, one does.
    async fn use_link(&self, secret: &str, now: i64) -> Result<bool, StoreError>;

    /// The password's hash.
    async fn password(&self) -> Result<Option<String>, StoreError>;

    /// All of a kind, the newest first, at most `ACCESSES_MAX`.
    async fn accesses(&self, kind: AccessKind) -> Result<Vec<AccessRow>, StoreError>;

    /// Notes that it was used, and that it expires later.
    async fn saw_access(&self, id: i64, now: i64, expires: Option<i64>) -> Result<(), StoreError>;

    /// Whether this one is there still, and has not expired.
    async fn has_access(&self, id: i64, now: i64) -> Result<bool, StoreError>;

    /// Takes it away; false if it was not there.
    async fn remove_access(&self, kind: AccessKind, id: i64) -> Result<bool, StoreError>;

    /// Forgets what has expired, and requests that were answered before `since`.
    async fn forget_accesses(&self, now: i64, since: i64) -> Result<(), StoreError>;

    /// Notes that a request is worked on that was made under a key, unless one is known.
    async fn begin_request(&self, access: i64, key: &str, request: &str, now: i64) -> Result<Earlier, StoreError>;

    /// Notes what it was answered; nothing: that it may be made again.
    async fn end_request(&self, access: i64, key: &str, answer: Option<(i32, &str)>) -> Result<(), StoreError>;
}
