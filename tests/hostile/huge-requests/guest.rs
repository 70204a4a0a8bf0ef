//! Its requests are as large as its memory.

use hostile::sdk::{FetchError, Request};

hostile::fetch!(|scrap, _| {
    const LARGE: usize = 16 * 1024 * 1024;
    let target = || format!("{}/cliente", scrap.client_id);
    let requests = [
        Request::get("x".repeat(LARGE)),
        Request::get(target()).query("q", "x".repeat(LARGE)),
        Request::get(target()).header("x-large", "x".repeat(LARGE)),
        (0..100_000).fold(Request::get(target()), |request, n| request.header("x-many", n)),
        (0..100_000).fold(Request::get(target()), |request, n| request.query("many", n)),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        if request.send().is_ok_and(|answer| answer.status() < 400) {
            return Err(FetchError::InvalidResponse(format!("request {number} was answered")));
        }
    }
    hostile::good_page(scrap)
});
