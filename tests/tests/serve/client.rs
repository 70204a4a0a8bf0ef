//! A server under test, and who asks it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use atlas_tests::{Atlas, FROM, TO, TOKEN};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::task::JoinHandle;

/// Long enough for anything here, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// `atlas serve`, listening.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// Where it listens: `http://127.0.0.1:…`.
    pub(crate) url: String,
    /// The one-time link that it printed.
    pub(crate) link: String,
    said: JoinHandle<String>,
    printed: JoinHandle<String>,
}

impl Server {
    pub(crate) async fn start(atlas: &Atlas, more: &[&str]) -> anyhow::Result<Self> {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--output", "json", "--lang", "en"];
        let mut child = atlas.command(&[&serve[..], more].concat())?.stdin(Stdio::null()).spawn()?;
        let mut stderr = child.stderr.take().context("standard error")?;
        // Read all the while: a pipe that is full would stop it.
        let said = tokio::spawn(async move {
            let mut said = Vec::new();
            let _ = stderr.read_to_end(&mut said).await;
            String::from_utf8_lossy(&said).into_owned()
        });
        let mut stdout = BufReader::new(child.stdout.take().context("standard output")?);
        let mut first = String::new();
        tokio::time::timeout(PATIENCE, stdout.read_line(&mut first)).await.context("it does not begin")??;
        if first.is_empty() {
            bail!("it ended at once:\n{}", said.await?);
        }
        let first: Value = serde_json::from_str(&first).with_context(|| first.clone())?;
        let printed = tokio::spawn(async move {
            let mut printed = String::new();
            let _ = stdout.read_to_string(&mut printed).await;
            printed
        });
        let text = |name: &str| Ok::<_, anyhow::Error>(first[name].as_str().context("a text")?.to_owned());
        let server = Self { child, url: text("endereco")?, link: text("entrada")?, said, printed };
        ensure!(server.link.starts_with(&server.url), "{first}");
        Ok(server)
    }

    /// `127.0.0.1:…`.
    pub(crate) fn address(&self) -> &str {
        self.url.split_once("://").map(|(_, address)| address).unwrap_or_default()
    }

    /// The secret of the link that it printed.
    pub(crate) fn key(&self) -> &str {
        self.link.split_once("chave=").map(|(_, key)| key).unwrap_or_default()
    }

    pub(crate) async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.child.id().context("it has ended")?.to_string();
        let sent = tokio::process::Command::new("kill").args(["-s", name, &id]).status().await?;
        ensure!(sent.success(), "kill -s {name} {id}");
        Ok(())
    }

    /// Waits for its end; gives its exit code (-1: a signal ended it), and all that it said.
    pub(crate) async fn end(mut self) -> anyhow::Result<(i32, String)> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.context("it does not end")??;
        let said = self.said.await? + &self.printed.await?;
        ensure!(!said.contains(TOKEN), "the token was shown:\n{said}");
        Ok((status.code().unwrap_or(-1), said))
    }

    /// Tells it to stop. It has to end well, and at once.
    pub(crate) async fn stop(self) -> anyhow::Result<String> {
        let began = Instant::now();
        self.signal("TERM").await?;
        let (code, said) = self.end().await?;
        ensure!(code == 0, "exit code {code}:\n{said}");
        ensure!(began.elapsed() < Duration::from_secs(8), "it took {:?} to stop", began.elapsed());
        Ok(said)
    }

    /// What it holds in memory, in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let id = self.child.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// A caller without an access.
    pub(crate) fn stranger(&self) -> anyhow::Result<Caller> {
        Caller::new(&self.url)
    }

    /// A browser that has signed in by the link that was printed.
    pub(crate) async fn browser(&self) -> anyhow::Result<Caller> {
        self.stranger()?.sign_in(&format!("chave={}", self.key())).await
    }

    /// A browser that has signed in by a link of its own.
    pub(crate) async fn another_browser(&self, atlas: &Atlas) -> anyhow::Result<Caller> {
        let link = atlas.run(&["access", "link", "--output", "json"]).await?.expect(0)?.text("entrada")?;
        let key = link.split_once("chave=").context("a link")?.1.to_owned();
        self.stranger()?.sign_in(&format!("chave={key}")).await
    }

    /// A program with a token that was made for it.
    pub(crate) async fn program(&self, atlas: &Atlas, full: bool) -> anyhow::Result<Caller> {
        let (_, token) = token(atlas, full).await?;
        Ok(Caller { bearer: Some(token), ..self.stranger()? })
    }

    /// What it answers to these bytes, on a connection of their own, until it closes it or falls
    /// silent.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.address()).await?;
        stream.write_all(bytes).await?;
        let mut answer = Vec::new();
        while let Ok(read) = tokio::time::timeout(Duration::from_secs(2), stream.read_buf(&mut answer)).await {
            if read.unwrap_or(0) == 0 {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// A new token's number and secret.
pub(crate) async fn token(atlas: &Atlas, full: bool) -> anyhow::Result<(i64, String)> {
    let add = ["access", "token", "add", "--name", "programa", "--output", "json"];
    let add = if full { [&add[..], &["--full"]].concat() } else { add.to_vec() };
    let added = atlas.run(&add).await?.expect(0)?;
    Ok((added.number("id")?, added.text("token")?))
}

/// A caller of the API.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) bearer: Option<String>,
    pub(crate) cookie: Option<String>,
    /// The token of the forms.
    pub(crate) form_token: String,
}

impl Caller {
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        Self::with(url, client())
    }

    pub(crate) fn with(url: &str, client: reqwest::ClientBuilder) -> anyhow::Result<Self> {
        let client = client.build()?;
        Ok(Self { client, url: url.to_owned(), bearer: None, cookie: None, form_token: String::new() })
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).header("accept-language", "en");
        if let Some(token) = &self.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        request
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Response> {
        self.ask(Method::GET, path).send().await.with_context(|| path.to_owned())
    }

    /// A form, as browsers send it.
    pub(crate) fn form(&self, path: &str, fields: &str) -> RequestBuilder {
        let form = "application/x-www-form-urlencoded";
        self.ask(Method::POST, path).header("content-type", form).body(fields.to_owned())
    }

    /// A form with its token.
    pub(crate) async fn post(&self, path: &str, fields: &str) -> anyhow::Result<Response> {
        Ok(self.form(path, &format!("{fields}&_csrf={}", self.form_token)).send().await?)
    }

    /// A page that must be there.
    pub(crate) async fn page(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.get(path).await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status == StatusCode::OK, "{path}: {status}\n{text}");
        Ok(text)
    }

    /// Something of the API that must be there.
    pub(crate) async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let text = self.page(&format!("/api/v1{path}")).await?;
        serde_json::from_str(&text).with_context(|| text.clone())
    }

    pub(crate) fn send(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        let request = self.ask(method, &format!("/api/v1{path}")).header("content-type", "application/json");
        request.header("x-csrf-token", &self.form_token).body(body.to_string())
    }

    /// Signs in with what a form says.
    pub(crate) async fn sign_in(mut self, fields: &str) -> anyhow::Result<Self> {
        let answer = self.form("/entrar", fields).send().await?;
        let cookie = session_cookie(&answer).with_context(|| format!("not let in: {}", answer.status()))?;
        self.cookie = Some(cookie.split(';').next().unwrap_or_default().to_owned());
        let page = self.page("/clientes").await?;
        let token =
            page.split_once("data-csrf=\"").and_then(|(_, rest)| rest.split_once('"')).context("a form token")?;
        self.form_token = token.0.to_owned();
        Ok(self)
    }

    /// Creates a scrap of a client's `pedido` for the tests' period.
    pub(crate) async fn create(&self, client: u32, more: Value) -> anyhow::Result<i64> {
        let mut body = scrap(client);
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        let answer = self.send(Method::POST, "/scraps", &body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status == StatusCode::CREATED, "{status} {text}");
        serde_json::from_str::<Value>(&text)?["id"].as_i64().context("an id")
    }

    /// Waits until a scrap is in this state.
    pub(crate) async fn until(&self, id: i64, state: &str) -> anyhow::Result<Value> {
        let began = Instant::now();
        loop {
            let scrap = self.json(&format!("/scraps/{id}")).await?;
            if scrap["estado"] == state {
                return Ok(scrap);
            }
            ensure!(began.elapsed() < PATIENCE, "not {state}: {scrap}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// An HTTP client that follows no redirect and takes no proxy.
pub(crate) fn client() -> reqwest::ClientBuilder {
    // The first one counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).no_proxy().timeout(PATIENCE)
}

/// What creates a scrap.
pub(crate) fn scrap(client: u32) -> Value {
    json!({ "cliente_id": client, "rota": "pedido", "de": FROM, "ate": TO, "tamanho_pagina": 10 })
}

/// The session's cookie that an answer sets.
pub(crate) fn session_cookie(answer: &Response) -> Option<String> {
    let set = answer.headers().get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    set.filter(|cookie| cookie.contains("atlas_sessao=")).map(str::to_owned).next()
}

pub(crate) fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
