//! Carries a guest's requests from the child to its parent, which sends them, since the child has
//! no network and no credential. Each way, a frame of JSON and a frame with the body.

use std::io::{stdin, stdout};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atlas_model::{Limits, Request};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::line::{Answer, Line, RequestError};
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
    Failed(RequestError),
}

/// The child's end of the line.
pub(crate) struct RemoteLine {
    /// Bytes of the largest body.
    pub(crate) body_bytes: usize,
}

#[async_trait]
impl Line for RemoteLine {
    /// Sends a request through the parent. Blocks this thread, which has no other work in a child.
    async fn send(&self, request: Request) -> Result<Arc<Answer>, RequestError> {
        let asked = tokio::task::block_in_place(|| self.ask(request));
        asked.unwrap_or_else(|broken| Err(RequestError::Interrupted(broken.to_string())))
    }
}

impl RemoteLine {
    fn ask(&self, mut request: Request) -> std::io::Result<Result<Arc<Answer>, RequestError>> {
        let body = request.body.take();
        let (mut to, mut from) = (stdout().lock(), stdin().lock());
        write_frame(&mut to, &to_json(&Asked { request, has_body: body.is_some() })?)?;
        write_frame(&mut to, &body.unwrap_or_default())?;
        let told = from_json(&read_frame(&mut from, HEAD_BYTES_MAX)?)?;
        let body = read_frame(&mut from, self.body_bytes)?;
        Ok(match told {
            Told::Answer { status, headers, retry_after_ms } => {
                let (headers, retry_after) = (map_of(&headers), retry_after_ms.map(Duration::from_millis));
                Ok(Arc::new(Answer { status, headers, retry_after, body: Bytes::from(body) }))
            }
            Told::Failed(error) => Err(error),
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
    answered: Result<Arc<Answer>, RequestError>,
) -> std::io::Result<()> {
    let (told, body) = match answered {
        Ok(answer) => {
            let retry_after_ms = answer.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            let told = Told::Answer { status: answer.status, headers: pairs_of(&answer.headers), retry_after_ms };
            (told, answer.body.clone())
        }
        Err(error) => (Told::Failed(error), Bytes::new()),
    };
    send_frame(to, &to_json(&told)?).await?;
    send_frame(to, &body).await
}

/// Headers as JSON can hold them: those that are text.
fn pairs_of(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}

/// Headers that came as JSON; one that came several times is appended, as it was.
fn map_of(pairs: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    headers
}
