//! Pairs a client's credential with the base URL that it is sent to. The base URL comes from the
//! operator alone; a connector only declares in which form its API expects the credential.

use std::collections::HashSet;
use std::sync::Arc;

use atlas_model::{Access, DefaultFor, Parts, Secret};
use atlas_store::Store;
use parking_lot::Mutex;
use thiserror::Error;

use super::super::budget::Budget;
use super::super::egress::{Egress, Grant};
use super::super::pattern::RequestPattern;
use super::super::target::{parse_base_url, shown_base_url};
use super::credential::Credential;
use super::oauth::{OAuthSession, TokenSessions};
use super::redact::Redactor;
use super::scheme::AuthScheme;

/// A client's API: its base URL, grants, budgets and credential. Not printable, since it holds the
/// credential.
#[derive(Clone)]
pub struct Endpoint {
    /// Where requests may go.
    pub(crate) egress: Egress,
    pub(crate) credential: Credential,
    redactor: Arc<Redactor>,
    /// Redacts the client's secret settings in answers.
    settings: Option<Arc<Redactor>>,
    /// What the client may ask of the API: the operator's budget first, then what the connector
    /// declares beside it.
    pub(crate) budgets: Vec<Arc<Budget>>,
    /// Pages that were asked for once more because their access token was refused, by their
    /// cursors.
    repeated: Arc<Mutex<HashSet<Option<String>>>>,
}

/// Parts that are sent to the token URL, and nowhere else.
const TOKEN_URLS_OWN: [&str; 3] = ["client_secret", "refresh_token", "token_url"];

/// Why there is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// The client is registered, and switched off.
    #[error("the client is not active")]
    Inactive,
    /// Neither the API nor the client's default has a base URL.
    #[error("no base URL is registered for the client and the API {api:?}")]
    NoBaseUrl {
        /// The API asked for.
        api: String,
    },
    /// The API has no base URL of its own, and the client's default serves others, or none yet.
    #[error("no base URL is registered for the client and the API {api:?}, which its default does not serve")]
    NotServed {
        /// The API asked for.
        api: String,
    },
    /// The registered base URL is malformed.
    #[error("the registered base URL {url:?} is not an http or https URL")]
    BadBaseUrl {
        /// What is registered.
        url: String,
    },
    /// There is no token for this place. The client's default token goes to its default base URL
    /// only.
    #[error("no credential is registered for the client and the API {api:?}")]
    NoCredential {
        /// The API asked for.
        api: String,
    },
    /// The credential lacks what the API's scheme needs.
    #[error("the credential for the API {api:?} has no {parts}")]
    MissingParts {
        /// The API asked for.
        api: String,
        /// The names of what is missing.
        parts: String,
    },
    /// The connector declares a place in its requests for what is meant for the token URL alone.
    #[error("the part {part} of the credential for the API {api:?} is for its token URL alone")]
    PartOfTokenUrl {
        /// The API asked for.
        api: String,
        /// The part's name.
        part: String,
    },
    /// A token with characters that no header can carry.
    #[error("the registered token has characters that an HTTP header cannot carry")]
    BadToken,
    /// The registered token URL is malformed.
    #[error("the registered token URL {url:?} is not an http or https URL")]
    BadTokenUrl {
        /// What is registered, without what may be a secret.
        url: String,
    },
}

impl Endpoint {
    /// Puts together what is registered for a client and an API with the scheme that the connector
    /// declares.
    pub fn resolve(access: Access, api: &str, scheme: &AuthScheme) -> Result<Self, CredentialError> {
        if !access.active {
            return Err(CredentialError::Inactive);
        }
        let default = Parts::of_token(access.token);
        let (base, private, parts) = match access.api {
            Some(own) if access.parts.is_some() => (own.base_url, own.private, access.parts),
            // An API without a credential of its own, at the very place that the default token is
            // meant for.
            Some(own) if own.credential.is_none() && access.default_base_url.as_ref() == Some(&own.base_url) => {
                (own.base_url, own.private, Some(default))
            }
            Some(own) => (own.base_url, own.private, own.credential.map(Parts::of_token)),
            None => {
                // A connector names the API of its route itself, so that name alone must not give
                // it the default token: the operator has bound the default to APIs.
                let base = access.default_base_url.ok_or_else(|| CredentialError::NoBaseUrl { api: api.to_owned() })?;
                if access.default_for != DefaultFor::ThisApi {
                    return Err(CredentialError::NotServed { api: api.to_owned() });
                }
                (base, access.default_private, Some(default))
            }
        };
        let base = parse_base_url(&base).ok_or_else(|| CredentialError::BadBaseUrl { url: shown_base_url(&base) })?;
        let parts = parts.unwrap_or_default();
        check_parts(&parts, api, scheme)?;
        let credential = Credential::new(scheme, &parts, access.access_token)?;
        let hidden: Vec<Secret> = parts.hidden().cloned().chain(credential.derived()).collect();
        let egress = Egress::at(base, private);
        Ok(Self {
            egress,
            credential,
            redactor: Arc::new(Redactor::new(&hidden)),
            settings: None,
            budgets: Vec::new(),
            repeated: Arc::default(),
        })
    }

    /// The same endpoint, with access tokens that are renewed and stored by the one session that
    /// all runs of the client and API share.
    #[must_use]
    pub fn renewed_in(mut self, store: &Arc<dyn Store>, sessions: &TokenSessions, cliente_id: i32, api: &str) -> Self {
        if let Credential::OAuth(session) = &self.credential {
            self.credential = Credential::OAuth(sessions.session(session, store, cliente_id, api));
        }
        self
    }

    /// A message without this endpoint's secrets, however a source may have written them into it.
    pub fn redact(&self, text: String) -> String {
        self.redactor().clean_text(text)
    }

    /// The redactor of this endpoint's secrets, settings included.
    pub(crate) fn redactor(&self) -> Arc<Redactor> {
        let credential = match &self.credential {
            Credential::OAuth(session) => session.redactor(),
            _ => Arc::clone(&self.redactor),
        };
        match &self.settings {
            Some(settings) => Arc::new(Redactor::of([credential, Arc::clone(settings)])),
            None => credential,
        }
    }

    /// The same, which takes these secrets out of answers and messages as well.
    #[must_use]
    pub fn hiding(self, secrets: &[Secret]) -> Self {
        let settings = (!secrets.is_empty()).then(|| Arc::new(Redactor::new(secrets)));
        Self { settings, ..self }
    }

    /// Whether to request a page again after its access token, number `generation`, was refused:
    /// true the first time for each page. The session is then told to renew that token before the
    /// next request.
    pub fn repeats_after_refusal(&self, cursor: Option<&str>, generation: u64) -> bool {
        let Credential::OAuth(session) = &self.credential else { return false };
        let mut repeated = self.repeated.lock();
        let first = repeated.insert(cursor.map(str::to_owned));
        if first {
            session.refuse(generation);
        }
        first
    }

    /// Notes that a page was answered, so that a later refusal of its token allows another repeat.
    pub fn answered(&self, cursor: Option<&str>) {
        if let Credential::OAuth(_) = &self.credential {
            self.repeated.lock().remove(&cursor.map(str::to_owned));
        }
    }

    /// The same, within budgets of requests, all of which hold.
    #[must_use]
    pub fn within(self, budgets: Vec<Arc<Budget>>) -> Self {
        Self { budgets, ..self }
    }

    /// The budgets of requests.
    pub fn budgets(&self) -> &[Arc<Budget>] {
        &self.budgets
    }

    /// The same, with what the operator grants beyond the base URL.
    #[must_use]
    pub fn granting<'a>(self, grants: impl IntoIterator<Item = &'a Grant>) -> Self {
        Self { egress: self.egress.with(grants), ..self }
    }

    /// The same for a connector that says that it needs these requests: of what is granted beyond
    /// GET and HEAD, it may make no others.
    #[must_use]
    pub fn declaring(self, requests: &[RequestPattern]) -> Self {
        Self { egress: self.egress.declaring(requests), ..self }
    }
}

fn check_parts(parts: &Parts, api: &str, scheme: &AuthScheme) -> Result<(), CredentialError> {
    // Parts for the token URL are sent there alone: a connector must not have them sent to the API
    // by declaring a place for them.
    if let AuthScheme::Placeholders(all) = scheme
        && parts.get("token_url").is_some()
        && let Some(placeholder) = all.iter().find(|p| TOKEN_URLS_OWN.contains(&p.name.as_str()))
    {
        return Err(CredentialError::PartOfTokenUrl { api: api.to_owned(), part: placeholder.name.clone() });
    }
    let needed = scheme.parts_needed();
    let missing: Vec<&str> = needed.iter().copied().filter(|name| parts.get(name).is_none()).collect();
    match missing.as_slice() {
        [] => Ok(()),
        ["token"] if parts.names().all(|name| name == "token") => {
            Err(CredentialError::NoCredential { api: api.to_owned() })
        }
        missing => Err(CredentialError::MissingParts { api: api.to_owned(), parts: missing.join(", ") }),
    }
}

/// The session of an endpoint that nothing is kept for yet.
impl From<OAuthSession> for Credential {
    fn from(session: OAuthSession) -> Self {
        Self::OAuth(Arc::new(session))
    }
}

#[cfg(test)]
mod tests {
    use super::super::scheme::{Placeholder, Position, TokenGrant};
    use super::*;
    use atlas_model::ApiAccess;

    static_assertions::assert_not_impl_any!(Endpoint: std::fmt::Debug, std::fmt::Display, serde::Serialize);
    static_assertions::assert_not_impl_any!(Credential: std::fmt::Debug, std::fmt::Display, serde::Serialize);

    fn access(default: Option<&str>, api: Option<(&str, Option<&str>)>) -> Access {
        Access {
            active: true,
            token: Secret::new("padrao".into()),
            default_base_url: default.map(str::to_owned),
            default_private: false,
            default_for: DefaultFor::ThisApi,
            api: api.map(|(url, own)| ApiAccess {
                base_url: url.to_owned(),
                credential: own.map(|t| Secret::new(t.to_owned())),
                private: false,
            }),
            parts: None,
            access_token: None,
        }
    }

    fn with_parts(parts: &str) -> Access {
        let parts = Parts::parse(parts).unwrap_or_else(|e| panic!("{e}"));
        Access { parts: Some(parts), ..access(Some("https://erp.example"), Some(("https://bling.example", None))) }
    }

    fn token_of(endpoint: &Endpoint) -> &str {
        match &endpoint.credential {
            Credential::Bearer(token) => token.expose(),
            _ => "",
        }
    }

    fn resolve(access: Access, scheme: &AuthScheme) -> Result<Endpoint, CredentialError> {
        Endpoint::resolve(access, "bling", scheme)
    }

    #[test]
    fn what_opens_the_token_url_goes_to_no_place_that_a_connector_declares() {
        let parts = |text: &str| Parts::parse(text).unwrap_or_else(|e| panic!("{e}"));
        let oauth = parts("client_id=a\nrefresh_token=b\ntoken_url=https://x/token");
        let keys = parts("client_id=a\nrefresh_token=b");
        let scheme = |name: &str| {
            let position = Position::Header("x-a".to_owned());
            AuthScheme::Placeholders(vec![Placeholder { name: name.to_owned(), position }])
        };
        assert!(matches!(
            check_parts(&oauth, "bling", &scheme("refresh_token")),
            Err(CredentialError::PartOfTokenUrl { .. })
        ));
        assert!(check_parts(&oauth, "bling", &scheme("client_id")).is_ok());
        assert!(check_parts(&keys, "bling", &scheme("refresh_token")).is_ok());
    }

    #[test]
    fn the_default_token_goes_to_the_default_base_url() {
        let endpoint = resolve(access(Some("https://erp.example/api"), None), &AuthScheme::Bearer)
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(endpoint.egress.base().as_str(), "https://erp.example/api/");
        assert_eq!(token_of(&endpoint), "padrao");
    }

    #[test]
    fn the_default_serves_no_api_that_it_was_not_registered_for() {
        for default_for in [DefaultFor::Others, DefaultFor::Nothing] {
            let access = Access { default_for, ..access(Some("https://erp.example"), None) };
            let refused = resolve(access, &AuthScheme::Bearer).err();
            assert_eq!(refused, Some(CredentialError::NotServed { api: "bling".into() }));
        }
        // One with an entry of its own needs no default.
        let own = access(Some("https://erp.example"), Some(("https://bling.example", Some("proprio"))));
        let own = Access { default_for: DefaultFor::Others, ..own };
        let endpoint = resolve(own, &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(token_of(&endpoint), "proprio");
    }

    #[test]
    fn the_default_token_never_goes_to_another_base_url() {
        let elsewhere = || access(Some("https://erp.example"), Some(("https://other.example", None)));
        for scheme in [AuthScheme::Bearer, AuthScheme::Header("X-Key".into()), AuthScheme::Query("key".into())] {
            let refused = resolve(elsewhere(), &scheme).err();
            assert_eq!(refused, Some(CredentialError::NoCredential { api: "bling".into() }));
        }
    }

    #[test]
    fn an_api_with_a_credential_of_its_own_uses_it() {
        let own = access(Some("https://erp.example"), Some(("https://bling.example", Some("proprio"))));
        let endpoint = resolve(own, &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(token_of(&endpoint), "proprio");
        let endpoint = resolve(with_parts("token=em-partes"), &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(token_of(&endpoint), "em-partes");
    }

    #[test]
    fn an_inactive_client_and_an_empty_token_are_refused() {
        let mut off = access(Some("https://erp.example"), None);
        off.active = false;
        assert_eq!(resolve(off, &AuthScheme::Bearer).err(), Some(CredentialError::Inactive));
        let mut empty = access(Some("https://erp.example"), None);
        empty.token = Secret::new("  ".into());
        let refused = resolve(empty, &AuthScheme::Bearer).err();
        assert_eq!(refused, Some(CredentialError::NoCredential { api: "bling".into() }));
    }

    #[test]
    fn a_credential_without_what_the_scheme_needs_is_refused_with_what_is_missing() {
        let missing = |scheme: AuthScheme, parts: &str| match resolve(with_parts(parts), &scheme) {
            Err(CredentialError::MissingParts { parts, .. }) => parts,
            other => panic!("{:?}", other.err()),
        };
        assert_eq!(missing(AuthScheme::Basic, "token=t"), "username");
        assert_eq!(
            missing(AuthScheme::OAuth(TokenGrant::Refresh), "client_id=i\nclient_secret=s"),
            "refresh_token, token_url"
        );
        let app_key = Placeholder { name: "app_key".into(), position: Position::Header("x-app".into()) };
        assert_eq!(missing(AuthScheme::Placeholders(vec![app_key]), "token=t"), "app_key");
    }

    #[test]
    fn a_token_url_that_is_none_and_a_token_that_no_header_carries_are_refused() {
        let oauth = AuthScheme::OAuth(TokenGrant::ClientCredentials);
        let refused = resolve(with_parts("client_id=i\nclient_secret=s\ntoken_url=ftp://u:p@x/?k=v"), &oauth).err();
        assert_eq!(refused, Some(CredentialError::BadTokenUrl { url: "ftp://…@x/…".into() }));
        let refused = resolve(with_parts("token=a b"), &AuthScheme::Header("x-key".into())).err();
        assert_eq!(refused, Some(CredentialError::BadToken));
    }
}
