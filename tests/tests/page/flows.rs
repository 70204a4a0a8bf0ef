//! What people come to the page to do, each thing from its beginning to its end.

use anyhow::Context;
use atlas_tests::browser::Screen;
use atlas_tests::{Atlas, FROM, FaultKind, Faults, Malformed, TO, api};
use serde_json::json;

use crate::visit::{CLIENT, Visit, readers, serve};

const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";
/// What a source could send to whoever looks: a tag that would run, and a mark that turns the rest
/// of the line around.
const HOSTILE: &str = "<img src=x onerror=window.broken=1><b>alto</b>\u{202e}odaruges";

/// From nothing to fifteen thousand records, told what to do first, and without loading the page
/// that is watched anew.
async fn main_job(atlas: Atlas, screen: Screen, lang: &'static str) -> anyhow::Result<()> {
    let api = api(3_000, Faults { latency_ms: 10, ..Faults::default() }).await?;
    let visit = Visit::at(atlas, api, screen, lang).await?;
    visit.expect_sound().await?;
    visit.reads("main", "Primeiro, cadastre um cliente", "First, register a client").await?;
    visit.press("Novo cliente", "New client").await?;
    visit.browser.fill("#cliente", "2152").await?;
    visit.browser.fill("#token", "outro-segredo").await?;
    visit.browser.fill("#base_url", "https://api.example.com").await?;
    visit.press("Salvar", "Save").await?;
    visit.reads("[role=status].alert", "Salvo.", "Saved.").await?;
    let source = visit.browser.run("return document.documentElement.outerHTML", json!([])).await?;
    assert!(!source.to_string().contains("outro-segredo"));
    // What is on this machine is granted here alone, so not by the page.
    visit.atlas.register(CLIENT, &visit.api).await?;
    visit.go("/scraps").await?;
    visit.reads("main", "Tudo pronto para o primeiro scrap", "All is ready for the first scrap").await?;
    visit.press("Criar Scrap", "New scrap").await?;
    visit.fill_in().await?;
    visit.press("Ver a primeira requisição", "See the first request").await?;
    visit.reads(".preview", "Nada foi enviado", "Nothing was sent").await?;
    visit.browser.until_it_reads(".preview", "/pedido").await?;
    visit.expect_sound().await?;
    assert_eq!(visit.value("#de").await?, FROM);
    visit.press("Criar e executar", "Create and run").await?;
    visit.browser.until_it_reads("h1", "Scrap 1").await?;
    visit.mark().await?;
    visit.until_live().await?;
    visit.reads("#live", "ao vivo", "live").await?;
    visit.until_state("concluido").await?;
    visit.reads(".badge", "concluído", "done").await?;
    visit.reads(".verdict", "✓ confere", "✓ it adds up").await?;
    visit.reads(".sums [data-f=total_declarado]", "15.000", "15,000").await?;
    visit.reads(".numbers [data-f=lidos]", "15.000", "15,000").await?;
    visit.reads("#log", "O scrap 1 foi concluído", "Scrap 1 is done").await?;
    assert!(visit.is_marked().await?);
    visit.expect_sound().await?;
    visit.go("/scraps").await?;
    visit.reads("tr[data-scrap='1']", "15.000", "15,000").await
}

#[tokio::test]
async fn somebody_new_comes_to_a_whole_scrap_at_a_desk() -> anyhow::Result<()> {
    main_job(Atlas::on_sqlite()?, Screen::Desk, "pt-BR").await?;
    main_job(Atlas::on_postgres().await?, Screen::Desk, "en").await
}

#[tokio::test]
async fn somebody_new_comes_to_a_whole_scrap_on_a_telephone() -> anyhow::Result<()> {
    main_job(Atlas::on_postgres().await?, Screen::Phone, "pt-BR").await?;
    main_job(Atlas::on_sqlite()?, Screen::Phone, "en").await
}

#[tokio::test]
async fn a_scrap_is_paused_resumed_and_cancelled_once_it_was_asked_whether_this_one() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::registered(screen, lang, 10_000, Faults { latency_ms: 800, ..Faults::default() }).await?;
        visit.create().await?;
        visit.until_live().await?;
        visit.mark().await?;
        visit.until_state("executando").await?;
        visit.browser.until("return document.querySelectorAll('#log li').length > 0", json!([])).await?;
        // Its pages appear while one looks.
        let written = "return document.querySelectorAll('.strip [data-k=gravada]').length > 0";
        visit.browser.until(written, json!([])).await?;
        assert!(visit.is_marked().await?);
        visit.press("Pausar", "Pause").await?;
        visit.until_state("pausado").await?;
        visit.expect_sound().await?;
        visit.press("Retomar", "Resume").await?;
        visit.until_state("executando").await?;
        visit.press("Cancelar", "Cancel").await?;
        visit
            .reads("main .ask", "O scrap 1 (cliente 2151, rota pedido)", "Scrap 1 (client 2151, route pedido)")
            .await?;
        visit.expect_sound().await?;
        visit.press("Deixar como está", "Leave it as it is").await?;
        visit.until_state("executando").await?;
        visit.press("Cancelar", "Cancel").await?;
        visit.press("Cancelar o scrap 1", "Cancel scrap 1").await?;
        visit.until_state("cancelado").await?;
        visit.reads(".badge", "cancelado", "cancelled").await?;
        visit.expect_sound().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_was_rejected_is_shown_as_it_came_and_replayed() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let rejected = format!(r#"{{"a":"{HOSTILE}\u0000"}}"#);
        let malformed = vec![Malformed::new(3, rejected), Malformed::new(5, "{'a':1}")];
        let faults = Faults { malformed, no_total: true, ..Faults::default() };
        let visit = Visit::registered(screen, lang, 20, faults).await?;
        visit.create().await?;
        visit.until_state("concluido_com_ressalva").await?;
        visit.press("Ver 2 rejeitados", "See 2 rejected").await?;
        visit.expect_sound().await?;
        expect_shown_as_text(&visit, "article pre").await?;
        visit.press("Reprocessar", "Replay").await?;
        visit.reads("[role=status].alert", "Nada entrou na tabela", "Nothing went into the table").await?;
        visit.press("Reprocessar todos", "Replay all").await?;
        visit.reads("[role=status].alert", "Nada entrou na tabela", "Nothing went into the table").await?;
        visit.expect_sound().await?;
    }
    Ok(())
}

/// What a source sent is text: its tags are none, and nothing turns a line around.
async fn expect_shown_as_text(visit: &Visit, selector: &str) -> anyhow::Result<()> {
    visit.browser.until_it_reads(selector, "<b>alto</b>").await?;
    let shown = visit.browser.text(selector).await?;
    anyhow::ensure!(shown.contains(r"\u{202e}odaruges") && !shown.contains('\u{202e}'), "{selector}: {shown}");
    let broken = "return window.broken === 1 || document.querySelector('main b img, main img') !== null";
    anyhow::ensure!(visit.browser.run(broken, json!([])).await? == json!(false), "it is no text");
    Ok(())
}

#[tokio::test]
async fn records_are_verified_searched_and_read_as_text_whatever_they_hold() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let malformed = vec![Malformed::new(99, format!(r#"{{"alvo":"{HOSTILE}"}}"#))];
        let visit =
            Visit::registered(screen, lang, 20, Faults { malformed, no_total: true, ..Faults::default() }).await?;
        visit.create().await?;
        visit.until_state("concluido").await?;
        visit.go("/dados").await?;
        visit.reads("main", "nenhum repetido", "none twice").await?;
        visit.browser.until_it_reads("table", "101").await?;
        visit.browser.until_it_reads("table", "0 ✓").await?;
        expect_shown_as_text(&visit, "td.text").await?;
        visit.press("Procurar e exportar registros", "Search and export records").await?;
        visit.expect_sound().await?;
        visit.browser.fill("[name=caminho]", "$.alvo").await?;
        visit.press("Procurar", "Search").await?;
        visit.reads("main", "101 registros examinados", "101 records looked at").await?;
        expect_shown_as_text(&visit, "td.text").await?;
        visit.expect_sound().await?;
        assert_eq!(visit.browser.run("return document.querySelectorAll('tbody tr').length", json!([])).await?, 1);
        visit.browser.press_first("tbody a").await?;
        visit.reads("h1", "Registro ", "Record ").await?;
        expect_shown_as_text(&visit, "pre").await?;
        visit.go("/dados/registros?caminho=%24.itens%5B").await?;
        visit.reads("[role=alert]", "não é um caminho JSON", "is no JSON path").await?;
        assert_eq!(visit.value("[name=caminho]").await?, "$.itens[");
    }
    Ok(())
}

/// Rows of a client: one that is looked for, two that are too large for it, and so many after them.
async fn rows_to_search(atlas: &Atlas, rows: u32) -> anyhow::Result<()> {
    let (series, large) = match atlas.database.is_postgres() {
        true => (
            format!("generate_series(1, {rows}) AS nth(n)"),
            "jsonb_build_object('alvo', 1, 'x', repeat('a', 3000000))",
        ),
        false => (
            format!(
                "(WITH RECURSIVE nth(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM nth WHERE n < {rows}) SELECT n FROM nth)"
            ),
            "json_object('alvo', 1, 'x', hex(zeroblob(1500000)))",
        ),
    };
    let insert = |what: &str| {
        format!("INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) SELECT {CLIENT}, 'pedido', {what}")
    };
    for statement in [
        format!("INSERT INTO clientes_tokens (cliente_id, token) VALUES ({CLIENT}, 't')"),
        insert("'{\"alvo\":7}', 'a'"),
        insert(&format!("{large}, 'b'")),
        insert(&format!("{large}, 'c'")),
        insert(&format!("'{{\"n\":1}}', 'n-' || n FROM {series}")),
    ] {
        atlas.database.execute(&statement).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_search_goes_on_by_itself_to_the_end_and_says_how_far_it_came() -> anyhow::Result<()> {
    let readers = [(Atlas::on_sqlite()?, "pt-BR", Screen::Phone), (Atlas::on_postgres().await?, "en", Screen::Desk)];
    for (atlas, lang, screen) in readers {
        let visit = Visit::at(atlas, api(1, Faults::default()).await?, screen, lang).await?;
        // More than one question reads.
        rows_to_search(&visit.atlas, 20_500).await?;
        visit.go("/dados/registros?cliente=2151&caminho=alvo").await?;
        let status = "#busca [role=status]";
        visit.reads(status, "20.503 registros examinados.", "20,503 records looked at.").await?;
        visit.reads(status, "2 passam de", "2 have more than").await?;
        visit.reads(status, "Não há mais nenhum.", "No more are left.").await?;
        let found = "return document.querySelectorAll('#achados tbody tr').length";
        assert_eq!(visit.browser.run(found, json!([])).await?, 1);
        // Nothing is left that would lead further.
        visit.browser.until("return !document.querySelector('#busca nav')", json!([])).await?;
        visit.expect_sound().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_and_a_connector_are_tried_without_storing_anything() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let malformed = vec![Malformed::new(0, format!(r#"{{"alvo":"{HOSTILE}"}}"#))];
        let visit =
            Visit::registered(screen, lang, 20, Faults { malformed, no_total: true, ..Faults::default() }).await?;
        for (page, pt, en) in [("/clientes/2151", "Testar", "Test"), ("/conectores/pedido", "Testar", "Try")] {
            visit.go(page).await?;
            if page.starts_with("/conectores") {
                visit.browser.fill("#cliente", "2151").await?;
            } else {
                visit.browser.fill("#rota", "pedido").await?;
            }
            visit.browser.fill("#de", FROM).await?;
            visit.browser.fill("#ate", TO).await?;
            visit.press(pt, en).await?;
            visit.reads(".preview", "ada foi gravado", "othing was stored").await?;
            visit.expect_sound().await?;
            visit.browser.press_first(".preview summary").await?;
            let shown = visit.browser.text(".preview").await?;
            anyhow::ensure!(shown.contains("<b>alto</b>") && !shown.contains('\u{202e}'), "{shown}");
        }
        assert_eq!(visit.atlas.database.number("SELECT COUNT(*) FROM dados_raw").await?, 0);
        // A source that refuses the token is told as that.
        let refuses = Faults { fail_page: Some(1), fail_with: FaultKind::Unauthorized, ..Faults::default() };
        visit.api.set_faults(refuses)?;
        visit.go("/clientes/2151").await?;
        visit.browser.fill("#rota", "pedido").await?;
        visit.browser.fill("#de", FROM).await?;
        visit.browser.fill("#ate", TO).await?;
        visit.press("Testar", "Test").await?;
        visit.reads("[role=alert]", "token", "token").await?;
        visit.expect_sound().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_schedule_is_added_paused_resumed_and_removed() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::registered(screen, lang, 20, Faults::default()).await?;
        visit.go("/agenda").await?;
        visit.reads("main", "Nenhuma agenda ainda", "No schedule yet").await?;
        visit.press("Nova agenda", "New schedule").await?;
        visit.expect_sound().await?;
        visit.browser.fill("#cliente", "2151").await?;
        visit.browser.fill("#rota", "pedido").await?;
        visit.browser.fill("#janela", "2d").await?;
        visit.browser.fill("#cron", "de vez em quando").await?;
        visit.press("Salvar", "Save").await?;
        visit.browser.until_it_reads("[role=alert]", "de vez em quando").await?;
        assert_eq!(visit.value("#janela").await?, "2d");
        visit.browser.fill("#cron", "0 3 1 1 *").await?;
        visit.press("Salvar", "Save").await?;
        visit.reads("tbody .badge", "ativa", "active").await?;
        visit.expect_sound().await?;
        visit.press("Pausar", "Pause").await?;
        visit.reads("tbody .badge", "pausada", "paused").await?;
        visit.press("Retomar", "Resume").await?;
        visit.reads("tbody .badge", "ativa", "active").await?;
        visit.press("Remover", "Remove").await?;
        visit.reads(".ask", "A agenda 1", "Schedule 1").await?;
        visit.press("Remover a agenda 1", "Remove schedule 1").await?;
        visit.reads("main", "Nenhuma agenda ainda", "No schedule yet").await?;
        visit.go("/saude").await?;
        visit.reads(".findings", "Clientes registrados: 1", "Clients registered: 1").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_link_signs_in_once_and_a_password_as_often_as_one_likes() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::begin(screen, lang, 20, Faults::default()).await?;
        let made = visit.atlas.run(&["access", "link"]).await?.expect(0)?.stdout;
        let secret = made.split("chave=").nth(1).or_else(|| made.lines().last()).context("no link")?;
        let link = format!("{}/entrar?chave={}", visit.address, secret.trim());
        visit.leave().await?;
        visit.reads("main", "Ainda não há senha", "There is no password yet").await?;
        visit.expect_sound().await?;
        visit.enter(&link).await?;
        visit.leave().await?;
        visit.browser.go(&link).await?;
        visit.reads("[role=alert]", "Este link já foi usado ou venceu", "this link was used or has expired").await?;
        let again = visit.atlas.run(&["access", "link"]).await?.expect(0)?.stdout;
        let secret = again.split("chave=").nth(1).or_else(|| again.lines().last()).context("no link")?;
        visit.enter(&format!("{}/entrar?chave={}", visit.address, secret.trim())).await?;
        // A token, shown once.
        visit.go("/acessos").await?;
        visit.browser.fill("#nome", "painel <b>").await?;
        visit.press("Criar token", "Make a token").await?;
        visit.reads("[role=status].alert", "não é mostrado de novo", "it is not shown again").await?;
        let token = visit.browser.text("#segredo").await?;
        assert!(token.len() > 20);
        visit.expect_sound().await?;
        visit.go("/acessos").await?;
        visit.browser.until_it_reads("tbody", "painel <b>").await?;
        assert!(!visit.browser.text("body").await?.contains(&token));
        visit.press("Revogar", "Revoke").await?;
        visit.browser.until_it_reads(".ask", "painel <b>").await?;
        visit.press("Revogar o token", "Revoke the token").await?;
        visit.browser.until("return document.querySelector('tbody') === null", json!([])).await?;
        // A password ends this session with the others.
        visit.browser.fill("#senha", "uma senha bem comprida").await?;
        visit.browser.fill("#de_novo", "uma senha bem comprida").await?;
        visit.press("Salvar", "Save").await?;
        visit.until_at("/entrar").await?;
        visit.browser.fill("#senha", "uma senha bem errada").await?;
        visit.press("Entrar", "Sign in").await?;
        visit.reads("[role=alert]", "A senha não confere", "that is not the password").await?;
        visit.browser.fill("#senha", "uma senha bem comprida").await?;
        visit.press("Entrar", "Sign in").await?;
        visit.until_at("/scraps").await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_was_typed_comes_back_after_a_session_that_ended_meanwhile() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::registered(screen, lang, 20, Faults::default()).await?;
        visit.go("/acessos").await?;
        visit.browser.fill("#senha", "uma senha bem comprida").await?;
        visit.browser.fill("#de_novo", "uma senha bem comprida").await?;
        visit.press("Salvar", "Save").await?;
        visit.until_at("/entrar").await?;
        visit.browser.fill("#senha", "uma senha bem comprida").await?;
        visit.press("Entrar", "Sign in").await?;
        visit.until_at("/scraps").await?;
        visit.fill_in().await?;
        visit.browser.fill("#fatia", "1d").await?;
        visit.browser.forget("atlas_sessao").await?;
        visit.press("Criar e executar", "Create and run").await?;
        visit.reads("[role=alert]", "A sessão terminou", "the session is over").await?;
        visit.expect_sound().await?;
        visit.browser.fill("#senha", "uma senha bem comprida").await?;
        visit.press("Entrar", "Sign in").await?;
        visit.until_at("/scraps/novo").await?;
        visit.reads("main", "nada foi feito", "nothing was done").await?;
        for (field, typed) in [("#cliente", "2151"), ("#rota", "pedido"), ("#de", FROM), ("#ate", TO), ("#fatia", "1d")]
        {
            assert_eq!(visit.value(field).await?, typed, "{field}");
        }
        visit.press("Criar e executar", "Create and run").await?;
        visit.browser.until_it_reads("h1", "Scrap 1").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_is_open_goes_on_by_itself_after_the_server_was_killed() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let mut atlas = Atlas::on_sqlite()?;
        atlas.set("ATLAS_LEASE", "2");
        let api = api(1_000, Faults { latency_ms: 100, ..Faults::default() }).await?;
        atlas.register(CLIENT, &api).await?;
        let mut visit = Visit::at(atlas, api, screen, lang).await?;
        visit.create().await?;
        visit.until_live().await?;
        visit.until_state("executando").await?;
        visit.server.signal("KILL").await?;
        visit.browser.until("return document.getElementById('live').dataset.state === 'off'", json!([])).await?;
        visit.reads("#live", "sem conexão ao vivo", "not live").await?;
        let listen = visit.address.trim_start_matches("http://").to_owned();
        let (server, _, _) = serve(&visit.atlas, &listen).await?;
        std::mem::replace(&mut visit.server, server).finish().await?;
        visit.until_live().await?;
        visit.until_state("concluido").await?;
        visit.reads(".sums [data-f=lidos]", "5.000", "5,000").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_scrap_is_created_with_the_keyboard_alone() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::registered(screen, lang, 20, Faults::default()).await?;
        visit.go("/scraps").await?;
        // The first thing that is reached leads past the menu.
        visit.browser.keys(TAB).await?;
        reached(&visit, "a.skip").await?;
        visit.browser.keys(ENTER).await?;
        tab_to(&visit, "a[href='/scraps/novo']").await?;
        visit.browser.keys(ENTER).await?;
        visit.until_at("/scraps/novo").await?;
        tab_to(&visit, "#cliente").await?;
        visit.browser.keys("2151").await?;
        tab_to(&visit, "#rota").await?;
        visit.browser.keys("ped").await?;
        assert_eq!(visit.value("#rota").await?, "pedido");
        // Days are typed as the system writes them; here they are only reached.
        for (field, day) in [("#de", FROM), ("#ate", TO)] {
            tab_to(&visit, field).await?;
            visit.browser.fill(field, day).await?;
        }
        tab_to(&visit, "button[value=criar_executar]").await?;
        visit.browser.keys(ENTER).await?;
        visit.browser.until_it_reads("h1", "Scrap 1").await?;
        visit.until_state("concluido").await?;
    }
    Ok(())
}

async fn reached(visit: &Visit, selector: &str) -> anyhow::Result<()> {
    let script = "const e = document.activeElement; return e.matches(arguments[0]) && e.matches(':focus-visible') && \
                  getComputedStyle(e).outlineStyle !== 'none'";
    visit.browser.until(script, json!([selector])).await
}

/// Presses Tab until the focus is there, where it can be seen.
async fn tab_to(visit: &Visit, selector: &str) -> anyhow::Result<()> {
    for _ in 0..60 {
        let there = "return document.activeElement.matches(arguments[0])";
        if visit.browser.run(there, json!([selector])).await? == json!(true) {
            return reached(visit, selector).await;
        }
        visit.browser.keys(TAB).await?;
    }
    anyhow::bail!("no Tab leads to {selector}")
}
