//! Page after page of records that cannot be kept as such, and so are kept among the rejected: a
//! megabyte in each.

use hostile::sdk::Page;

hostile::fetch!(|_, cursor| {
    let page: u64 = cursor.unwrap_or("0").parse().unwrap_or(0);
    let records = (0..16).map(|record| format!("{page}.{record}{}", "x".repeat(64 * 1024))).collect();
    Ok(Page::json(records).then([(page + 1).to_string()]))
});
