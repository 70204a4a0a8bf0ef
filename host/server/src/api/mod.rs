//! The API, `/api/v1`: what the page and the command line do, for programs. Its document (OpenAPI
//! 3.1) is made from the code, at `/api/v1/openapi.json`; a page to try it is at `/api/v1/docs`.
//!
//! - `extract`     what was asked: parameters, bodies, refusals as problem details
//! - `idempotency` the same request twice, done once
//! - `scraps`      scraps, their pages, their rejected records
//! - `clients`     clients and their credentials
//! - `connectors`  connectors
//! - `schedules`   schedules
//! - `records`     records
//! - `system`      events, health
//! - `document`    the operations, and the document that is made of them

mod clients;
mod connectors;
mod document;
mod extract;
mod idempotency;
mod records;
mod schedules;
mod scraps;
mod system;

pub(crate) use self::document::{OPENAPI, PLACE, query_names, router};
