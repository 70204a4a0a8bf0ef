//! Its reason is longer than anybody can read.

use hostile::sdk::FetchError;

hostile::fetch!(|_, _| Err(FetchError::Fatal(format!("reason {}", "x".repeat(32 * 1024 * 1024)))));
