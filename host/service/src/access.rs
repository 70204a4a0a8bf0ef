//! Authentication and authorisation: the password, one-time links, sessions of browsers and tokens
//! of programs.
//!
//! Secrets are 32 random bytes, shown once; the store has their SHA-256. A password is short enough
//! to be guessed, so of it the store has an Argon2id hash (RFC 9106), which takes memory and time
//! to try.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use atlas_model::{AccessKind, AccessRow, NewAccess, Scope, Secret, Subject, notice};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

use super::atlas::Atlas;
use super::failure::Failure;
use super::kind::Kind;

/// How long a one-time link can be used.
const LINK_S: i64 = 15 * 60;
/// How long a session lasts after it was used last.
pub const SESSION_S: i64 = 12 * 60 * 60;
/// Shortest time between two records of a session's use in the database.
const SESSION_NOTED_S: i64 = 5 * 60;
/// How long a response is kept for a program that repeats the request under its key.
const ANSWERS_S: i64 = 24 * 60 * 60;
/// A password's length, in characters: at least what NIST SP 800-63B asks of one that was chosen
/// freely, and no more than is hashed without effort.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 12..=256;
/// What a token begins with, so that people and scanners know it when they see one.
const TOKEN_PREFIX: &str = "atlas_";
/// The longest name of a token, in characters.
const NAME_MAX: usize = 80;

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The id of the session or token.
    pub access: i64,
    /// What people call it.
    pub name: String,
    /// What the session or token permits.
    pub scope: Scope,
}

/// A kind of operation, as far as permissions tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// See scraps, records, clients without their secrets, connectors.
    Look,
    /// Create scraps and schedules; run, pause and cancel scraps.
    Operate,
    /// Change clients and their tokens, and which connectors serve.
    Configure,
    /// Change the password, and give and revoke tokens.
    Admit,
}

impl Principal {
    /// Whether this caller may do this. All permissions are decided here.
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

    /// Sets the operator's password, and ends all sessions.
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

    /// Uses up a one-time link, and gives the secret of a new session; `None` if the link is
    /// unknown, used or expired.
    pub async fn sign_in_by_link(&self, link: &Secret, browser: &str) -> Result<Option<Secret>, Failure> {
        let used = self.store().use_link(&hash(link.expose()), now()).await;
        if !used.map_err(|e| Failure::store("op-access", &e))? {
            return Ok(None);
        }
        self.begin_session(browser).await.map(Some)
    }

    /// Gives the secret of a new session for the right password; `None` if it is wrong, or none is
    /// set.
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

    /// Deletes expired sessions and links, and responses older than a day.
    pub async fn forget_expired(&self) -> Result<(), Failure> {
        let forgotten = self.store().forget_accesses(now(), now() - ANSWERS_S).await;
        forgotten.map_err(|e| Failure::store("op-access", &e))
    }

    /// Whether a session or token is still valid.
    pub async fn is_let_in(&self, access: i64) -> Result<bool, Failure> {
        self.store().has_access(access, now()).await.map_err(|e| Failure::store("op-access", &e))
    }

    /// The caller whose session has this secret.
    pub async fn session(&self, secret: &Secret) -> Result<Option<Principal>, Failure> {
        let found = self.principal(AccessKind::Session, secret).await?;
        Ok(found)
    }

    /// The program that has this token.
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

    /// Makes a token for a program, and gives its number and its secret. The secret cannot be shown
    /// again: the store has its hash alone.
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

    /// One of the programs' tokens.
    pub async fn token(&self, id: i64) -> Result<AccessRow, Failure> {
        self.tokens().await?.into_iter().find(|token| token.id == id).ok_or_else(|| unknown_token(id))
    }

    /// Takes a program's token away.
    pub async fn revoke_token(&self, id: i64) -> Result<(), Failure> {
        let removed = self.store().remove_access(AccessKind::Token, id).await;
        match removed.map_err(|e| Failure::store("op-access", &e))? {
            true => Ok(()),
            false => Err(unknown_token(id)),
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

/// The hash of a random secret, as the store keeps it. A fast one will do: 32 random bytes cannot
/// be guessed.
fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

fn unknown_token(id: i64) -> Failure {
    Failure::not_found(notice!("error-token-unknown", id = id).about(Subject::Token(id)))
}

fn no_entropy() -> Failure {
    Failure::new("op-access", notice!("error-random"), Kind::Configuration)
}
