//! What the environment says of the log and of traces. It is read before all other settings, since
//! reading those may already be worth a line.

use std::env;

use super::environment::Environment;

/// The filter of log lines that the environment names, with the variable's name: `ATLAS_LOG`, else
/// `RUST_LOG`, which Rust programs share.
pub fn log_filter(environment: &Environment) -> Option<(&'static str, String)> {
    ["ATLAS_LOG", "RUST_LOG"].into_iter().find_map(|name| Some((name, environment.get(name)?)))
}

/// Where traces are sent by OTLP; none: nowhere. The process's own environment counts alone: the
/// library that exports them reads its other variables (`OTEL_*`) there, and not in `.env`.
pub fn collector() -> Option<String> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return None;
    }
    let of_all_signals = || {
        let endpoint = variable("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        Some(format!("{}/v1/traces", endpoint.trim().trim_end_matches('/')))
    };
    variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(|url| url.trim().to_owned()).or_else(of_all_signals)
}
