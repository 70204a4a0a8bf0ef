//! HTTP requests as connectors make them, before a client sends them.

use serde::{Deserialize, Serialize};

use super::notice::legible;

/// Request methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// Its name, as it stands in a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it only reads (RFC 9110, section 9.2.1), and so needs no grant below the base URL.
    pub fn only_reads(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// A request, as a connector makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// A path below the base URL, or an absolute URL of a granted origin.
    pub target: String,
    /// Appended to the target's query.
    pub query: Vec<(String, String)>,
    /// Beside the host's own.
    pub headers: Vec<(String, String)>,
    /// The body. Bytes are no JSON: where a request travels, they travel beside it.
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
}

/// Characters of a request's target that are shown.
const TARGET_SHOWN: usize = 100;

impl Request {
    /// Its bytes: target, query, headers and body.
    pub fn size(&self) -> usize {
        let pairs = self.query.iter().chain(&self.headers).map(|(name, value)| name.len() + value.len());
        self.target.len() + pairs.sum::<usize>() + self.body.as_ref().map_or(0, Vec::len)
    }

    /// Method, target and query, for a person to read, on one line.
    pub fn whole(&self) -> String {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        let sign = match (query.is_empty(), self.target.contains('?')) {
            (true, _) => "",
            (false, false) => "?",
            (false, true) => "&",
        };
        legible(&format!("{} {}{sign}{query}", self.method.name(), self.target))
    }

    /// A short form for messages. The connector that made the request is not trusted, so it is cut
    /// and on one line.
    pub fn shown(&self) -> String {
        let target: String = self.target.chars().take(TARGET_SHOWN).collect();
        format!("{} {}", self.method.name(), target.escape_debug())
    }
}
