//! Atlas Data Flow: pulls records out of business APIs, page by page, through connectors that third parties write, and keeps
//! every one of them, unchanged, in one table.
//!
//! Data walks through the rooms in this order; ARCHITECTURE.md draws the map.
//!
//! - [`cli`]        one file per command; parses, calls, prints
//! - [`config`]     settings, validated once
//! - [`connector`]  WASM components: engine, sandbox, registry
//! - [`source`]     the HTTP that connectors borrow
//! - [`service`]    what the product does, for whoever shows it
//! - [`server`]     the page, the API, and what happens, live
//!
//! Beside them: [`core_dumps`], which there are none of; [`memory`],
//! given back after a run; [`zone`], in which days and times are told; [`i18n`], the languages; [`text_file`], texts that people write; and,
//! in tests and under `cargo fuzz` alone, `fuzzing`: what must hold of whatever a stranger writes.

pub mod cli;
pub mod config;
pub mod connector;
pub mod core_dumps;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod i18n;
pub mod memory;
pub mod server;
pub mod service;
pub mod source;
pub mod text_file;
pub mod zone;
