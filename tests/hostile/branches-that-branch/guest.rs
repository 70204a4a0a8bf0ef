//! Each page names a hundred others, none of them known.

hostile::fetch!(|_, cursor| {
    let stem = cursor.unwrap_or("x").to_owned();
    Ok(hostile::empty_page().then((0..100_u32).map(|branch| format!("{stem}.{branch}"))))
});
