//! The operations of the product, which the command line, the page and the API call: register
//! clients, create scraps, run them, prove that nothing is missing. Every failure is a [`Failure`]:
//! a message for the operator, and an exit code.
//!
//! - `atlas`       an open installation, whose operations these are
//! - `failure`, `kind`  errors of every crate, as failures for operators
//! - `messages`    messages for what other crates report
//! - `access`      who may come in, and what they may do
//! - `browse`      looking at pages and records
//! - `clients`     clients and where their APIs are
//! - `crashes`     what is found out about processes that crashed
//! - `defaults`    which APIs a client's default token and address serve
//! - `credentials`  credentials of single APIs, and the key that seals all secrets
//! - `connectors`  the folder of connectors, which needs no database
//! - `scraps`, `scrap_request`  creating, looking at, cancelling, pausing
//! - `runs`, `reruns`  running them, and when they are run again
//! - `sources`     connectors with what a client has: endpoint, settings, budgets
//! - `patience`    how long the database is waited for
//! - `history`     what scraps said of themselves, and their pace
//! - `period`      periods, and the slices of a long one
//! - `presence`    this process among the hosts
//! - `preview`     what a scrap would ask for, and one page of it
//! - `published`   connectors that are published to all hosts
//! - `worker`      taking scraps from the queue
//! - `reload`      connectors that change while scraps run
//! - `settings`    what clients have set of APIs
//! - `signing`     signing connectors, and checking signatures
//! - `report`      what a run came to
//! - `doctor`      what is wrong with this installation

pub mod config;
pub mod i18n;
pub mod memory;
pub mod text_file;
pub mod zone;

mod access;
mod atlas;
mod browse;
mod clients;
mod connectors;
mod crashes;
mod credentials;
mod defaults;
mod doctor;
mod failure;
mod history;
mod kind;
mod messages;
mod nobody;
mod patience;
mod period;
mod presence;
mod preview;
mod proof;
mod published;
mod rejects;
mod reload;
mod report;
mod requests;
mod reruns;
mod runs;
mod schedules;
mod scrap_request;
mod scraps;
mod settings;
mod signing;
mod slots;
mod sources;
mod watched;
mod worker;

pub use self::access::{Act, Principal, SESSION_S};
pub use self::atlas::Atlas;
pub use self::browse::DayTotal;
pub use self::clients::{ClientChange, Origin, check as check_client};
pub use self::connectors::Connectors;
pub use self::credentials::CredentialStatus;
pub use self::doctor::{Finding, Health};
pub use self::failure::Failure;
pub use self::history::{Complaints, HistoryLine, HistoryPoint, Saying, paced};
pub use self::kind::{Exit, Kind};
pub use self::messages::Line;
pub use self::period::collected;
pub use self::preview::{Preview, TriedPage};
pub use self::rejects::Replayed;
pub use self::reload::{event_failure, event_notices, hold_notice};
pub use self::report::RunReport;
pub use self::runs::{Announcement, RunFor, Taken};
pub use self::schedules::ScheduleRequest;
pub use self::scrap_request::{Created, PAGE_SIZE_MAX, ScrapRequest};
pub use self::signing::Signed;
pub use self::worker::WorkUntil;
/// What happens to the connectors that routes are served by, and what they are.
pub use atlas_connectors::{
    Connector, Descriptor, Registry, RegistryEntry, RegistryEvent, RegistryObserver, Standing, Usage, mark_crashes,
};
/// Posts traces to a collector.
pub use atlas_http::CollectorClient;
/// How a connector says that its API is opened, and how fast it may be asked.
pub use atlas_http::{AuthScheme, Position, RateBudget, TokenGrant};
/// Records as text, and places in them.
pub use atlas_json::{Pointer, laid_out};
/// What happens in a run.
pub use atlas_pipeline::{Event, Observer};
/// What the program does as the child that works on one component.
pub use atlas_sandbox::{CHILD_COMMAND, run_child};
/// Where the tables are, the SQL that makes them, and the queries for people who look for
/// themselves.
pub use atlas_store_sql::{POSTGRES_SQL, SQLITE_SQL, StoreUrl, VERIFY_NEWEST, VERIFY_TOTALS};
