//! What people and sources give that cannot be right: it is explained where they are, and nothing
//! that was typed is lost.

use anyhow::Context;
use atlas_tests::browser::Browser;
use atlas_tests::{FROM, Faults, Malformed, TO};
use serde_json::json;

use crate::visit::{CLIENT, Visit, readers};

#[tokio::test]
async fn days_that_cannot_be_are_explained_beside_what_was_typed() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::registered(screen, lang, 20, Faults::default()).await?;
        visit.fill_in().await?;
        visit.browser.fill("#de", TO).await?;
        visit.browser.fill("#ate", FROM).await?;
        visit.press("Criar e executar", "Create and run").await?;
        visit.reads("[role=alert]", "Período invertido", "turned round").await?;
        visit.reads("[role=alert]", "De é o primeiro dia", "From is the first day").await?;
        visit.expect_sound().await?;
        assert_eq!(visit.value("#de").await?, TO);
        // A browser without a calendar lets everything be typed.
        let typed = "for (const id of ['de', 'ate']) { const input = document.getElementById(id); input.type = 'text'; input.value = '2025-02-30'; }";
        visit.browser.run(typed, json!([])).await?;
        visit.press("Ver a primeira requisição", "See the first request").await?;
        visit.browser.until_it_reads("[role=alert]", "2025-02-30").await?;
        visit.expect_sound().await?;
        assert_eq!(visit.value("#cliente").await?, CLIENT.to_string());
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_gone_meanwhile_is_named_with_where_to_register_it() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::registered(screen, lang, 20, Faults::default()).await?;
        visit.fill_in().await?;
        visit.atlas.run(&["client", "remove", &CLIENT.to_string()]).await?.expect(0)?;
        visit.press("Criar e executar", "Create and run").await?;
        // In the words of the users' document.
        visit
            .reads("[role=alert]", "ERRO (executar_scrap): Token não encontrado para o cliente 2151", "client 2151")
            .await?;
        visit.expect_sound().await?;
        assert_eq!(visit.value("#de").await?, FROM);
        visit.press("Novo cliente", "New client").await?;
        visit.until_at("/clientes/novo").await?;
        assert_eq!(visit.value("#cliente").await?, CLIENT.to_string());
    }
    Ok(())
}

#[tokio::test]
async fn two_people_cancel_the_same_scrap_and_both_see_what_became_of_it() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::registered(screen, lang, 10_000, Faults { latency_ms: 800, ..Faults::default() }).await?;
        visit.create().await?;
        visit.until_state("executando").await?;
        let made = visit.atlas.run(&["access", "link"]).await?.expect(0)?.stdout;
        let secret = made.split("chave=").nth(1).or_else(|| made.lines().last()).context("no link")?;
        let other = Browser::open(screen).await?;
        other.go(&format!("{}/entrar?chave={}", visit.address, secret.trim())).await?;
        other.until("return location.pathname === '/scraps'", json!([])).await?;
        other.keep("atlas_lang", lang).await?;
        visit.go("/scraps/1/cancelar").await?;
        other.go(&format!("{}/scraps/1/cancelar", visit.address)).await?;
        let doing = visit.say("Cancelar o scrap 1", "Cancel scrap 1");
        let (one, two) = tokio::join!(visit.browser.press(doing), other.press(doing));
        one.and(two)?;
        visit.until_state("cancelado").await?;
        other.until("return document.querySelector('#scrap')?.dataset.state === 'cancelado'", json!([])).await?;
        other.until_it_reads(".badge", visit.say("cancelado", "cancelled")).await?;
        // A visitor who comes later has the question open still, and reads that there is nothing to
        // cancel.
        visit.press("Retomar", "Resume").await?;
        visit.until_state("executando").await?;
        visit.expect_sound().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_connector_that_is_far_too_large_is_refused_with_its_reason() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::begin(screen, lang, 20, Faults::default()).await?;
        std::fs::File::create(visit.atlas.folder().join("connectors").join("<b>grande.wasm"))?.set_len(500 << 20)?;
        visit.go("/conectores").await?;
        let told =
            "return document.querySelector('main').textContent.includes('524288000') || (location.reload(), false)";
        visit.browser.until(told, json!([])).await?;
        visit.browser.until_it_reads("tbody", "<b>grande.wasm").await?;
        visit.expect_sound().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_record_of_ten_megabytes_is_shown_as_far_as_anybody_reads() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let record = format!(r#"{{"texto":"{}","valor":12345678901234567890.10}}"#, "á<i>".repeat(2_000_000));
        let characters = record.chars().count();
        let faults = Faults { malformed: vec![Malformed::new(99, record)], no_total: true, ..Faults::default() };
        let visit = Visit::registered(screen, lang, 20, faults).await?;
        visit.create().await?;
        visit.until_state("concluido").await?;
        let id = visit.atlas.database.number("SELECT id FROM dados_raw ORDER BY LENGTH(payload) DESC LIMIT 1").await?;
        visit.go(&format!("/dados/registros/{id}")).await?;
        visit.reads("main", "Mostrado até", "Shown up to").await?;
        visit.reads("main", "Baixar inteiro", "Download").await?;
        visit.browser.until_it_reads("pre", "á<i>á<i>").await?;
        visit.expect_sound().await?;
        // It is whole where it is asked for whole.
        let script = "const answer = await fetch(document.querySelector('a[download]').href); const text = await answer.text(); \
                      return [text.length, text.endsWith('\"valor\":12345678901234567890.10}')]";
        assert_eq!(visit.browser.run_async(script, json!([])).await?, json!([characters, true]));
    }
    Ok(())
}
