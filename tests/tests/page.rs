//! The page in a real browser, in both languages, as wide as a desk's and as narrow as a telephone's.
//!
//! `atlas serve` runs as its users run it. Whatever a test looks at has to fit its width, complain of nothing and ask no other host for
//! anything; pictures of all pages are left in `target/page-screenshots/`.

use std::path::PathBuf;

use anyhow::Context;
use atlas_tests::browser::{Browser, Screen};
use atlas_tests::{Atlas, FROM, FaultKind, Faults, LANGUAGES, Malformed, Running, SampleApi, TO, api, programs};
use serde_json::{Value, json};

const CLIENT: u32 = 2151;
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";
/// What a source could send to whoever looks: a tag that would run, and a mark that turns the rest of the line around.
const HOSTILE: &str = "<img src=x onerror=window.broken=1><b>alto</b>\u{202e}odaruges";

/// Somebody who is signed in.
struct Visit {
    atlas: Atlas,
    api: SampleApi,
    server: Running,
    browser: Browser,
    /// Where the server is.
    address: String,
    lang: &'static str,
    screen: Screen,
}

/// Starts a server; gives its address and its sign-in link.
async fn serve(atlas: &Atlas, listen: &str) -> anyhow::Result<(Running, String, String)> {
    let mut server = atlas.start(&["serve", "--listen", listen, "--output", "json"])?;
    let line = match server.first_line().await {
        Ok(line) => line,
        Err(error) => return Err(error.context(server.finish().await?.stderr)),
    };
    let said: Value = serde_json::from_str(&line)?;
    let text = |name: &str| anyhow::Ok(said[name].as_str().with_context(|| format!("no {name}: {line}"))?.to_owned());
    let (address, link) = (text("endereco")?, text("entrada")?);
    Ok((server, address, link))
}

impl Visit {
    /// Signs in at a server of its own, whose source has so many orders a day, and these faults.
    async fn begin(screen: Screen, lang: &'static str, per_day: u64, faults: Faults) -> anyhow::Result<Self> {
        let (atlas, api) = (Atlas::on_sqlite()?, api(per_day, faults).await?);
        Self::at(atlas, api, screen, lang).await
    }

    async fn at(mut atlas: Atlas, api: SampleApi, screen: Screen, lang: &'static str) -> anyhow::Result<Self> {
        atlas.own_connectors()?;
        let (server, address, link) = serve(&atlas, "127.0.0.1:0").await?;
        let browser = Browser::open(screen).await?;
        let visit = Self { atlas, api, server, browser, address, lang, screen };
        visit.enter(&link).await?;
        // The language that a reader chooses is kept.
        visit.browser.press_first(&format!(".preferences button[lang='{lang}']")).await?;
        visit.browser.until("return document.documentElement.lang === arguments[0]", json!([lang])).await?;
        Ok(visit)
    }

    /// The same, with the client registered.
    async fn registered(screen: Screen, lang: &'static str, per_day: u64, faults: Faults) -> anyhow::Result<Self> {
        let visit = Self::begin(screen, lang, per_day, faults).await?;
        visit.atlas.register(CLIENT, &visit.api).await?;
        Ok(visit)
    }

    async fn enter(&self, link: &str) -> anyhow::Result<()> {
        self.browser.go(link).await?;
        self.until_at("/scraps").await
    }

    /// Waits until the browser is at a page.
    async fn until_at(&self, path: &str) -> anyhow::Result<()> {
        let script = "return location.pathname === arguments[0] && document.readyState === 'complete'";
        self.browser.until(script, json!([path])).await
    }

    async fn leave(&self) -> anyhow::Result<()> {
        self.press("Sair", "Sign out").await?;
        self.until_at("/entrar").await
    }

    /// The words of the reader's language.
    fn say<'a>(&self, pt: &'a str, en: &'a str) -> &'a str {
        if self.lang == "en" { en } else { pt }
    }

    async fn press(&self, pt: &str, en: &str) -> anyhow::Result<()> {
        self.browser.press(self.say(pt, en)).await
    }

    async fn reads(&self, selector: &str, pt: &str, en: &str) -> anyhow::Result<()> {
        self.browser.until_it_reads(selector, self.say(pt, en)).await
    }

    async fn go(&self, path: &str) -> anyhow::Result<()> {
        self.browser.go(&format!("{}{path}", self.address)).await?;
        self.expect_sound().await
    }

    /// What holds of every page: it fits, complains of nothing, and has everything from here.
    async fn expect_sound(&self) -> anyhow::Result<()> {
        self.browser.until("return document.readyState === 'complete'", json!([])).await?;
        let script = "const root = document.documentElement; return { width: root.scrollWidth, foreign: performance.getEntriesByType('resource').filter((e) => \
                      !e.name.startsWith(location.origin + '/') || (e.responseStatus >= 400)).map((e) => e.name) }";
        let found = self.browser.run(script, json!([])).await?;
        let address = self.browser.address().await?;
        let width = found["width"].as_u64().context("no width")?;
        anyhow::ensure!(width <= self.screen.size().0.into(), "{address} is too wide: {found}");
        anyhow::ensure!(found["foreign"] == json!([]), "{address} asks elsewhere, or for what is not there: {found}");
        let complaints = self.browser.complaints().await?;
        anyhow::ensure!(complaints.is_empty(), "{address} complains: {complaints:?}");
        Ok(())
    }

    /// Fills in the form of a new scrap.
    async fn fill_in(&self) -> anyhow::Result<()> {
        self.go("/scraps/novo").await?;
        self.browser.fill("#cliente", &CLIENT.to_string()).await?;
        self.browser.fill("#rota", "pedido").await?;
        self.browser.fill("#de", FROM).await?;
        self.browser.fill("#ate", TO).await
    }

    async fn create(&self) -> anyhow::Result<()> {
        self.fill_in().await?;
        self.press("Criar e executar", "Create and run").await?;
        self.browser.until_it_reads("h1", "Scrap ").await
    }

    async fn until_state(&self, state: &str) -> anyhow::Result<()> {
        let script = "return document.querySelector('#scrap')?.dataset.state === arguments[0]";
        self.browser.until(script, json!([state])).await
    }

    /// Leaves a mark in the page that is gone if the page is loaded anew.
    async fn mark(&self) -> anyhow::Result<()> {
        self.browser.run("window.mark = 7", json!([])).await.map(drop)
    }

    async fn is_marked(&self) -> anyhow::Result<bool> {
        Ok(self.browser.run("return window.mark === 7", json!([])).await? == json!(true))
    }

    async fn until_live(&self) -> anyhow::Result<()> {
        self.browser.until("return document.getElementById('live')?.dataset.state === 'on'", json!([])).await
    }

    /// What a field holds.
    async fn value(&self, selector: &str) -> anyhow::Result<Value> {
        self.browser.run("return document.querySelector(arguments[0])?.value ?? null", json!([selector])).await
    }
}

/// Where pictures of the pages are left.
fn pictures() -> anyhow::Result<PathBuf> {
    let folder = programs()?.parent().context("target folder")?.join("page-screenshots");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// From nothing to fifteen thousand records, told what to do first, and without loading the page that is watched anew.
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

/// All languages, each on a screen of its own.
fn readers() -> impl Iterator<Item = (&'static str, Screen)> {
    LANGUAGES.into_iter().zip([Screen::Phone, Screen::Desk])
}

#[tokio::test]
async fn a_scrap_is_paused_resumed_and_cancelled_once_it_was_asked_whether_this_one() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let visit = Visit::registered(screen, lang, 2_000, Faults { latency_ms: 200, ..Faults::default() }).await?;
        visit.create().await?;
        visit.until_live().await?;
        visit.mark().await?;
        visit.until_state("executando").await?;
        visit.browser.until("return document.querySelectorAll('#log li').length > 0", json!([])).await?;
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
        visit.reads("[role=status].alert", "Continua rejeitado", "Rejected still").await?;
        visit.press("Reprocessar todos", "Replay all").await?;
        visit.reads("[role=status].alert", "Continua rejeitado", "Rejected still").await?;
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
        visit.press("Procurar registros", "Search records").await?;
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

#[tokio::test]
async fn a_token_and_a_connector_are_tried_without_storing_anything() -> anyhow::Result<()> {
    for (lang, screen) in readers() {
        let malformed = vec![Malformed::new(0, format!(r#"{{"alvo":"{HOSTILE}"}}"#))];
        let visit =
            Visit::registered(screen, lang, 20, Faults { malformed, no_total: true, ..Faults::default() }).await?;
        for (page, pt, en) in [("/clientes/2151", "Testar", "Test"), ("/conectores/pedido", "Provar", "Try")] {
            visit.go(page).await?;
            if page.starts_with("/conectores") {
                visit.browser.fill("#cliente", "2151").await?;
            } else {
                visit.browser.fill("#rota", "pedido").await?;
            }
            visit.browser.fill("#de", FROM).await?;
            visit.browser.fill("#ate", TO).await?;
            visit.press(pt, en).await?;
            visit.reads(".preview", "nada gravado", "nothing stored").await?;
            visit.expect_sound().await?;
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
        visit.reads("tbody .badge", "ativo", "active").await?;
        visit.expect_sound().await?;
        visit.press("Pausar", "Pause").await?;
        visit.reads("tbody .badge", "pausada", "paused").await?;
        visit.press("Retomar", "Resume").await?;
        visit.reads("tbody .badge", "ativo", "active").await?;
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
        visit.reads("[role=alert]", "este link já foi usado ou venceu", "this link was used or has expired").await?;
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
        visit.press("Salvar", "Save").await?;
        visit.until_at("/entrar").await?;
        visit.browser.fill("#senha", "uma senha bem errada").await?;
        visit.press("Entrar", "Sign in").await?;
        visit.reads("[role=alert]", "a senha não confere", "that is not the password").await?;
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
        visit.press("Salvar", "Save").await?;
        visit.until_at("/entrar").await?;
        visit.browser.fill("#senha", "uma senha bem comprida").await?;
        visit.press("Entrar", "Sign in").await?;
        visit.until_at("/scraps").await?;
        visit.fill_in().await?;
        visit.browser.fill("#fatia", "1d").await?;
        visit.browser.forget("atlas_sessao").await?;
        visit.press("Criar e executar", "Create and run").await?;
        visit.reads("[role=alert]", "a sessão terminou", "the session is over").await?;
        visit.expect_sound().await?;
        visit.browser.fill("#senha", "uma senha bem comprida").await?;
        visit.press("Entrar", "Sign in").await?;
        visit.until_at("/scraps/novo").await?;
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

/// All pages there are, and what their pictures are called.
const PAGES: [(&str, &str); 18] = [
    ("/scraps", "scraps"),
    ("/scraps/novo", "scrap-novo"),
    ("/scraps/1", "scrap"),
    ("/scraps/1/paginas", "scrap-paginas"),
    ("/scraps/1/rejeitados", "scrap-rejeitados"),
    ("/scraps/2/cancelar", "scrap-cancelar"),
    ("/clientes", "clientes"),
    ("/clientes/novo", "cliente-novo"),
    ("/clientes/2151", "cliente"),
    ("/conectores", "conectores"),
    ("/conectores/pedido", "conector"),
    ("/dados", "dados"),
    ("/dados/registros", "registros"),
    ("/dados/registros/1", "registro"),
    ("/agenda", "agenda"),
    ("/agenda/novo", "agenda-nova"),
    ("/saude", "saude"),
    ("/acessos", "acessos"),
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
        let is_judged = lang == "pt-BR";
        let is_pictured = (lang == "pt-BR") == (colours == "claro");
        if !is_judged && !is_pictured {
            continue;
        }
        let api_docs = ("/api/v1/docs", "api");
        for (path, name) in PAGES.into_iter().chain([api_docs]) {
            visit.go(path).await?;
            if is_pictured {
                let (width, _) = screen.size();
                visit.browser.picture(&pictures()?.join(format!("{name}-{lang}-{width}.png"))).await?;
            }
            if is_judged {
                violations
                    .extend(judged(&visit, &axe).await?.into_iter().map(|what| format!("{path} {colours}: {what}")));
            }
        }
    }
    anyhow::ensure!(violations.is_empty(), "axe-core:\n{}", violations.join("\n"));
    Ok(())
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
