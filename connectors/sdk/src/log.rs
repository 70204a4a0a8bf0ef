//! Lines for the scrap's log.

use std::fmt::Display;

use crate::Level;
use crate::bindings::atlas::connector::log as host;

/// Adds a line to the scrap's log. A page may log 1,000 lines and 64 KiB; the host cuts what is
/// beyond. [`debug!`](crate::debug), [`info!`](crate::info), [`warn!`](crate::warn) and
/// [`error!`](macro@crate::error) read better.
pub fn log(level: Level, message: impl Display) {
    host::log(level, &message.to_string());
}

/// Logs a line, formatted as by `format!`, that helps whoever mends the connector.
#[macro_export]
macro_rules! debug {
    ($($message:tt)+) => { $crate::log($crate::Level::Debug, format_args!($($message)+)) };
}

/// Logs a line, formatted as by `format!`, that an operator may want to read.
#[macro_export]
macro_rules! info {
    ($($message:tt)+) => { $crate::log($crate::Level::Info, format_args!($($message)+)) };
}

/// Logs a line, formatted as by `format!`, on something odd that did not stop the page.
#[macro_export]
macro_rules! warn {
    ($($message:tt)+) => { $crate::log($crate::Level::Warn, format_args!($($message)+)) };
}

/// Logs a line, formatted as by `format!`, on what made the page fail.
#[macro_export]
macro_rules! error {
    ($($message:tt)+) => { $crate::log($crate::Level::Error, format_args!($($message)+)) };
}
