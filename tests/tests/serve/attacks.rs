//! What strangers, hostile pages and hostile data try.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, Faults, api};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Server, header, scrap};
use crate::doors::{PAGES, expect_guarded};

const CLIENT: u32 = 2151;
/// What would run if it were taken for HTML, in a text or in an attribute.
const HTML: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

#[tokio::test]
async fn whatever_is_shown_is_shown_and_never_taken_for_html() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &[]).await?;
        let mut browser = server.browser().await?;
        let html = quoted(HTML);
        let insert = [
            format!(
                "INSERT INTO scraps (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina, estado, motivo, rejeitados, \
                 lidos, paginas, conector_versao, conector_sha256) VALUES \
                 ({CLIENT}, '{html}', '{html}', '{html}', 10, 'falhou', '{html}', 1, 1, 1, '{html}', '{html}')"
            ),
            format!(
                "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) VALUES ({CLIENT}, '{html}', '{}', '{html}')",
                quoted(&json!({ HTML: HTML }).to_string())
            ),
            format!(
                "INSERT INTO scrap_cursores (scrap_id, varredura, cursor_hash, cursor, estado, rejeitados, lidos, conector_sha256) \
                 VALUES (1, 0, {}, '{html}', 'feita', 1, 1, '{html}')",
                bytes(&atlas, b"cursor")
            ),
            format!(
                "INSERT INTO dados_rejeitados (scrap_id, cliente_id, origem, cursor_hash, cursor, posicao, conteudo_hash, codigo, \
                 motivo, conteudo) VALUES (1, {CLIENT}, '{html}', {0}, '{html}', 0, {0}, '{html}', '{html}', {1})",
                bytes(&atlas, b"cursor"),
                bytes(&atlas, HTML.as_bytes())
            ),
            format!(
                "INSERT INTO atlas_agendas (cliente_id, rota, cron, fuso, proxima, ativa, tamanho_pagina) \
                 VALUES ({CLIENT}, '{html}', '{html}', '{html}', 4000000000, FALSE, 0)"
            ),
            format!("UPDATE atlas_hosts SET nome = '{html}', versao = '{html}'"),
            format!("INSERT INTO clientes_apis (cliente_id, api, base_url) VALUES ({CLIENT}, '{html}', '{html}')"),
        ];
        for insert in insert {
            atlas.database.execute(&insert).await.with_context(|| insert.clone())?;
        }
        browser.post("/acessos/tokens", &format!("nome={}&escopo=leitura", encoded(HTML))).await?;
        let query = encoded(HTML);
        let names = [
            "cliente",
            "rota",
            "estado",
            "de",
            "ate",
            "caminho",
            "valor",
            "api",
            "sha256",
            "feito",
            "cursor",
            "fatia_de",
            "nome",
            "cron",
            "fuso",
            "janela",
            "fatia",
            "lote",
            "tamanho_pagina",
            "formato",
            "volta",
            "chave",
            &query,
        ];
        let mut looked_at = 0;
        for page in PAGES.iter().chain(&["/scraps?cursor=9", "/dados/registros?cliente=2151", "/nothing", "/entrar"]) {
            let path = page.split('?').next().unwrap_or_default();
            let typed = names.iter().map(|name| format!("{path}?{name}={query}"));
            for place in [(*page).to_owned(), format!("/{query}{path}")].into_iter().chain(typed) {
                let mut answer = browser.get(&place).await?;
                expect_guarded(&answer)?;
                if path == "/entrar" {
                    let stranger = server.stranger()?;
                    answer = stranger.get(&place).await?;
                }
                let (status, kind) = (answer.status(), header(&answer, "content-type").to_owned());
                ensure!(!status.is_server_error(), "{place}: {status}");
                let text = answer.text().await?;
                if kind.starts_with("text/html") {
                    looked_at += 1;
                    ensure!(!text.contains("<script>alert") && !text.contains("<img src=x"), "{place}:\n{text}");
                    ensure!(!text.contains("onerror=alert(2)>"), "{place}:\n{text}");
                }
            }
        }
        ensure!(looked_at > 60, "{looked_at}");
        // It is shown all the same.
        for page in ["/scraps/1", "/scraps/1/paginas", "/dados/registros/1", "/agenda", "/clientes/2151", "/acessos"] {
            let text = browser.page(page).await?;
            ensure!(text.contains("&lt;script&gt;alert(1)"), "{page}:\n{text}");
        }
        // What a browser calls itself, and where it says that it was.
        browser = server.another_browser(&atlas).await?;
        let answer = browser
            .form("/scraps", "x=1")
            .header("referer", format!("{}/{}", browser.url, encoded(HTML)))
            .send()
            .await?;
        assert!(!answer.text().await?.contains("<script>alert"));
        let raw = browser.get("/rejeitados/1/conteudo").await?;
        expect_guarded(&raw)?;
        assert!(header(&raw, "content-disposition").starts_with("attachment"), "{:?}", raw.headers());
        assert!(!header(&raw, "content-type").contains("html"));
        server.stop().await?;
    }
    Ok(())
}

fn bytes(atlas: &Atlas, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if atlas.database.is_postgres() { format!("decode('{hex}', 'hex')") } else { format!("x'{hex}'") }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_and_no_button_does_what_another_pages_does() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &[]).await?;
    let stranger = server.stranger()?;
    let places = [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/%0d%0aSet-Cookie:x=1",
        "/x\r\nSet-Cookie: x=1",
        "javascript:alert(1)",
        "///evil.example",
        "",
    ];
    for place in places {
        for (path, fields) in
            [("/preferencias", "lang=en&tema=escuro"), ("/preferencias", "lang=en%0d%0aX: y&tema=%0a")]
        {
            let answer = stranger.form(path, &format!("{fields}&volta={}", encoded(place))).send().await?;
            ensure!(!answer.status().is_server_error(), "{place}: {}", answer.status());
            let to = header(&answer, "location");
            ensure!(to.starts_with('/') && !to[1..].starts_with(['/', '\\']) && !to.contains("\\"), "{place}: {to}");
            for cookie in answer.headers().get_all("set-cookie") {
                let cookie = cookie.to_str()?;
                ensure!(cookie.starts_with("atlas_lang=") || cookie.starts_with("atlas_tema="), "{cookie}");
            }
        }
    }
    let mut browser = server.browser().await?;
    for place in places {
        let link = atlas.run(&["access", "link", "--output", "json"]).await?.expect(0)?.text("entrada")?;
        let key = link.split_once("chave=").context("a link")?.1.to_owned();
        let fields = format!("chave={key}&volta={0}&campos={0}%0d%0aX%3a%20y", encoded(place));
        let answer = stranger.form("/entrar", &fields).send().await?;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{place}");
        let to = header(&answer, "location");
        ensure!(to.starts_with('/') && !to[1..].starts_with(['/', '\\']), "{place}: {to}");
    }
    // A route that is a way to another page's form: its own form has to stay where it is.
    for route in [
        "..%2Fclientes%2F7%2Fremover%3F",
        "..",
        "%2e%2e",
        "a%2Fb",
        "%2F%2Fevil.example%2F",
        "a%3Fb",
        "a%23b",
        "%5C%5Cevil",
    ] {
        for page in ["aceitar", "voltar"] {
            let answer = browser.get(&format!("/conectores/{route}/{page}")).await?;
            ensure!(!answer.status().is_server_error(), "{route}: {}", answer.status());
            let text = answer.text().await?;
            for (_, rest) in text.match_indices("action=\"").map(|(at, found)| (at, &text[at + found.len()..])) {
                let action = rest.split('"').next().unwrap_or_default().to_owned();
                let url = reqwest::Url::parse(&browser.url)?.join(&action.replace("&amp;", "&"))?;
                let known = ["/preferencias", "/sair", "/entrar", "/scraps", "/dados/registros", "/dados", "/agenda"];
                ensure!(
                    url.path().starts_with("/conectores/") && !url.path().contains("/clientes/")
                        || known.contains(&url.path()),
                    "{route}: {action}"
                );
                ensure!(url.origin() == reqwest::Url::parse(&browser.url)?.origin(), "{route}: {action}");
            }
        }
        for path in ["accept", "rollback"] {
            let answer =
                browser.send(Method::POST, &format!("/connectors/{route}/{path}"), &Value::Null).send().await?;
            ensure!(answer.status().is_client_error(), "{route}: {}", answer.status());
        }
    }
    // A session that an attacker chose is none.
    browser.cookie = Some("atlas_sessao=chosen-by-somebody-else".to_owned());
    assert_eq!(browser.get("/scraps").await?.status(), StatusCode::SEE_OTHER);
    let browser = server.another_browser(&atlas).await?;
    assert_ne!(browser.cookie.as_deref(), Some("atlas_sessao=chosen-by-somebody-else"));
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn numbers_names_and_bodies_that_make_no_sense_are_refused_and_nothing_breaks() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &[]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
        let numbers = [
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "1e3",
            "0x1",
            "%00",
            "%FF",
            "%F0%9F%98%80",
            "1%2F2",
            "..",
            "%20",
            "NaN",
        ];
        for number in numbers {
            for path in [
                "/scraps/N",
                "/scraps/N/paginas",
                "/scraps/N/rejeitados",
                "/scraps/N/cancelar",
                "/scraps/1?parte=N",
                "/scraps?cursor=N",
                "/scraps?cliente=N",
                "/scraps?fatia_de=N",
                "/scraps?estado=N&rota=N",
                "/clientes/N",
                "/clientes/1/api?api=N",
                "/dados?cliente=N",
                "/dados/registros/N",
                "/dados/registros/N/json",
                "/dados/registros?cursor=N",
                "/dados/registros?rota=N&caminho=N&valor=N",
                "/dados/exportar?rota=N&de=N",
                "/conectores/N",
                "/conectores/N/aceitar",
                "/agenda/N/remover",
                "/acessos/tokens/N/revogar",
                "/rejeitados/N/conteudo",
                "/entrar?volta=N&chave=N",
                "/N",
                "/assets/N",
            ] {
                let place = path.replace('N', number);
                let answer = browser.get(&place).await?;
                ensure!(!answer.status().is_server_error(), "{place}: {} {}", answer.status(), answer.text().await?);
            }
            for path in [
                "/scraps/N",
                "/scraps/N/pages",
                "/scraps/N/pages?cursor=N&limite=N",
                "/scraps/N/plot",
                "/scraps/N/log",
                "/scraps?cursor=N",
                "/scraps?limite=N",
                "/scraps?cliente_id=N",
                "/scraps?rota=N",
                "/scraps?fatia_de=N",
                "/rejects?scrap_id=N&cursor=N",
                "/records?cursor=N",
                "/records?origem=N",
                "/records?limite=N",
                "/records/N",
                "/records/totals?cliente_id=N",
                "/records/export?origem=N&cliente_id=N",
                "/N",
            ] {
                let place = format!("/api/v1{}", path.replace('N', number));
                let answer = program.get(&place).await?;
                let status = answer.status();
                let kind = header(&answer, "content-type").to_owned();
                ensure!(!status.is_server_error(), "{place}: {status} {}", answer.text().await?);
                ensure!(status.is_success() || kind == "application/problem+json", "{place}: {status} {kind}");
            }
            for (method, path) in [
                (Method::POST, "/scraps/N/run"),
                (Method::POST, "/scraps/N/pause"),
                (Method::POST, "/scraps/N/cancel"),
                (Method::POST, "/rejects/N/replay"),
                (Method::PATCH, "/clients/N"),
                (Method::DELETE, "/clients/N"),
                (Method::PUT, "/clients/1/apis/N"),
                (Method::DELETE, "/clients/1/apis/N"),
                (Method::PATCH, "/schedules/N"),
                (Method::DELETE, "/schedules/N"),
                (Method::POST, "/schedules/N/run"),
                (Method::POST, "/connectors/N/accept?sha256=N"),
            ] {
                let answer = program.send(method.clone(), &path.replace('N', number), &json!({})).send().await?;
                ensure!(
                    answer.status().is_client_error(),
                    "{method} {path} {number}: {} {}",
                    answer.status(),
                    answer.text().await?
                );
            }
        }
        for day in [
            "0000-01-01",
            "-001-01-01",
            "+12345-01-01",
            "9999-12-31",
            "2025-02-30",
            "2025-1-1",
            "\u{0}",
            "infinity",
            "now",
        ] {
            for place in ["/api/v1/records?de=D&ate=D", "/api/v1/records/export?ate=D"] {
                let place = place.replace('D', &encoded(day));
                let answer = program.get(&place).await?;
                let status = answer.status();
                ensure!(status.is_success() == (day == "9999-12-31"), "{place}: {status} {}", answer.text().await?);
            }
            let mut body = scrap(CLIENT);
            (body["de"], body["ate"], body["pausado"]) = (day.into(), day.into(), true.into());
            let status = program.send(Method::POST, "/scraps", &body).send().await?.status();
            ensure!(!status.is_server_error(), "{day:?}: {status}");
        }
        let wrong = [
            ("{", 400),
            ("", 400),
            ("null", 422),
            ("[]", 422),
            ("{}", 422),
            ("{\"cliente_id\":\"1\",\"rota\":\"pedido\"}", 422),
            ("{\"cliente_id\":2151,\"rota\":\"ped\\u0000ido\"}", 400),
            ("{\"cliente_id\":2151,\"rota\":\"pedido\",\"mais\":1}", 422),
            ("{\"cliente_id\":1e400,\"rota\":\"pedido\"}", 422),
            ("{\"cliente_id\":2151,\"rota\":\"\\ud800\"}", 422),
            ("{\"cliente_id\":2151,\"cliente_id\":2151,\"rota\":\"pedido\"}", 422),
        ];
        for (body, status) in wrong {
            let sent = program.ask(Method::POST, "/api/v1/scraps").header("content-type", "application/json");
            let answer = sent.body(body).send().await?;
            let got = answer.status().as_u16();
            ensure!(got == status || (status == 422 && got == 400), "{body}: {got} {}", answer.text().await?);
        }
        for body in [vec![0xff, 0xfe, b'{'], "[".repeat(100_000).into_bytes(), b"{\"rota\":\"\xff\"}".to_vec()] {
            let sent = program.ask(Method::POST, "/api/v1/scraps").header("content-type", "application/json");
            assert!(sent.body(body).send().await?.status().is_client_error());
        }
        // A path is parsed recursively; one that is too long is not parsed at all.
        for path in [
            "$[?(".repeat(15_000),
            format!("${}", "..*".repeat(20_000)),
            format!("$[?{}@.a]", "!".repeat(60_000)),
            "$..*..*..*..*".to_owned(),
        ] {
            let place = format!("/dados/registros?caminho={}", path.replace('[', "%5B").replace('?', "%3F"));
            if let Ok(answer) = browser.get(&place).await {
                ensure!(!answer.status().is_server_error(), "{}", answer.status());
            }
            browser.page("/clientes").await.context("it has survived")?;
        }
        // Forms with what no form has.
        for fields in ["nome=a%00b&escopo=total", "nome=%ff%fe&escopo=total", "nome=&escopo=", "nome=a"] {
            let answer = browser.post("/acessos/tokens", fields).await?;
            ensure!(!answer.status().is_server_error(), "{fields}: {}", answer.status());
        }
        ensure!(
            browser.post("/clientes/2151/api", "api=jueri&parte_%00=%00&parte_x=%00").await?.status().is_client_error()
        );
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_a_page_an_answer_an_event_a_log_or_a_journal() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &["-vv"]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
        let mut events = program.get("/api/v1/events").await?;
        let secrets = [
            "segredo-da-api-um",
            "segredo-do-formulario",
            "segredo-da-parte",
            "segredo-recusado com espaco",
            "segredo-no-lugar-errado",
        ];
        let new = json!({ "cliente_id": 7, "token": secrets[0], "base_url": "https://api.invalid/v1" });
        let answer = program.send(Method::POST, "/clients", &new).header("idempotency-key", "k").send().await?;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let mut said = answer.text().await?;
        let posts = [
            ("/clientes", format!("cliente=8&base_url=https%3A%2F%2Fapi.invalid&token={}", secrets[1])),
            ("/clientes/8", format!("base_url=not+a+url&token={}", secrets[1])),
            ("/clientes", format!("cliente=9&base_url=https%3A%2F%2Fapi.invalid&token={}", encoded(secrets[3]))),
            ("/clientes/7/api", format!("api=outra&base_url=https%3A%2F%2Fapi.invalid&parte_token={}", secrets[2])),
            ("/clientes/7/testar", "cliente=7&rota=pedido&de=2025-10-20&ate=2025-10-20".to_owned()),
        ];
        for (path, fields) in posts {
            said.push_str(&browser.post(path, &fields).await?.text().await?);
            // Sent with another session's form token: what was typed comes back, but for this.
            said.push_str(&browser.form(path, &format!("{fields}&_csrf=x")).send().await?.text().await?);
            said.push_str(&server.stranger()?.form(path, &fields).send().await?.text().await?);
        }
        for body in
            [json!({ "cliente_id": secrets[4] }), json!({ "token": secrets[4], secrets[4]: 1 }), json!([secrets[4]])]
        {
            said.push_str(&program.send(Method::POST, "/clients", &body).send().await?.text().await?);
        }
        let put = json!({ "partes": { "token": secrets[2], "password": secrets[2] } });
        said.push_str(&program.send(Method::PUT, "/clients/7/apis/jueri", &put).send().await?.text().await?);
        // A base URL that came over the network reaches no address of this house.
        let inside = json!({ "cliente_id": 6, "token": secrets[0], "base_url": api.base_url() });
        said.push_str(&program.send(Method::POST, "/clients", &inside).send().await?.text().await?);
        for client in [6, 7, CLIENT] {
            let id = program.create(client, json!({ "tentativas": 1 })).await?;
            let wanted = if client == CLIENT { "concluido" } else { "interrompido" };
            let began = Instant::now();
            loop {
                let scrap = program.json(&format!("/scraps/{id}")).await?;
                let state = scrap["estado"].as_str().unwrap_or_default().to_owned();
                if !matches!(state.as_str(), "pendente" | "executando") {
                    ensure!((state == "concluido") == (wanted == "concluido"), "{client}: {scrap}");
                    break;
                }
                ensure!(began.elapsed() < Duration::from_secs(90), "{scrap}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            said.push_str(&program.page(&format!("/api/v1/scraps/{id}/log")).await?);
        }
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM dados_raw WHERE cliente_id <> 2151").await?, 0);
        for page in PAGES.iter().chain(&[
            "/clientes/7",
            "/clientes/8",
            "/clientes/7/api?api=outra",
            "/clientes/7/api?api=jueri",
        ]) {
            said.push_str(&browser.get(page).await?.text().await?);
        }
        for path in ["/clients", "/scraps", "/schedules", "/connectors", "/health", "/rejects", "/records"] {
            said.push_str(&program.page(&format!("/api/v1{path}")).await?);
        }
        while let Ok(Ok(Some(chunk))) = tokio::time::timeout(Duration::from_millis(300), events.chunk()).await {
            said.push_str(&String::from_utf8_lossy(&chunk));
        }
        said.push_str(&atlas.database.text("SELECT COALESCE(MAX(resposta), '') FROM atlas_pedidos").await?);
        let (key, bearer) = (server.key().to_owned(), program.bearer.clone().context("a token")?);
        let cookie = browser.cookie.clone().context("a cookie")?;
        let session = cookie.split_once('=').context("a value")?.1.to_owned();
        said.push_str(&server.stop().await?);
        said.push_str(&std::fs::read_to_string(atlas.log()).unwrap_or_default());
        for secret in secrets.iter().copied().chain([atlas_tests::TOKEN, &key, &bearer, &session]) {
            let at = said.find(secret).map(|at| said[..at + secret.len()].chars().rev().take(300).collect::<String>());
            let at = at.map(|text| text.chars().rev().collect::<String>());
            ensure!(at.is_none(), "{secret} is shown: …{}", at.unwrap_or_default());
            ensure!(!said.contains(&encoded(secret)), "{secret} is shown, encoded");
        }
        // Of tokens and passwords the database has only what they were turned into.
        let kept = "SELECT COUNT(*) FROM atlas_acessos WHERE segredo";
        for secret in [&key, &bearer, &session] {
            assert_eq!(atlas.database.number(&format!("{kept} LIKE '%{secret}%'")).await?, 0);
        }
    }
    Ok(())
}

/// What a connection was answered until it was closed: the statuses, in their order.
async fn statuses(server: &Server, said: &str) -> anyhow::Result<Vec<String>> {
    let mut stream = TcpStream::connect(server.address()).await?;
    stream.write_all(said.replace("HOST", server.address()).as_bytes()).await?;
    let mut answers = Vec::new();
    // A server that refuses may close before it has read all of the request.
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answers)).await.context("no end")?;
    let answers = String::from_utf8_lossy(&answers).into_owned();
    let heads = answers.match_indices("HTTP/1.1 ").filter_map(|(at, _)| answers.get(at + 9..at + 12));
    Ok(heads.map(str::to_owned).collect())
}

#[tokio::test]
async fn a_request_whose_lines_end_in_lf_alone_is_refused_wherever_they_do() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &[]).await?;
    let form = "POST /entrar HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let chunked = format!("{form}Transfer-Encoding: chunked\r\n\r\n");
    let get = "GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n";
    let last = "GET /healthz HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n";
    for refused in [
        "GET /healthz HTTP/1.1\nHost: HOST\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: HOST\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: HOST\r\n\n",
        "GET /healthz HTTP/1.1\nHost: HOST\n\n",
        "GET /healthz HTTP/1.1\r\nHost: HOST\r\nA: b\nC: d\r\n\r\n",
        "\nGET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n",
        &format!("{form}Content-Length: 9\n\r\nchave=abc"),
        &format!("{chunked}9\nchave=abc\r\n0\r\n\r\n"),
        &format!("{chunked}9;a=b\nchave=abc\r\n0\r\n\r\n"),
        &format!("{chunked}9\r\nchave=abc\n0\r\n\r\n"),
        &format!("{chunked}9\r\nchave=abc\r\n0\n\r\n"),
        &format!("{chunked}9\r\nchave=abc\r\n0\r\nA: b\n\r\n"),
        &format!("{chunked}9\r\nchave=abc\r\n0\r\n\n"),
    ] {
        // Nothing that comes after it is answered.
        assert_eq!(statuses(&server, &format!("{refused}{last}")).await?, ["400"], "{refused:?}");
        let mut second = statuses(&server, &format!("{get}{refused}{last}")).await?;
        assert_eq!(second.remove(0), "200", "{refused:?}");
        assert_eq!(second, ["400"], "{refused:?}");
    }
    // A body may have what it likes.
    for (taken, status) in [
        ("\r\n".to_owned() + get, "200"),
        (format!("{form}Content-Length: 10\r\n\r\nchave=\na\nb"), "401"),
        (format!("{chunked}a\r\nchave=\na\nb\r\n0\r\nA: b\r\n\r\n"), "401"),
    ] {
        assert_eq!(statuses(&server, &format!("{taken}{last}")).await?, [status, "200"], "{taken:?}");
    }
    server.stop().await.map(drop)
}
