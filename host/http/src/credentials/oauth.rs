//! OAuth 2 access tokens: requested from the token URL that the operator registered, kept in the
//! store, and renewed once for all pages, scraps and hosts that wait for one.
//!
//! Within a process there is one [`OAuthSession`] for a client's credential at an API, and one
//! renewal in it at a time. Between processes the store's lock does the same: its holder first
//! checks whether another process has renewed meanwhile. A refresh token that the source replaces
//! is
//! stored, with the access token beside it, before either is used. What the store would not take,
//! the session keeps, and stores before it asks for anything else. So a rotating token is lost only
//! with a process that ends between the source's answer and that COMMIT, which no client can mend.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atlas_model::{AccessToken, Parts, Secret};
use atlas_store::{CredentialLock, Fault, Store, StoreError};
use chrono::Utc;
use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::sync::OwnedMutexGuard;
use tracing::Instrument;

use super::super::client::HttpClient;
use super::super::egress::Egress;
use super::super::message::SendError;
use super::super::target::shown_base_url;
use super::super::token_request::{Exchanged, TokenRequest, token_url_fits};
use super::endpoint::CredentialError;
use super::redact::Redactor;
use super::scheme::TokenGrant;

/// Tokens that are looked for in answers beside the present parts and the token in use: those that
/// were learned last.
const TOKENS_KNOWN: usize = 12;
/// Attempts at storing new tokens: they must not be lost, since the old refresh token may no longer
/// be valid.
const KEEP_TRIES: u32 = 5;
const KEEP_PAUSE: Duration = Duration::from_millis(500);
/// How long all of those tries may take: with a token URL's 20 s, less than the lock on the
/// credential lasts.
const KEEP_MAX: Duration = Duration::from_secs(20);
/// How long the lock is waited for, with all that may be between this process and the database.
const LOCK_MAX: Duration = Duration::from_secs(120);
const SILENT: &str = "the database does not answer";
/// How long a refusal counts as a passing fault after an expired lock of another process was taken
/// over: that process may still store a new refresh token.
const DOUBT: Duration = Duration::from_secs(60);
/// How long a program that ends waits for renewals under way.
const SETTLING_MAX: Duration = Duration::from_secs(30);
/// A token that this process got less than this ago is not renewed because it was refused: another
/// would be refused as well, and a connector that asks for what its client may not see could have
/// one got for each of its pages.
const YOUNG: Duration = Duration::from_secs(5);

/// The access token of a client at an API. Not printable.
pub struct OAuthSession {
    grant: TokenGrant,
    keeper: Option<Keeper>,
    current: Mutex<Current>,
    /// Held during a renewal. Contains the tokens that an earlier renewal got and could not store.
    renewing: Arc<tokio::sync::Mutex<Option<Unstored>>>,
    known: Mutex<Known>,
    redactor: RwLock<Arc<Redactor>>,
    /// When an expired lock of another process was last taken over.
    doubtful: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Current {
    access: Option<AccessToken>,
    /// Counts the tokens that this process has used.
    generation: u64,
    refused: bool,
    /// When the token URL gave it to this process; none: it was in the store.
    got: Option<Instant>,
}

impl Current {
    fn usable(&self) -> Option<(Secret, u64)> {
        let access = self.access.as_ref().filter(|access| !self.refused && access.is_fresh(now()))?;
        Some((access.token.clone(), self.generation))
    }

    fn is_young(&self) -> bool {
        self.got.is_some_and(|got| got.elapsed() < YOUNG)
    }
}

/// What a token URL handed out, as it is to be stored.
struct Unstored {
    /// The parts that the tokens were requested with. If the store has others, the operator has
    /// replaced the credential.
    before: Parts,
    /// The parts to use from now on.
    parts: Parts,
    access: AccessToken,
}

impl Unstored {
    fn of(before: &Parts, exchanged: Exchanged) -> Self {
        let mut parts = before.clone();
        if let Some(refresh_token) = exchanged.refresh_token {
            parts.set("refresh_token", refresh_token);
        }
        Self { before: before.clone(), parts, access: exchanged.access }
    }

    fn has_other_parts(&self) -> bool {
        !same_parts(&self.before, &self.parts)
    }
}

/// Secrets that are redacted in answers, beside the token in use.
#[derive(Clone, Default)]
struct Known {
    /// The parts as they were last seen in the store: as long as they are those, they are looked
    /// for.
    parts: Parts,
    /// Tokens that were handed out or replaced, the newest last.
    tokens: Vec<Secret>,
}

impl Known {
    fn note(&mut self, token: &Secret) {
        self.tokens.retain(|known| !same(known, token));
        self.tokens.push(token.clone());
        let surplus = self.tokens.len().saturating_sub(TOKENS_KNOWN);
        self.tokens.drain(..surplus);
    }

    /// Replaces the parts, and keeps the old ones among the secrets to redact: a source may echo
    /// them for a while.
    fn replace_parts(&mut self, parts: &Parts) {
        let before = std::mem::replace(&mut self.parts, parts.clone());
        for part in before.hidden() {
            if !parts.hidden().any(|present| same(present, part)) {
                self.note(part);
            }
        }
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
            doubtful: Mutex::default(),
        };
        session.learn_parts(parts);
        session.learn(access.as_ref().map(|access| &access.token));
        lock(&session.current).access = access;
        Ok(session)
    }

    /// A session that starts with this one's token, and renews it with a keeper.
    fn kept_in(&self, keeper: Keeper) -> Self {
        let access = lock(&self.current).access.clone();
        Self {
            grant: self.grant,
            keeper: Some(keeper),
            current: Mutex::new(Current { access, ..Current::default() }),
            renewing: Arc::default(),
            known: Mutex::new(lock(&self.known).clone()),
            redactor: RwLock::new(self.redactor()),
            doubtful: Mutex::default(),
        }
    }

    /// Whether its tokens are got with these very parts.
    fn is_for(&self, parts: &Parts) -> bool {
        same_parts(&lock(&self.known).parts, parts)
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
        // Another page may have renewed the token while this one waited for its turn.
        let usable = lock(&self.current).usable();
        if let Some(token) = usable {
            return Ok(token);
        }
        // A task of its own: a page that is given up must not take a refresh token along that was
        // just replaced.
        let (session, http, egress) = (Arc::clone(self), http.clone(), egress.clone());
        let renewing = async move { session.renew(turn, &http, &egress).await };
        let renewing = tokio::spawn(renewing.in_current_span());
        match renewing.await {
            Ok(renewed) => renewed.map_err(|error| error.map_reason(|reason| self.redactor().clean_text(reason))),
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            Err(_) => Err(SendError::Renewal("the program is ending".to_owned())),
        }
    }

    async fn renew(
        &self,
        mut unstored: OwnedMutexGuard<Option<Unstored>>,
        http: &HttpClient,
        egress: &Egress,
    ) -> Result<(Secret, u64), SendError> {
        let keeper =
            self.keeper.as_ref().ok_or_else(|| SendError::Denied("there is no store for tokens".to_owned()))?;
        // Stored before a new renewal: the refresh token in the store may no longer be valid.
        keeper.keep_rest(&mut unstored).await?;
        let held = keeper.lock().await?;
        if !same_account(&lock(&self.known).parts, held.parts()) {
            held.release().await;
            let why = "the credential was replaced while the scrap ran, perhaps for another base URL";
            return Err(SendError::CredentialRefused(why.to_owned()));
        }
        self.learn_parts(held.parts());
        let theirs = held.access().filter(|access| self.can_use(access)).cloned();
        if let Some(access) = theirs {
            self.learn([&access.token]);
            held.release().await;
            return Ok(self.adopt(access, None));
        }
        if held.is_in_anothers_place() {
            *lock(&self.doubtful) = Some(Instant::now());
        }
        let redactor = self.redactor();
        let asked = match TokenRequest::new(self.grant, held.parts()) {
            Ok(request) => request.send(http, egress, &redactor).await,
            Err(error) => Err(error),
        };
        let exchanged = match asked {
            Ok(exchanged) => exchanged,
            Err(error) => {
                held.release().await;
                return Err(self.believed(error));
            }
        };
        self.learn([&exchanged.access.token].into_iter().chain(&exchanged.refresh_token));
        let new = Unstored::of(held.parts(), exchanged);
        let kept = keeper.keep(held, &new).await;
        match kept {
            Ok(true) => {
                self.learn_parts(&new.parts);
                Ok(self.adopt(new.access, Some(Instant::now())))
            }
            Ok(false) => Err(SendError::Renewal("the credential was replaced meanwhile".to_owned())),
            Err(error) => {
                // Without a new refresh token nothing is lost: the access token can be requested
                // again.
                *unstored = Some(new).filter(Unstored::has_other_parts);
                Err(error)
            }
        }
    }

    /// Turns a refusal into a passing fault while another process may hold the refresh token that
    /// replaced the refused one.
    fn believed(&self, error: SendError) -> SendError {
        let doubtful = lock(&self.doubtful).is_some_and(|since| since.elapsed() < DOUBT);
        match error {
            SendError::CredentialRefused(why) if doubtful => {
                SendError::Renewal(format!("{why}; another process that was renewing it may still store a new one"))
            }
            error => error,
        }
    }

    /// Whether the access token in the store, perhaps renewed by another process, is fresh and not
    /// the one that was refused.
    fn can_use(&self, access: &AccessToken) -> bool {
        let current = lock(&self.current);
        let refused = current.access.as_ref().filter(|_| current.refused);
        access.is_fresh(now()) && refused.is_none_or(|refused| !same(&refused.token, &access.token))
    }

    fn adopt(&self, access: AccessToken, got: Option<Instant>) -> (Secret, u64) {
        let mut current = lock(&self.current);
        let token = access.token.clone();
        *current = Current { access: Some(access), generation: current.generation + 1, refused: false, got };
        (token, current.generation)
    }

    /// Notes that the source refused a token, so that the next request renews it, unless it was
    /// replaced already, or is only seconds old.
    pub(super) fn refuse(&self, generation: u64) {
        let mut current = lock(&self.current);
        if current.generation == generation && !current.is_young() {
            current.refused = true;
        }
    }

    /// The redactor of the session's secrets.
    pub(super) fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.redactor.read())
    }

    /// Looks for these tokens in answers as well.
    fn learn<'a>(&self, tokens: impl IntoIterator<Item = &'a Secret>) {
        let mut known = lock(&self.known);
        for token in tokens {
            known.note(token);
        }
        self.look_for(&known);
    }

    /// Looks for these parts in answers from now on.
    fn learn_parts(&self, parts: &Parts) {
        let mut known = lock(&self.known);
        if !same_parts(&known.parts, parts) {
            known.replace_parts(parts);
            self.look_for(&known);
        }
    }

    fn look_for(&self, known: &Known) {
        let current = lock(&self.current).access.clone();
        let in_use = current.as_ref().map(|access| &access.token);
        let redactor = Redactor::new(known.parts.hidden().chain(&known.tokens).chain(in_use));
        *self.redactor.write() = Arc::new(redactor);
    }
}

/// Keeps tokens at one place.
struct Keeper {
    vault: Box<dyn Vault>,
    /// Between the first try and the second; longer from then on.
    pause: Duration,
}

/// Where a credential is kept: the store, or a stand-in of the tests.
#[async_trait]
trait Vault: Send + Sync {
    /// Locks the credential for one holder among all processes.
    async fn lock(&self) -> Result<Box<dyn CredentialLock>, StoreError>;
}

/// A client's credential for an API, in the store.
struct InStore {
    store: Arc<dyn Store>,
    cliente_id: i32,
    api: String,
}

#[async_trait]
impl Vault for InStore {
    async fn lock(&self) -> Result<Box<dyn CredentialLock>, StoreError> {
        self.store.lock_credential(self.cliente_id, &self.api).await
    }
}

impl Keeper {
    async fn lock(&self) -> Result<Box<dyn CredentialLock>, SendError> {
        let locked = tokio::time::timeout(LOCK_MAX, self.vault.lock()).await;
        let silent = |_| StoreError::new(Fault::Unavailable, "lock the client's credential", SILENT);
        locked.map_err(silent).flatten().map_err(store_error)
    }

    /// Stores new tokens, and returns whether they are stored now: they are not where the operator
    /// has replaced the credential meanwhile. Takes the lock once more where it was lost.
    async fn keep(&self, mut held: Box<dyn CredentialLock>, new: &Unstored) -> Result<bool, SendError> {
        let mut tries = 1;
        let given_up = tokio::time::Instant::now() + KEEP_MAX;
        loop {
            if !same_parts(held.parts(), &new.before) {
                // Stored after all, by a try whose answer was lost; else the operator's.
                let stands = same_parts(held.parts(), &new.parts);
                held.release().await;
                return Ok(stands);
            }
            let kept = tokio::time::timeout_at(given_up, held.keep(&new.parts, &new.access)).await;
            let silent = |_| StoreError::new(Fault::Unavailable, "store the client's access token", SILENT);
            let Err(error) = kept.map_err(silent).flatten() else { return Ok(true) };
            if tries == KEEP_TRIES
                || tokio::time::Instant::now() >= given_up
                || !matches!(error.fault, Fault::Unavailable | Fault::Collision)
            {
                held.release().await;
                return Err(store_error(error));
            }
            tokio::time::sleep(self.pause * tries).await;
            tries += 1;
            if error.fault == Fault::Collision {
                held.release().await;
                held = self.lock().await?;
            }
        }
    }

    /// Stores the tokens that an earlier renewal could not, if there are any. Drops them if the
    /// operator has replaced the credential since.
    async fn keep_rest(&self, rest: &mut Option<Unstored>) -> Result<(), SendError> {
        if let Some(unstored) = rest {
            self.keep(self.lock().await?, unstored).await?;
            *rest = None;
        }
        Ok(())
    }
}

/// The owner of a session: client, API and grant.
type Owner = (i32, String, TokenGrant);

/// The sessions of a process: for a client and API the one of its present credential, and those of
/// earlier credentials for as long as runs use them.
#[derive(Default)]
pub struct TokenSessions(Mutex<HashMap<Owner, Vec<Arc<OAuthSession>>>>);

impl TokenSessions {
    /// The one session for a client's credential at an API. `seed`, just read from the store,
    /// becomes it if there is none yet, or if the operator replaced the credential: the token of
    /// the old session may be another account's.
    pub(super) fn session(
        &self,
        seed: &OAuthSession,
        store: &Arc<dyn Store>,
        cliente_id: i32,
        api: &str,
    ) -> Arc<OAuthSession> {
        let parts = lock(&seed.known).parts.clone();
        let mut sessions = lock(&self.0);
        let of_api = sessions.entry((cliente_id, api.to_owned(), seed.grant)).or_default();
        of_api.retain(|session| session.is_for(&parts) || Arc::strong_count(session) > 1);
        if let Some(session) = of_api.iter().find(|session| session.is_for(&parts)) {
            return Arc::clone(session);
        }
        let vault = Box::new(InStore { store: Arc::clone(store), cliente_id, api: api.to_owned() });
        let session = Arc::new(seed.kept_in(Keeper { vault, pause: KEEP_PAUSE }));
        of_api.push(Arc::clone(&session));
        session
    }

    /// Waits for renewals under way, and tries once more to store what the store would not take:
    /// tokens are to be stored before the program ends.
    pub async fn settled(&self) {
        let sessions: Vec<_> = lock(&self.0).values().flatten().cloned().collect();
        let settling = async {
            for session in sessions {
                let mut unstored = session.renewing.lock().await;
                if let Some(keeper) = &session.keeper {
                    // The renewal itself has reported the error already.
                    let _ = keeper.keep_rest(&mut unstored).await;
                }
            }
        };
        let _ = tokio::time::timeout(SETTLING_MAX, settling).await;
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

fn same_parts(one: &Parts, other: &Parts) -> bool {
    same(&one.to_json(), &other.to_json())
}

/// Whether two credentials differ in the refresh token alone, which the source replaces.
fn same_account(one: &Parts, other: &Parts) -> bool {
    let lasting = |parts: &Parts| {
        let mut parts = parts.clone();
        parts.set("refresh_token", Secret::new(String::new()));
        parts
    };
    same_parts(&lasting(one), &lasting(other))
}

fn now() -> i64 {
    Utc::now().timestamp()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests;
