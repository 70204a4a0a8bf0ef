//! The page, the API, and what happens, live: `atlas serve`. One process that also takes scraps
//! from the queue and runs them.
//!
//! It decides nothing: page and API call [`service`](atlas_service), as the command line does, and
//! show what comes of it. Who may do what is decided there too (`Principal::may`).
//!
//! - `serve`, `settings`  the server, from its address to its end
//! - `router`   which address is answered by what
//! - `state`    what all request handlers share
//! - `connections`, `lines`, `tls`  what a connection passes before a request is read
//! - `prefix`   a path in front of all others
//! - `guard`    what every request passes: host, origin, headers
//! - `request`  a request's id and span
//! - `session`  authentication: sessions of browsers, tokens of programs, the tokens of forms
//! - `throttle` sign-ins that fail
//! - `page`     the page
//! - `api`      the API, `/api/v1`
//! - `events`   live events for listeners
//! - `probes`, `metrics`  what monitoring asks
//! - `query`    the names that queries may have
//! - `problem`  failures as HTTP tells them
//! - `counting` counts of a client's rows, which take minutes on a large table
//! - `search`, `export`  records that are searched by what they hold, and as a file
//! - `preferences`, `cookies`, `texts`  language and time zone of a response
//! - `view`     how things look to programs
//! - `run`      the runs of this process

mod api;
mod connections;
mod cookies;
mod counting;
mod events;
mod export;
mod guard;
mod lines;
mod metrics;
mod page;
mod preferences;
mod prefix;
mod probes;
mod problem;
mod query;
mod request;
mod router;
mod run;
mod search;
mod serve;
mod session;
mod settings;
mod state;
mod texts;
mod throttle;
mod tls;
mod view;

pub use self::serve::Listening;
pub use self::settings::{ContinueTrace, ServeSettings};
