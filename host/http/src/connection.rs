//! Connections to sources: HTTP/1.1 alone, over TLS or not, at addresses that the resolver admits.
//!
//! Each connection keeps an account of the bytes and reads that no body answers for: informational
//! answers, chunk sizes, TLS records without content. One that exceeds it is closed, because a
//! source that sends nothing else would keep a core for the whole of a page's time. HTTP/2 is not
//! offered: its control frames (PING, SETTINGS, unknown ones) are answered below any such account,
//! and outlive the request.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::ErrorKind;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::timeout::Timeout;
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};
use tower_http::decompression::{Decompression, DecompressionBody};

use super::message::SendError;
use super::resolve::{AddressRefused, FilteringResolver, is_out_of_files};

/// The longest that a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence within an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an unused connection stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How often a silent peer is probed for.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Raw bytes of one answer that its body need not account for: the TLS handshake, informational
/// answers, headers (of which hyper keeps 400 KiB at most), and what it has read ahead.
const OVERHEAD_FREE: u64 = 1024 * 1024;
/// Raw bytes for each byte of body beyond those. Records of TLS and chunks of a few bytes each,
/// as a server sends that flushes after every word, take five.
const OVERHEAD_PER_BYTE: u64 = 8;
/// Chunks of one body, and reads of one answer, that may be of any size.
const PIECES_FREE: u64 = 64 * 1024;
/// The mean size, in bytes, that chunks and reads beyond those must have.
const PIECE_MEAN_MIN: u64 = 16;

/// Bytes a second below which a body ends when another client waits for the slot that its page
/// holds: at this rate a page of 100 records takes a minute.
const LOWEST_RATE: u64 = 1024;
/// How long that rate is measured for, again and again, before a body ends by it.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// The source sent too much that is not content.
#[derive(Debug, Error)]
#[error("the source sent too much that is not content (informational answers, or chunks of a few bytes)")]
struct TooMuchOverhead;

/// The body is larger in its content coding than it may be without: it decodes to next to nothing.
#[derive(Debug, Error)]
#[error("it is larger than {0} bytes as it is encoded")]
struct EncodedTooLarge(usize);

/// Why the HTTP client could not be set up.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The process, or the system, has no file descriptor left to read the root certificates by.
    #[error(transparent)]
    NoFiles(io::Error),
    /// The system has no root certificates that can be read.
    #[error("{0}")]
    NoCertificates(String),
}

/// TLS as all connections have it: the system's root certificates (`SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name others).
pub(super) fn tls() -> Result<ClientConfig, ClientError> {
    // A second client in the same process finds it installed: that is fine, it is the same
    // provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let found = rustls_native_certs::load_native_certs();
    let mut reasons = Vec::new();
    for error in found.errors {
        reasons.push(error.to_string());
        if let ErrorKind::Io { inner, .. } = error.kind
            && is_out_of_files(&inner)
        {
            // Going on would trust only the certificates that were read before this error.
            return Err(ClientError::NoFiles(inner));
        }
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let none = "the system has none".to_owned();
        return Err(ClientError::NoCertificates(reasons.into_iter().next().unwrap_or(none)));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

type Stream = MaybeHttpsStream<TokioIo<Metered>>;
type Connector = BoxCloneSyncService<Uri, Stream, Box<dyn Error + Send + Sync>>;

tokio::task_local! {
    /// Whether a connection was opened for the request that this task sends.
    static OPENED: Arc<AtomicBool>;
}

/// A pool of connections, and a client beside it that opens a new one for every request: a source
/// closes connections that it kept without a word, and a request on one that it has just closed
/// gets no answer (RFC 9112, section 9.3.1). The next attempt must not go out on the next of them.
#[derive(Clone)]
pub(super) struct Connections {
    kept: Arc<Client<Connector, Full<Bytes>>>,
    fresh: Arc<Client<Connector, Full<Bytes>>>,
}

impl Connections {
    /// A pool whose connections go to addresses of this resolver.
    pub(super) fn new(resolver: FilteringResolver, tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEP_ALIVE));
        let metered = tcp.map_response(|io| TokioIo::new(Metered::new(io.into_inner())));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        let connector = Timeout::new(https.wrap_connector(metered), CONNECT_TIMEOUT);
        let noted = connector.map_request(|uri: Uri| {
            // One that no request waits for is opened in a task of its own.
            let _ = OPENED.try_with(|opened| opened.store(true, Ordering::Relaxed));
            uri
        });
        let connector = BoxCloneSyncService::new(noted);
        let client = |idle_max| {
            let mut client = Client::builder(TokioExecutor::new());
            client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT).pool_max_idle_per_host(idle_max);
            Arc::new(client.build(connector.clone()))
        };
        Self { kept: client(usize::MAX), fresh: client(0) }
    }

    /// Sends a request, `fresh` on a connection of its own, and gives the answer's head, and
    /// whether it went out on a connection that was kept. Its body is decoded as it is read (gzip,
    /// deflate, Brotli), and may be of at most `encoded_max` bytes before that.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        encoded_max: usize,
        fresh: bool,
    ) -> (Result<Response<AnswerBody>, SendError>, bool) {
        let opened = Arc::new(AtomicBool::new(false));
        // The client looks for a kept connection first, and asks its connector for one, in this
        // very task, only if it finds none.
        let sent = OPENED.scope(Arc::clone(&opened), self.send_on(request, encoded_max, fresh)).await;
        let kept = !opened.load(Ordering::Relaxed);
        // On a kept connection, the unreadable bytes may be left over from the answer before.
        let sent = sent.map_err(|error| match error {
            SendError::Unreadable(why) if kept => SendError::Interrupted(why),
            error => error,
        });
        (sent, kept)
    }

    async fn send_on(
        &self,
        request: Request<Full<Bytes>>,
        encoded_max: usize,
        fresh: bool,
    ) -> Result<Response<AnswerBody>, SendError> {
        let uri = request.uri();
        let origin =
            format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |a| a.as_str()));
        let client = Arc::clone(if fresh { &self.fresh } else { &self.kept });
        let measured = service_fn(move |request| {
            let answer = client.request(request);
            async move { answer.await.map(|answer| Measured::of(answer, encoded_max)) }
        });
        let sent = Decompression::new(measured).oneshot(request);
        match tokio::time::timeout(READ_TIMEOUT, sent).await {
            Ok(Ok(answer)) => Ok(answer.map(|body| AnswerBody { body: Box::pin(body), window: None })),
            Ok(Err(error)) => Err(sort(&error, &origin, error.is_connect())),
            Err(_) => Err(SendError::Timeout(format!("{origin}: {}", silence()))),
        }
    }
}

/// An answer's body, decoded.
pub(super) struct AnswerBody {
    body: Pin<Box<DecompressionBody<Measured>>>,
    /// Since when its rate is measured, and from which byte on.
    window: Option<(Instant, u64)>,
}

impl AnswerBody {
    /// The next bytes; none at the end. Once `asked_back` is cancelled, they have to come at the
    /// lowest rate.
    pub(super) async fn chunk(&mut self, asked_back: &CancellationToken) -> Result<Option<Bytes>, SendError> {
        loop {
            let received = self.body.get_ref().bytes;
            let window = &mut self.window;
            let measured = async {
                asked_back.cancelled().await;
                let (since, from) = *window.get_or_insert_with(|| (Instant::now(), received));
                tokio::time::sleep_until((since + RATE_WINDOW).into()).await;
                received - from
            };
            let frame = tokio::select! {
                biased;
                bytes = measured => {
                    if bytes < LOWEST_RATE * RATE_WINDOW.as_secs() {
                        return Err(SendError::Timeout(dribbles()));
                    }
                    self.window = None;
                    continue;
                }
                frame = tokio::time::timeout(READ_TIMEOUT, self.body.frame()) => frame,
            };
            match frame.map_err(|_| SendError::Timeout(silence()))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(sort(error.as_ref(), "", false)),
                // Trailers say nothing that is asked for.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

fn dribbles() -> String {
    format!("it came at less than {LOWEST_RATE} bytes a second while another client waited")
}

fn silence() -> String {
    format!("nothing came for {} s", READ_TIMEOUT.as_secs())
}

/// Classifies an error of a connection by its cause.
fn sort(error: &(dyn Error + 'static), origin: &str, connect: bool) -> SendError {
    if let Some(refused) = find::<AddressRefused>(error) {
        return refused.clone().into();
    }
    if let Some(overhead) = find::<TooMuchOverhead>(error) {
        return SendError::Unreadable(overhead.to_string());
    }
    if let Some(EncodedTooLarge(limit)) = find(error) {
        return SendError::TooLarge(*limit);
    }
    if let Some(parse) = find::<hyper::Error>(error).filter(|error| error.is_parse()) {
        // Another attempt would not help: another protocol, or a head beyond hyper's bounds.
        let detail = parse.source().map_or_else(|| parse.to_string(), |cause| format!("{parse}: {cause}"));
        return SendError::Unreadable(format!("it is no answer in HTTP/1.1 ({detail})"));
    }
    let mut text = origin.to_owned();
    let mut cause = Some(error);
    if find::<io::Error>(error).is_some_and(is_out_of_files) {
        return SendError::Connect(format!("{origin}: this host has no file descriptor left (ulimit -n)"));
    }
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    match () {
        () if matches!(find(error), Some(rustls::Error::InvalidCertificate(_))) => SendError::Untrusted(text),
        () if connect => SendError::Connect(text),
        () => SendError::Interrupted(text),
    }
}

/// An error's cause of one type. An I/O error with another inside gives that one's causes as its
/// own, and not the error itself.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}

/// What has been read of one answer, in bytes and reads, and how many bytes of its body that was.
#[derive(Debug, Default)]
struct Account {
    bytes: AtomicU64,
    reads: AtomicU64,
    body: AtomicU64,
}

impl Account {
    /// Adds a read, or refuses it.
    fn read(&self, bytes: usize) -> Result<(), TooMuchOverhead> {
        let body = self.body.load(Ordering::Relaxed);
        let bytes = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let reads = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        let bytes_max = OVERHEAD_FREE.saturating_add(body.saturating_mul(OVERHEAD_PER_BYTE));
        if bytes > bytes_max || reads > pieces_max(bytes) { Err(TooMuchOverhead) } else { Ok(()) }
    }

    /// Begins with the next answer.
    fn begin(&self) {
        for count in [&self.bytes, &self.reads, &self.body] {
            count.store(0, Ordering::Relaxed);
        }
    }
}

/// How many pieces so many bytes may come in.
fn pieces_max(bytes: u64) -> u64 {
    PIECES_FREE.saturating_add(bytes / PIECE_MEAN_MIN)
}

/// A TCP connection that counts what it reads.
struct Metered {
    tcp: TcpStream,
    account: Arc<Account>,
}

impl Metered {
    fn new(tcp: TcpStream) -> Self {
        Self { tcp, account: Arc::default() }
    }
}

impl Connection for Metered {
    fn connected(&self) -> Connected {
        self.tcp.connected().extra(Arc::clone(&self.account))
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buffer))?;
        Poll::Ready(self.account.read(buffer.filled().len() - before).map_err(io::Error::other))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A body as it comes, which credits its connection's account and counts its own chunks.
struct Measured {
    incoming: Incoming,
    account: Option<Arc<Account>>,
    bytes: u64,
    chunks: u64,
    encoded_max: usize,
}

impl Measured {
    fn of(answer: Response<Incoming>, encoded_max: usize) -> Response<Self> {
        let account = answer.extensions().get::<Arc<Account>>().cloned();
        answer.map(|incoming| Self { incoming, account, bytes: 0, chunks: 0, encoded_max })
    }

    fn count(&mut self, chunk: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.bytes += chunk as u64;
        self.chunks += 1;
        if let Some(account) = &self.account {
            account.body.fetch_add(chunk as u64, Ordering::Relaxed);
        }
        if self.bytes > self.encoded_max as u64 {
            return Err(EncodedTooLarge(self.encoded_max).into());
        }
        if self.chunks > pieces_max(self.bytes) {
            return Err(TooMuchOverhead.into());
        }
        Ok(())
    }
}

impl Body for Measured {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Some(frame) = ready!(Pin::new(&mut self.incoming).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame?;
        if let Some(chunk) = frame.data_ref().map(Bytes::len) {
            self.count(chunk)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Measured {
    /// The answer is whole; or it is given up, and hyper closes the connection.
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            account.begin();
        }
    }
}
