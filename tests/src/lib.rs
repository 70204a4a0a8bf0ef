//! What the end-to-end tests stand on: the program itself, in a folder of its own, against a sample
//! API in this process and a database of its own, embedded or on the PostgreSQL server that
//! `ATLAS_TEST_DATABASE_URL` names.
//!
//! Nothing here knows the library behind the program: the tests use what users use.

mod atlas;
pub mod browser;
pub mod collector;
mod database;
pub mod servers;
pub mod torture;
pub mod versions;

use std::sync::atomic::{AtomicU16, Ordering};

pub use self::atlas::{
    Atlas, Finished, Running, cache, connectors, example_connectors, hostile_connectors, programs, test_guests,
};
pub use self::database::{Database, Row};
pub use sample_api::{FaultKind, Faults, Malformed, Moving, Redirect, Rota, SampleApi, Settings};

/// The token that the sample API wants.
pub const TOKEN: &str = "segredo-dos-testes";
/// The period of most tests: five days.
pub const FROM: &str = "2025-10-20";
/// Its last day.
pub const TO: &str = "2025-10-24";
/// The languages that operators can read.
pub const LANGUAGES: [&str; 2] = ["pt-BR", "en"];

/// Empties the tables of records and scraps on PostgreSQL, with all that belongs to a scrap.
pub const EMPTY: &str = "TRUNCATE dados_raw, scraps CASCADE; CHECKPOINT";

/// What of a command's words differs from one run to the next, and what stands for it in a
/// snapshot.
pub const FILTERS: [(&str, &str); 10] = [
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"[^\s:]*/\.tmp\w{6}", "FOLDER"),
    (r"⏱️ \S+", "⏱️ TIME"),
    (r"🚀 [\d.]+ (reg|rec)/s", "🚀 RATE $1/s"),
    (r"(aguardando|waiting) \d+\.\ds", "$1 WAITs"),
    (r" (em|in) \d+\.\ds: ", " $1 TIMEs: "),
    (r"expected one of `.*", "expected one of SETTINGS"),
    (r"\((há|there are): `[^)]*", "($1: SETTINGS"),
    (r"at offset 0x[0-9a-f]+", "at offset OFFSET"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", "TIMESTAMP"),
];

/// Holds what was said against its snapshot. The caller has `insta` among its dependencies.
#[macro_export]
macro_rules! assert_said {
    ($said:expr) => {{
        let said = $said;
        insta::with_settings!({ filters => $crate::FILTERS.to_vec(), omit_expression => true }, {
            insta::assert_snapshot!(said)
        })
    }};
}

/// A port of this machine that nothing listens on, out of the range from which systems hand out
/// ports by themselves: no other test gets it in the meantime, in this process or in one that was
/// started right after it.
pub fn closed_port() -> anyhow::Result<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let own = 20_000 + u16::try_from(std::process::id() % 700)? * 16;
    let mut ports = std::iter::repeat_with(|| own + GIVEN.fetch_add(1, Ordering::Relaxed)).take_while(|p| *p < 32_000);
    let free = ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.ok_or_else(|| anyhow::anyhow!("no port is free"))
}

/// The sample API with these faults and orders a day.
pub async fn api(per_day: u64, faults: Faults) -> anyhow::Result<SampleApi> {
    SampleApi::start(Settings { per_day, faults, token: TOKEN.to_owned(), ..Settings::default() }).await
}
