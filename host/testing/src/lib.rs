//! What the tests and fuzz targets of several crates share. No other build has any of this.

pub mod fuzzing;
#[cfg(feature = "guests")]
pub mod guests;
