//! Messages for operators about connectors that change while scraps run.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use atlas_connectors::{
    HoldReason, Quarantined, RegistryEvent, RegistryObserver, Skipped, Trial, VersionsInUse, Watching,
};
use atlas_model::{Notice, notice};
use atlas_store::Store;

use super::atlas::Atlas;
use super::failure::Failure;
use super::messages::about;

impl Atlas {
    /// Lets changes in the folder of connectors take effect for as long as what this gives is kept.
    pub async fn watch_connectors(&self, observer: Arc<dyn RegistryObserver>) -> Result<Watching, Failure> {
        let registry = self.connectors().registry().await?;
        Ok(registry.watch(observer, Arc::new(UnfinishedScraps { store: Arc::clone(self.store()) })))
    }
}

/// Unfinished scraps need the versions that they were fetched with last.
struct UnfinishedScraps {
    store: Arc<dyn Store>,
}

#[async_trait]
impl VersionsInUse for UnfinishedScraps {
    async fn versions_in_use(&self) -> Option<HashSet<String>> {
        Some(self.store.connectors_in_use().await.ok()?.into_iter().collect())
    }

    async fn quarantined(&self) -> Option<Vec<Quarantined>> {
        Some(self.store.quarantined().await.ok()?.into_iter().map(Quarantined::from).collect())
    }
}

/// The lines about an event that reports no fault.
pub fn event_notices(event: &RegistryEvent) -> Vec<Notice> {
    match event {
        RegistryEvent::TookOver { connector, trial } => {
            let mut notices = vec![about("connector-took-over", connector)];
            if let Trial::Skipped(why) = trial {
                notices.push(match why {
                    Skipped::NoPage => notice!("connector-untried-no-page"),
                    Skipped::OtherCursors => notice!("connector-untried-cursors"),
                    Skipped::OtherRequest(request) => notice!("connector-untried-request", request = request),
                    Skipped::Busy(reason) => notice!("connector-untried-busy", reason = reason),
                });
            }
            notices
        }
        RegistryEvent::RolledBack { connector } => vec![about("connector-rolled-back", connector)],
        RegistryEvent::Removed { path, connector } => {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            vec![about("connector-removed", connector).with("file", &file)]
        }
        RegistryEvent::Held { present, .. } | RegistryEvent::Refused { present, .. } => {
            present.iter().map(|present| about("connector-goes-on", present)).collect()
        }
    }
}

/// The failure that an event reports, if it reports one.
pub fn event_failure(event: &RegistryEvent) -> Option<Failure> {
    match event {
        RegistryEvent::Held { connector, reasons, .. } => {
            let mut failure = Failure::held(connector, reasons);
            failure.causes = reasons.iter().map(|reason| format!("{reason:?}")).collect();
            Some(failure)
        }
        RegistryEvent::Refused { path, error, .. } => Some(Failure::load(path, error)),
        RegistryEvent::TookOver { .. } | RegistryEvent::RolledBack { .. } | RegistryEvent::Removed { .. } => None,
    }
}

/// Why a version is held.
pub fn hold_notice(reason: &HoldReason) -> Notice {
    match reason {
        HoldReason::Records { before, after } => notice!("hold-records", before = before, after = after),
        HoldReason::Requests { added } => notice!("hold-requests", requests = added.join(", ")),
        HoldReason::Credential { before, after } => notice!("hold-credential", before = before, after = after),
        HoldReason::EndedProcess { signal } => notice!("hold-ended-process", signal = signal),
        HoldReason::Unhashed { added } => notice!("hold-unhashed", pointers = added.join(", ")),
    }
}
