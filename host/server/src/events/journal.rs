//! The last events of this process, in order, in bounded memory. A listener that reconnects gets
//! every event after the last one it received, or learns that some are no longer kept.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::Happening;

/// Events kept for listeners that reconnect.
const EVENTS_KEPT: usize = 8_192;

/// An event's id, as `Last-Event-ID` carries it: the process that sent it, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventId {
    /// Drawn at the start of a process.
    pub(crate) process: u32,
    /// From 1, without gaps; 0: before the first.
    pub(crate) number: u64,
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}-{}", self.process, self.number)
    }
}

impl EventId {
    /// Parses the id that a reconnecting listener sends (`Last-Event-ID`).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (process, number) = text.trim().split_once('-')?;
        Some(Self { process: u32::from_str_radix(process, 16).ok()?, number: number.parse().ok()? })
    }
}

/// The events after the last one that a listener received.
#[derive(Debug, Clone)]
pub(crate) enum Missed {
    /// These, from the oldest to the newest.
    Events(Vec<(EventId, Arc<Happening>)>),
    /// Some of them are no longer kept: the listener has to reload its state, and follow the events
    /// after this one.
    Lost(EventId),
}

/// The events of this process.
pub(crate) struct Journal {
    process: u32,
    kept: Mutex<VecDeque<Arc<Happening>>>,
    /// The number of the last one.
    last: watch::Sender<u64>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { process: rand::random(), kept: Mutex::default(), last: watch::Sender::new(0) }
    }

    /// The last event's place.
    pub(crate) fn last(&self) -> EventId {
        EventId { process: self.process, number: *self.last.borrow() }
    }

    /// Adds an event and wakes the listeners. Returns at once however slowly they read, since each
    /// fetches its events from here.
    pub(crate) fn tell(&self, happening: Happening) {
        let mut kept = self.kept.lock();
        kept.push_back(Arc::new(happening));
        if kept.len() > EVENTS_KEPT {
            kept.pop_front();
        }
        // Under the lock, so that numbers and events go together.
        self.last.send_modify(|last| *last += 1);
    }

    /// At most `limit` events after a place.
    pub(crate) fn since(&self, seen: EventId, limit: usize) -> Missed {
        let kept = self.kept.lock();
        let last = *self.last.borrow();
        let here = EventId { process: self.process, number: last };
        let first = last - kept.len() as u64;
        if seen.process != self.process || seen.number < first || seen.number > last {
            return Missed::Lost(here);
        }
        let skip = usize::try_from(seen.number - first).unwrap_or(usize::MAX);
        let events = kept.iter().skip(skip).take(limit).zip(seen.number + 1..);
        let place = |number| EventId { process: self.process, number };
        Missed::Events(events.map(|(event, number)| (place(number), Arc::clone(event))).collect())
    }

    /// Subscribes to the number of the last event, which changes with each.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use atlas_model::notice;

    fn happening(n: u64) -> Happening {
        Happening::Line { scrap_id: Some(i64::try_from(n).unwrap_or_default()), notice: notice!("run-second-look") }
    }

    fn number(happening: &Happening) -> i64 {
        match happening {
            Happening::Line { scrap_id, .. } => scrap_id.unwrap_or_default(),
            _ => -1,
        }
    }

    proptest! {
        #[test]
        fn a_listener_gets_each_event_once_and_in_order_or_is_told_that_some_are_gone(
            steps in prop::collection::vec((0_u64..3_000, 1_usize..2_000), 1..30)
        ) {
            let journal = Journal::new();
            let (mut seen, mut told) = (journal.last(), 0);
            for (events, limit) in steps {
                for _ in 0..events {
                    told += 1;
                    journal.tell(happening(told));
                }
                match journal.since(seen, limit) {
                    Missed::Events(missed) => {
                        prop_assert!(missed.len() <= limit);
                        prop_assert!(!missed.is_empty() || seen.number == told);
                        for (place, event) in missed {
                            prop_assert_eq!(place.number, seen.number + 1);
                            prop_assert_eq!(number(&event), i64::try_from(place.number).unwrap());
                            seen = place;
                        }
                    }
                    Missed::Lost(now) => {
                        prop_assert!(told - seen.number > EVENTS_KEPT as u64);
                        seen = now;
                    }
                }
            }
        }
    }

    #[test]
    fn whoever_listened_to_another_process_is_told_that_events_are_gone() {
        let (before, after) = (Journal { process: 1, ..Journal::new() }, Journal { process: 2, ..Journal::new() });
        before.tell(happening(1));
        after.tell(happening(1));
        let seen = EventId::parse(&before.last().to_string()).unwrap();
        assert_eq!(seen, before.last());
        assert!(matches!(after.since(seen, 10), Missed::Lost(now) if now == after.last()));
        let ahead = EventId { number: 7, ..after.last() };
        assert!(matches!(after.since(ahead, 10), Missed::Lost(_)));
    }

    #[test]
    fn what_is_no_place_is_not_taken_for_one() {
        for text in ["", "1", "-", "x-1", "1-x", "123456789-1", "1--1"] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }
}
