//! Three pages name each other in turn.

hostile::fetch!(|_, cursor| {
    let next = match cursor {
        None | Some("c") => "a",
        Some("a") => "b",
        _ => "c",
    };
    Ok(hostile::empty_page().then([next]))
});
