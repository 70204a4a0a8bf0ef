//! It asks and asks, long after its time is over.

hostile::fetch!(|scrap, _| {
    loop {
        let _ = hostile::customers(scrap);
    }
});
