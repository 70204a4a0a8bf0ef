//! Redacts secrets in a source's answers before a connector, a log or a row sees them. A source
//! that echoes its request would otherwise hand the credential to a connector, which is not
//! trusted.
//!
//! A secret is found as it is, in UTF-16 and UTF-32, in hexadecimal (of either case, its bytes
//! together or apart), in Base64 (both alphabets, at any offset in what was encoded, on one line or
//! several), and in each as JSON, URLs and HTML escape them, character by character and up to three
//! times over. It is not found in pieces, hashed or encrypted: the source that received the
//! credential can always pass it on in a form that cannot be recognised.

use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use atlas_model::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::header::{HeaderMap, HeaderValue};
use memchr::memchr;

use super::escapes::View;

/// The replacement of a secret. Shorter than any secret that is looked for, so that no body grows
/// by it, and harmless inside a JSON string and a header.
const MARK: &[u8] = b"***";
/// A shorter secret is not looked for in bodies: records hold such texts by chance, and must stay
/// as they are.
pub(super) const BODY_MIN: usize = 8;
/// Messages are for people, so shorter ones are looked for.
const TEXT_MIN: usize = 4;
/// Escapes within escapes that are read: an answer in a JSON string, in a JSON string, in a URL.
const LEVELS_MAX: usize = 3;
/// Escapes are read in pieces of at least this size, so that the memory for it is bounded.
const PIECE_MIN: usize = 256 * 1024;
/// The most bytes that a secret's bytes are written with on average: `&lowbar;`, each of whose
/// characters may be escaped in turn (`\u0026`).
const BYTES_A_BYTE: usize = 48;
/// What stands between two bytes in hexadecimal: nothing, as in tags and digests; or as in dumps.
const HEX_SEPARATORS: [&str; 4] = ["", " ", ":", "-"];

/// Finds a credential's secrets in answers and messages.
#[derive(Default)]
pub(crate) struct Redactor {
    bodies: Option<Scanner>,
    texts: Option<Scanner>,
    /// Further redactors, applied one after the other.
    others: Vec<Arc<Redactor>>,
}

impl Redactor {
    /// Looks for these secrets.
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let all: Vec<&str> = secrets.into_iter().map(Secret::expose).collect();
        // A host's name in a message is in lower case, whatever it was made of.
        let (bodies, texts) = (Scanner::new(&all, BODY_MIN, false), Scanner::new(&all, TEXT_MIN, true));
        Self { bodies, texts, others: Vec::new() }
    }

    /// Looks for what each of these looks for.
    pub(super) fn of(others: impl IntoIterator<Item = Arc<Redactor>>) -> Self {
        Self { others: others.into_iter().collect(), ..Self::default() }
    }

    /// Whether there is anything to look for in bodies.
    pub(crate) fn is_idle(&self) -> bool {
        self.bodies.is_none() && self.others.iter().all(|other| other.is_idle())
    }

    /// Takes the secrets out of a body; says at how many places they stood.
    pub(crate) fn clean(&self, body: &mut Vec<u8>) -> usize {
        let own = self.bodies.as_ref().map_or(0, |scanner| scanner.clean(body));
        own + self.others.iter().map(|other| other.clean(body)).sum::<usize>()
    }

    /// An answer's headers without the secrets.
    pub(crate) fn clean_headers(&self, mut headers: HeaderMap) -> HeaderMap {
        if self.is_idle() {
            return headers;
        }
        for value in headers.values_mut() {
            let mut bytes = value.as_bytes().to_vec();
            if self.clean(&mut bytes) > 0 {
                // Whole bytes were taken out, so that it still is a value.
                *value = HeaderValue::from_bytes(&bytes).unwrap_or(HeaderValue::from_static("***"));
            }
        }
        headers
    }

    /// A message without the secrets.
    pub(crate) fn clean_text(&self, text: String) -> String {
        let text = self.others.iter().fold(text, |text, other| other.clean_text(text));
        let Some(scanner) = &self.texts else { return text };
        let mut bytes = text.into_bytes();
        scanner.clean(&mut bytes);
        // Whole characters were taken out, if the secret is made of them; else the message loses
        // what is left of one.
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

struct Scanner {
    patterns: AhoCorasick,
    /// Patterns before this one are texts, the others Base64.
    base64_from: usize,
    longest: usize,
}

impl Scanner {
    fn new(secrets: &[&str], min: usize, in_any_case: bool) -> Option<Self> {
        let secrets: Vec<&[u8]> = secrets.iter().map(|s| s.as_bytes()).filter(|s| s.len() >= min).collect();
        let mut patterns: Vec<Vec<u8>> = secrets.iter().map(|secret| secret.to_vec()).collect();
        // A form writes a space as `+`.
        let spaced = secrets.iter().filter(|secret| memchr(b' ', secret).is_some());
        patterns.extend(spaced.map(|s| s.iter().map(|b| if *b == b' ' { b'+' } else { *b }).collect()));
        // A secret that contains an escape is unescaped too wherever the text has another escape.
        patterns.extend(secrets.iter().filter_map(|s| View::of(s)).map(|view| view.bytes).filter(|s| s.len() >= min));
        patterns.extend(secrets.iter().flat_map(|secret| in_wide_characters(secret)));
        patterns.extend(secrets.iter().flat_map(|secret| in_hexadecimal(secret)));
        let base64_from = patterns.len();
        patterns.extend(secrets.iter().flat_map(|secret| in_base64(secret)));
        let in_urls = secrets.iter().map(|s| url::form_urlencoded::byte_serialize(s).collect::<String>());
        patterns.extend(in_urls.flat_map(|secret| in_base64(secret.as_bytes())));
        let longest = patterns.iter().map(Vec::len).max()?;
        let mut builder = AhoCorasick::builder();
        let built = builder.match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(in_any_case).build(patterns);
        // Patterns are few and short; this many fit any automaton.
        Some(Self { patterns: built.ok()?, base64_from, longest })
    }

    fn clean(&self, body: &mut Vec<u8>) -> usize {
        let mut found = Vec::new();
        self.look(body, &|part| part, &mut found);
        let overlap = self.longest * BYTES_A_BYTE + 64;
        let step = PIECE_MIN.max(3 * overlap);
        let mut start = 0;
        while start < body.len() {
            let end = body.len().min(start + step + overlap);
            let piece = start;
            let origin = |part: Range<usize>| part.start + piece..part.end + piece;
            self.look_across_lines(&body[start..end], &origin, &mut found);
            self.look_behind_escapes(&body[start..end], LEVELS_MAX, &origin, &mut found);
            start += step;
        }
        if found.is_empty() {
            return 0;
        }
        replace(body, found)
    }

    /// Notes where the secrets stand in a text; `origin` says where in the body a part of the text
    /// came from.
    fn look(&self, text: &[u8], origin: &dyn Fn(Range<usize>) -> Range<usize>, found: &mut Vec<Range<usize>>) {
        for hit in self.patterns.find_iter(text) {
            let mut part = hit.start()..hit.end();
            if hit.pattern().as_usize() >= self.base64_from {
                // The characters at the edges hold some of the secret's bits as well.
                let edge = |b: &&u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(b);
                part.start -= text[..part.start].iter().rev().take(1).take_while(edge).count();
                part.end += text[part.end..].iter().take(2).take_while(edge).count();
            }
            found.push(origin(part));
        }
    }

    /// The same for Base64 alone, as mail and some libraries break it into lines.
    fn look_across_lines(
        &self,
        text: &[u8],
        origin: &dyn Fn(Range<usize>) -> Range<usize>,
        found: &mut Vec<Range<usize>>,
    ) {
        let Some(view) = View::on_one_line(text) else { return };
        let hits = self.patterns.find_iter(&view.bytes).filter(|hit| hit.pattern().as_usize() >= self.base64_from);
        found.extend(hits.map(|hit| origin(view.origin(hit.start()..hit.end()))));
    }

    fn look_behind_escapes(
        &self,
        text: &[u8],
        levels: usize,
        origin: &dyn Fn(Range<usize>) -> Range<usize>,
        found: &mut Vec<Range<usize>>,
    ) {
        let Some(view) = View::of(text).filter(|_| levels > 0) else { return };
        let through = |part: Range<usize>| origin(view.origin(part));
        self.look(&view.bytes, &through, found);
        self.look_across_lines(&view.bytes, &through, found);
        if view.bytes.len() < text.len() {
            self.look_behind_escapes(&view.bytes, levels - 1, &through, found);
        }
    }
}

/// A secret as it looks inside of something that was encoded in Base64, wherever it begins there:
/// without the characters at its edges, which its neighbours change.
fn in_base64(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut patterns = Vec::new();
    for offset in 0..3 {
        let shifted = [&[0; 2][..offset.min(2)], secret].concat();
        let (first, last) = ((offset * 8).div_ceil(6), shifted.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let pattern = encoded.as_bytes()[first..last].to_vec();
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    patterns
}

/// A secret in UTF-16 and UTF-32, of either byte order: an answer need not say that it is that.
fn in_wide_characters(secret: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(secret) else { return Vec::new() };
    let (units, characters) = (|| text.encode_utf16(), || text.chars().map(u32::from));
    vec![
        units().flat_map(u16::to_le_bytes).collect(),
        units().flat_map(u16::to_be_bytes).collect(),
        characters().flat_map(u32::to_le_bytes).collect(),
        characters().flat_map(u32::to_be_bytes).collect(),
    ]
}

/// A secret in hexadecimal, of either case.
fn in_hexadecimal(secret: &[u8]) -> Vec<Vec<u8>> {
    let digits: Vec<String> = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let lower = HEX_SEPARATORS.map(|separator| digits.join(separator));
    lower.into_iter().flat_map(|text| [text.to_uppercase().into_bytes(), text.into_bytes()]).collect()
}

/// Puts the mark in the place of each range; ranges may overlap. Gives how many marks there are.
fn replace(body: &mut Vec<u8>, mut found: Vec<Range<usize>>) -> usize {
    found.sort_by_key(|range| range.start);
    let mut cleaned = Vec::with_capacity(body.len());
    let (mut kept_to, mut marks) = (0, 0);
    for range in found {
        if range.start >= kept_to {
            cleaned.extend_from_slice(&body[kept_to..range.start]);
            let secret = &body[range.clone()];
            if secret.contains(&0) {
                // Characters of several bytes stay as wide as they are, or those after them could
                // not be read any more.
                cleaned.extend(secret.iter().map(|byte| if *byte == 0 { 0 } else { MARK[0] }));
            } else {
                cleaned.extend_from_slice(MARK);
            }
            marks += 1;
        }
        kept_to = kept_to.max(range.end);
    }
    cleaned.extend_from_slice(&body[kept_to..]);
    zeroize::Zeroize::zeroize(body);
    *body = cleaned;
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redactor(secret: &str) -> Redactor {
        Redactor::new([&Secret::new(secret.to_owned())])
    }

    fn cleaned(secret: &str, body: &str) -> String {
        let mut bytes = body.as_bytes().to_vec();
        redactor(secret).clean(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    const SECRET: &str = "s3gr\"do/+ç~x";

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let json = serde_json::to_string(SECRET).unwrap_or_default();
        let url: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let all_escaped: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        let php = json.replace('/', "\\/").replace('ç', "\\u00e7");
        let within = serde_json::to_string(&format!("{{\"a\":{php}}}")).unwrap_or_default();
        let twice = within.replace('%', "%25").replace('\\', "%5C").replace('"', "%22");
        let ways = [SECRET, &json, &url, &url.to_lowercase(), &all_escaped, &php, &within, &twice];
        for way in ways {
            let body = cleaned(SECRET, &format!("antes {way} depois"));
            assert!(body.starts_with("antes ") && body.ends_with(" depois") && body.contains("***"), "{way}: {body}");
            assert!(!body.contains("gr"), "{way}: {body}");
        }
    }

    #[test]
    fn a_secret_is_found_in_base64_at_every_offset() {
        for before in ["", "u", "us", "user:"] {
            for after in ["", "z", "zz", "zzz"] {
                let text = format!("{before}{SECRET}{after}");
                for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let escaped = encoded.replace('/', "\\/");
                    for way in [format!("\"{encoded}==\""), format!("\"{escaped}\"")] {
                        let body = cleaned(SECRET, &way);
                        assert!(body.contains("***"), "{way}: {body}");
                        assert!(body.len() <= way.len() - SECRET.len(), "{way}: {body}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_secret_is_found_in_base64_of_several_lines() {
        let long = Secret::new("0123456789abcdef".repeat(6));
        let encoded = STANDARD_NO_PAD.encode(format!("user:{}", long.expose()));
        let lines = |width: usize, end: &str| {
            let lines: Vec<&str> =
                (0..encoded.len()).step_by(width).map(|at| &encoded[at..encoded.len().min(at + width)]).collect();
            lines.join(end)
        };
        for way in [lines(76, "\r\n"), lines(60, "\n"), lines(60, "\\n"), lines(64, "\n  "), lines(76, "%0D%0A")] {
            let mut body = format!("{{\"eco\": \"{way}\"}}").into_bytes();
            assert!(Redactor::new([&long]).clean(&mut body) > 0, "{way}");
            assert!(body.len() < 40, "{}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn a_secret_is_found_in_wide_characters_and_what_follows_stays_readable() {
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let wide = |text: &str| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
            let mut body = wide("antes segredo-longo depois");
            assert_eq!(redactor("segredo-longo").clean(&mut body), 1);
            assert_eq!(body, wide("antes ************* depois"));
        }
        let mut body: Vec<u8> = "segredo-longo".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        assert_eq!(redactor("segredo-longo").clean(&mut body), 1);
    }

    #[test]
    fn a_secret_is_found_as_html_writes_it() {
        for way in [
            "s3gr&quot;do&sol;&plus;&ccedil;~x",
            "s3gr&quotdo&#x2F;&plus;&ccedil~x",
            "&#115&#51&#103&#114&#34&#100&#111&#47&#43&#231&#126&#120",
            "&#x73&#x33&#x67&#x72&#x22&#x64&#x6f&#x2f&#x2b&#xe7&#x7e&#x78",
            "s3gr&quot;do&#x2F;+&#231;~x",
            "s3gr&#34;do/&#43;&#xE7;~x",
            "&#x73;3gr&quot;do&#47;+ç~x",
        ] {
            assert_eq!(cleaned(SECRET, &format!("<b>{way}</b>")), "<b>***</b>", "{way}");
        }
    }

    #[test]
    fn a_secret_is_found_in_hexadecimal() {
        for separator in HEX_SEPARATORS {
            let hex: Vec<String> = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
            let hex = hex.join(separator);
            for way in [hex.to_uppercase(), hex.clone(), hex.replace('a', "\\u0061")] {
                assert_eq!(cleaned(SECRET, &format!("W/\"{way}\"")), "W/\"***\"", "{way}");
            }
            let within = format!("0x75{separator}3a{separator}{hex}");
            assert!(!cleaned(SECRET, &within).contains(&hex), "{within}");
        }
    }

    #[test]
    fn a_message_shows_no_secret_in_another_case() {
        assert_eq!(
            redactor("AbCdEfGh").clean_text("redirect to https://abcdefgh.example".into()),
            "redirect to https://***.example"
        );
    }

    #[test]
    fn a_secret_that_looks_escaped_itself_is_found_beside_an_escape() {
        let secret = r#"a%20bcd"ef\u0041gh"#;
        assert_eq!(cleaned(secret, r#""a%20bcd\"ef\\u0041gh""#), "\"***\"");
        assert_eq!(cleaned(secret, r#""a%20bcd\u0022ef\\u0041gh""#), "\"***\"");
    }

    #[test]
    fn what_is_no_secret_is_left_to_the_byte() {
        let body = r#"{"a":"s3gr\"do/+ç~","b":"\u00e7 100% \\ %41","c":"czNnciJkby8"}"#;
        assert_eq!(cleaned(SECRET, body), body);
        assert_eq!(cleaned("curto", "curto"), "curto");
    }

    #[test]
    fn a_secret_across_the_pieces_of_a_long_body_is_found() {
        let escaped: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        for shift in 0..120 {
            let body = format!("{}{escaped}{}", "y".repeat(PIECE_MIN - shift), "y".repeat(1000));
            assert!(cleaned(SECRET, &body).contains("***"), "{shift}");
        }
    }

    #[test]
    fn a_message_shows_not_even_a_short_secret() {
        assert_eq!(redactor("abcd").clean_text("HTTP 401: abcd não vale".into()), "HTTP 401: *** não vale");
        assert_eq!(redactor("abc").clean_text("abc".into()), "abc");
    }

    proptest! {
        #[test]
        fn no_mixture_of_escapes_hides_a_secret(
            secret in "[!-~]{8,40}",
            ways in prop::collection::vec(0_u8..12, 40),
            before in "[a-z \"]{0,8}",
        ) {
            let mut written = String::new();
            for (c, way) in secret.chars().zip(ways) {
                let next = match (way, c) {
                    (0, c) => format!("\\u{:04x}", u32::from(c)),
                    (1, c) => format!("\\u{:04X}", u32::from(c)),
                    (2, c) => format!("%{:02x}", u32::from(c)),
                    (3, c) => format!("%{:02X}", u32::from(c)),
                    (4, c) => format!("&#{};", u32::from(c)),
                    (5, c) => format!("&#x{:X};", u32::from(c)),
                    (6, c) => format!("&#{}", u32::from(c)),
                    (7, c) => format!("&#x{:x}", u32::from(c)),
                    (8, c) => format!("\\x{:02x}", u32::from(c)),
                    (9, c) => format!("%u{:04x}", u32::from(c)),
                    (10, '+') => "&plus;".to_owned(),
                    (10, '_') => "&lowbar;".to_owned(),
                    (10, '=') => "&equals;".to_owned(),
                    (_, '"' | '\\' | '/') => format!("\\{c}"),
                    (_, '%') => "%25".to_owned(),
                    (_, '&') => "&amp;".to_owned(),
                    (_, c) => c.to_string(),
                };
                // A number without its semicolon ends where no digit and no semicolon follows.
                let number = written.rsplit("&#").next().filter(|rest| rest.len() < written.len());
                let open = number.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'x'));
                if open && next.starts_with(|c: char| c.is_ascii_hexdigit() || c == ';' || c == 'x') {
                    written.push(';');
                }
                written.push_str(&next);
            }
            let body = cleaned(&secret, &format!("{before}{written}|fim"));
            prop_assert_eq!(body, format!("{}***|fim", before));
        }
    }
}
