//! The page: HTML rendered on the server, in the visitor's language, without a build step.
//! Everything works without a script; with it, changes show as they happen.
//!
//! - `routes`     which address has which page
//! - `visit`, `reader`  who looks, in which language
//! - `fields`     what was typed
//! - `queries`    which query names each page takes
//! - `refusal`, `render`  why a page is not shown, and the page that says so
//! - `layout`     the frame around every page
//! - `remedy`     what to do about a failure, and where
//! - `format`     numbers and times as the reader writes them
//! - `assets`     style and script
//! - `entry`      signing in and out, language and colours
//! - `scraps`     all scraps, and a new one
//! - `scrap`      one scrap
//! - `clients`, `client_apis`  clients and their credentials
//! - `connectors` connectors
//! - `data`       records
//! - `schedules`  schedules
//! - `health`     what is wrong, if anything
//! - `api_docs`   the API's document, to try
//! - `accesses`   the password, and programs' tokens

mod accesses;
mod api_docs;
mod assets;
mod client_apis;
mod clients;
mod connectors;
mod data;
mod entry;
mod fields;
mod format;
mod health;
mod layout;
mod queries;
mod reader;
mod refusal;
mod remedy;
mod render;
mod routes;
mod schedules;
mod scrap;
mod scraps;
mod visit;

pub(crate) use self::routes::{docs, router, unknown};
