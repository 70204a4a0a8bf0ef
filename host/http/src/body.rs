//! Bodies of bounded size, within one budget of memory for the whole host, as UTF-8.
//!
//! Records are slices of the body that they arrived in, so a body's memory is freed when the last
//! of them is written. The bytes own their share of the budget, which returns at that moment,
//! wherever the last slice is dropped. Records that a connector made itself are charged in the same
//! way.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use flate2::read::MultiGzDecoder;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::credentials::Redactor;
use super::zstd;

/// Why a body cannot be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// It becomes larger than it may.
    TooLarge,
    /// It is in another form, or cut short.
    Broken(String),
}

/// The budget is counted in pieces of this size.
const PIECE: usize = 16 * 1024;
/// Bytes that are decoded at a time.
const GZIP_STEP: usize = 64 * 1024;
/// From this size on, a body is gone through where blocking is allowed.
const LARGE_BODY: usize = 256 * 1024;

/// Budget of memory for bodies in flight. When it is spent, reads of bodies wait, except for one at
/// a time: it goes on to its end in a reserve as large as the largest body, so that reads that each
/// hold a part cannot deadlock.
///
/// Each client also has a share, half of the whole, so that its bodies alone cannot make all other
/// clients wait.
#[derive(Clone)]
pub struct BodyBudget {
    house: Level,
    share: Option<Level>,
    total: usize,
    largest: usize,
}

/// One budget: the process's, or a client's share.
#[derive(Clone)]
struct Level {
    shared: Arc<Semaphore>,
    reserve: Arc<Mutex<()>>,
}

impl Level {
    /// The reserve is part of the total.
    fn new(total: usize, largest: usize) -> Self {
        let pieces = total.saturating_sub(largest).div_ceil(PIECE).min(Semaphore::MAX_PERMITS);
        Self { shared: Arc::new(Semaphore::new(pieces)), reserve: Arc::new(Mutex::new(())) }
    }
}

impl BodyBudget {
    /// A budget of `total` bytes, for bodies of at most `largest` each.
    pub fn new(total: usize, largest: usize) -> Self {
        Self { house: Level::new(total, largest), share: None, total, largest }
    }

    /// The same budget, as one client may use it.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { share: Some(Level::new(self.total / 2, self.largest)), ..self.clone() }
    }

    /// A body that is being read.
    pub(super) fn begin(&self) -> BodyInProgress {
        BodyInProgress { bytes: Vec::new(), paid: self.nothing() }
    }

    /// Charges records to the budget that are no slices of a body, such as those that a connector
    /// made. The caller must hold no body while it waits here, or two callers could deadlock.
    pub async fn pay_for(&self, records: Vec<Bytes>) -> Vec<Bytes> {
        let mut paid = self.nothing();
        paid.pay(records.iter().map(Bytes::len).sum()).await;
        let paid = Arc::new(paid);
        let owned = |bytes| Bytes::from_owner(PaidRecord { bytes, _paid: Arc::clone(&paid) });
        records.into_iter().map(owned).collect()
    }

    fn nothing(&self) -> Paid {
        Paid { share: self.share.as_ref().map(Account::at), house: Account::at(&self.house) }
    }
}

/// A body that is being read.
pub(super) struct BodyInProgress {
    bytes: Vec<u8>,
    paid: Paid,
}

/// A body's charge on the process's budget and on its client's share.
struct Paid {
    share: Option<Account>,
    house: Account,
}

impl Paid {
    async fn pay(&mut self, size: usize) {
        // A body with the process's reserve must not wait for its share as well: another body with
        // the share's reserve could be waiting for this one.
        if self.house.reserve.is_some() {
            return;
        }
        if let Some(share) = &mut self.share {
            share.pay(size).await;
        }
        self.house.pay(size).await;
    }
}

/// A body's charge on one budget.
struct Account {
    level: Level,
    /// Bytes covered by the permits.
    paid: usize,
    permits: Vec<OwnedSemaphorePermit>,
    reserve: Option<OwnedMutexGuard<()>>,
}

impl Account {
    fn at(level: &Level) -> Self {
        Self { level: level.clone(), paid: 0, permits: Vec::new(), reserve: None }
    }

    async fn pay(&mut self, size: usize) {
        if self.reserve.is_some() || size <= self.paid {
            return;
        }
        // Ahead in growing steps, so that a long body does not come back here for each of its
        // chunks.
        let wanted = size.max(self.paid * 2);
        let pieces = u32::try_from((wanted - self.paid).div_ceil(PIECE)).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            permit = self.level.shared.clone().acquire_many_owned(pieces) => {
                // The semaphore is never closed.
                if let Ok(permit) = permit {
                    self.permits.push(permit);
                    self.paid += pieces as usize * PIECE;
                }
            }
            guard = self.level.reserve.clone().lock_owned() => self.reserve = Some(guard),
        }
    }
}

impl BodyInProgress {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a chunk, waiting for the budget.
    pub(super) async fn push(&mut self, chunk: &[u8]) {
        self.paid.pay(self.bytes.len() + chunk.len()).await;
        self.bytes.extend_from_slice(chunk);
    }

    /// Decodes what has been read, to at most `limit` bytes, waiting for the budget as it grows.
    pub(super) async fn decode_zstd(&mut self, limit: usize) -> Result<(), Undecodable> {
        let mut decoding = zstd::Decoding::new(std::mem::take(&mut self.bytes), limit);
        while let Some(step) = decoding.step().map_err(Undecodable::Broken)? {
            let decoded = self.bytes.len() + step.bytes.len();
            if decoded > limit {
                return Err(Undecodable::TooLarge);
            }
            self.paid.pay(decoding.encoded_len() + decoded + step.held).await;
            self.bytes.extend_from_slice(&step.bytes);
            // Decoding is CPU work: other tasks get their turn between two blocks.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The same for gzip.
    pub(super) async fn decode_gzip(&mut self, limit: usize) -> Result<(), Undecodable> {
        let encoded = std::mem::take(&mut self.bytes);
        let mut decoder = MultiGzDecoder::new(encoded.as_slice());
        let mut step = vec![0; GZIP_STEP];
        loop {
            let read = decoder.read(&mut step).map_err(|error| Undecodable::Broken(error.to_string()))?;
            if read == 0 {
                return Ok(());
            }
            let decoded = self.bytes.len() + read;
            if decoded > limit {
                return Err(Undecodable::TooLarge);
            }
            self.paid.pay(encoded.len() + decoded).await;
            self.bytes.extend_from_slice(&step[..read]);
            // Others have their turn between two steps.
            tokio::task::yield_now().await;
        }
    }

    /// The whole body as UTF-8, without the secrets that the source put into it. Its charset is
    /// believed only where the bytes are not UTF-8 as they stand. `None`: the text grew past
    /// `limit`.
    pub(super) async fn finish(
        mut self,
        charset: Option<&str>,
        limit: usize,
        redactor: &Arc<Redactor>,
    ) -> Option<Bytes> {
        let encoding = match Encoding::for_bom(&self.bytes) {
            Some((encoding, _)) => encoding,
            None => encoding_of(&self.bytes, charset),
        };
        // Before and after: as what an answer is labelled decides how it is read, and so how a
        // secret in it looks.
        self.bytes = clean(self.bytes, redactor).await;
        if encoding != UTF_8 {
            let (text, _, _) = encoding.decode(&self.bytes);
            if text.len() > limit {
                return None;
            }
            let text = text.into_owned().into_bytes();
            self.paid.pay(text.len()).await;
            self.bytes = clean(text, redactor).await;
        }
        Some(Bytes::from_owner(PaidBody { bytes: self.bytes, _paid: self.paid }))
    }
}

/// The encoding of bytes with this label. JSON is UTF-8 whatever its label says (RFC 8259, 8.1),
/// and text in another encoding with letters beyond ASCII is hardly ever valid UTF-8; so valid
/// UTF-8 is taken for what it is. Encodings that write ASCII in another way (UTF-16, ISO-2022-JP)
/// could look like it, and are believed.
fn encoding_of(bytes: &[u8], charset: Option<&str>) -> &'static Encoding {
    let Some(labelled) = charset.and_then(|label| Encoding::for_label(label.as_bytes())) else { return UTF_8 };
    if labelled == UTF_8 || !labelled.is_ascii_compatible() || simdutf8::basic::from_utf8(bytes).is_err() {
        return labelled;
    }
    if !bytes.is_ascii() {
        tracing::warn!("the source labels its answer as {}, and the bytes are UTF-8: read as UTF-8", labelled.name());
    }
    UTF_8
}

/// Takes secrets out, away from the workers if there is much to look through. No body grows by it.
async fn clean(mut body: Vec<u8>, redactor: &Arc<Redactor>) -> Vec<u8> {
    if redactor.is_idle() {
        return body;
    }
    let redactor = Arc::clone(redactor);
    let (body, places) = if body.len() < LARGE_BODY {
        let places = redactor.clean(&mut body);
        (body, places)
    } else {
        let cleaning = tokio::task::spawn_blocking(move || {
            let places = redactor.clean(&mut body);
            (body, places)
        });
        match cleaning.await {
            Ok(cleaned) => cleaned,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    };
    if places > 0 {
        tracing::warn!("the source wrote the client's credential into its answer; it was taken out at {places} places");
    }
    body
}

/// A body and its share of the budget.
struct PaidBody {
    bytes: Vec<u8>,
    _paid: Paid,
}

/// One of several records that were paid for together.
struct PaidRecord {
    bytes: Bytes,
    _paid: Arc<Paid>,
}

impl AsRef<[u8]> for PaidRecord {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for PaidBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn memory_comes_back_with_the_last_slice_of_a_body() {
        let budget = BodyBudget::new(4 * PIECE, PIECE);
        let mut body = budget.begin();
        body.push(&[b'x'; 2 * PIECE]).await;
        let bytes = body.finish(None, usize::MAX, &Arc::default()).await.expect("no charset, no growth");
        let slice = bytes.slice(10..20);
        drop(bytes);
        assert_eq!(budget.house.shared.available_permits(), 1);
        drop(slice);
        assert_eq!(budget.house.shared.available_permits(), 3);
    }

    async fn read_as(bytes: &[u8], charset: &str) -> String {
        let mut body = BodyBudget::new(8 * PIECE, PIECE).begin();
        body.push(bytes).await;
        let text = body.finish(Some(charset), usize::MAX, &Arc::default()).await.expect("no limit");
        String::from_utf8(text.to_vec()).expect("UTF-8")
    }

    #[tokio::test]
    async fn a_charset_is_believed_only_where_the_bytes_are_not_utf8() {
        let text = r#"{"nome":"São João – 日本"}"#;
        for charset in ["ISO-8859-1", "windows-1252", "latin1", "us-ascii", "shift_jis", "gbk", "utf-8", "nenhum"] {
            assert_eq!(read_as(text.as_bytes(), charset).await, text, "{charset}");
        }
        assert_eq!(read_as(b"{\"nome\":\"S\xe3o\"}", "ISO-8859-1").await, r#"{"nome":"São"}"#);
        // Encodings whose bytes look like ASCII and are not.
        assert_eq!(read_as(b"{\0}\0", "utf-16le").await, "{}");
        assert_eq!(read_as(b"\x1b$BF|K\\\x1b(B", "iso-2022-jp").await, "日本");
    }

    #[tokio::test]
    async fn a_gzip_body_is_decoded_within_its_limit_and_refused_when_it_is_cut() {
        use std::io::Write as _;
        let plain = b"[1,2,3]".repeat(20_000);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).expect("it is memory");
        let encoded = encoder.finish().expect("it is memory");
        let budget = BodyBudget::new(64 * PIECE, 16 * PIECE);
        let decoded = async |bytes: &[u8], limit: usize| {
            let mut body = budget.begin();
            body.push(bytes).await;
            body.decode_gzip(limit).await.map(|()| body.bytes)
        };
        assert_eq!(decoded(&encoded, plain.len()).await, Ok(plain.clone()));
        assert_eq!(decoded(&encoded, plain.len() - 1).await, Err(Undecodable::TooLarge));
        assert!(matches!(decoded(&encoded[..encoded.len() - 9], plain.len()).await, Err(Undecodable::Broken(_))));
        assert!(matches!(decoded(b"<html>", plain.len()).await, Err(Undecodable::Broken(_))));
    }

    #[tokio::test]
    async fn readers_who_hold_a_part_each_never_wait_for_each_other() {
        let budget = BodyBudget::new(3 * PIECE, PIECE);
        let readers = (0..8).map(|_| {
            let budget = budget.clone();
            tokio::spawn(async move {
                let mut body = budget.begin();
                for _ in 0..4 {
                    body.push(&[b'x'; PIECE / 4]).await;
                    tokio::task::yield_now().await;
                }
                drop(body.finish(None, usize::MAX, &Arc::default()).await);
            })
        });
        let all = futures_util::future::join_all(readers);
        let done = tokio::time::timeout(Duration::from_secs(10), all).await;
        assert!(done.is_ok(), "the readers wait for each other");
    }

    #[tokio::test]
    async fn one_clients_bodies_leave_room_for_another_clients() {
        let budget = BodyBudget::new(8 * PIECE, PIECE);
        let (hog, other) = (budget.share(), budget.share());
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut body = hog.begin();
            body.push(&[b'x'; PIECE]).await;
            held.push(body);
        }
        let mut one_more = hog.begin();
        let waits = tokio::time::timeout(Duration::from_millis(20), one_more.push(b"x")).await;
        assert!(waits.is_err(), "a client holds more than half of the budget");
        let mut others = other.begin();
        let passes = tokio::time::timeout(Duration::from_secs(5), others.push(&[b'x'; PIECE])).await;
        assert!(passes.is_ok(), "another client waits for the hog");
        drop(held);
    }

    #[tokio::test]
    async fn records_that_did_not_arrive_in_a_body_wait_for_the_budget_like_one() {
        let budget = BodyBudget::new(3 * PIECE, PIECE);
        let records = |count: usize| vec![Bytes::from(vec![b'x'; PIECE]); count];
        let mut first = budget.pay_for(records(2)).await;
        assert_eq!(budget.house.shared.available_permits(), 0);
        let in_reserve = budget.pay_for(records(1)).await;
        let waits = tokio::time::timeout(Duration::from_millis(20), budget.pay_for(records(1))).await;
        assert!(waits.is_err(), "more records are held than there is memory for");
        first.pop();
        assert_eq!(budget.house.shared.available_permits(), 0, "one of the two is still held");
        drop(first);
        let passes = tokio::time::timeout(Duration::from_secs(5), budget.pay_for(records(2))).await;
        assert!(passes.is_ok_and(|paid| paid == records(2)));
        drop(in_reserve);
    }

    #[tokio::test]
    async fn latin_1_becomes_utf_8() {
        let budget = BodyBudget::new(1 << 20, 1 << 16);
        let mut body = budget.begin();
        body.push(b"\"Jo\xe3o\"").await;
        let text = body.finish(Some("iso-8859-1"), 100, &Arc::default()).await;
        assert_eq!(text.as_deref(), Some("\"João\"".as_bytes()));
    }
}
