//! The HTTP that connectors borrow: where a request may go, the credential that is added to it, and the bounded, decoded
//! answer. A request is made once: whether a page is tried again is the pipeline's to decide.
//!
//! - `credentials`  the secret, and which of a client's credentials goes where
//! - `target`       from a connector's target to a URL within the granted origin
//! - `client`       one request, one whole answer
//! - `body`         bodies of bounded size, within one budget for the whole host, as UTF-8
//! - `retry_after`  the wait that an answer asks for

mod body;
mod client;
mod credentials;
mod retry_after;
mod target;

pub use self::body::BodyBudget;
pub use self::client::{Answer, HttpClient, HttpLimits, Method, PageMeter, Request, SendError};
pub use self::credentials::{AuthScheme, Credential, CredentialError, Endpoint, Secret};
pub use self::target::{parse_base_url, shown_base_url};
