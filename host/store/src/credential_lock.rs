//! The lock under which the access tokens of a credential are renewed.

use std::time::Duration;

use async_trait::async_trait;
use atlas_model::{AccessToken, Parts};

use crate::StoreError;

/// How long a lock on a credential holds: longer than a token URL may take to answer (20 s), and
/// the tries to store its answer.
pub const CREDENTIAL_LEASE: Duration = Duration::from_secs(45);

/// A credential that nobody else renews meanwhile. Dropped, it has changed nothing, and is
/// anybody's once its time is over.
#[async_trait]
pub trait CredentialLock: Send + Sync {
    /// The parts, as they stand now.
    fn parts(&self) -> &Parts;

    /// The access token that was got last.
    fn access(&self) -> Option<&AccessToken>;

    /// Whether somebody had it whose time was over: they may be frozen, with an answer of the token
    /// URL in their hands.
    fn is_in_anothers_place(&self) -> bool;

    /// Stores both, durably, and lets go. [`Fault::Collision`](crate::Fault::Collision): the lock
    /// was lost, and the credential is to be looked at again: its time was over, or the operator
    /// replaced what it was for.
    async fn keep(&self, parts: &Parts, access: &AccessToken) -> Result<(), StoreError>;

    /// Lets go.
    async fn release(self: Box<Self>);
}
