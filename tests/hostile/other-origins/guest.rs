//! It goes elsewhere: metadata, loopback, other hosts, in every spelling of an address.

use hostile::sdk::{FetchError, HttpError, Request};

hostile::fetch!(|scrap, _| {
    let elsewhere = [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]:1/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://[::ffff:7f00:1]:1/",
        "http://0x7f000001:1/",
        "http://0x7f.1:1/",
        "http://2130706433:1/",
        "http://017700000001:1/",
        "http://127.1:1/",
        "http://0:1/",
        "http://10.0.0.1/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://evil.example/",
        "//evil.example/",
        "http:evil.example",
        "https://127.0.0.1:1/",
        "file:///etc/passwd",
        "ftp://evil.example/",
        "gopher://evil.example/",
        "data:text/plain,x",
        "http://user:pass@127.0.0.1:1/",
        "http://127.0.0.1:1@evil.example/",
        "http://evil.example#@127.0.0.1:1/",
        "http://evil。example/",
        "http://①②⑦.0.0.1:1/",
        "http://127.0.0.1%2eevil.example/",
        "unix:/run/docker.sock",
    ];
    for target in elsewhere {
        // What is no URL for the host is a path below the base URL, and the source does not know
        // it.
        match Request::get(target).send() {
            Ok(answer) if answer.status() == 404 => {}
            Err(HttpError::Denied(_) | HttpError::InvalidRequest(_)) => {}
            Ok(answer) => {
                let answered = format!("{target:?} led to an answer: {}", answer.status());
                return Err(FetchError::InvalidResponse(answered));
            }
            // Nobody listens there: that it was tried is bad enough.
            Err(tried) => return Err(FetchError::InvalidResponse(format!("{target:?} was tried: {tried:?}"))),
        }
    }
    hostile::good_page(scrap)
});
