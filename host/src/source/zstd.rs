//! Answers in zstd, decoded in Rust. The library in C that the HTTP client would use shows memory
//! of this process in what it decodes, if the data is made for it (CVE-2026-124851), and the reader
//! of an answer is a connector.

use std::io::{self, Read};

use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

/// The encoding's name in `Content-Encoding` (RFC 8878, section 7.2).
pub(super) const NAME: &str = "zstd";
/// The largest window of a body that may be smaller: what RFC 9659 has every sender keep within.
const WINDOW: usize = 8 * 1024 * 1024;
/// Bytes that are decoded at a time.
const STEP: usize = 64 * 1024;

/// Why a body cannot be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// It becomes more than this.
    TooLarge,
    /// It is not zstd, or is cut short.
    Broken(String),
}

/// Decodes a body of one frame or several, to at most `limit` bytes. Takes as long as what it
/// becomes is large.
pub(super) fn decode(body: &[u8], limit: usize) -> Result<Vec<u8>, Undecodable> {
    let broken = |error: &dyn std::fmt::Display| Undecodable::Broken(error.to_string());
    // The window of a frame of one piece is all of it.
    let window = limit.max(WINDOW) as u64;
    let mut rest = body;
    let mut decoded = Vec::new();
    while !rest.is_empty() {
        let mut frame = match StreamingDecoder::new_with_max_window_size(&mut rest, window) {
            Ok(frame) => frame,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                // A skippable frame has no content (RFC 8878, section 3.1.2).
                rest = rest.get(length as usize..).ok_or_else(|| broken(&"a frame that is skipped is cut short"))?;
                continue;
            }
            Err(error) => return Err(broken(&error)),
        };
        loop {
            let before = decoded.len();
            decoded.resize(before + STEP, 0);
            let read = read(&mut frame, &mut decoded[before..]).map_err(|error| broken(&error))?;
            decoded.truncate(before + read);
            if decoded.len() > limit {
                return Err(Undecodable::TooLarge);
            }
            if read == 0 {
                break;
            }
        }
        let decoder = frame.into_frame_decoder();
        let (said, found) = (decoder.get_checksum_from_data(), decoder.get_calculated_checksum());
        if said.is_some() && said != found {
            return Err(broken(&"its checksum is another"));
        }
    }
    Ok(decoded)
}

fn read(frame: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match frame.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const LIMIT: usize = 1024 * 1024;

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
        assert_eq!(decode(&[&one[..], &skipped, &two].concat(), LIMIT), Ok(b"aaabb".to_vec()));
        assert_eq!(decode(b"", LIMIT), Ok(Vec::new()));
    }

    #[test]
    fn a_few_bytes_that_become_gigabytes_are_decoded_to_the_limit_and_no_further() {
        let bomb = repeated(0, 128 * 1024, true, 100_000);
        assert_eq!(decode(&bomb, LIMIT), Err(Undecodable::TooLarge));
    }

    #[test]
    fn what_is_cut_short_or_none_at_all_is_broken() {
        let whole = compress_to_vec(&b"{\"data\":[1,2,3]}"[..], CompressionLevel::Uncompressed);
        assert_eq!(decode(&whole, LIMIT).unwrap(), b"{\"data\":[1,2,3]}");
        for end in 1..whole.len() {
            assert!(matches!(decode(&whole[..end], LIMIT), Err(Undecodable::Broken(_))), "{end}");
        }
        assert!(matches!(decode(b"{}", LIMIT), Err(Undecodable::Broken(_))));
        assert!(matches!(decode(&repeated(b'a', 3, false, 1), LIMIT), Err(Undecodable::Broken(_))));
    }

    proptest! {
        #[test]
        fn bytes_are_decoded_or_refused(body in proptest::collection::vec(any::<u8>(), 0..512)) {
            let framed = [&[0x28, 0xb5, 0x2f, 0xfd][..], &body].concat();
            let _ = (decode(&body, LIMIT), decode(&framed, LIMIT));
        }
    }
}
