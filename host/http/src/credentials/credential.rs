//! Credentials and how each is added to a request, which is done only below the endpoint's base
//! URL.

use std::sync::Arc;

use atlas_model::{AccessToken, Parts, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::super::client::HttpClient;
use super::super::egress::Egress;
use super::super::message::SendError;
use super::endpoint::CredentialError;
use super::oauth::OAuthSession;
use super::scheme::{AuthScheme, Placeholder, Position};

/// What is added to each request. Not printable.
#[derive(Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization: Basic …`, the value already encoded.
    Basic(Secret),
    /// A header of this name.
    Header(HeaderName, Secret),
    /// A query parameter of this name.
    Query(String, Secret),
    /// Parts at the places that the connector declared.
    Placeholders(Vec<(Placeholder, Secret)>),
    /// An access token that is renewed.
    OAuth(Arc<OAuthSession>),
}

/// A request on its way out: what a credential may change of it.
pub(crate) struct Outgoing {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl Credential {
    /// Builds the credential of a scheme from its parts, which the caller has checked to be there.
    pub(super) fn new(
        scheme: &AuthScheme,
        parts: &Parts,
        access_token: Option<AccessToken>,
    ) -> Result<Self, CredentialError> {
        let part = |name: &str| parts.get(name).cloned().unwrap_or_else(|| Secret::new(String::new()));
        let header_part = |name: &str| {
            let part = part(name);
            let fits = part.expose().bytes().all(|b| b.is_ascii_graphic());
            fits.then_some(part).ok_or(CredentialError::BadToken)
        };
        Ok(match scheme {
            AuthScheme::None => Self::None,
            AuthScheme::Bearer => Self::Bearer(header_part("token")?),
            AuthScheme::Header(name) => {
                let name = name.parse().map_err(|_| CredentialError::BadToken)?;
                Self::Header(name, header_part("token")?)
            }
            AuthScheme::Query(name) => Self::Query(name.clone(), part("token")),
            AuthScheme::Basic => {
                let pair = Secret::new(format!("{}:{}", part("username").expose(), part("password").expose()));
                Self::Basic(Secret::new(STANDARD.encode(pair.expose())))
            }
            AuthScheme::OAuth(grant) => OAuthSession::new(*grant, parts, access_token)?.into(),
            AuthScheme::Placeholders(all) => {
                let with_part = |placeholder: &Placeholder| {
                    let value = match placeholder.position {
                        Position::Header(_) => header_part(&placeholder.name)?,
                        Position::Body(_) => part(&placeholder.name),
                    };
                    Ok((placeholder.clone(), value))
                };
                Self::Placeholders(all.iter().map(with_part).collect::<Result<_, _>>()?)
            }
        })
    }

    /// A secret that is sent and is none of the parts as it stands, so that it is redacted as well.
    pub(super) fn derived(&self) -> Option<Secret> {
        match self {
            Self::Basic(pair) => Some(pair.clone()),
            _ => None,
        }
    }

    /// Adds the credential to a request: whatever the connector wrote in its place is overwritten.
    /// For an access token, says which of the session's tokens it is.
    pub(crate) async fn authorize(
        &self,
        http: &HttpClient,
        egress: &Egress,
        outgoing: &mut Outgoing,
    ) -> Result<Option<u64>, SendError> {
        match self {
            Self::None => {}
            Self::Bearer(token) => set_header(outgoing, AUTHORIZATION, "Bearer ", token)?,
            Self::Basic(pair) => set_header(outgoing, AUTHORIZATION, "Basic ", pair)?,
            Self::Header(name, token) => set_header(outgoing, name.clone(), "", token)?,
            Self::Query(name, token) => set_query(&mut outgoing.url, name, token),
            Self::Placeholders(all) => {
                for (placeholder, part) in all {
                    match &placeholder.position {
                        Position::Header(name) => {
                            let name = name.parse().map_err(|_| cannot_stand_in_a_header())?;
                            set_header(outgoing, name, "", part)?;
                        }
                        Position::Body(pointer) => set_in_body(outgoing, pointer, part)?,
                    }
                }
            }
            Self::OAuth(session) => {
                let (token, generation) = session.token(http, egress).await?;
                set_header(outgoing, AUTHORIZATION, "Bearer ", &token)?;
                return Ok(Some(generation));
            }
        }
        Ok(None)
    }
}

fn cannot_stand_in_a_header() -> SendError {
    SendError::InvalidRequest("the credential cannot stand in a header".to_owned())
}

fn set_header(outgoing: &mut Outgoing, name: HeaderName, before: &str, secret: &Secret) -> Result<(), SendError> {
    let text = Secret::new(format!("{before}{}", secret.expose()));
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| cannot_stand_in_a_header())?;
    value.set_sensitive(true);
    outgoing.headers.insert(name, value);
    Ok(())
}

/// Sets a query parameter. Replaces those of the same name, which a redirect may have carried
/// along.
fn set_query(url: &mut Url, name: &str, secret: &Secret) {
    let others: Vec<(String, String)> =
        url.query_pairs().filter(|(key, _)| key != name).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    if others.len() < url.query_pairs().count() {
        url.query_pairs_mut().clear().extend_pairs(others);
    }
    url.query_pairs_mut().append_pair(name, secret.expose());
}

/// Replaces the string at a pointer of the JSON body by the secret. Splices the bytes: the rest of
/// the body stays as the connector wrote it.
fn set_in_body(outgoing: &mut Outgoing, pointer: &atlas_json::Pointer, secret: &Secret) -> Result<(), SendError> {
    let missing = || {
        let why = format!("the body has no string at {:?}, where the credential is to stand", pointer.as_str());
        SendError::InvalidRequest(why)
    };
    let mut body = outgoing.body.take().ok_or_else(missing)?.to_vec();
    let place = atlas_json::find(&body, pointer).ok().flatten().ok_or_else(missing)?;
    if body.get(place.start) != Some(&b'"') {
        return Err(missing());
    }
    let text = Secret::new(serde_json::to_string(secret.expose()).unwrap_or_default());
    body.splice(place, text.expose().bytes());
    outgoing.body = Some(body.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(url: &str, body: Option<&str>) -> Outgoing {
        let url = Url::parse(url).unwrap_or_else(|e| panic!("{e}"));
        Outgoing { url, headers: HeaderMap::new(), body: body.map(|b| Bytes::copy_from_slice(b.as_bytes())) }
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_header_of_the_connectors_own_gives_way_to_the_credential() {
        let mut request = outgoing("https://h/", None);
        request.headers.append("x-key", HeaderValue::from_static("do-conector"));
        set_header(&mut request, HeaderName::from_static("x-key"), "", &secret("chave"))
            .unwrap_or_else(|e| panic!("{e}"));
        let values: Vec<_> = request.headers.get_all("x-key").iter().collect();
        assert_eq!(values, ["chave"]);
        assert!(values[0].is_sensitive());
    }

    #[test]
    fn a_query_parameter_stands_once_and_leaves_the_others() {
        let mut url = outgoing("https://h/a?page=2", None).url;
        set_query(&mut url, "key", &secret("a&b"));
        assert_eq!(url.as_str(), "https://h/a?page=2&key=a%26b");
        set_query(&mut url, "key", &secret("outra"));
        assert_eq!(url.as_str(), "https://h/a?page=2&key=outra");
    }

    #[test]
    fn a_placeholder_replaces_a_string_of_the_body_and_not_a_byte_beside_it() {
        let pointer = atlas_json::Pointer::parse("/auth/key").unwrap_or_else(|e| panic!("{e}"));
        let mut request = outgoing("https://h/", Some(r#"{ "n": 1e2, "auth":{"key":"", "x":1}}"#));
        set_in_body(&mut request, &pointer, &secret("a\"b")).unwrap_or_else(|e| panic!("{e}"));
        let body = String::from_utf8(request.body.unwrap_or_default().to_vec()).unwrap_or_default();
        assert_eq!(body, r#"{ "n": 1e2, "auth":{"key":"a\"b", "x":1}}"#);
        for body in [None, Some("{}"), Some(r#"{"auth":{"key":1}}"#), Some("not json")] {
            let mut request = outgoing("https://h/", body);
            let refused = set_in_body(&mut request, &pointer, &secret("segredo"));
            assert!(matches!(refused, Err(SendError::InvalidRequest(why)) if !why.contains("segredo")), "{body:?}");
        }
    }
}
