//! Its source sends it to another server, which the operator granted for files: the host goes
//! there, and leaves the credential behind.

use hostile::sdk::FetchError;

hostile::fetch!(|scrap, _| match hostile::customers_sent(scrap)?.status() {
    401 => Ok(hostile::empty_page()),
    other => Err(FetchError::InvalidResponse(format!("HTTP {other} from where no credential opens anything"))),
});
