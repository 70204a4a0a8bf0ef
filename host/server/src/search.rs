//! Records that are searched by what they hold: the one place that decides which records match, so
//! that the page, the API and every export of either show the same ones.
//!
//! The database finds client, route and day. A JSON path (RFC 9535) is looked for here, record by
//! record, so a question reads at most [`SEARCHED`] of them before it answers with how far it came;
//! the next one goes on from there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_model::{RawRecord, RecordFilter, notice};
use atlas_service::Failure;
use serde_json_path::JsonPath;

use super::state::{AppState, busy};

/// Records that one question reads, and how long it may take, before it answers with what it found
/// so far.
const SEARCHED: usize = 20_000;
const SEARCH_TIME: Duration = Duration::from_secs(5);
/// Bytes of a record that is searched: as a tree it takes many times as many.
pub(super) const SEARCHED_RECORD_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a path: it is parsed recursively.
const PATH_MAX: usize = 256;
/// Records that are read at a time, where their payloads are needed whole: fewer where they are
/// large.
const READ: i64 = 200;

/// Which records are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Search {
    /// The part that the database filters by.
    pub(super) filter: RecordFilter,
    /// The path and value to look for in each record.
    inside: Option<Inside>,
}

/// A JSON path, and the value to find there; without a value, any matches.
#[derive(Debug, Clone)]
struct Inside {
    path: JsonPath,
    value: Option<String>,
}

impl Search {
    /// Parses the search's path and value. A name alone means that member of the record. Fails on a
    /// value without a path, on a malformed path, and on one that would cost more than reading the
    /// record does.
    pub(super) fn new(filter: RecordFilter, path: Option<&str>, value: Option<&str>) -> Result<Self, Failure> {
        let Some(typed) = path else {
            return match value {
                Some(_) => Err(Failure::usage(notice!("web-value-alone"))),
                None => Ok(Self { filter, inside: None }),
            };
        };
        let unreadable = || {
            let shown: String = typed.chars().take(PATH_MAX).collect();
            Failure::usage(notice!("web-json-path", path = shown))
        };
        if typed.len() > PATH_MAX {
            return Err(unreadable());
        }
        let text = if typed.starts_with('$') { typed.to_owned() } else { format!("$.{typed}") };
        let path = JsonPath::parse(&text).map_err(|_| unreadable())?;
        if !is_simple(&text) {
            return Err(Failure::usage(notice!("web-json-path-costly", path = typed)));
        }
        Ok(Self { filter, inside: Some(Inside { path, value: value.map(str::to_owned) }) })
    }

    /// Whether each record has to be read whole and looked into.
    pub(super) fn looks_inside(&self) -> bool {
        self.inside.is_some()
    }

    /// Matches a record, and returns the value at the path, where there is one. A record of more
    /// than [`SEARCHED_RECORD_MAX`] bytes never matches a path.
    fn finds(&self, record: &RawRecord) -> Option<Option<String>> {
        match &self.inside {
            None => Some(None),
            Some(_) if record.payload.len() > SEARCHED_RECORD_MAX => None,
            Some(inside) => inside.finds(&record.payload).map(Some),
        }
    }
}

/// The result of one search request.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The records, newest first, and what stands in each where the search looked. Their payloads
    /// are cut where it did not look into them.
    pub(super) records: Vec<(RawRecord, Option<String>)>,
    /// The id before which the next question goes on; none: all records were looked at.
    pub(super) next: Option<i64>,
    /// How many records were looked at.
    pub(super) searched: usize,
    /// How many of them were too large to be looked into.
    pub(super) too_large: usize,
    /// When the last one that was looked at was collected, as the database writes it.
    pub(super) back_to: Option<String>,
}

/// Looks for records before an id, newest first, until there are `limit` of them, or this has read
/// as much as one question may. Payloads that need not be read whole are cut to `excerpt`
/// characters.
pub(super) async fn find(
    state: &AppState,
    search: &Search,
    before: i64,
    limit: usize,
    excerpt: i64,
) -> Result<Found, Failure> {
    let turn = Arc::new(state.search_turn().await?);
    if !search.looks_inside() {
        let many = i64::try_from(limit).unwrap_or(i64::MAX);
        let records = state.atlas.records(&search.filter, before, many, excerpt).await?;
        let last = records.last();
        return Ok(Found {
            next: last.filter(|_| records.len() == limit).map(|last| last.id),
            back_to: last.and_then(|last| last.data_coleta.clone()),
            searched: records.len(),
            records: records.into_iter().map(|record| (record, None)).collect(),
            too_large: 0,
        });
    }
    let mut found = Found { next: Some(before), ..Found::default() };
    let began = Instant::now();
    while let Some(before) = found.next {
        if found.records.len() >= limit || found.searched >= SEARCHED || began.elapsed() >= SEARCH_TIME {
            break;
        }
        let some = state.atlas.read_back(&search.filter, before, READ).await?;
        found.next = some.last().map(|last| last.id);
        // The permit is held for as long as the task computes, even after its request was dropped.
        let (search, turn, room) = (search.clone(), Arc::clone(&turn), limit - found.records.len());
        let looked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            look_through(some, &search, room, began)
        });
        let Ok(looked) = looked.await else { break };
        found.records.extend(looked.records);
        found.searched += looked.searched;
        found.too_large += looked.too_large;
        found.back_to = looked.back_to.or(found.back_to);
        found.next = looked.next.or(found.next);
    }
    Ok(found)
}

/// Filters records by a search, and returns the matches and how many records were too large to be
/// looked into. A search that looks inside takes turns with the others, a part at a time.
pub(super) async fn matching(
    state: &AppState,
    search: &Search,
    records: Vec<RawRecord>,
) -> Result<(Vec<RawRecord>, usize), Failure> {
    if !search.looks_inside() {
        return Ok((records, 0));
    }
    let Ok(turn) = Arc::clone(&state.searches).acquire_owned().await else { return Err(busy()) };
    let search = search.clone();
    let matching = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let too_large = records.iter().filter(|record| record.payload.len() > SEARCHED_RECORD_MAX).count();
        (records.into_iter().filter(|record| search.finds(record).is_some()).collect(), too_large)
    });
    matching.await.map_err(|_| busy())
}

/// Looks through some records, newest first. Where there was no room for more, or no time, `next`
/// is the last one looked at.
fn look_through(records: Vec<RawRecord>, search: &Search, room: usize, began: Instant) -> Found {
    let mut looked = Found::default();
    for record in records {
        let id = record.id;
        looked.searched += 1;
        looked.back_to.clone_from(&record.data_coleta);
        if record.payload.len() > SEARCHED_RECORD_MAX {
            looked.too_large += 1;
        } else if let Some(at) = search.finds(&record) {
            looked.records.push((record, at));
        }
        if looked.records.len() >= room || began.elapsed() >= SEARCH_TIME {
            looked.next = Some(id);
            break;
        }
    }
    looked
}

/// Whether evaluating a path costs no more than reading the record. A second `..` multiplies the
/// values that are visited; a filter is evaluated for each value, so it must not fan out again, nor
/// start at the record's root; regular expressions would be compiled for each value.
fn is_simple(path: &str) -> bool {
    let (plain, filter) = path.split_once('?').unwrap_or((path, ""));
    let count = |text: &str, what: &str| text.matches(what).count();
    let is_plain = count(plain, "..") <= 1 && count(plain, ",") <= 4 && count(plain, "$") == 1;
    // A text between quotes may have any of these, and is refused all the same.
    let leads_on = ["..", "*", "$", "?", ",", "(", "&&", "||"];
    // The rest of the path is evaluated for each value that the filter accepts.
    is_plain
        && (filter.is_empty()
            || count(plain, "..") + count(plain, "*") <= 1 && !leads_on.iter().any(|what| filter.contains(what)))
}

impl Inside {
    /// The first value at the path that equals the wanted one; any, if none is given.
    fn finds(&self, payload: &str) -> Option<String> {
        let value: serde_json::Value = serde_json::from_str(payload).ok()?;
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut at = self.path.query(&value).all().into_iter().map(text);
        let Some(wanted) = &self.value else { return at.next() };
        // A number is the same however many noughts end it, and a comma may stand for its point.
        let number = |text: &str| text.parse::<serde_json::Number>().or_else(|_| text.replace(',', ".").parse()).ok();
        let wanted_number = number(wanted);
        let is_equal = |at: &String| match (&wanted_number, number(at)) {
            _ if at == wanted => true,
            (Some(wanted), Some(at)) if wanted.is_f64() || at.is_f64() => wanted.as_f64() == at.as_f64(),
            (Some(wanted), Some(at)) => *wanted == at,
            _ => false,
        };
        at.find(is_equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searching(path: &str, value: Option<&str>) -> Search {
        Search::new(RecordFilter::default(), Some(path), value).unwrap_or_else(|_| panic!("{path}"))
    }

    fn record(id: i64, payload: &str) -> RawRecord {
        RawRecord {
            id,
            cliente_id: 7,
            origem: "pedido".to_owned(),
            data_coleta: None,
            payload: payload.to_owned(),
            hash_conteudo: None,
        }
    }

    #[test]
    fn a_number_is_found_however_it_is_written() {
        let order = record(1, r#"{"total":2997.10,"id":9007199254740993,"nome":"2997.10"}"#);
        for wanted in ["2997.10", "2997.1", "2997,1", "2997,10"] {
            assert!(searching("$.total", Some(wanted)).finds(&order).is_some(), "{wanted}");
        }
        assert!(searching("id", Some("9007199254740993")).finds(&order).is_some());
        assert_eq!(searching("$.id", Some("9007199254740992")).finds(&order), None);
        assert_eq!(searching("$.total", Some("2997")).finds(&order), None);
    }

    #[test]
    fn a_search_that_stops_goes_on_after_the_last_record_that_it_looked_at() {
        let records = || (1..=10).rev().map(|id| record(id, &format!(r#"{{"par":{}}}"#, id % 2 == 0))).collect();
        let search = searching("$.par", Some("true"));
        let ids = |looked: &Found| looked.records.iter().map(|(record, _)| record.id).collect::<Vec<_>>();
        let some = look_through(records(), &search, 2, Instant::now());
        assert_eq!((ids(&some), some.searched, some.next), (vec![10, 8], 3, Some(8)));
        let all = look_through(records(), &search, 50, Instant::now());
        assert_eq!((ids(&all), all.searched, all.next), (vec![10, 8, 6, 4, 2], 10, None));
        // Without time left, one is looked at: it always goes on.
        let late = Instant::now().checked_sub(SEARCH_TIME).unwrap();
        let one = look_through(records(), &search, 50, late);
        assert_eq!((one.searched, one.next), (1, Some(10)));
    }

    #[test]
    fn a_value_without_a_path_and_a_path_that_is_none_are_refused() {
        for (path, value, key) in [
            (None, Some("7"), "web-value-alone"),
            (Some("$.itens["), None, "web-json-path"),
            (Some("a".repeat(PATH_MAX + 1).as_str()), None, "web-json-path"),
            (Some("$..a..b"), None, "web-json-path-costly"),
        ] {
            let refused = Search::new(RecordFilter::default(), path, value).unwrap_err();
            assert_eq!(refused.notice.key, key, "{path:?}");
        }
    }

    #[test]
    fn a_path_that_could_take_for_ever_is_not_simple() {
        for simple in ["$.numero", "$..sku", "$.itens[0].codigo", "$.itens[?@.quantidade > 3].sku", "$['a','b']"] {
            assert!(is_simple(simple), "{simple}");
        }
        for costly in [
            "$..a..b",
            "$[?search(@.nome, 'x')]",
            "$[?match(@, '(\\\\w{0,200}){0,20}')]",
            "$[?@[?@.a]]",
            "$[*,*,*,*,*,*]",
            "$[?count($..*)>0]",
            "$[?count($[*])>0]",
            "$[?$[*]]",
            "$[?@[*]]",
            "$[?@['a','b']]",
        ] {
            assert!(!is_simple(costly), "{costly}");
        }
    }
}
