//! It takes memory, a mebibyte at a time, and keeps it.

hostile::fetch!(|_, _| {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1_u8; 1024 * 1024]);
        std::hint::black_box(&kept);
    }
});
