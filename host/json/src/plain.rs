//! JSON the plain way: a tree, its reader and its spellings, a scanner byte by byte. The code that
//! reads what sources send is quick, and not easy to see through; this is what tests and fuzzing
//! hold it against, and nothing else uses it.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::IgnoredAny;

/// A JSON value whose numbers are texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Word(&'static str),
    Number(String),
    Text(String),
    Array(Vec<Tree>),
    Object(BTreeMap<String, Tree>),
}

impl Tree {
    /// The canonical form by its definition: serde_json writes strings in the very same spelling.
    pub(super) fn canonical(&self) -> String {
        let string = |text: &String| serde_json::to_string(text).expect("a string can be written");
        let join = |parts: Vec<String>| parts.join(",");
        match self {
            Self::Word(word) => (*word).to_owned(),
            Self::Number(number) => number.clone(),
            Self::Text(text) => string(text),
            Self::Array(elements) => format!("[{}]", join(elements.iter().map(Self::canonical).collect())),
            Self::Object(members) => {
                let member = |(key, value): (&String, &Self)| format!("{}:{}", string(key), value.canonical());
                format!("{{{}}}", join(members.iter().map(member).collect()))
            }
        }
    }

    /// Some spelling of it: space, order of keys, escapes.
    pub(super) fn spelled(&self, seed: u64) -> String {
        let mut out = String::new();
        Dice(seed).spell(self, &mut out);
        out
    }

    /// The value at a place.
    pub(super) fn at(&self, tokens: &[String]) -> Option<&Self> {
        let Some((token, rest)) = tokens.split_first() else {
            return Some(self);
        };
        match self {
            Self::Object(members) => members.get(token)?.at(rest),
            Self::Array(elements) => {
                let index = token.parse::<usize>().ok().filter(|index| index.to_string() == *token)?;
                elements.get(index)?.at(rest)
            }
            _ => None,
        }
    }

    /// The same without what stands at some places. `here` is where this value stands.
    pub(super) fn without(&self, here: &str, places: &[String]) -> Self {
        match self {
            Self::Object(members) => {
                let kept = members.iter().map(|(key, value)| (below(here, key), key, value));
                let kept = kept.filter(|(place, ..)| !places.contains(place));
                Self::Object(kept.map(|(place, key, value)| (key.clone(), value.without(&place, places))).collect())
            }
            Self::Array(elements) => {
                let kept = elements.iter().enumerate().map(|(index, value)| (format!("{here}/{index}"), value));
                let kept = kept.filter(|(place, _)| !places.contains(place));
                Self::Array(kept.map(|(place, value)| value.without(&place, places)).collect())
            }
            scalar => scalar.clone(),
        }
    }
}

/// The place of a member.
pub(super) fn below(here: &str, key: &str) -> String {
    format!("{here}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Choices without end, from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn space(&mut self, out: &mut String) {
        let spaces = ["", "", "", " ", "\n", "\t\r ", "  "];
        out.push_str(spaces[self.roll(spaces.len() as u64) as usize]);
    }

    fn text(&mut self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            let must = matches!(character, '"' | '\\' | '\0'..='\u{1f}');
            match (self.roll(4), character) {
                (0 | 1, '"' | '\\' | '/') => out.extend(['\\', character]),
                (0, '\n') => out.push_str("\\n"),
                (0, '\t') => out.push_str("\\t"),
                (0, '\u{8}') => out.push_str("\\b"),
                (0, '\u{c}') => out.push_str("\\f"),
                (0, '\r') => out.push_str("\\r"),
                (choice, _) if must || choice == 3 => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let upper = self.roll(2) == 0;
                        out.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
                    }
                }
                _ => out.push(character),
            }
        }
        out.push('"');
    }

    fn spell(&mut self, tree: &Tree, out: &mut String) {
        self.space(out);
        match tree {
            Tree::Word(word) => out.push_str(word),
            Tree::Number(number) => out.push_str(number),
            Tree::Text(text) => self.text(text, out),
            Tree::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.spell(element, out);
                }
                self.space(out);
                out.push(']');
            }
            Tree::Object(members) => {
                out.push('{');
                let mut members: Vec<_> = members.iter().collect();
                for last in (1..members.len()).rev() {
                    members.swap(last, self.roll(last as u64 + 1) as usize);
                }
                for (index, (key, value)) in members.into_iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.space(out);
                    self.text(key, out);
                    self.space(out);
                    out.push(':');
                    self.spell(value, out);
                }
                self.space(out);
                out.push('}');
            }
        }
        self.space(out);
    }
}

/// Whether a text is JSON by its grammar, as serde_json has it.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Reads what [`is_json`], and tells for which reasons it could not be kept as a record, by their
/// codes. What stands in more levels than there may be is not read.
pub(super) fn read(text: &str, max_depth: usize) -> (Tree, BTreeSet<&'static str>) {
    let mut reader = Reader { text, at: 0, faults: BTreeSet::new() };
    (reader.value(max_depth), reader.faults)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    faults: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    fn value(&mut self, levels: usize) -> Tree {
        self.space();
        let tree = match self.peek() {
            b'{' | b'[' if levels == 0 => {
                self.faults.insert("too_deep");
                self.at += container_end(&self.text.as_bytes()[self.at..]).expect("brackets match in JSON");
                Tree::Array(Vec::new())
            }
            b'{' => Tree::Object(self.members(levels - 1)),
            b'[' => Tree::Array(self.elements(levels - 1)),
            b'"' => Tree::Text(self.string()),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        };
        self.space();
        tree
    }

    fn elements(&mut self, levels: usize) -> Vec<Tree> {
        let mut elements = Vec::new();
        self.at += 1;
        self.space();
        while !self.ends(b']') {
            elements.push(self.value(levels));
        }
        elements
    }

    fn members(&mut self, levels: usize) -> BTreeMap<String, Tree> {
        let mut members = BTreeMap::new();
        self.at += 1;
        self.space();
        while !self.ends(b'}') {
            self.space();
            let key = self.string();
            self.space();
            self.at += 1;
            if members.insert(key, self.value(levels)).is_some() {
                self.faults.insert("duplicate_key");
            }
        }
        members
    }

    /// Steps over the bracket that ends a container, which is true, or over a comma, should either
    /// stand here.
    fn ends(&mut self, bracket: u8) -> bool {
        let here = self.peek();
        self.at += usize::from(here == bracket || here == b',');
        here == bracket
    }

    fn string(&mut self) -> String {
        let quoted = self.take(|text| {
            let mut at = 1;
            while text[at] != b'"' {
                at += if text[at] == b'\\' { 2 } else { 1 };
            }
            at + 1
        });
        // Its grammar is known to be right, which leaves the halves of surrogate pairs.
        let Ok(text) = serde_json::from_str::<String>(quoted) else {
            self.faults.insert("lone_surrogate");
            // It may have both faults; a reader from the front may meet either first.
            if escapes(quoted).any(|escape| escape.starts_with("u0000")) {
                self.faults.insert("nul_character");
            }
            return quoted.to_owned();
        };
        if text.contains('\0') {
            self.faults.insert("nul_character");
        }
        text
    }

    fn word(&mut self, word: &'static str) -> Tree {
        self.at += word.len();
        Tree::Word(word)
    }

    fn number(&mut self) -> Tree {
        let number =
            self.take(|text| text.iter().take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)).count());
        if !is_storable(number) {
            self.faults.insert("number_out_of_range");
        }
        Tree::Number(number.to_owned())
    }

    /// Steps over as many bytes as `length` says of the rest.
    fn take(&mut self, length: impl Fn(&[u8]) -> usize) -> &'a str {
        let rest = &self.text[self.at..];
        let length = length(rest.as_bytes());
        self.at += length;
        &rest[..length]
    }

    fn space(&mut self) {
        self.at = self.text.len() - trim_start(&self.text.as_bytes()[self.at..]).len();
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes()[self.at]
    }
}

/// Whether PostgreSQL's `numeric` holds a number: at most 131,072 digits before the point and
/// 16,383 after it, once the exponent has moved the point.
fn is_storable(number: &str) -> bool {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let Some(exponent) = exponent.parse::<i64>().ok().filter(|exponent| exponent.unsigned_abs() < 1_073_741_823) else {
        return false;
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let after_the_point = fraction.len() as i64 - exponent;
    let digits = format!("{}{fraction}", integer.trim_start_matches('-'));
    let significant = digits.trim_start_matches('0');
    after_the_point <= 16_383 && (significant.is_empty() || significant.len() as i64 - after_the_point <= 131_072)
}

/// A text without the space before it.
pub(super) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = text {
        text = rest;
    }
    text
}

/// A text without the space behind it.
pub(super) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t' | b'\n' | b'\r'] = text {
        text = rest;
    }
    text
}

/// Where the container or string at the beginning of a text ends, byte by byte.
pub(super) fn container_end(text: &[u8]) -> Option<usize> {
    let (mut open, mut in_string, mut escaped) = (Vec::new(), false, false);
    for (at, byte) in text.iter().enumerate() {
        if std::mem::take(&mut escaped) {
            // Only a quote's meaning changes, in a string or out.
            if matches!(byte, b'"' | b'\\') {
                continue;
            }
        }
        match byte {
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => open.push(*byte + 2),
            b'}' | b']' if !in_string => {
                if open.pop() != Some(*byte) {
                    return None;
                }
                if open.is_empty() {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// What follows each backslash of a string, where that is not itself one that another escapes.
fn escapes(quoted: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += quoted[at..].find('\\')? + 1;
        let escape = &quoted[at..];
        // The character that is escaped is ASCII.
        at += 1;
        Some(escape)
    })
}
