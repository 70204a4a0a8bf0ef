//! Changes of clients. A token, an API's base URL and its credential change together or not at all,
//! so that no reader ever gets a credential beside a base URL that it was not meant for.

use async_trait::async_trait;
use atlas_model::{Access, ApiChange, Client, ClientWrite, Parts, Secret, StoreKey};

use crate::{CredentialLock, Fault, StoreError};

/// Clients. Every call is atomic.
#[async_trait]
pub trait Clients: Send + Sync {
    /// Changes a client. Fails with [`Fault::Exists`] where a new one is there already (unless it
    /// comes with one more API of its own), with [`Fault::Missing`] where it is not there, or a new
    /// API comes without a base URL, and with [`Fault::Guarded`].
    async fn change_client(&self, cliente_id: i32, write: ClientWrite<'_>) -> Result<(), StoreError>;

    /// Registers a client, or fails with [`Fault::Exists`].
    async fn add_client(&self, cliente_id: i32, token: &Secret) -> Result<(), StoreError> {
        let write = ClientWrite { is_new: true, token: Some(token), ..ClientWrite::default() };
        self.change_client(cliente_id, write).await
    }

    /// Changes a client's token or whether it is active; false if there is no such client.
    async fn set_client(
        &self,
        cliente_id: i32,
        token: Option<&Secret>,
        active: Option<bool>,
    ) -> Result<bool, StoreError> {
        found(self.change_client(cliente_id, ClientWrite { token, active, ..ClientWrite::default() }).await)
    }

    /// Sets where an API of a client is, and its own credential. Fails with [`Fault::Missing`] if a
    /// new API comes without a base URL.
    async fn set_api(&self, cliente_id: i32, api: &str, change: ApiChange<'_>) -> Result<(), StoreError> {
        self.change_client(cliente_id, ClientWrite { api: Some((api, change)), ..ClientWrite::default() }).await
    }

    /// Sets an API's own credential, or removes it. False if the client has no such API.
    async fn set_credential(&self, cliente_id: i32, api: &str, parts: Option<&Parts>) -> Result<bool, StoreError> {
        let api = Some((api, ApiChange::default()));
        found(self.change_client(cliente_id, ClientWrite { api, parts: Some(parts), ..ClientWrite::default() }).await)
    }

    /// Locks an API's credential of several parts, for one holder among all processes: waits for
    /// the present holder, and returns the credential as it stands then. [`Fault::Missing`] if
    /// there is none (any more). A holder that is not heard of again, perhaps because its process
    /// died, keeps it for [`CREDENTIAL_LEASE`](crate::CREDENTIAL_LEASE). The lock is a lease in the
    /// row: it holds no transaction and no connection.
    async fn lock_credential(&self, cliente_id: i32, api: &str) -> Result<Box<dyn CredentialLock>, StoreError>;

    /// Seals every secret with a new key, all or none, and gives how many they were. What is in the
    /// clear is sealed too.
    async fn rekey(&self, key: &StoreKey) -> Result<u64, StoreError>;

    /// Removes one API of a client, and takes it from what the client's default serves; false if it
    /// was neither.
    async fn remove_api(&self, cliente_id: i32, api: &str) -> Result<bool, StoreError>;

    /// Removes a client that has neither rows nor scraps ([`Fault::InUse`] otherwise); false if it
    /// was not there.
    async fn remove_client(&self, cliente_id: i32) -> Result<bool, StoreError>;

    /// All clients, by id.
    async fn clients(&self) -> Result<Vec<Client>, StoreError>;

    /// The rows of a client and an API that decide about a credential and its base URL. `None` if
    /// there is no such client.
    async fn access(&self, cliente_id: i32, api: &str) -> Result<Option<Access>, StoreError>;
}

/// The APIs that clients' default tokens and base URLs serve. Every call is atomic.
#[async_trait]
pub trait Defaults: Send + Sync {
    /// Lets a client's default serve an API; with `only_first`, only if it serves none yet. Whether
    /// it serves it now by this call. Fails with [`Fault::Missing`] if there is no such client.
    async fn bind_default(&self, cliente_id: i32, api: &str, only_first: bool) -> Result<bool, StoreError>;

    /// Clients and routes from before defaults were bound, whose APIs are still to be found among
    /// the connectors.
    async fn unsettled_defaults(&self) -> Result<Vec<(i32, String)>, StoreError>;

    /// Settles one of those: the default serves this API; none: no connector has the route, and the
    /// operator is asked.
    async fn settle_default(&self, cliente_id: i32, route: &str, api: Option<&str>) -> Result<(), StoreError>;

    /// Clients and routes that the operator is asked about, because their connectors were missing.
    async fn asked_defaults(&self) -> Result<Vec<(i32, String)>, StoreError>;
}

fn found(changed: Result<(), StoreError>) -> Result<bool, StoreError> {
    match changed {
        Err(error) if error.fault == Fault::Missing => Ok(false),
        changed => changed.map(|()| true),
    }
}
