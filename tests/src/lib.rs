//! What the end-to-end tests stand on: the program itself, in a folder of its own, against a sample API in this process and
//! a database of its own, embedded or on the PostgreSQL server that `ATLAS_TEST_DATABASE_URL` names.
//!
//! Nothing here knows the library behind the program: the tests use what users use.

mod atlas;
mod database;

pub use self::atlas::{Atlas, Finished, Running};
pub use self::database::{Database, Row};
pub use sample_api::{FaultKind, Faults, Malformed, Moving, Rota, SampleApi, Settings};

/// The token that the sample API wants.
pub const TOKEN: &str = "segredo";
/// The period of most tests: five days.
pub const FROM: &str = "2025-10-20";
/// Its last day.
pub const TO: &str = "2025-10-24";

/// The sample API with these faults and orders a day.
pub async fn api(per_day: u64, faults: Faults) -> anyhow::Result<SampleApi> {
    SampleApi::start(Settings { per_day, faults, token: TOKEN.to_owned(), ..Settings::default() }).await
}
