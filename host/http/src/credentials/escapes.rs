//! The ways in which an answer may write a character: as it is, as JSON or a programming language
//! escapes it (`\/`, `\u002f`, `\x2f`), as a URL does (`%2f`, `%u002f`) or as HTML does (`&#x2f;`,
//! `&#47` before what is no digit, `&sol;`), in any mixture. A [`View`] is a text with these read,
//! that still knows where each of its bytes came from.

use std::ops::Range;

use memchr::{memchr2, memchr3, memchr3_iter};

/// The longest reference to a character that is read: `&DiacriticalGrave;`. Zeros before a number
/// may fill it.
const REFERENCE_MAX: usize = 18;
/// HTML's names of characters that mean something there. Browsers read these without a semicolon
/// too (HTML, section 13.5).
const MARKUP: [(&str, char); 8] =
    [("amp", '&'), ("AMP", '&'), ("lt", '<'), ("LT", '<'), ("gt", '>'), ("GT", '>'), ("quot", '"'), ("QUOT", '"')];
/// HTML's names of the characters from U+00A0 to U+00FF, in this order. As above.
const LATIN_1: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo", "not", "shy",
    "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot", "cedil", "sup1", "ordm",
    "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig",
    "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve",
    "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute", "THORN",
    "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil", "egrave", "eacute", "ecirc",
    "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde", "ouml",
    "divide", "oslash", "ugrave", "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
];
/// HTML's names of all other characters of ASCII that have one.
const ASCII: [(&str, char); 37] = [
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("apos", '\''),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("midast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lbrack", '['),
    ("lsqb", '['),
    ("bsol", '\\'),
    ("rbrack", ']'),
    ("rsqb", ']'),
    ("Hat", '^'),
    ("UnderBar", '_'),
    ("lowbar", '_'),
    ("DiacriticalGrave", '`'),
    ("grave", '`'),
    ("lbrace", '{'),
    ("lcub", '{'),
    ("VerticalLine", '|'),
    ("verbar", '|'),
    ("vert", '|'),
    ("rbrace", '}'),
    ("rcub", '}'),
];

/// A text with its escapes read.
pub(super) struct View {
    /// The text.
    pub(super) bytes: Vec<u8>,
    runs: Vec<Run>,
}

/// A run of bytes that came unchanged, or one escape.
struct Run {
    /// Where it begins in the view.
    at: usize,
    /// Where it came from.
    from: Range<usize>,
    is_escape: bool,
}

impl View {
    /// Reads the escapes of a text; `None` if there are none.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        memchr3(b'\\', b'%', b'&', text)?;
        let mut view = Self { bytes: Vec::with_capacity(text.len()), runs: Vec::new() };
        let mut copied = 0;
        for start in memchr3_iter(b'\\', b'%', b'&', text) {
            // The second backslash of an escape that was read already.
            if start < copied {
                continue;
            }
            let Some((character, length)) = read(&text[start..]) else { continue };
            view.push(&text[copied..start], copied..start, false);
            view.push(character.as_slice(), start..start + length, true);
            copied = start + length;
        }
        view.push(&text[copied..], copied..text.len(), false);
        Some(view)
    }

    /// Leaves blanks and line breaks out; `None` if there are no line breaks.
    pub(super) fn on_one_line(text: &[u8]) -> Option<Self> {
        memchr2(b'\r', b'\n', text)?;
        let mut view = Self { bytes: Vec::with_capacity(text.len()), runs: Vec::new() };
        let mut start = 0;
        for part in text.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
            view.push(part, start..start + part.len(), false);
            start += part.len() + 1;
        }
        Some(view)
    }

    fn push(&mut self, bytes: &[u8], from: Range<usize>, is_escape: bool) {
        if !bytes.is_empty() {
            self.runs.push(Run { at: self.bytes.len(), from, is_escape });
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Where a part of the view came from. The part must not be empty.
    pub(super) fn origin(&self, part: Range<usize>) -> Range<usize> {
        let run = |at: usize| &self.runs[self.runs.partition_point(|run| run.at <= at).saturating_sub(1)];
        let (first, last) = (run(part.start), run(part.end - 1));
        let start = if first.is_escape { first.from.start } else { first.from.start + (part.start - first.at) };
        let end = if last.is_escape { last.from.end } else { last.from.start + (part.end - last.at) };
        start..end
    }
}

/// The bytes that an escape stands for, at most four.
struct Character {
    bytes: [u8; 4],
    length: usize,
}

impl Character {
    fn byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    fn of(character: char) -> Self {
        let mut bytes = [0; 4];
        let length = character.encode_utf8(&mut bytes).len();
        Self { bytes, length }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The escape that a text begins with, and its length; `None` if that is none.
fn read(text: &[u8]) -> Option<(Character, usize)> {
    match text[0] {
        b'%' if text.get(1) == Some(&b'u') => return read_unicode(text),
        b'%' => return Some((Character::byte(u8::try_from(hex(text.get(1..3)?)?).ok()?), 3)),
        b'&' => return read_reference(text),
        _ => {}
    }
    let byte = match *text.get(1)? {
        byte @ (b'"' | b'\\' | b'/') => byte,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' if text.get(2) == Some(&b'{') => return read_braced(text),
        b'u' => return read_unicode(text),
        b'x' => return Some((Character::byte(u8::try_from(hex(text.get(2..4)?)?).ok()?), 4)),
        _ => return None,
    };
    Some((Character::byte(byte), 2))
}

/// `&amp;`, `&#47;` or `&#x2f;`. Browsers read numbers, and the oldest names, without the
/// semicolon.
fn read_reference(text: &[u8]) -> Option<(Character, usize)> {
    let rest = &text[1..text.len().min(REFERENCE_MAX)];
    let Some(number) = rest.strip_prefix(b"#") else { return read_name(rest) };
    let (base, digits) = match number {
        [b'x' | b'X', digits @ ..] => (16, digits),
        digits => (10, digits),
    };
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(base);
    let digits = &digits[..digits.iter().take_while(is_digit).count()];
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()?;
    let length = 1 + (rest.len() - number.len()) + usize::from(base == 16) + digits.len();
    Some((Character::of(char::from_u32(code)?), length + usize::from(text.get(length) == Some(&b';'))))
}

/// A name, with its semicolon or, if it is one of the oldest, without. `rest` begins behind the
/// `&`.
fn read_name(rest: &[u8]) -> Option<(Character, usize)> {
    let letters = &rest[..rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count()];
    let ended = rest.get(letters.len()) == Some(&b';');
    let latin_1 = || LATIN_1.iter().zip('\u{a0}'..).map(|(name, character)| (*name, character));
    let mut oldest = MARKUP.into_iter().chain(latin_1());
    if ended {
        let mut all = oldest.chain(ASCII);
        let (_, character) = all.find(|(name, _)| name.as_bytes() == letters)?;
        return Some((Character::of(character), letters.len() + 2));
    }
    let (name, character) = oldest.find(|(name, _)| letters.starts_with(name.as_bytes()))?;
    Some((Character::of(character), name.len() + 1))
}

/// `\u{2f}`.
fn read_braced(text: &[u8]) -> Option<(Character, usize)> {
    let digits = &text[3..text.len().min(REFERENCE_MAX)];
    let digits = &digits[..digits.iter().position(|byte| *byte == b'}').filter(|length| *length > 0)?];
    Some((Character::of(char::from_u32(hex(digits)?)?), digits.len() + 4))
}

/// `\u002f` or `%u002f`, or two of them for a character beyond the first 65,536.
fn read_unicode(text: &[u8]) -> Option<(Character, usize)> {
    let unit = hex(text.get(2..6)?)?;
    if let Some(character) = char::from_u32(unit) {
        return Some((Character::of(character), 6));
    }
    let low = text.get(6..8).filter(|start| *start == &text[..2]).and_then(|_| hex(text.get(8..12)?));
    match low {
        Some(low @ 0xdc00..=0xdfff) if unit < 0xdc00 => {
            let character = char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?;
            Some((Character::of(character), 12))
        }
        // Half a character, which no secret has.
        _ => Some((Character::of(char::REPLACEMENT_CHARACTER), 6)),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    let add = |number: u32, digit: &u8| number.checked_mul(16)?.checked_add(char::from(*digit).to_digit(16)?);
    digits.iter().try_fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> String {
        View::of(text.as_bytes()).map_or_else(|| text.to_owned(), |v| String::from_utf8_lossy(&v.bytes).into_owned())
    }

    #[test]
    fn every_way_to_write_a_character_is_read() {
        assert_eq!(seen(r#"a\/b\u002Fc\u002fd%2fe%2F"#), "a/b/c/d/e/");
        assert_eq!(seen(r#"\"\\\n\t"#), "\"\\\n\t");
        assert_eq!(seen(r"\u00e7\ud83d\ude00%C3%A7"), "ç😀ç");
        assert_eq!(seen(r"\\u0041"), r"\u0041");
        assert_eq!(seen("&amp;&lt;&gt;&quot;&apos;&#47;&#x2F;&#X2f;&#x1F600;"), "&<>\"'///😀");
        assert_eq!(seen("&#115&#51&#x67z&#000000114;&amp#&ltx&ccedil&Ccedil;"), "s3gzr&#<xçÇ");
        assert_eq!(seen("&plus;&sol;&lowbar;&equals;&commat;&DiacriticalGrave;&dollar;&NewLine;"), "+/_=@`$\n");
        assert_eq!(seen(r"\x2f\u{2f}\u{1F600}%u002F%ud83d%ude00"), "//😀/😀");
    }

    #[test]
    fn what_is_no_escape_stays_as_it_is() {
        for text in [
            "100% de",
            "%zz",
            "\\x",
            "\\u12",
            "%4",
            "\\",
            "abc",
            "a & b",
            "&",
            "&#;",
            "&#x;",
            "&plus",
            "&#x110000;",
            "&a;",
            "%u12",
            "\\u{}",
            "\\u{zz}",
            "\\x4",
        ] {
            assert_eq!(seen(text), text);
        }
        assert_eq!(seen(r"\ud83d\u0041\udc00"), "\u{fffd}A\u{fffd}");
    }

    #[test]
    fn a_part_of_the_view_is_found_where_it_came_from() {
        let text = r"xx\u0041bc%44yy";
        let view = View::of(text.as_bytes()).unwrap_or_else(|| panic!("it has escapes"));
        assert_eq!(view.bytes, b"xxAbcDyy");
        assert_eq!(&text[view.origin(2..6)], r"\u0041bc%44");
        assert_eq!(&text[view.origin(3..5)], "bc");
        assert_eq!(&text[view.origin(0..3)], r"xx\u0041");
        assert_eq!(&text[view.origin(5..8)], "%44yy");
    }
}
