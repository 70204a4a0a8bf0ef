//! Each page names one more.

hostile::fetch!(|_, cursor| {
    let page: u64 = cursor.unwrap_or("0").parse().unwrap_or(0);
    let record = format!("{{\"id\":{page}}}");
    Ok(hostile::sdk::Page::json(vec![record]).then([(page + 1).to_string()]))
});
