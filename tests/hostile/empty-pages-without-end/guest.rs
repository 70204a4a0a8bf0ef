//! Each page names one more, and none has a record.

hostile::fetch!(|_, cursor| {
    let page: u64 = cursor.unwrap_or("0").parse().unwrap_or(0);
    Ok(hostile::empty_page().then([(page + 1).to_string()]))
});
