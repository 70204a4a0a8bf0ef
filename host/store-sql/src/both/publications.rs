//! Connectors that were published to all hosts: their very bytes, in the one place that all hosts
//! share.

use async_trait::async_trait;
use atlas_model::{NewPublication, Publication, PublishedFile};
use atlas_store::{Publications, StoreError};

use super::dialect::{BEGIN, SqlStore};
use super::quarantine::RELEASE;
use crate::error::sorted;
use crate::values::{PublicationRow, PublishedFileRow, values};

/// Publications of one route that are kept, beside those that unfinished scraps need.
pub(crate) const PUBLICATIONS_KEPT: i64 = 10;

const PUBLISH: &str = "INSERT INTO atlas_conectores (rota, versao, sha256, componente, assinatura, aceito) \
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";

const FORGET: &str = "DELETE FROM atlas_conectores WHERE rota = $1 \
     AND id NOT IN (SELECT id FROM atlas_conectores WHERE rota = $1 ORDER BY id DESC LIMIT $2) \
     AND sha256 NOT IN (SELECT conector_sha256 FROM scraps WHERE conector_sha256 IS NOT NULL \
       AND estado NOT IN ('concluido', 'concluido_com_ressalva'))";

/// All publications, with whether a scrap in the queue began with each. The states are those of the
/// queue's index.
const ALL: &str = "SELECT p.id, p.rota, p.versao, p.sha256, p.aceito, EXISTS (SELECT 1 FROM scraps s \
       WHERE s.conector_sha256 = p.sha256 AND s.estado IN ('pendente', 'executando', 'suspenso', 'interrompido')) AS em_uso, \
       CAST(p.criado_em AS TEXT) AS criado_em FROM atlas_conectores p ORDER BY p.id DESC";

const FILE: &str = "SELECT componente, assinatura FROM atlas_conectores WHERE sha256 = $1 ORDER BY id DESC LIMIT 1";

#[async_trait]
impl Publications for SqlStore {
    async fn publish(&self, publication: &NewPublication<'_>) -> Result<i64, StoreError> {
        let sort = || sorted("publish the connector");
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        let id = sqlx::query_scalar(PUBLISH)
            .bind(publication.route)
            .bind(publication.version)
            .bind(publication.sha256)
            .bind(publication.component)
            .bind(publication.signature)
            .bind(publication.accepted)
            .fetch_one(&mut *tx)
            .await
            .map_err(sort())?;
        let old = sqlx::query(FORGET).bind(publication.route).bind(PUBLICATIONS_KEPT);
        old.execute(&mut *tx).await.map_err(sort())?;
        if publication.accepted {
            let release = sqlx::query(RELEASE).bind(publication.sha256);
            release.execute(&mut *tx).await.map_err(sort())?;
        }
        tx.commit().await.map_err(sort())?;
        Ok(id)
    }

    async fn publications(&self) -> Result<Vec<Publication>, StoreError> {
        let all = sqlx::query_as::<_, PublicationRow>(ALL).fetch_all(&self.pool).await;
        all.map(values).map_err(sorted("list the published connectors"))
    }

    async fn published_file(&self, sha256: &str) -> Result<Option<PublishedFile>, StoreError> {
        let file = sqlx::query_as::<_, PublishedFileRow>(FILE).bind(sha256).fetch_optional(&self.pool).await;
        Ok(file.map_err(sorted("fetch a published connector"))?.map(PublishedFile::from))
    }
}
