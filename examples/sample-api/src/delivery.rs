//! How a body leaves: whole, dribbled, or cut short. A page counts as served only here, when its
//! last piece is handed to the connection: one that the client gave up on halfway was not served.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

use crate::{app::App, log::WholePage};

/// How long the bytes of a body that breaks off get to leave before the connection ends.
const BEFORE_BREAK: Duration = Duration::from_millis(20);

/// A request under way; it ends when this is dropped.
pub(crate) struct UnderWay {
    app: Arc<App>,
    page: Option<WholePage>,
}

impl UnderWay {
    /// The log must have been told that the request began.
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app, page: None }
    }

    /// What will have been served when the whole body is gone.
    pub(crate) fn serving(mut self, page: WholePage) -> Self {
        self.page = Some(page);
        self
    }

    fn finish(mut self) {
        if let Some(page) = self.page.take() {
            self.app.page_served(page);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.app.log.end();
    }
}

/// The pieces of a body, and what happens between and after them.
pub(crate) struct Delivery {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    breaks_off: bool,
}

impl Delivery {
    pub(crate) fn whole(pieces: Vec<Bytes>) -> Self {
        Self { pieces: pieces.into(), pause: Duration::ZERO, breaks_off: false }
    }

    /// The same bytes, so many at a time.
    pub(crate) fn dribbled(self, size: usize, pause: Duration) -> Self {
        let pieces = self
            .pieces
            .iter()
            .flat_map(|piece| (0..piece.len()).step_by(size).map(move |at| piece.slice(at..piece.len().min(at + size))))
            .collect();
        Self { pieces, pause, ..self }
    }

    /// The first half of the bytes, and then the end of the connection.
    pub(crate) fn broken_off(mut self) -> Self {
        let mut left = self.len() / 2;
        for piece in &mut self.pieces {
            piece.truncate(left);
            left -= piece.len();
        }
        self.pieces.retain(|piece| !piece.is_empty());
        Self { breaks_off: true, ..self }
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    pub(crate) fn into_body(self, under_way: UnderWay) -> Body {
        let state = (self, Some(under_way), Duration::ZERO);
        Body::from_stream(stream::unfold(state, |(mut delivery, mut under_way, wait)| async move {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            match delivery.pieces.pop_front() {
                Some(piece) => {
                    // Before the piece is handed over: whoever holds the answer must find it in the
                    // log.
                    if delivery.pieces.is_empty()
                        && !delivery.breaks_off
                        && let Some(under_way) = under_way.take()
                    {
                        under_way.finish();
                    }
                    let wait = delivery.pause;
                    Some((Ok(piece), (delivery, under_way, wait)))
                }
                None if delivery.breaks_off => {
                    tokio::time::sleep(BEFORE_BREAK).await;
                    delivery.breaks_off = false;
                    Some((Err(io::Error::other("broken off on request")), (delivery, under_way, Duration::ZERO)))
                }
                None => None,
            }
        }))
    }
}
