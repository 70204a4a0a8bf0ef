//! OAuth 2 access tokens: got from the token URL that the operator registered, kept in the store, and renewed once for
//! everybody who waits, however many pages, scraps and hosts that are.
//!
//! Within a process there is one [`OAuthSession`] for a client and API, and one renewal in it at a time. Between processes the
//! store's lock does the same: whoever has it looks first whether somebody else has renewed meanwhile. A refresh token that
//! the source replaces is stored, with the access token beside it, before either is used; a process that dies between the
//! source's answer and that COMMIT is what no client can mend, and is the one way to lose a rotating token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::OwnedMutexGuard;

use super::super::client::HttpClient;
use super::super::egress::Egress;
use super::super::message::SendError;
use super::super::target::shown_base_url;
use super::super::token_request::{Exchanged, TokenRequest, token_url_fits};
use super::endpoint::CredentialError;
use super::redact::Redactor;
use super::scheme::TokenGrant;
use super::secret::{AccessToken, Parts, Secret};
use crate::store::{CredentialLock, Fault, Store, StoreError};

/// Secrets that are looked for in answers at the same time: the parts, and tokens that were replaced not long ago.
const SECRETS_KNOWN: usize = 12;
/// How often tokens that the source has handed out are tried to be stored: the old refresh token may be worth nothing now.
const KEEP_TRIES: u32 = 5;
const KEEP_PAUSE: Duration = Duration::from_millis(500);

/// The access token of a client at an API. Not printable.
pub struct OAuthSession {
    grant: TokenGrant,
    keeper: Option<Keeper>,
    current: Mutex<Current>,
    /// Held by whoever renews.
    renewing: Arc<tokio::sync::Mutex<()>>,
    known: Mutex<Vec<Secret>>,
    redactor: RwLock<Arc<Redactor>>,
}

/// Where the tokens are kept.
struct Keeper {
    store: Arc<dyn Store>,
    cliente_id: i32,
    api: String,
}

#[derive(Default)]
struct Current {
    access: Option<AccessToken>,
    /// Counts the tokens that this process has used.
    generation: u64,
    refused: bool,
}

impl Current {
    fn usable(&self) -> Option<(Secret, u64)> {
        let access = self.access.as_ref().filter(|access| !self.refused && access.is_fresh(now()))?;
        Some((access.token.clone(), self.generation))
    }
}

impl OAuthSession {
    /// A session with what is stored. It can renew nothing as long as it has no store.
    pub(super) fn new(grant: TokenGrant, parts: &Parts, access: Option<AccessToken>) -> Result<Self, CredentialError> {
        let url = parts.get("token_url").map(Secret::expose).unwrap_or_default();
        if !token_url_fits(url) {
            return Err(CredentialError::BadTokenUrl { url: shown_base_url(url) });
        }
        let session = Self {
            grant,
            keeper: None,
            current: Mutex::default(),
            renewing: Arc::default(),
            known: Mutex::default(),
            redactor: RwLock::default(),
        };
        session.learn(parts.hidden().chain(access.as_ref().map(|a| &a.token)));
        lock(&session.current).access = access;
        Ok(session)
    }

    /// The token to send, and its number. Renews it where it is due or was refused.
    pub(super) async fn token(
        self: &Arc<Self>,
        http: &HttpClient,
        egress: &Egress,
    ) -> Result<(Secret, u64), SendError> {
        let usable = lock(&self.current).usable();
        if let Some(token) = usable {
            return Ok(token);
        }
        let turn = Arc::clone(&self.renewing).lock_owned().await;
        // Somebody else may have renewed while this one waited for its turn.
        let usable = lock(&self.current).usable();
        if let Some(token) = usable {
            return Ok(token);
        }
        // A task of its own: a page that is given up must not take a refresh token along that was just replaced.
        let (session, http, egress) = (Arc::clone(self), http.clone(), egress.clone());
        let renewing = tokio::spawn(async move { session.renew(turn, &http, &egress).await });
        match renewing.await {
            Ok(renewed) => renewed.map_err(|error| error.map_reason(|reason| self.redactor().clean_text(reason))),
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => Err(SendError::Renewal("the program is ending".to_owned())),
        }
    }

    async fn renew(
        &self,
        _turn: OwnedMutexGuard<()>,
        http: &HttpClient,
        egress: &Egress,
    ) -> Result<(Secret, u64), SendError> {
        let keeper =
            self.keeper.as_ref().ok_or_else(|| SendError::Denied("there is no store for tokens".to_owned()))?;
        let refused = {
            let current = lock(&self.current);
            current.access.clone().filter(|_| current.refused)
        };
        let held = keeper.lock().await?;
        let is_refused = |access: &AccessToken| refused.as_ref().is_some_and(|r| same(&r.token, &access.token));
        let theirs = held.access().filter(|access| access.is_fresh(now()) && !is_refused(access)).cloned();
        self.learn(held.parts().hidden());
        if let Some(access) = theirs {
            self.learn([&access.token]);
            held.release().await;
            return Ok(self.adopt(access));
        }
        let exchanged = TokenRequest::new(self.grant, held.parts())?.send(http, egress).await?;
        self.learn([&exchanged.access.token].into_iter().chain(&exchanged.refresh_token));
        keeper.keep(held, &exchanged).await?;
        Ok(self.adopt(exchanged.access))
    }

    fn adopt(&self, access: AccessToken) -> (Secret, u64) {
        let mut current = lock(&self.current);
        let token = access.token.clone();
        *current = Current { access: Some(access), generation: current.generation + 1, refused: false };
        (token, current.generation)
    }

    /// Notes that the source refused a token: the next one who needs it renews it, unless that was done already.
    pub(super) fn refuse(&self, generation: u64) {
        let mut current = lock(&self.current);
        current.refused |= current.generation == generation;
    }

    /// What takes the session's secrets out of answers.
    pub(super) fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.redactor.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn learn<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) {
        let mut known = lock(&self.known);
        let before = known.len();
        for secret in secrets {
            if !known.iter().any(|k| same(k, secret)) {
                known.push(secret.clone());
            }
        }
        if known.len() == before {
            return;
        }
        let surplus = known.len().saturating_sub(SECRETS_KNOWN);
        known.drain(..surplus);
        *self.redactor.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Redactor::new(known.iter()));
    }
}

impl Keeper {
    async fn lock(&self) -> Result<Box<dyn CredentialLock>, SendError> {
        self.store.lock_credential(self.cliente_id, &self.api).await.map_err(store_error)
    }

    /// Stores what the source handed out. Where the connection broke that held the lock, takes the lock once more.
    async fn keep(&self, held: Box<dyn CredentialLock>, new: &Exchanged) -> Result<(), SendError> {
        let before = held.parts().clone();
        let mut parts = before.clone();
        if let Some(refresh_token) = &new.refresh_token {
            parts.set("refresh_token", refresh_token.clone());
        }
        let mut kept = held.keep(&parts, &new.access).await;
        let mut tries = 1;
        while let Err(error) = kept {
            if tries == KEEP_TRIES || !matches!(error.fault, Fault::Unavailable | Fault::Collision) {
                return Err(store_error(error));
            }
            tokio::time::sleep(KEEP_PAUSE * tries).await;
            tries += 1;
            kept = match self.store.lock_credential(self.cliente_id, &self.api).await {
                Ok(held) if !same(&held.parts().to_json(), &before.to_json()) => {
                    held.release().await;
                    // Stored after all, or changed by the operator: what stands there is newer.
                    return Ok(());
                }
                Ok(held) => held.keep(&parts, &new.access).await,
                Err(error) => Err(error),
            };
        }
        Ok(())
    }
}

/// The sessions of a process, one for a client and API.
#[derive(Default)]
pub struct TokenSessions(Mutex<HashMap<(i32, String, TokenGrant), Arc<OAuthSession>>>);

impl TokenSessions {
    /// The one session for a client and API; `seed` becomes it where there is none yet.
    pub(super) fn session(
        &self,
        seed: &OAuthSession,
        store: &Arc<dyn Store>,
        cliente_id: i32,
        api: &str,
    ) -> Arc<OAuthSession> {
        let mut sessions = lock(&self.0);
        let session = sessions.entry((cliente_id, api.to_owned(), seed.grant)).or_insert_with(|| {
            Arc::new(OAuthSession {
                grant: seed.grant,
                keeper: Some(Keeper { store: Arc::clone(store), cliente_id, api: api.to_owned() }),
                current: Mutex::new(Current { access: lock(&seed.current).access.clone(), ..Current::default() }),
                renewing: Arc::default(),
                known: Mutex::default(),
                redactor: RwLock::default(),
            })
        });
        session.learn(lock(&seed.known).iter());
        Arc::clone(session)
    }

    /// Waits for renewals under way: their tokens are to be stored before the program ends.
    pub async fn settled(&self) {
        let sessions: Vec<_> = lock(&self.0).values().cloned().collect();
        for session in sessions {
            drop(session.renewing.lock().await);
        }
    }
}

fn store_error(error: StoreError) -> SendError {
    let why = format!("{error}: {}", error.database_message());
    match error.fault {
        Fault::Unavailable | Fault::Collision => SendError::Renewal(why),
        _ => SendError::Denied(why),
    }
}

fn same(one: &Secret, other: &Secret) -> bool {
    one.expose() == other.expose()
}

fn now() -> i64 {
    Utc::now().timestamp()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
