//! It wants the page tried again, in a thousand years.

use hostile::sdk::{FetchError, RetryHint};

hostile::fetch!(|_, _| Err(FetchError::Retry(RetryHint { reason: "later".to_owned(), after_ms: Some(u64::MAX) })));
