//! Authentication of the page and the API: the password, one-time links, sessions, tokens. The
//! store has no secret that could be used: the SHA-256 of random ones, and the Argon2id hash of the
//! password.

use async_trait::async_trait;
use atlas_model::{AccessKind, AccessRow, Earlier, NewAccess};
use atlas_store::{Doors, StoreError};

use super::dialect::{BEGIN, SqlStore};
use crate::error::sorted;
use crate::values::{AccessColumns, values};

/// Accesses of one kind that are listed.
const ACCESSES_MAX: i64 = 1_000;

const ADD: &str = "INSERT INTO atlas_acessos (tipo, nome, segredo, escopo, expira_em) \
     VALUES ($1, $2, $3, $4, $5) RETURNING id";

/// Removes the old password, and all sessions and links, before a new password is inserted.
const REPLACE_PASSWORD: &str = "DELETE FROM atlas_acessos WHERE tipo IN ('senha', 'sessao', 'link')";

const OF: &str = "SELECT id, nome, escopo, expira_em, visto_em, CAST(criado_em AS TEXT) AS criado_em \
     FROM atlas_acessos WHERE segredo = $2 AND tipo = $1 AND (expira_em IS NULL OR expira_em > $3)";

const HAS: &str = "SELECT COUNT(*) FROM atlas_acessos WHERE id = $1 AND (expira_em IS NULL OR expira_em > $2)";

const USE_LINK: &str = "DELETE FROM atlas_acessos WHERE segredo = $1 AND tipo = 'link' AND expira_em > $2";

const PASSWORD: &str = "SELECT segredo FROM atlas_acessos WHERE tipo = 'senha' ORDER BY id DESC LIMIT 1";

const ALL: &str = "SELECT id, nome, escopo, expira_em, visto_em, CAST(criado_em AS TEXT) AS criado_em \
     FROM atlas_acessos WHERE tipo = $1 ORDER BY id DESC LIMIT $2";

const SAW: &str = "UPDATE atlas_acessos SET visto_em = $2, expira_em = COALESCE($3, expira_em) WHERE id = $1";

const REMOVE: &str = "DELETE FROM atlas_acessos WHERE id = $1 AND tipo = $2";

const FORGET: &str = "DELETE FROM atlas_acessos WHERE expira_em <= $1";

const FORGET_REQUESTS: &str = "DELETE FROM atlas_pedidos WHERE feito_em < $1";

const BEGIN_REQUEST: &str = "INSERT INTO atlas_pedidos (acesso_id, chave, pedido, feito_em) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (acesso_id, chave) DO NOTHING";

const EARLIER: &str = "SELECT pedido, situacao, resposta FROM atlas_pedidos WHERE acesso_id = $1 AND chave = $2";

const ANSWER: &str = "UPDATE atlas_pedidos SET situacao = $3, resposta = $4 WHERE acesso_id = $1 AND chave = $2";

const AGAIN: &str = "DELETE FROM atlas_pedidos WHERE acesso_id = $1 AND chave = $2";

/// A row of [`EARLIER`].
type EarlierRow = (String, Option<i32>, Option<String>);

fn earlier(row: Option<EarlierRow>, request: &str) -> Earlier {
    match row {
        Some((known, _, _)) if known != request => Earlier::Different,
        Some((_, Some(status), answer)) => Earlier::Answered(status, answer.unwrap_or_default()),
        // The row was there a moment ago: it was deleted meanwhile, or the request may be repeated.
        Some((_, None, _)) | None => Earlier::Underway,
    }
}

#[async_trait]
impl Doors for SqlStore {
    async fn add_access(&self, new: &NewAccess<'_>) -> Result<i64, StoreError> {
        let sort = || sorted("grant access");
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        if new.kind == AccessKind::Password {
            sqlx::query(REPLACE_PASSWORD).execute(&mut *tx).await.map_err(sort())?;
        }
        let id = sqlx::query_scalar(ADD)
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

    async fn access_of(&self, kind: AccessKind, secret: &str, now: i64) -> Result<Option<AccessRow>, StoreError> {
        let found = sqlx::query_as(OF).bind(kind.name()).bind(secret).bind(now);
        let found: Option<AccessColumns> =
            found.fetch_optional(&self.readers).await.map_err(sorted("check an access"))?;
        Ok(found.map(AccessRow::from))
    }

    async fn use_link(&self, secret: &str, now: i64) -> Result<bool, StoreError> {
        let used = sqlx::query(USE_LINK).bind(secret).bind(now).execute(&self.pool).await;
        Ok(used.map_err(sorted("use a sign-in link"))?.rows_affected() > 0)
    }

    async fn password(&self) -> Result<Option<String>, StoreError> {
        let hash = sqlx::query_scalar(PASSWORD).fetch_optional(&self.readers).await;
        hash.map_err(sorted("read the password's hash"))
    }

    async fn accesses(&self, kind: AccessKind) -> Result<Vec<AccessRow>, StoreError> {
        let all =
            sqlx::query_as::<_, AccessColumns>(ALL).bind(kind.name()).bind(ACCESSES_MAX).fetch_all(&self.readers).await;
        all.map(values).map_err(sorted("list accesses"))
    }

    async fn saw_access(&self, id: i64, now: i64, expires: Option<i64>) -> Result<(), StoreError> {
        let saw = sqlx::query(SAW).bind(id).bind(now).bind(expires).execute(&self.pool).await;
        saw.map(|_| ()).map_err(sorted("note an access"))
    }

    async fn has_access(&self, id: i64, now: i64) -> Result<bool, StoreError> {
        let found: Result<i64, _> = sqlx::query_scalar(HAS).bind(id).bind(now).fetch_one(&self.readers).await;
        found.map(|found| found > 0).map_err(sorted("check an access"))
    }

    async fn remove_access(&self, kind: AccessKind, id: i64) -> Result<bool, StoreError> {
        let gone = sqlx::query(REMOVE).bind(id).bind(kind.name()).execute(&self.pool).await;
        Ok(gone.map_err(sorted("take an access away"))?.rows_affected() > 0)
    }

    async fn forget_accesses(&self, now: i64, since: i64) -> Result<(), StoreError> {
        let sort = || sorted("forget expired accesses");
        sqlx::query(FORGET).bind(now).execute(&self.pool).await.map_err(sort())?;
        sqlx::query(FORGET_REQUESTS).bind(since).execute(&self.pool).await.map_err(sort())?;
        Ok(())
    }

    async fn begin_request(&self, id: i64, key: &str, request: &str, now: i64) -> Result<Earlier, StoreError> {
        let sort = || sorted("note a request");
        let begin = sqlx::query(BEGIN_REQUEST).bind(id).bind(key).bind(request).bind(now);
        if begin.execute(&self.pool).await.map_err(sort())?.rows_affected() > 0 {
            return Ok(Earlier::None);
        }
        let row = sqlx::query_as(EARLIER).bind(id).bind(key).fetch_optional(&self.pool).await;
        Ok(earlier(row.map_err(sort())?, request))
    }

    async fn end_request(&self, id: i64, key: &str, answer: Option<(i32, &str)>) -> Result<(), StoreError> {
        let end = match answer {
            Some((status, body)) => sqlx::query(ANSWER).bind(id).bind(key).bind(status).bind(body),
            None => sqlx::query(AGAIN).bind(id).bind(key),
        };
        let ended = end.execute(&self.pool).await;
        ended.map(|_| ()).map_err(sorted("note a request's answer"))
    }
}
