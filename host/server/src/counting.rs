//! Questions that read a whole table: what a client has, and how much came on each day. `dados_raw`
//! has no index for them, since one would slow every insertion, so on a large table they take
//! minutes.
//!
//! So they are asked of the database one at a time, and once for all who ask the same. Whoever has
//! waited for [`PATIENCE`] is told that it takes longer; the count goes on, and its answer stands
//! for [`GOOD_FOR`], for when they come back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atlas_model::{NewestRow, OrigemTotal, ScrapSums, notice};
use atlas_service::zone::Zone;
use atlas_service::{Atlas, DayTotal, Exit, Failure};
use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, watch};

/// How long somebody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer is good that somebody did not wait for.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// Questions at a time, and whose answers are kept.
const QUESTIONS_MAX: usize = 100;
/// Newest rows of the second verification query, as the document has it.
const NEWEST: i64 = 5;
/// Days of which records are counted.
pub(super) const DAYS: u32 = 30;

/// What the two verification queries say of a client, and what came lately.
#[derive(Debug)]
pub(super) struct Overview {
    /// When it was counted.
    pub(super) at: DateTime<Utc>,
    pub(super) totals: Vec<OrigemTotal>,
    pub(super) newest: Vec<NewestRow>,
    /// What its scraps came to.
    pub(super) sums: ScrapSums,
    /// Of the last [`DAYS`] days.
    pub(super) days: Vec<DayTotal>,
}

type Answer = Result<Arc<Overview>, Failure>;

/// A question that was asked.
struct Question {
    begun: Instant,
    answer: watch::Receiver<Option<(Instant, Answer)>>,
}

impl Question {
    /// Whether it is still being answered, or its answer is one that somebody comes back for.
    fn stands(&self) -> bool {
        match &*self.answer.borrow() {
            Some((at, Ok(_))) => at.duration_since(self.begun) > PATIENCE && at.elapsed() < GOOD_FOR,
            // The next one may go better.
            Some((_, Err(_))) => false,
            // Nobody answers it any more: it was broken off.
            None => self.answer.has_changed().is_ok(),
        }
    }
}

/// What is being counted.
pub(super) struct Counting {
    turn: Arc<Semaphore>,
    asked: Mutex<BTreeMap<(i32, &'static str), Question>>,
}

impl Counting {
    pub(super) fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), asked: Mutex::default() }
    }

    /// What a client has, by days of a zone. Fails with `web-counting` where that takes longer than
    /// anybody waits.
    pub(super) async fn overview(&self, atlas: &Arc<Atlas>, cliente_id: i32, zone: Zone) -> Answer {
        let late = || Failure::new("op-browse", notice!("web-counting", client = cliente_id), Exit::Configuration);
        let mut answer = self.ask(atlas, cliente_id, zone).ok_or_else(late)?;
        let answered = tokio::time::timeout(PATIENCE, answer.wait_for(Option::is_some)).await;
        match answered.as_ref().map(|found| found.as_deref()) {
            Ok(Ok(Some((_, answer)))) => answer.clone(),
            _ => Err(late()),
        }
    }

    /// Asks it, unless somebody has; none: too much is being asked.
    fn ask(
        &self,
        atlas: &Arc<Atlas>,
        cliente_id: i32,
        zone: Zone,
    ) -> Option<watch::Receiver<Option<(Instant, Answer)>>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
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
