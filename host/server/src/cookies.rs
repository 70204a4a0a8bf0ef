//! Cookies of requests.

use axum::http::{HeaderMap, header};
use cookie::Cookie;

/// A cookie of this name.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
    cookies.filter(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned()).next()
}
