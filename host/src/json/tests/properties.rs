use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

/// A JSON value whose numbers are texts.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Word(&'static str),
    Number(String),
    Text(String),
    Array(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,3}",
        "[ -~]{0,12}",
        proptest::collection::vec(any::<char>(), 0..12).prop_map(|characters| characters.into_iter().collect()),
        proptest::collection::vec(
            prop_oneof![
                Just('"'),
                Just('\\'),
                proptest::char::range('\u{1}', '\u{1f}'),
                Just('é'),
                Just('😀'),
                Just('/')
            ],
            0..12
        )
        .prop_map(|characters| characters.into_iter().collect()),
    ]
    .prop_map(|text: String| text.replace('\0', ""))
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(Tree::Word),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?".prop_map(Tree::Number),
        any_text().prop_map(Tree::Text),
    ];
    leaf.prop_recursive(6, 80, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Tree::Array),
            proptest::collection::btree_map(any_text(), inner, 0..8).prop_map(Tree::Object),
        ]
    })
}

/// Choices without end, from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn space(&mut self, out: &mut String) {
        let spaces = ["", "", "", " ", "\n", "\t\r ", "  "];
        out.push_str(spaces[self.roll(spaces.len() as u64) as usize]);
    }

    fn text(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            let must = matches!(character, '"' | '\\' | '\0'..='\u{1f}');
            match (self.roll(4), character) {
                (0 | 1, '"' | '\\' | '/') => out.extend(['\\', character]),
                (0, '\n') => out.push_str("\\n"),
                (0, '\t') => out.push_str("\\t"),
                (0, '\u{8}') => out.push_str("\\b"),
                (0, '\u{c}') => out.push_str("\\f"),
                (0, '\r') => out.push_str("\\r"),
                (choice, _) if must || choice == 3 => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let upper = self.roll(2) == 0;
                        out.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
                    }
                }
                _ => out.push(character),
            }
        }
        out.push('"');
    }

    /// Some spelling of a value: space, order of keys, escapes.
    fn spell(&mut self, tree: &Tree, out: &mut String) {
        self.space(out);
        match tree {
            Tree::Word(word) => out.push_str(word),
            Tree::Number(number) => out.push_str(number),
            Tree::Text(text) => self.text(text, out),
            Tree::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.spell(element, out);
                }
                self.space(out);
                out.push(']');
            }
            Tree::Object(members) => {
                out.push('{');
                let mut members: Vec<_> = members.iter().collect();
                for last in (1..members.len()).rev() {
                    members.swap(last, self.roll(last as u64 + 1) as usize);
                }
                for (index, (key, value)) in members.into_iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.space(out);
                    self.text(key, out);
                    self.space(out);
                    out.push(':');
                    self.spell(value, out);
                }
                self.space(out);
                out.push('}');
            }
        }
        self.space(out);
    }
}

fn spelling(tree: &Tree, seed: u64) -> String {
    let mut out = String::new();
    Dice(seed).spell(tree, &mut out);
    out
}

/// The canonical form by its definition: serde_json writes strings in the very same spelling.
fn expected(tree: &Tree) -> String {
    let join = |parts: Vec<String>| parts.join(",");
    match tree {
        Tree::Word(word) => (*word).to_owned(),
        Tree::Number(number) => number.clone(),
        Tree::Text(text) => serde_json::to_string(text).unwrap(),
        Tree::Array(elements) => format!("[{}]", join(elements.iter().map(expected).collect())),
        Tree::Object(members) => {
            let member = |(key, value)| format!("{}:{}", serde_json::to_string(key).unwrap(), expected(value));
            format!("{{{}}}", join(members.iter().map(member).collect()))
        }
    }
}

/// The place of a member.
fn below(here: &str, key: &str) -> String {
    format!("{here}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The tree without what stands at some places.
fn without(tree: &Tree, here: &str, places: &[String]) -> Tree {
    match tree {
        Tree::Object(members) => {
            let kept = members.iter().map(|(key, value)| (below(here, key), key, value));
            let kept = kept.filter(|(place, ..)| !places.contains(place));
            Tree::Object(kept.map(|(place, key, value)| (key.clone(), without(value, &place, places))).collect())
        }
        Tree::Array(elements) => {
            let kept = elements.iter().enumerate().map(|(index, value)| (format!("{here}/{index}"), value));
            let kept = kept.filter(|(place, _)| !places.contains(place));
            Tree::Array(kept.map(|(place, value)| without(value, &place, places)).collect())
        }
        scalar => scalar.clone(),
    }
}

/// Places in a tree.
fn places(tree: &Tree, here: &str, out: &mut Vec<String>) {
    match tree {
        Tree::Object(members) => {
            for (key, value) in members {
                let place = below(here, key);
                places(value, &place, out);
                out.push(place);
            }
        }
        Tree::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                let place = format!("{here}/{index}");
                places(value, &place, out);
                out.push(place);
            }
        }
        _ => {}
    }
}

fn at<'a>(tree: &'a Tree, tokens: &[String]) -> Option<&'a Tree> {
    let Some((token, rest)) = tokens.split_first() else {
        return Some(tree);
    };
    match tree {
        Tree::Object(members) => at(members.get(token)?, rest),
        Tree::Array(elements) => at(elements.get(token.parse::<usize>().ok()?)?, rest),
        _ => None,
    }
}

/// What serde_json says about a text: whether it is JSON by the grammar alone, and whether it is a value without lone surrogates.
/// A number that no double can hold, and 128 levels, are limits of serde_json's own.
fn oracle(text: &str) -> (bool, Option<bool>) {
    let grammar = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let value = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(_) => Some(true),
        Err(error) if error.to_string().contains("out of range") || error.to_string().contains("recursion") => None,
        Err(_) => Some(false),
    };
    (grammar, value)
}

fn agrees_with_serde_json(text: &[u8]) -> Result<(), TestCaseError> {
    let mut canonicalizer = Canonicalizer::new(RecordLimits::default(), Vec::new());
    let judged = canonicalizer.canonicalize(text).map(<[u8]>::to_vec);
    let Ok(string) = std::str::from_utf8(text) else {
        prop_assert!(matches!(judged, Err(Rejection::NotUtf8 { .. })), "invalid UTF-8");
        return Ok(());
    };
    let (grammar, value) = oracle(string);
    match judged {
        Ok(form) => {
            prop_assert!(grammar && value != Some(false), "accepted {string:?}");
            prop_assert!(form.len() <= text.len());
            if value == Some(true) {
                let again: serde_json::Value = serde_json::from_slice(&form).unwrap();
                prop_assert_eq!(again, serde_json::from_str::<serde_json::Value>(string).unwrap());
            }
            let twice = canonicalizer.canonicalize(&form).map(<[u8]>::to_vec);
            prop_assert_eq!(twice, Ok(form));
        }
        Err(Rejection::NotJson { .. }) => prop_assert!(!grammar, "refused {string:?}"),
        Err(Rejection::LoneSurrogate { .. }) => {
            prop_assert!(value != Some(true), "refused {string:?}")
        }
        Err(Rejection::NotUtf8 { .. } | Rejection::TooLarge { .. }) => {
            prop_assert!(false, "refused {string:?}")
        }
        // The extra rules, of which serde_json knows nothing, stop before the end: the rest may be anything.
        Err(_) => {}
    }
    Ok(())
}

/// Where the container or string at the beginning of a text ends, byte by byte.
fn plain_container_end(text: &[u8]) -> Option<usize> {
    let (mut open, mut in_string, mut escaped) = (Vec::new(), false, false);
    for (at, byte) in text.iter().enumerate() {
        if std::mem::take(&mut escaped) {
            // Only a quote's meaning changes, in a string or out.
            if matches!(byte, b'"' | b'\\') {
                continue;
            }
        }
        match byte {
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => open.push(*byte + 2),
            b'}' | b']' if !in_string => {
                if open.pop() != Some(*byte) {
                    return None;
                }
                if open.is_empty() {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// What the scanner's texts are made of.
const SCANNED: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"\\\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[{}]",
    b"\"x\"",
    b"y_Y\x7f{}",
    b"xxxxxxxxxxxxxxxxxxxxxxxxx",
    b"\xff\xdb\xfb",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_spelling_of_a_value_has_the_canonical_form_of_its_definition(tree in any_tree(), seed: u64) {
        let record = spelling(&tree, seed);
        prop_assert_eq!(canonical(&record), Ok(expected(&tree)), "{}", record);
    }

    #[test]
    fn different_values_have_different_canonical_forms(a in any_tree(), b in any_tree(), seed: u64) {
        let (form_a, form_b) = (canonical(&spelling(&a, seed)), canonical(&spelling(&b, seed.wrapping_add(1))));
        prop_assert_eq!(a == b, form_a == form_b);
    }

    #[test]
    fn what_is_left_out_is_what_stands_at_the_pointers(tree in any_tree(), seed: u64, picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..4)) {
        let mut all = Vec::new();
        places(&tree, "", &mut all);
        all.push("/nowhere/at/all".to_owned());
        let picked: Vec<String> = picks.iter().map(|pick| pick.get(&all[..]).clone()).collect();
        let unhashed = picked.iter().map(|place| pointer(place)).collect();
        let left = without(&tree, "", &picked);
        let record = spelling(&tree, seed);
        let mut canonicalizer = Canonicalizer::new(RecordLimits::default(), unhashed);
        let form = canonicalizer.canonicalize(record.as_bytes()).map(|form| String::from_utf8(form.to_vec()).unwrap());
        prop_assert_eq!(form, Ok(expected(&left)), "{}", record);
    }

    #[test]
    fn mutated_json_is_accepted_exactly_when_serde_json_accepts_it(
        tree in any_tree(), seed: u64,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3u8), 0..4),
    ) {
        let pieces: [&[u8]; 31] = [
            b"\"", b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"0", b"1", b"-", b".", b"e", b"E+", b"true", b"nul", b"\\u", b"\\ud800",
            b"\\udc00", b"\\u00", b"\x00", b"\x1f", b"\x7f", b"\xff", b"\xc3\xa9", b"/", b"a", b"\"a\":1,", b"1e9999",
        ];
        let mut text = spelling(&tree, seed).into_bytes();
        for (place, piece, kind) in edits {
            let start = place.index(text.len() + 1);
            let end = if kind == 0 { start } else { (start + kind as usize).min(text.len()) };
            let piece: &[u8] = if kind == 2 { b"" } else { pieces[piece.index(pieces.len())] };
            text.splice(start..end, piece.iter().copied());
        }
        agrees_with_serde_json(&text)?;
    }

    #[test]
    fn select_gives_back_the_texts_that_were_put_in(
        trees in proptest::collection::vec(any_tree(), 0..8), seed: u64, key in any_text(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let texts: Vec<String> = trees.iter().zip(seed..).map(|(tree, seed)| spelling(tree, seed)).collect();
        let trimmed: Vec<&[u8]> = texts.iter().map(|text| text.trim_matches([' ', '\t', '\n', '\r']).as_bytes()).collect();
        let envelope = Tree::Object([(key.clone(), Tree::Word("@")), ("z".to_owned(), Tree::Text("[{".to_owned()))].into());
        let body = spelling(&envelope, seed).replace('@', &format!("[{}]", texts.join(",")));
        prop_assume!(!key.contains('@') && key != "z");
        let place = pointer(&below("", &key));
        let selected = select(&Bytes::from(body.clone()), &place, None, 1_000_000);
        prop_assert_eq!(selected.map(|selected| selected.records), Ok(trimmed.iter().map(|text| Bytes::copy_from_slice(text)).collect()), "{}", body);
        for cut in cuts {
            let end = cut.index(body.trim_ascii_end().len());
            let cut = select(&Bytes::copy_from_slice(&body.as_bytes()[..end]), &place, None, 1_000_000);
            prop_assert!(matches!(cut, Err(BodyError::NotJson { .. })), "cut at {}", end);
        }
    }

    #[test]
    fn find_gives_the_text_that_stands_at_each_place(tree in any_tree(), seed: u64) {
        let body = spelling(&tree, seed);
        let mut all = vec![String::new()];
        places(&tree, "", &mut all);
        for place in all.iter().map(|place| pointer(place)) {
            let range = find(body.as_bytes(), &place).unwrap().unwrap();
            prop_assert_eq!(canonical(&body[range.clone()]).unwrap(), expected(at(&tree, place.tokens()).unwrap()));
            prop_assert_eq!(body[range.clone()].trim_ascii(), &body[range]);
        }
    }

    #[test]
    fn the_scanner_agrees_with_a_byte_by_byte_one(
        pieces in proptest::collection::vec(proptest::sample::select(SCANNED), 0..60),
        tail in 0..200usize,
    ) {
        let mut text = b"[".to_vec();
        text.extend(pieces.concat());
        text.extend(b"]]]".iter().chain(b"x".repeat(tail).iter()));
        prop_assert_eq!(scan::container_end(&text, 0).ok(), plain_container_end(&text));
    }

    #[test]
    fn no_bytes_make_anything_panic(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"\"\\{}[],:u0d8e-.tfn1 ".to_vec())], 0..200),
    ) {
        agrees_with_serde_json(&bytes)?;
        let body = Bytes::from(bytes);
        for place in ["", "/a", "/0/1", "/"] {
            let _ = find(&body, &pointer(place));
            let _ = select(&body, &pointer(place), None, 1_000_000);
            let _ = select(&body, &pointer(place), Some(&pointer("/a")), 1_000_000);
            let mut wrapped = b"{\"a\":[".to_vec();
            wrapped.extend_from_slice(&body);
            wrapped.extend_from_slice(b"]}");
            let _ = select(&Bytes::from(wrapped), &pointer("/a"), Some(&pointer(place)), 1_000_000);
        }
        let _ = Canonicalizer::new(RecordLimits { max_bytes: 100, max_depth: 2 }, vec![pointer("/a"), pointer("/0/a")]).canonicalize(&body);
    }
}
