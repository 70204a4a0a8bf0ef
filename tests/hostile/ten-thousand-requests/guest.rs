//! It asks ten thousand times in one page, and takes no refusal.

hostile::fetch!(|scrap, _| {
    for _ in 0..10_000 {
        let _ = hostile::customers(scrap);
    }
    hostile::good_page(scrap)
});
