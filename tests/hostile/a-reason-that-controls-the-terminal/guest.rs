//! Its reason moves the cursor and forges lines.

use hostile::sdk::FetchError;

hostile::fetch!(|_, _| Err(FetchError::Fatal(
    "begin\u{1b}[2J\u{1b}[1;1H\r\n✅ forged\u{9b}31m\u{202e}\0 end".to_owned()
)));
