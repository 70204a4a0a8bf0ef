//! Connectors that were published to all hosts: their very bytes, in the one place that all hosts share.

use async_trait::async_trait;
use sqlx::FromRow;

use super::error::StoreError;

/// Publications of one route that are kept, beside those that unfinished scraps need.
pub(super) const PUBLICATIONS_KEPT: i64 = 10;

/// A connector to be published.
#[derive(Debug, Clone, Copy)]
pub struct NewPublication<'a> {
    /// The route.
    pub route: &'a str,
    /// Its own version, for people.
    pub version: &'a str,
    /// The component's SHA-256, lower-case hex.
    pub sha256: &'a str,
    /// The component.
    pub component: &'a [u8],
    /// Its signature's file.
    pub signature: Option<&'a [u8]>,
    /// Whether it is accepted on every host, whatever it asks for.
    pub accepted: bool,
}

/// What was published, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Publication {
    /// Its number: the greater, the newer.
    pub id: i64,
    /// The route.
    pub rota: String,
    /// Its own version, for people.
    pub versao: String,
    /// The component's SHA-256.
    pub sha256: String,
    /// Whether it is accepted on every host.
    pub aceito: bool,
    /// Whether a scrap in the queue began with it.
    pub em_uso: bool,
    /// When, as the database writes it.
    pub criado_em: String,
}

/// The bytes.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PublishedFile {
    /// The component.
    #[sqlx(rename = "componente")]
    pub component: Vec<u8>,
    /// Its signature's file.
    #[sqlx(rename = "assinatura")]
    pub signature: Option<Vec<u8>>,
}

/// Publishing. Every call is atomic.
#[async_trait]
pub trait Publications: Send + Sync {
    /// Publishes a connector as its route's newest, and gives its number. Forgets those that came
    /// long before it, and, if it is accepted, that it was held on all hosts.
    async fn publish(&self, publication: &NewPublication<'_>) -> Result<i64, StoreError>;

    /// All publications, the newest first.
    async fn publications(&self) -> Result<Vec<Publication>, StoreError>;

    /// The file of this digest, as it was published last.
    async fn published_file(&self, sha256: &str) -> Result<Option<PublishedFile>, StoreError>;
}

pub(super) const PUBLISH: &str = "INSERT INTO atlas_conectores (rota, versao, sha256, componente, assinatura, aceito) \
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";

pub(super) const FORGET: &str = "DELETE FROM atlas_conectores WHERE rota = $1 \
     AND id NOT IN (SELECT id FROM atlas_conectores WHERE rota = $1 ORDER BY id DESC LIMIT $2) \
     AND sha256 NOT IN (SELECT conector_sha256 FROM scraps WHERE conector_sha256 IS NOT NULL \
       AND estado NOT IN ('concluido', 'concluido_com_ressalva'))";

/// The states are those of the queue's index.
pub(super) const ALL: &str = "SELECT p.id, p.rota, p.versao, p.sha256, p.aceito, EXISTS (SELECT 1 FROM scraps s \
       WHERE s.conector_sha256 = p.sha256 AND s.estado IN ('pendente', 'executando', 'suspenso', 'interrompido')) AS em_uso, \
       CAST(p.criado_em AS TEXT) AS criado_em FROM atlas_conectores p ORDER BY p.id DESC";

pub(super) const FILE: &str =
    "SELECT componente, assinatura FROM atlas_conectores WHERE sha256 = $1 ORDER BY id DESC LIMIT 1";

/// The same on either database, but for how a transaction begins that writes.
macro_rules! impl_publications {
    (for $store:ty, begin: $begin:literal) => {
        const _: () = {
            use crate::store::publications::{self, PUBLICATIONS_KEPT};
            use crate::store::{NewPublication, Publication, Publications, PublishedFile, StoreError};
            use async_trait::async_trait;

            #[async_trait]
            impl Publications for $store {
                async fn publish(&self, publication: &NewPublication<'_>) -> Result<i64, StoreError> {
                    let sort = || StoreError::sort("publish the connector");
                    let mut tx = self.pool.begin_with($begin).await.map_err(sort())?;
                    let id = sqlx::query_scalar(publications::PUBLISH)
                        .bind(publication.route)
                        .bind(publication.version)
                        .bind(publication.sha256)
                        .bind(publication.component)
                        .bind(publication.signature)
                        .bind(publication.accepted)
                        .fetch_one(&mut *tx)
                        .await
                        .map_err(sort())?;
                    let old = sqlx::query(publications::FORGET).bind(publication.route).bind(PUBLICATIONS_KEPT);
                    old.execute(&mut *tx).await.map_err(sort())?;
                    if publication.accepted {
                        let release = sqlx::query(crate::store::quarantine::RELEASE).bind(publication.sha256);
                        release.execute(&mut *tx).await.map_err(sort())?;
                    }
                    tx.commit().await.map_err(sort())?;
                    Ok(id)
                }

                async fn publications(&self) -> Result<Vec<Publication>, StoreError> {
                    let all = sqlx::query_as(publications::ALL).fetch_all(&self.pool).await;
                    all.map_err(StoreError::sort("list the published connectors"))
                }

                async fn published_file(&self, sha256: &str) -> Result<Option<PublishedFile>, StoreError> {
                    let file = sqlx::query_as(publications::FILE).bind(sha256).fetch_optional(&self.pool).await;
                    file.map_err(StoreError::sort("fetch a published connector"))
                }
            }
        };
    };
}
pub(super) use impl_publications;
