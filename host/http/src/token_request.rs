//! One request to a token URL (RFC 6749, sections 4.4 and 6). The `oauth2` crate words it and reads
//! the answer; our own client sends it, so that it obeys the same rules as every other request, and
//! takes of the answer what does no harm.

use std::sync::Arc;

use atlas_model::{AccessToken, Parts, Secret};
use chrono::Utc;
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicTokenResponse};
use oauth2::{
    AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RefreshToken, RequestTokenError, Scope, TokenResponse,
    TokenUrl,
};
use url::Url;

use super::client::HttpClient;
use super::credentials::{Redactor, TokenGrant};
use super::egress::{Egress, Pool};
use super::message::SendError;
use super::target::parse_http_url;
use super::token_answer::token_answer;

/// A token is renewed this long before it ends, or a fifth of its life before if that is shorter,
/// in seconds: a page that begins now must end with it.
const RENEWED_BEFORE: i64 = 60;

/// Whether a text can be a token URL: http or https, a host, no credential in it.
pub fn token_url_fits(text: &str) -> bool {
    parse_http_url(text).is_some()
}

/// A request to a token URL.
pub(super) struct TokenRequest<'a> {
    grant: TokenGrant,
    parts: &'a Parts,
    url: TokenUrl,
}

/// The tokens that a token URL returned.
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

    /// Asks for a token. The redactor knows the parts: a token URL may echo them where it says what
    /// is wrong.
    ///
    /// # Errors
    /// `Renewal` for what may pass; `CredentialRefused` when the token URL will not have the
    /// credential; else `Denied`.
    pub(super) async fn send(
        &self,
        http: &HttpClient,
        egress: &Egress,
        redactor: &Arc<Redactor>,
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
        let sender = |request: HttpRequest| exchange(http.clone(), pool, Arc::clone(redactor), request);
        let answer = match self.grant {
            TokenGrant::ClientCredentials => {
                client.exchange_client_credentials().add_scopes(scopes).request_async(&sender).await
            }
            TokenGrant::Refresh => {
                let token = RefreshToken::new(part("refresh_token").unwrap_or_default());
                client.exchange_refresh_token(&token).add_scopes(scopes).request_async(&sender).await
            }
        };
        answer.map(|answer| exchanged(&answer)).map_err(sorted)
    }
}

fn scope(name: &str) -> Scope {
    Scope::new(name.to_owned())
}

async fn exchange(
    http: HttpClient,
    pool: Pool,
    redactor: Arc<Redactor>,
    request: HttpRequest,
) -> Result<HttpResponse, SendError> {
    let (head, body) = request.into_parts();
    let url = Url::parse(&head.uri.to_string()).map_err(|e| SendError::Denied(format!("the token URL: {e}")))?;
    let (status, _, body) = http.exchange(pool, url, head.headers, body).await?;
    // With neither status nor headers of its own: what the library would refuse it for has been
    // looked at.
    Ok(HttpResponse::new(token_answer(status, &body, &redactor)?))
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

/// Classifies a token URL's error by what can be done about it. Never quotes the answer itself,
/// which may hold tokens.
fn sorted(error: RequestTokenError<SendError, BasicErrorResponse>) -> SendError {
    match error {
        RequestTokenError::Request(error) if error.is_passing_fault() => SendError::Renewal(error.to_string()),
        RequestTokenError::Request(
            error @ (SendError::AddressRefused(_) | SendError::CredentialRefused(_) | SendError::Untrusted(_)),
        ) => error,
        RequestTokenError::Request(SendError::Denied(why)) => SendError::Denied(format!("the token URL: {why}")),
        RequestTokenError::Request(error) => SendError::CredentialRefused(format!("the token URL: {error}")),
        RequestTokenError::ServerResponse(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            let why = "the token URL did not answer with a token (RFC 6749, section 5.1)";
            SendError::CredentialRefused(why.to_owned())
        }
    }
}
