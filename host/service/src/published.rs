//! Connectors that are published to all hosts. Each host that takes scraps from the queue gets the
//! newest version of each into its folder of connectors, and keeps those that scraps in the queue
//! began with.

use std::collections::HashSet;
use std::path::Path;

use atlas_connectors::{Arrival, Connector};
use atlas_model::{NewPublication, Publication, notice};
use atlas_store::StoreError;

use super::atlas::Atlas;
use super::failure::Failure;
use super::kind::Kind;

impl Atlas {
    /// Publishes a file, once it has passed what every file has to pass before it serves.
    /// `accepted`: no host asks for a word about it. Gives what it is.
    pub async fn publish_connector(&self, file: &Path, accepted: bool) -> Result<Connector, Failure> {
        let connector = self.connectors().inspect(file).await?;
        let publication = NewPublication {
            route: &connector.descriptor.route,
            version: &connector.descriptor.version,
            sha256: &connector.sha256,
            component: connector.component(),
            signature: connector.signature(),
            accepted,
        };
        self.store().publish(&publication).await.map_err(|error| Failure::store("op-connector", &error))?;
        Ok(connector)
    }

    /// What was published, the newest first.
    pub async fn publications(&self) -> Result<Vec<Publication>, Failure> {
        self.store().publications().await.map_err(|error| Failure::store("op-connector", &error))
    }

    /// Puts what was published last of each route into the folder of connectors, unless that was
    /// done before, and keeps what scraps in the queue began with. One that cannot be put there
    /// does not hinder the others: gives why, for each.
    pub async fn take_published(&self) -> Vec<Failure> {
        let mut failures = Vec::new();
        if let Err(failure) = self.take_each(&mut failures).await {
            failures.push(failure);
        }
        failures
    }

    async fn take_each(&self, failures: &mut Vec<Failure>) -> Result<(), Failure> {
        let publications = self.publications().await?;
        if publications.is_empty() {
            return Ok(());
        }
        let registry = self.connectors().registry().await?;
        let versions: HashSet<String> = registry.versions().await.into_iter().collect();
        let mut routes = HashSet::new();
        for publication in &publications {
            let Publication { rota, sha256, .. } = publication;
            let is_newest = routes.insert(rota);
            let is_wanted = is_newest && !registry.has_taken(rota, &name(publication), sha256).await;
            let is_needed = publication.em_uso && !versions.contains(sha256) && !registry.remembers_nothing();
            if !is_wanted && !is_needed {
                continue;
            }
            let Some(arrival) = self.arrival(publication).await? else { continue };
            let taken = if is_wanted {
                registry.put(rota, arrival).await
            } else {
                registry.keep_version(arrival).await.map(drop)
            };
            failures.extend(taken.err().map(|error| self.not_taken(publication, &error)));
        }
        Ok(())
    }

    /// Keeps the version of this digest, if it was published. False: it was not, or nothing is kept
    /// here.
    pub(super) async fn keep_published(&self, sha256: &str) -> Result<bool, Failure> {
        let publications = self.publications().await?;
        let Some(publication) = publications.iter().find(|publication| publication.sha256 == sha256) else {
            return Ok(false);
        };
        let Some(arrival) = self.arrival(publication).await? else { return Ok(false) };
        let kept = self.connectors().registry().await?.keep_version(arrival).await;
        kept.map_err(|error| self.not_taken(publication, &error))
    }

    fn not_taken(&self, publication: &Publication, error: &std::io::Error) -> Failure {
        let folder = self.connectors().folder().display();
        let notice = notice!("published-not-taken", route = publication.rota, folder = folder, reason = error);
        Failure::new("op-connector", notice, Kind::Connector).because(error)
    }

    /// Reads a publication's bytes; `None` if it was removed meanwhile.
    async fn arrival(&self, publication: &Publication) -> Result<Option<Arrival>, Failure> {
        let failed = |error: StoreError| Failure::store("op-connector", &error);
        let file = self.store().published_file(&publication.sha256).await.map_err(failed)?;
        Ok(file.map(|file| Arrival {
            publication: name(publication),
            sha256: publication.sha256.clone(),
            component: file.component,
            signature: file.signature,
            accepted: publication.aceito,
        }))
    }
}

/// A publication's name: its number and its digest, since a folder may be used with several
/// databases, each with numbers of its own.
fn name(publication: &Publication) -> String {
    format!("{}:{}", publication.id, publication.sha256)
}
