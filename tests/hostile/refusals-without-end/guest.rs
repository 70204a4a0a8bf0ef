//! It makes ten thousand requests that are none, and then a good one.

use hostile::sdk::Request;

hostile::fetch!(|scrap, _| {
    for _ in 0..10_000 {
        let _ = Request::get("x").header("no name", "x").send();
    }
    hostile::good_page(scrap)
});
