//! The HTTP that connectors borrow: where a request may go, the credential that is added to it, and
//! the bounded, decoded answer. A request is made once: whether a page is tried again is the
//! pipeline's to decide.
//!
//! - `credentials` secrets, which of a client's goes where, and how they are kept from others
//! - `token_request`  one request to a token URL
//! - `token_answer`   what it answered, as other clients read it
//! - `message`      answers, why there is none, and the account of a page
//! - `target`       from a connector's target to a URL
//! - `egress`       what is granted, and whether a request is
//! - `pattern`      kinds of request, by method and path
//! - `address`      what kind of address an IP address is
//! - `resolve`      from a name to the addresses that may be connected to
//! - `headers`      which headers pass, in either direction
//! - `redirect`     what an answer that redirects asks for next
//! - `connection`   connections to sources, and what they may read beside bodies
//! - `client`       one request, one whole answer
//! - `collector`    posts of traces to the operator's collector
//! - `body`         bodies of bounded size, within one budget for the whole host, as UTF-8
//! - `retry_after`  the wait that an answer asks for
//! - `rate_headers` how long a source wants to be left alone, by what it says of its budget
//! - `budget`       a client's budget of requests at an API, which all hosts share

mod address;
mod body;
mod budget;
mod client;
mod collector;
mod connection;
mod credentials;
mod egress;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod headers;
mod message;
mod pattern;
mod rate_headers;
mod redirect;
mod resolve;
mod retry_after;
mod target;
#[cfg(test)]
mod tests;
mod token_answer;
mod token_request;
mod zstd;

pub use self::address::{AddressClass, class};
pub use self::body::BodyBudget;
pub use self::budget::{Admission, Budget, BudgetOwner, Budgets, RATE_MIN, RateBudget, Throttled, WAIT_MAX, Waiting};
pub use self::client::{HttpClient, HttpLimits};
pub use self::collector::CollectorClient;
pub use self::connection::ClientError;
pub use self::credentials::{
    AuthScheme, Credential, CredentialError, Endpoint, Placeholder, Position, SchemeError, TokenGrant, TokenSessions,
};
pub use self::egress::{Egress, Grant};
pub use self::message::{Answer, Broke, PageMeter, Refusal, SendError};
pub use self::pattern::{BadPattern, RequestPattern};
pub use self::resolve::{AddressRefused, is_private, lacks_files};
pub use self::target::{parse_base_url, shown_base_url};
pub use self::token_request::token_url_fits;
