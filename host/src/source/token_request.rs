//! One request to a token URL (RFC 6749, sections 4.4 and 6). The `oauth2` crate words it and reads the answer; our own client
//! sends it, so that it obeys the same rules as every other request.

use chrono::Utc;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicTokenResponse};
use oauth2::{
    AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RefreshToken, RequestTokenError, Scope, TokenResponse,
    TokenUrl,
};
use url::Url;

use super::client::HttpClient;
use super::credentials::{AccessToken, Parts, Redactor, Secret, TokenGrant};
use super::egress::{Egress, Pool};
use super::message::SendError;
use super::target::parse_http_url;

/// A token is renewed this long before it ends, or a fifth of its life before if that is shorter, in seconds: a page that
/// begins now must end with it.
const RENEWED_BEFORE: i64 = 60;
/// Characters of an error's description that are shown, and of its code, which is an identifier of a few.
const DESCRIPTION_MAX: usize = 200;
const CODE_MAX: usize = 64;

/// Whether a text can be a token URL: http or https, a host, no credential in it.
pub fn token_url_fits(text: &str) -> bool {
    parse_http_url(text).is_some()
}

/// What is asked of a token URL.
pub(super) struct TokenRequest<'a> {
    grant: TokenGrant,
    parts: &'a Parts,
    url: TokenUrl,
}

/// What it answered.
pub(super) struct Exchanged {
    pub(super) access: AccessToken,
    /// The refresh token to use from now on, if it is another.
    pub(super) refresh_token: Option<Secret>,
}

impl<'a> TokenRequest<'a> {
    pub(super) fn new(grant: TokenGrant, parts: &'a Parts) -> Result<Self, SendError> {
        let url = parts.get("token_url").and_then(|url| parse_http_url(url.expose()));
        let url = url.ok_or_else(|| SendError::Denied("the credential has no token URL".to_owned()))?;
        Ok(Self { grant, parts, url: TokenUrl::from_url(url) })
    }

    /// Asks for a token. The redactor knows the parts: a token URL may echo them where it says what is wrong.
    ///
    /// # Errors
    /// `Renewal` for what may pass; `CredentialRefused` when the token URL will not have the credential; else `Denied`.
    pub(super) async fn send(
        &self,
        http: &HttpClient,
        egress: &Egress,
        redactor: &Redactor,
    ) -> Result<Exchanged, SendError> {
        let pool = egress.check_token_url(self.url.url())?;
        let part = |name: &str| self.parts.get(name).map(|part| part.expose().to_owned());
        // RFC 6749, section 2.3.1: Basic is what every server must take; some take the body alone.
        let in_body = part("client_auth").is_some_and(|how| how == "body");
        let mut client = BasicClient::new(ClientId::new(part("client_id").unwrap_or_default()))
            .set_token_uri(self.url.clone())
            .set_auth_type(if in_body { AuthType::RequestBody } else { AuthType::BasicAuth });
        if let Some(secret) = part("client_secret") {
            client = client.set_client_secret(ClientSecret::new(secret));
        }
        let scopes: Vec<Scope> = part("scope").iter().flat_map(|s| s.split_whitespace()).map(scope).collect();
        let sender = |request: HttpRequest| exchange(http.clone(), pool, request);
        let answer = match self.grant {
            TokenGrant::ClientCredentials => {
                client.exchange_client_credentials().add_scopes(scopes).request_async(&sender).await
            }
            TokenGrant::Refresh => {
                let token = RefreshToken::new(part("refresh_token").unwrap_or_default());
                client.exchange_refresh_token(&token).add_scopes(scopes).request_async(&sender).await
            }
        };
        answer.map(|answer| exchanged(&answer)).map_err(|error| sorted(error, redactor))
    }
}

fn scope(name: &str) -> Scope {
    Scope::new(name.to_owned())
}

async fn exchange(http: HttpClient, pool: Pool, request: HttpRequest) -> Result<HttpResponse, SendError> {
    let (head, body) = request.into_parts();
    let url = Url::parse(&head.uri.to_string()).map_err(|e| SendError::Denied(format!("the token URL: {e}")))?;
    let (status, headers, body) = http.exchange(pool, url, head.headers, body).await?;
    if matches!(status, 408 | 425 | 429 | 500..=599) {
        return Err(SendError::Interrupted(format!("HTTP {status}")));
    }
    let mut response = HttpResponse::new(body);
    *response.headers_mut() = headers;
    *response.status_mut() = oauth2::http::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

fn exchanged(answer: &BasicTokenResponse) -> Exchanged {
    let renew_at = answer.expires_in().map(|life| {
        let life = i64::try_from(life.as_secs()).unwrap_or(i64::MAX / 2);
        Utc::now().timestamp().saturating_add(life - RENEWED_BEFORE.min(life / 5))
    });
    Exchanged {
        access: AccessToken { token: Secret::new(answer.access_token().secret().clone()), renew_at },
        refresh_token: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
    }
}

/// What is wrong, by what can be done about it. Never the answer itself: tokens may stand in it.
fn sorted(error: RequestTokenError<SendError, BasicErrorResponse>, redactor: &Redactor) -> SendError {
    match error {
        RequestTokenError::Request(error) if error.is_passing_fault() => SendError::Renewal(error.to_string()),
        RequestTokenError::Request(refused @ SendError::AddressRefused(_)) => refused,
        RequestTokenError::Request(error) => SendError::Denied(format!("the token URL: {error}")),
        RequestTokenError::ServerResponse(refusal) => {
            let code = shown(refusal.error().as_ref(), CODE_MAX, redactor);
            let description = refusal.error_description().map(|text| shown(text, DESCRIPTION_MAX, redactor));
            let description = description.map(|text| format!(": {text}")).unwrap_or_default();
            SendError::CredentialRefused(format!("the token URL answered {code}{description}"))
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            SendError::Denied("the token URL did not answer with a token (RFC 6749, section 5.1)".to_owned())
        }
    }
}

/// A token URL's own words, without the credential's secrets, and cut: in this order, for what is left of a secret that was cut
/// is not recognised any more.
fn shown(text: &str, max: usize, redactor: &Redactor) -> String {
    redactor.clean_text(text.to_owned()).chars().take(max).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use oauth2::basic::BasicErrorResponseType;

    use super::super::credentials::{AuthScheme, Endpoint};
    use super::*;
    use crate::store::Access;

    /// One that looks for this token.
    fn redactor(token: &str) -> Arc<Redactor> {
        let access = Access {
            active: true,
            token: Secret::new(token.to_owned()),
            default_base_url: Some("https://erp.example".to_owned()),
            default_private: false,
            api: None,
            parts: None,
            access_token: None,
        };
        Endpoint::resolve(access, "bling", &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}")).redactor()
    }

    fn refused(code: &str, description: &str, token: &str) -> String {
        let code = BasicErrorResponseType::Extension(code.to_owned());
        let refusal = BasicErrorResponse::new(code, Some(description.to_owned()), None);
        match sorted(RequestTokenError::ServerResponse(refusal), &redactor(token)) {
            SendError::CredentialRefused(why) => why,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_token_that_a_refusal_echoes_is_taken_out_before_the_refusal_is_cut() {
        let token: String = (0..190_u8).map(|n| char::from(b'a' + n % 26)).collect();
        let echo = format!("{}{token}", "-".repeat(25));
        let why = refused("invalid_grant", &echo, &token);
        assert_eq!(why, format!("the token URL answered invalid_grant: {}***", "-".repeat(25)));
        let why = refused(&echo, &"x".repeat(10_000), &token);
        assert!(!why.contains(&token[..8]) && why.len() < CODE_MAX + DESCRIPTION_MAX + 50, "{why}");
        assert!(refused(&"x".repeat(10_000), "", &token).len() < CODE_MAX + 50);
    }
}
