//! Who may come in, and what they may do: the password, one-time links, sessions of browsers and
//! tokens of programs.
//!
//! Secrets are 32 random bytes, shown once; the store has their SHA-256. A password is short enough
//! to be guessed, so of it the store has an Argon2id hash (RFC 9106), which takes memory and time
//! to try.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use atlas_model::{AccessKind, AccessRow, NewAccess, Scope, Secret, notice};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

use super::Atlas;
use super::failure::{Exit, Failure};

/// How long a one-time link can be used.
const LINK_S: i64 = 15 * 60;
/// How long a session lasts after it was used last.
pub const SESSION_S: i64 = 12 * 60 * 60;
/// How often its use is written down.
const SESSION_NOTED_S: i64 = 5 * 60;
/// How long an answer is kept for who asks the same again.
const ANSWERS_S: i64 = 24 * 60 * 60;
/// A password's length, in characters: at least what NIST SP 800-63B asks of one that was chosen
/// freely, and no more than is hashed without effort.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 12..=256;
/// What a token begins with, so that people and scanners know it when they see one.
const TOKEN_PREFIX: &str = "atlas_";
/// The longest name of a token, in characters.
const NAME_MAX: usize = 80;

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The number of what let them in.
    pub access: i64,
    /// What people call it.
    pub name: String,
    /// How far it lets them.
    pub scope: Scope,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// See scraps, records, clients without their secrets, connectors.
    Look,
    /// Create scraps and schedules, and say what becomes of them.
    Operate,
    /// Change clients and their tokens, and which connectors serve.
    Configure,
    /// Let others in, or keep them out.
    Admit,
}

impl Principal {
    /// Decides who may do what: nobody else does.
    pub fn may(&self, act: Act) -> bool {
        match self.scope {
            Scope::Full => true,
            Scope::Read => act == Act::Look,
        }
    }
}

impl Atlas {
    /// Makes a secret that signs in once, within a quarter of an hour.
    pub async fn make_link(&self) -> Result<Secret, Failure> {
        self.admit(AccessKind::Link, "link", "", Scope::Full, Some(LINK_S)).await.map(|(_, secret)| secret)
    }

    /// Sets the operator's password. Whoever is signed in has to sign in again.
    pub async fn set_password(&self, password: &Secret) -> Result<(), Failure> {
        let length = password.expose().chars().count();
        if !PASSWORD_LENGTH.contains(&length) {
            let (min, max) = (PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end());
            return Err(Failure::usage(notice!("error-password-length", min = min, max = max)));
        }
        let password = password.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            Argon2::default().hash_password(password.expose().as_bytes()).map(|hash| hash.to_string())
        });
        let hash = hashed.await.ok().and_then(Result::ok).ok_or_else(no_entropy)?;
        let new =
            NewAccess { kind: AccessKind::Password, name: "senha", secret: &hash, scope: Scope::Full, expires: None };
        self.store().add_access(&new).await.map_err(|e| Failure::store("op-access", &e))?;
        Ok(())
    }

    /// Whether there is a password.
    pub async fn has_password(&self) -> Result<bool, Failure> {
        let password = self.store().password().await.map_err(|e| Failure::store("op-access", &e))?;
        Ok(password.is_some())
    }

    /// Uses a one-time link up, and gives a session's secret; none: there is no such link (any
    /// more).
    pub async fn sign_in_by_link(&self, link: &Secret, browser: &str) -> Result<Option<Secret>, Failure> {
        let used = self.store().use_link(&hash(link.expose()), now()).await;
        if !used.map_err(|e| Failure::store("op-access", &e))? {
            return Ok(None);
        }
        self.begin_session(browser).await.map(Some)
    }

    /// Gives a session's secret for the password; none: it is another, or there is none.
    pub async fn sign_in_by_password(&self, password: &Secret, browser: &str) -> Result<Option<Secret>, Failure> {
        let Some(hash) = self.store().password().await.map_err(|e| Failure::store("op-access", &e))? else {
            return Ok(None);
        };
        let password = password.clone();
        let verified = tokio::task::spawn_blocking(move || {
            PasswordHash::new(&hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
        });
        if !verified.await.unwrap_or_default() {
            return Ok(None);
        }
        self.begin_session(browser).await.map(Some)
    }

    async fn begin_session(&self, browser: &str) -> Result<Secret, Failure> {
        self.forget_expired().await?;
        let name: String = browser.chars().take(NAME_MAX).collect();
        self.admit(AccessKind::Session, &name, "", Scope::Full, Some(SESSION_S)).await.map(|(_, secret)| secret)
    }

    /// Forgets what has expired, and old answers.
    pub async fn forget_expired(&self) -> Result<(), Failure> {
        let forgotten = self.store().forget_accesses(now(), now() - ANSWERS_S).await;
        forgotten.map_err(|e| Failure::store("op-access", &e))
    }

    /// Whether what let somebody in is there still.
    pub async fn is_let_in(&self, access: i64) -> Result<bool, Failure> {
        self.store().has_access(access, now()).await.map_err(|e| Failure::store("op-access", &e))
    }

    /// Whose session has this secret.
    pub async fn session(&self, secret: &Secret) -> Result<Option<Principal>, Failure> {
        let found = self.principal(AccessKind::Session, secret).await?;
        Ok(found)
    }

    /// Which program has this token.
    pub async fn program(&self, token: &Secret) -> Result<Option<Principal>, Failure> {
        if !token.expose().starts_with(TOKEN_PREFIX) {
            return Ok(None);
        }
        self.principal(AccessKind::Token, token).await
    }

    async fn principal(&self, kind: AccessKind, secret: &Secret) -> Result<Option<Principal>, Failure> {
        let now = now();
        let found = self.store().access_of(kind, &hash(secret.expose()), now).await;
        let Some(found) = found.map_err(|e| Failure::store("op-access", &e))? else { return Ok(None) };
        if found.seen.is_none_or(|seen| now - seen >= SESSION_NOTED_S) {
            let expires = (kind == AccessKind::Session).then_some(now + SESSION_S);
            let noted = self.store().saw_access(found.id, now, expires).await;
            noted.map_err(|e| Failure::store("op-access", &e))?;
        }
        Ok(Some(Principal { access: found.id, scope: Scope::from_name(&found.scope), name: found.name }))
    }

    /// Ends a session.
    pub async fn sign_out(&self, session: i64) -> Result<(), Failure> {
        let removed = self.store().remove_access(AccessKind::Session, session).await;
        removed.map(|_| ()).map_err(|e| Failure::store("op-access", &e))
    }

    /// Makes a token for a program, and gives its number and its secret, which nobody is shown
    /// again.
    pub async fn add_token(&self, name: &str, scope: Scope) -> Result<(i64, Secret), Failure> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME_MAX {
            return Err(Failure::usage(notice!("error-token-name", max = NAME_MAX)));
        }
        self.admit(AccessKind::Token, name, TOKEN_PREFIX, scope, None).await
    }

    /// The programs' tokens, without their secrets, the newest first.
    pub async fn tokens(&self) -> Result<Vec<AccessRow>, Failure> {
        self.store().accesses(AccessKind::Token).await.map_err(|e| Failure::store("op-access", &e))
    }

    /// Takes a program's token away.
    pub async fn revoke_token(&self, id: i64) -> Result<(), Failure> {
        let removed = self.store().remove_access(AccessKind::Token, id).await;
        match removed.map_err(|e| Failure::store("op-access", &e))? {
            true => Ok(()),
            false => Err(Failure::not_found(notice!("error-token-unknown", id = id))),
        }
    }

    async fn admit(
        &self,
        kind: AccessKind,
        name: &str,
        prefix: &str,
        scope: Scope,
        seconds: Option<i64>,
    ) -> Result<(i64, Secret), Failure> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| no_entropy())?;
        let secret = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
        let expires = seconds.map(|seconds| now() + seconds);
        let new = NewAccess { kind, name, secret: &hash(&secret), scope, expires };
        let id = self.store().add_access(&new).await.map_err(|e| Failure::store("op-access", &e))?;
        Ok((id, Secret::new(secret)))
    }
}

fn now() -> i64 {
    Utc::now().timestamp()
}

/// What the store has of a random secret. It cannot be guessed, so nothing has to make guessing
/// slow.
fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

fn no_entropy() -> Failure {
    Failure::new("op-access", notice!("error-random"), Exit::Configuration)
}
