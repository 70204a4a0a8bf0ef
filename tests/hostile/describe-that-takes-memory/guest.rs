//! It takes all memory before it says what it is.

hostile::describe!(|| {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1_u8; 1024 * 1024]);
        std::hint::black_box(&kept);
    }
});
