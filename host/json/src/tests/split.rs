use bytes::Bytes;

use super::*;

fn texts(body: &str, at: &str, element: Option<&str>) -> Result<Vec<String>, BodyError> {
    let element = element.map(pointer);
    let selected = select(&Bytes::from(body.to_owned()), &pointer(at), element.as_ref(), 1_000_000)?;
    Ok(selected.records.iter().map(|slice| String::from_utf8(slice.to_vec()).unwrap()).collect())
}

fn found<'a>(body: &'a str, at: &str) -> Result<Option<&'a str>, BodyError> {
    Ok(find(body.as_bytes(), &pointer(at))?.map(|range| &body[range]))
}

fn not_json(body: &str, at: &str) -> bool {
    matches!(texts(body, at, None), Err(BodyError::NotJson { .. }))
        && matches!(found(body, at), Err(BodyError::NotJson { .. }))
}

#[test]
fn one_broken_element_does_not_stop_the_others() {
    assert_eq!(
        texts(r#"{"data":[{"a":1},{"a":tru},{"b":2}]}"#, "/data", None).unwrap(),
        [r#"{"a":1}"#, r#"{"a":tru}"#, r#"{"b":2}"#]
    );
    assert_eq!(
        texts("[ {\"a\":\"\n\"} , x y , \"s,]\\\"\" x, :, 1 2 ,{a:1}{} ]", "", None).unwrap(),
        ["{\"a\":\"\n\"}", "x y", "\"s,]\\\"\" x", ":", "1 2", "{a:1}{}"]
    );
    let body = Bytes::from_static(b"[{\"a\":\"\xff\xfe\"},\xff,{\"b\":\"\x00\"}]");
    assert_eq!(
        select(&body, &pointer(""), None, 1_000_000).unwrap().records,
        [&b"{\"a\":\"\xff\xfe\"}"[..], b"\xff", b"{\"b\":\"\x00\"}"]
    );
    assert_eq!(texts(r#"[{"a":\"x\"},\",2]"#, "", None).unwrap(), [r#"{"a":\"x\"}"#, r#"\""#, "2"]);
}

#[test]
fn an_empty_slot_becomes_an_empty_record() {
    assert_eq!(texts("[1,,2]", "", None).unwrap(), ["1", "", "2"]);
    assert_eq!(texts("[1,2, ]", "", None).unwrap(), ["1", "2", ""]);
    assert_eq!(texts("[,]", "", None).unwrap(), ["", ""]);
    assert_eq!(texts("[1,,2]", "", Some("")).unwrap(), ["1", "", "2"]);
    assert_eq!(code(""), "not_json");
    assert!(texts("[]", "", None).unwrap().is_empty());
    assert!(texts(" [ \n ] ", "", None).unwrap().is_empty());
}

#[test]
fn elements_come_as_their_exact_text_without_the_space_around_them() {
    let body = "\u{feff} { \"data\" : [ {\"n\": 1.10e2 } ,\n\t\"a\\u0062\" , [ 1, 2 ] ,null]} \r\n";
    assert_eq!(texts(body, "/data", None).unwrap(), ["{\"n\": 1.10e2 }", "\"a\\u0062\"", "[ 1, 2 ]", "null"]);
    let bytes = Bytes::from(body);
    let first = &select(&bytes, &pointer("/data"), None, 1_000_000).unwrap().records[0];
    assert!(bytes.as_ptr_range().contains(&first.as_ptr()), "zero-copy");
}

#[test]
fn a_body_from_which_records_could_be_missing_is_not_json() {
    for body in [
        r#"{"data":[{"a":1},{"a":2}"#,
        r#"{"data":[{"a":1},{"a":2}]"#,
        r#"{"data":[{"a":1},{"a":"2}]}"#,
        r#"{"data":[{"a":1},"#,
        r#"{"data":[{"a":1},{"a":2]]}"#,
        r#"{"data":[{"a":1}}"#,
        r#"{"data":[{"a":1}]} {"data":[]}"#,
        r#"{"data":[1]}x"#,
        r#"{"data":[1]}]"#,
        r#"{"data":[1],"x":{"y":[}}"#,
        r#"{"data":[1],"x":"#,
        r#"{"data":[1],"x":}"#,
        r#"{"data":[1],}"#,
        r#"{"data":[1] "x":1}"#,
        r#"{"x":1 "data":[1]}"#,
        r#"{"x" 1,"data":[1]}"#,
        r#"{x:1,"data":[1]}"#,
        r#"{"\q":1,"data":[1]}"#,
        r#"{"data":[1],"a"#,
        r#"{"data":[1],"\"#,
        "<html><body>502</body></html>",
        "",
        "  \n",
        "\u{feff}",
        "hello",
        "Internal error",
        "1 2",
        "'",
        "]",
        "\"abc",
        "{",
        "{\"data\":[\"\\",
    ] {
        assert!(not_json(body, "/data"), "{body}");
    }
    for (body, reason, at) in [
        ("<html>", "it begins like HTML or XML", 0),
        ("", "it is empty", 0),
        ("[1,{\"a\":[1]", "it ends too early", 11),
        ("[1,{\"a\":[1}]", "a bracket closes one of the other kind", 10),
        ("[1]]", "text goes on after its end", 3),
    ] {
        assert_eq!(texts(body, "", None), Err(BodyError::NotJson { reason, at }), "{body}");
    }
}

#[test]
fn the_path_is_followed_by_decoded_keys_and_canonical_indices() {
    let body = r#"{"\u0064ata":{"a/b":[10,{"m~n":[20,21]}],"":{" ":3}},"é":4,"\u00e9x":5,"\ud800":6}"#;
    for (at, expected) in [
        ("/data/a~1b/0", Some("10")),
        ("/data/a~1b/1/m~0n/1", Some("21")),
        ("/data/a~1b/1/m~0n", Some("[20,21]")),
        ("/data/a~1b/01", None),
        ("/data/a~1b/-", None),
        ("/data/a~1b/2", None),
        ("/data/a~1b/+1", None),
        ("/data/a~1b/18446744073709551616", None),
        ("/data//%20", None),
        ("/data// ", Some("3")),
        ("/é", Some("4")),
        ("/éx", Some("5")),
        ("/é/0", None),
        ("/nope", None),
        ("", Some(body)),
    ] {
        assert_eq!(found(body, at), Ok(expected), "{at}");
    }
    assert_eq!(found(" 12.50 ", ""), Ok(Some("12.50")));
    assert_eq!(found("\"a\"", "/a"), Ok(None));
}

#[test]
fn a_key_on_the_way_that_stands_twice_is_refused() {
    assert!(not_json(r#"{"data":[1,2],"\u0064ata":[3]}"#, "/data"));
    assert!(not_json(r#"{"data":[1],"data":7}"#, "/data"));
    assert!(found(r#"{"a":{"b":1},"a":{"c":2}}"#, "/a/b").is_err());
    assert!(found(r#"{"a":{"b":1,"b":2}}"#, "/a/b").is_err());
    // Beside the path it is of no concern, nor the same name in another object.
    assert_eq!(found(r#"{"x":1,"a":{"b":3},"x":{"b":4}}"#, "/a/b"), Ok(Some("3")));
    assert_eq!(found(r#"{"a":{"a":{"a":1}}}"#, "/a/a/a"), Ok(Some("1")));
}

#[test]
fn values_beside_the_path_are_only_stepped_over() {
    assert_eq!(texts(r#"{"x":NaN,"y":{"a":tru,,},"data":[1],"z":-Infinity}"#, "/data", None).unwrap(), ["1"]);
}

#[test]
fn a_missing_array_and_something_else_than_an_array_are_told_apart() {
    let missing = |pointer: &str| Err(BodyError::Missing { pointer: pointer.into() });
    assert_eq!(texts(r#"{"data":[]}"#, "/dados", None), missing("/dados"));
    assert_eq!(texts(r#"{"data":{"a":1}}"#, "/data", None), Err(BodyError::NotAnArray { pointer: "/data".into() }));
    assert_eq!(texts(r#"{"data":null}"#, "/data", None), Err(BodyError::NotAnArray { pointer: "/data".into() }));
    assert_eq!(
        texts(r#"{"data":null}"#, "/data", None).unwrap_err().to_string(),
        r#"the body has something else than an array at "/data""#
    );
    // Being cut short weighs more than either.
    assert!(matches!(texts(r#"{"data":null"#, "/data", None), Err(BodyError::NotJson { .. })));
}

#[test]
fn the_value_inside_each_element_is_selected() {
    let body = r#"{"data":[{"pedido":{"id":1},"x":tru},{"x":1,"pedido": {"id":2} }]}"#;
    assert_eq!(texts(body, "/data", Some("/pedido")).unwrap(), [r#"{"id":1}"#, r#"{"id":2}"#]);
    assert_eq!(
        texts(r#"{"data":[{"pedido":1},{"x":1}]}"#, "/data", Some("/pedido")),
        Err(BodyError::Missing { pointer: "/data/1/pedido".into() })
    );
    // A broken element is kept whole, so that it is rejected and its siblings are not.
    assert_eq!(
        texts(r#"[{"pedido":1},{pedido:2},tru,,{"pedido":3}]"#, "", Some("/pedido")).unwrap(),
        ["1", "{pedido:2}", "tru", "", "3"]
    );
}

#[test]
fn depth_costs_neither_stack_nor_time() {
    for depth in [63, 64, 65, 128, 129, 10_000, 10_000_000] {
        let body = format!("[{}{}]", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(texts(&body, "", None).unwrap()[0].len(), depth * 2, "{depth}");
        assert!(not_json(&body[..body.len() - 1], ""), "{depth}");
    }
    let mixed = format!("{}1{}", "[{\"a\":".repeat(100_000), "}]".repeat(100_000));
    assert_eq!(texts(&mixed, "", None).unwrap().len(), 1);
    let wrong = format!("{}1{}", "[{\"a\":".repeat(100_000), "]}".repeat(100_000));
    assert!(not_json(&wrong, ""));
    let way = "/a".repeat(100_000);
    let body = format!("{}[7]{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(texts(&body, &way, None).unwrap(), ["7"]);
}

#[test]
fn strings_and_escapes_across_every_block_boundary() {
    for pad in 0..140 {
        for backslashes in 0..8 {
            let string = format!("\"{}{}{}]}}\"", "x".repeat(pad), "\\".repeat(backslashes * 2), "\\\"");
            let element = format!("{{\"a\":[{string},{{}}]}}");
            let body = format!("[{element},{element} ]");
            assert_eq!(texts(&body, "", None).unwrap(), [element.as_str(), element.as_str()], "{pad} {backslashes}");
        }
    }
}

#[test]
fn more_elements_than_may_be_are_refused() {
    let body = Bytes::from_static(b"[1,2,3]");
    assert_eq!(select(&body, &pointer(""), None, 3).unwrap().records.len(), 3);
    assert_eq!(select(&body, &pointer(""), None, 2), Err(BodyError::TooMany { max: 2 }));
}

#[test]
fn what_was_selected_is_not_read_once_more() {
    let body = Bytes::from_static(br#"{"data":[{"total":1},[2]],"total":7,"other":{"data":[8]}}"#);
    let array = select(&body, &pointer("/data"), None, 10).unwrap().array;
    assert_eq!(&body[array.clone()], br#"[{"total":1},[2]]"#);
    for place in ["/total", "/data", "/data/0/total", "/data/1/0", "/other/data/0", "/missing", ""] {
        let place = pointer(place);
        assert_eq!(find_beside(&body, &place, Some(&array)), find(&body, &place));
    }
    // Were it read, it would be found to be broken.
    let mut broken = body.to_vec();
    broken[array.start + 1] = b']';
    assert!(find(&broken, &pointer("/total")).is_err());
    assert!(find_beside(&broken, &pointer("/total"), Some(&array)).is_ok());
}
