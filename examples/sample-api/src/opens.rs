//! What opens the API, and its token endpoint: every way in which an API may want its credential,
//! so that a client can be held against each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::{
    Json,
    extract::Form,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::log::Authorization;
use crate::request::Request;

/// Where the API looks for its credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opens {
    /// `Authorization: Bearer` with the client's token.
    #[default]
    Bearer,
    /// A header of this name with the client's token.
    Header(String),
    /// A query parameter of this name with the client's token.
    Query(String),
    /// `Authorization: Basic` with this user's name and the client's token for a password.
    Basic(String),
    /// Headers of these names and values, all of them.
    Headers(BTreeMap<String, String>),
    /// Strings of the body, a JSON object, by the members' names, all of them: every request is a
    /// POST.
    Body(BTreeMap<String, String>),
    /// `Authorization: Bearer` with an access token of the token endpoint, `POST /oauth/token`.
    OAuth(OAuth),
}

/// The token endpoint (RFC 6749, sections 4.4 and 6). Each refresh token is good once; so is, after
/// a refresh, no access token from before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuth {
    /// The client that may ask, by HTTP Basic or in the form.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The refresh token that is good at first.
    pub refresh_token: String,
    /// `expires_in`, if it is said.
    pub expires_in: Option<u64>,
    /// Milliseconds that an answer of the endpoint takes.
    pub latency_ms: u64,
}

/// The tokens that are good now, and what was asked of the endpoint.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<Book>);

#[derive(Default)]
struct Book {
    issued: u64,
    access: Option<String>,
    refresh: Option<String>,
    used: BTreeSet<String>,
    refused: u64,
}

/// What was asked of the token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TokensServed {
    /// Tokens that were given.
    pub issued: u64,
    /// Requests that were refused, those with a refresh token that was used before among them.
    pub refused: u64,
}

#[derive(Deserialize)]
pub(crate) struct TokenForm {
    grant_type: String,
    #[serde(default)]
    refresh_token: String,
    client_id: Option<String>,
    client_secret: Option<String>,
}

impl Tokens {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn served(&self) -> TokensServed {
        let book = self.book();
        TokensServed { issued: book.issued, refused: book.refused }
    }

    /// The access and the refresh token that are good now.
    pub(crate) fn current(&self) -> (Option<String>, Option<String>) {
        let book = self.book();
        (book.access.clone(), book.refresh.clone())
    }

    /// Makes the access token worthless, as a source does that restarts.
    pub(crate) fn forget_access(&self) {
        self.book().access = None;
    }

    /// Answers a request for a token.
    pub(crate) fn answer(
        &self,
        oauth: &OAuth,
        revoked: bool,
        headers: &HeaderMap,
        Form(form): Form<TokenForm>,
    ) -> Response {
        let mut book = self.book();
        let refuse = |book: &mut Book, error: &str, description: String| {
            book.refused += 1;
            let body = Json(serde_json::json!({ "error": error, "error_description": description }));
            (StatusCode::BAD_REQUEST, body).into_response()
        };
        let in_form = form.client_id.as_deref() == Some(oauth.client_id.as_str())
            && form.client_secret.as_deref() == Some(oauth.client_secret.as_str());
        let basic = format!("{}:{}", oauth.client_id, oauth.client_secret);
        if !in_form && !is_basic(headers, &basic) {
            return refuse(&mut book, "invalid_client", format!("not client {:?}", form.client_id));
        }
        match form.grant_type.as_str() {
            "client_credentials" if !revoked => {}
            "refresh_token" if !revoked => {
                let good = book.refresh.clone().unwrap_or_else(|| oauth.refresh_token.clone());
                if form.refresh_token != good {
                    let why = if book.used.contains(&form.refresh_token) { "used before" } else { "unknown" };
                    return refuse(&mut book, "invalid_grant", format!("refresh token {}: {why}", form.refresh_token));
                }
                book.used.insert(good);
            }
            _ => return refuse(&mut book, "invalid_grant", format!("revoked: {}", form.refresh_token)),
        }
        book.issued += 1;
        let number = book.issued;
        let access = format!("acesso-{number:04}-{:016x}", 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number));
        let mut body = serde_json::json!({ "access_token": access, "token_type": "Bearer" });
        book.access = Some(access);
        if form.grant_type == "refresh_token" {
            let refresh = format!("renova-{number:04}-{:016x}", 0xc2b2_ae3d_27d4_eb4f_u64.wrapping_mul(number));
            body["refresh_token"] = refresh.clone().into();
            book.refresh = Some(refresh);
        }
        if let Some(life) = oauth.expires_in {
            body["expires_in"] = life.into();
        }
        Json(body).into_response()
    }
}

impl Opens {
    /// The method that every request has.
    pub(crate) fn method(&self) -> Method {
        if matches!(self, Self::Body(_)) { Method::POST } else { Method::GET }
    }

    /// What a request's credential is worth, for a client with this token.
    pub(crate) fn judge(&self, token: &str, tokens: &Tokens, request: &Request) -> Authorization {
        let (uri, headers) = (request.uri(), request.headers());
        let worth = |given: Option<bool>| match given {
            None => Authorization::Missing,
            Some(true) => Authorization::Right,
            Some(false) => Authorization::Wrong,
        };
        let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
        let bearer = |token: &str| header("authorization").map(|given| given == format!("Bearer {token}").as_bytes());
        match self {
            Self::Bearer => worth(bearer(token)),
            Self::Header(name) => worth(header(name).map(|given| given == token.as_bytes())),
            Self::Query(name) => {
                let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
                let given: Vec<_> = query.iter().flat_map(|q| q.iter()).filter(|(n, _)| n == name).collect();
                worth((!given.is_empty()).then(|| given.len() == 1 && given[0].1 == token))
            }
            Self::Basic(user) => {
                let given = headers.contains_key(header::AUTHORIZATION);
                worth(given.then(|| is_basic(headers, &format!("{user}:{token}"))))
            }
            Self::Headers(all) => {
                let given = all.keys().any(|name| headers.contains_key(name));
                worth(given.then(|| all.iter().all(|(name, value)| header(name) == Some(value.as_bytes()))))
            }
            Self::Body(all) => {
                let given: Option<serde_json::Value> = serde_json::from_slice(request.body()).ok();
                worth(given.map(|given| all.iter().all(|(name, value)| given[name.as_str()] == value.as_str())))
            }
            Self::OAuth(_) => {
                let access = tokens.current().0;
                worth(bearer("").map(|_| access.is_some_and(|access| bearer(&access) == Some(true))))
            }
        }
    }
}

fn is_basic(headers: &HeaderMap, pair: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()?.strip_prefix("Basic "));
    given == Some(base64(pair.as_bytes()).as_str())
}

/// Base64 (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let character = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(character) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_what_the_rfc_says() {
        let of = |text: &str| base64(text.as_bytes());
        assert_eq!([of(""), of("f"), of("fo"), of("foo"), of("foobar")], ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYmFy"]);
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }
}
