//! From an opening bracket to its closing one, 64 bytes a step, whatever stands between them.
//!
//! Each block of 64 bytes becomes three words of 64 bits: where its quotes, backslashes and
//! brackets are. Which quotes are escaped, and which brackets stand inside strings, is then
//! arithmetic on words, after simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per
//! Second"). Only the brackets outside strings, a handful for a record, are looked at one by one.

use wide::u8x16;

const BLOCK: usize = 64;

/// Why a bracket is not closed as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbalanced {
    /// The text ends first.
    CutShort,
    /// The bracket at this position closes one of the other kind.
    Mismatched(usize),
}

/// The position after the bracket that closes the one at `start`.
///
/// A quote begins or ends a string unless a backslash stands before it, inside a string or out: in
/// well-formed JSON backslashes stand inside strings only, and in broken JSON this reading keeps
/// most damage where it is. Memory: one bit for each level of nesting.
pub(super) fn container_end(text: &[u8], start: usize) -> Result<usize, Unbalanced> {
    let mut nesting = Nesting::default();
    // All ones while the block begins inside a string.
    let mut in_string: u64 = 0;
    // One while the block's first byte stands behind an unescaped backslash.
    let mut escaped_first: u64 = 0;
    let mut base = start;
    loop {
        let rest = text.get(base..).unwrap_or_default();
        let masks = match rest.first_chunk::<BLOCK>() {
            Some(block) => Masks::of(block),
            None if rest.is_empty() => return Err(Unbalanced::CutShort),
            None => {
                let mut block = [b' '; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                Masks::of(&block)
            }
        };
        let escaped = escaped_bytes(masks.backslashes, &mut escaped_first);
        let strings = prefix_xor(masks.quotes & !escaped) ^ in_string;
        in_string = 0u64.wrapping_sub(strings >> 63);
        let mut brackets = masks.brackets & !strings;
        while brackets != 0 {
            let at = base + brackets.trailing_zeros() as usize;
            brackets &= brackets - 1;
            match text.get(at) {
                Some(b'{') => nesting.push(true),
                Some(b'[') => nesting.push(false),
                Some(&byte @ (b'}' | b']')) => {
                    if nesting.pop() != (byte == b'}') {
                        return Err(Unbalanced::Mismatched(at));
                    }
                    if nesting.depth == 0 {
                        return Ok(at + 1);
                    }
                }
                _ => {}
            }
        }
        base += BLOCK;
    }
}

/// The position after the string whose opening quote stands at `start`; none when the text ends
/// first.
pub(super) fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// One bit for each byte of a block, the first byte lowest.
struct Masks {
    quotes: u64,
    backslashes: u64,
    /// All brackets, and the few other bytes that differ from them in the ignored bits: `Y`, `_`,
    /// `y` and DEL.
    brackets: u64,
}

impl Masks {
    #[inline(always)]
    fn of(block: &[u8; BLOCK]) -> Self {
        const BRACKETS: u8 = b'{' | b'}' | b'[' | b']';
        const IGNORED: u8 = (b'{' ^ b'}') | (b'{' ^ b'[');
        let (mut quotes, mut backslashes, mut brackets) = (0, 0, 0);
        let (lanes, _) = block.as_chunks::<16>();
        for (lane, shift) in lanes.iter().zip((0..BLOCK).step_by(16)) {
            let lane = u8x16::new(*lane);
            quotes |= equal(lane, b'"') << shift;
            backslashes |= equal(lane, b'\\') << shift;
            brackets |= equal(lane | u8x16::splat(IGNORED), BRACKETS) << shift;
        }
        Self { quotes, backslashes, brackets }
    }
}

/// Which of the sixteen bytes equal `byte`, one bit each.
#[inline(always)]
fn equal(lane: u8x16, byte: u8) -> u64 {
    u64::from(lane.simd_eq(u8x16::splat(byte)).to_bitmask())
}

/// Which bytes stand behind a backslash that is not itself escaped; carries over into the next
/// block.
#[inline(always)]
fn escaped_bytes(backslashes: u64, escaped_first: &mut u64) -> u64 {
    if backslashes == 0 {
        return std::mem::take(escaped_first);
    }
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    // A run of backslashes escapes every second byte from its second on. Subtracting the run's
    // beginnings from the odd positions carries through a run and so tells its parity; see
    // simdjson's `json_escape_scanner`.
    let unescaped = backslashes & !*escaped_first;
    let behind = unescaped << 1;
    let terminal = (behind | ODD).wrapping_sub(unescaped) ^ ODD;
    let escaped = terminal ^ (backslashes | *escaped_first);
    *escaped_first = (terminal & backslashes) >> 63;
    escaped
}

/// Each bit the exclusive or of itself and all below: ones from each opening quote up to before its
/// closing one.
#[inline(always)]
fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ (bits << 32)
}

/// The kinds of the open brackets, one bit each, the innermost lowest.
#[derive(Default)]
struct Nesting {
    depth: usize,
    /// The innermost ones: 64, or fewer when there are no more.
    top: u64,
    outer: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, brace: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.top);
        }
        self.top = (self.top << 1) | u64::from(brace);
        self.depth += 1;
    }

    /// Whether the innermost was a brace. Never called without an open bracket.
    fn pop(&mut self) -> bool {
        let brace = self.top & 1 == 1;
        self.top >>= 1;
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0
            && self.depth.is_multiple_of(64)
            && let Some(outer) = self.outer.pop()
        {
            self.top = outer;
        }
        brace
    }
}
