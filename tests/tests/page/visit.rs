//! A visitor of the page: a server of their own, a browser, a language, a screen.

use anyhow::Context;
use atlas_tests::browser::{Browser, Screen};
use atlas_tests::{Atlas, FROM, Faults, LANGUAGES, Running, SampleApi, TO, api};
use serde_json::{Value, json};

/// The client of all tests.
pub(crate) const CLIENT: u32 = 2151;

/// All languages, each at a desk and on a telephone.
pub(crate) fn readers() -> impl Iterator<Item = (&'static str, Screen)> {
    LANGUAGES.into_iter().flat_map(|lang| [(lang, Screen::Phone), (lang, Screen::Desk)])
}

/// A visitor who is signed in.
pub(crate) struct Visit {
    pub(crate) atlas: Atlas,
    pub(crate) api: SampleApi,
    pub(crate) server: Running,
    pub(crate) browser: Browser,
    /// Where the server is.
    pub(crate) address: String,
    pub(crate) lang: &'static str,
    pub(crate) screen: Screen,
}

/// Starts a server; gives its address and its sign-in link.
pub(crate) async fn serve(atlas: &Atlas, listen: &str) -> anyhow::Result<(Running, String, String)> {
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
    pub(crate) async fn begin(
        screen: Screen,
        lang: &'static str,
        per_day: u64,
        faults: Faults,
    ) -> anyhow::Result<Self> {
        let (atlas, api) = (Atlas::on_sqlite()?, api(per_day, faults).await?);
        Self::at(atlas, api, screen, lang).await
    }

    pub(crate) async fn at(
        mut atlas: Atlas,
        api: SampleApi,
        screen: Screen,
        lang: &'static str,
    ) -> anyhow::Result<Self> {
        atlas.own_connectors()?;
        let (server, address, link) = serve(&atlas, "127.0.0.1:0").await?;
        let browser = Browser::open(screen).await?;
        let visit = Self { atlas, api, server, browser, address, lang, screen };
        visit.enter(&link).await?;
        // The language that a reader chooses is kept.
        visit.mark().await?;
        visit.browser.press_first(&format!(".preferences button[lang='{lang}']")).await?;
        let chosen = "return window.mark !== 7 && document.readyState === 'complete' && document.documentElement.lang === arguments[0]";
        visit.browser.until(chosen, json!([lang])).await?;
        Ok(visit)
    }

    /// The same, with the client registered.
    pub(crate) async fn registered(
        screen: Screen,
        lang: &'static str,
        per_day: u64,
        faults: Faults,
    ) -> anyhow::Result<Self> {
        let visit = Self::begin(screen, lang, per_day, faults).await?;
        visit.atlas.register(CLIENT, &visit.api).await?;
        Ok(visit)
    }

    pub(crate) async fn enter(&self, link: &str) -> anyhow::Result<()> {
        self.browser.go(link).await?;
        self.until_at("/scraps").await
    }

    /// Waits until the browser is at a page.
    pub(crate) async fn until_at(&self, path: &str) -> anyhow::Result<()> {
        let script = "return location.pathname === arguments[0] && document.readyState === 'complete'";
        self.browser.until(script, json!([path])).await
    }

    pub(crate) async fn leave(&self) -> anyhow::Result<()> {
        self.press("Sair", "Sign out").await?;
        self.until_at("/entrar").await
    }

    /// The words of the reader's language.
    pub(crate) fn say<'a>(&self, pt: &'a str, en: &'a str) -> &'a str {
        if self.lang == "en" { en } else { pt }
    }

    pub(crate) async fn press(&self, pt: &str, en: &str) -> anyhow::Result<()> {
        self.browser.press(self.say(pt, en)).await
    }

    pub(crate) async fn reads(&self, selector: &str, pt: &str, en: &str) -> anyhow::Result<()> {
        self.browser.until_it_reads(selector, self.say(pt, en)).await
    }

    pub(crate) async fn go(&self, path: &str) -> anyhow::Result<()> {
        self.browser.go(&format!("{}{path}", self.address)).await?;
        self.expect_sound().await
    }

    /// What holds of every page: it fits, complains of nothing, and has everything from here.
    pub(crate) async fn expect_sound(&self) -> anyhow::Result<()> {
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
    pub(crate) async fn fill_in(&self) -> anyhow::Result<()> {
        self.go("/scraps/novo").await?;
        self.browser.fill("#cliente", &CLIENT.to_string()).await?;
        self.browser.fill("#rota", "pedido").await?;
        self.browser.fill("#de", FROM).await?;
        self.browser.fill("#ate", TO).await
    }

    pub(crate) async fn create(&self) -> anyhow::Result<()> {
        self.fill_in().await?;
        self.press("Criar e executar", "Create and run").await?;
        self.browser.until_it_reads("h1", "Scrap ").await
    }

    pub(crate) async fn until_state(&self, state: &str) -> anyhow::Result<()> {
        let script = "return document.querySelector('#scrap')?.dataset.state === arguments[0]";
        self.browser.until(script, json!([state])).await
    }

    /// Leaves a mark in the page that is gone if the page is loaded anew.
    pub(crate) async fn mark(&self) -> anyhow::Result<()> {
        self.browser.run("window.mark = 7", json!([])).await.map(drop)
    }

    pub(crate) async fn is_marked(&self) -> anyhow::Result<bool> {
        Ok(self.browser.run("return window.mark === 7", json!([])).await? == json!(true))
    }

    pub(crate) async fn until_live(&self) -> anyhow::Result<()> {
        self.browser.until("return document.getElementById('live')?.dataset.state === 'on'", json!([])).await
    }

    /// What a field holds.
    pub(crate) async fn value(&self, selector: &str) -> anyhow::Result<Value> {
        self.browser.run("return document.querySelector(arguments[0])?.value ?? null", json!([selector])).await
    }
}
