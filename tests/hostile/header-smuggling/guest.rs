//! It sets headers that are the host's, that say who asks or what is really meant, that no grant
//! names, and that end early.

use hostile::sdk::{FetchError, Request};

hostile::fetch!(|scrap, _| {
    let obeyed = include_str!("../../../host/http/src/headers/obeyed.txt").lines();
    let obeyed = obeyed.filter(|name| !name.is_empty() && !name.starts_with('#')).map(|name| (name, "mine"));
    let ungranted = ["X-Tenant", "tenantId", "SOAPAction", "X-Anything"].map(|name| (name, "7"));
    let smuggled = [
        ("X-Ok", "a\r\nAuthorization: Bearer mine"),
        ("Accept", "a\r\nAuthorization: Bearer mine"),
        ("Accept", "a\nb"),
        ("Accept", "a\rb"),
        ("Accept", "a\0b"),
        ("Accept\r\nCookie", "a"),
        ("Accept Language", "a"),
        ("Accept:", "a"),
        ("", "a"),
        (":authority", "evil.example"),
    ];
    for (name, value) in obeyed.chain(ungranted).chain(smuggled) {
        if Request::get(format!("{}/cliente", scrap.client_id)).header(name, value).send().is_ok() {
            return Err(FetchError::InvalidResponse(format!("let through: {name:?}: {value:?}")));
        }
    }
    hostile::good_page(scrap)
});
