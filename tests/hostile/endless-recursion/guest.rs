//! It calls itself for ever.

use std::hint::black_box;

fn deeper(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    black_box(deeper as fn(u64) -> u64)(depth + 1).wrapping_mul(3) ^ depth
}

hostile::fetch!(|_, _| Ok(hostile::empty_page().of_total(Some(deeper(0)))));
