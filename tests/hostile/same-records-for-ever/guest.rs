//! Each page has the very same records as the one before.

hostile::fetch!(|scrap, cursor| {
    let page: u64 = cursor.unwrap_or("0").parse().unwrap_or(0);
    Ok(hostile::good_page(scrap)?.then([(page + 1).to_string()]))
});
