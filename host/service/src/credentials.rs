//! Credentials of single APIs, and the key that seals all secrets.

use atlas_http::{parse_base_url, shown_base_url, token_url_fits};
use atlas_model::{Access, ApiAccess, ApiChange, ClientWrite, Parts, Secret, Subject, notice};
use atlas_store::Fault;

use super::atlas::Atlas;
use super::clients::{Origin, bad_base_url, check_api_name, grants_private, not_written, unknown, unknown_api};
use super::failure::Failure;
use super::kind::Kind;

/// The status of a client's credential for an API, without any of its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialStatus {
    /// The API.
    pub api: String,
    /// Its base URL.
    pub base_url: String,
    /// The names of the credential's parts; empty: it has none of its own.
    pub parts: Vec<String>,
    /// Whether an access token is kept.
    pub has_access_token: bool,
}

impl Atlas {
    /// Sets a credential, and where its API is if that is said, in the place of any that the API
    /// has.
    pub async fn set_credential(
        &self,
        cliente_id: i32,
        api: &str,
        base_url: Option<&str>,
        parts: &Parts,
        origin: Origin,
    ) -> Result<(), Failure> {
        check_api_name(api)?;
        if let Some(url) = base_url.filter(|url| parse_base_url(url).is_none()) {
            return Err(bad_base_url(cliente_id, url));
        }
        let token_url = parts.get("token_url").map(Secret::expose);
        if let Some(url) = token_url.filter(|url| !token_url_fits(url)) {
            let notice = notice!("error-token-url", client = cliente_id, url = shown_base_url(url));
            return Err(Failure::usage(notice.about(Subject::Credential(cliente_id))));
        }
        self.known_client(cliente_id).await?;
        let private = match origin {
            Origin::Operator => grants_private(base_url).await,
            Origin::Network => base_url.map(|_| false),
        };
        let api_change = ApiChange { base_url, private, credential: None };
        let withdraws_grant = match (origin, token_url) {
            (Origin::Network, Some(url)) => !self.is_beside_its_api(cliente_id, api, base_url, url).await?,
            _ => false,
        };
        let write = ClientWrite {
            api: Some((api, api_change)),
            parts: Some(Some(parts)),
            withdraws_grant,
            is_guarded: origin == Origin::Network,
            ..ClientWrite::default()
        };
        // In one transaction: the old credential must never stand beside the new base URL.
        let written = self.store().change_client(cliente_id, write).await;
        written.map_err(|error| not_written(cliente_id, api, &error))
    }

    /// Whether a token URL has the same origin as its API. A private address that the operator
    /// granted to the API is granted to no other origin.
    async fn is_beside_its_api(
        &self,
        cliente_id: i32,
        api: &str,
        base_url: Option<&str>,
        token_url: &str,
    ) -> Result<bool, Failure> {
        let clients = self.clients().await?;
        let client = clients.iter().find(|client| client.cliente_id == cliente_id);
        let present = client.and_then(|client| client.apis.iter().find(|known| known.api == api));
        let base_url = base_url.or(present.map(|known| known.base_url.as_str())).and_then(parse_base_url);
        let token_url = url::Url::parse(token_url).ok();
        Ok(base_url.zip(token_url).is_some_and(|(base, token)| base.origin() == token.origin()))
    }

    /// Removes an API's own credential; where the API is stays.
    pub async fn remove_credential(&self, cliente_id: i32, api: &str) -> Result<(), Failure> {
        self.known_client(cliente_id).await?;
        let removed = self.store().set_credential(cliente_id, api, None).await;
        if removed.map_err(|error| Failure::store("op-client", &error))? {
            return Ok(());
        }
        Err(unknown_api(cliente_id, api))
    }

    /// The status of a client's credentials for all of its APIs, or for one.
    pub async fn credentials(&self, cliente_id: i32, only: Option<&str>) -> Result<Vec<CredentialStatus>, Failure> {
        let clients = self.clients().await?;
        let client = clients.into_iter().find(|client| client.cliente_id == cliente_id);
        let mut all = Vec::new();
        for api in client.ok_or_else(|| unknown(cliente_id))?.apis {
            if api.api.is_empty() || only.is_some_and(|only| only != api.api) {
                continue;
            }
            let access = self.store().access(cliente_id, &api.api).await;
            let access = access.map_err(|error| Failure::store("op-client", &error))?;
            let has_access_token = access.as_ref().is_some_and(|access| access.access_token.is_some());
            let parts = access.map(own_parts).unwrap_or_default();
            all.push(CredentialStatus { api: api.api, base_url: api.base_url, parts, has_access_token });
        }
        if let Some(api) = only.filter(|_| all.is_empty()) {
            return Err(unknown_api(cliente_id, api));
        }
        Ok(all)
    }

    /// Seals every secret with the new key that the settings name, and gives how many they are.
    pub async fn rekey(&self) -> Result<u64, Failure> {
        let missing = || Failure::new("op-client", notice!("error-new-key-missing"), Kind::Configuration);
        let key = self.config().new_key.as_ref().ok_or_else(missing)?;
        self.store().rekey(key).await.map_err(|error| match error.fault {
            Fault::Schema => Failure::store("op-init", &error),
            _ => Failure::store("op-client", &error),
        })
    }
}

/// The names of the parts that an API has of its own.
fn own_parts(access: Access) -> Vec<String> {
    match (access.parts, access.api) {
        (Some(parts), _) => parts.names().map(str::to_owned).collect(),
        (None, Some(ApiAccess { credential: Some(_), .. })) => vec!["token".to_owned()],
        _ => Vec::new(),
    }
}
