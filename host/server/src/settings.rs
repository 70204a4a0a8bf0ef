//! The settings of `atlas serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::HeaderMap;
use tracing::Span;

/// Makes the span of a request a part of the trace that its headers name, if they do.
pub type ContinueTrace = fn(&Span, &HeaderMap);

/// The settings of `atlas serve`.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// The address; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Names under which browsers find it, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Certificate chain and key, PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The path in front of all others, as it was typed; empty: none.
    pub path_prefix: String,
    /// Whether all requests come from a TLS proxy, which names its client in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// Called with each request's span and headers.
    pub continue_trace: ContinueTrace,
}
