//! It looks for the credential in all that it can ask for, at a source that writes what it was sent
//! into its answers, in every form; and asks for it by the names that it could have in a request.

use hostile::sdk::{FetchError, Request};

/// What the tests' source wants, in some of the forms that it takes on the way. A stranger would
/// look for what is long and odd.
const CATCH: [&str; 6] = ["segredo", "c2VncmVkb", "NlZ3JlZG", "zZWdyZWRv", "%73%65%67", "\\u0073\\u0065\\u0067"];

hostile::fetch!(|scrap, _| {
    let page = || Request::get(format!("{}/cliente", scrap.client_id)).query("per_page", 3);
    let asks = [
        page(),
        page().header("Prefer", "echo=Authorization").header("Accept-Echo", "Authorization"),
        page().query("token", "{token}").query("authorization", "${ATLAS_KEY}"),
        page().header("User-Agent", "{{token}}"),
    ];
    // In these forms, or in pieces, it would not be found; by these headers it is asked for.
    let others = [
        ("Accept-Encoding", "bzip2"),
        ("Accept-Charset", "utf-32"),
        ("Range", "bytes=0-119"),
        ("X-Echo", "Authorization"),
        ("Access-Control-Expose-Headers", "Authorization"),
        ("X-Token", "{{token}}"),
    ];
    for (name, value) in others {
        if page().header(name, value).send().is_ok() {
            return Err(FetchError::InvalidResponse(format!("let through: {name}: {value}")));
        }
    }
    for ask in asks {
        let answer = ask.send()?.ok()?;
        let body = String::from_utf8_lossy(&answer.body()?).to_lowercase();
        let headers = ["authorization", "set-cookie", "cookie", "www-authenticate", "x-echo", "location", "link"];
        let headers = headers.iter().filter_map(|name| answer.header(name)).collect::<String>();
        let elements = answer.json("/data")?.unwrap_or_default();
        for caught in CATCH {
            if body.contains(&caught.to_lowercase()) || headers.contains(caught) || elements.contains(caught) {
                return Err(FetchError::InvalidResponse(format!("caught {caught:?}")));
            }
        }
        // Else there was nothing to be caught.
        if !body.contains("***") {
            return Err(FetchError::InvalidResponse("the source did not echo".to_owned()));
        }
    }
    Ok(hostile::empty_page())
});
