//! Each acknowledgment wants another.

hostile::fetch!(|_, cursor| {
    let number: u64 = cursor.unwrap_or("0").parse().unwrap_or(0);
    let mut page = hostile::empty_page();
    page.after_commit.push((number + 1).to_string());
    Ok(page)
});
