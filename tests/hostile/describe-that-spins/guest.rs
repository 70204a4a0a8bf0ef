//! It never says what it is.

use std::hint::black_box;

hostile::describe!(|| {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
});
