//! What was asked for, and nothing else: searches, exports, the names of queries, days.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, Faults, api};
use reqwest::StatusCode;
use serde_json::Value;

use crate::client::{Caller, Server, header};

const CLIENT: u32 = 2151;

/// Rows as no connector brings them: one each minute from a time on, with these payloads.
async fn rows(atlas: &Atlas, client: u32, route: &str, from: &str, payloads: &[String]) -> anyhow::Result<()> {
    let known =
        format!("INSERT INTO clientes_tokens (cliente_id, token) VALUES ({client}, 't') ON CONFLICT DO NOTHING");
    atlas.database.execute(&known).await?;
    for (n, some) in payloads.chunks(500).enumerate() {
        let row = |(m, payload): (usize, &String)| {
            let time = match atlas.database.is_postgres() {
                true => format!("TIMESTAMP '{from}' + INTERVAL '1 minute' * {}", n * 500 + m),
                false => format!("datetime('{from}', '+{} minutes')", n * 500 + m),
            };
            format!("({client}, {time}, '{route}', '{payload}', '{route}-{client}-{n}-{m}')")
        };
        let rows: Vec<String> = some.iter().enumerate().map(row).collect();
        let insert = format!(
            "INSERT INTO dados_raw (cliente_id, data_coleta, origem, payload, hash_conteudo) VALUES {}",
            rows.join(", ")
        );
        atlas.database.execute(&insert).await?;
    }
    Ok(())
}

/// The ids of a JSON Lines export.
fn ids(export: &str) -> anyhow::Result<BTreeSet<i64>> {
    let id = |line: &str| serde_json::from_str::<Value>(line)?["id"].as_i64().context("an id");
    export.lines().map(id).collect()
}

#[tokio::test]
async fn what_is_exported_is_what_the_search_shows_in_every_format_by_page_and_api() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        atlas.run(&["db", "init"]).await?.expect(0)?;
        let payloads: Vec<String> =
            (0..450).map(|n| format!("{{\"numero\":\"P-{n}\",\"total\":{}.50}}", n % 150)).collect();
        rows(&atlas, CLIENT, "pedido", "2026-11-20 00:00:00", &payloads).await?;
        rows(&atlas, CLIENT, "venda", "2026-11-20 00:00:00", &payloads[..10]).await?;
        rows(&atlas, 7, "pedido", "2026-11-20 00:00:00", &payloads[..10]).await?;
        let server = Server::start(&atlas, &[]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
        let searches = [
            ("cliente=2151&rota=pedido&caminho=numero&valor=P-149", 1),
            ("cliente=2151&rota=pedido&caminho=%24.total&valor=149,5", 3),
            ("caminho=numero&valor=P-3", 3),
            ("cliente=7&caminho=numero", 10),
            ("cliente=2151&rota=pedido&caminho=nada", 0),
            ("cliente=2151&rota=venda", 10),
            ("cliente=2151&rota=pedido&de=2026-11-20&ate=2026-11-20&caminho=total&valor=0.5", 3),
        ];
        for (search, count) in searches {
            let page = browser.page(&format!("/dados/registros?{search}")).await?;
            let shown: BTreeSet<i64> = page
                .split("href=\"/dados/registros/")
                .skip(1)
                .filter_map(|rest| rest.split('"').next()?.parse().ok())
                .collect();
            assert_eq!(shown.len(), count, "{search}");
            // The very links that stand beside what is shown.
            let links: Vec<String> = page
                .split("href=\"/dados/exportar?")
                .skip(1)
                .filter_map(|rest| Some(rest.split('"').next()?.replace("&amp;", "&")))
                .collect();
            assert_eq!(links.len(), 3, "{search}");
            for link in links {
                let export = browser.page(&format!("/dados/exportar?{link}")).await?;
                match link.contains("formato=jsonl") {
                    true => assert_eq!(ids(&export)?, shown, "{link}"),
                    false => assert_eq!(export.matches("\r\n").count(), count + 1, "{link}"),
                }
            }
            let listed = program.json(&format!("/records?{search}&limite=1000")).await?;
            let items = listed["itens"].as_array().context("items")?;
            assert_eq!(items.iter().filter_map(|item| item["id"].as_i64()).collect::<BTreeSet<_>>(), shown, "{search}");
            let export = program.page(&format!("/api/v1/records/export?{search}")).await?;
            assert_eq!(ids(&export)?, shown, "{search}");
            for format in ["csv", "excel"] {
                let export = program.page(&format!("/api/v1/records/export?{search}&formato={format}")).await?;
                assert_eq!(export.matches("\r\n").count(), count + 1, "{search} {format}");
            }
        }
        for refused in ["valor=P-1", "caminho=%24.itens%5B", "caminho=%24..a..b"] {
            for place in ["/api/v1/records", "/api/v1/records/export", "/dados/exportar", "/dados/registros"] {
                let caller = if place.starts_with("/api") { &program } else { &browser };
                let answer = caller.get(&format!("{place}?{refused}")).await?;
                assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{place}?{refused}");
            }
        }
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_export_says_that_its_search_does_not_look_into_large_records() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        atlas.run(&["db", "init"]).await?.expect(0)?;
        rows(&atlas, CLIENT, "pedido", "2026-11-20 00:00:00", &["{\"numero\":\"P-1\"}".to_owned()]).await?;
        let large = match atlas.database.is_postgres() {
            true => "jsonb_build_object('numero', 'P-1', 'texto', repeat('a', 3000000))",
            false => "json_object('numero', 'P-1', 'texto', hex(zeroblob(1500000)))",
        };
        let insert = format!(
            "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
             VALUES ({CLIENT}, 'pedido', {large}, 'grande')"
        );
        atlas.database.execute(&insert).await?;
        let server = Server::start(&atlas, &[]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
        let search = "cliente=2151&caminho=numero&valor=P-1";
        let places = [("/dados/exportar", &browser), ("/api/v1/records/export", &program)];
        for (place, caller) in places {
            let narrowed = caller.get(&format!("{place}?{search}")).await?;
            assert_eq!(header(&narrowed, "atlas-not-searched"), "records of more than 2097152 bytes", "{place}");
            assert_eq!(ids(&narrowed.text().await?)?.len(), 1, "{place}");
            // Without a search each record is there, and nothing has to be said.
            let whole = caller.get(&format!("{place}?cliente=2151")).await?;
            assert_eq!(header(&whole, "atlas-not-searched"), "", "{place}");
            assert_eq!(ids(&whole.text().await?)?.len(), 2, "{place}");
        }
        let page = browser.page(&format!("/dados/registros?{search}")).await?;
        assert!(page.contains("The file has no records of more than 2"), "{page}");
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_search_says_how_far_it_came_and_goes_on_from_there_to_the_end() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        atlas.run(&["db", "init"]).await?.expect(0)?;
        // The oldest of more than one question reads.
        let mut payloads = vec!["{\"alvo\":1}".to_owned()];
        payloads.extend((0..20_500).map(|n| format!("{{\"n\":{n}}}")));
        rows(&atlas, CLIENT, "pedido", "2026-01-01 00:00:00", &payloads).await?;
        let server = Server::start(&atlas, &["--timezone", "America/Sao_Paulo"]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
        let page = browser.page("/dados/registros?caminho=alvo").await?;
        for said in ["records looked at", "Back to the one collected on", "Search on", "data-continua"] {
            ensure!(page.contains(said), "{said}: {page}");
        }
        ensure!(!page.contains("Nothing matches the filter"), "{page}");
        let (mut cursor, mut found, mut looked) = (String::new(), Vec::new(), 0);
        loop {
            let part = program.json(&format!("/records?caminho=alvo{cursor}")).await?;
            looked += part["examinados"].as_i64().context("looked at")?;
            found.extend(part["itens"].as_array().context("items")?.iter().cloned());
            let Some(next) = part["proximo"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((found.len(), looked), (1, 20_501));
        assert_eq!(found[0]["encontrado"], "1");
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_query_with_a_name_that_an_address_does_not_know_is_refused() -> anyhow::Result<()> {
    let api = api(5, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    rows(&atlas, CLIENT, "pedido", "2026-11-20 00:00:00", &["{}".to_owned()]).await?;
    rows(&atlas, 7, "pedido", "2026-11-20 00:00:00", &["{}".to_owned()]).await?;
    let server = Server::start(&atlas, &[]).await?;
    let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
    let reader = server.program(&atlas, false).await?;
    // One vocabulary, and the columns' names.
    for place in ["/api/v1/records/export", "/dados/exportar"] {
        let caller = if place.starts_with("/api") { &program } else { &browser };
        for name in ["cliente", "cliente_id"] {
            assert_eq!(
                ids(&caller.page(&format!("{place}?{name}=2151&rota=pedido")).await?)?.len(),
                1,
                "{place} {name}"
            );
            assert_eq!(
                ids(&caller.page(&format!("{place}?{name}=2151&origem=pedido")).await?)?.len(),
                1,
                "{place} {name}"
            );
        }
    }
    let document = program.json("/openapi.json").await?;
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().context("paths")? {
        for method in operations.as_object().context("operations")?.keys() {
            let method: reqwest::Method = method.to_uppercase().parse()?;
            let path = path.replace("{id}", "1").replace("{api}", "jueri").replace("{route}", "pedido");
            for query in ["client=2151", "Cliente=7", "cursor=1&curso=2", "%00x=1", "x"] {
                let place = format!("{path}?{query}");
                let answer = program.send(method.clone(), &place, &serde_json::json!({})).send().await?;
                let (status, kind) = (answer.status(), header(&answer, "content-type").to_owned());
                let text = answer.text().await?;
                // A body that is wrong as well may be told first.
                ensure!(
                    status.is_client_error() && kind == "application/problem+json",
                    "{method} {place}: {status} {text}"
                );
                ensure!(
                    method != reqwest::Method::GET || status == StatusCode::BAD_REQUEST,
                    "{place}: {status} {text}"
                );
                tried += 1;
            }
        }
    }
    ensure!(tried > 100, "{tried}");
    // Who may not is told that first.
    let answer = reader.send(reqwest::Method::POST, "/scraps/1/run?x=1", &Value::Null).send().await?;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    for page in crate::doors::PAGES {
        let path = page.split('?').next().unwrap_or_default();
        for query in ["client=2151", "antes=7", "x"] {
            let status = browser.get(&format!("{path}?{query}")).await?.status();
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}?{query}");
        }
    }
    for twice in ["/dados/exportar?cliente=7&cliente=2151", "/api/v1/records/export?cliente=7&cliente_id=2151"] {
        assert_eq!(
            program_or(&program, &browser, twice).get(twice).await?.status(),
            StatusCode::BAD_REQUEST,
            "{twice}"
        );
    }
    assert_eq!(browser.get("/scraps?estado=nenhum").await?.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem = program.get("/api/v1/records/export?client=2151").await?.text().await?;
    for said in ["urn:atlas:web-query-unknown", "client", "cliente, rota, de, ate"] {
        ensure!(problem.contains(said), "{said}: {problem}");
    }
    server.stop().await?;
    Ok(())
}

fn program_or<'a>(program: &'a Caller, browser: &'a Caller, place: &str) -> &'a Caller {
    if place.starts_with("/api") { program } else { browser }
}

#[tokio::test]
async fn a_day_is_the_readers_and_what_is_shown_filtered_and_exported_agrees() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        atlas.run(&["db", "init"]).await?.expect(0)?;
        // From 23:00 to 01:00 in São Paulo.
        let payloads: Vec<String> = (0..120).map(|n| format!("{{\"n\":{n}}}")).collect();
        rows(&atlas, CLIENT, "pedido", "2026-11-20 02:00:00", &payloads).await?;
        let server = Server::start(&atlas, &[]).await?;
        let browser = server.browser().await?;
        let at = |zone: &str| {
            let cookie =
                browser.cookie.as_ref().map(|cookie| format!("{cookie}; atlas_fuso={}", zone.replace('/', "%2F")));
            Caller { cookie, ..browser.clone() }
        };
        for (zone, day, count, shown) in [
            ("America/Sao_Paulo", "2026-11-19", 60, "2026-11-19 23:59:00"),
            ("America/Sao_Paulo", "2026-11-20", 60, "2026-11-20 00:59:00"),
            ("UTC", "2026-11-20", 120, "2026-11-20 03:59:00"),
            ("Asia/Kathmandu", "2026-11-20", 120, "2026-11-20 09:44:00"),
        ] {
            let reader = at(zone);
            let page = reader.page(&format!("/dados/registros?de={day}&ate={day}")).await?;
            ensure!(page.contains(&format!("> {shown}<").replace("> ", ">")), "{zone} {day}: {shown}: {page}");
            ensure!(page.contains(zone), "{zone}: {page}");
            let export = reader.page(&format!("/dados/exportar?de={day}&ate={day}&formato=csv")).await?;
            assert_eq!(export.matches("\r\n").count(), count + 1, "{zone} {day}");
            let last = export.lines().last().context("a line")?;
            ensure!(last.contains(&shown.replace(' ', "T")), "{zone}: {last}");
        }
        server.stop().await?;
        // The operator's choice holds for all, on the command line too.
        let server = Server::start(&atlas, &["--timezone", "America/Sao_Paulo"]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
        let cookie = browser.cookie.as_ref().map(|cookie| format!("{cookie}; atlas_fuso=UTC"));
        let reader = Caller { cookie, ..browser };
        ensure!(reader.page("/dados/registros").await?.contains("2026-11-20 00:59:00"));
        let export = program.page("/api/v1/records/export?de=2026-11-20").await?;
        assert_eq!(ids(&export)?.len(), 60);
        ensure!(export.contains("\"data_coleta\":\"2026-11-20T00:00:00-03:00\""), "{export}");
        let elsewhere = program.page("/api/v1/records/export?de=2026-11-20&fuso=UTC").await?;
        assert_eq!(ids(&elsewhere)?.len(), 120);
        let refused = program.get("/api/v1/records?fuso=Brasil").await?;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        server.stop().await?;
        let verify = ["verify", "--client", "2151", "--timezone", "America/Sao_Paulo"];
        let said = atlas.run(&verify).await?.expect(0)?.stdout;
        ensure!(said.contains("2026-11-20 00:59:00 -03:00"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn the_data_page_is_as_large_as_what_is_chosen() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        atlas.run(&["db", "init"]).await?.expect(0)?;
        let now = match atlas.database.is_postgres() {
            true => "CURRENT_TIMESTAMP AT TIME ZONE 'UTC'",
            false => "CURRENT_TIMESTAMP",
        };
        for client in 1..=300 {
            let known = format!("INSERT INTO clientes_tokens (cliente_id, token) VALUES ({client}, 't')");
            atlas.database.execute(&known).await?;
            let rows: Vec<String> = (0..if client == 7 { 40 } else { 6 })
                .map(|route| format!("({client}, {now}, 'rota-{route:02}', '{{}}', 'h{client}-{route}')"))
                .collect();
            let insert = format!(
                "INSERT INTO dados_raw (cliente_id, data_coleta, origem, payload, hash_conteudo) VALUES {}",
                rows.join(", ")
            );
            atlas.database.execute(&insert).await?;
        }
        let server = Server::start(&atlas, &[]).await?;
        let browser = server.browser().await?;
        let drawn = |page: &str| page.matches("<figure class=\"by-day\"").count();
        let page = browser.page("/dados?cliente=8").await?;
        assert_eq!(drawn(&page), 6);
        ensure!(page.len() < 100_000, "{} bytes", page.len());
        let page = browser.page("/dados?cliente=7").await?;
        assert_eq!(drawn(&page), 12);
        ensure!(page.contains("28 more routes have fewer rows"), "{page}");
        let page = browser.page("/dados?cliente=7&rota=rota-39").await?;
        assert_eq!(drawn(&page), 1);
        ensure!(page.len() < 100_000, "{} bytes", page.len());
        server.stop().await?;
    }
    Ok(())
}
