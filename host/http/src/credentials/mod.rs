//! Credentials of APIs, and how they are kept from connectors, logs, messages and rejected rows.
//!
//! A secret leaves this room only through [`Secret::expose`](atlas_model::Secret::expose), towards
//! the store that keeps it and the request that it is sent with. Its type cannot be printed,
//! serialised or compared, so that no log line, error or test output can hold it.
//!
//! - `scheme`      where an API expects its credential, as connectors declare it
//! - `endpoint`    which of a client's credentials goes where
//! - `credential`  what is added to a request
//! - `oauth`       access tokens: got from the token URL, renewed once for all who wait
//! - `redact`      secrets taken out of whatever a source answers
//! - `escapes`     the ways in which an answer may write a character

mod credential;
mod endpoint;
mod escapes;
mod oauth;
mod redact;
mod scheme;

pub use self::credential::Credential;
pub(super) use self::credential::Outgoing;
pub use self::endpoint::{CredentialError, Endpoint};
pub use self::oauth::TokenSessions;
pub(super) use self::redact::Redactor;
pub use self::scheme::{AuthScheme, Placeholder, Position, SchemeError, TokenGrant};
