//! Clients and where their APIs are.

use atlas_http::{parse_base_url, shown_base_url};
use atlas_model::{ApiChange, Client, ClientWrite, PART_MAX, Secret, Subject, notice};
use atlas_store::{Fault, StoreError};

use super::atlas::Atlas;
use super::failure::Failure;
use super::kind::Kind;

/// Characters of an API's name.
const API_NAME_MAX: usize = 64;

/// A change of a client, or of one of its APIs.
#[derive(Default)]
pub struct ClientChange {
    /// The API meant; none: the client's default.
    pub api: Option<String>,
    /// A new token.
    pub token: Option<Secret>,
    /// A new base URL.
    pub base_url: Option<String>,
    /// Whether scraps of it may run.
    pub active: Option<bool>,
    /// Whether its API may be at an address that is not public, whatever the base URL says.
    pub allow_private: bool,
    /// Where the change comes from.
    pub origin: Origin,
}

/// Where a change of a client comes from, which decides whether its base URL may grant a private
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// The operator, on this machine: a base URL at a private address grants that address.
    #[default]
    Operator,
    /// The page, or the API: it grants nothing, and takes away what the base URL before it
    /// had.
    Network,
}

impl Atlas {
    /// Registers a client, or one more API of one that is registered.
    pub async fn add_client(&self, cliente_id: i32, change: ClientChange) -> Result<(), Failure> {
        check(cliente_id, &change)?;
        if change.token.is_none() {
            return Err(Failure::usage(notice!("error-token-empty")));
        }
        if let Some(api) = &change.api
            && self.has_api(cliente_id, api).await?
        {
            let notice = notice!("error-api-exists", client = cliente_id, api = api);
            return Err(Failure::usage(notice.about(Subject::Client(cliente_id))));
        }
        self.write_client(cliente_id, &change, true).await
    }

    /// Changes a client or one of its APIs.
    pub async fn set_client(&self, cliente_id: i32, change: ClientChange) -> Result<(), Failure> {
        check(cliente_id, &change)?;
        self.write_client(cliente_id, &change, false).await
    }

    async fn write_client(&self, cliente_id: i32, change: &ClientChange, is_new: bool) -> Result<(), Failure> {
        let api = change.api.as_deref().unwrap_or_default();
        let (token, own) = match &change.api {
            None => (change.token.as_ref(), None),
            Some(_) => (None, change.token.as_ref()),
        };
        let private = self.grants_private(change).await;
        let set = ApiChange { base_url: change.base_url.as_deref(), credential: own, private };
        let is_set = set.base_url.is_some() || own.is_some() || change.allow_private;
        let write = ClientWrite {
            is_new,
            token,
            active: change.active,
            api: (is_set || is_new && change.api.is_some()).then_some((api, set)),
            is_guarded: change.origin == Origin::Network,
            ..ClientWrite::default()
        };
        let written = self.store().change_client(cliente_id, write).await;
        written.map_err(|error| not_written(cliente_id, api, &error))
    }

    /// Whether the change lets the API be at an address that is not public: by the operator's flag,
    /// or by a base URL of the operator's with such an address. `None` leaves the grant as it is.
    async fn grants_private(&self, change: &ClientChange) -> Option<bool> {
        match change.origin {
            Origin::Operator if change.allow_private => Some(true),
            Origin::Operator => grants_private(change.base_url.as_deref()).await,
            Origin::Network => change.base_url.as_ref().map(|_| false),
        }
    }

    /// The first base URL of a client that is at a private address without a grant: no request is
    /// sent there.
    pub async fn ungranted_url(&self, cliente_id: i32) -> Result<Option<String>, Failure> {
        let clients = self.clients().await?;
        for known in clients.into_iter().filter(|client| client.cliente_id == cliente_id).flat_map(|client| client.apis)
        {
            if !known.private && grants_private(Some(&known.base_url)).await == Some(true) {
                return Ok(Some(known.base_url));
            }
        }
        Ok(None)
    }

    /// Removes a client, or one API of it.
    pub async fn remove_client(&self, cliente_id: i32, api: Option<&str>) -> Result<(), Failure> {
        // The default one goes with its client alone: the default token is not left without the
        // address that it was given for.
        api.map_or(Ok(()), check_api_name)?;
        let removed = match api {
            Some(api) => self.store().remove_api(cliente_id, api).await,
            None => self.store().remove_client(cliente_id).await,
        };
        match removed {
            Ok(true) => Ok(()),
            Ok(false) => {
                let known = self.clients().await?.iter().any(|client| client.cliente_id == cliente_id);
                Err(match api.filter(|_| known) {
                    Some(api) => unknown_api(cliente_id, api),
                    None => unknown(cliente_id),
                })
            }
            Err(error) if error.fault == Fault::InUse => {
                let notice = notice!("error-client-in-use", client = cliente_id);
                Err(Failure::conflict(notice.about(Subject::Client(cliente_id))))
            }
            Err(error) => Err(Failure::store("op-client", &error)),
        }
    }

    /// Fails where there is no such client: a mistyped number must not pass for a client without
    /// rows.
    pub async fn known_client(&self, cliente_id: i32) -> Result<(), Failure> {
        let known = self.clients().await?.iter().any(|client| client.cliente_id == cliente_id);
        known.then_some(()).ok_or_else(|| unknown(cliente_id))
    }

    async fn has_api(&self, cliente_id: i32, api: &str) -> Result<bool, Failure> {
        let clients = self.clients().await?;
        let client = clients.iter().find(|client| client.cliente_id == cliente_id);
        Ok(client.is_some_and(|client| client.apis.iter().any(|known| known.api == api)))
    }

    /// All clients.
    pub async fn clients(&self) -> Result<Vec<Client>, Failure> {
        self.store().clients().await.map_err(|error| Failure::store("op-client", &error))
    }
}

/// The failure of a change that the store refused.
pub(super) fn not_written(cliente_id: i32, api: &str, error: &StoreError) -> Failure {
    match error.fault {
        Fault::Exists => {
            let notice = notice!("error-client-exists", client = cliente_id);
            Failure::conflict(notice.about(Subject::Client(cliente_id)))
        }
        Fault::Missing if error.detail() == "client" => unknown(cliente_id),
        Fault::Missing => Failure::usage(notice!("error-api-needs-base-url", api = api)),
        Fault::Guarded => {
            let notice = notice!("error-credential-elsewhere", client = cliente_id, url = error.detail());
            Failure::usage(notice.about(Subject::Credential(cliente_id)))
        }
        _ => Failure::store("op-client", error),
    }
}

pub(super) fn unknown(cliente_id: i32) -> Failure {
    let notice = notice!("error-client-unknown", client = cliente_id);
    Failure::new("op-client", notice.about(Subject::Registration(Some(cliente_id))), Kind::NotFound)
}

/// The failure of a request for an API that this client does not have.
pub(super) fn unknown_api(cliente_id: i32, api: &str) -> Failure {
    let notice = notice!("error-api-unknown", client = cliente_id, api = api);
    Failure::usage(notice.about(Subject::Client(cliente_id)))
}

/// The failure of a base URL that is none.
pub(super) fn bad_base_url(cliente_id: i32, url: &str) -> Failure {
    let notice = notice!("error-base-url", client = cliente_id, url = shown_base_url(url));
    Failure::usage(notice.about(Subject::Address(cliente_id)))
}

/// Validates a client's number and a change's token and URL.
pub fn check(cliente_id: i32, change: &ClientChange) -> Result<(), Failure> {
    if cliente_id < 1 {
        return Err(Failure::usage(notice!("error-client-id", client = cliente_id)));
    }
    if change.token.as_ref().is_some_and(Secret::is_empty) {
        return Err(Failure::usage(notice!("error-token-empty")));
    }
    // What HTTP can carry in a header and every API takes in a token (RFC 6750, section 2.1, allows
    // fewer still).
    let fits = |token: &Secret| token.expose().bytes().all(|b| b.is_ascii_graphic());
    if change.token.as_ref().is_some_and(|token| token.expose().len() > PART_MAX) {
        return Err(Failure::usage(notice!("error-parts-value", name = "token", file = "none")));
    }
    if change.token.as_ref().is_some_and(|token| !fits(token)) {
        let notice = notice!("error-token-characters", client = cliente_id);
        return Err(Failure::usage(notice.about(Subject::Credential(cliente_id))));
    }
    if let Some(url) = change.base_url.as_deref().filter(|url| parse_base_url(url).is_none()) {
        return Err(bad_base_url(cliente_id, url));
    }
    change.api.as_deref().map_or(Ok(()), check_api_name)
}

/// Whether a base URL that the operator gives is at an address that is not public, which makes it a
/// grant.
pub(super) async fn grants_private(base_url: Option<&str>) -> Option<bool> {
    let base = parse_base_url(base_url?)?;
    Some(atlas_http::is_private(&base).await)
}

pub(super) fn check_api_name(api: &str) -> Result<(), Failure> {
    let fits = (1..=API_NAME_MAX).contains(&api.len())
        && api.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    fits.then_some(()).ok_or_else(|| Failure::usage(notice!("error-api-name", api = api)))
}
