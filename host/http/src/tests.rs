//! The client against servers of our own, which redirect, rebind, echo and overdo.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atlas_model::{Access, DefaultFor, Method, Request, Secret};
use http::HeaderName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::resolve::tests::answers;
use super::resolve::{FilteringResolver, Lookup, private_too, public_only};
use super::*;

const TOKEN: &str = "segredo-9f3a";
const LIMITS: HttpLimits = HttpLimits { requests_per_page: 20, body_bytes: 1 << 20, page_bytes: 1 << 20 };

/// A server that answers by path, and remembers what it was asked.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Listens at an address. Paths without an answer of their own are answered 200.
    async fn at(address: &str, paths: &[(&str, String)]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap_or_else(|e| panic!("{address}: {e}"));
        let server = Self { address: listener.local_addr().expect("an address"), seen: Arc::default() };
        let paths: Arc<HashMap<String, String>> =
            Arc::new(paths.iter().map(|(p, a)| ((*p).to_owned(), a.clone())).collect());
        let seen = Arc::clone(&server.seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&paths), Arc::clone(&seen)));
            }
        });
        server
    }

    async fn on_loopback(paths: &[(&str, String)]) -> Self {
        Self::at("127.0.0.1:0", paths).await
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}", self.address.port())
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no server panics").clone()
    }
}

/// Answers one request and closes, or goes on where the answer says `keep-alive`.
async fn serve(mut stream: TcpStream, paths: Arc<HashMap<String, String>>, seen: Arc<Mutex<Vec<String>>>) {
    let mut asked = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
        asked.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&asked).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if body.len() < length {
            continue;
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        seen.lock().expect("no server panics").push(text);
        asked.clear();
        let answer = paths.get(&path).cloned().unwrap_or_else(|| ok(""));
        if stream.write_all(answer.as_bytes()).await.is_err() || !answer.contains("keep-alive") {
            return;
        }
    }
}

fn ok(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{headers}\r\n{{}}")
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// An endpoint with a token, at a base URL whose private address was granted or not.
fn endpoint(base: &str, private: bool, grants: &[Grant], declared: &[&str]) -> Endpoint {
    let access = Access {
        active: true,
        token: Secret::new(TOKEN.to_owned()),
        default_base_url: Some(base.to_owned()),
        default_private: private,
        default_for: DefaultFor::ThisApi,
        api: None,
        parts: None,
        access_token: None,
    };
    let declared: Vec<_> = declared.iter().map(|text| pattern(text)).collect();
    let endpoint = Endpoint::resolve(access, "bling", &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}"));
    // What `request` sets, beside what the test grants.
    endpoint.granting([&grant(&[], &[], false)]).granting(grants).declaring(&declared)
}

fn pattern(text: &str) -> RequestPattern {
    RequestPattern::parse(text).unwrap_or_else(|e| panic!("{e}"))
}

fn grant(origins: &[&str], requests: &[&str], private: bool) -> Grant {
    Grant {
        api: "bling".to_owned(),
        client: None,
        origins: origins.iter().map(|o| Grant::parse_origin(o).unwrap_or_else(|| panic!("{o}"))).collect(),
        requests: requests.iter().map(|text| pattern(text)).collect(),
        headers: vec![HeaderName::from_static("x-tenant")],
        private,
    }
}

fn client(lookup: &Lookup) -> HttpClient {
    client_that_admits(lookup, public_only)
}

fn client_that_admits(lookup: &Lookup, public: fn(IpAddr) -> bool) -> HttpClient {
    let resolver = |admits| FilteringResolver::new(Arc::clone(lookup), admits);
    let budget = BodyBudget::new(4 << 20, 1 << 20);
    HttpClient::resolving(resolver(public), resolver(private_too), LIMITS, budget).unwrap_or_else(|e| panic!("{e}"))
}

fn request(method: Method, target: &str) -> Request {
    let headers = [("x-tenant", "7"), ("content-type", "application/json")];
    Request {
        method,
        target: target.to_owned(),
        query: Vec::new(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        body: (!matches!(method, Method::Get | Method::Head)).then(|| b"{\"a\":1}".to_vec()),
    }
}

async fn get(client: &HttpClient, endpoint: &Endpoint, target: &str) -> Result<Answer, SendError> {
    client.send(endpoint, &mut PageMeter::default(), request(Method::Get, target)).await
}

#[tokio::test]
async fn a_name_that_is_bound_anew_between_two_requests_leads_nowhere() {
    // 127.0.0.2 stands for a public address; what is at 127.0.0.1, on the same port, must never be
    // asked.
    let outside = Server::at("127.0.0.2:0", &[]).await;
    let inside = Server::at(&format!("127.0.0.1:{}", outside.address.port()), &[]).await;
    let client = client_that_admits(&answers(&[&["127.0.0.2"], &["127.0.0.1"]]), |address| {
        address == IpAddr::from([127, 0, 0, 2])
    });
    let endpoint = endpoint(&outside.url("rebind.example"), false, &[], &[]);
    assert_eq!(get(&client, &endpoint, "a").await.map(|answer| answer.status), Ok(200));
    let mut meter = PageMeter::default();
    let refused = client.send(&endpoint, &mut meter, request(Method::Get, "b")).await.err();
    assert!(matches!(&refused, Some(SendError::AddressRefused(r)) if r.host == "rebind.example"), "{refused:?}");
    // Nothing that waiting would mend, and the operator's to judge.
    assert!(!meter.passing_fault && matches!(meter.refusal, Some(Refusal::Address(_))));
    assert_eq!((outside.seen().len(), inside.seen().len()), (1, 0));
}

#[tokio::test]
async fn a_private_address_is_reached_with_a_grant_and_not_without() {
    let server = Server::on_loopback(&[]).await;
    let client = client(&answers(&[&["127.0.0.1"]]));
    for host in ["erp.example", "127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"] {
        let base = server.url(host);
        let refused = get(&client, &endpoint(&base, false, &[], &[]), "a").await.err();
        assert!(matches!(refused, Some(SendError::AddressRefused(_))), "{host}: {refused:?}");
    }
    assert!(server.seen().is_empty());
    let base = server.url("erp.example");
    assert!(get(&client, &endpoint(&base, true, &[], &[]), "a").await.is_ok());
    assert!(get(&client, &endpoint(&base, false, &[grant(&[], &[], true)], &[]), "a").await.is_ok());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_connection_that_was_made_under_a_grant_serves_no_request_without_it() {
    let keep = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\n{}".to_owned();
    let server = Server::on_loopback(&[("/a", keep)]).await;
    let client = client(&answers(&[&["127.0.0.1"]]));
    let base = server.url("erp.example");
    for _ in 0..2 {
        assert!(get(&client, &endpoint(&base, true, &[], &[]), "a").await.is_ok());
    }
    assert!(get(&client, &endpoint(&base, false, &[], &[]), "a").await.is_err());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_redirect_leads_to_granted_origins_only_and_the_credential_to_none_of_them() {
    let files = Server::on_loopback(&[]).await;
    let evil = Server::on_loopback(&[]).await;
    let api = Server::on_loopback(&[
        ("/files", redirect(302, &files.url("files.example"))),
        ("/evil", redirect(302, &evil.url("evil.example"))),
        ("/echo", redirect(302, &format!("{}/?token={TOKEN}", files.url("files.example")))),
        ("/user", redirect(302, &format!("http://u:p@api.example:{}/", files.address.port()))),
        ("/own", redirect(302, "/here?page=2#x")),
    ])
    .await;
    let client = client(&answers(&[&["127.0.0.1"]]));
    let grants = [grant(&[&files.url("files.example")], &[], true)];
    let endpoint = endpoint(&api.url("api.example"), true, &grants, &[]);

    assert!(get(&client, &endpoint, "own").await.is_ok());
    let asked = api.seen();
    assert!(asked[1].starts_with("GET /here?page=2 HTTP/1.1") && asked[1].contains("x-tenant"), "{}", asked[1]);
    assert!(asked.iter().all(|request| request.contains(TOKEN)));

    assert!(get(&client, &endpoint, "files").await.is_ok());
    let asked = files.seen().concat();
    assert!(asked.starts_with("GET / HTTP/1.1"), "{asked}");
    assert!(!asked.contains(TOKEN) && !asked.contains("authorization") && !asked.contains("x-tenant"), "{asked}");
    // Nor to one that the connector asks at by itself.
    assert!(get(&client, &endpoint, &files.url("files.example")).await.is_ok());
    assert!(!files.seen().concat().contains(TOKEN));

    for path in ["evil", "echo", "user"] {
        let refused = get(&client, &endpoint, path).await.err();
        assert!(matches!(refused, Some(SendError::RedirectDenied(_))), "{path}: {refused:?}");
        assert!(!refused.is_some_and(|e| e.to_string().contains(TOKEN)));
    }
    assert_eq!((files.seen().len(), evil.seen().len()), (2, 0));
}

#[tokio::test]
async fn a_redirect_to_an_address_that_was_not_granted_is_not_followed() {
    let inside = Server::on_loopback(&[]).await;
    let literal = inside.url("127.0.0.1");
    let api = Server::on_loopback(&[("/a", redirect(307, &literal))]).await;
    let client = client(&answers(&[&["127.0.0.1"]]));
    // The origin is granted, its address is not; the base URL's is.
    let endpoint = endpoint(&api.url("api.example"), true, &[grant(&[&literal], &[], false)], &[]);
    let refused = get(&client, &endpoint, "a").await.err();
    assert!(matches!(refused, Some(SendError::AddressRefused(_))), "{refused:?}");
    assert!(inside.seen().is_empty());
}

#[tokio::test]
async fn five_redirects_are_followed_and_a_sixth_is_not() {
    let paths: Vec<(String, String)> =
        (0..6).map(|n| (format!("/{n}"), redirect(302, &format!("/{}", n + 1)))).collect();
    let paths: Vec<(&str, String)> = paths.iter().map(|(path, answer)| (path.as_str(), answer.clone())).collect();
    let server = Server::on_loopback(&paths).await;
    let client = client(&answers(&[&["127.0.0.1"]]));
    let endpoint = endpoint(&server.url("127.0.0.1"), true, &[], &[]);
    assert!(get(&client, &endpoint, "1").await.is_ok());
    assert_eq!(server.seen().len(), 6);
    let refused = get(&client, &endpoint, "0").await.err();
    assert_eq!(refused, Some(SendError::RedirectDenied("more than 5 redirects".into())));
    assert_eq!(server.seen().len(), 12);
}

#[tokio::test]
async fn a_request_that_changes_something_goes_only_where_it_was_granted_redirected_or_not() {
    let files = Server::on_loopback(&[]).await;
    let server = Server::on_loopback(&[
        ("/pedidos/see-other", redirect(303, "/lista")),
        ("/pedidos/other-path", redirect(307, "/clientes/1")),
        ("/pedidos/other-origin", redirect(308, &files.url("files.example"))),
        ("/pedidos/moved", redirect(308, "/pedidos/1")),
    ])
    .await;
    let client = client(&answers(&[&["127.0.0.1"]]));
    let grants = [grant(&[&files.url("files.example")], &["POST /pedidos/*"], true)];
    let endpoint = endpoint(&server.url("api.example"), true, &grants, &["POST /pedidos/*"]);
    let mut meter = PageMeter::default();
    for (target, allowed) in [
        ("pedidos/1", true),
        ("pedidos/see-other", true),
        ("pedidos/moved", true),
        ("pedidos/other-path", false),
        ("pedidos/other-origin", false),
        ("clientes/1", false),
    ] {
        let sent = client.send(&endpoint, &mut meter, request(Method::Post, target)).await;
        assert_eq!(sent.is_ok(), allowed, "{target}: {:?}", sent.err());
    }
    assert!(matches!(&meter.refusal, Some(Refusal::NotGranted(what)) if what.contains("POST \"clientes/1\"")));
    let first = |request: &String| request.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
    let asked: Vec<String> = server.seen().iter().map(first).collect();
    assert_eq!(
        asked,
        [
            "POST /pedidos/1",
            "POST /pedidos/see-other",
            "GET /lista",
            "POST /pedidos/moved",
            "POST /pedidos/1",
            "POST /pedidos/other-path",
            "POST /pedidos/other-origin",
        ]
    );
    let seen = server.seen();
    assert!(seen[0].ends_with("{\"a\":1}") && seen[4].ends_with("{\"a\":1}"));
    assert!(!seen[2].contains("{\"a\":1}") && !seen[2].contains("content-type"), "{}", seen[2]);
    assert!(files.seen().is_empty());
}

#[tokio::test]
async fn an_answer_carries_no_credential_back_in_its_headers() {
    let server = Server::on_loopback(&[(
        "/a",
        ok("Set-Cookie: session=1\r\nSET-COOKIE2: x\r\nAuthorization: Bearer x\r\nWWW-Authenticate: Bearer realm=x\r\n\
            Proxy-Authenticate: Basic\r\nAuthentication-Info: x\r\nX-Auth-Token: x\r\nLink: </b>; rel=next\r\nX-Total: 7\r\n"),
    )])
    .await;
    let client = client(&answers(&[&["127.0.0.1"]]));
    let answer = get(&client, &endpoint(&server.url("127.0.0.1"), true, &[], &[]), "a").await;
    let answer = answer.unwrap_or_else(|e| panic!("{e}"));
    for withheld in [
        "set-cookie",
        "Set-Cookie",
        "set-cookie2",
        "authorization",
        "www-authenticate",
        "proxy-authenticate",
        "authentication-info",
        "x-auth-token",
    ] {
        assert_eq!(answer.headers.get(withheld), None, "{withheld}");
    }
    assert_eq!(answer.headers["link"], "</b>; rel=next");
    assert_eq!(answer.headers["X-Total"], "7");
}

#[tokio::test]
async fn an_answers_headers_have_an_end() {
    let many: String = (0..200).map(|n| format!("x-{n}: v\r\n")).collect();
    let endless = "x-long: ".to_owned() + &"v".repeat(1 << 20) + "\r\n";
    let server = Server::on_loopback(&[
        ("/large", ok(&format!("x-large: {}\r\n", "v".repeat(70 * 1024)))),
        ("/many", ok(&many)),
        ("/endless", ok(&endless)),
    ])
    .await;
    let client = client(&answers(&[&["127.0.0.1"]]));
    let endpoint = endpoint(&server.url("127.0.0.1"), true, &[], &[]);
    let large = get(&client, &endpoint, "large").await.err();
    assert_eq!(large, Some(SendError::HeadTooLarge(64 * 1024)));
    for path in ["many", "endless"] {
        assert!(get(&client, &endpoint, path).await.is_err(), "{path}");
    }
}

#[tokio::test]
async fn the_body_of_a_request_has_an_end() {
    let server = Server::on_loopback(&[]).await;
    let client = client(&answers(&[&["127.0.0.1"]]));
    let declared = ["POST /*"];
    let endpoint = endpoint(&server.url("127.0.0.1"), true, &[grant(&[], &declared, false)], &declared);
    let post = |size: usize| Request { body: Some(vec![b' '; size]), ..request(Method::Post, "a") };
    let mut meter = PageMeter::default();
    assert!(client.send(&endpoint, &mut meter, post(1 << 16)).await.is_ok());
    let refused = client.send(&endpoint, &mut meter, post((16 << 20) + 1)).await.err();
    assert!(matches!(refused, Some(SendError::InvalidRequest(_))), "{refused:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_is_not_below_the_base_url_gets_neither_request_nor_credential() {
    let paths = [
        ("/api/v1/moved", redirect(302, "/other/tenant")),
        ("/api/v1/up", redirect(302, "/api/v1/..%2fother")),
        ("/api/v1/sub", redirect(302, "/api/v1/pedidos")),
    ];
    let server = Server::on_loopback(&paths).await;
    let origin = server.url("127.0.0.1");
    let client = client(&answers(&[]));
    let own = endpoint(&format!("{origin}/api/v1"), true, &[], &[]);
    for target in [format!("{origin}/other/tenant"), format!("{origin}/api/v10"), format!("{origin}/")] {
        assert!(matches!(get(&client, &own, &target).await, Err(SendError::Denied(_))), "{target}");
    }
    for target in ["moved", "up"] {
        assert!(matches!(get(&client, &own, target).await, Err(SendError::RedirectDenied(_))), "{target}");
    }
    for target in ["sub".to_owned(), format!("{origin}/api/v1/pedidos?page=2"), format!("{origin}/api/v1")] {
        get(&client, &own, &target).await.unwrap_or_else(|e| panic!("{target}: {e}"));
    }
    let asked: Vec<String> = server.seen().iter().filter_map(|r| r.split(' ').nth(1).map(str::to_owned)).collect();
    let below = ["moved", "up", "sub", "pedidos", "pedidos?page=2"].map(|path| format!("/api/v1/{path}"));
    assert_eq!(asked, [&below[..], &["/api/v1".to_owned()]].concat());

    // An operator may grant the rest of the origin; the credential stays where it belongs.
    let granted = [grant(&[&origin], &[], true)];
    let wide = endpoint(&format!("{origin}/api/v1"), true, &granted, &[]);
    get(&client, &wide, "moved").await.unwrap_or_else(|e| panic!("{e}"));
    let last = server.seen().pop().unwrap_or_default();
    assert!(last.starts_with("GET /other/tenant ") && !last.contains(TOKEN), "{last}");
}

#[tokio::test]
async fn an_answer_in_a_form_that_nobody_reads_is_refused() {
    let encoded = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\nconnection: close\r\n\r\n");
    let paths = [
        ("/x-compress", encoded("content-length: 0\r\ncontent-encoding: x-compress")),
        ("/twice", encoded("content-length: 0\r\ncontent-encoding: gzip, gzip")),
        ("/bzip2", encoded("content-length: 0\r\ncontent-encoding: bzip2")),
        ("/transfer", encoded("transfer-encoding: gzip, chunked") + "0\r\n\r\n"),
        ("/part", encoded("content-length: 0\r\ncontent-range: bytes 0-9/20").replace("200 OK", "206 Partial Content")),
        ("/identity", encoded("content-length: 0\r\ncontent-encoding: identity")),
    ];
    let server = Server::on_loopback(&paths).await;
    let endpoint = endpoint(&server.url("127.0.0.1"), true, &[], &[]);
    let client = client(&answers(&[]));
    for target in ["x-compress", "twice", "bzip2", "transfer", "part"] {
        assert!(matches!(get(&client, &endpoint, target).await, Err(SendError::Unreadable(_))), "{target}");
    }
    get(&client, &endpoint, "identity").await.unwrap_or_else(|e| panic!("{e}"));
}

#[tokio::test]
async fn an_echo_is_taken_out_whatever_charset_the_answer_claims() {
    let echo = format!("{{\"eco\":\"{TOKEN}.\"}}");
    let told = |charset: &str| {
        let length = echo.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset={charset}\r\ncontent-length: {length}\r\n\r\n{echo}"
        )
    };
    let charsets = ["utf-16le", "utf-16be", "shift_jis", "gbk", "iso-2022-jp", "windows-1252", "utf-8", "utf-32"];
    let paths: Vec<(String, String)> = charsets.iter().map(|c| (format!("/{c}"), told(c))).collect();
    let paths: Vec<(&str, String)> = paths.iter().map(|(path, answer)| (path.as_str(), answer.clone())).collect();
    let server = Server::on_loopback(&paths).await;
    let endpoint = endpoint(&server.url("127.0.0.1"), true, &[], &[]);
    let client = client(&answers(&[]));
    for charset in charsets {
        let answer = get(&client, &endpoint, charset).await.unwrap_or_else(|e| panic!("{charset}: {e}"));
        let text = String::from_utf8_lossy(&answer.body);
        let back: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let swapped: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [answer.body.to_vec(), back, swapped] {
            assert!(!String::from_utf8_lossy(&bytes).contains("segredo"), "{charset}: {text}");
        }
    }
}

#[tokio::test]
async fn no_error_tells_a_connector_the_credential() {
    let paths = [
        ("/host", redirect(302, &format!("https://{}.example/x", TOKEN.to_uppercase()))),
        ("/path", redirect(307, &format!("//other.example/{TOKEN}"))),
    ];
    let server = Server::on_loopback(&paths).await;
    let endpoint = endpoint(&server.url("127.0.0.1"), true, &[], &[]);
    for target in ["host", "path"] {
        let error = get(&client(&answers(&[])), &endpoint, target).await.err().unwrap_or_else(|| panic!("{target}"));
        assert!(!error.to_string().to_lowercase().contains(TOKEN), "{error}");
    }
}

#[tokio::test]
async fn a_body_on_a_request_that_reads_has_to_be_declared_and_granted() {
    let server = Server::on_loopback(&[]).await;
    let base = server.url("127.0.0.1");
    let with_body = || Request { body: Some(b"DELETE /x HTTP/1.1\r\n".to_vec()), ..request(Method::Get, "busca") };
    let ask =
        async |endpoint: &Endpoint| client(&answers(&[])).send(endpoint, &mut PageMeter::default(), with_body()).await;
    assert!(matches!(ask(&endpoint(&base, true, &[], &[])).await, Err(SendError::Denied(_))));
    assert!(matches!(ask(&endpoint(&base, true, &[], &["GET /busca"])).await, Err(SendError::Denied(_))));
    assert!(server.seen().is_empty());
    let granted = [grant(&[], &["GET /busca"], true)];
    assert!(ask(&endpoint(&base, true, &granted, &["GET /busca"])).await.is_ok());
}

/// A server that sends this, and then the same bytes again and again, for as long as it is read;
/// and how many bytes it has sent.
async fn endless(begin: &'static [u8], again: &'static [u8]) -> (String, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let sending = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(begin).await;
        let block = again.repeat(4096);
        let mut sent = begin.len();
        while let Ok(written @ 1..) = stream.write(&block).await {
            sent += written;
        }
        sent
    });
    (url, sending)
}

#[tokio::test]
async fn a_source_that_sends_no_content_without_end_is_left_and_its_connection_closed() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const GZIP: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\n\
        a\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03\r\n";
    // Empty blocks of deflate (RFC 1951, section 3.2.4), which decode to nothing.
    const EMPTY_BLOCKS: &[u8] = b"14\r\n\0\0\0\xff\xff\0\0\0\xff\xff\0\0\0\xff\xff\0\0\0\xff\xff\r\n";
    let lookup = answers(&[&["127.0.0.1"]]);
    for (what, begin, again) in [
        ("informational answers", b"".as_slice(), b"HTTP/1.1 100 Continue\r\n\r\n".as_slice()),
        ("early hints", b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
        ("chunks of one byte", HEAD, b"1\r\nx\r\n"),
        ("zeros of a chunk's size", HEAD, b"0000"),
        ("blanks behind a chunk's size", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1", b"    "),
        ("blocks of nothing", GZIP, EMPTY_BLOCKS),
        ("headers", b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n"),
        ("frames of HTTP/2", b"\0\0\0\x04\0\0\0\0\0", b"\0\0\0\x04\0\0\0\0\0"),
    ] {
        let (url, sending) = endless(begin, again).await;
        let (client, endpoint) = (client(&lookup), endpoint(&url, true, &[], &[]));
        let asked = tokio::time::timeout(Duration::from_secs(20), get(&client, &endpoint, "x"));
        let answer = asked.await.unwrap_or_else(|_| panic!("{what}: it is still read"));
        assert!(matches!(&answer, Err(SendError::Unreadable(_) | SendError::TooLarge(_))), "{what}: {answer:?}");
        // It ends because the connection is closed, though the client lives.
        let sent = tokio::time::timeout(Duration::from_secs(20), sending).await;
        let sent = sent.unwrap_or_else(|_| panic!("{what}: it is still sent")).expect("no server panics");
        assert!(sent < 32 << 20, "{what}: {sent} bytes were taken");
    }
}

#[tokio::test]
async fn chunks_as_small_as_a_servers_that_flushes_each_word_are_content() {
    let mut answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let words = "\"uma \", palavra ".split_inclusive(' ').collect::<Vec<_>>();
    for word in words.iter().cycle().take(40_000) {
        answer.push_str(&format!("{:x}\r\n{word}\r\n", word.len()));
    }
    answer.push_str("0\r\n\r\n");
    let server = Server::on_loopback(&[("/x", answer)]).await;
    let lookup = answers(&[&["127.0.0.1"]]);
    let answer = get(&client(&lookup), &endpoint(&server.url("127.0.0.1"), true, &[], &[]), "x").await;
    assert!(answer.is_ok_and(|answer| answer.body.len() > 200_000));
}

#[tokio::test]
async fn no_source_is_offered_another_protocol_than_http_1() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let hello = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut hello = vec![0; 4096];
        let read = stream.read(&mut hello).await.expect("a hello");
        hello.truncate(read);
        hello
    });
    let lookup = answers(&[&["127.0.0.1"]]);
    assert!(get(&client(&lookup), &endpoint(&url, true, &[], &[]), "x").await.is_err());
    let hello = hello.await.expect("no server panics");
    assert_eq!(hello.first(), Some(&22), "a TLS handshake");
    assert!(!hello.windows(3).any(|name| name == b"\x02h2"), "HTTP/2 was offered");
}

#[tokio::test]
async fn a_body_that_dribbles_ends_when_its_slot_is_asked_back_and_not_before() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let asked_back = tokio_util::sync::CancellationToken::new();
    let client = client(&answers(&[&["127.0.0.1"]])).until_asked_back(asked_back.clone());
    let endpoint = endpoint(&url, true, &[], &[]);
    let mut fetching = Box::pin(get(&client, &endpoint, "x"));
    assert!(
        tokio::time::timeout(Duration::from_secs(4), &mut fetching).await.is_err(),
        "it ended before its slot was asked back"
    );
    asked_back.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(20), fetching).await.expect("it ends");
    assert!(matches!(&ended, Err(SendError::Timeout(why)) if why.contains("another client waited")), "{ended:?}");
}

/// Keeps each connection after its first answer, and closes it at the next request. Counts
/// connections.
async fn closes_what_it_kept() -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|e| panic!("{e}"));
    let (address, opened) = (listener.local_addr().expect("an address"), Arc::<Mutex<usize>>::default());
    let count = Arc::clone(&opened);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            *count.lock().expect("no server panics") += 1;
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let Ok(1..) = stream.read(&mut buffer).await else { return };
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                if stream.write_all(answer).await.is_ok() {
                    let _ = stream.read(&mut buffer).await;
                }
            });
        }
    });
    (address, opened)
}

#[tokio::test]
async fn what_breaks_with_a_kept_connection_is_told_from_what_breaks_with_a_new_one() {
    let (address, opened) = closes_what_it_kept().await;
    let client = client(&answers(&[]));
    let endpoint = endpoint(&format!("http://{address}"), true, &[], &[]);
    let ask = async |fresh| {
        let mut meter = PageMeter { fresh, ..PageMeter::default() };
        let answer = client.send(&endpoint, &mut meter, request(Method::Get, "a")).await;
        (answer.map(|answer| answer.status), meter.broke)
    };
    assert_eq!(ask(false).await, (Ok(200), None));
    let (broken, broke) = ask(false).await;
    assert!(matches!(broken, Err(SendError::Interrupted(_))), "{broken:?}");
    assert_eq!(broke, Some(Broke::Kept));
    // Two are kept by now; one of its own takes neither.
    let both = tokio::join!(ask(false), ask(false));
    assert_eq!(both.0.0.and(both.1.0), Ok(200));
    let before = *opened.lock().expect("no server panics");
    assert_eq!(ask(true).await, (Ok(200), None));
    assert_eq!(*opened.lock().expect("no server panics"), before + 1);
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_no_kept_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|e| panic!("{e}"));
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    let client = client(&answers(&[]));
    let endpoint = endpoint(&format!("http://{address}"), true, &[], &[]);
    let mut meter = PageMeter::default();
    let broken = client.send(&endpoint, &mut meter, request(Method::Get, "a")).await;
    assert!(matches!(broken.err(), Some(SendError::Interrupted(_))));
    assert_eq!(meter.broke, Some(Broke::Otherwise));
}
