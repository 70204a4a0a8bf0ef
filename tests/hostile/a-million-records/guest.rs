//! One page has a million records of its own making.

hostile::fetch!(|_, _| Ok(hostile::sdk::Page::json((0..1_000_000_u32).map(|n| n.to_string()).collect())));
