//! Translates reasons, the texts of faults from the system, a library or another crate. They are in
//! English by the time that they are stored or shown; known parts are replaced here, and the rest
//! stands as a quotation.

/// Known texts, with `{}` for a varying part, each with its message. Of several that begin alike
/// the longest stands first; one with `^` is matched at the beginning of a reason alone.
const KNOWN: [(&str, &str); 117] = [
    ("client error (Connect): tcp connect error: ", "detail-no-tcp"),
    ("client error (Connect): tcp connect error", "detail-no-tcp-yet"),
    ("client error (SendRequest): ", "detail-not-sent"),
    ("connection closed before message completed", "detail-closed-early"),
    ("error communicating with database: ", "detail-database-talk"),
    ("pool timed out while waiting for an open connection", "detail-pool"),
    ("expected to read {} bytes, got {} bytes at EOF", "detail-database-eof"),
    ("wait for the database: no answer within {} s", "detail-database-silent"),
    ("failed to lookup address information: Name or service not known", "detail-dns-unknown"),
    ("failed to lookup address information: Temporary failure in name resolution", "detail-dns-later"),
    ("failed to lookup address information: No address associated with hostname", "detail-dns-none"),
    ("Operation not permitted (os error 1)", "detail-os-1"),
    ("No such file or directory (os error 2)", "detail-os-2"),
    ("Input/output error (os error 5)", "detail-os-5"),
    ("Cannot allocate memory (os error 12)", "detail-os-12"),
    ("Permission denied (os error 13)", "detail-os-13"),
    ("File exists (os error 17)", "detail-os-17"),
    ("Not a directory (os error 20)", "detail-os-20"),
    ("Is a directory (os error 21)", "detail-os-21"),
    ("Invalid argument (os error 22)", "detail-os-22"),
    ("Too many open files (os error 24)", "detail-os-24"),
    ("No space left on device (os error 28)", "detail-os-28"),
    ("Read-only file system (os error 30)", "detail-os-30"),
    ("Broken pipe (os error 32)", "detail-os-32"),
    ("File name too long (os error 36)", "detail-os-36"),
    ("Address already in use (os error 98)", "detail-os-98"),
    ("Cannot assign requested address (os error 99)", "detail-os-99"),
    ("Network is unreachable (os error 101)", "detail-os-101"),
    ("Connection reset by peer (os error 104)", "detail-os-104"),
    ("Connection timed out (os error 110)", "detail-os-110"),
    ("Connection refused (os error 111)", "detail-os-111"),
    ("No route to host (os error 113)", "detail-os-113"),
    ("invalid peer certificate: UnknownIssuer", "detail-cert-issuer"),
    (
        "invalid peer certificate: certificate expired: verified at time {} (UNIX), but certificate is not valid after {} (",
        "detail-cert-expired",
    ),
    ("invalid peer certificate: Expired", "detail-cert-expired-plain"),
    (
        "invalid peer certificate: certificate not valid for name {}; certificate is only valid for {}",
        "detail-cert-name",
    ),
    ("invalid peer certificate: NotValidForName", "detail-cert-name-plain"),
    ("TOML parse error at line {}, column {}", "detail-toml"),
    ("EOF while parsing {} at line {} column {}", "detail-json-short"),
    ("expected value at line {} column {}", "detail-json-value"),
    ("expected ident at line {} column {}", "detail-json-ident"),
    ("key must be a string at line {} column {}", "detail-json-key"),
    ("trailing characters at line {} column {}", "detail-json-more"),
    ("trailing comma at line {} column {}", "detail-json-comma"),
    ("expected `,` or `}` at line {} column {}", "detail-json-brace"),
    ("expected `,` or `]` at line {} column {}", "detail-json-bracket"),
    ("expected `:` at line {} column {}", "detail-json-colon"),
    ("missing field `{}`", "detail-field-missing"),
    ("unknown field `{}`, expected one of {}", "detail-field-unknown-of"),
    ("unknown field `{}`, expected {}", "detail-field-unknown"),
    ("unable to open database file", "detail-sqlite-open"),
    ("file is not a database", "detail-sqlite-none"),
    ("database disk image is malformed", "detail-sqlite-malformed"),
    ("database or disk is full", "detail-sqlite-full"),
    ("attempt to write a readonly database", "detail-sqlite-readonly"),
    ("database is locked", "detail-sqlite-locked"),
    ("disk I/O error", "detail-sqlite-io"),
    ("could not connect: ", "detail-no-connection"),
    ("no connection: ", "detail-no-connection-sdk"),
    ("the connection broke before the answer was whole: ", "detail-broke"),
    ("no whole answer in time: ", "detail-late"),
    ("no whole answer within {} s", "detail-late-after"),
    ("nothing came for {} s", "detail-nothing-came"),
    ("it came at less than {} bytes a second while another client waited", "detail-dribbles"),
    ("the answer cannot be read: ", "detail-unreadable"),
    ("it is encoded as {}", "detail-encoded"),
    ("the answer is larger than {} bytes (limit body_bytes)", "detail-too-large"),
    ("the page took longer than {} ms (limit page_wall_ms)", "detail-page-late"),
    ("no memory for guests is left", "detail-no-memory"),
    ("the source asked to be left alone", "detail-left-alone"),
    ("the connector read a wait in the source's answer", "detail-told-wait"),
    ("the day's {} requests are spent", "detail-day-spent"),
    ("the request budget is spent: ", "detail-budget-spent"),
    ("the request budget is empty", "detail-budget-empty"),
    ("the source refused the access token; the page is asked for again with a new one", "detail-token-again"),
    ("the access token could not be renewed: ", "detail-not-renewed"),
    ("the credential was refused: ", "detail-refused"),
    ("the token URL did not answer with a token (RFC 6749, section 5.1)", "detail-no-token"),
    ("the token URL answered ", "detail-token-url"),
    ("the request was not granted: ", "detail-not-granted"),
    ("not a request: ", "detail-no-request"),
    ("not a JSON pointer: ", "detail-no-pointer"),
    ("more than {} redirects", "detail-redirects"),
    ("a redirect to {}, another origin than the granted one", "detail-redirect-elsewhere"),
    ("the file could not be read: ", "detail-file-unread"),
    ("wasm `unreachable` instruction executed", "detail-unreachable"),
    ("no UTF-8 at byte {}", "detail-reject-utf8"),
    ("U+0000 at byte {}", "detail-reject-nul"),
    ("half of a surrogate pair at byte {}", "detail-reject-surrogate"),
    ("a number beyond PostgreSQL's numeric at byte {}", "detail-reject-number"),
    ("the key {} again at byte {}", "detail-reject-key"),
    ("bytes; limit record_bytes ({}), which [limits] of atlas.toml raises", "detail-reject-bytes"),
    ("limit record_depth ({}), which [limits] of atlas.toml raises", "detail-reject-depth"),
    ("^line {}: ", "detail-line"),
    ("unclosed table, expected `]`", "detail-toml-table"),
    ("not granted: ", "detail-not-granted-short"),
    ("invalid type: string {}, expected usize", "detail-want-number"),
    ("invalid type: string {}, expected u64", "detail-want-number-long"),
    ("invalid type: string {}, expected i32", "detail-want-number-short"),
    ("it is not a regular file", "detail-not-regular"),
    ("invalid type: {}, expected {}", "detail-field-type"),
    ("Too many levels of symbolic links (os error 40)", "detail-os-40"),
    ("database \"{}\" does not exist", "detail-pg-database"),
    ("role \"{}\" does not exist", "detail-pg-role"),
    ("password authentication failed for user \"{}\"", "detail-pg-password"),
    ("permission denied for table {}", "detail-pg-table"),
    ("permission denied for sequence {}", "detail-pg-sequence"),
    ("permission denied for schema {}", "detail-pg-schema"),
    ("permission denied to create database", "detail-pg-create"),
    ("cannot execute {} in a read-only transaction", "detail-pg-read-only"),
    ("the server is read-only: a standby perhaps", "detail-pg-standby"),
    (": it is gone", "detail-place-gone"),
    (": it was cut short", "detail-place-short"),
    (": another file stands there", "detail-place-file"),
    (": something else was written over it", "detail-place-over"),
    (": another database was written over it", "detail-place-database"),
    (": the files beside it (-wal, -shm) are gone or others", "detail-place-log"),
];

/// Messages whose reason is the words of the system or of a library, and of nothing else.
const TECHNICAL: [&str; 18] = [
    "componentize-",
    "doctor-error-log-unwritable",
    "end-database-unavailable",
    "error-certificate",
    "error-connector-state",
    "error-connectors-folder",
    "error-cron",
    "error-database",
    "error-engine",
    "error-file-unwritable",
    "error-http",
    "error-key-file",
    "error-listen",
    "error-output",
    "error-serve",
    "error-settings-file",
    "error-text-unreadable",
    "run-store-waiting",
];

/// The longest text that a `{}` stands for.
const DIFFERS_MAX: usize = 2_000;
/// How often a text is gone through: reasons are short, and say two or three things.
const ROUNDS_MAX: usize = 16;

/// A reason in the reader's language, given how a message with up to three arguments is said.
pub(super) fn said(key: &str, reason: &str, say: impl Fn(&str, &[(&str, &str)]) -> String) -> String {
    // A source's answer is quoted word for word.
    let (ours, quoted) = reason.split_at(answer_at(reason).unwrap_or(reason.len()));
    let mut text = ours.to_owned();
    let mut from = 0;
    for _ in 0..ROUNDS_MAX {
        let Some((at, found)) = earliest(&text[from..], from == 0) else { break };
        let names = ["a", "b", "c"];
        let args: Vec<(&str, &str)> = names.into_iter().zip(found.differs.iter().map(String::as_str)).collect();
        let mut said = say(found.message, &args);
        if found.ends_with_blank {
            said.push(' ');
        }
        let at = from + at;
        text.replace_range(at..at + found.length, &said);
        from = at + said.len();
    }
    let is_technical = TECHNICAL.iter().any(|technical| key.starts_with(technical));
    match from == 0 && is_technical && !reason.is_empty() {
        true => say("detail-quoted", &[("text", reason)]),
        false => text + quoted,
    }
}

/// Where the answer of a source begins that is quoted: `HTTP 500: …`.
fn answer_at(reason: &str) -> Option<usize> {
    let is_answer = |at: &usize| {
        let status = &reason.as_bytes()[at + "HTTP ".len()..];
        status.len() > 4 && status[..3].iter().all(u8::is_ascii_digit) && status[3] == b':'
    };
    reason.match_indices("HTTP ").map(|(at, _)| at).find(is_answer)
}

/// Something known that was found in a text.
struct Found {
    message: &'static str,
    length: usize,
    differs: Vec<String>,
    ends_with_blank: bool,
}

/// The first known text in a reason, or in the rest of one, and its place.
fn earliest(text: &str, is_whole: bool) -> Option<(usize, Found)> {
    let all = KNOWN.iter().filter_map(|(pattern, message)| {
        let plain = pattern.trim_start_matches('^');
        let (at, length, differs) = find(text, plain)?;
        if plain != *pattern && (at > 0 || !is_whole) {
            return None;
        }
        Some((at, Found { message, length, differs, ends_with_blank: pattern.ends_with(' ') }))
    });
    all.min_by_key(|(at, _)| *at)
}

/// Where a pattern stands in a text, how long it is there, and what its gaps are.
fn find(text: &str, pattern: &str) -> Option<(usize, usize, Vec<String>)> {
    let mut pieces = pattern.split("{}");
    let first = pieces.next()?;
    let at = text.find(first)?;
    let mut end = at + first.len();
    let mut differs = Vec::new();
    for piece in pieces {
        let rest = &text[end..];
        let gap = match piece.is_empty() {
            // The last one: numbers end by themselves, anything else with the text.
            true => match rest.find(|c: char| !c.is_ascii_digit()) {
                Some(digits) if digits > 0 => digits,
                _ => rest.len(),
            },
            false => rest.find(piece)?,
        };
        if gap > DIFFERS_MAX {
            return None;
        }
        differs.push(rest[..gap].to_owned());
        end += gap + piece.len();
    }
    Some((at, end - at, differs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::{Catalogue, Lang};
    use atlas_model::Notice;

    fn told(lang: Lang, key: &str, reason: &str) -> String {
        Catalogue::new(lang).text(&Notice::new(key).with("reason", reason).with("file", ".env").with("location", "x"))
    }

    #[test]
    fn each_known_text_has_a_message_in_both_languages_and_is_found() {
        for (pattern, message) in KNOWN {
            let text = pattern.trim_start_matches('^').replace("{}", "7");
            let (at, found) = earliest(&text, true).unwrap_or_else(|| panic!("{pattern}"));
            assert_eq!((at, found.length, found.message), (0, text.len(), message), "{pattern}");
            for lang in [Lang::PtBr, Lang::En] {
                let said =
                    Catalogue::new(lang).text(&Notice::new(message).with("a", "1").with("b", "2").with("c", "3"));
                assert!(said != message && !said.contains("{$"), "{message}: {said}");
            }
        }
    }

    #[test]
    fn what_the_system_and_libraries_say_is_told_in_the_readers_language() {
        let portuguese = |reason: &str| told(Lang::PtBr, "error-text-unreadable", reason);
        assert_eq!(portuguese("No such file or directory (os error 2)"), "Não foi possível ler .env: não existe");
        assert_eq!(
            portuguese("expected value at line 1 column 12"),
            "Não foi possível ler .env: não é JSON (linha 1, coluna 12)"
        );
        // What is not known stands as what it is.
        assert_eq!(
            portuguese("stream did not contain valid UTF-8"),
            "Não foi possível ler .env: detalhe técnico: “stream did not contain valid UTF-8”"
        );
        let tried = told(
            Lang::PtBr,
            "run-attempt-reason",
            "no connection: http://127.0.0.1:9: client error (Connect): tcp connect error: Connection refused (os error 111)",
        );
        assert_eq!(tried.trim(), "motivo: sem conexão: http://127.0.0.1:9: não houve conexão TCP: conexão recusada");
    }

    #[test]
    fn what_a_source_answered_is_quoted_word_for_word() {
        let answer = r#"no connection: HTTP 500: {"erro":"database is locked"}"#;
        let said = told(Lang::PtBr, "run-attempt-reason", answer);
        assert!(said.ends_with(r#"sem conexão: HTTP 500: {"erro":"database is locked"}"#), "{said}");
        let connectors = "Limite diário excedido";
        assert!(told(Lang::PtBr, "run-attempt-reason", connectors).ends_with(connectors));
    }
}
