//! The secret, and which of a client's credentials goes where.
//!
//! A secret leaves this room only through [`Secret::expose`], towards the store that keeps it and the request that it is
//! sent with. Its type cannot be printed, serialised or compared, so that no log line, error or test output can hold it.

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use thiserror::Error;
use zeroize::Zeroizing;

use super::egress::{Egress, Grant};
use super::message::SendError;
use super::pattern::RequestPattern;
use super::target::{parse_base_url, shown_base_url};
use crate::store::Access;

/// A token, password or key.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself: for the request and the store, and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }
}

/// Where an API expects its credential, as a connector declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthScheme {
    /// None is needed.
    None,
    /// `Authorization: Bearer …`.
    Bearer,
    /// A scheme that this version of the host cannot serve, by its name.
    Unsupported(&'static str),
}

/// What is added to each request.
#[derive(Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
}

impl Credential {
    /// Adds the credential to a request. Only for a request to the endpoint's own origin.
    pub(super) fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, SendError> {
        let Self::Bearer(token) = self else { return Ok(request) };
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| SendError::InvalidRequest("the token cannot stand in a header".to_owned()))?;
        value.set_sensitive(true);
        Ok(request.header(AUTHORIZATION, value))
    }
}

/// Where a client's API is, and what opens it. Not printable: it holds the credential.
#[derive(Clone)]
pub struct Endpoint {
    /// Where requests may go.
    pub(super) egress: Egress,
    pub(super) credential: Credential,
}

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
    /// The registered base URL is none.
    #[error("the registered base URL {url:?} is not an http or https URL")]
    BadBaseUrl {
        /// What is registered.
        url: String,
    },
    /// There is no token for this place. The client's default token goes to its default base URL only.
    #[error("no credential is registered for the client and the API {api:?}")]
    NoCredential {
        /// The API asked for.
        api: String,
    },
    /// A token with characters that no header can carry.
    #[error("the registered token has characters that an HTTP header cannot carry")]
    BadToken,
    /// The connector wants a scheme that this version cannot serve.
    #[error("the API wants the credential scheme {scheme}, which this version cannot serve")]
    UnsupportedScheme {
        /// Its name.
        scheme: &'static str,
    },
}

/// A secret shorter than this is not looked for in texts: it would be found everywhere.
const REDACTED_MIN: usize = 4;

impl Endpoint {
    /// A text without this endpoint's secret: as it is, as a URL carries it, or as a JSON string does.
    pub fn redact(&self, text: String) -> String {
        let Credential::Bearer(secret) = &self.credential else { return text };
        let secret = secret.expose();
        if secret.len() < REDACTED_MIN {
            return text;
        }
        let in_url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let in_json = secret.replace('\\', "\\\\").replace('"', "\\\"");
        [secret, &in_url, &in_json].iter().fold(text, |text, form| text.replace(form, "•••"))
    }

    /// Puts together what is registered for a client and an API with the scheme that the connector declares.
    pub fn resolve(access: Access, api: &str, scheme: &AuthScheme) -> Result<Self, CredentialError> {
        if !access.active {
            return Err(CredentialError::Inactive);
        }
        let missing = || CredentialError::NoCredential { api: api.to_owned() };
        let (base, private, token) = match access.api {
            // An API without a credential of its own, at the very place that the default token is meant for.
            Some(own) if own.credential.is_none() && access.default_base_url.as_ref() == Some(&own.base_url) => {
                (own.base_url, own.private, Some(access.token))
            }
            Some(own) => (own.base_url, own.private, own.credential),
            None => {
                let base = access.default_base_url.ok_or_else(|| CredentialError::NoBaseUrl { api: api.to_owned() })?;
                (base, access.default_private, Some(access.token))
            }
        };
        let base = parse_base_url(&base).ok_or_else(|| CredentialError::BadBaseUrl { url: shown_base_url(&base) })?;
        let credential = match scheme {
            AuthScheme::None => Credential::None,
            AuthScheme::Bearer => {
                let token = token.filter(|t| !t.is_empty()).ok_or_else(missing)?;
                if !token.expose().bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(CredentialError::BadToken);
                }
                Credential::Bearer(token)
            }
            AuthScheme::Unsupported(scheme) => {
                return Err(CredentialError::UnsupportedScheme { scheme });
            }
        };
        Ok(Self { egress: Egress::at(base, private), credential })
    }

    /// The same, with what the operator grants beyond the base URL, and what the connector says that it needs.
    #[must_use]
    pub fn granting<'a>(self, grants: impl IntoIterator<Item = &'a Grant>, declared: &[RequestPattern]) -> Self {
        Self { egress: self.egress.with(grants, declared), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ApiAccess;

    static_assertions::assert_not_impl_any!(Secret: std::fmt::Debug, std::fmt::Display, serde::Serialize, PartialEq);
    static_assertions::assert_not_impl_any!(Credential: std::fmt::Debug, std::fmt::Display, serde::Serialize);
    static_assertions::assert_not_impl_any!(Endpoint: std::fmt::Debug, std::fmt::Display, serde::Serialize);

    fn access(default: Option<&str>, api: Option<(&str, Option<&str>)>) -> Access {
        Access {
            active: true,
            token: Secret::new("padrao".into()),
            default_base_url: default.map(str::to_owned),
            default_private: false,
            api: api.map(|(url, own)| ApiAccess {
                base_url: url.to_owned(),
                credential: own.map(|t| Secret::new(t.to_owned())),
                private: false,
            }),
        }
    }

    fn token_of(endpoint: &Endpoint) -> &str {
        match &endpoint.credential {
            Credential::Bearer(token) => token.expose(),
            Credential::None => "",
        }
    }

    #[test]
    fn a_secret_that_a_source_echoes_is_taken_out_of_the_text() {
        let access = Access {
            active: true,
            token: Secret::new("a\"b+c/d".into()),
            default_base_url: Some("https://erp.example".into()),
            default_private: false,
            api: None,
        };
        let endpoint = Endpoint::resolve(access, "jueri", &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}"));
        let echoed = r#"raw a"b+c/d, url a%22b%2Bc%2Fd, json "a\"b+c/d"."#.to_owned();
        assert_eq!(endpoint.redact(echoed), r#"raw •••, url •••, json "•••"."#);
    }

    #[test]
    fn the_default_token_goes_to_the_default_base_url() {
        let endpoint = Endpoint::resolve(access(Some("https://erp.example/api"), None), "jueri", &AuthScheme::Bearer)
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(endpoint.egress.base().as_str(), "https://erp.example/api/");
        assert_eq!(token_of(&endpoint), "padrao");
    }

    #[test]
    fn the_default_token_never_goes_to_another_base_url() {
        let elsewhere = access(Some("https://erp.example"), Some(("https://other.example", None)));
        let refused = Endpoint::resolve(elsewhere, "bling", &AuthScheme::Bearer).err();
        assert_eq!(refused, Some(CredentialError::NoCredential { api: "bling".into() }));
    }

    #[test]
    fn an_api_with_a_credential_of_its_own_uses_it() {
        let own = access(Some("https://erp.example"), Some(("https://bling.example", Some("proprio"))));
        let endpoint = Endpoint::resolve(own, "bling", &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(token_of(&endpoint), "proprio");
    }

    #[test]
    fn an_inactive_client_and_an_empty_token_are_refused() {
        let mut off = access(Some("https://erp.example"), None);
        off.active = false;
        assert_eq!(Endpoint::resolve(off, "jueri", &AuthScheme::Bearer).err(), Some(CredentialError::Inactive));
        let mut empty = access(Some("https://erp.example"), None);
        empty.token = Secret::new("  ".into());
        let refused = Endpoint::resolve(empty, "jueri", &AuthScheme::Bearer).err();
        assert_eq!(refused, Some(CredentialError::NoCredential { api: "jueri".into() }));
    }
}
