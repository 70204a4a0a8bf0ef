//! Cookies of requests and responses.

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::Cookie;

/// A cookie of this name.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
    cookies.filter(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned()).next()
}

/// The value of a `Set-Cookie` header.
pub(super) fn set_cookie(cookie: &Cookie<'_>) -> HeaderValue {
    // Cookies made here are always valid header values.
    HeaderValue::from_str(&cookie.to_string()).unwrap_or(HeaderValue::from_static(""))
}
