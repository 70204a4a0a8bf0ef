//! Content codings, one at a time: a test of one must not depend on which of several a library
//! prefers.

use std::io::{self, Write as _};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A content coding, used for a body only where the request accepts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950 (the zlib form, which is what the name means in HTTP).
    Deflate,
    /// Brotli.
    Br,
    /// Zstandard.
    Zstd,
}

impl Encoding {
    /// The coding's name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
            Encoding::Br => "br",
            Encoding::Zstd => "zstd",
        }
    }

    /// Whether an `Accept-Encoding` header allows it.
    pub(crate) fn accepted_by(self, header: &str) -> bool {
        let weight = |wanted: &str| {
            header.split(',').find_map(|one| {
                let mut parts = one.split(';').map(str::trim);
                let named = parts.next()?.eq_ignore_ascii_case(wanted);
                let q = parts.find_map(|p| p.strip_prefix("q="));
                named.then(|| q.and_then(|q| q.parse().ok()).unwrap_or(1.0f32))
            })
        };
        weight(self.name()).or_else(|| weight("*")).unwrap_or(0.0) > 0.0
    }

    /// Encodes a body, at the fastest level: the size of the answer is not what is tested.
    pub(crate) fn encode(self, body: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Encoding::Gzip => {
                let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                to.write_all(body)?;
                to.finish()
            }
            Encoding::Deflate => {
                let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                to.write_all(body)?;
                to.finish()
            }
            Encoding::Br => {
                let mut to = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 20);
                to.write_all(body)?;
                Ok(to.into_inner())
            }
            Encoding::Zstd => zstd::bulk::compress(body, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_used_only_where_the_request_accepts_it() {
        assert!(Encoding::Gzip.accepted_by("br, gzip"));
        assert!(Encoding::Gzip.accepted_by("br;q=1, *;q=0.1"));
        assert!(!Encoding::Gzip.accepted_by("gzip;q=0, *"));
        assert!(!Encoding::Gzip.accepted_by("br"));
        assert!(!Encoding::Zstd.accepted_by(""));
    }
}
