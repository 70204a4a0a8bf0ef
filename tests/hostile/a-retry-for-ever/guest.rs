//! It wants the page tried again, at once, each time.

use hostile::sdk::{FetchError, RetryHint};

hostile::fetch!(|scrap, _| {
    let _ = hostile::customers(scrap)?;
    Err(FetchError::Retry(RetryHint { reason: "again".to_owned(), after_ms: Some(0) }))
});
