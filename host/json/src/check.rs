//! The first pass: reads a record by RFC 8259 and the extra rules, writes it flat, and notes what
//! must move.
//!
//! The position is handed from function to function rather than kept in [`Check`]: so it stays in a
//! register, which is worth a third of the time.

use super::{
    Rejection,
    members::{Keys, Member, small, sort},
    render::{Renderer, Segment},
    unhashed::{Place, Step, Unhashed},
};

/// What the first pass keeps in mind.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The containers around the current position.
    open: Vec<Open>,
    /// The members met so far of the objects in `open`, and the elements of those arrays that lead
    /// to an unhashed place.
    members: Vec<Member>,
    /// Keys that are spelled with escapes, decoded.
    pub(super) decoded: Vec<u8>,
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
    /// Whether its members must be copied one by one: keys that do not ascend, or something left
    /// out.
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
    pub(super) text: &'a [u8],
    /// From here to the current position the text is in canonical form, and not yet in `flat`.
    pub(super) run: usize,
    unhashed: &'a Unhashed,
    pub(super) flat: &'a mut Vec<u8>,
    pub(super) work: &'a mut Work,
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
        Self { text, run: 0, unhashed, flat, work, renderer }
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
            // A whole value stands behind us: on to the next, out of as many containers as end
            // here.
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
                sort(members, Keys { text: self.text, decoded: &self.work.decoded })?;
            }
            let kept = members.iter().filter(|member| !member.left_out);
            self.renderer.add((open.start, end), kept.map(|member| member.segment));
        }
        self.work.members.truncate(first);
        Ok(at + 1)
    }

    /// Reads a key and its colon; where its value stands, in the record and on the way to what is
    /// left out.
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
        let range = if key_decoded { (decoded_before, decoded_after) } else { (at + 1, end - 1) };
        let keys = Keys { text: self.text, decoded: &self.work.decoded };
        let segment = Segment { start, end: start, nested: false };
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
        self.work.members.push(Member::element(at, Segment { start, end: start, nested: false }, left_out));
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
}
