//! A stand-in for an order API, because "nothing was lost" can only be proved against a source
//! whose every record is known beforehand, and whose every misbehaviour can be asked for.
//!
//! It speaks Jueri v1: `GET
//! /sis/api/v1/{cliente}/{rota}?data_inicial=…&data_final=…&page=…&per_page=…`, a Bearer token, and
//! pages in an envelope (`data`, `current_page`, `last_page`, `next_page_url`, `total`). What it
//! serves follows from the seed, the client, the route and the absolute day alone, so two runs, two
//! processes and two overlapping periods agree to the byte. Events are handed out instead, the
//! oldest first, and the same ones again until a POST acknowledges them.
//!
//! - [`SampleApi`] runs it inside a test; the binary `sample-api` runs it for a demonstration.
//! - [`Settings`] says what the source holds; [`Faults`] says how it misbehaves, from the start or
//!   at run time.
//! - [`Served`] says afterwards what was really asked for and handed out.
//!
//! ```
//! # async fn example() -> anyhow::Result<()> {
//! use sample_api::{Rota, SampleApi, Settings};
//!
//! let api = SampleApi::start(Settings::default()).await?;
//! let held = api.records(2151, Rota::Pedido, "2025-10-20", "2025-10-24")?;
//! // … fetch from api.base_url() with the token, then compare with `held` …
//! let served = api.stop().await;
//! assert!(served.requests > 0);
//! # Ok(())
//! # }
//! ```

mod answer;
mod api;
mod app;
mod charset;
mod conn;
mod delivery;
mod dice;
mod echo;
mod encode;
mod faults;
mod listing;
mod log;
mod opens;
mod page;
mod record;
mod request;
mod rota;
mod served;
mod settings;
mod words;

pub use api::SampleApi;
pub use charset::Charset;
pub use encode::Encoding;
pub use faults::{FaultKind, Faults, Malformed, Moving, Redirect};
pub use opens::{OAuth, Opens, TokensServed};
pub use rota::Rota;
pub use served::{PageAttempts, Served, ServedRoute};
pub use settings::{Prerender, Settings};
