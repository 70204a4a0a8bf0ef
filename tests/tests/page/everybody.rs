//! Every page, for every reader: with axe-core, in both colours, and as pictures to look at.

use std::path::PathBuf;

use anyhow::Context;
use atlas_tests::browser::Screen;
use atlas_tests::{FROM, Faults, Malformed, TO, programs};
use serde_json::{Value, json};

use crate::visit::{CLIENT, Visit};

/// Where pictures of the pages are left.
fn pictures() -> anyhow::Result<PathBuf> {
    let folder = programs()?.parent().context("target folder")?.join("page-screenshots");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// All pages there are, and what their pictures are called.
const PAGES: [(&str, &str); 22] = [
    ("/scraps", "scraps"),
    ("/scraps/novo", "scrap-novo"),
    ("/scraps/1", "scrap"),
    ("/scraps/1/paginas", "scrap-paginas"),
    ("/scraps/1/rejeitados", "scrap-rejeitados"),
    ("/scraps/2/cancelar", "scrap-cancelar"),
    ("/clientes", "clientes"),
    ("/clientes/novo", "cliente-novo"),
    ("/clientes/2151", "cliente"),
    ("/clientes/2151/api?api=jueri", "cliente-api"),
    ("/clientes/2151/remover", "cliente-remover"),
    ("/conectores", "conectores"),
    ("/conectores/pedido", "conector"),
    ("/dados", "dados"),
    ("/dados/registros", "registros"),
    ("/dados/registros/1", "registro"),
    ("/agenda", "agenda"),
    ("/agenda/novo", "agenda-nova"),
    ("/saude", "saude"),
    ("/acessos", "acessos"),
    ("/scraps/999", "falha"),
    ("/nada", "desconhecido"),
];

/// Looks at all pages in both colours, with axe-core.
async fn every_page(screen: Screen) -> anyhow::Result<()> {
    let axe = std::env::var_os("ATLAS_AXE").map(PathBuf::from);
    let axe = axe.map_or_else(
        || Ok(programs()?.parent().context("target folder")?.join("tools/axe/node_modules/axe-core/axe.min.js")),
        anyhow::Ok,
    )?;
    let axe = std::fs::read_to_string(axe).context("axe-core: cargo xtask test fetches it")?;
    let malformed = vec![Malformed::new(3, "{'a':1}"), Malformed::new(4, r#"{"a":"\u0000"}"#)];
    let visit = Visit::registered(screen, "pt-BR", 400, Faults { malformed, ..Faults::default() }).await?;
    visit.create().await?;
    visit.until_state("concluido_com_ressalva").await?;
    let client = CLIENT.to_string();
    let more = ["--client", &client, "--route", "pedido", "--from", FROM, "--to", TO];
    visit.atlas.run(&[&["scrap", "create"], &more[..]].concat()).await?.expect(0)?;
    let schedule =
        ["schedule", "add", "--client", &client, "--route", "pedido", "--cron", "0 */6 * * *", "--window", "2d"];
    visit.atlas.run(&schedule).await?.expect(0)?;
    visit.go("/acessos").await?;
    visit.browser.fill("#nome", "painel").await?;
    visit.press("Criar token", "Make a token").await?;
    let mut violations = Vec::new();
    for (lang, colours) in [("pt-BR", "claro"), ("en", "escuro"), ("pt-BR", "escuro"), ("en", "claro")] {
        visit.browser.keep("atlas_lang", lang).await?;
        visit.browser.keep("atlas_tema", colours).await?;
        // Colours do not depend on the language.
        let looks =
            Looks { is_judged: lang == "pt-BR", is_pictured: (lang == "pt-BR") == (colours == "claro"), axe: &axe };
        if !looks.is_judged && !looks.is_pictured {
            continue;
        }
        let api_docs = ("/api/v1/docs", "api");
        for (path, name) in PAGES.into_iter().chain([api_docs]) {
            visit.go(path).await?;
            violations.extend(looks.at(&visit, name, lang, colours).await?);
        }
        // What answers show.
        visit.fill_in().await?;
        visit.browser.press_first("button[value=previa]").await?;
        visit.browser.until_it_reads(".preview", "/pedido").await?;
        violations.extend(looks.at(&visit, "scrap-previa", lang, colours).await?);
        visit.browser.fill("#ate", "2025-01-01").await?;
        visit.browser.press_first("button[value=previa]").await?;
        visit.browser.until_it_reads("[role=alert]", "2025-01-01").await?;
        violations.extend(looks.at(&visit, "scrap-novo-erro", lang, colours).await?);
        visit.go("/conectores/pedido").await?;
        visit.browser.fill("#cliente", &client).await?;
        visit.browser.fill("#de", FROM).await?;
        visit.browser.fill("#ate", TO).await?;
        visit.browser.press_first("form[action$=provar] button[type=submit]").await?;
        visit.browser.until("return document.querySelector('.preview') !== null", json!([])).await?;
        violations.extend(looks.at(&visit, "conector-provado", lang, colours).await?);
    }
    visit.browser.forget("atlas_sessao").await?;
    for colours in ["claro", "escuro"] {
        visit.browser.keep("atlas_lang", "pt-BR").await?;
        visit.browser.keep("atlas_tema", colours).await?;
        let looks = Looks { is_judged: true, is_pictured: colours == "claro", axe: &axe };
        for (path, name) in [("/entrar", "entrar"), ("/entrar?chave=nenhuma", "entrar-link")] {
            visit.go(path).await?;
            violations.extend(looks.at(&visit, name, "pt-BR", colours).await?);
        }
    }
    anyhow::ensure!(violations.is_empty(), "axe-core:\n{}", violations.join("\n"));
    Ok(())
}

/// What is done with a page that is looked at.
struct Looks<'a> {
    is_judged: bool,
    is_pictured: bool,
    axe: &'a str,
}

impl Looks<'_> {
    /// Keeps a picture of the page, and gives what axe-core finds wrong with it.
    async fn at(&self, visit: &Visit, name: &str, lang: &str, colours: &str) -> anyhow::Result<Vec<String>> {
        visit.expect_sound().await?;
        if self.is_pictured {
            let (width, _) = visit.screen.size();
            visit.browser.picture(&pictures()?.join(format!("{name}-{lang}-{width}.png"))).await?;
        }
        if !self.is_judged {
            return Ok(Vec::new());
        }
        let found = judged(visit, self.axe).await?;
        Ok(found.into_iter().map(|what| format!("{name} {colours}: {what}")).collect())
    }
}

async fn judged(visit: &Visit, axe: &str) -> anyhow::Result<Vec<String>> {
    visit.browser.run(&format!("{axe}; window.axe = axe ?? window.axe;"), json!([])).await?;
    let script = "const found = await window.axe.run(document, { resultTypes: ['violations'], \
                  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }); return found.violations.map((v) => \
                  `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + ' ' + n.failureSummary).join(' | ')}`)";
    let found = visit.browser.run_async(script, json!([])).await?;
    let found = found.as_array().context("axe-core gave no list")?.iter();
    Ok(found.filter_map(Value::as_str).map(str::to_owned).collect())
}

#[tokio::test]
async fn every_page_can_be_used_by_everybody_at_a_desk() -> anyhow::Result<()> {
    every_page(Screen::Desk).await
}

#[tokio::test]
async fn every_page_can_be_used_by_everybody_on_a_telephone() -> anyhow::Result<()> {
    every_page(Screen::Phone).await
}

/// How far a table goes beyond its place, the height of its highest row, how many rows it has, and
/// how much of what can be done is not to be seen.
const MEASURES: &str = "const place = document.querySelector('.scroll'); \
    const heights = [...document.querySelectorAll('tbody tr')].map((row) => row.getBoundingClientRect().height); \
    const hidden = [...document.querySelectorAll('td.actions :is(button, .button)')].filter((one) => { \
      const at = one.getBoundingClientRect(); return at.left < 0 || at.right > innerWidth; }); \
    return [place.scrollWidth - place.clientWidth, Math.max(...heights), heights.length, hidden.length]";

#[tokio::test]
async fn a_list_of_scraps_shows_all_of_each_beside_what_can_be_done() -> anyhow::Result<()> {
    let scraps = [
        ("pedido", "2025-01-01", "2025-12-31", "concluido", 11_040),
        ("financeiro", "2024-11-20", "2025-10-24", "concluido_com_ressalva", 1_234_567),
        ("pedido", "2025-10-20", "2025-10-24", "token_recusado", 0),
        ("venda", "2025-10-20", "2025-10-20", "suspenso", 987_654),
        ("pedido", "2025-02-01", "2025-10-24", "interrompido", 43_800),
        ("pedido", "2025-10-20", "2025-10-24", "falhou", 600),
        ("pedido", "2025-10-20", "2025-10-24", "cancelado", 600),
    ];
    for (lang, screen) in [("pt-BR", Screen::Laptop), ("en", Screen::Laptop), ("pt-BR", Screen::Desk)] {
        let visit = Visit::registered(screen, lang, 1, Faults::default()).await?;
        for (route, from, to, state, read) in scraps {
            let insert = format!(
                "INSERT INTO scraps \
                 (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina, estado, lidos, inseridos) \
                 VALUES ({CLIENT}, '{route}', '{from}', '{to}', 0, '{state}', {read}, {read})"
            );
            visit.atlas.database.execute(&insert).await?;
        }
        visit.go("/scraps").await?;
        let picture = format!("scraps-estados-{lang}-{}.png", screen.size().0);
        visit.browser.picture(&pictures()?.join(picture)).await?;
        let found = visit.browser.run(MEASURES, json!([])).await?;
        let numbers: Vec<f64> = found.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let [beyond, highest, rows, hidden] = numbers[..] else { anyhow::bail!("{found}") };
        assert_eq!((rows, beyond, hidden), (7.0, 0.0, 0.0), "{lang}, {screen:?}: {found}");
        // Two lines of a state, at most.
        assert!(highest <= 56.0, "{lang}, {screen:?}: {found}");
    }
    Ok(())
}
