use super::*;

#[test]
fn the_examples_of_rfc_6901_parse_to_their_tokens() {
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("/foo", &["foo"]),
        ("/foo/0", &["foo", "0"]),
        ("/", &[""]),
        ("/a~1b", &["a/b"]),
        ("/m~0n", &["m~n"]),
        ("/~01", &["~1"]),
        ("/ /é//", &[" ", "é", "", ""]),
    ];
    for (text, tokens) in cases {
        assert_eq!(pointer(text).tokens(), *tokens, "{text}");
        assert_eq!(pointer(text).as_str(), *text);
        assert_eq!(pointer(text).to_string().parse(), Ok(pointer(text)));
    }
    assert!(pointer("").is_root());
    assert!(!pointer("/").is_root());
}

#[test]
fn what_is_no_pointer_is_refused_with_its_place() {
    let message = |text| Pointer::parse(text).unwrap_err().to_string();
    assert_eq!(message("data"), r#"the JSON pointer "data" does not begin with "/" (the whole document is "")"#);
    assert_eq!(message("#/a"), r##"the JSON pointer "#/a" does not begin with "/" (the whole document is "")"##);
    assert_eq!(message("/a/b~2"), r#"the JSON pointer "/a/b~2" has a "~" at byte 4 that is neither "~0" nor "~1""#);
    assert_eq!(Pointer::parse("/~0~"), Err(PointerError::BadEscape { pointer: "/~0~".into(), at: 3 }));
    let long = message(&"x".repeat(500));
    assert!(long.contains(&format!("{}…", "x".repeat(79))) && !long.contains(&"x".repeat(80)), "{long}");
}

#[test]
fn a_prefix_is_made_of_whole_tokens() {
    for (prefix, other, expected) in [
        ("", "/a", true),
        ("", "", true),
        ("/a", "/a", true),
        ("/a", "/a/b", true),
        ("/a", "/ab", false),
        ("/a/b", "/a", false),
        ("/a~1b", "/a/b", false),
    ] {
        assert_eq!(pointer(prefix).is_prefix_of(&pointer(other)), expected, "{prefix} of {other}");
    }
}
