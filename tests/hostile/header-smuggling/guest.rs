//! It sets headers that are the host's, and headers that end early.

use hostile::sdk::{FetchError, Request};

hostile::fetch!(|scrap, _| {
    let smuggled = [
        ("Host", "evil.example"),
        ("hOsT", "evil.example"),
        ("Authorization", "Bearer mine"),
        ("Proxy-Authorization", "Basic bWluZQ=="),
        ("Cookie", "session=mine"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "upgrade"),
        ("Keep-Alive", "timeout=9999"),
        ("Proxy-Connection", "keep-alive"),
        ("Upgrade", "websocket"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("X-Ok", "a\r\nAuthorization: Bearer mine"),
        ("X-Ok", "a\nb"),
        ("X-Ok", "a\rb"),
        ("X-Ok", "a\0b"),
        ("X-Ok\r\nCookie", "a"),
        ("X Ok", "a"),
        ("X-Ok:", "a"),
        ("", "a"),
        (":authority", "evil.example"),
    ];
    for (name, value) in smuggled {
        if Request::get(format!("{}/cliente", scrap.client_id)).header(name, value).send().is_ok() {
            return Err(FetchError::InvalidResponse(format!("let through: {name:?}: {value:?}")));
        }
    }
    hostile::good_page(scrap)
});
