//! Queries for pages, records and rejected records, a part at a time.

use std::collections::BTreeMap;

use atlas_model::{
    HostRow, NewestRow, OrigemTotal, PageRow, RawRecord, RecordFilter, Rejected, ScrapSums, StepTotal, notice,
};
use atlas_store::StoreError;
use chrono::{DateTime, Days, NaiveDate, Utc};

use super::atlas::Atlas;
use super::failure::Failure;
use super::kind::Kind;
use crate::zone::Zone;

/// A client's rows of one route and day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayTotal {
    /// The route.
    pub origem: String,
    /// The day, of the zone that was asked for.
    pub dia: NaiveDate,
    /// Rows.
    pub registros: i64,
}

fn failed(error: StoreError) -> Failure {
    Failure::store("op-browse", &error)
}

impl Atlas {
    /// How many scraps are in each state, by the state's name in the table; slices are not counted.
    pub async fn scraps_by_state(&self) -> Result<Vec<(String, i64)>, Failure> {
        self.store().scraps_by_state().await.map_err(failed)
    }

    /// The processes that run scraps.
    pub async fn hosts(&self) -> Result<Vec<HostRow>, Failure> {
        self.store().hosts().await.map_err(failed)
    }

    /// The pages of a scrap in the order in which they became known, after one.
    pub async fn pages(&self, scrap: i64, after: i64, limit: i64) -> Result<Vec<PageRow>, Failure> {
        self.store().pages(scrap, after, limit).await.map_err(failed)
    }

    /// The pages of a scrap that became known last, in that order.
    pub async fn newest_pages(&self, scrap: i64, limit: i64) -> Result<Vec<PageRow>, Failure> {
        self.store().newest_pages(scrap, limit).await.map_err(failed)
    }

    /// Rejected records after one, oldest first.
    pub async fn rejects(&self, scrap: Option<i64>, after: i64, limit: i64) -> Result<Vec<Rejected>, Failure> {
        self.store().rejects(scrap, after, limit).await.map_err(failed)
    }

    /// The first verification query: what a client has of each route, and that no row is there
    /// twice.
    pub async fn totals(&self, cliente_id: i32) -> Result<Vec<OrigemTotal>, Failure> {
        self.store().totals(cliente_id).await.map_err(failed)
    }

    /// The second: a client's newest rows.
    pub async fn newest_rows(&self, cliente_id: i32, limit: i64) -> Result<Vec<NewestRow>, Failure> {
        self.store().newest(cliente_id, limit).await.map_err(failed)
    }

    /// Records before one, newest first, their payloads cut to so many characters.
    pub async fn records(
        &self,
        filter: &RecordFilter,
        before: i64,
        limit: i64,
        longest: i64,
    ) -> Result<Vec<RawRecord>, Failure> {
        self.store().records(filter, before, limit, longest).await.map_err(failed)
    }

    /// Whole records after one, oldest first.
    pub async fn export(&self, filter: &RecordFilter, after: i64, limit: i64) -> Result<Vec<RawRecord>, Failure> {
        self.store().export(filter, after, limit).await.map_err(failed)
    }

    /// Whole records before one, newest first.
    pub async fn read_back(&self, filter: &RecordFilter, before: i64, limit: i64) -> Result<Vec<RawRecord>, Failure> {
        self.store().read_back(filter, before, limit).await.map_err(failed)
    }

    /// One record.
    pub async fn record(&self, id: i64) -> Result<RawRecord, Failure> {
        let found = self.store().record(id).await.map_err(failed)?;
        found.ok_or_else(|| Failure::new("op-browse", notice!("web-record-unknown", id = id), Kind::NotFound))
    }

    /// What a client's scraps came to together.
    pub async fn scrap_sums(&self, cliente_id: i32) -> Result<ScrapSums, Failure> {
        self.store().scrap_sums(cliente_id).await.map_err(failed)
    }

    /// A client's rows by route and by day of a zone: those of the last `days` days, today
    /// included.
    pub async fn rows_by_day(&self, cliente_id: i32, days: u32, zone: Zone) -> Result<Vec<DayTotal>, Failure> {
        let now = Utc::now();
        let first = zone.local(now).date_naive().checked_sub_days(Days::new(u64::from(days.saturating_sub(1))));
        let since = zone.begin_of(first.unwrap_or_default());
        let step = zone.step(since, now);
        let text = since.format("%Y-%m-%d %H:%M:%S").to_string();
        let steps = self.store().rows_by_step(cliente_id, &text, step).await.map_err(failed)?;
        let mut by_day: BTreeMap<(String, NaiveDate), i64> = BTreeMap::new();
        for StepTotal { origem, passo, registros } in steps {
            let Some(begin) = DateTime::from_timestamp(passo.saturating_mul(step), 0) else { continue };
            *by_day.entry((origem, zone.local(begin).date_naive())).or_default() += registros;
        }
        Ok(by_day.into_iter().map(|((origem, dia), registros)| DayTotal { origem, dia, registros }).collect())
    }
}
