//! What opens the page and the API: a password, one-time links, sessions, tokens. The store has no secret of them that could be
//! used: of random ones their SHA-256, of the password its Argon2id hash.

use async_trait::async_trait;
use sqlx::FromRow;

use super::error::StoreError;

/// What kind of thing opens a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// The operator's password. There is one at most.
    Password,
    /// A link that signs in once.
    Link,
    /// A browser that has signed in.
    Session,
    /// A program.
    Token,
}

impl AccessKind {
    /// As the table writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "senha",
            Self::Link => "link",
            Self::Session => "sessao",
            Self::Token => "token",
        }
    }
}

/// How far a door opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// To look at everything.
    Read,
    /// To do everything.
    Full,
}

impl Scope {
    /// As the table writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "leitura",
            Self::Full => "total",
        }
    }

    /// The scope of this name. One that a later version wrote opens no further than reading.
    pub fn from_name(name: &str) -> Self {
        if name == Self::Full.name() { Self::Full } else { Self::Read }
    }
}

/// Something that is to open a door.
#[derive(Clone, Copy)]
pub struct NewAccess<'a> {
    /// What it is.
    pub kind: AccessKind,
    /// What people call it.
    pub name: &'a str,
    /// The hash of its secret.
    pub secret: &'a str,
    /// How far it opens.
    pub scope: Scope,
    /// Until when, in seconds since 1970; none: until it is taken away.
    pub expires: Option<i64>,
}

/// Something that opens a door.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Access {
    /// Its number.
    pub id: i64,
    /// What people call it.
    #[sqlx(rename = "nome")]
    pub name: String,
    /// How far it opens, as the table writes it.
    #[sqlx(rename = "escopo")]
    pub scope: String,
    /// Until when, in seconds since 1970.
    #[sqlx(rename = "expira_em")]
    pub expires: Option<i64>,
    /// When it was used last.
    #[sqlx(rename = "visto_em")]
    pub seen: Option<i64>,
    /// When it was made, as the database writes it.
    #[sqlx(rename = "criado_em")]
    pub created_at: String,
}

/// What came of a request that was made under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// It is the first.
    None,
    /// The first is worked on, or its end was not written down.
    Underway,
    /// The first asked for something else.
    Different,
    /// The first was answered: with this status and this body.
    Answered(i32, String),
}

/// Accesses of one kind that are listed.
pub(super) const ACCESSES_MAX: i64 = 1_000;

/// Doors. Every call is atomic; `now` and all that expires are seconds since 1970.
#[async_trait]
pub trait Doors: Send + Sync {
    /// Has something open a door, and gives its number. A password takes the place of the one before, and ends all
    /// sessions and links.
    async fn add_access(&self, access: &NewAccess<'_>) -> Result<i64, StoreError>;

    /// What has this secret and has not expired.
    async fn access_of(&self, kind: AccessKind, secret: &str, now: i64) -> Result<Option<Access>, StoreError>;

    /// Uses a link up. Of many who try at once, one does.
    async fn use_link(&self, secret: &str, now: i64) -> Result<bool, StoreError>;

    /// The password's hash.
    async fn password(&self) -> Result<Option<String>, StoreError>;

    /// All of a kind, the newest first, at most `ACCESSES_MAX`.
    async fn accesses(&self, kind: AccessKind) -> Result<Vec<Access>, StoreError>;

    /// Notes that it was used, and that it expires later.
    async fn saw_access(&self, id: i64, now: i64, expires: Option<i64>) -> Result<(), StoreError>;

    /// Whether this one is there still, and has not expired.
    async fn has_access(&self, id: i64, now: i64) -> Result<bool, StoreError>;

    /// Takes it away; false if it was not there.
    async fn remove_access(&self, kind: AccessKind, id: i64) -> Result<bool, StoreError>;

    /// Forgets what has expired, and requests that were answered before `since`.
    async fn forget_accesses(&self, now: i64, since: i64) -> Result<(), StoreError>;

    /// Notes that a request is worked on that was made under a key, unless one is known.
    async fn begin_request(&self, access: i64, key: &str, request: &str, now: i64) -> Result<Earlier, StoreError>;

    /// Notes what it was answered; nothing: that it may be made again.
    async fn end_request(&self, access: i64, key: &str, answer: Option<(i32, &str)>) -> Result<(), StoreError>;
}

pub(super) const ADD: &str = "INSERT INTO atlas_acessos (tipo, nome, segredo, escopo, expira_em) \
     VALUES ($1, $2, $3, $4, $5) RETURNING id";

/// Before a new password.
pub(super) const REPLACE_PASSWORD: &str = "DELETE FROM atlas_acessos WHERE tipo IN ('senha', 'sessao', 'link')";

pub(super) const OF: &str = "SELECT id, nome, escopo, expira_em, visto_em, CAST(criado_em AS TEXT) AS criado_em \
     FROM atlas_acessos WHERE segredo = $2 AND tipo = $1 AND (expira_em IS NULL OR expira_em > $3)";

pub(super) const HAS: &str =
    "SELECT COUNT(*) FROM atlas_acessos WHERE id = $1 AND (expira_em IS NULL OR expira_em > $2)";

pub(super) const USE_LINK: &str = "DELETE FROM atlas_acessos WHERE segredo = $1 AND tipo = 'link' AND expira_em > $2";

pub(super) const PASSWORD: &str = "SELECT segredo FROM atlas_acessos WHERE tipo = 'senha' ORDER BY id DESC LIMIT 1";

pub(super) const ALL: &str = "SELECT id, nome, escopo, expira_em, visto_em, CAST(criado_em AS TEXT) AS criado_em \
     FROM atlas_acessos WHERE tipo = $1 ORDER BY id DESC LIMIT $2";

pub(super) const SAW: &str =
    "UPDATE atlas_acessos SET visto_em = $2, expira_em = COALESCE($3, expira_em) WHERE id = $1";

pub(super) const REMOVE: &str = "DELETE FROM atlas_acessos WHERE id = $1 AND tipo = $2";

pub(super) const FORGET: &str = "DELETE FROM atlas_acessos WHERE expira_em <= $1";

pub(super) const FORGET_REQUESTS: &str = "DELETE FROM atlas_pedidos WHERE feito_em < $1";

pub(super) const BEGIN: &str = "INSERT INTO atlas_pedidos (acesso_id, chave, pedido, feito_em) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (acesso_id, chave) DO NOTHING";

pub(super) const EARLIER: &str =
    "SELECT pedido, situacao, resposta FROM atlas_pedidos WHERE acesso_id = $1 AND chave = $2";

pub(super) const ANSWER: &str =
    "UPDATE atlas_pedidos SET situacao = $3, resposta = $4 WHERE acesso_id = $1 AND chave = $2";

pub(super) const AGAIN: &str = "DELETE FROM atlas_pedidos WHERE acesso_id = $1 AND chave = $2";

/// A row of [`EARLIER`].
pub(super) type EarlierRow = (String, Option<i32>, Option<String>);

pub(super) fn earlier(row: Option<EarlierRow>, request: &str) -> Earlier {
    match row {
        Some((known, _, _)) if known != request => Earlier::Different,
        Some((_, Some(status), answer)) => Earlier::Answered(status, answer.unwrap_or_default()),
        // It was there a moment ago: forgotten meanwhile, or to be made again.
        Some((_, None, _)) | None => Earlier::Underway,
    }
}

/// The same on either database, but for how a transaction begins that writes, and for the connections that read: who asks must not wait
/// for what is written.
macro_rules! impl_doors {
    (for $store:ty, reads: $reads:ident, begin: $begin:literal) => {
        const _: () = {
            use crate::store::access::{self, Access};
            use crate::store::{AccessKind, Doors, Earlier, NewAccess, StoreError};
            use async_trait::async_trait;

            #[async_trait]
            impl Doors for $store {
                async fn add_access(&self, new: &NewAccess<'_>) -> Result<i64, StoreError> {
                    let sort = || StoreError::sort("grant access");
                    let mut tx = self.pool.begin_with($begin).await.map_err(sort())?;
                    if new.kind == AccessKind::Password {
                        sqlx::query(access::REPLACE_PASSWORD).execute(&mut *tx).await.map_err(sort())?;
                    }
                    let id = sqlx::query_scalar(access::ADD)
                        .bind(new.kind.name())
                        .bind(new.name)
                        .bind(new.secret)
                        .bind(new.scope.name())
                        .bind(new.expires)
                        .fetch_one(&mut *tx)
                        .await
                        .map_err(sort())?;
                    tx.commit().await.map_err(sort())?;
                    Ok(id)
                }

                async fn access_of(
                    &self,
                    kind: AccessKind,
                    secret: &str,
                    now: i64,
                ) -> Result<Option<Access>, StoreError> {
                    let found = sqlx::query_as(access::OF).bind(kind.name()).bind(secret).bind(now);
                    found.fetch_optional(&self.$reads).await.map_err(StoreError::sort("check an access"))
                }

                async fn use_link(&self, secret: &str, now: i64) -> Result<bool, StoreError> {
                    let used = sqlx::query(access::USE_LINK).bind(secret).bind(now).execute(&self.pool).await;
                    Ok(used.map_err(StoreError::sort("use a sign-in link"))?.rows_affected() > 0)
                }

                async fn password(&self) -> Result<Option<String>, StoreError> {
                    let hash = sqlx::query_scalar(access::PASSWORD).fetch_optional(&self.$reads).await;
                    hash.map_err(StoreError::sort("read the password's hash"))
                }

                async fn accesses(&self, kind: AccessKind) -> Result<Vec<Access>, StoreError> {
                    let all = sqlx::query_as(access::ALL)
                        .bind(kind.name())
                        .bind(access::ACCESSES_MAX)
                        .fetch_all(&self.$reads)
                        .await;
                    all.map_err(StoreError::sort("list accesses"))
                }

                async fn saw_access(&self, id: i64, now: i64, expires: Option<i64>) -> Result<(), StoreError> {
                    let saw = sqlx::query(access::SAW).bind(id).bind(now).bind(expires).execute(&self.pool).await;
                    saw.map(|_| ()).map_err(StoreError::sort("note an access"))
                }

                async fn has_access(&self, id: i64, now: i64) -> Result<bool, StoreError> {
                    let found: Result<i64, _> =
                        sqlx::query_scalar(access::HAS).bind(id).bind(now).fetch_one(&self.$reads).await;
                    found.map(|found| found > 0).map_err(StoreError::sort("check an access"))
                }

                async fn remove_access(&self, kind: AccessKind, id: i64) -> Result<bool, StoreError> {
                    let gone = sqlx::query(access::REMOVE).bind(id).bind(kind.name()).execute(&self.pool).await;
                    Ok(gone.map_err(StoreError::sort("take an access away"))?.rows_affected() > 0)
                }

                async fn forget_accesses(&self, now: i64, since: i64) -> Result<(), StoreError> {
                    let sort = || StoreError::sort("forget expired accesses");
                    sqlx::query(access::FORGET).bind(now).execute(&self.pool).await.map_err(sort())?;
                    sqlx::query(access::FORGET_REQUESTS).bind(since).execute(&self.pool).await.map_err(sort())?;
                    Ok(())
                }

                async fn begin_request(
                    &self,
                    id: i64,
                    key: &str,
                    request: &str,
                    now: i64,
                ) -> Result<Earlier, StoreError> {
                    let sort = || StoreError::sort("note a request");
                    let begin = sqlx::query(access::BEGIN).bind(id).bind(key).bind(request).bind(now);
                    if begin.execute(&self.pool).await.map_err(sort())?.rows_affected() > 0 {
                        return Ok(Earlier::None);
                    }
                    let row = sqlx::query_as(access::EARLIER).bind(id).bind(key).fetch_optional(&self.pool).await;
                    Ok(access::earlier(row.map_err(sort())?, request))
                }

                async fn end_request(&self, id: i64, key: &str, answer: Option<(i32, &str)>) -> Result<(), StoreError> {
                    let end = match answer {
                        Some((status, body)) => sqlx::query(access::ANSWER).bind(id).bind(key).bind(status).bind(body),
                        None => sqlx::query(access::AGAIN).bind(id).bind(key),
                    };
                    let ended = end.execute(&self.pool).await;
                    ended.map(|_| ()).map_err(StoreError::sort("note a request's answer"))
                }
            }
        };
    };
}
pub(super) use impl_doors;
