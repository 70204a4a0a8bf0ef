//! Sessions against a token URL of the tests' own.

use std::sync::atomic::{AtomicBool, Ordering};

use atlas_store_sql as store;
use atlas_store_sql::StoreUrl;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::*;
use crate::{BodyBudget, HttpLimits};

type Held = (Parts, Option<AccessToken>);

/// A credential in memory, which cannot be stored for the next so many times.
struct Memory {
    held: Mutex<Held>,
    failures: Mutex<u32>,
    /// Whether a process held it and was not heard of again.
    abandoned: AtomicBool,
}

struct MemoryLock {
    memory: Arc<Memory>,
    held: Held,
}

#[async_trait]
impl Vault for Arc<Memory> {
    async fn lock(&self) -> Result<Box<dyn CredentialLock>, StoreError> {
        let held = lock(&self.held).clone();
        Ok(Box::new(MemoryLock { memory: Arc::clone(self), held }))
    }
}

#[async_trait]
impl CredentialLock for MemoryLock {
    fn parts(&self) -> &Parts {
        &self.held.0
    }

    fn access(&self) -> Option<&AccessToken> {
        self.held.1.as_ref()
    }

    fn is_in_anothers_place(&self) -> bool {
        self.memory.abandoned.load(Ordering::Relaxed)
    }

    async fn keep(&self, parts: &Parts, access: &AccessToken) -> Result<(), StoreError> {
        let mut failures = lock(&self.memory.failures);
        if *failures > 0 {
            *failures -= 1;
            return Err(StoreError::new(Fault::Unavailable, "store the token", "the disk is full"));
        }
        *lock(&self.memory.held) = (parts.clone(), Some(access.clone()));
        Ok(())
    }

    async fn release(self: Box<Self>) {}
}

/// What a token URL says to its n-th request: a status, and JSON.
type Answer = fn(usize) -> (u16, String);

/// Another refresh token each time.
fn rotating(number: usize) -> (u16, String) {
    let tokens = format!(r#""access_token":"acesso-{number}","refresh_token":"renova-{number}""#);
    (200, format!(r#"{{"token_type":"bearer",{tokens}}}"#))
}

/// 190 characters.
fn long_token() -> String {
    (0..190_u8).map(|n| char::from(b'a' + n % 26)).collect()
}

fn echoing(_: usize) -> (u16, String) {
    let description = format!("{}{}", "-".repeat(25), long_token());
    (400, format!(r#"{{"error":"invalid_grant","error_description":"{description}"}}"#))
}

/// A server that answers so; what it was asked.
async fn token_url(answer: Answer) -> (Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/token", listener.local_addr().expect("an address"));
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let form = form_of(&mut stream).await;
            let number = {
                let mut seen = lock(&seen);
                seen.push(form);
                seen.len()
            };
            let (status, body) = answer(number);
            let head = format!(
                "HTTP/1.1 {status} So\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    (url.parse().expect("a URL"), asked)
}

/// The body of a request.
async fn form_of(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: Option<usize> =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return body.to_owned();
            }
        }
        let mut buffer = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return text };
        read.extend_from_slice(&buffer[..count]);
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn parts(token_url: &str, refresh_token: &str) -> Parts {
    let mut parts = Parts::default();
    let all = [("client_id", "app"), ("client_secret", "segredo-do-app"), ("token_url", token_url)];
    for (name, value) in all.into_iter().chain([("refresh_token", refresh_token)]) {
        parts.set(name, secret(value));
    }
    parts
}

fn seed(parts: &Parts, access: Option<&str>) -> OAuthSession {
    let access = access.map(|token| AccessToken { token: secret(token), renew_at: None });
    OAuthSession::new(TokenGrant::Refresh, parts, access).unwrap_or_else(|e| panic!("{e}"))
}

/// A session, what it asks, and what keeps its tokens.
struct Ground {
    session: Arc<OAuthSession>,
    memory: Arc<Memory>,
    url: Url,
    asked: Arc<Mutex<Vec<String>>>,
    http: HttpClient,
}

impl Ground {
    async fn new(answer: Answer, refresh_token: &str) -> Self {
        let (url, asked) = token_url(answer).await;
        let parts = parts(url.as_str(), refresh_token);
        let seed = seed(&parts, None);
        let memory = Arc::new(Memory {
            held: Mutex::new((parts, None)),
            failures: Mutex::default(),
            abandoned: AtomicBool::default(),
        });
        let keeper = Keeper { vault: Box::new(Arc::clone(&memory)), pause: Duration::ZERO };
        let session = Arc::new(seed.kept_in(keeper));
        let limits = HttpLimits { requests_per_page: 20, body_bytes: 1 << 20, page_bytes: 1 << 20 };
        let http = HttpClient::new(limits, BodyBudget::new(4 << 20, 1 << 20)).unwrap_or_else(|e| panic!("{e}"));
        Self { session, memory, url, asked, http }
    }

    async fn token(&self) -> Result<(String, u64), SendError> {
        let egress = Egress::at(self.url.clone(), true);
        let token = self.session.token(&self.http, &egress).await;
        token.map(|(token, generation)| (token.expose().to_owned(), generation))
    }

    fn fail(&self, times: u32) {
        *lock(&self.memory.failures) = times;
    }

    /// The refresh token and the access token that are stored.
    fn stored(&self) -> (String, String) {
        let (parts, access) = lock(&self.memory.held).clone();
        let shown = |secret: Option<&Secret>| secret.map(Secret::expose).unwrap_or_default().to_owned();
        (shown(parts.get("refresh_token")), shown(access.as_ref().map(|access| &access.token)))
    }

    fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

fn got(token: &str, generation: u64) -> Result<(String, u64), SendError> {
    Ok((token.to_owned(), generation))
}

fn both(refresh_token: &str, access_token: &str) -> (String, String) {
    (refresh_token.to_owned(), access_token.to_owned())
}

#[tokio::test]
async fn a_refusal_is_not_believed_where_another_process_may_hold_the_new_token() {
    let ground = Ground::new(echoing, "renova-0").await;
    ground.memory.abandoned.store(true, Ordering::Relaxed);
    assert!(matches!(ground.token().await, Err(SendError::Renewal(_))));
    // For a while, in which the other may store what it has.
    ground.memory.abandoned.store(false, Ordering::Relaxed);
    assert!(matches!(ground.token().await, Err(SendError::Renewal(_))));
    *lock(&ground.session.doubtful) = Some(Instant::now() - DOUBT - Duration::from_secs(1));
    assert!(matches!(ground.token().await, Err(SendError::CredentialRefused(_))));
}

#[tokio::test]
async fn tokens_that_could_not_be_stored_are_stored_and_used_by_the_next_renewal() {
    let ground = Ground::new(rotating, "renova-0").await;
    ground.fail(KEEP_TRIES + 1);
    assert!(matches!(ground.token().await, Err(SendError::Renewal(_))));
    assert_eq!(ground.stored(), both("renova-0", ""));
    assert_eq!(ground.token().await, got("acesso-1", 1));
    assert_eq!(ground.stored(), both("renova-1", "acesso-1"));
    // Not a second time: the token URL would have refused the refresh token that was still stored.
    assert_eq!(ground.asked().len(), 1);
}

#[tokio::test]
async fn tokens_that_could_not_be_stored_are_given_up_with_the_credential_that_they_were_got_with() {
    let ground = Ground::new(rotating, "renova-0").await;
    ground.fail(KEEP_TRIES);
    assert!(ground.token().await.is_err());
    lock(&ground.memory.held).0 = parts(ground.url.as_str(), "renova-do-operador");
    assert_eq!(ground.token().await, got("acesso-2", 1));
    assert!(ground.asked()[1].contains("refresh_token=renova-do-operador"), "{:?}", ground.asked());
    assert_eq!(ground.stored(), both("renova-2", "acesso-2"));
}

#[tokio::test]
async fn a_token_of_another_account_is_not_got_for_a_scrap_that_runs() {
    let ground = Ground::new(rotating, "renova-0").await;
    lock(&ground.memory.held).0.set("client_id", secret("outro-app"));
    assert!(matches!(ground.token().await, Err(SendError::CredentialRefused(_))));
    assert!(ground.asked().is_empty());
}

#[tokio::test]
async fn tokens_that_could_not_be_stored_are_stored_before_the_program_ends() {
    let ground = Ground::new(rotating, "renova-0").await;
    ground.fail(KEEP_TRIES);
    assert!(ground.token().await.is_err());
    let sessions = TokenSessions::default();
    lock(&sessions.0).insert((1, "bling".to_owned(), TokenGrant::Refresh), vec![Arc::clone(&ground.session)]);
    sessions.settled().await;
    assert_eq!(ground.stored(), both("renova-1", "acesso-1"));
}

#[tokio::test]
async fn a_token_that_was_got_seconds_ago_is_not_renewed_because_it_was_refused() {
    let ground = Ground::new(rotating, "renova-0").await;
    assert_eq!(ground.token().await, got("acesso-1", 1));
    ground.session.refuse(1);
    assert_eq!(ground.token().await, got("acesso-1", 1));
    assert_eq!(ground.asked().len(), 1);
    // As if it were old.
    lock(&ground.session.current).got = None;
    ground.session.refuse(1);
    assert_eq!(ground.token().await, got("acesso-2", 2));
}

#[tokio::test]
async fn a_long_refresh_token_that_the_token_url_echoes_is_not_told() {
    let ground = Ground::new(echoing, &long_token()).await;
    match ground.token().await {
        Err(SendError::CredentialRefused(why)) => {
            assert!(why.contains("-***") && !why.contains(&long_token()[..8]), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_parts_and_the_token_in_use_are_looked_for_however_many_tokens_there_were() {
    let session = seed(&parts("https://erp.example/token", "renova-0000"), Some("acesso-em-uso"));
    for number in 0..100 {
        session.learn([&secret(&format!("acesso-{number:04}"))]);
    }
    let shown = |text: &str| session.redactor().clean_text(text.to_owned());
    assert_eq!(shown("segredo-do-app renova-0000 acesso-em-uso acesso-0099"), "*** *** *** ***");
    assert_eq!(shown("acesso-0000"), "acesso-0000");
    // One that was replaced is for a while.
    session.learn_parts(&parts("https://erp.example/token", "renova-0001"));
    assert_eq!(shown("segredo-do-app renova-0000 renova-0001"), "*** *** ***");
}

#[tokio::test]
async fn a_credential_that_was_replaced_has_a_session_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = StoreUrl::Sqlite(folder.path().join("atlas.db"));
    let store = store::open(&url, None).await.unwrap_or_else(|e| panic!("{e}"));
    let sessions = TokenSessions::default();
    let read = |refresh_token: &str, access: &str| {
        let seed = seed(&parts("https://erp.example/token", refresh_token), Some(access));
        sessions.session(&seed, &store, 1, "bling")
    };
    let first = read("renova-da-conta-a", "acesso-da-conta-a");
    assert!(Arc::ptr_eq(&first, &read("renova-da-conta-a", "acesso-da-conta-a")));
    let second = read("renova-da-conta-b", "acesso-da-conta-b");
    let usable = lock(&second.current).usable().map(|(token, _)| token.expose().to_owned());
    assert_eq!(usable.as_deref(), Some("acesso-da-conta-b"));
    // What the session replaced itself is its own.
    second.learn_parts(&parts("https://erp.example/token", "renova-da-conta-b-2"));
    assert!(Arc::ptr_eq(&second, &read("renova-da-conta-b-2", "acesso-da-conta-b-2")));
    // The first one is still held; it goes when its last holder lets go.
    assert_eq!(lock(&sessions.0).values().flatten().count(), 2);
    drop(first);
    assert!(Arc::ptr_eq(&second, &read("renova-da-conta-b-2", "acesso-da-conta-b-2")));
    assert_eq!(lock(&sessions.0).values().flatten().count(), 1);
}
