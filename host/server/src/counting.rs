//! Counts that read a whole table: a client's rows by route, and by day. `dados_raw` has no index
//! for them, since one would slow every insertion, so on a large table they take minutes.
//!
//! The server therefore runs one such query at a time, and requests for the same count share its
//! result. A request that has waited for [`PATIENCE`] is answered with "takes longer"; the query
//! goes on, and its result is kept for [`GOOD_FOR`], for the request that asks again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_model::{NewestRow, OrigemTotal, ScrapSums, notice};
use atlas_service::zone::Zone;
use atlas_service::{Atlas, DayTotal, Failure, Kind};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

/// How long a request waits for its count.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a count is kept that finished after its request had given up waiting.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// Counts that are pending or kept, at most; a request for one more is answered as a late one.
const QUESTIONS_MAX: usize = 100;
/// Newest rows of the second verification query, as the document has it.
const NEWEST: i64 = 5;
/// Days of which records are counted.
pub(super) const DAYS: u32 = 30;

/// A client's counts: the results of the two verification queries, and its rows of the last days.
#[derive(Debug)]
pub(super) struct Overview {
    /// When it was counted.
    pub(super) at: DateTime<Utc>,
    pub(super) totals: Vec<OrigemTotal>,
    pub(super) newest: Vec<NewestRow>,
    /// Sums over its scraps.
    pub(super) sums: ScrapSums,
    /// Rows of the last [`DAYS`] days.
    pub(super) days: Vec<DayTotal>,
}

type Answer = Result<Arc<Overview>, Failure>;

/// A count of one client, pending or finished.
struct Question {
    begun: Instant,
    answer: watch::Receiver<Option<(Instant, Answer)>>,
}

impl Question {
    /// Whether this count is kept: it is pending, or it finished too late for the request that
    /// began it, within the last [`GOOD_FOR`].
    fn stands(&self) -> bool {
        match &*self.answer.borrow() {
            Some((at, Ok(_))) => at.duration_since(self.begun) > PATIENCE && at.elapsed() < GOOD_FOR,
            // The next one may go better.
            Some((_, Err(_))) => false,
            // The task that counts ended without a result if the channel is closed.
            None => self.answer.has_changed().is_ok(),
        }
    }
}

/// The counts that are pending or kept, and the turn that lets one query run at a time.
pub(super) struct Counting {
    turn: Arc<Semaphore>,
    asked: Mutex<BTreeMap<(i32, &'static str), Question>>,
}

impl Counting {
    pub(super) fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), asked: Mutex::default() }
    }

    /// Counts a client's rows, its days those of a zone. Fails with `web-counting` after
    /// [`PATIENCE`].
    pub(super) async fn overview(&self, atlas: &Arc<Atlas>, cliente_id: i32, zone: Zone) -> Answer {
        let late = || Failure::new("op-browse", notice!("web-counting", client = cliente_id), Kind::Configuration);
        let mut answer = self.ask(atlas, cliente_id, zone).ok_or_else(late)?;
        let answered = tokio::time::timeout(PATIENCE, answer.wait_for(Option::is_some)).await;
        match answered.as_ref().map(|found| found.as_deref()) {
            Ok(Ok(Some((_, answer)))) => answer.clone(),
            _ => Err(late()),
        }
    }

    /// Starts a count, or joins the one for the same client and zone. `None` when [`QUESTIONS_MAX`]
    /// are pending or kept.
    fn ask(
        &self,
        atlas: &Arc<Atlas>,
        cliente_id: i32,
        zone: Zone,
    ) -> Option<watch::Receiver<Option<(Instant, Answer)>>> {
        let mut asked = self.asked.lock();
        asked.retain(|_, question| question.stands());
        if let Some(question) = asked.get(&(cliente_id, zone.name())) {
            return Some(question.answer.clone());
        }
        if asked.len() >= QUESTIONS_MAX {
            return None;
        }
        let (say, answer) = watch::channel(None);
        let (turn, atlas) = (Arc::clone(&self.turn), Arc::clone(atlas));
        tokio::spawn(async move {
            let Ok(_turn) = turn.acquire().await else { return };
            let answer = counted(&atlas, cliente_id, zone).await;
            say.send_replace(Some((Instant::now(), answer)));
        });
        asked.insert((cliente_id, zone.name()), Question { begun: Instant::now(), answer: answer.clone() });
        Some(answer)
    }
}

async fn counted(atlas: &Atlas, cliente_id: i32, zone: Zone) -> Answer {
    Ok(Arc::new(Overview {
        at: Utc::now(),
        totals: atlas.totals(cliente_id).await?,
        newest: atlas.newest_rows(cliente_id, NEWEST).await?,
        sums: atlas.scrap_sums(cliente_id).await?,
        days: atlas.rows_by_day(cliente_id, DAYS, zone).await?,
    }))
}
