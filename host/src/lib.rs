//! Atlas Data Flow: pulls records out of business APIs, page by page, through connectors that third parties write, and keeps
//! every one of them, unchanged, in one table.
//!
//! Data walks through the rooms in this order; ARCHITECTURE.md draws the map.
//!
//! - [`cli`]        one file per command; parses, calls, prints
//! - [`config`]     settings, validated once
//! - [`connector`]  WASM components: engine, sandbox, registry
//! - [`source`]     the HTTP that connectors borrow
//! - [`json`]       records found in a body, checked, in canonical form
//! - [`pipeline`]   from the frontier to the table
//! - [`store`]      PostgreSQL and SQLite
//! - [`service`]    what the product does, for whoever shows it
//! - [`server`]     the page, the API, and what happens, live
//!
//! Beside them: [`core_dumps`], which there are none of; [`limits`], every limit by name;
//! [`memory`], given back after a run; [`zone`], in which days and times are told; [`notice`] and
//! [`i18n`], what people are told, in their language; [`text_file`], texts that people write; and,
//! in tests and under `cargo fuzz` alone, `fuzzing`: what must hold of whatever a stranger writes.

pub mod cli;
pub mod config;
pub mod connector;
pub mod core_dumps;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod i18n;
pub mod json;
pub mod limits;
pub mod memory;
pub mod notice;
pub mod pipeline;
pub mod server;
pub mod service;
pub mod source;
pub mod store;
pub mod text_file;
pub mod zone;
