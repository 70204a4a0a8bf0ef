//! The API: the same twice, parts of listings, exports, failures.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, FROM, Faults, Rota, TO, api};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::client::{Caller, Server, header, scrap};

const CLIENT: u32 = 2151;

#[tokio::test]
async fn the_same_request_under_one_key_is_done_once_however_often_it_is_sent() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &[]).await?;
        let (program, other) = (server.program(&atlas, true).await?, server.program(&atlas, true).await?);
        let paused = |client| {
            let mut body = scrap(client);
            body["pausado"] = true.into();
            body
        };
        let create = |caller: &Caller, key: &str, body: &Value| {
            caller.send(Method::POST, "/scraps", body).header("idempotency-key", key).send()
        };
        let first = create(&program, "a key", &paused(CLIENT)).await?;
        assert_eq!((first.status(), header(&first, "idempotent-replayed")), (StatusCode::CREATED, ""));
        let said = first.text().await?;
        let again = create(&program, "a key", &paused(CLIENT)).await?;
        assert_eq!((again.status(), header(&again, "idempotent-replayed")), (StatusCode::CREATED, "true"));
        assert_eq!(header(&again, "content-type"), "application/json");
        assert_eq!(again.text().await?, said);
        let mut otherwise = paused(CLIENT);
        otherwise["tamanho_pagina"] = 11.into();
        let answer = create(&program, "a key", &otherwise).await?;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text().await?.contains("urn:atlas:web-request-different"));
        // The same key at another place is another request.
        let elsewhere =
            program.send(Method::POST, "/scraps/preview", &paused(CLIENT)).header("idempotency-key", "a key");
        assert_eq!(elsewhere.send().await?.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 1);
        // Another access's key is another key.
        assert_eq!(create(&other, "a key", &paused(CLIENT)).await?.status(), StatusCode::CREATED);
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 2);
        // What was refused is refused in the same words.
        let refused = create(&program, "refused", &paused(999)).await?;
        let (status, said) = (refused.status(), refused.text().await?);
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        let again = create(&program, "refused", &paused(999)).await?;
        assert_eq!((again.status(), header(&again, "content-type")), (status, "application/problem+json"));
        assert_eq!(again.text().await?, said);
        let mut many = JoinSet::new();
        for _ in 0..40 {
            let sent = create(&program, "many", &paused(CLIENT));
            many.spawn(async move { Ok::<_, reqwest::Error>(sent.await?.status()) });
        }
        let statuses: Vec<StatusCode> = many.join_all().await.into_iter().collect::<Result<_, _>>()?;
        ensure!(statuses.iter().all(|status| matches!(status.as_u16(), 201 | 409)), "{statuses:?}");
        ensure!(statuses.contains(&StatusCode::CREATED), "{statuses:?}");
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 3);
        for key in ["", &"k".repeat(256), "a\tb"] {
            assert_eq!(create(&program, key, &paused(CLIENT)).await?.status(), StatusCode::BAD_REQUEST, "{key:?}");
        }
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_hangs_up_before_the_answer_finds_it_when_they_ask_again() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let server = Server::start(&atlas, &[]).await?;
    let program = server.program(&atlas, true).await?;
    let bearer = program.bearer.clone().context("a token")?;
    let body = scrap(CLIENT).to_string();
    for n in 0..30 {
        let mut stream = tokio::net::TcpStream::connect(server.address()).await?;
        let request = format!(
            "POST /api/v1/scraps HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {bearer}\r\nIdempotency-Key: hung-{n}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            server.address(),
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        // At each moment of its way.
        tokio::time::sleep(std::time::Duration::from_micros(n * 150)).await;
        drop(stream);
    }
    for n in 0..30 {
        let mut tries = 0;
        loop {
            let again =
                program.send(Method::POST, "/scraps", &scrap(CLIENT)).header("idempotency-key", format!("hung-{n}"));
            let again = again.send().await?;
            if again.status() == StatusCode::CREATED {
                break;
            }
            assert_eq!(again.status(), StatusCode::CONFLICT);
            tries += 1;
            ensure!(tries < 100, "hung-{n}: nobody knows what became of it");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 30);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_failure_is_told_in_the_words_of_the_command_line() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let server = Server::start(&atlas, &[]).await?;
    let program = server.program(&atlas, true).await?;
    let create = |client: &'static str, route: &'static str, from: &'static str, to: &'static str| {
        vec!["scrap", "create", "--client", client, "--route", route, "--from", from, "--to", to]
    };
    let body = |client: u32, route: &str, from: &str, to: &str| json!({ "cliente_id": client, "rota": route, "de": from, "ate": to });
    let cases: Vec<(Vec<&str>, Method, &str, Value, u16)> = vec![
        (create("9999", "pedido", FROM, TO), Method::POST, "/scraps", body(9999, "pedido", FROM, TO), 422),
        (create("2151", "nenhuma", FROM, TO), Method::POST, "/scraps", body(2151, "nenhuma", FROM, TO), 404),
        (create("2151", "pedido", TO, FROM), Method::POST, "/scraps", body(2151, "pedido", TO, FROM), 422),
        (
            create("2151", "pedido", "20/10/2025", TO),
            Method::POST,
            "/scraps",
            body(2151, "pedido", "20/10/2025", TO),
            422,
        ),
        (vec!["scrap", "show", "77"], Method::GET, "/scraps/77", Value::Null, 404),
        (vec!["scrap", "cancel", "77"], Method::POST, "/scraps/77/cancel", Value::Null, 404),
        (vec!["client", "remove", "77"], Method::DELETE, "/clients/77", Value::Null, 404),
        (vec!["connector", "accept", "pedido"], Method::POST, "/connectors/pedido/accept", Value::Null, 409),
    ];
    for (command, method, path, body, status) in cases {
        for lang in ["en", "pt-BR"] {
            let said = atlas.run(&[&command[..], &["--lang", lang]].concat()).await?.stderr;
            let answer =
                program.send(method.clone(), path, &body).header("cookie", format!("atlas_lang={lang}")).send().await?;
            let (kind, got) = (header(&answer, "content-type").to_owned(), answer.status().as_u16());
            let problem: Value = serde_json::from_str(&answer.text().await?)?;
            assert_eq!((got, kind.as_str()), (status, "application/problem+json"), "{command:?} {problem}");
            assert_eq!(problem["status"], status);
            for member in ["title", "detail", "fix"] {
                let text = problem[member].as_str().with_context(|| format!("{member}: {problem}"))?;
                ensure!(said.contains(text), "{command:?}: {text:?} is not among\n{said}");
            }
        }
    }
    server.stop().await?;
    Ok(())
}

/// Every item of a listing, part by part.
async fn all(caller: &Caller, path: &str, limit: usize) -> anyhow::Result<Vec<Value>> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let from = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let part = caller.json(&format!("{path}{separator}limite={limit}{from}")).await?;
        let some = part["itens"].as_array().context("items")?;
        ensure!(some.len() <= limit, "{} items", some.len());
        items.extend(some.iter().cloned());
        match part["proximo"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(items),
        }
        ensure!(items.len() < 100_000, "it has no end");
    }
}

#[tokio::test]
async fn the_parts_of_a_listing_are_all_of_it_and_an_export_is_what_was_served() -> anyhow::Result<()> {
    let api = api(25, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        for client in [CLIENT, 7] {
            atlas.register(client, &api).await?;
        }
        let server = Server::start(&atlas, &[]).await?;
        let program = server.program(&atlas, true).await?;
        let mut created = BTreeSet::new();
        for _ in 0..11 {
            created.insert(program.create(7, json!({ "pausado": true })).await?);
        }
        let id = program.create(CLIENT, json!({})).await?;
        created.insert(id);
        let done = program.until(id, "concluido").await?;
        assert_eq!(done["lidos"], 125);
        for limit in [1, 4, 12, 13, 1000] {
            let scraps = all(&program, "/scraps", limit).await?;
            let ids: Vec<i64> = scraps.iter().filter_map(|scrap| scrap["id"].as_i64()).collect();
            assert_eq!(ids, created.iter().rev().copied().collect::<Vec<_>>(), "{limit}");
        }
        assert_eq!(all(&program, "/scraps?cliente_id=7&estado=pausado&rota=pedido", 5).await?.len(), 11);
        assert_eq!(all(&program, "/scraps?cliente_id=7&estado=concluido", 5).await?.len(), 0);
        assert_eq!(all(&program, "/scraps?cliente_id=7", 5).await?.len(), 11);
        let pages = all(&program, &format!("/scraps/{id}/pages"), 5).await?;
        // The second look is among them.
        let fetched: Vec<&Value> = pages.iter().filter(|page| page["estado"] == "feita").collect();
        assert_eq!(fetched.len() as i64, done["paginas"].as_i64().context("pages")?, "{pages:?}");
        let cursors: BTreeSet<String> =
            pages.iter().map(|page| format!("{} {}", page["varredura"], page["cursor"])).collect();
        assert_eq!(cursors.len(), pages.len());
        let places: Vec<i64> = pages.iter().filter_map(|page| page["ordem"].as_i64()).collect();
        assert!(places.windows(2).all(|two| two[0] < two[1]), "{places:?}");
        assert_eq!(fetched.iter().filter_map(|page| page["lidos"].as_i64()).sum::<i64>(), 125);
        let records = all(&program, "/records?cliente_id=2151&origem=pedido", 40).await?;
        let ids: BTreeSet<i64> = records.iter().filter_map(|record| record["id"].as_i64()).collect();
        assert_eq!((records.len(), ids.len()), (125, 125));
        for wrong in ["cursor=x", "cursor=9223372036854775808", "limite=x", "cliente_id=2147483648"] {
            let answer = program.get(&format!("/api/v1/records?{wrong}")).await?;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong}");
        }

        let mut served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
        served.sort();
        let export = program.page("/api/v1/records/export?cliente_id=2151").await?;
        assert!(export.ends_with('\n'));
        let mut exported = Vec::new();
        for line in export.lines() {
            let record: Exported<'_> = serde_json::from_str(line)?;
            ensure!(record.cliente_id == CLIENT && record.origem == "pedido" && record.id > 0, "{line}");
            ensure!(record.hash_conteudo.len() == 64 && !record.data_coleta.is_empty(), "{line}");
            exported.push(record.payload.get().to_owned());
        }
        if atlas.database.is_postgres() {
            // PostgreSQL's own text, whose numbers are those that were served, digit for digit.
            let (mut ours, mut theirs) = (numbers(&exported), numbers(&served));
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs);
        } else {
            exported.sort();
            assert_eq!(exported, served);
        }
        // The page's own download is the same.
        let browser = server.browser().await?;
        assert_eq!(browser.page("/dados/exportar?cliente=2151&formato=jsonl").await?, export);
        let one = records.first().and_then(|record| record["id"].as_i64()).context("a record")?;
        let whole = program.page(&format!("/api/v1/records/{one}")).await?;
        let whole: Exported<'_> = serde_json::from_str(&whole)?;
        assert!(exported.iter().any(|payload| payload == whole.payload.get()));
        let csv = program.page("/api/v1/records/export?cliente_id=2151&formato=csv").await?;
        assert!(csv.starts_with("id,cliente_id,origem,data_coleta,hash_conteudo,payload\r\n"));
        assert_eq!(csv.matches("\r\n").count(), 126);
        assert_eq!(program.page("/api/v1/records/export?cliente_id=7").await?, "");
        assert_eq!(program.page("/api/v1/records/export?de=2020-01-01&ate=2020-01-02").await?, "");
        server.stop().await?;
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Exported<'a> {
    id: i64,
    cliente_id: u32,
    origem: String,
    data_coleta: String,
    hash_conteudo: String,
    #[serde(borrow)]
    payload: &'a serde_json::value::RawValue,
}

/// Every number in these texts, as it is written.
fn numbers(texts: &[String]) -> Vec<String> {
    let mut numbers = Vec::new();
    for text in texts {
        let (mut inside, mut escaped, mut number) = (false, false, String::new());
        for c in text.chars() {
            match c {
                _ if inside => {
                    inside = escaped || c != '"';
                    escaped = !escaped && c == '\\';
                }
                '"' => inside = true,
                '0'..='9' | '-' | '+' | '.' | 'e' | 'E' if !number.is_empty() || c.is_ascii_digit() || c == '-' => {
                    number.push(c)
                }
                _ if !number.is_empty() => numbers.push(std::mem::take(&mut number)),
                _ => {}
            }
        }
    }
    numbers
}
