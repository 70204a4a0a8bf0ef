//! Its records are no JSON, too deep, too large, or not to be kept.

use hostile::sdk::Page;

hostile::fetch!(|_, _| {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let large = format!("\"{}\"", "x".repeat(17 * 1024 * 1024));
    let records =
        ["", "{", "nil", "{\"id\":1}{\"id\":2}", "\"\\u0000\"", "\"\\ud800\"", "1e999999", "{\"a\":1,\"a\":2}", "\0"];
    let mut records: Vec<String> = records.map(str::to_owned).into();
    records.extend([deep, large, "{\"id\":7}".to_owned()]);
    Ok(Page::json(records))
});
