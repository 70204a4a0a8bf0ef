//! The second pass: members that must move are copied to where they belong.

/// A container whose members are copied one by one, in the order of its segments.
#[derive(Clone, Copy, Debug)]
struct Moved {
    /// Where its brackets stand in `flat`.
    open: u32,
    close: u32,
    /// Its range of `segments`.
    first: u32,
    last: u32,
}

/// A member or an element, without its comma: a range of `flat`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Where it begins.
    pub(super) start: u32,
    /// Where it ends.
    pub(super) end: u32,
    /// Whether a container that moved stands inside.
    pub(super) nested: bool,
}

/// A container being copied.
#[derive(Debug)]
struct Frame {
    next: u32,
    last: u32,
    /// What is left of the piece that it stands in, its closing bracket first.
    rest: (usize, usize),
}

/// Collects what must move, and moves it.
#[derive(Debug, Default)]
pub(super) struct Renderer {
    moved: Vec<Moved>,
    segments: Vec<Segment>,
    frames: Vec<Frame>,
    out: Vec<u8>,
}

impl Renderer {
    pub(super) fn clear(&mut self) {
        self.moved.clear();
        self.segments.clear();
        self.frames.clear();
        self.out.clear();
    }

    pub(super) fn shrink_to(&mut self, bytes: usize, elements: usize) {
        self.moved.shrink_to(elements);
        self.segments.shrink_to(elements);
        self.frames.shrink_to(elements);
        self.out.shrink_to(bytes);
    }

    /// How many containers were added.
    pub(super) fn moved(&self) -> u32 {
        self.moved.len() as u32
    }

    /// Adds the container between two brackets of `flat`, with its segments in order; after all
    /// those inside it.
    pub(super) fn add(&mut self, (open, close): (u32, u32), segments: impl Iterator<Item = Segment>) {
        let first = self.segments.len() as u32;
        self.segments.extend(segments);
        self.moved.push(Moved { open, close, first, last: self.segments.len() as u32 });
    }

    /// `flat` with every container that was added in its order: `flat` itself when there is none.
    pub(super) fn render<'a>(&'a mut self, flat: &'a [u8]) -> &'a [u8] {
        if self.moved.is_empty() {
            return flat;
        }
        self.out.reserve(flat.len());
        // By position, outer ones first. They were added at their ends, inner ones first.
        self.moved.sort_unstable_by_key(|container| container.open);
        let mut piece = self.copy((0, flat.len()), flat);
        while let Some(next) = piece {
            piece = self.copy(next, flat);
        }
        &self.out
    }

    /// Copies a piece of `flat` up to the first container in it that moved, or else whole; the
    /// piece to copy next.
    fn copy(&mut self, (start, end): (usize, usize), flat: &[u8]) -> Option<(usize, usize)> {
        let index = self.moved.partition_point(|container| (container.open as usize) < start);
        match self.moved.get(index) {
            Some(container) if (container.open as usize) < end => {
                self.out.extend_from_slice(&flat[start..=container.open as usize]);
                let rest = (container.close as usize, end);
                self.frames.push(Frame { next: container.first, last: container.last, rest });
            }
            _ => self.out.extend_from_slice(&flat[start..end]),
        }
        let frame = self.frames.last_mut()?;
        for position in frame.next..frame.last {
            let segment = self.segments[position as usize];
            // Only the opening bracket has no segment before it. No segment ends with one.
            if !matches!(self.out.last(), Some(b'{' | b'[')) {
                self.out.push(b',');
            }
            if segment.nested {
                frame.next = position + 1;
                return Some((segment.start as usize, segment.end as usize));
            }
            self.out.extend_from_slice(&flat[segment.start as usize..segment.end as usize]);
        }
        let rest = frame.rest;
        self.frames.pop();
        Some(rest)
    }
}
