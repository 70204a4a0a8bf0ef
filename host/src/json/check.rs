//! The first pass: reads a record by RFC 8259 and the extra rules, writes it flat, and notes what must move.
//!
//! The position is handed from function to function rather than kept in [`Check`]: so it stays in a register, which is worth a
//! third of the time.

use super::{
    Rejection,
    members::{Keys, Member, small, sort},
    numeric,
    render::{Renderer, Segment},
    text::{self, EscapeError},
    unhashed::{Place, Step, Unhashed},
};

/// What the first pass keeps in mind.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The containers around the current position.
    open: Vec<Open>,
    /// The members met so far of the objects in `open`, and the elements of those arrays that lead to an unhashed place.
    members: Vec<Member>,
    /// Keys that are spelled with escapes, decoded.
    decoded: Vec<u8>,
}

impl Work {
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.members.clear();
        self.decoded.clear();
    }

    pub(super) fn shrink_to(&mut self, capacity: usize) {
        self.open.shrink_to(capacity);
        self.members.shrink_to(capacity);
        self.decoded.shrink_to(capacity);
    }
}

/// A container whose end has not been seen.
#[derive(Debug)]
struct Open {
    object: bool,
    /// Whether its members must be copied one by one: keys that do not ascend, or something left out.
    moved: bool,
    place: Place,
    /// Where its bracket stands in `flat`.
    start: u32,
    /// Its first in `members`.
    first: u32,
    /// Elements begun. Counted only in arrays that lead to an unhashed place.
    elements: u32,
    /// How many containers had moved when its current member began.
    moved_before: u32,
}

/// The first pass over one record, which is known to be UTF-8.
pub(super) struct Check<'a> {
    text: &'a [u8],
    /// From here to the current position the text is in canonical form, and not yet in `flat`.
    run: usize,
    unhashed: &'a Unhashed,
    flat: &'a mut Vec<u8>,
    work: &'a mut Work,
    renderer: &'a mut Renderer,
}

impl<'a> Check<'a> {
    /// The buffers are empty.
    pub(super) fn new(
        text: &'a [u8],
        unhashed: &'a Unhashed,
        flat: &'a mut Vec<u8>,
        work: &'a mut Work,
        renderer: &'a mut Renderer,
    ) -> Self {
        Self {
            text,
            run: 0,
            unhashed,
            flat,
            work,
            renderer,
        }
    }

    /// Reads the whole record.
    pub(super) fn record(mut self, max_depth: usize) -> Result<(), Rejection> {
        let mut place = self.unhashed.root();
        let mut at = self.space(0);
        'value: loop {
            match self.peek(at) {
                Some(b'"') => at = self.string(at, false)?,
                Some(bracket @ (b'{' | b'[')) => {
                    if self.work.open.len() >= max_depth {
                        return Err(Rejection::TooDeep { limit: max_depth });
                    }
                    let object = bracket == b'{';
                    self.open(at, object, place);
                    at = self.space(at + 1);
                    match self.peek(at) {
                        Some(b'}') if object => at = self.close(at)?,
                        Some(b']') if !object => at = self.close(at)?,
                        _ if object => {
                            (at, place) = self.key(at)?;
                            continue 'value;
                        }
                        _ => {
                            place = self.element(at);
                            continue 'value;
                        }
                    }
                }
                Some(b'-' | b'0'..=b'9') => at = self.number(at)?,
                Some(b't') => at = self.literal(at, b"true")?,
                Some(b'f') => at = self.literal(at, b"false")?,
                Some(b'n') => at = self.literal(at, b"null")?,
                _ => return Err(self.not_json(at, "a value should stand here")),
            }
            // A whole value stands behind us: on to the next, out of as many containers as end here.
            loop {
                at = self.space(at);
                let Some(object) = self.work.open.last().map(|open| open.object) else {
                    return self.finish(at);
                };
                match self.peek(at) {
                    Some(b',') => {
                        self.end_member(at);
                        at = self.space(at + 1);
                        if object {
                            (at, place) = self.key(at)?;
                        } else {
                            place = self.element(at);
                        }
                        continue 'value;
                    }
                    Some(b'}') if object => {
                        self.end_member(at);
                        at = self.close(at)?;
                    }
                    Some(b']') if !object => {
                        self.end_member(at);
                        at = self.close(at)?;
                    }
                    _ if object => return Err(self.not_json(at, "a comma or } should stand here")),
                    _ => return Err(self.not_json(at, "a comma or ] should stand here")),
                }
            }
        }
    }

    fn finish(&mut self, at: usize) -> Result<(), Rejection> {
        if at < self.text.len() {
            return Err(self.not_json(at, "text goes on after the value"));
        }
        self.flush(at);
        Ok(())
    }

    #[inline(always)]
    fn peek(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// Where the byte at `at` will stand in `flat`.
    #[inline(always)]
    fn flat_position(&self, at: usize) -> u32 {
        small(self.flat.len() + (at - self.run))
    }

    /// Copies what is in canonical form up to `at`.
    fn flush(&mut self, at: usize) {
        self.flat.extend_from_slice(&self.text[self.run..at]);
        self.run = at;
    }

    #[cold]
    fn not_json(&self, at: usize, reason: &'static str) -> Rejection {
        let reason = if at < self.text.len() {
            reason
        } else {
            "the record ends too early"
        };
        Rejection::NotJson { reason, at }
    }

    #[inline(always)]
    fn space(&mut self, at: usize) -> usize {
        if self.peek(at).is_some_and(|byte| byte <= b' ') {
            self.skip_space(at)
        } else {
            at
        }
    }

    fn skip_space(&mut self, at: usize) -> usize {
        let mut end = at;
        while self.peek(end).is_some_and(text::is_space) {
            end += 1;
        }
        if end > at {
            self.flush(at);
            self.run = end;
        }
        end
    }

    fn open(&mut self, at: usize, object: bool, place: Place) {
        self.work.open.push(Open {
            object,
            moved: false,
            place,
            start: self.flat_position(at),
            first: small(self.work.members.len()),
            elements: 0,
            moved_before: 0,
        });
    }

    /// Steps over a closing bracket, and settles the order of what stood inside.
    fn close(&mut self, at: usize) -> Result<usize, Rejection> {
        let end = self.flat_position(at);
        let Some(open) = self.work.open.pop() else {
            return Ok(at + 1);
        };
        let first = open.first as usize;
        if open.moved {
            let members = &mut self.work.members[first..];
            if open.object {
                sort(
                    members,
                    Keys {
                        text: self.text,
                        decoded: &self.work.decoded,
                    },
                )?;
            }
            let kept = members.iter().filter(|member| !member.left_out);
            self.renderer
                .add((open.start, end), kept.map(|member| member.segment));
        }
        self.work.members.truncate(first);
        Ok(at + 1)
    }

    /// Reads a key and its colon; where its value stands, in the record and on the way to what is left out.
    #[inline(always)]
    fn key(&mut self, at: usize) -> Result<(usize, Place), Rejection> {
        if self.peek(at) != Some(b'"') {
            return Err(self.not_json(at, "a key should stand here"));
        }
        let start = self.flat_position(at);
        let decoded_before = self.work.decoded.len();
        let end = self.string(at, true)?;
        let decoded_after = self.work.decoded.len();
        let colon = self.space(end);
        if self.peek(colon) != Some(b':') {
            return Err(self.not_json(colon, "a colon should stand here"));
        }
        let value = self.space(colon + 1);

        // A key with an escape is not empty.
        let key_decoded = decoded_after > decoded_before;
        let range = if key_decoded {
            (decoded_before, decoded_after)
        } else {
            (at + 1, end - 1)
        };
        let keys = Keys {
            text: self.text,
            decoded: &self.work.decoded,
        };
        let segment = Segment {
            start,
            end: start,
            nested: false,
        };
        let mut member = Member::new(at, range, key_decoded, segment, keys);
        let mut inside = Place::NOWHERE;
        if let Some(open) = self.work.open.last_mut() {
            if open.place != Place::NOWHERE {
                match self.unhashed.member(open.place, member.key(keys)) {
                    Step::Into(place) => inside = place,
                    Step::LeaveOut => (member.left_out, open.moved) = (true, true),
                }
            }
            if !open.moved
                && let Some(last) = self.work.members[open.first as usize..].last()
            {
                open.moved = !last.before(&member, keys);
            }
            open.moved_before = self.renderer.moved();
        }
        self.work.members.push(member);
        Ok((value, inside))
    }

    /// Begins an element; its place. Only elements on the way to an unhashed place are remembered.
    #[inline(always)]
    fn element(&mut self, at: usize) -> Place {
        let start = self.flat_position(at);
        let Some(open) = self.work.open.last_mut() else {
            return Place::NOWHERE;
        };
        if open.place == Place::NOWHERE {
            return Place::NOWHERE;
        }
        let step = self.unhashed.element(open.place, open.elements as usize);
        let left_out = step == Step::LeaveOut;
        open.moved |= left_out;
        open.elements += 1;
        open.moved_before = self.renderer.moved();
        self.work.members.push(Member::element(
            at,
            Segment {
                start,
                end: start,
                nested: false,
            },
            left_out,
        ));
        match step {
            Step::Into(place) => place,
            Step::LeaveOut => Place::NOWHERE,
        }
    }

    /// Notes where the current member ends.
    #[inline(always)]
    fn end_member(&mut self, at: usize) {
        let end = self.flat_position(at);
        let Some(open) = self.work.open.last() else {
            return;
        };
        if open.object || open.place != Place::NOWHERE {
            let nested = self.renderer.moved() > open.moved_before;
            if let Some(member) = self.work.members.last_mut() {
                member.segment.end = end;
                member.segment.nested = nested;
            }
        }
    }

    #[inline(always)]
    fn literal(&self, at: usize, word: &[u8]) -> Result<usize, Rejection> {
        match self.text.get(at..at + word.len()) {
            Some(found) if found == word => Ok(at + word.len()),
            _ => Err(self.not_json(at, "a value should stand here")),
        }
    }

    /// Steps over a number: the grammar of RFC 8259, and the bounds of `numeric`.
    #[inline(always)]
    fn number(&self, start: usize) -> Result<usize, Rejection> {
        let integer = start + usize::from(self.peek(start) == Some(b'-'));
        let integer_end = self.digits(integer)?;
        if integer_end > integer + 1 && self.peek(integer) == Some(b'0') {
            return Err(self.not_json(integer, "a number begins with a zero too many"));
        }
        let (mut fraction, mut fraction_end) = (integer_end, integer_end);
        if self.peek(integer_end) == Some(b'.') {
            fraction = integer_end + 1;
            fraction_end = self.digits(fraction)?;
        }
        let (mut exponent, mut end) = (fraction_end, fraction_end);
        if matches!(self.peek(fraction_end), Some(b'e' | b'E')) {
            exponent = fraction_end + 1;
            end = self
                .digits(exponent + usize::from(matches!(self.peek(exponent), Some(b'+' | b'-'))))?;
        }
        // A short number without an exponent is within bounds.
        let short = exponent == end && end - start <= 16_000;
        let text = self.text;
        if short
            || numeric::storable(
                &text[integer..integer_end],
                &text[fraction..fraction_end],
                &text[exponent..end],
            )
        {
            return Ok(end);
        }
        Err(Rejection::NumberOutOfRange { at: start })
    }

    /// Steps over one digit or more.
    #[inline(always)]
    fn digits(&self, start: usize) -> Result<usize, Rejection> {
        let mut at = start;
        while self.peek(at).is_some_and(|byte| byte.is_ascii_digit()) {
            at += 1;
        }
        if at == start {
            Err(self.not_json(at, "a digit should stand here"))
        } else {
            Ok(at)
        }
    }

    /// Steps over a string. A key with an escape is added to `decoded`.
    #[inline(always)]
    fn string(&mut self, at: usize, key: bool) -> Result<usize, Rejection> {
        let end = text::plain_end(self.text, at + 1);
        if self.peek(end) == Some(b'"') {
            Ok(end + 1)
        } else {
            self.string_with_escapes(at + 1, end, key)
        }
    }

    /// The rest of the string that begins at `plain`, from its first byte that is not plain.
    fn string_with_escapes(
        &mut self,
        mut plain: usize,
        mut at: usize,
        key: bool,
    ) -> Result<usize, Rejection> {
        loop {
            if key {
                self.work.decoded.extend_from_slice(&self.text[plain..at]);
            }
            match self.peek(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => {}
                _ => {
                    return Err(self.not_json(
                        at,
                        "a control character stands in a string without an escape",
                    ));
                }
            }
            let (character, next) = text::escape(self.text, at).map_err(|error| match error {
                EscapeError::Malformed => self.not_json(at, "a backslash begins no escape"),
                EscapeError::LoneSurrogate => Rejection::LoneSurrogate { at },
            })?;
            if character == '\0' {
                return Err(Rejection::NulCharacter { at });
            }
            let mut buffer = [0; 6];
            let spelling = text::spell(character, &mut buffer);
            if self.text[at..next] != *spelling {
                self.flush(at);
                self.flat.extend_from_slice(spelling);
                self.run = next;
            }
            if key {
                self.work
                    .decoded
                    .extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            plain = next;
            at = text::plain_end(self.text, next);
        }
    }
}
