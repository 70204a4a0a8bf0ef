//! Auth schemes, by which connectors declare where an API expects its credential. They are checked
//! here, since a header of the connection's own or of another name than the API's could lead a
//! request astray.

use atlas_json::Pointer;
use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use thiserror::Error;

use super::super::headers;

/// Placeholders that one connector may declare.
const PLACEHOLDERS_MAX: usize = 16;
/// Bytes of a parameter's or part's name.
const NAME_MAX: usize = 64;
/// Where an API expects its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthScheme {
    /// None is needed.
    None,
    /// `Authorization: Bearer …` (RFC 6750), of the part `token`.
    Bearer,
    /// A header of this name, of the part `token`.
    Header(String),
    /// A query parameter of this name, of the part `token`.
    Query(String),
    /// HTTP Basic (RFC 7617), of the parts `username` and `password`.
    Basic,
    /// An OAuth 2 access token as a bearer token.
    OAuth(TokenGrant),
    /// The parts at these places.
    Placeholders(Vec<Placeholder>),
}

/// How an OAuth 2 access token is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenGrant {
    /// Client credentials (RFC 6749, section 4.4).
    ClientCredentials,
    /// A refresh token (RFC 6749, section 6), which may be replaced each time that it is used.
    Refresh,
}

/// One part, and where the host writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// The part's name.
    pub name: String,
    /// Where it stands.
    pub position: Position,
}

/// Where a placeholder stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The value of this header.
    Header(String),
    /// The string at this pointer of the request's JSON body.
    Body(Pointer),
}

/// A scheme that no request could follow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemeError {
    /// Not a header's name, or one that no credential may stand in.
    #[error("auth header {0:?} is no header for a credential")]
    BadHeader(String),
    /// Not a name for a parameter or a part.
    #[error("auth name {0:?} must be 1 to 64 printable characters")]
    BadName(String),
    /// Too many placeholders, or none.
    #[error("auth placeholders must be 1 to 16")]
    PlaceholderCount,
}

impl AuthScheme {
    /// The same, if a request can follow it.
    pub fn check(self) -> Result<Self, SchemeError> {
        match &self {
            Self::None | Self::Bearer | Self::Basic | Self::OAuth(_) => {}
            Self::Header(name) => check_header(name)?,
            Self::Query(name) => check_name(name)?,
            Self::Placeholders(all) => {
                if all.is_empty() || all.len() > PLACEHOLDERS_MAX {
                    return Err(SchemeError::PlaceholderCount);
                }
                for placeholder in all {
                    check_name(&placeholder.name)?;
                    if let Position::Header(name) = &placeholder.position {
                        check_header(name)?;
                    }
                }
            }
        }
        Ok(self)
    }

    /// The parts that a credential must have for it.
    pub fn parts_needed(&self) -> Vec<&str> {
        match self {
            Self::None => Vec::new(),
            Self::Bearer | Self::Header(_) | Self::Query(_) => vec!["token"],
            // A password may be empty: APIs that take a key for the user's name have none.
            Self::Basic => vec!["username"],
            Self::OAuth(TokenGrant::ClientCredentials) => vec!["client_id", "client_secret", "token_url"],
            // A public client has no secret.
            Self::OAuth(TokenGrant::Refresh) => vec!["client_id", "refresh_token", "token_url"],
            Self::Placeholders(all) => all.iter().map(|p| p.name.as_str()).collect(),
        }
    }
}

fn check_header(name: &str) -> Result<(), SchemeError> {
    let bad = || SchemeError::BadHeader(name.chars().take(NAME_MAX).collect());
    let header: HeaderName = name.parse().map_err(|_| bad())?;
    // Headers of framing, routing and identity are refused even for the credential: a source that
    // takes such a header for its own name writes it into redirects.
    let refused = headers::leads_astray(header.as_str());
    if name.len() > NAME_MAX || refused || matches!(header, CONTENT_TYPE | LOCATION) { Err(bad()) } else { Ok(()) }
}

fn check_name(name: &str) -> Result<(), SchemeError> {
    let fits = !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(|c| c.is_ascii_graphic());
    fits.then_some(()).ok_or_else(|| SchemeError::BadName(name.chars().take(NAME_MAX).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_cannot_be_declared_where_it_would_lead_a_request_astray() {
        for name in [
            "Host",
            "cookie",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "X-Forwarded-Host",
            "x_forwarded_host",
            "Forwarded",
            "X-Host",
            "X-Original-URL",
            "Accept-Encoding",
            "Range",
            "Referer",
            "a b",
            "",
            "x\r\ny",
        ] {
            assert!(AuthScheme::Header(name.to_owned()).check().is_err(), "{name:?}");
            let position = Position::Header(name.to_owned());
            let placeholder = Placeholder { name: "app_key".to_owned(), position };
            assert!(AuthScheme::Placeholders(vec![placeholder]).check().is_err(), "{name:?}");
        }
        for name in ["X-Api-Key", "Authorization", "access-token"] {
            assert!(AuthScheme::Header(name.to_owned()).check().is_ok(), "{name:?}");
        }
        assert!(AuthScheme::Query(String::new()).check().is_err());
        assert!(AuthScheme::Query("api key".into()).check().is_err());
        assert!(AuthScheme::Placeholders(Vec::new()).check().is_err());
    }
}
