//! Carries a guest's requests from the child to its parent, which sends them, since the child has
//! no network and no credential. Each way, a frame of JSON and a frame with the body.

use std::io::{stdin, stdout};
use std::sync::Arc;
use std::time::Duration;

use atlas_http::{Answer, Request, SendError};
use atlas_model::Limits;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use super::protocol::{from_json, read_frame, receive_frame, send_frame, to_json, write_frame};

/// The JSON of a request or an answer: far more than the headers of either may have.
const HEAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A request without its body.
#[derive(Serialize, Deserialize)]
struct Asked {
    request: Request,
    has_body: bool,
}

/// The outcome of a request, without the body.
#[derive(Serialize, Deserialize)]
enum Told {
    Answer { status: u16, headers: Vec<(String, String)>, retry_after_ms: Option<u64> },
    Failed(Failed),
}

/// Why a request has no answer, as far as a guest may know.
#[derive(Serialize, Deserialize)]
enum Failed {
    Denied(String),
    InvalidRequest(String),
    Connect(String),
    Interrupted(String),
    Timeout(String),
    TooLarge(usize),
    Exhausted(String),
}

impl From<SendError> for Failed {
    fn from(error: SendError) -> Self {
        let why = error.to_string();
        match error {
            SendError::Denied(_)
            | SendError::HeadersNotGranted(_)
            | SendError::RedirectDenied(_)
            | SendError::AddressRefused(_)
            | SendError::CredentialRefused(_) => Self::Denied(why),
            SendError::InvalidRequest(_) => Self::InvalidRequest(why),
            SendError::Connect(_) | SendError::Untrusted(_) => Self::Connect(why),
            SendError::Interrupted(_) | SendError::Unreadable(_) | SendError::Renewal(_) | SendError::Throttled(..) => {
                Self::Interrupted(why)
            }
            SendError::Timeout(_) => Self::Timeout(why),
            SendError::TooLarge(limit) | SendError::HeadTooLarge(limit) => Self::TooLarge(limit),
            SendError::Exhausted(_) => Self::Exhausted(why),
        }
    }
}

impl From<Failed> for SendError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Denied(why) => Self::Denied(why),
            Failed::InvalidRequest(why) => Self::InvalidRequest(why),
            Failed::Connect(why) => Self::Connect(why),
            Failed::Interrupted(why) => Self::Interrupted(why),
            Failed::Timeout(why) => Self::Timeout(why),
            Failed::TooLarge(limit) => Self::TooLarge(limit),
            Failed::Exhausted(why) => Self::Exhausted(why),
        }
    }
}

/// The child's end of the line.
pub(crate) struct RemoteLine {
    /// Bytes of the largest body.
    pub(crate) body_bytes: usize,
}

impl RemoteLine {
    /// Sends a request through the parent. Blocks this thread, which has no other work in a child.
    pub(crate) fn send(&self, request: Request) -> Result<Arc<Answer>, SendError> {
        let asked = tokio::task::block_in_place(|| self.ask(request));
        asked.unwrap_or_else(|broken| Err(SendError::Interrupted(broken.to_string())))
    }

    fn ask(&self, mut request: Request) -> std::io::Result<Result<Arc<Answer>, SendError>> {
        let body = request.body.take();
        let (mut to, mut from) = (stdout().lock(), stdin().lock());
        write_frame(&mut to, &to_json(&Asked { request, has_body: body.is_some() })?)?;
        write_frame(&mut to, &body.unwrap_or_default())?;
        let told = from_json(&read_frame(&mut from, HEAD_BYTES_MAX)?)?;
        let body = read_frame(&mut from, self.body_bytes)?;
        Ok(match told {
            Told::Answer { status, headers, retry_after_ms } => {
                let wait = retry_after_ms.map(Duration::from_millis);
                Ok(Arc::new(Answer::of_parts(status, &headers, wait, Bytes::from(body))))
            }
            Told::Failed(failed) => Err(failed.into()),
        })
    }
}

/// Receives the child's next request in the parent. `None` once the child makes no more.
pub(super) async fn next_request(
    from: &mut (impl AsyncRead + Unpin),
    limits: &Limits,
) -> std::io::Result<Option<Request>> {
    let Some(head) = receive_frame(from, HEAD_BYTES_MAX).await? else { return Ok(None) };
    let Asked { mut request, has_body } = from_json(&head)?;
    let body = receive_frame(from, limits.call_bytes).await?;
    request.body = body.filter(|_| has_body);
    Ok(Some(request))
}

/// Sends the child the outcome of its request.
pub(super) async fn answer(
    to: &mut (impl AsyncWrite + Unpin),
    answered: Result<Arc<Answer>, SendError>,
) -> std::io::Result<()> {
    let (told, body) = match answered {
        Ok(answer) => {
            let retry_after_ms = answer.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            let told = Told::Answer { status: answer.status, headers: answer.readable_headers(), retry_after_ms };
            (told, answer.body.clone())
        }
        Err(error) => (Told::Failed(error.into()), Bytes::new()),
    };
    send_frame(to, &to_json(&told)?).await?;
    send_frame(to, &body).await
}
