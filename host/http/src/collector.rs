//! Posts traces to the collector that the operator named: one request, one short answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use tokio_util::sync::CancellationToken;

use super::connection::{self, ClientError, Connections};
use super::message::SendError;
use super::resolve::{self, FilteringResolver};

/// Time limit of one request to a collector, whole answer included: spans that are made meanwhile
/// wait in a bounded queue.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a collector's answer: how many spans it refused, and why.
const ANSWER_MAX: usize = 64 * 1024;

/// The client of a collector. Its connections are its own: none of a connector's requests uses one,
/// and the grants of connectors do not bind it, since the operator alone names the collector.
#[derive(Clone)]
pub struct CollectorClient {
    connections: Connections,
}

impl CollectorClient {
    /// Sets up the client. As for connectors, the shell's proxies are not used.
    pub fn new() -> Result<Self, ClientError> {
        let resolver = FilteringResolver::new(resolve::system_lookup(), |_| true);
        Ok(Self { connections: Connections::new(resolver, connection::tls()?) })
    }

    /// Makes one request, and reads the answer, whatever its status.
    pub async fn post(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, SendError> {
        if request.uri().authority().is_some_and(|authority| authority.as_str().contains('@')) {
            // It would stand in the reason of each failure.
            return Err(SendError::InvalidRequest("the collector's address has a user or a password in it".to_owned()));
        }
        let exchange = async {
            let (response, _) = self.connections.send(request.map(Full::new), ANSWER_MAX, false).await;
            let (head, mut answer) = response?.into_parts();
            let mut body = BytesMut::new();
            let never = CancellationToken::new();
            while let Some(chunk) = answer.chunk(&never).await? {
                if body.len() + chunk.len() > ANSWER_MAX {
                    return Err(SendError::TooLarge(ANSWER_MAX));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(http::Response::from_parts(head, body.freeze()))
        };
        let late = |_| SendError::Timeout(format!("no whole answer within {} s", ANSWER_TIMEOUT.as_secs()));
        tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.map_err(late)?
    }
}
