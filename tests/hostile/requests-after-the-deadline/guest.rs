//! It asks for so long as it is let, and a page at a time costs it no CPU time: the deadline finds
//! a request in flight.

hostile::fetch!(|scrap, _| {
    loop {
        let _ = hostile::customers(scrap);
    }
});
