//! Fuzz targets for records and bodies, both of which come from an untrusted source. Results are
//! compared with serde_json's where it has one, and with `plain`'s where it has none.

use std::ops::Range;

use atlas_testing::fuzzing::{Target, fields, text};
use bytes::Bytes;

use super::plain::{self, Tree, trim_end, trim_start};
use super::{BodyError, Canonicalizer, Pointer, RecordLimits, Rejection, find, find_beside, select as select_records};

/// The targets by the names of their programs and corpora.
pub const TARGETS: [(&str, Target); 4] =
    [("canonical", canonical), ("check", check), ("select", select), ("split", split)];

/// Levels that are read of what counts as JSON: as many as of a record.
const LEVELS: usize = 128;

/// A record is kept if it is JSON, `jsonb` holds it without loss and it is within its limits, and
/// else for one of the reasons that there are rejected; its canonical form is that of the
/// definition.
pub fn check(record: &[u8]) {
    for limits in [RecordLimits::default(), RecordLimits { max_bytes: 256, max_depth: 3 }] {
        judge(&mut Canonicalizer::new(limits, Vec::new()), record, limits, &[]);
    }
}

/// Pointers with a space between them, and a record: its canonical form lacks what stands there and
/// nothing else, is the same however the record is spelled, and is its own.
pub fn canonical(input: &[u8]) {
    let [places, record] = fields(input);
    let unhashed: Vec<Pointer> = text(places).split(' ').filter_map(|place| Pointer::parse(place).ok()).collect();
    let places: Vec<String> = unhashed.iter().map(Pointer::to_string).collect();
    let limits = RecordLimits::default();
    let mut canonicalizer = Canonicalizer::new(limits, unhashed);
    let Some((tree, form)) = judge(&mut canonicalizer, record, limits, &places) else {
        return;
    };
    assert!(form.len() <= record.len(), "the form is longer: {form:?}");
    let respelled = tree.spelled(seed(record));
    assert_eq!(canonicalizer.canonicalize(respelled.as_bytes()), Ok(form.as_bytes()), "spelled {respelled:?}");
    let again = Canonicalizer::new(limits, Vec::new()).canonicalize(form.as_bytes()).map(<[u8]>::to_vec);
    assert_eq!(again.as_deref(), Ok(form.as_bytes()));
}

/// The record as it was read and its canonical form, if it was kept and should have been.
fn judge(
    canonicalizer: &mut Canonicalizer,
    record: &[u8],
    limits: RecordLimits,
    unhashed: &[String],
) -> Option<(Tree, String)> {
    let judged = canonicalizer.canonicalize(record).map(|form| text(form).into_owned());
    let code = judged.as_ref().err().map(Rejection::code);
    if record.len() > limits.max_bytes {
        assert_eq!(code, Some("too_large"));
        return None;
    }
    let Ok(record) = std::str::from_utf8(record) else {
        assert_eq!(code, Some("not_utf8"));
        return None;
    };
    if !plain::is_json(record) {
        // Another fault may be met before the one that makes it no JSON.
        assert!(!matches!(code, None | Some("too_large" | "not_utf8")), "{record:?} is no JSON: {judged:?}");
        return None;
    }
    let (tree, faults) = plain::read(record, limits.max_depth);
    match judged {
        Ok(form) => {
            assert!(faults.is_empty(), "{record:?} was kept, with {faults:?}");
            assert_eq!(form, tree.without("", unhashed).canonical(), "{record:?}");
            Some((tree, form))
        }
        Err(rejection) => {
            assert!(faults.contains(rejection.code()), "{record:?}: {rejection:?}, and there is {faults:?}");
            None
        }
    }
}

/// A body that is split at all is split whole: records, commas and space make up the array, the
/// body ends where the array's brackets say, and without its end it is not split. What is JSON is
/// split into what serde_json would find there.
pub fn split(body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    for place in ["", "/data"] {
        let place = Pointer::parse(place).expect("a pointer");
        selects_what_stands_there(&body, &place, None);
        let Ok(selected) = select_records(&body, &place, None, usize::MAX) else {
            continue;
        };
        assert_eq!(find(&body, &place), Ok(Some(selected.array.clone())));
        make_up_the_array(&body[selected.array], &selected.records);

        let whole = trim_end(trim_start(without_mark(&body)));
        assert_eq!(plain::container_end(whole), Some(whole.len()));
        let end = trim_end(&body).len();
        for cut in [end - 1, end / 2, seed(&body) as usize % end] {
            let cut_short = select_records(&body.slice(..cut), &place, None, usize::MAX);
            assert!(matches!(cut_short, Err(BodyError::NotJson { .. })), "cut at {cut}: {cut_short:?}");
        }
        let count = selected.records.len();
        assert!(select_records(&body, &place, None, count).is_ok());
        if let Some(fewer) = count.checked_sub(1) {
            assert_eq!(select_records(&body, &place, None, fewer), Err(BodyError::TooMany { max: fewer }));
        }
    }
}

/// Records with a comma between each two, space around them, and brackets around it all.
fn make_up_the_array(array: &[u8], records: &[Bytes]) {
    let inside = array.strip_prefix(b"[").and_then(|array| array.strip_suffix(b"]")).expect("brackets");
    let mut rest = trim_start(inside);
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            rest = trim_start(rest.strip_prefix(b",").expect("a comma"));
        }
        assert_eq!(trim_end(record), record);
        rest = trim_start(rest.strip_prefix(record.as_ref()).expect("the record as it arrived"));
    }
    assert!(rest.is_empty(), "{rest:?} is left over of {array:?}");
}

/// Two pointers and a body: they are pointers by RFC 6901 or none, and lead to what serde_json
/// finds there.
pub fn select(input: &[u8]) {
    let [place, element, body] = fields(input);
    let body = Bytes::copy_from_slice(body);
    let (Some(place), Some(element)) = (pointer(&text(place)), pointer(&text(element))) else {
        return;
    };
    for element in [None, Some(&element)] {
        selects_what_stands_there(&body, &place, element);
    }
    let selected = select_records(&body, &place, None, usize::MAX);
    for place in [&place, &element] {
        let found = find(&body, place);
        finds_what_stands_there(&body, place, &found);
        // What an earlier look told of the body does not change what is found in it.
        if let (Ok(selected), Ok(_)) = (&selected, &found) {
            assert_eq!(find_beside(&body, place, Some(&selected.array)), found);
        }
    }
}

/// The pointer, if RFC 6901 has it for one.
fn pointer(text: &str) -> Option<Pointer> {
    let escapes_are_sound = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    let is_one = escapes_are_sound && (text.is_empty() || text.starts_with('/'));
    let parsed = Pointer::parse(text);
    assert_eq!(parsed.is_ok(), is_one, "{text:?}: {parsed:?}");
    let pointer = parsed.ok()?;
    let tokens: Vec<String> = text.split('/').skip(1).map(|t| t.replace("~1", "/").replace("~0", "~")).collect();
    assert_eq!((pointer.tokens(), pointer.as_str()), (&tokens[..], text));
    Some(pointer)
}

fn selects_what_stands_there(body: &Bytes, place: &Pointer, element: Option<&Pointer>) {
    let Some(tree) = sound(body) else {
        return;
    };
    let selected = select_records(body, place, element, usize::MAX);
    let Some(Tree::Array(elements)) = tree.at(place.tokens()) else {
        let missing = tree.at(place.tokens()).is_none();
        let told = if missing {
            matches!(selected, Err(BodyError::Missing { .. }))
        } else {
            matches!(selected, Err(BodyError::NotAnArray { .. }))
        };
        assert!(told, "{place} in {body:?}: {selected:?}");
        return;
    };
    let inside = |whole| element.map_or(Some(whole), |element| Tree::at(whole, element.tokens()));
    let Some(records) = elements.iter().map(inside).collect::<Option<Vec<&Tree>>>() else {
        assert!(matches!(selected, Err(BodyError::Missing { .. })), "{place} in {body:?}: {selected:?}");
        return;
    };
    let selected = selected.unwrap_or_else(|error| panic!("{place} in {body:?}: {error}")).records;
    assert_eq!(selected.len(), records.len(), "{body:?}");
    for (selected, record) in selected.iter().zip(records) {
        assert_eq!(plain::read(&text(selected), LEVELS).0, *record, "{body:?}");
    }
}

fn finds_what_stands_there(body: &Bytes, place: &Pointer, found: &Result<Option<Range<usize>>, BodyError>) {
    let Some(tree) = sound(body) else {
        return;
    };
    let found = found.clone().unwrap_or_else(|error| panic!("{place} in {body:?}: {error}"));
    let found = found.map(|range| body.slice(range));
    let read = found.as_ref().map(|found| plain::read(&text(found), LEVELS).0);
    assert_eq!(read.as_ref(), tree.at(place.tokens()), "{place} in {body:?}");
    // It keeps numbers as doubles, so there are some that it does not read.
    if let Ok(whole) = serde_json::from_slice::<serde_json::Value>(without_mark(body)) {
        let part: Option<serde_json::Value> =
            found.map(|found| serde_json::from_slice(&found).expect("a part of what could be read"));
        assert_eq!(part.as_ref(), whole.pointer(place.as_str()), "{place} in {body:?}");
    }
}

/// A body that is JSON, and in which each place holds one value.
fn sound(body: &[u8]) -> Option<Tree> {
    let body = std::str::from_utf8(without_mark(body)).ok().filter(|body| plain::is_json(body))?;
    let (tree, faults) = plain::read(body, LEVELS);
    let ambiguous = ["duplicate_key", "lone_surrogate", "too_deep"].iter().any(|fault| faults.contains(fault));
    (!ambiguous).then_some(tree)
}

fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// A number that every byte has a part in.
fn seed(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

#[cfg(test)]
#[test]
fn what_must_hold_holds_of_every_corpus() {
    atlas_testing::fuzzing::hold(&TARGETS);
}
