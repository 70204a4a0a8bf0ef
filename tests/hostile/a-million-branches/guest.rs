//! One page names a million others.

hostile::fetch!(|_, _| Ok(hostile::empty_page().then((0..1_000_000_u32).map(|branch| branch.to_string()))));
