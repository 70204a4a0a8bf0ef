//! The lock under which the access tokens of a credential are renewed.

use std::time::Duration;

use async_trait::async_trait;
use atlas_model::{AccessToken, Parts};

use crate::StoreError;

/// How long a lock on a credential holds: longer than a token URL may take to answer (20 s), and
/// the tries to store its answer.
pub const CREDENTIAL_LEASE: Duration = Duration::from_secs(45);

/// An exclusive lock on a credential, under which its access token is renewed. Dropped without a
/// call of [`keep`](Self::keep), it changes nothing, and the lock is free once its lease ends.
#[async_trait]
pub trait CredentialLock: Send + Sync {
    /// The parts, as they stand now.
    fn parts(&self) -> &Parts;

    /// The access token that was got last.
    fn access(&self) -> Option<&AccessToken>;

    /// Whether the lock was taken over from a holder whose lease had ended. Its process may only be
    /// frozen, and hold tokens that it has not stored yet.
    fn is_in_anothers_place(&self) -> bool;

    /// Stores parts and access token, durably, and releases the lock.
    /// [`Fault::Collision`](crate::Fault::Collision) if the lock was lost, because its lease ended
    /// or the operator replaced the credential: the caller has to read the credential again.
    async fn keep(&self, parts: &Parts, access: &AccessToken) -> Result<(), StoreError>;

    /// Releases the lock.
    async fn release(self: Box<Self>);
}
