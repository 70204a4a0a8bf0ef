//! It asks for values at every kind of place that is none.

use hostile::sdk::FetchError;

hostile::fetch!(|scrap, _| {
    let answer = hostile::customers(scrap)?;
    let deep = "/a".repeat(200_000);
    let long = format!("/{}", "x".repeat(4 * 1024 * 1024));
    let no_pointers = ["data", "data/0", "/~", "/~2", "/data/~", " /data", "#/data", "\0"];
    for pointer in no_pointers {
        if answer.json(pointer).is_ok() || answer.select(pointer).is_ok() {
            return Err(FetchError::InvalidResponse(format!("taken for a pointer: {pointer:?}")));
        }
    }
    let nowhere = [
        "/",
        "//",
        "/data/",
        "/data/-",
        "/data/-1",
        "/data/+1",
        "/data/01",
        "/data/1e0",
        "/data/3",
        "/data/0/0",
        "/data/18446744073709551616",
        "/data/99999999999999999999999999",
        "/Data",
        "/data\0",
        "/\u{202e}",
        &deep,
        &long,
    ];
    for pointer in nowhere {
        if !matches!(answer.json(pointer), Ok(None)) || answer.select(pointer).is_ok() {
            return Err(FetchError::InvalidResponse(format!("something stands at {pointer:.40?}")));
        }
    }
    if answer.select("/total").is_ok() || answer.select("").is_ok() || answer.select_in("/data", "/nothing").is_ok() {
        return Err(FetchError::InvalidResponse("records where none are".to_owned()));
    }
    hostile::good_page(scrap)
});
