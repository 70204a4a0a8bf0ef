use super::*;

#[test]
fn members_are_sorted_by_their_decoded_bytes_at_every_level() {
    assert_eq!(
        canonical(r#" { "b" : 1 , "a" : [ { "d" : [] , "c" : {} } , 2 ] , "" : null } "#).unwrap(),
        r#"{"":null,"a":[{"c":{},"d":[]},2],"b":1}"#
    );
    // Sorted by what they decode to: U+0022 < A < \ < é < U+FF5E < U+1F600 in UTF-8 (not so in
    // UTF-16).
    assert_eq!(
        canonical(r#"{"😀":6,"～":5,"\u00e9":4,"\\":3,"A":2,"\"":1,"\n":0}"#).unwrap(),
        r#"{"\n":0,"\"":1,"A":2,"\\":3,"é":4,"～":5,"😀":6}"#
    );
    // Eight bytes decide most comparisons; these need the rest, and the shorter one first.
    assert_eq!(
        canonical(r#"{"abcdefghz":1,"abcdefgh":2,"abcdefg":3,"abcdefgha":4}"#).unwrap(),
        r#"{"abcdefg":3,"abcdefgh":2,"abcdefgha":4,"abcdefghz":1}"#
    );
}

#[test]
fn containers_that_move_inside_ones_that_move_or_do_not() {
    assert_eq!(
        canonical(
            r#"[{"b":{"y":[{"q":1,"p":2}],"x":0},"a":[{"n":1,"m":{"k":1,"j":2}},{}]},{"a":1,"b":{"d":1,"c":2}}]"#
        )
        .unwrap(),
        r#"[{"a":[{"m":{"j":2,"k":1},"n":1},{}],"b":{"x":0,"y":[{"p":2,"q":1}]}},{"a":1,"b":{"c":2,"d":1}}]"#
    );
}

#[test]
fn a_string_has_one_spelling() {
    assert_eq!(
        canonical(r#""\u00e1\/\u0041\"\\\b\f\n\r\t\u0008\u000A\u001F\u007f\ud83d\ude00\uD83D\uDE00""#).unwrap(),
        "\"á/A\\\"\\\\\\b\\f\\n\\r\\t\\b\\n\\u001f\u{7f}😀😀\""
    );
    assert_eq!(canonical(r#"{"\u00e1":1}"#), canonical(r#"{"á":1}"#));
    assert_eq!(canonical("\"\\u0022\\u005c\"").unwrap(), r#""\"\\""#);
}

#[test]
fn a_compact_sorted_record_is_its_own_canonical_form() {
    let record = r#"{"a":[1,2.50,true,false,null,"x\n\"y\""],"b":{"c":{}},"ção":[[],[[]]]}"#;
    assert_eq!(canonical(record).unwrap(), record);
}

#[test]
fn unhashed_members_and_elements_are_left_out() {
    let record = r#"{"id":1,"updated":"now","items":[{"at":1,"n":1},{"at":2,"n":2}],"tags":["x","y","z"]}"#;
    let cases: &[(&[&str], &str)] = &[
        (&["/updated"], r#"{"id":1,"items":[{"at":1,"n":1},{"at":2,"n":2}],"tags":["x","y","z"]}"#),
        (&["/items/1/at", "/tags/0"], r#"{"id":1,"items":[{"at":1,"n":1},{"n":2}],"tags":["y","z"],"updated":"now"}"#),
        (&["/items", "/items/0/at", "/tags/1", "/tags/2"], r#"{"id":1,"tags":["x"],"updated":"now"}"#),
        (&["/id", "/updated", "/items", "/tags"], "{}"),
        (
            &["/tags/0", "/tags/1", "/tags/2", "/items/0"],
            r#"{"id":1,"items":[{"at":2,"n":2}],"tags":[],"updated":"now"}"#,
        ),
        (
            &["/none", "/id/x", "/tags/00", "/tags/-", "/tags/9"],
            r#"{"id":1,"items":[{"at":1,"n":1},{"at":2,"n":2}],"tags":["x","y","z"],"updated":"now"}"#,
        ),
        (&["", "/tags"], r#"{"id":1,"items":[{"at":1,"n":1},{"at":2,"n":2}],"updated":"now"}"#),
    ];
    for (unhashed, expected) in cases {
        assert_eq!(canonical_leaving_out(record, unhashed).unwrap(), *expected, "{unhashed:?}");
    }
    assert_eq!(
        canonical_leaving_out("[1,[2,{\"b\":1,\"a\":2}],3]", &["/0", "/1/0", "/1/1/b"]).unwrap(),
        r#"[[{"a":2}],3]"#
    );
    assert_eq!(canonical_leaving_out(r#"{"0":1,"\u0061/~":2,"z":3}"#, &["/0", "/a~1~0"]).unwrap(), r#"{"z":3}"#);
    assert_eq!(canonical_leaving_out("7", &["", "/0"]).unwrap(), "7");
}

#[test]
fn what_is_left_out_is_checked_all_the_same() {
    for (record, code) in [
        (r#"{"x":1,"x":2}"#, "duplicate_key"),
        (r#"{"x":{"a":1,"a":2}}"#, "duplicate_key"),
        (r#"{"x":"\u0000"}"#, "nul_character"),
        (r#"{"x":tru}"#, "not_json"),
    ] {
        assert_eq!(canonical_leaving_out(record, &["/x"]).unwrap_err().code(), code, "{record}");
    }
}

#[test]
fn a_key_that_stands_twice_is_found_however_it_is_spelled() {
    let duplicate = |key: &str, at| Err(Rejection::DuplicateKey { key: key.into(), at });
    assert_eq!(canonical(r#"{"a":1,"a":1}"#), duplicate("a", 7));
    assert_eq!(canonical(r#"{"a":1,"b":2,"\u0061":1}"#), duplicate("a", 13));
    assert_eq!(canonical(r#"{"":1,"b":2,"":1}"#), duplicate("", 12));
    assert_eq!(canonical(r#"{"b":1,"a":1,"b":2,"a":2,"b":3}"#), duplicate("b", 13));
    assert_eq!(canonical(r#"[{"x":{"k1234567890":1,"k1234567890":2}}]"#), duplicate("k1234567890", 23));
    assert!(canonical(r#"{"a":{"a":{"a":1}},"A":[{"a":1},{"a":1}]}"#).is_ok());
    let long = "é".repeat(200);
    let error = canonical(&format!(r#"{{"{long}":1,"{long}":2}}"#)).unwrap_err();
    assert_eq!(error, Rejection::DuplicateKey { key: format!("{}…", "é".repeat(79)), at: 406 });
}

#[test]
fn characters_that_cannot_be_stored_are_named_with_their_place() {
    assert_eq!(canonical(r#"["a\u0000"]"#), Err(Rejection::NulCharacter { at: 3 }));
    assert_eq!(canonical(r#"{"a\u0000":1}"#), Err(Rejection::NulCharacter { at: 3 }));
    for (text, at) in [
        (r#""\ud800""#, 1),
        (r#""x\udc00""#, 2),
        (r#""\ud800\u0041""#, 1),
        (r#""\ud800\ud800\udc00""#, 1),
        (r#""\ud800\n""#, 1),
        (r#"{"\udfff":1}"#, 2),
    ] {
        assert_eq!(canonical(text), Err(Rejection::LoneSurrogate { at }), "{text}");
    }
    assert_eq!(code("\"a\u{0}b\""), "not_json");
    assert_eq!(code("\"a\nb\""), "not_json");
    assert_eq!(code("\"a\u{1f}b\""), "not_json");
    assert_eq!(code("\"a\u{7f}b\""), "accepted");
}

#[test]
fn bytes_that_are_no_utf8_are_rejected_at_their_place() {
    let mut canonicalizer = Canonicalizer::new(RecordLimits::default(), Vec::new());
    for (record, at) in [(&b"\"ab\xff\""[..], 3), (b"[\"\xed\xa0\x80\"]", 2), (b"\"\xc3", 1), (b"\"\xc0\x80\"", 1)] {
        assert_eq!(canonicalizer.canonicalize(record), Err(Rejection::NotUtf8 { at }));
    }
}

#[test]
fn what_is_not_json_is_rejected() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "[1,]",
        "[,1]",
        "[1,,2]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "tru",
        "truee",
        "nul",
        "True",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "]",
        "1 2",
        "{} {}",
        "\"",
        "\"abc",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\\u12\"",
        "\u{feff}1",
        "1\u{a0}",
        "/*c*/1",
        "[1]//",
        "\u{c}1",
        "{\"a\":1,,\"b\":2}",
        "{\"a\" 1}",
        "\"\\u+123\"",
    ] {
        assert_eq!(code(text), "not_json", "{text}");
    }
    assert_eq!(canonical("[1,]"), Err(Rejection::NotJson { reason: "a value should stand here", at: 3 }));
    assert_eq!(canonical("[1").unwrap_err().to_string(), "at byte 2: the record ends too early");
}

#[test]
fn depth_and_size_are_bounded_inclusively() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(canonical(&nested(128)), Ok(nested(128)));
    assert_eq!(canonical(&nested(129)), Err(Rejection::TooDeep { limit: 128 }));
    assert_eq!(canonical(&"[".repeat(1_000_000)), Err(Rejection::TooDeep { limit: 128 }));
    assert_eq!(canonical(&"{\"a\":".repeat(129)), Err(Rejection::TooDeep { limit: 128 }));
    let mut scalars = Canonicalizer::new(RecordLimits { max_bytes: 4, max_depth: 0 }, Vec::new());
    assert_eq!(scalars.canonicalize(b"true"), Ok(&b"true"[..]));
    assert_eq!(scalars.canonicalize(b"[]"), Err(Rejection::TooDeep { limit: 0 }));
    assert_eq!(scalars.canonicalize(b"false"), Err(Rejection::TooLarge { bytes: 5, limit: 4 }));
    let limits = RecordLimits { max_depth: usize::MAX, ..RecordLimits::default() };
    let mut deep = Canonicalizer::new(limits, Vec::new());
    let text = nested(1_000_000);
    assert_eq!(deep.canonicalize(text.as_bytes()).map(<[u8]>::len), Ok(2_000_000));
    let text = format!("{}1{}", "{\"b\":0,\"a\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(deep.canonicalize(text.as_bytes()).map(<[u8]>::len), Ok(text.len()));
}

#[test]
fn a_rejected_record_leaves_nothing_to_the_next_one() {
    let mut canonicalizer = Canonicalizer::new(RecordLimits::default(), vec![pointer("/u")]);
    let large = format!(r#"{{"z":"{}","a":[{{"c":1,"b":2}},"#, "\\u0041x".repeat(400_000));
    for broken in [r#"{"b":{"d":1,"c":2},"a":[1,{"\u0061":"#, &large, r#"{"a":1,"a":2}"#, "\"\\u0041"] {
        assert!(canonicalizer.canonicalize(broken.as_bytes()).is_err());
        assert_eq!(canonicalizer.canonicalize(br#"{"b":1,"u":2,"\u0061":3}"#), Ok(&br#"{"a":3,"b":1}"#[..]));
        assert_eq!(canonicalizer.canonicalize(b"[1, 2]"), Ok(&b"[1,2]"[..]));
    }
}

#[test]
fn every_rejection_has_its_code_and_says_what_and_where() {
    let cases = [
        (
            Rejection::TooLarge { bytes: 9, limit: 8 },
            "too_large",
            "9 bytes; limit record_bytes (8), which [limits] of atlas.toml raises",
        ),
        (Rejection::NotUtf8 { at: 3 }, "not_utf8", "no UTF-8 at byte 3"),
        (Rejection::NotJson { reason: "why", at: 3 }, "not_json", "at byte 3: why"),
        (Rejection::TooDeep { limit: 2 }, "too_deep", "limit record_depth (2), which [limits] of atlas.toml raises"),
        (Rejection::NulCharacter { at: 3 }, "nul_character", "U+0000 at byte 3"),
        (Rejection::LoneSurrogate { at: 3 }, "lone_surrogate", "half of a surrogate pair at byte 3"),
        (
            Rejection::NumberOutOfRange { at: 3 },
            "number_out_of_range",
            "a number beyond PostgreSQL's numeric at byte 3",
        ),
        (Rejection::DuplicateKey { key: "a\n".into(), at: 3 }, "duplicate_key", r#"the key "a\n" again at byte 3"#),
    ];
    for (rejection, code, message) in cases {
        assert_eq!(rejection.code(), code);
        assert_eq!(rejection.to_string(), message);
    }
}
