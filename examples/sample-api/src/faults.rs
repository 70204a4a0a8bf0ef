//! Everything that can be wrong with a source, as data: a fault that a test asks for by name can be
//! asked for by a person on the command line, and by a request while a scrap is running.

use std::str::FromStr;

use anyhow::{Context, ensure};
use axum::http::HeaderValue;
use bytes::Bytes;
use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Charset, Encoding};

/// How the source misbehaves. All off by default; they combine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Milliseconds that every answer waits before its first byte.
    pub latency_ms: u64,
    /// No answer begins, as long as this is so.
    pub hold: bool,
    /// The first so many attempts at every page fail with [`Faults::fail_with`].
    pub fail_first: u64,
    /// The page that always fails with [`Faults::fail_with`].
    pub fail_page: Option<u64>,
    /// What `fail_first` and `fail_page` do.
    pub fail_with: FaultKind,
    /// `Retry-After` of 429 and 503 answers, as it stands: `1`, `0.05`, or an HTTP date.
    pub retry_after: Option<String>,
    /// Share of attempts, from 0 to 1, that fail with one of [`Faults::random_kinds`]. Which ones
    /// follows from the seed, the page and the number of the attempt, so it does not depend on
    /// timing.
    pub random_rate: f64,
    /// What `random_rate` chooses from.
    pub random_kinds: Vec<FaultKind>,
    /// Bytes in each piece of a [`FaultKind::SlowBody`].
    pub slow_chunk: usize,
    /// Milliseconds before each of its pieces but the first.
    pub slow_pause_ms: u64,
    /// Every page from this one on has the records of this one and names a page after it, for ever.
    pub repeat_from: Option<u64>,
    /// Every page has the records of page 1; every poll the first events, whatever was
    /// acknowledged.
    pub ignore_page: bool,
    /// Added to the `total` that is declared; pages and `last_page` stay true.
    pub total_lies: Option<i64>,
    /// Declare no `total`.
    pub no_total: bool,
    /// Raw elements that stand in `data` beside the records; they count neither in `total` nor in
    /// the page size.
    pub malformed: Vec<Malformed>,
    /// The source holds nothing.
    pub empty: bool,
    /// The source changes while it is read.
    pub moving: Option<Moving>,
    /// Bodies of pages are compressed, where the request accepts it.
    pub encoding: Option<Encoding>,
    /// Bodies of pages are in this charset, and say so.
    pub charset: Option<Charset>,
    /// Requests for pages are answered with a 302.
    pub redirect: Option<Redirect>,
    /// The credential of a request stands in its answer, in every form: in a record, in one that no
    /// table can hold, in a refusal.
    pub echo: bool,
    /// The token endpoint refuses everybody, with the refresh token written into its refusal.
    pub revoked: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency_ms: 0,
            hold: false,
            fail_first: 0,
            fail_page: None,
            fail_with: FaultKind::Status500,
            retry_after: None,
            random_rate: 0.0,
            random_kinds: vec![FaultKind::Status429, FaultKind::Status500, FaultKind::Reset],
            slow_chunk: 512,
            slow_pause_ms: 20,
            repeat_from: None,
            ignore_page: false,
            total_lies: None,
            no_total: false,
            malformed: Vec::new(),
            empty: false,
            moving: None,
            encoding: None,
            charset: None,
            redirect: None,
            echo: false,
            revoked: false,
        }
    }
}

impl Faults {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!((0.0..=1.0).contains(&self.random_rate), "random_rate must lie between 0 and 1");
        ensure!(
            self.random_rate == 0.0 || !self.random_kinds.is_empty(),
            "random_rate needs at least one of random_kinds"
        );
        ensure!(self.slow_chunk >= 1, "slow_chunk must be at least 1");
        ensure!(self.moving.is_none_or(|m| m.every >= 1), "moving.every must be at least 1");
        ensure!(self.fail_page != Some(0) && self.repeat_from != Some(0), "pages are counted from 1");
        if let Some(text) = &self.retry_after {
            HeaderValue::from_str(text).context("retry_after is not a header's text")?;
        }
        if let Some(Redirect::Other(url)) = &self.redirect {
            HeaderValue::from_str(url).context("redirect is not a header's text")?;
        }
        Ok(())
    }
}

/// One way in which an attempt fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// 429, with [`Faults::retry_after`].
    #[serde(rename = "429")]
    #[value(name = "429")]
    Status429,
    /// 500.
    #[serde(rename = "500")]
    #[value(name = "500")]
    Status500,
    /// 503, with [`Faults::retry_after`].
    #[serde(rename = "503")]
    #[value(name = "503")]
    Status503,
    /// The connection is reset (TCP RST) before any byte of an answer.
    Reset,
    /// 200 with its true `Content-Length`, half of the body, and the end of the connection.
    Truncated,
    /// 200, a complete answer, whose JSON breaks off.
    TruncatedJson,
    /// 200 and the right body, dribbled: see [`Faults::slow_chunk`]. Whole, for a client that
    /// waits.
    SlowBody,
    /// 200 with a page of HTML.
    Html,
    /// 401, although the token is right.
    Unauthorized,
}

/// How a source changes while it is read. It keeps what moved when this is taken away; it only
/// stops moving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Moving {
    /// It moves once after every so many whole pages of one listing (client, route and period).
    pub every: u64,
    /// Records that a move adds after the last one.
    pub at_end: u64,
    /// Records that a move adds before the first one.
    pub at_front: u64,
    /// Records that a move first takes away from the front.
    pub delete_front: u64,
    /// Moves after which it stands still; none: it never does.
    pub max_moves: Option<u64>,
}

impl Default for Moving {
    fn default() -> Self {
        Self { every: 1, at_end: 0, at_front: 0, delete_front: 0, max_moves: None }
    }
}

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redirect {
    /// The same page on this server, which then answers.
    SameOrigin,
    /// This absolute URL, as it stands.
    #[serde(rename = "other-origin")]
    Other(String),
}

impl FromStr for Redirect {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "same-origin" => Ok(Redirect::SameOrigin),
            url if url.contains("://") => Ok(Redirect::Other(url.into())),
            other => anyhow::bail!("{other:?} is neither `same-origin` nor an absolute URL"),
        }
    }
}

/// A raw element of `data`: bytes, since it need not be JSON, nor even UTF-8.
///
/// In JSON: `[index, "text"]`, or `[index, [byte, …]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// It stands after the record with this index, counted from 0 over the whole listing.
    pub after: u64,
    /// What stands there; no comma is needed.
    pub raw: Bytes,
}

impl Malformed {
    /// A raw element after the record with index `after`.
    pub fn new(after: u64, raw: impl Into<Bytes>) -> Self {
        Self { after, raw: raw.into() }
    }
}

impl FromStr for Malformed {
    type Err = anyhow::Error;

    /// `INDEX:TEXT`
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (after, raw) = text.split_once(':').context("expected INDEX:TEXT")?;
        Ok(Self::new(after.parse().context("INDEX")?, raw.to_owned()))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Raw {
    Text(String),
    Bytes(Vec<u8>),
}

impl Serialize for Malformed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw = match std::str::from_utf8(&self.raw) {
            Ok(text) => Raw::Text(text.into()),
            Err(_) => Raw::Bytes(self.raw.to_vec()),
        };
        (self.after, raw).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Malformed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (after, raw) = Deserialize::deserialize(from)?;
        Ok(match raw {
            Raw::Text(text) => Self::new(after, text),
            Raw::Bytes(bytes) => Self::new(after, bytes),
        })
    }
}
