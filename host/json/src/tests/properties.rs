use bytes::Bytes;
use proptest::prelude::*;

use super::plain::{Tree, below};
use super::*;

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
        let record = tree.spelled(seed);
        prop_assert_eq!(canonical(&record), Ok(tree.canonical()), "{}", record);
    }

    #[test]
    fn different_values_have_different_canonical_forms(a in any_tree(), b in any_tree(), seed: u64) {
        let (form_a, form_b) = (canonical(&a.spelled(seed)), canonical(&b.spelled(seed.wrapping_add(1))));
        prop_assert_eq!(a == b, form_a == form_b);
    }

    #[test]
    fn what_is_left_out_is_what_stands_at_the_pointers(tree in any_tree(), seed: u64, picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..4)) {
        let mut all = Vec::new();
        places(&tree, "", &mut all);
        all.push("/nowhere/at/all".to_owned());
        let picked: Vec<String> = picks.iter().map(|pick| pick.get(&all[..]).clone()).collect();
        let unhashed = picked.iter().map(|place| pointer(place)).collect();
        let left = tree.without("", &picked);
        let record = tree.spelled(seed);
        let mut canonicalizer = Canonicalizer::new(RecordLimits::default(), unhashed);
        let form = canonicalizer.canonicalize(record.as_bytes()).map(|form| String::from_utf8(form.to_vec()).unwrap());
        prop_assert_eq!(form, Ok(left.canonical()), "{}", record);
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
        let mut text = tree.spelled(seed).into_bytes();
        for (place, piece, kind) in edits {
            let start = place.index(text.len() + 1);
            let end = if kind == 0 { start } else { (start + kind as usize).min(text.len()) };
            let piece: &[u8] = if kind == 2 { b"" } else { pieces[piece.index(pieces.len())] };
            text.splice(start..end, piece.iter().copied());
        }
        fuzzing::check(&text);
    }

    #[test]
    fn select_gives_back_the_texts_that_were_put_in(
        trees in proptest::collection::vec(any_tree(), 0..8), seed: u64, key in any_text(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let texts: Vec<String> = trees.iter().zip(seed..).map(|(tree, seed)| tree.spelled(seed)).collect();
        let trimmed: Vec<&[u8]> = texts.iter().map(|text| text.trim_matches([' ', '\t', '\n', '\r']).as_bytes()).collect();
        let envelope = Tree::Object([(key.clone(), Tree::Word("@")), ("z".to_owned(), Tree::Text("[{".to_owned()))].into());
        let body = envelope.spelled(seed).replace('@', &format!("[{}]", texts.join(",")));
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
        let body = tree.spelled(seed);
        let mut all = vec![String::new()];
        places(&tree, "", &mut all);
        for place in all.iter().map(|place| pointer(place)) {
            let range = find(body.as_bytes(), &place).unwrap().unwrap();
            prop_assert_eq!(canonical(&body[range.clone()]).unwrap(), tree.at(place.tokens()).unwrap().canonical());
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
        prop_assert_eq!(scan::container_end(&text, 0).ok(), plain::container_end(&text));
    }

    #[test]
    fn no_bytes_make_anything_panic(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(b"\"\\{}[],:u0d8e-.tfn1 ".to_vec())], 0..200),
    ) {
        fuzzing::check(&bytes);
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
