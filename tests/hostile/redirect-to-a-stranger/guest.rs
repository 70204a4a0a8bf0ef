//! Its source sends it to a server of the attacker's, in the hope that the credential goes along:
//! the host does not go there.

use hostile::sdk::{FetchError, HttpError};

hostile::fetch!(|scrap, _| match hostile::customers_sent(scrap) {
    Err(HttpError::Denied(_)) => Ok(hostile::empty_page()),
    other => Err(FetchError::InvalidResponse(format!("not refused: {}", other.is_ok()))),
});
