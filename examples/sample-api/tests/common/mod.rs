//! A client for these tests, by hand: an HTTP library retries, decodes and forgives, and it is the
//! raw answer that is tested.

#![allow(dead_code, unreachable_pub)] // Each test file uses its own part of this.

use std::io;

use sample_api::{Faults, SampleApi, Settings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub const TOKEN: &str = "Bearer segredo";

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    pub fn text(&self) -> anyhow::Result<&str> {
        Ok(std::str::from_utf8(&self.body)?)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(": ")?;
            n.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// One request on a connection of its own. A body shorter than it was declared is an error.
pub async fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Answer> {
    let rest = url.strip_prefix("http://").ok_or(io::ErrorKind::InvalidInput)?;
    let slash = rest.find('/').ok_or(io::ErrorKind::InvalidInput)?;
    let (host, target) = rest.split_at(slash);
    let mut tcp = TcpStream::connect(host).await?;
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    tcp.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
    let mut bytes = Vec::new();
    tcp.read_to_end(&mut bytes).await?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.get(9..12).and_then(|it| it.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    let answer = Answer { status, head, body: bytes.split_off(end + 4) };
    let declared: usize = answer.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    if answer.body.len() < declared {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

pub async fn get(url: &str) -> io::Result<Answer> {
    request("GET", url, &[("authorization", TOKEN)], "").await
}

pub fn orders(api: &SampleApi, from: &str, to: &str, per_page: u64) -> String {
    format!("{}/2151/pedido?data_inicial={from}&data_final={to}&page=1&per_page={per_page}", api.base_url())
}

/// The raw elements of `data`. Records hold no `},{"id"` inside, so no parser has to be trusted.
pub fn elements(body: &str) -> Vec<String> {
    let data = body.strip_prefix("{\"data\":[").and_then(|it| it.rsplit_once("],\"current_page\""));
    let Some((data, _)) = data.filter(|(data, _)| !data.is_empty()) else {
        return Vec::new();
    };
    let mut all: Vec<String> = data.split(",{\"id\"").map(|it| format!("{{\"id\"{it}")).collect();
    all[0] = all[0].replacen("{\"id\"", "", 1);
    all
}

/// Follows `next_page_url` to its end, or for so many pages; every element, in order.
pub async fn read_all(first: String, at_most: usize) -> anyhow::Result<Vec<String>> {
    let (mut url, mut all) = (Some(first), Vec::new());
    for _ in 0..at_most {
        let Some(at) = url else { break };
        let answer = get(&at).await?;
        anyhow::ensure!(answer.status == 200, "{}", answer.head);
        all.extend(elements(answer.text()?));
        url = answer.json()?["next_page_url"].as_str().map(str::to_owned);
    }
    Ok(all)
}

pub async fn start_with(faults: Faults) -> anyhow::Result<SampleApi> {
    SampleApi::start(Settings { faults, ..Settings::default() }).await
}
