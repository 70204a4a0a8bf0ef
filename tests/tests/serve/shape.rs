//! How answers come: compressed, below a path, for as long as was promised; and what is kept of how
//! scraps went.

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, FROM, Faults, TO, api};
use reqwest::StatusCode;
use serde_json::json;

use crate::client::{Caller, Server, client, header, session_cookie};

const CLIENT: u32 = 2151;

#[tokio::test]
async fn pages_and_exports_are_compressed_as_they_stream_and_events_are_passed_on_at_once() -> anyhow::Result<()> {
    let api = api(200, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let server = Server::start(&atlas, &[]).await?;
    let program = server.program(&atlas, true).await?;
    let id = program.create(CLIENT, json!({})).await?;
    program.until(id, "concluido").await?;
    // One who unpacks nothing by itself.
    let plain = client().no_gzip().no_brotli().no_deflate();
    let program = Caller { bearer: program.bearer.clone(), ..Caller::with(&server.url, plain)? };
    let browser = Caller { cookie: server.browser().await?.cookie, ..program.clone() };
    let browser = Caller { bearer: None, ..browser };
    for (caller, path) in [
        (&browser, "/scraps"),
        (&browser, "/dados/exportar?formato=csv"),
        (&program, "/api/v1/records/export"),
        (&program, "/api/v1/openapi.json"),
        (&program, "/metrics"),
    ] {
        let whole = caller.get(path).await?;
        assert_eq!(header(&whole, "content-encoding"), "", "{path}");
        let whole = whole.bytes().await?;
        let packed = caller.ask(reqwest::Method::GET, path).header("accept-encoding", "br, gzip").send().await?;
        assert_eq!(header(&packed, "content-encoding"), "gzip", "{path}");
        let varies = packed.headers().get_all("vary").iter().any(|names| names == "accept-encoding");
        ensure!(varies, "{path}: {:?}", packed.headers());
        let packed = packed.bytes().await?;
        ensure!(packed.len() * 2 < whole.len(), "{path}: {} of {}", packed.len(), whole.len());
        // The page has a place among events in it, and metrics go on.
        let unpacking = Caller { client: client().build()?, ..(*caller).clone() };
        let unpacked = unpacking.get(path).await?.bytes().await?;
        ensure!(path == "/scraps" || path == "/metrics" || unpacked == whole, "{path}: not the same");
    }
    let events = program.ask(reqwest::Method::GET, "/api/v1/events").header("accept-encoding", "gzip").send().await?;
    assert_eq!((header(&events, "content-encoding"), header(&events, "x-accel-buffering")), ("", "no"));
    drop(events);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn below_a_path_every_address_leads_below_it() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let server = Server::start(&atlas, &["--path-prefix", "/erp/atlas/"]).await?;
    ensure!(server.url.ends_with("/erp/atlas"), "{}", server.url);
    let browser = server.browser().await?;
    let program = server.program(&atlas, true).await?;
    let id = program.create(CLIENT, json!({})).await?;
    program.until(id, "concluido").await?;
    for page in crate::doors::PAGES.iter().chain(&["/api/v1/docs", "/nothing"]) {
        let answer = browser.get(page).await?;
        ensure!(!answer.status().is_server_error(), "{page}: {}", answer.status());
        let kind = header(&answer, "content-type").to_owned();
        let text = answer.text().await?;
        if !kind.starts_with("text/html") {
            continue;
        }
        for attribute in ["href=\"/", "action=\"/", "src=\"/", "data-underway=\"/"] {
            for rest in text.split(attribute).skip(1) {
                ensure!(
                    rest.starts_with("erp/atlas/"),
                    "{page}: {attribute}{}",
                    rest.chars().take(60).collect::<String>()
                );
            }
        }
    }
    // What redirects, and what was created, is below it as well.
    let answer = server.stranger()?.get("/scraps?cliente=7").await?;
    assert_eq!(header(&answer, "location"), "/erp/atlas/entrar?volta=%2Fscraps%3Fcliente%3D7");
    let created = program.send(reqwest::Method::POST, "/scraps", &crate::client::scrap(CLIENT)).send().await?;
    ensure!(header(&created, "location").starts_with("/erp/atlas/api/v1/scraps/"), "{}", header(&created, "location"));
    assert_eq!(program.json("/openapi.json").await?["servers"][0]["url"], "/erp/atlas/api/v1");
    let referer = format!("{}/clientes/2151", browser.url);
    let expired = browser.form("/scraps", "cliente=2151").header("referer", referer).send().await?;
    assert_eq!(expired.status(), StatusCode::FORBIDDEN);
    ensure!(expired.text().await?.contains("href=\"/erp/atlas/clientes/2151?nao_feito="));
    // A proxy that takes it off, and a probe that does not know it, get there too.
    let bare = Caller { url: server.url.trim_end_matches("/erp/atlas").to_owned(), ..browser.clone() };
    ensure!(bare.page("/scraps").await?.contains("href=\"/erp/atlas/scraps/novo\""));
    assert_eq!(bare.page("/healthz").await?, "ok\n");
    assert_eq!(bare.get("/erp/atlases/scraps").await?.status(), StatusCode::NOT_FOUND);
    server.stop().await?;
    let refused = atlas.run(&["serve", "--listen", "127.0.0.1:0", "--path-prefix", "/a b"]).await?.expect(2)?;
    ensure!(refused.stderr.contains("/a b"), "{}", refused.stderr);
    Ok(())
}

#[tokio::test]
async fn a_session_outlives_the_browser_for_the_twelve_hours_that_are_promised() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &[]).await?;
    let signed_in = server.stranger()?.form("/entrar", &format!("chave={}", server.key())).send().await?;
    let cookie = session_cookie(&signed_in).context("a session")?;
    ensure!(cookie.contains("Max-Age=43200"), "{cookie}");
    let browser = Caller { cookie: cookie.split(';').next().map(str::to_owned), ..server.stranger()? };
    // From each use on anew, by page and by API; a stranger and a program are given none.
    for path in ["/scraps", "/api/v1/scraps"] {
        let kept = session_cookie(&browser.get(path).await?).with_context(|| path.to_owned())?;
        ensure!(kept.starts_with(browser.cookie.as_deref().unwrap_or("-")) && kept.contains("Max-Age=43200"), "{kept}");
    }
    assert_eq!(session_cookie(&server.stranger()?.get("/entrar").await?), None);
    assert_eq!(session_cookie(&server.program(&atlas, true).await?.get("/api/v1/scraps").await?), None);
    // A visitor who came by the first link is led to a password, and then needs no command line any
    // more.
    let mut browser = browser;
    let page = browser.page("/scraps").await?;
    ensure!(page.contains("Nobody has set a password yet") && page.contains("href=\"/acessos\""), "{page}");
    browser.form_token =
        page.split("data-csrf=\"").nth(1).and_then(|rest| rest.split('"').next()).context("a token")?.to_owned();
    let password = "uma+senha+bem+comprida";
    let set = browser.post("/acessos/senha", &format!("senha={password}&senha_de_novo={password}")).await?;
    assert_eq!((set.status(), header(&set, "location")), (StatusCode::SEE_OTHER, "/entrar?feito=senha"));
    let again = server.stranger()?.sign_in(&format!("senha={password}")).await?;
    ensure!(!again.page("/scraps").await?.contains("Nobody has set a password yet"));
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn what_a_scrap_said_and_its_pace_are_there_for_whoever_looks_later() -> anyhow::Result<()> {
    let faults = Faults { latency_ms: 300, ..Faults::default() };
    let api = api(300, faults).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        // Run by a command, before there is a server.
        let client = CLIENT.to_string();
        let run = ["run", "--client", &client, "--route", "pedido", "--from", FROM, "--to", TO, "--concurrency", "1"];
        atlas.run(&run).await?.expect(0)?;
        let server = Server::start(&atlas, &[]).await?;
        let program = server.program(&atlas, true).await?;
        let log = program.json("/scraps/1/log").await?;
        let texts: Vec<&str> =
            log.as_array().context("a log")?.iter().filter_map(|line| line["texto"].as_str()).collect();
        ensure!(texts.first().is_some_and(|text| text.starts_with("Scrap 1 began")), "{texts:?}");
        ensure!(texts.contains(&"Scrap 1 is done"), "{texts:?}");
        let plot = program.json("/scraps/1/plot").await?;
        let points = plot.as_array().context("points")?;
        ensure!(points.iter().any(|point| point["rate"].as_f64().is_some_and(|rate| rate > 0.0)), "{plot}");
        ensure!(points.iter().any(|point| point["page_ms"].as_f64().is_some_and(|ms| ms > 200.0)), "{plot}");
        ensure!(server.browser().await?.page("/scraps/1").await?.contains("Scrap 1 is done"));
        // One that runs here, killed: what it said a moment before is there.
        let id = program.create(CLIENT, json!({})).await?;
        program.until(id, "executando").await?;
        let begins = format!("Scrap {id} began");
        // It is taken a moment before it begins.
        let began = std::time::Instant::now();
        while !program.json(&format!("/scraps/{id}/log")).await?.to_string().contains(&begins) {
            ensure!(began.elapsed() < crate::client::PATIENCE, "scrap {id} does not say that it began");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        server.signal("KILL").await?;
        server.end().await?;
        let server = Server::start(&atlas, &[]).await?;
        let program = Caller { url: server.url.clone(), ..program };
        ensure!(program.json(&format!("/scraps/{id}/log")).await?.to_string().contains(&begins));
        server.stop().await?;
    }
    Ok(())
}
