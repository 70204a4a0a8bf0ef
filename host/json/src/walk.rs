//! One pass over a body: along the path by the rules of JSON, past everything else by its
//! structure.

use std::ops::Range;

use super::{
    BodyError, Pointer,
    pointer::index,
    scan::{Unbalanced, container_end, string_end},
    split::is_json,
    text::{self, EscapeError, is_space},
};

/// The value that the pointer leads to.
#[derive(Debug)]
pub(super) struct Found {
    /// Its text.
    pub(super) range: Range<usize>,
    /// Whether it is an array.
    pub(super) array: bool,
}

/// One pass over a body.
pub(super) struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    /// The way to the value.
    tokens: &'a [String],
    /// Filled with the ranges of the value's elements, when those are wanted and it is an array.
    elements: Option<Vec<Range<usize>>>,
    /// How many of them there may be.
    elements_max: usize,
    /// A value whose end is known.
    passing: Option<Range<usize>>,
}

/// A container on the way to the value, entered and not yet left.
struct Entered {
    object: bool,
    /// No member or element of it has been reached.
    fresh: bool,
    /// The member on the way has been met. Objects only.
    met: bool,
    /// The index of the next element, and the one that is on the way. Arrays only.
    index: usize,
    wanted: Option<usize>,
}

impl<'a> Walk<'a> {
    /// The walk to the value at `pointer`.
    pub(super) fn new(text: &'a [u8], pointer: &'a Pointer) -> Self {
        Self { text, at: 0, tokens: pointer.tokens(), elements: None, elements_max: 0, passing: None }
    }

    /// Notes the ranges of the elements, at most so many, should the value be an array.
    pub(super) fn noting_elements(self, max: usize) -> Self {
        Self { elements: Some(Vec::new()), elements_max: max, ..self }
    }

    /// Goes past this value, should it stand beside the way, as an earlier walk over the same body
    /// did.
    pub(super) fn passing(self, value: Option<Range<usize>>) -> Self {
        Self { passing: value, ..self }
    }

    /// The elements that were noted.
    pub(super) fn into_elements(self) -> Vec<Range<usize>> {
        self.elements.unwrap_or_default()
    }

    /// Reads the whole body; the value that the pointer leads to, if there is one.
    pub(super) fn body(&mut self) -> Result<Option<Found>, BodyError> {
        if self.text.starts_with("\u{feff}".as_bytes()) {
            self.at = 3;
        }
        self.space();
        match self.peek() {
            Some(b'{' | b'[') => {}
            Some(b'<') => return Err(self.not_json("it begins like HTML or XML")),
            // A scalar, about which there is nothing to be lenient.
            Some(_) if is_json(&self.text[self.at..]) => {}
            Some(_) => return Err(self.not_json("it is no JSON value")),
            None => {
                return Err(BodyError::NotJson { reason: "it is empty", at: self.at });
            }
        }
        let found = self.walk()?;
        self.space();
        if self.at < self.text.len() {
            return Err(self.not_json("text goes on after its end"));
        }
        Ok(found)
    }

    /// Steps over the top-level value; what stood at the end of the way.
    fn walk(&mut self) -> Result<Option<Found>, BodyError> {
        let mut found = None;
        let mut way: Vec<Entered> = Vec::new();
        loop {
            // A value on the way: as many tokens as containers are entered have led to it.
            match (self.tokens.get(way.len()), self.peek()) {
                (None, _) => found = Some(self.target()?),
                (Some(token), Some(bracket @ (b'{' | b'['))) => {
                    self.at += 1;
                    way.push(Entered {
                        object: bracket == b'{',
                        fresh: true,
                        met: false,
                        index: 0,
                        wanted: index(token),
                    });
                }
                _ => self.value()?,
            }
            if !self.advance(&mut way)? {
                return Ok(found);
            }
        }
    }

    /// Goes to the next value on the way, leaving containers as they end; false at the end of the
    /// outermost.
    fn advance(&mut self, way: &mut Vec<Entered>) -> Result<bool, BodyError> {
        while let Some(depth) = way.len().checked_sub(1) {
            self.space();
            let inner = &mut way[depth];
            match self.peek() {
                Some(b'}') if inner.object => {
                    self.at += 1;
                    way.pop();
                    continue;
                }
                Some(b']') if !inner.object => {
                    self.at += 1;
                    way.pop();
                    continue;
                }
                _ if inner.fresh => inner.fresh = false,
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                _ if inner.object => return Err(self.not_json("a comma or } should stand here")),
                _ => return Err(self.not_json("a comma or ] should stand here")),
            }
            let on_the_way = if inner.object {
                let at = self.at;
                let this = self.key(&self.tokens[depth])?;
                // Whichever of two were taken, records could be missing.
                if this && std::mem::replace(&mut inner.met, true) {
                    return Err(BodyError::NotJson { reason: "a key stands here a second time", at });
                }
                this
            } else {
                inner.index += 1;
                inner.wanted == Some(inner.index - 1)
            };
            if on_the_way {
                return Ok(true);
            }
            self.value()?;
        }
        Ok(false)
    }

    /// Steps over a key and its colon; whether it is the one on the way.
    fn key(&mut self, token: &str) -> Result<bool, BodyError> {
        if self.peek() != Some(b'"') {
            return Err(self.not_json("a key should stand here"));
        }
        let start = self.at + 1;
        self.at = text::plain_end(self.text, start);
        let matches = if self.peek() == Some(b'"') {
            self.text[start..self.at] == *token.as_bytes()
        } else {
            self.decoded_key(start)?.is_some_and(|key| key == token.as_bytes())
        };
        self.at += 1;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.not_json("a colon should stand here"));
        }
        self.at += 1;
        self.space();
        Ok(matches)
    }

    /// Reads a key with escapes up to its closing quote; none when it holds what no pointer can
    /// name.
    fn decoded_key(&mut self, start: usize) -> Result<Option<Vec<u8>>, BodyError> {
        let mut key = Some(self.text[start..self.at].to_vec());
        loop {
            match self.peek() {
                Some(b'"') => return Ok(key),
                Some(b'\\') => {}
                _ => return Err(self.not_json("a control character stands in a key")),
            }
            match text::escape(self.text, self.at) {
                Ok((character, next)) => {
                    self.at = next;
                    if let Some(key) = &mut key {
                        key.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
                Err(EscapeError::LoneSurrogate) => {
                    self.at += 6;
                    key = None;
                }
                Err(EscapeError::Malformed) => {
                    return Err(self.not_json("a backslash begins no escape"));
                }
            }
            let end = text::plain_end(self.text, self.at);
            if let Some(key) = &mut key {
                key.extend_from_slice(&self.text[self.at..end]);
            }
            self.at = end;
        }
    }

    /// The value at the end of the way.
    fn target(&mut self) -> Result<Found, BodyError> {
        let (start, array) = (self.at, self.peek() == Some(b'['));
        match self.elements.take() {
            Some(elements) if array => self.elements = Some(self.split(elements)?),
            elements => {
                self.elements = elements;
                self.value()?;
            }
        }
        Ok(Found { range: start..self.at, array })
    }

    /// Steps over an array, whatever its elements look like, and notes their ranges.
    fn split(&mut self, mut elements: Vec<Range<usize>>) -> Result<Vec<Range<usize>>, BodyError> {
        elements.clear();
        loop {
            self.at += 1;
            self.space();
            let start = self.at;
            let last = loop {
                match self.peek() {
                    Some(b',') => break false,
                    Some(b']') => break true,
                    Some(b'{' | b'[' | b'"') => self.value()?,
                    Some(b'}') => {
                        return Err(self.not_json("a bracket closes one of the other kind"));
                    }
                    // Takes its meaning from a quote, as it does inside containers.
                    Some(b'\\') if matches!(self.text.get(self.at + 1), Some(b'"' | b'\\')) => self.at += 2,
                    Some(_) => self.at += 1,
                    None => return Err(self.not_json("")),
                }
            };
            let length = self.text[start..self.at].iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
            if !(last && length == 0 && elements.is_empty()) {
                if elements.len() == self.elements_max {
                    return Err(BodyError::TooMany { max: self.elements_max });
                }
                elements.push(start..start + length);
            }
            if last {
                self.at += 1;
                return Ok(elements);
            }
        }
    }

    /// Steps over one value by its structure: matching brackets, a closed string, or a run of other
    /// characters.
    fn value(&mut self) -> Result<(), BodyError> {
        if let Some(known) = self.passing.as_ref().filter(|known| known.start == self.at) {
            self.at = known.end;
            return Ok(());
        }
        match self.peek() {
            Some(b'{' | b'[') => {
                self.at = container_end(self.text, self.at).map_err(|unbalanced| match unbalanced {
                    Unbalanced::CutShort => self.cut_short(),
                    Unbalanced::Mismatched(at) => {
                        BodyError::NotJson { reason: "a bracket closes one of the other kind", at }
                    }
                })?;
            }
            Some(b'"') => self.at = string_end(self.text, self.at).ok_or_else(|| self.cut_short())?,
            _ => {
                let delimiter = |byte: &u8| is_space(*byte) || b",:\"{}[]".contains(byte);
                let rest = &self.text[self.at.min(self.text.len())..];
                let length = rest.iter().position(delimiter).unwrap_or(rest.len());
                if length == 0 {
                    return Err(self.not_json("a value should stand here"));
                }
                self.at += length;
            }
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn cut_short(&self) -> BodyError {
        BodyError::NotJson { reason: "it ends too early", at: self.text.len() }
    }

    fn not_json(&self, reason: &'static str) -> BodyError {
        if self.at < self.text.len() { BodyError::NotJson { reason, at: self.at } } else { self.cut_short() }
    }
}
