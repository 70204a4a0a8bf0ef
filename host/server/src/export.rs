//! Records as a file of any size: read a part at a time, and the next only when the part before was
//! taken.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use atlas_model::RawRecord;
use atlas_service::Failure;
use atlas_service::zone::Zone;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{Instrument, Span};

use super::search::{SEARCHED_RECORD_MAX, Search, matching};
use super::session::LET_IN_STILL;
use super::state::AppState;

/// Bytes of a piece.
const PIECE: usize = 64 * 1024;
/// Records that are read at a time, and fewer where they are large.
const READ: i64 = 100;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON object a line (<https://jsonlines.org>).
    JsonLines,
    /// Comma-separated values (RFC 4180), with a header.
    Csv,
    /// The same as Excel opens it where a comma is the decimal point: with semicolons, and a mark
    /// that says it is UTF-8.
    Excel,
}

impl Format {
    /// The format of a name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "jsonl" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "excel" => Some(Self::Excel),
            _ => None,
        }
    }

    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv | Self::Excel => "csv",
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::JsonLines => "application/jsonl",
            Self::Csv | Self::Excel => "text/csv; charset=utf-8; header=present",
        }
    }
}

/// The header that says which records an export leaves out without having looked into them.
const NOT_SEARCHED: HeaderName = HeaderName::from_static("atlas-not-searched");

/// Headers that warn of records which an export leaves out. The file itself cannot say so, and how
/// many there are is known only when all records were read.
pub(super) fn caveat(search: &Search) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if search.looks_inside()
        && let Ok(which) = format!("records of more than {SEARCHED_RECORD_MAX} bytes").parse()
    {
        headers.insert(NOT_SEARCHED, which);
    }
    headers
}

/// Streams every record that a search finds, oldest first, each number as it is written and each
/// time with its zone's offset. A failure breaks the transfer off in the middle, and so does the
/// end of the caller's session or token (`access`), so that no client takes a part for the whole.
/// Fails where too many exports are under way.
pub(super) fn export(
    state: &Arc<AppState>,
    access: i64,
    search: Search,
    format: Format,
    zone: Zone,
) -> Result<impl Stream<Item = std::io::Result<Bytes>> + use<>, Failure> {
    let turn = state.reading()?;
    let header = match format {
        Format::JsonLines => Bytes::new(),
        Format::Csv => Bytes::from_static(b"id,cliente_id,origem,data_coleta,hash_conteudo,payload\r\n"),
        Format::Excel => Bytes::from_static(b"\xef\xbb\xbfid;cliente_id;origem;data_coleta;hash_conteudo;payload\r\n"),
    };
    let export = Export {
        state: Arc::clone(state),
        access,
        search,
        format,
        zone,
        after: 0,
        seen_in: Instant::now(),
        too_large: 0,
        span: Span::current(),
        _turn: turn,
    };
    let parts = stream::unfold(Some(export), async |export| {
        let mut export = export?;
        let span = export.span.clone();
        match export.part().instrument(span).await {
            Ok(Some(part)) => Some((Ok(part), Some(export))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    // Fused, since the compression layer may poll again after the end.
    Ok(stream::once(async move { Ok(header) }).chain(parts).fuse())
}

/// An export, and how far it has come.
struct Export {
    state: Arc<AppState>,
    access: i64,
    search: Search,
    format: Format,
    /// The zone that times are written in.
    zone: Zone,
    /// The last record that was read.
    after: i64,
    /// When the caller's access was last checked.
    seen_in: Instant,
    /// Records that were too large to be looked into.
    too_large: usize,
    /// The span of the request, which ends when its body does.
    span: Span,
    _turn: OwnedSemaphorePermit,
}

impl Export {
    /// Reads and formats the next records that match; `None` at the end.
    async fn part(&mut self) -> std::io::Result<Option<Bytes>> {
        let mut text = String::new();
        while text.is_empty() {
            if self.seen_in.elapsed() >= LET_IN_STILL {
                // While the database does not answer, the access counts as valid.
                if matches!(self.state.atlas.is_let_in(self.access).await, Ok(false)) {
                    return Err(std::io::Error::other("the access was taken away"));
                }
                self.seen_in = Instant::now();
            }
            let read = self.state.atlas.export(&self.search.filter, self.after, READ).await;
            let records = read.map_err(|failure| broken_off(&failure))?;
            let Some(last) = records.last() else {
                self.tell_what_was_left_out();
                return Ok(None);
            };
            self.after = last.id;
            let matching = matching(&self.state, &self.search, records).await;
            let (matching, too_large) = matching.map_err(|failure| broken_off(&failure))?;
            self.too_large += too_large;
            for mut record in matching {
                record.data_coleta = record.data_coleta.map(|at| self.zone.rfc3339(&at));
                let record = &record;
                match self.format {
                    Format::JsonLines => json_line(record, &mut text),
                    Format::Csv => csv_row(record, b',', &mut text),
                    Format::Excel => csv_row(record, b';', &mut text),
                }
            }
        }
        Ok(Some(Bytes::from(text)))
    }
}

impl Export {
    /// Says in the log how many records the search did not look into: they may be wanted as well.
    fn tell_what_was_left_out(&self) {
        if self.too_large > 0 {
            tracing::warn!(
                "an export left out {} record(s) of more than {SEARCHED_RECORD_MAX} bytes, which its search does not \
                 look into",
                self.too_large
            );
        }
    }
}

/// Streams a large response in pieces, and holds its permit until the client has taken the last.
pub(super) fn in_pieces(answer: Bytes, turn: OwnedSemaphorePermit) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let pieces = stream::unfold((answer, turn), |(mut rest, turn)| async move {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok(piece), (rest, turn)))
    });
    pieces.fuse()
}

/// Serialises a large response to JSON, and streams it in pieces that hold its permit.
pub(super) fn large_json(answer: &impl Serialize, turn: OwnedSemaphorePermit) -> Response {
    match serde_json::to_vec(answer) {
        Ok(answer) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, Body::from_stream(in_pieces(answer.into(), turn))).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn broken_off(failure: &Failure) -> std::io::Error {
    std::io::Error::other(failure.causes.first().cloned().unwrap_or_else(|| failure.notice.key.clone()))
}

/// Writes a record as one line of JSON. Its payload goes in unparsed: it is JSON already, and on
/// one line unless another program inserted it.
fn json_line(record: &RawRecord, text: &mut String) {
    let quoted = |value: Option<&str>| serde_json::to_string(&value).unwrap_or_else(|_| "null".to_owned());
    text.push_str(&format!(
        "{{\"id\":{},\"cliente_id\":{},\"origem\":{},\"data_coleta\":{},\"hash_conteudo\":{},\"payload\":",
        record.id,
        record.cliente_id,
        quoted(Some(&record.origem)),
        quoted(record.data_coleta.as_deref()),
        quoted(record.hash_conteudo.as_deref()),
    ));
    // Between JSON's tokens, a line break is nothing but space; within a string it cannot stand.
    text.extend(record.payload.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
    text.push_str("}\n");
}

fn csv_row(record: &RawRecord, delimiter: u8, text: &mut String) {
    let mut writer =
        csv::WriterBuilder::new().delimiter(delimiter).terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // The route is the only cell that begins with neither JSON nor a number, so a spreadsheet could
    // read it as a formula.
    let is_formula = delimiter == b';' && record.origem.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let origem = if is_formula { format!("'{}", record.origem) } else { record.origem.clone() };
    let row = [
        &record.id.to_string(),
        &record.cliente_id.to_string(),
        origem.as_str(),
        record.data_coleta.as_deref().unwrap_or_default(),
        record.hash_conteudo.as_deref().unwrap_or_default(),
        record.payload.as_str(),
    ];
    // Into memory, which takes what it is given.
    let _ = writer.write_record(row);
    text.push_str(&String::from_utf8_lossy(&writer.into_inner().unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &str) -> RawRecord {
        RawRecord {
            id: 7,
            cliente_id: 2151,
            origem: "pe\"d,ido".to_owned(),
            data_coleta: None,
            payload: payload.to_owned(),
            hash_conteudo: Some("ab".to_owned()),
        }
    }

    #[test]
    fn a_line_is_one_json_object_with_the_payload_as_it_is_written() {
        let mut text = String::new();
        json_line(&record("{\"valor\":\n1234567890123456789.10}"), &mut text);
        assert!(text.ends_with("\"payload\":{\"valor\": 1234567890123456789.10}}\n"), "{text}");
        assert_eq!(text.lines().count(), 1);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn what_would_break_a_row_of_csv_is_quoted() {
        let mut text = String::new();
        csv_row(&record("{\"a\":\"b\"}"), b',', &mut text);
        assert_eq!(text, "7,2151,\"pe\"\"d,ido\",,ab,\"{\"\"a\"\":\"\"b\"\"}\"\r\n");
    }

    #[test]
    fn nothing_that_a_connector_named_is_a_formula_in_excel() {
        let mut text = String::new();
        csv_row(&RawRecord { origem: "=1+1".to_owned(), ..record("1.50") }, b';', &mut text);
        assert_eq!(text, "7;2151;'=1+1;;ab;1.50\r\n");
    }
}
