//! Its quota is there again at a moment that is none.

use hostile::sdk::{FetchError, QuotaHint};

hostile::fetch!(|_, _| {
    Err(FetchError::Quota(QuotaHint { reason: "spent".to_owned(), until: Some("'; DROP TABLE scraps; --".to_owned()) }))
});
