//! Its targets climb out of the base URL in every spelling.

use hostile::sdk::{FetchError, Request};

hostile::fetch!(|scrap, _| {
    let climbing = [
        "..",
        "../",
        "../../../_served",
        "/../../../_served",
        "2151/../../../../_served",
        "%2e%2e/_served",
        "%2E%2E/%2e./.%2e/_served",
        "..\\..\\_served",
        "2151\\..\\..",
        "..;/..\t/_served",
        "\t../_served",
        "./../../_served",
        "2151/..%2f..%2f/../x",
        "a\0b",
        "a\r\nb",
        "/..?x=1",
        "/..#x",
    ];
    for target in climbing {
        if let Ok(answer) = Request::get(target).send() {
            return Err(FetchError::InvalidResponse(format!("{target:?} led to an answer: {}", answer.status())));
        }
    }
    hostile::good_page(scrap)
});
