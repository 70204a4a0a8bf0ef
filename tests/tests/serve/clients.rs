//! Clients over the network: what is stored goes nowhere else, and stays what it is.

use atlas_tests::{Atlas, Faults, api};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::Server;

const CLIENT: u32 = 2151;
const ELSEWHERE: &str = "https://elsewhere.example/api";

#[tokio::test]
async fn a_stored_credential_goes_nowhere_that_it_was_not_given_for() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &[]).await?;
        let (program, browser) = (server.program(&atlas, true).await?, server.browser().await?);
        let put = async |path: &str, method: Method, body: Value| -> anyhow::Result<(StatusCode, String)> {
            let answer = program.send(method, path, &body).send().await?;
            Ok((answer.status(), answer.text().await?))
        };
        // The client's default token, by the API and on the page.
        let moved = json!({ "base_url": ELSEWHERE });
        let (status, text) = put("/clients/2151", Method::PATCH, moved.clone()).await?;
        assert!(status == 422 && text.contains("urn:atlas:error-credential-elsewhere"), "{status} {text}");
        let answer = browser.post("/clientes/2151", &format!("base_url={ELSEWHERE}")).await?;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        // An API's own.
        let own = json!({ "base_url": "https://own.example/api", "partes": { "token": "segredo-proprio" } });
        assert_eq!(put("/clients/2151/apis/outra", Method::PUT, own).await?.0, 200);
        let (status, text) = put("/clients/2151/apis/outra", Method::PUT, moved.clone()).await?;
        assert!(status == 422 && text.contains("urn:atlas:error-credential-elsewhere"), "{status} {text}");
        let form = format!("api=outra&base_url={ELSEWHERE}");
        assert_eq!(browser.post("/clientes/2151/api", &form).await?.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            atlas
                .database
                .number(&format!("SELECT COUNT(*) FROM clientes_apis WHERE base_url = '{ELSEWHERE}'"))
                .await?,
            0
        );
        // Where it is, it stays, and so does what is stored.
        let same = json!({ "base_url": "https://own.example/api" });
        assert_eq!(put("/clients/2151/apis/outra", Method::PUT, same).await?.0, 200);
        let form = "api=outra&base_url=https%3A%2F%2Fown.example%2Fapi";
        assert_eq!(browser.post("/clientes/2151/api", form).await?.status(), StatusCode::SEE_OTHER);
        let kept = atlas.run(&["client", "credential", "show", "2151", "--output", "json"]).await?.expect(0)?;
        assert!(kept.stdout.contains(r#""partes":["token"]"#), "{}", kept.stdout);
        // Who gives it anew may say where.
        let anew = json!({ "base_url": ELSEWHERE, "partes": { "token": "outro" } });
        assert_eq!(put("/clients/2151/apis/outra", Method::PUT, anew).await?.0, 200);
        assert_eq!(
            put("/clients/2151", Method::PATCH, json!({ "base_url": ELSEWHERE, "token": "novo" })).await?.0,
            200
        );
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn parts_that_are_none_are_refused_as_the_command_line_refuses_them() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let server = Server::start(&atlas, &[]).await?;
    let program = server.program(&atlas, true).await?;
    let many: serde_json::Map<_, _> = (0..17).map(|n| (format!("p{n}"), "x".into())).collect();
    let wrong = [
        ("error-parts-name", json!({ "Nome errado": "x" })),
        ("error-parts-value", json!({ "token": " " })),
        ("error-parts-value", json!({ "token": "x".repeat(17 * 1024) })),
        ("error-parts-count", Value::Object(many)),
    ];
    for (key, parts) in wrong {
        let body = json!({ "base_url": "https://own.example/api", "partes": parts });
        let answer = program.send(Method::PUT, "/clients/2151/apis/outra", &body).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        assert!(status == 422 && text.contains(key), "{status} {text}");
    }
    server.stop().await.map(drop)
}

#[tokio::test]
async fn of_two_who_cancel_at_once_both_are_told_that_it_is() -> anyhow::Result<()> {
    let api = api(600, Faults { latency_ms: 100, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &[]).await?;
        let (program, browser) = (server.program(&atlas, true).await?, server.browser().await?);
        let id = program.create(CLIENT, json!({ "tamanho_pagina": 10 })).await?;
        program.until(id, "executando").await?;
        let (path, api_path) = (format!("/scraps/{id}/cancelar"), format!("/scraps/{id}/cancel"));
        let (one, other) = tokio::join!(browser.post(&path, ""), async {
            program.send(Method::POST, &api_path, &Value::Null).send().await
        });
        assert_eq!((one?.status(), other?.status()), (StatusCode::SEE_OTHER, StatusCode::OK));
        program.until(id, "cancelado").await?;
        server.stop().await?;
    }
    Ok(())
}
