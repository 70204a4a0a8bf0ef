//! Replay of rejected records: puts them into the table after a limit was raised, or the reason for
//! which the database refused them is gone.

use std::collections::HashMap;

use atlas_json::{Pointer, RecordLimits};
use atlas_model::{RecordRow, Rejected, Subject, notice};
use atlas_pipeline::content_hash;
use atlas_store::Fault;

use super::atlas::Atlas;
use super::failure::Failure;

/// Read at a time: each may have megabytes.
const PAGE: i64 = 20;

/// What became of a rejected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It is a new row.
    Inserted,
    /// The table had it.
    Duplicate,
    /// It was put there before.
    Before,
    /// It still cannot be kept: why, for programs and for people.
    Rejected(&'static str, String),
}

impl Atlas {
    /// One rejected record.
    pub async fn rejected(&self, id: i64) -> Result<Rejected, Failure> {
        let found = self.store().rejected(id).await.map_err(|error| Failure::store("op-rejects", &error))?;
        found.ok_or_else(|| Failure::not_found(notice!("error-reject-unknown", id = id).about(Subject::Rejected(id))))
    }

    /// Tells of every rejected record, of one scrap if asked, oldest first.
    pub async fn each_rejected(&self, scrap: Option<i64>, mut tell: impl FnMut(Rejected)) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            let page = self.store().rejects(scrap, after, PAGE).await;
            let page = page.map_err(|error| Failure::store("op-rejects", &error))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            page.into_iter().for_each(&mut tell);
        }
    }

    /// Puts rejected records through the same checks once more, under the limits of now, and into
    /// the table. All of a scrap, all that there are, or those with these ids.
    pub async fn replay(
        &self,
        ids: &[i64],
        scrap: Option<i64>,
        mut tell: impl FnMut(&Rejected, &Replayed),
    ) -> Result<(), Failure> {
        let mut unhashed = HashMap::new();
        for id in ids {
            let rejected = self.rejected(*id).await?;
            tell(&rejected, &self.replay_one(&rejected, &mut unhashed).await?);
        }
        if !ids.is_empty() {
            return Ok(());
        }
        let mut after = 0;
        loop {
            let page = self.store().rejects(scrap, after, PAGE).await;
            let page = page.map_err(|error| Failure::store("op-rejects", &error))?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for rejected in page.iter().filter(|rejected| rejected.replayed_at.is_none()) {
                tell(rejected, &self.replay_one(rejected, &mut unhashed).await?);
            }
        }
    }

    async fn replay_one(
        &self,
        rejected: &Rejected,
        unhashed: &mut HashMap<String, Vec<Pointer>>,
    ) -> Result<Replayed, Failure> {
        if rejected.replayed_at.is_some() {
            return Ok(Replayed::Before);
        }
        let route = &rejected.origem;
        if !unhashed.contains_key(route) {
            // The hash leaves out what the serving version declares, as if it fetched the record.
            let Ok(connector) = self.connectors().connector(route).await else {
                return Ok(Replayed::Rejected("no_connector", route.clone()));
            };
            unhashed.insert(route.clone(), connector.descriptor.unhashed.clone());
        }
        let pointers = unhashed.get(route).cloned().unwrap_or_default();
        let limits = self.config().limits_of(route, rejected.cliente_id);
        let limits = RecordLimits { max_bytes: limits.record_bytes, max_depth: limits.record_depth };
        let hash = match content_hash(rejected.cliente_id, route, pointers, limits, &rejected.content) {
            Ok(hash) => hash,
            Err(rejection) => return Ok(Replayed::Rejected(rejection.code(), rejection.to_string())),
        };
        // What has a canonical form is UTF-8.
        let payload = String::from_utf8_lossy(&rejected.content);
        match self.store().replay(rejected, &RecordRow { payload: &payload, hash: &hash }).await {
            Ok(Some(true)) => Ok(Replayed::Inserted),
            Ok(Some(false)) => Ok(Replayed::Duplicate),
            Ok(None) => Ok(Replayed::Before),
            Err(error) if error.fault == Fault::Poison => Ok(Replayed::Rejected("database", error.database_message())),
            Err(error) if error.fault == Fault::NotKept => {
                Ok(Replayed::Rejected("not_kept", error.detail().to_owned()))
            }
            Err(error) => Err(Failure::store("op-rejects", &error)),
        }
    }
}
