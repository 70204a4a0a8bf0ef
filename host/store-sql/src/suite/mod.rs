//! The tests that both stores must pass: each runs against a SQLite file and against a PostgreSQL
//! database of its own. The few that are about one of them alone say so.

mod access;
mod adoption;
mod brief;
mod browse;
mod budgets;
mod clients;
mod concurrency;
mod crash_points;
mod credentials;
mod cursors;
mod database;
mod dba;
mod frontier;
mod ledger;
mod pipeline;
mod publications;
mod quarantine;
mod queue;
mod records;
mod rejects;
mod schedules;
mod schema;
mod scraps;
mod slices;
mod urls;
mod usage;

use std::sync::Arc;

use anyhow::Result;
use atlas_model::*;
use atlas_store::{Fault, Store, StoreError};

use self::database::Database;
use crate::{StoreUrl, open};

/// The client and the route of [`Ground::lease`].
const CLIENT: i32 = 7;
const ROUTE: &str = "pedido";
/// The process that runs them.
const HOST: &str = "este";

/// Runs each test against both stores, on tables that are there (`ready`) or on an empty database
/// (`empty`).
macro_rules! on_both {
    ($ground:ident: $($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() -> anyhow::Result<()> {
                    let database = super::super::database::Database::sqlite()?;
                    super::$name(&super::super::Ground::$ground(database).await?).await
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $name() -> anyhow::Result<()> {
                    let database = super::super::database::Database::postgres().await?;
                    super::$name(&super::super::Ground::$ground(database).await?).await
                }
            )+
        }
    };
}
pub(super) use on_both;

/// What a test stands on: a store, and the database behind it for a look past the store.
struct Ground {
    // First, so that its connections are gone before the database is.
    store: Arc<dyn Store>,
    database: Database,
}

impl Ground {
    async fn empty(database: Database) -> Result<Self> {
        let store = open(&database.url(), None).await?;
        Ok(Self { store, database })
    }

    async fn ready(database: Database) -> Result<Self> {
        let ground = Self::empty(database).await?;
        ground.store.init().await?;
        Ok(ground)
    }

    /// Another store on the same database, as another process would have.
    async fn another(&self) -> Result<Arc<dyn Store>> {
        Ok(open(&self.database.url(), None).await?)
    }

    /// A scrap of [`CLIENT`], who is registered if need be.
    async fn scrap(&self) -> Result<i64> {
        let _ = self.store.add_client(CLIENT, &secret("token")).await;
        Ok(self.store.create_scrap(&new_scrap(CLIENT)).await?)
    }

    /// A claimed scrap.
    async fn lease(&self) -> Result<Lease> {
        let id = self.scrap().await?;
        Ok(self.store.claim(id, &stamp("1.0.0"), HOST).await?)
    }

    /// A scrap that must be there.
    async fn read(&self, id: i64) -> Result<Scrap> {
        self.store.scrap(id).await?.ok_or_else(|| anyhow::anyhow!("scrap {id} is gone"))
    }

    /// The texts of the cursors still to be fetched; `-` for the first page.
    async fn frontier(&self, lease: &Lease, sweep: i32) -> Result<Vec<String>> {
        let pending = self.store.pending(lease, sweep, 0, 10_000).await?;
        Ok(pending.into_iter().map(|p| p.cursor.unwrap_or_else(|| "-".to_owned())).collect())
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// An API that is at this base URL from now on.
fn at(base_url: &str) -> ApiChange<'_> {
    ApiChange { base_url: Some(base_url), ..ApiChange::default() }
}

/// An API that has a credential of its own from now on.
fn credential(secret: &Secret) -> ApiChange<'_> {
    ApiChange { credential: Some(secret), ..ApiChange::default() }
}

fn new_scrap(cliente_id: i32) -> NewScrap {
    NewScrap {
        cliente_id,
        rota: ROUTE.to_owned(),
        period: None,
        page_size: 50,
        settings: "{}".to_owned(),
        host: None,
        slices: Vec::new(),
        batch: None,
        retries: None,
        paused: false,
    }
}

/// One that is due at 100.
fn new_schedule(cliente_id: i32) -> NewSchedule {
    NewSchedule {
        cliente_id,
        rota: ROUTE.to_owned(),
        cron: "0 * * * *".to_owned(),
        timezone: "UTC".to_owned(),
        window_days: Some(2),
        page_size: 0,
        overlap: false,
        next: 100,
    }
}

/// An end without anything to come.
fn end(state: ScrapState, reason: Option<&str>, elapsed_ms: i64) -> RunEnd<'_> {
    RunEnd { state, reason, elapsed_ms, again_in: None, failures: 0, as_asked: false }
}

fn stamp(version: &str) -> ConnectorStamp {
    ConnectorStamp { version: version.to_owned(), sha256: "ab".repeat(32), cursor_format: 1 }
}

/// A hash as `hash_conteudo` holds it.
fn hash(number: usize) -> String {
    format!("{number:064x}")
}

fn page(sweep: i32, cursor: Option<&str>) -> PageKey {
    PageKey { sweep, cursor: CursorId::of(cursor) }
}

/// A page that is done, with no records, that names these cursors.
fn done(page: PageKey, next: &[&str]) -> Checkpoint {
    let next = next.iter().map(|c| NextCursor { id: CursorId::of(Some(c)), cursor: (*c).to_owned() }).collect();
    let facts = PageFacts { total_records: None, members: [1; 32], content: None, branches: [2; 32], repeats: 1 };
    let counts = Counts::default();
    Checkpoint {
        page,
        end: PageEnd::Feita,
        depth: 0,
        counts,
        attempts: 1,
        facts,
        connector_sha256: "ab".repeat(32),
        next,
        row_bytes: 0,
    }
}

/// What kind of error it is; none if it is none.
fn fault<T>(result: std::result::Result<T, StoreError>) -> Option<Fault> {
    result.err().map(|error| error.fault)
}

fn publication<'a>(sha256: &'a str, component: &'a [u8]) -> NewPublication<'a> {
    NewPublication { route: ROUTE, version: "1", sha256, component, signature: None, accepted: false }
}
