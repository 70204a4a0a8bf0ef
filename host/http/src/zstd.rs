//! Answers in zstd, decoded in Rust. The library in C that the HTTP client would use shows memory
//! of this process in what it decodes, if the data is made for it (CVE-2026-124851), and the reader
//! of an answer is a connector.

use std::fmt::Display;
use std::io::Cursor;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The encoding's name in `Content-Encoding` (RFC 8878, section 7.2).
pub(super) const NAME: &str = "zstd";
/// The largest window of a body that may be smaller: what RFC 9659 has every sender keep within.
const WINDOW: usize = 8 * 1024 * 1024;
/// The most that a block becomes (RFC 8878, section 3.1.1.2.4).
const BLOCK: usize = 128 * 1024;

/// A body that is decoded a block at a time, so that its memory can be paid for as it grows.
pub(super) struct Decoding {
    encoded: Cursor<Vec<u8>>,
    /// The frame that is being decoded.
    frame: Option<FrameDecoder>,
    /// The largest window that is taken. That of a frame of one piece is all of it.
    window: usize,
}

/// The result of one decoding step.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// The next bytes of the body; perhaps none, while what comes later may refer to them.
    pub(super) bytes: Vec<u8>,
    /// Bytes that the decoder holds back for that, at most.
    pub(super) held: usize,
}

impl Decoding {
    /// A body of one frame or several, that may become `limit` bytes.
    pub(super) fn new(encoded: Vec<u8>, limit: usize) -> Self {
        Self { encoded: Cursor::new(encoded), frame: None, window: limit.max(WINDOW) }
    }

    /// Bytes of the body as it came.
    pub(super) fn encoded_len(&self) -> usize {
        self.encoded.get_ref().len()
    }

    /// Decodes the next block. None: that was all. `Err`: it is not zstd, or is cut short.
    pub(super) fn step(&mut self) -> Result<Option<Step>, String> {
        let Some(mut frame) = self.frame.take() else { return self.begin() };
        let is_last = frame.decode_blocks(&mut self.encoded, BlockDecodingStrategy::UptoBlocks(1)).map_err(told)?;
        let bytes = frame.collect().unwrap_or_default();
        if !is_last {
            let held = frame.blocks_decoded().saturating_mul(BLOCK).min(self.window);
            self.frame = Some(frame);
            return Ok(Some(Step { bytes, held }));
        }
        match (frame.get_checksum_from_data(), frame.get_calculated_checksum()) {
            (Some(said), found) if Some(said) != found => Err("its checksum is another".to_owned()),
            _ => Ok(Some(Step { bytes, held: 0 })),
        }
    }

    /// Begins with the next frame, or passes over one that is to be skipped.
    fn begin(&mut self) -> Result<Option<Step>, String> {
        if self.encoded.position() >= self.encoded_len() as u64 {
            return Ok(None);
        }
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(self.window as u64);
        match frame.init(&mut self.encoded) {
            Ok(()) => self.frame = Some(frame),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                // A skippable frame has no content (RFC 8878, section 3.1.2).
                let end = self.encoded.position() + u64::from(length);
                if end > self.encoded_len() as u64 {
                    return Err("a frame that is skipped is cut short".to_owned());
                }
                self.encoded.set_position(end);
            }
            Err(error) => return Err(told(error)),
        }
        Ok(Some(Step::default()))
    }
}

fn told(error: impl Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const LIMIT: usize = 1024 * 1024;

    /// Decodes a body; `Ok(None)` where it becomes more than the limit.
    fn decode(body: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let mut decoding = Decoding::new(body.to_vec(), LIMIT);
        let mut decoded = Vec::new();
        while let Some(Step { bytes, held }) = decoding.step()? {
            decoded.extend_from_slice(&bytes);
            assert!(bytes.len() + held <= WINDOW + BLOCK, "{} and {held}", bytes.len());
            if decoded.len() > LIMIT {
                return Ok(None);
            }
        }
        Ok(Some(decoded))
    }

    /// A frame of one block that repeats a byte (RFC 8878, section 3.1.1).
    fn repeated(byte: u8, times: u32, is_last: bool, blocks: usize) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
        for block in 0..blocks {
            let last = u32::from(is_last && block + 1 == blocks);
            frame.extend_from_slice(&((times << 3) | 0b010 | last).to_le_bytes()[..3]);
            frame.push(byte);
        }
        frame
    }

    #[test]
    fn frames_one_after_the_other_are_one_body_and_what_is_to_be_skipped_is_none_of_it() {
        let (one, two) = (repeated(b'a', 3, true, 1), repeated(b'b', 2, true, 1));
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0][..], b"xx"].concat();
        assert_eq!(decode(&[&one[..], &skipped, &two].concat()), Ok(Some(b"aaabb".to_vec())));
        assert_eq!(decode(b""), Ok(Some(Vec::new())));
    }

    #[test]
    fn a_few_bytes_that_become_gigabytes_are_decoded_to_the_limit_and_no_further() {
        let bomb = repeated(0, 128 * 1024, true, 100_000);
        assert_eq!(decode(&bomb), Ok(None));
    }

    #[test]
    fn what_is_cut_short_or_none_at_all_is_broken() {
        let whole = compress_to_vec(&b"{\"data\":[1,2,3]}"[..], CompressionLevel::Uncompressed);
        assert_eq!(decode(&whole).unwrap().unwrap(), b"{\"data\":[1,2,3]}");
        for end in 1..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "{end}");
        }
        assert!(decode(b"{}").is_err());
        assert!(decode(&repeated(b'a', 3, false, 1)).is_err());
    }

    proptest! {
        #[test]
        fn bytes_are_decoded_or_refused(body in proptest::collection::vec(any::<u8>(), 0..512)) {
            let framed = [&[0x28, 0xb5, 0x2f, 0xfd][..], &body].concat();
            let _ = (decode(&body), decode(&framed));
        }
    }
}
