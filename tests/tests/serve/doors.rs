//! Who is let in, and what they may do.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, Faults, api};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::client::{Caller, Server, client, header, scrap, session_cookie, token};

/// Every page that a signed-in visitor can look at.
pub(crate) const PAGES: [&str; 26] = [
    "/scraps",
    "/scraps/novo",
    "/scraps/1",
    "/scraps/1/linha",
    "/scraps/1/paginas",
    "/scraps/1/rejeitados",
    "/scraps/1/cancelar",
    "/clientes",
    "/clientes/novo",
    "/clientes/2151",
    "/clientes/2151/api?api=jueri",
    "/clientes/2151/desativar",
    "/clientes/2151/remover",
    "/conectores",
    "/conectores/pedido",
    "/conectores/pedido/voltar",
    "/dados",
    "/dados/registros",
    "/dados/registros/1",
    "/dados/registros/1/json",
    "/dados/exportar",
    "/agenda",
    "/agenda/novo",
    "/saude",
    "/acessos",
    "/api/v1/docs",
];

/// Every form of theirs.
const FORMS: [&str; 20] = [
    "/sair",
    "/scraps",
    "/scraps/1/executar",
    "/scraps/1/pausar",
    "/scraps/1/cancelar",
    "/scraps/1/rejeitados/reprocessar",
    "/rejeitados/1/reprocessar",
    "/clientes",
    "/clientes/2151",
    "/clientes/2151/api",
    "/clientes/2151/api/remover",
    "/clientes/2151/ativo",
    "/clientes/2151/remover",
    "/clientes/2151/testar",
    "/conectores/pedido/aceitar",
    "/conectores/pedido/voltar",
    "/conectores/pedido/provar",
    "/agenda",
    "/acessos/senha",
    "/acessos/tokens",
];

/// What every answer has.
pub(crate) fn expect_guarded(answer: &Response) -> anyhow::Result<()> {
    let policy = header(answer, "content-security-policy");
    for part in
        ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"]
    {
        ensure!(policy.contains(part), "{} {policy:?}", answer.url());
    }
    ensure!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        ensure!(header(answer, name) == value, "{}: {name}", answer.url());
    }
    let kept = header(answer, "cache-control");
    ensure!(kept == "no-store" || answer.url().path().starts_with("/assets/"), "{}: {kept}", answer.url());
    ensure!(answer.headers().get("access-control-allow-origin").is_none(), "{}", answer.url());
    Ok(())
}

/// Every operation that the API's document has, with something in each place of its path.
pub(crate) async fn operations(caller: &Caller) -> anyhow::Result<Vec<(Method, String)>> {
    let document = caller.json("/openapi.json").await?;
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().context("paths")? {
        let id = if path.starts_with("/clients") { "2151" } else { "1" };
        let path = path.replace("{id}", id).replace("{route}", "pedido").replace("{api}", "jueri");
        ensure!(!path.contains('{'), "{path}");
        for method in methods.as_object().context("methods")?.keys() {
            operations.push((method.to_uppercase().parse()?, path.clone()));
        }
    }
    ensure!(operations.len() >= 30, "{operations:?}");
    Ok(operations)
}

#[tokio::test]
async fn nothing_is_shown_and_nothing_done_for_who_has_not_signed_in() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &[]).await?;
    let stranger = server.stranger()?;
    let pretender =
        Caller { bearer: Some("atlas_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()), ..stranger.clone() };
    let forger = Caller { cookie: Some("atlas_sessao=AAAA; __Host-atlas_sessao=AAAA".to_owned()), ..stranger.clone() };
    for path in PAGES {
        for caller in [&stranger, &forger] {
            let answer = caller.get(path).await?;
            expect_guarded(&answer)?;
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
            let to = header(&answer, "location");
            assert!(to.starts_with("/entrar?volta=%2F"), "{path}: {to}");
            assert_eq!(answer.text().await?, "", "{path}");
        }
    }
    for path in FORMS {
        let answer = stranger.form(path, "_csrf=x&cliente=1&rota=pedido&senha=123456789012&nome=x").send().await?;
        expect_guarded(&answer)?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for (method, path) in operations(&stranger).await? {
        for caller in [&stranger, &pretender, &forger] {
            let answer = caller.send(method.clone(), &path, &json!({})).header("idempotency-key", "a").send().await?;
            expect_guarded(&answer)?;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(header(&answer, "www-authenticate"), "Bearer");
            assert_eq!(header(&answer, "content-type"), "application/problem+json");
            let problem: Value = serde_json::from_str(&answer.text().await?)?;
            assert_eq!((&problem["type"], &problem["status"]), (&"urn:atlas:web-not-signed-in".into(), &401.into()));
        }
    }
    for (path, status) in [
        ("/", 303),
        ("/entrar", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/x", 404),
        ("/api/v1/x", 404),
    ] {
        let answer = stranger.get(path).await?;
        expect_guarded(&answer)?;
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
    for name in ["atlas.css", "atlas.js", "atlas.svg"] {
        let answer = stranger.get(&format!("/assets/{name}")).await?;
        expect_guarded(&answer)?;
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
    }
    server.stop().await?;
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM atlas_pedidos").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_link_signs_one_browser_in_and_looking_at_it_does_not_use_it_up() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let server = Server::start(&atlas, &[]).await?;
        let stranger = server.stranger()?;
        // Mail programs and chats look at links by themselves.
        for _ in 0..2 {
            let page = stranger.page(&format!("/entrar?chave={}", server.key())).await?;
            assert!(page.contains(server.key()));
        }
        let fields = format!("chave={}&volta=%2Fclientes%3Fx%3D1", server.key());
        let (first, second) = tokio::join!(
            stranger.form("/entrar", &fields).send(),
            stranger.form("/entrar", &fields).header("user-agent", "\u{e9}<b>").send()
        );
        let mut answers = [first?, second?];
        answers.sort_by_key(|answer| answer.status());
        let [let_in, refused] = answers;
        assert_eq!((let_in.status(), refused.status()), (StatusCode::SEE_OTHER, StatusCode::UNAUTHORIZED));
        assert_eq!(header(&let_in, "location"), "/clientes?x=1");
        assert!(session_cookie(&refused).is_none());
        let cookie = session_cookie(&let_in).context("a session")?;
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        let third = stranger.form("/entrar", &fields).send().await?;
        assert_eq!(third.status(), StatusCode::UNAUTHORIZED);
        let cookie = cookie.split(';').next().map(str::to_owned);
        let browser = Caller { cookie, ..stranger.clone() };
        assert!(browser.page("/scraps").await?.contains("/sair"));

        // Who was given a session before does not keep it: signing in makes another.
        let mut browser = server.another_browser(&atlas).await?;
        let before = browser.cookie.clone();
        browser = browser.clone().sign_in(&format!("chave={}", key(&atlas).await?)).await?;
        assert_ne!(browser.cookie, before);
        // Out is out, on the server too.
        let answer = browser.post("/sair", "").await?;
        assert_eq!((answer.status(), header(&answer, "location")), (StatusCode::SEE_OTHER, "/entrar"));
        assert!(session_cookie(&answer).is_some_and(|cookie| cookie.contains("Max-Age=0")));
        assert_eq!(browser.get("/scraps").await?.status(), StatusCode::SEE_OTHER);
        server.stop().await?;
    }
    Ok(())
}

async fn key(atlas: &Atlas) -> anyhow::Result<String> {
    let link = atlas.run(&["access", "link", "--output", "json"]).await?.expect(0)?.text("entrada")?;
    Ok(link.split_once("chave=").context("a link")?.1.to_owned())
}

#[tokio::test]
async fn a_request_for_another_host_is_refused_whoever_sends_it() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &["--host", "atlas.example"]).await?;
    // The name that was given is the one that is printed.
    assert!(server.url.starts_with("http://atlas.example:"), "{}", server.url);
    let port = server.url.rsplit_once(':').context("a port")?.1.to_owned();
    let caller = Caller::new(&format!("http://127.0.0.1:{port}"))?;
    let browser = caller.clone().sign_in(&format!("chave={}", server.key())).await?;
    for (host, status) in [
        (format!("evil.example:{port}"), 421),
        ("evil.example".to_owned(), 421),
        (format!("127.0.0.1.evil.example:{port}"), 421),
        (format!("localhost.evil.example:{port}"), 421),
        ("a@127.0.0.1".to_owned(), 421),
        (format!("localhost:{port}"), 200),
        (format!("atlas.example:{port}"), 200),
        (format!("ATLAS.example:{port}"), 200),
    ] {
        for path in ["/scraps", "/api/v1/scraps"] {
            let answer = browser.ask(Method::GET, path).header("host", &host).send().await?;
            expect_guarded(&answer)?;
            assert_eq!(answer.status().as_u16(), status, "{host} {path}");
        }
    }
    for request in
        ["GET /metrics HTTP/1.0\r\n\r\n", "GET http://evil.example/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]
    {
        let stream = format!("127.0.0.1:{port}");
        let answer = raw_at(&stream, request.as_bytes()).await?;
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 421 "), "{request}: {answer}");
    }
    // A name that was made to lead here, as a browser would send it.
    let address = format!("127.0.0.1:{port}").parse()?;
    let rebound = Caller::with(&format!("http://evil.example:{port}"), client().resolve("evil.example", address))?;
    let answer = Caller { cookie: browser.cookie.clone(), ..rebound }.get("/api/v1/scraps").await?;
    expect_guarded(&answer)?;
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
    assert!(!answer.text().await?.contains("itens"));
    server.stop().await?;
    Ok(())
}

async fn raw_at(address: &str, bytes: &[u8]) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[tokio::test]
async fn what_another_page_sends_changes_nothing() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(2151, &api).await?;
    let server = Server::start(&atlas, &[]).await?;
    let browser = server.browser().await?;
    let ours = server.url.clone();
    let fields =
        format!("cliente=2151&rota=pedido&de=2025-10-20&ate=2025-10-20&acao=criar&_csrf={}", browser.form_token);
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        // Another port of this machine is the same site.
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = browser.form("/scraps", &fields).header(name, value).send().await?;
        expect_guarded(&answer)?;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        let body = scrap(2151);
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = browser.send(method.clone(), "/scraps", &body).header(name, value).send().await?;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {name}: {value}");
        }
        // Nor does it sign the caller in, or guess.
        let answer = server.stranger()?.form("/entrar", "senha=x").header(name, value).send().await?;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    // Without the form's token, with none, with another session's.
    let other = server.another_browser(&atlas).await?;
    let without = fields.split("&_csrf").next().unwrap_or_default().to_owned();
    for fields in [without.clone(), format!("{without}&_csrf="), format!("{without}&_csrf={}", other.form_token)] {
        let answer = browser.form("/scraps", &fields).header("origin", &ours).send().await?;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{fields}");
        let page = answer.text().await?;
        assert!(page.contains("cliente=2151") && !page.contains(&other.form_token), "what was typed is kept: {page}");
    }
    for form_token in ["", &other.form_token] {
        let forger = Caller { form_token: form_token.to_owned(), ..browser.clone() };
        let answer = forger.send(Method::POST, "/scraps", &scrap(2151)).send().await?;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    // A form cannot send JSON, and JSON in disguise is not taken.
    let disguised = browser.ask(Method::POST, "/api/v1/scraps").header("x-csrf-token", &browser.form_token);
    let answer = disguised.header("content-type", "text/plain").body(scrap(2151).to_string()).send().await?;
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 0);
    let answer =
        browser.form("/scraps", &fields).header("origin", &ours).header("sec-fetch-site", "same-origin").send().await?;
    assert_eq!((answer.status(), header(&answer, "location")), (StatusCode::SEE_OTHER, "/scraps/1?vinculado=1"));
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn who_guesses_the_password_waits_longer_each_time_and_who_knows_it_is_let_in() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &[]).await?;
    let browser = server.browser().await?;
    let short = atlas.run_with_input(&["access", "password"], "too short").await?;
    assert_eq!(short.code, 2, "{}", short.stderr);
    let password = "senha do operador, çã";
    atlas.run_with_input(&["access", "password"], password).await?.expect(0)?;
    // A new password ends the sessions of before.
    assert_eq!(browser.get("/scraps").await?.status(), StatusCode::SEE_OTHER);
    let stranger = server.stranger()?;
    let right = "senha=senha+do+operador%2C+%C3%A7%C3%A3";
    for n in 0..5 {
        let answer = stranger.form("/entrar", &format!("senha=guess{n}")).send().await?;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{n}");
        assert!(!answer.text().await?.contains(&format!("guess{n}")));
    }
    // Even the right one: while a caller waits, no password is tried.
    let answer = stranger.form("/entrar", right).send().await?;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let answer = stranger.form("/entrar", "senha=guess").send().await?;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(stranger.form("/entrar", right).send().await?.status(), StatusCode::TOO_MANY_REQUESTS, "twice as long");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let browser = stranger.clone().sign_in(right).await?;
    browser.page("/acessos").await?;
    // And all is forgiven.
    assert_eq!(stranger.form("/entrar", "senha=guess").send().await?.status(), StatusCode::UNAUTHORIZED);
    let said = server.stop().await?;
    assert!(!said.contains("guess") && !said.contains("operador"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_token_to_read_changes_nothing_and_one_that_is_taken_away_is_out_at_once() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(2151, &api).await?;
    let server = Server::start(&atlas, &[]).await?;
    let (id, secret) = token(&atlas, false).await?;
    let reader = Caller { bearer: Some(secret), ..server.stranger()? };
    for (method, path) in operations(&reader).await? {
        if path == "/events" {
            continue;
        }
        let path = if path == "/records/totals" { "/records/totals?cliente_id=2151".to_owned() } else { path };
        // What each takes, so that nothing else is the reason.
        let body = json!({ "cliente_id": 2151, "rota": "pedido", "de": "2025-10-20", "ate": "2025-10-20", "token": "x",
            "base_url": "https://x.example", "cron": "0 * * * *", "ativa": true, "partes": {} });
        let body = match path.as_str() {
            "/clients" => json!({ "cliente_id": 7, "token": "x", "base_url": "https://x.example" }),
            "/clients/2151" => json!({ "ativo": false }),
            "/clients/2151/apis/jueri" => json!({ "partes": {} }),
            "/schedules" => json!({ "cliente_id": 2151, "rota": "pedido", "cron": "0 * * * *" }),
            "/schedules/1" => json!({ "ativa": true }),
            path if path.starts_with("/scraps") => scrap(2151),
            _ => body,
        };
        let status = reader.send(method.clone(), &path, &body).send().await?.status();
        if method == Method::GET {
            assert!(status == StatusCode::OK || status == StatusCode::NOT_FOUND, "{path}: {status}");
        } else {
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}");
            // A caller who may not is told so, before what they sent is looked at.
            let nonsense = path.replace("2151", "x").replace("/1", "/x");
            for (path, kind, body) in [
                (&path, "application/json", "{\"a\":"),
                (&path, "text/plain", ""),
                (&nonsense, "application/json", "{}"),
            ] {
                let asked =
                    reader.ask(method.clone(), &format!("/api/v1{path}")).header("content-type", kind).body(body);
                assert_eq!(asked.send().await?.status(), StatusCode::FORBIDDEN, "{method} {path}: {body}");
            }
        }
    }
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 0);
    // A token is no session: it opens no page.
    assert_eq!(reader.get("/scraps").await?.status(), StatusCode::SEE_OTHER);
    let mut events = reader.get("/api/v1/events").await?;
    assert_eq!(events.status(), StatusCode::OK);
    events.chunk().await?.context("hello")?;
    atlas.run(&["access", "token", "revoke", &id.to_string()]).await?.expect(0)?;
    assert_eq!(reader.get("/api/v1/scraps").await?.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(reader.get("/api/v1/events").await?.status(), StatusCode::UNAUTHORIZED);
    // Who listens already is let go within seconds.
    let began = Instant::now();
    while events.chunk().await?.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_this_host_alone_and_browsers_keep_to_tls() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let (certificate, key) = (atlas.folder().join("cert.pem"), atlas.folder().join("key.pem"));
    let made = tokio::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=atlas", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .await?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (chain, key) = (certificate.display().to_string(), key.display().to_string());
    let server = Server::start(&atlas, &["--tls-cert", &chain, "--tls-key", &key]).await?;
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let trusted = reqwest::Certificate::from_pem(&std::fs::read(&certificate)?)?;
    let stranger = Caller::with(&server.url, client().tls_certs_only([trusted]))?;
    let answer = stranger.form("/entrar", &format!("chave={}", server.key())).send().await?;
    expect_guarded(&answer)?;
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    assert!(header(&answer, "strict-transport-security").contains("max-age="));
    let cookie = session_cookie(&answer).context("a session")?;
    assert!(cookie.starts_with("__Host-atlas_sessao=") && cookie.contains("; Secure"), "{cookie}");
    let cookie = cookie.split(';').next().map(str::to_owned);
    let browser = Caller { cookie, ..stranger.clone() };
    browser.page("/scraps").await?;
    let answer = browser.ask(Method::GET, "/scraps").header("host", "evil.example").send().await?;
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
    // Who speaks no TLS is told nothing.
    let answer = server.raw(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await?;
    assert!(!answer.contains("HTTP/1.1 "), "{answer}");
    server.stop().await?;
    let wrong = atlas.run(&["serve", "--listen", "127.0.0.1:0", "--tls-cert", &key, "--tls-key", &chain]).await?;
    assert_eq!(wrong.code, 3, "{}", wrong.stderr);
    // As a source, one with such a certificate is not waited for; an operator who trusts it says
    // so.
    let server = Server::start(&atlas, &["--tls-cert", &chain, "--tls-key", &key]).await?;
    let mut puller = Atlas::on_sqlite()?;
    let add = ["client", "add", "2151", "--token", "-", "--base-url", &server.url];
    puller.run_with_input(&add, "token-da-origem").await?.expect(0)?;
    for (lang, said) in [("en", "certificate is not trusted"), ("pt-BR", "não é confiável")] {
        let run = puller.run_pedido(2151, &["--lang", lang]).await?.expect(3)?;
        assert_eq!(run.text("status")?, "falhou");
        assert!(run.stderr.contains(said) && run.stderr.contains("SSL_CERT_FILE"), "{}", run.stderr);
        assert!(!run.stderr.contains("1/5"), "{}", run.stderr);
    }
    puller.set("SSL_CERT_FILE", &chain);
    let run = puller.run_pedido(2151, &["--lang", "en"]).await?;
    assert!(run.code != 3 && !run.stderr.contains("certificate"), "{}", run.stderr);
    server.stop().await?;
    Ok(())
}
