//! Refuses requests whose lines end in a bare LF. HTTP lets a server take one for the end of a line
//! (RFC 9112, 2.2), and hyper does; a proxy before it may not, and takes two requests for one. So
//! such a request is refused: the LF becomes a NUL before hyper reads it, which no line may have,
//! and hyper answers 400 and closes, as it does with every request that it cannot read.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a header's name that are kept: no fewer than the longest that says where a body ends.
const NAME_KEPT: usize = 20;

/// Wraps an acceptor, and refuses requests on its connections whose lines end in LF alone.
#[derive(Clone)]
pub(super) struct WholeLines<A>(pub(super) A);

impl<A, I, S> Accept<I, S> for WholeLines<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
{
    type Stream = Lined<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepted = self.0.accept(stream, service);
        Box::pin(async {
            let (stream, service) = accepted.await?;
            Ok((Lined { stream, lines: Lines::default() }, service))
        })
    }
}

/// A connection whose requests are looked through as they are read.
pub(super) struct Lined<S> {
    stream: S,
    lines: Lines,
}

impl<S: AsyncRead + Unpin> AsyncRead for Lined<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let Self { stream, lines } = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(cx, buffer);
        if let Some(new) = buffer.filled_mut().get_mut(before..) {
            lines.look_through(new);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lined<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Parser state of a connection's requests. It tracks where bodies end, since an LF in a body is
/// data; it need not be right about requests that hyper refuses.
#[derive(Debug, Default)]
struct Lines {
    part: RequestPart,
    /// Whether the byte before was a CR.
    after_cr: bool,
    line: Line,
    body: Body,
}

/// The part of a request that the next byte belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum RequestPart {
    /// An empty line before a request, or its first line.
    #[default]
    First,
    Header,
    /// So many bytes until the next request.
    Body(u64),
    ChunkSize,
    /// So many bytes until the line that ends a chunk.
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// After a refused line: the rest is not parsed.
    Refused,
}

/// How the end of the body is found, by the headers so far.
#[derive(Debug, Clone, Copy, Default)]
enum Body {
    #[default]
    None,
    Sized(u64),
    Chunked,
}

/// The present line, as far as it was read.
#[derive(Debug, Default)]
struct Line {
    has_bytes: bool,
    /// Its beginning, in lower case, until its first `:` or `;`.
    name: Vec<u8>,
    is_named: bool,
    /// The number that its value is, where it is decimal.
    decimal: u64,
    /// The number that its beginning is, where it is hexadecimal.
    hexadecimal: u64,
}

impl Line {
    fn begin(&mut self) {
        self.name.clear();
        (self.has_bytes, self.is_named, self.decimal, self.hexadecimal) = (false, false, 0, 0);
    }

    fn take(&mut self, byte: u8) {
        self.has_bytes = true;
        if matches!(byte, b':' | b';') {
            self.is_named = true;
        } else if self.is_named {
            let digit = char::from(byte).to_digit(10);
            let longer = |digit| self.decimal.saturating_mul(10).saturating_add(digit);
            self.decimal = digit.map_or(self.decimal, |digit| longer(u64::from(digit)));
        } else {
            let digit = char::from(byte).to_digit(16);
            let longer = |digit| self.hexadecimal.saturating_mul(16).saturating_add(digit);
            self.hexadecimal = digit.map_or(self.hexadecimal, |digit| longer(u64::from(digit)));
            if self.name.len() < NAME_KEPT {
                self.name.push(byte.to_ascii_lowercase());
            }
        }
    }
}

impl Lines {
    /// Looks through the bytes that were read next, and spoils an LF that ends a line by itself.
    fn look_through(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.part {
                RequestPart::Refused => return,
                RequestPart::Body(left) | RequestPart::Chunk(left) if *left > 0 => {
                    let here = (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= here as u64;
                    at += here;
                    continue;
                }
                RequestPart::Body(_) => self.begin(RequestPart::First),
                RequestPart::Chunk(_) => self.begin(RequestPart::ChunkEnd),
                _ => {}
            }
            if let Some(byte) = bytes.get_mut(at) {
                self.look_at(byte);
            }
            at += 1;
        }
    }

    fn begin(&mut self, part: RequestPart) {
        if part == RequestPart::First {
            self.body = Body::None;
        }
        self.part = part;
        self.after_cr = false;
        self.line.begin();
    }

    fn look_at(&mut self, byte: &mut u8) {
        match *byte {
            b'\n' if self.after_cr => self.end_line(),
            b'\n' => {
                *byte = 0;
                self.part = RequestPart::Refused;
            }
            b'\r' => self.after_cr = true,
            _ => {
                self.after_cr = false;
                self.line.take(*byte);
            }
        }
    }

    fn end_line(&mut self) {
        let is_empty = !self.line.has_bytes;
        let next = match self.part {
            RequestPart::First if !is_empty => RequestPart::Header,
            RequestPart::Header if is_empty => match self.body {
                Body::None => RequestPart::First,
                Body::Sized(length) => RequestPart::Body(length),
                Body::Chunked => RequestPart::ChunkSize,
            },
            RequestPart::Header => {
                self.body = match (self.line.name.as_slice(), self.body) {
                    // Whatever else it is, hyper refuses it.
                    (b"transfer-encoding", _) => Body::Chunked,
                    (b"content-length", Body::None) => Body::Sized(self.line.decimal),
                    (_, body) => body,
                };
                RequestPart::Header
            }
            RequestPart::ChunkSize if self.line.hexadecimal == 0 => RequestPart::Trailer,
            RequestPart::ChunkSize => RequestPart::Chunk(self.line.hexadecimal),
            RequestPart::ChunkEnd => RequestPart::ChunkSize,
            RequestPart::Trailer if is_empty => RequestPart::First,
            same => same,
        };
        self.begin(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the bytes when they come so many at a time.
    fn looked_through(text: &str, at_a_time: usize) -> String {
        let mut lines = Lines::default();
        let mut bytes = text.as_bytes().to_vec();
        bytes.chunks_mut(at_a_time).for_each(|piece| lines.look_through(piece));
        String::from_utf8(bytes).unwrap()
    }

    const WHOLE: [&str; 6] = [
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-LENGTH:\t 12 \r\nX: 4\r\n\r\n\nGET / HTTP\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\na\n\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
         00A;a=\"5\"\r\n\n\n\n\n\n\n\n\n\n\n\r\n2 \r\n\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n0;x\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ];

    #[test]
    fn what_has_whole_lines_stays_as_it_is_however_it_comes() {
        for text in WHOLE {
            for at_a_time in [1, 2, 3, 7, 1000] {
                assert_eq!(looked_through(text, at_a_time), text, "{at_a_time} at a time");
            }
        }
    }

    #[test]
    fn a_line_that_ends_in_lf_alone_is_spoilt_wherever_it_stands() {
        // Each CR of a line is left out by itself: all but those of bodies.
        for text in WHOLE {
            let of_lines = text.match_indices("\r\n").filter(|(at, _)| !text[..*at].ends_with("\r\n2 \r\n"));
            for (at, _) in of_lines {
                let bare = format!("{}{}", &text[..at], &text[at + 1..]);
                let spoilt = format!("{}\0{}", &bare[..at], &bare[at + 1..]);
                for at_a_time in [1, 2, 3, 7, 1000] {
                    assert_eq!(looked_through(&bare, at_a_time), spoilt, "{at_a_time} at a time");
                }
            }
        }
    }

    #[test]
    fn numbers_without_end_are_only_large() {
        let text = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n\n", "9".repeat(9999));
        assert_eq!(looked_through(&text, 10), text);
    }
}
