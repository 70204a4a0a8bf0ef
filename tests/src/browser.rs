//! A real browser, driven as <https://www.w3.org/TR/webdriver2/> has it: Debian's Chromium by its
//! own driver.
//!
//! The few commands that the tests need are written here. The client libraries that there are bring
//! a driver of Firefox along, and with it features of crates that everything else would have to be
//! built with anew.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::closed_port;

/// Longer than anything on a page takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an element's reference is called in JSON (WebDriver, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// 1280 by 900.
    Desk,
    /// 1024 by 768.
    Laptop,
    /// 360 by 800, as a telephone shows it.
    Phone,
}

impl Screen {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Desk, Self::Phone];

    /// Width and height.
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Desk => (1280, 900),
            Self::Laptop => (1024, 768),
            Self::Phone => (360, 800),
        }
    }
}

/// A browser of a test's own, with a profile of its own. It ends with this.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Opens one.
    pub async fn open(screen: Screen) -> anyhow::Result<Self> {
        let (port, profile) = (closed_port()?, tempfile::tempdir()?);
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        for (name, _) in std::env::vars() {
            if name.to_lowercase().ends_with("_proxy") {
                driver.env_remove(name);
            }
        }
        let driver = driver.kill_on_drop(true).spawn().context("start chromedriver (Debian: chromium-driver)")?;
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            ensure!(began.elapsed() < PATIENCE, "chromedriver does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (width, height) = screen.size();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--no-proxy-server".to_owned(),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", browser._profile.path().display()),
        ];
        let mut options = json!({ "args": arguments });
        if screen == Screen::Phone {
            options["mobileEmulation"] =
                json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 1.0, "touch": true } });
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let opened = browser.ask("POST", "/session", Some(&wanted)).await?;
        let id = opened["sessionId"].as_str().context("no session")?;
        browser.session = format!("/session/{id}");
        Ok(browser)
    }

    /// Goes to an address, and waits until it is there.
    pub async fn go(&self, address: &str) -> anyhow::Result<()> {
        self.post("/url", &json!({ "url": address })).await.map(drop)
    }

    /// Loads the page anew.
    pub async fn reload(&self) -> anyhow::Result<()> {
        self.post("/refresh", &json!({})).await.map(drop)
    }

    /// Where it is.
    pub async fn address(&self) -> anyhow::Result<String> {
        let address = self.ask("GET", &format!("{}/url", self.session), None).await?;
        Ok(address.as_str().context("no address")?.to_owned())
    }

    /// Runs the body of a function in the page, past what the page allows itself, and gives what it
    /// returns.
    pub async fn run(&self, script: &str, arguments: Value) -> anyhow::Result<Value> {
        let script = json!({ "script": script, "args": arguments });
        self.post("/execute/sync", &script).await
    }

    /// The same for a function that is `async`.
    pub async fn run_async(&self, script: &str, arguments: Value) -> anyhow::Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const given = [...arguments].slice(0, -1); \
             (async function () {{ {script} }}).apply(null, given).then(done, (e) => done({{ failed: String(e) }}));"
        );
        let answer = self.post("/execute/async", &json!({ "script": script, "args": arguments })).await?;
        ensure!(answer.get("failed").is_none(), "in the page: {}", answer["failed"]);
        Ok(answer)
    }

    /// All text that can be read in what a selector finds first.
    pub async fn text(&self, selector: &str) -> anyhow::Result<String> {
        let text = self.run("return document.querySelector(arguments[0])?.innerText", json!([selector])).await?;
        Ok(text.as_str().with_context(|| format!("there is no {selector}"))?.to_owned())
    }

    /// Waits until what a selector finds first reads so, in some part.
    pub async fn until_it_reads(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let script = "return (document.querySelector(arguments[0])?.innerText ?? '').includes(arguments[1])";
        let reads = self.until(script, json!([selector, text])).await;
        match reads {
            Ok(()) => Ok(()),
            Err(error) => {
                let (shown, address) = (self.text("body").await.unwrap_or_default(), self.address().await?);
                Err(error.context(format!("{selector} does not read {text:?} at {address}:\n{shown}")))
            }
        }
    }

    /// Waits until a script gives true.
    pub async fn until(&self, script: &str, arguments: Value) -> anyhow::Result<()> {
        let began = Instant::now();
        // A page that is just being left cannot answer.
        while !matches!(self.run(script, arguments.clone()).await, Ok(Value::Bool(true))) {
            ensure!(began.elapsed() < PATIENCE, "not true: {script} {arguments}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Presses the button, or follows the link, that can be seen and has this name.
    pub async fn press(&self, name: &str) -> anyhow::Result<()> {
        let script = "if (document.readyState !== 'complete') return null; \
                      return [...document.querySelectorAll('button, a, summary')].filter((e) => e.checkVisibility() \
                      && e.innerText.trim() === arguments[0])[0] ?? null";
        let found = self.until_found(script, json!([name])).await;
        let found = found.with_context(|| format!("nothing to press is called {name:?}"))?;
        self.click(&found).await.with_context(|| format!("press {name:?}"))
    }

    /// Presses what a selector finds first.
    pub async fn press_first(&self, selector: &str) -> anyhow::Result<()> {
        let found = self.find(selector).await?;
        self.click(&found).await.with_context(|| format!("press {selector}"))
    }

    /// Types into the field that a selector finds first, instead of what stands there.
    pub async fn fill(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let field = self.find(selector).await?;
        // How a day is typed is the system's own.
        let script = "const [field, value] = arguments; if (field.tagName !== 'SELECT' && field.type !== 'date') return false; \
                      field.value = value; field.dispatchEvent(new Event('change', { bubbles: true })); return true";
        if self.run(script, json!([field, text])).await? == json!(true) {
            return Ok(());
        }
        let id = reference(&field)?;
        self.post(&format!("/element/{id}/clear"), &json!({})).await?;
        self.post(&format!("/element/{id}/value"), &json!({ "text": text })).await.map(drop)
    }

    /// Presses these keys, one after the other, wherever the focus is.
    pub async fn keys(&self, keys: &str) -> anyhow::Result<()> {
        let strokes =
            keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })));
        let strokes: Vec<Value> = strokes.collect();
        let keyboard = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] });
        self.post("/actions", &keyboard).await.map(drop)
    }

    /// Has the browser keep a cookie for where it is.
    pub async fn keep(&self, name: &str, value: &str) -> anyhow::Result<()> {
        self.post("/cookie", &json!({ "cookie": { "name": name, "value": value, "path": "/" } })).await.map(drop)
    }

    /// Has it forget one.
    pub async fn forget(&self, cookie: &str) -> anyhow::Result<()> {
        self.ask("DELETE", &format!("{}/cookie/{cookie}", self.session), None).await.map(drop)
    }

    /// What the page complained of since this was asked last: its script, and what its policy
    /// forbids. Answers with an error's status are no complaint, since that is how a form says what
    /// is wrong.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let lines = self.post("/se/log", &json!({ "type": "browser" })).await?;
        let lines = lines.as_array().context("no log")?.iter();
        let complains = lines
            .filter(|line| line["source"] != "network" && matches!(line["level"].as_str(), Some("WARNING" | "SEVERE")));
        Ok(complains.map(ToString::to_string).collect())
    }

    /// A picture of the whole page.
    pub async fn picture(&self, file: &Path) -> anyhow::Result<()> {
        let size = "return [window.innerWidth, document.documentElement.scrollHeight]";
        let size = self.run(size, json!([])).await?;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let how = json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true, "clip": clip } });
        let taken = self.post("/goog/cdp/execute", &how).await?;
        let picture = base64::prelude::BASE64_STANDARD.decode(taken["data"].as_str().context("no picture")?)?;
        std::fs::write(file, picture).with_context(|| format!("write {}", file.display()))
    }

    /// What a selector finds first; waits for it, since what was pressed before may lead to another
    /// page.
    async fn find(&self, selector: &str) -> anyhow::Result<Value> {
        let script = "return document.readyState === 'complete' ? document.querySelector(arguments[0]) : null";
        self.until_found(script, json!([selector])).await.with_context(|| format!("there is no {selector}"))
    }

    /// Waits until a script gives an element.
    async fn until_found(&self, script: &str, arguments: Value) -> anyhow::Result<Value> {
        let began = Instant::now();
        loop {
            match self.run(script, arguments.clone()).await {
                Ok(found) if !found.is_null() => return Ok(found),
                _ if began.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => bail!("at {}:\n{}", self.address().await?, self.text("body").await.unwrap_or_default()),
            }
        }
    }

    async fn click(&self, element: &Value) -> anyhow::Result<()> {
        self.post(&format!("/element/{}/click", reference(element)?), &json!({})).await.map(drop)
    }

    async fn post(&self, what: &str, with: &Value) -> anyhow::Result<Value> {
        self.ask("POST", &format!("{}{what}", self.session), Some(with)).await
    }

    async fn ask(&self, method: &str, path: &str, with: Option<&Value>) -> anyhow::Result<Value> {
        let asked = tokio::time::timeout(PATIENCE * 2, async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(request(method, path, with).as_bytes()).await?;
            answer(&mut stream).await
        });
        let answer = asked.await.context("chromedriver hangs")?.context("chromedriver")?;
        let mut answer: Value = serde_json::from_slice(&answer).context("chromedriver gave no JSON")?;
        let value = answer["value"].take();
        if let Some(error) = value.get("error").filter(|_| value.get("stacktrace").is_some()) {
            bail!("{method} {path}: {error}: {}", value["message"]);
        }
        Ok(value)
    }
}

impl Drop for Browser {
    /// The driver ends its browser when the session ends, and not when it is killed.
    fn drop(&mut self) {
        if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.write_all(request("DELETE", &self.session, None).as_bytes());
            let _ = std::io::Read::read(&mut stream, &mut [0; 64]);
        }
        let _ = self.driver.start_kill();
    }
}

fn reference(element: &Value) -> anyhow::Result<&str> {
    element[ELEMENT].as_str().with_context(|| format!("no element: {element}"))
}

fn request(method: &str, path: &str, with: Option<&Value>) -> String {
    let body = with.map(ToString::to_string).unwrap_or_default();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// An answer's body, as long as its head says.
async fn answer(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.context("no Content-Length")?.trim().parse()?;
            if read.len() >= end + 4 + length {
                return Ok(read[end + 4..end + 4 + length].to_vec());
            }
        }
        ensure!(stream.read_buf(&mut read).await? > 0, "the answer broke off");
    }
}
