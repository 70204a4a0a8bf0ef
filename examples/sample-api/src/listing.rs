//! Which records a listing holds, by number. A number follows from the absolute day, not from the
//! period asked for: two periods that overlap list the very same records, which is what a host that
//! looks for duplicates must be tested with.
//!
//! Events are a listing too: of what nobody has acknowledged yet.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, ensure};
use chrono::{Days, NaiveDate};

use crate::{Moving, Rota, Settings, dice::Dice};

/// The first day on which the source holds anything, and the day that numbers count from.
const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("a day that exists");
/// Records that a move added have numbers of their own, far above those of any day.
const ADDED_FRONT: u64 = 1 << 50;
const ADDED_END: u64 = 1 << 51;

/// Days, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Period {
    pub(crate) from: NaiveDate,
    pub(crate) to: NaiveDate,
}

impl Period {
    pub(crate) fn parse(from: &str, to: &str) -> anyhow::Result<Self> {
        let day = |text: &str| {
            ensure!(text.len() == 10, "{text:?} is not a date YYYY-MM-DD");
            NaiveDate::parse_from_str(text, "%Y-%m-%d").with_context(|| format!("{text:?} is not a date YYYY-MM-DD"))
        };
        let period = Self { from: day(from)?, to: day(to)? };
        ensure!(period.from <= period.to, "the period ends before it begins");
        Ok(period)
    }
}

/// What a listing is of. Routes that ignore the dates have no period, so that all their listings
/// are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ListKey {
    pub(crate) cliente: u32,
    pub(crate) rota: Rota,
    pub(crate) period: Option<Period>,
}

impl ListKey {
    /// The numbers that the listing holds before anything moves.
    pub(crate) fn standing(&self, settings: &Settings) -> Range<u64> {
        let Some(period) = self.period else {
            return 0..settings.catalogue;
        };
        let days = |date: NaiveDate| u64::try_from((date - EPOCH).num_days() + 1).unwrap_or(0);
        let first = days(period.from).saturating_sub(1);
        first * settings.per_day..days(period.to) * settings.per_day
    }

    /// The day that a record of the listing belongs to.
    pub(crate) fn day_of(&self, settings: &Settings, number: u64) -> NaiveDate {
        let days = match self.period {
            Some(period) if number >= ADDED_END => return period.to,
            Some(period) if number >= ADDED_FRONT => return period.from,
            Some(_) => number / settings.per_day.max(1),
            // When a customer was registered: any day will do, so long as it is always the same.
            None => number % 9000,
        };
        EPOCH.checked_add_days(Days::new(days)).unwrap_or(EPOCH)
    }
}

/// A stretch of a listing.
pub(crate) struct Window {
    pub(crate) numbers: Vec<u64>,
    /// How many records the whole listing holds now.
    pub(crate) total: u64,
    /// The listing is no longer what it was at the start.
    pub(crate) moved: bool,
}

/// Events, as a poll hands them out.
pub(crate) struct HandedOut {
    pub(crate) numbers: Vec<u64>,
    /// What acknowledges them, and nothing else. The same events are the same lot, whoever polls.
    /// None where there are none.
    pub(crate) lot: Option<u64>,
    /// How many were acknowledged before them.
    pub(crate) first: u64,
}

/// The listings that moved, or may.
#[derive(Default)]
pub(crate) struct Listings(Mutex<HashMap<ListKey, Moved>>);

#[derive(Default)]
struct Moved {
    pages: u64,
    moves: u64,
    added_front: u64,
    added_end: u64,
    /// The numbers it holds now; none while it still holds the standing ones.
    set: Option<VecDeque<u64>>,
    /// What was handed out to be acknowledged.
    lots: HashMap<u64, Vec<u64>>,
    /// In the order in which they were.
    acknowledged: Vec<u64>,
}

impl Listings {
    /// The records with these indexes, as many of them as there are.
    pub(crate) fn window(&self, settings: &Settings, key: &ListKey, wanted: Range<u64>) -> Window {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = key.standing(settings);
        if let Some(set) = lists.get(key).and_then(|list| list.set.as_ref()) {
            let total = set.len() as u64;
            let at = |index: u64| index.min(total) as usize;
            let numbers = set.range(at(wanted.start)..at(wanted.end)).copied().collect();
            Window { numbers, total, moved: true }
        } else {
            let total = standing.end - standing.start;
            let at = |index: u64| standing.start + index.min(total);
            let numbers = (at(wanted.start)..at(wanted.end)).collect();
            Window { numbers, total, moved: false }
        }
    }

    /// The oldest events that nobody has acknowledged; or, of a source that forgets what was, the
    /// oldest of all.
    pub(crate) fn hand_out(&self, settings: &Settings, key: &ListKey, most: u64, forgetful: bool) -> HandedOut {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = lists.entry(*key).or_default();
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let numbers: Vec<u64> = match &list.set {
            Some(set) if !forgetful => set.iter().copied().take(most).collect(),
            _ => key.standing(settings).take(most).collect(),
        };
        let lot = (!numbers.is_empty()).then(|| Dice::new(&numbers).next());
        if let Some(lot) = lot {
            list.lots.insert(lot, numbers.clone());
        }
        HandedOut { numbers, lot, first: list.acknowledged.len() as u64 }
    }

    /// Acknowledges a lot, for the first time or once more, and says how many events that are; none
    /// if it was never handed out.
    pub(crate) fn acknowledge(&self, settings: &Settings, key: &ListKey, lot: u64) -> Option<usize> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = lists.get_mut(key)?;
        let numbers: HashSet<u64> = list.lots.get(&lot)?.iter().copied().collect();
        let set = list.set.get_or_insert_with(|| key.standing(settings).collect());
        let acknowledged = &mut list.acknowledged;
        set.retain(|number| {
            let named = numbers.contains(number);
            acknowledged.extend(named.then_some(*number));
            !named
        });
        Some(numbers.len())
    }

    /// The events that were acknowledged.
    pub(crate) fn acknowledged(&self, key: &ListKey) -> Vec<u64> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.get(key).map(|list| list.acknowledged.clone()).unwrap_or_default()
    }

    /// A whole page of the listing was served: moves it, if it is time.
    pub(crate) fn page_served(&self, settings: &Settings, key: &ListKey, moving: Option<Moving>) {
        let Some(moving) = moving else { return };
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = lists.entry(*key).or_default();
        list.pages += 1;
        if !list.pages.is_multiple_of(moving.every) || moving.max_moves.is_some_and(|max| list.moves >= max) {
            return;
        }
        list.moves += 1;
        let set = list.set.get_or_insert_with(|| key.standing(settings).collect());
        for _ in 0..moving.delete_front {
            set.pop_front();
        }
        for _ in 0..moving.at_front {
            set.push_front(ADDED_FRONT + list.added_front);
            list.added_front += 1;
        }
        for _ in 0..moving.at_end {
            set.push_back(ADDED_END + list.added_end);
            list.added_end += 1;
        }
    }
}
