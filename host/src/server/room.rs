//! Room for connections: who opens thousands of them must not take the files and sockets that running scraps need, and who opens them
//! and does nothing must not keep others out.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::throttle::of_one_subscriber;

/// Connections at once: many more than browsers and listeners of one operator make, and fewer than the 1,024 files that a process may
/// have open where nobody says otherwise.
const CONNECTIONS_MAX: usize = 600;
/// Connections from one address: half of them, so that nobody has all.
const FROM_ONE_MAX: usize = CONNECTIONS_MAX / 2;
/// How long a connection may be without a byte in either direction: longer than any request takes. Listeners get some every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How long somebody may take nothing of what is sent to them.
const STALL_MAX: Duration = Duration::from_secs(60);
/// Bytes that wait for a reader in the system, at most. There is said to be room again when a third of them are taken: with more of them, a
/// reader who is only slow would seem to take nothing.
const UNSENT_MAX: usize = 512 * 1024;

/// How many connections each address has.
type Shares = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Lets connections in while there is room; those beyond are closed at once.
#[derive(Clone)]
pub(super) struct Room {
    seats: Arc<Semaphore>,
    /// How many each address has; none where all come from one proxy.
    by_address: Option<Shares>,
}

impl Room {
    pub(super) fn new(behind_proxy: bool) -> Self {
        let by_address = (!behind_proxy).then(Arc::default);
        Self { seats: Arc::new(Semaphore::new(CONNECTIONS_MAX)), by_address }
    }

    fn seat(&self, stream: &TcpStream) -> Result<Seat> {
        let full = |_| Error::other("too many connections");
        let permit = Arc::clone(&self.seats).try_acquire_owned().map_err(full)?;
        let Some(by_address) = &self.by_address else { return Ok(Seat { _permit: permit, share: None }) };
        let address = of_one_subscriber(stream.peer_addr()?.ip());
        let mut all = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = all.entry(address).or_default();
        if *taken >= FROM_ONE_MAX {
            return Err(Error::other("too many connections from one address"));
        }
        *taken += 1;
        Ok(Seat { _permit: permit, share: Some((Arc::clone(by_address), address)) })
    }
}

/// A connection's place; given back when it is dropped.
struct Seat {
    _permit: OwnedSemaphorePermit,
    share: Option<(Shares, IpAddr)>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((by_address, address)) = &self.share else { return };
        let mut all = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = all.get_mut(address) {
            *taken -= 1;
            if *taken == 0 {
                all.remove(address);
            }
        }
    }
}

impl<S> Accept<TcpStream, S> for Room {
    type Stream = Seated;
    type Service = S;
    type Future = Ready<Result<(Seated, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // Events are small, and nobody waits for more of them.
        let seated = self.seat(&stream).and_then(|seat| {
            stream.set_nodelay(true)?;
            rustix::net::sockopt::set_socket_send_buffer_size(&stream, UNSENT_MAX)?;
            let silent = Box::pin(tokio::time::sleep(SILENCE_MAX));
            Ok(Seated { stream, silent, stalled: None, _seat: seat })
        });
        ready(seated.map(|seated| (seated, service)))
    }
}

/// A connection that was let in.
pub(super) struct Seated {
    stream: TcpStream,
    /// When it has been silent for too long.
    silent: Pin<Box<Sleep>>,
    /// When what is to be written has waited for too long.
    stalled: Option<Pin<Box<Sleep>>>,
    _seat: Seat,
}

impl Seated {
    /// What came of reading or writing, unless nothing did for too long.
    fn bounded<T>(&mut self, cx: &mut Context<'_>, done: Poll<Result<T>>, is_write: bool) -> Poll<Result<T>> {
        if done.is_ready() {
            self.silent.as_mut().reset(Instant::now() + SILENCE_MAX);
            if is_write {
                self.stalled = None;
            }
            return done;
        }
        let stalled = is_write && {
            let until = || Box::pin(tokio::time::sleep(STALL_MAX));
            self.stalled.get_or_insert_with(until).as_mut().poll(cx).is_ready()
        };
        if stalled || self.silent.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncRead for Seated {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.bounded(cx, read, false)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written, true)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.bounded(cx, written, true)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
