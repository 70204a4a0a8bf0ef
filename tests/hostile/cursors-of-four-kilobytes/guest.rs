//! Each page names thirty thousand others, each by a cursor as long as it may be: more than a
//! hundred megabytes a page, none of them a record.

hostile::fetch!(|_, cursor| {
    let stem = cursor.unwrap_or("x").trim_end_matches('-').to_owned();
    let named = (0..30_000_u32).map(|branch| {
        let name = format!("{stem}.{branch}");
        format!("{name:-<4096}")
    });
    Ok(hostile::empty_page().then(named))
});
