//! It never comes back.

use std::hint::black_box;

hostile::fetch!(|_, _| {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
});
