//! Limits on connections. A client that opens thousands must not take the files and sockets that
//! running scraps need, and one that opens them and stays idle must not keep others out. When the
//! ordinary seats are taken, or an address has its share of them, reserved seats serve one request
//! each: of signed-in browsers, of sign-ins and of probes such as `/healthz` (`guard` decides).

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tower::Layer;

use super::throttle::of_one_subscriber;

/// Connections at once: many more than browsers and listeners of one operator make, and fewer than
/// the 1,024 files that a process may have open by default.
const CONNECTIONS_MAX: usize = 600;
/// Connections from one address: half of them, so that no client holds all.
const FROM_ONE_MAX: usize = CONNECTIONS_MAX / 2;
/// Reserved connections beyond those, each for one request of a browser that is signed in or signs
/// in, or of a probe; and how many of them one address may hold.
const KEPT_MAX: usize = 40;
const KEPT_FROM_ONE_MAX: usize = KEPT_MAX / 2;
/// How long a reserved connection may take until its first byte.
const KEPT_FIRST_MAX: Duration = Duration::from_secs(2);
/// How long a connection may be without a byte in either direction: longer than any request takes.
/// Listeners get some every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How long a client may read nothing of a response before its connection is closed.
const STALL_MAX: Duration = Duration::from_secs(60);
/// Size of the socket's send buffer, in bytes. The kernel reports it writable once a third has
/// drained; a larger one would make a slow reader look stalled.
const UNSENT_MAX: usize = 512 * 1024;

/// Seats of one kind, and how many each address has of them.
#[derive(Clone)]
struct Seats {
    free: Arc<Semaphore>,
    /// Connections by address; `None` behind a proxy, where all come from its address.
    by_address: Option<Shares>,
    from_one_max: usize,
}

/// How many connections each address has.
type Shares = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The kind of seat that a connection was given, which decides what requests it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatKind {
    /// Serves any number of requests.
    Ordinary,
    /// Serves one request, of those that reserved seats are for.
    Kept,
}

/// Lets connections in while there is room; those beyond are closed at once.
#[derive(Clone)]
pub(super) struct ConnectionLimits {
    ordinary: Seats,
    kept: Seats,
}

impl ConnectionLimits {
    pub(super) fn new(behind_proxy: bool) -> Self {
        let seats = |number, from_one_max| Seats {
            free: Arc::new(Semaphore::new(number)),
            by_address: (!behind_proxy).then(Arc::default),
            from_one_max,
        };
        Self { ordinary: seats(CONNECTIONS_MAX, FROM_ONE_MAX), kept: seats(KEPT_MAX, KEPT_FROM_ONE_MAX) }
    }

    fn seat(&self, peer: IpAddr) -> Result<(Seat, SeatKind)> {
        let ordinary = self.ordinary.take(peer).map(|seat| (seat, SeatKind::Ordinary));
        let kept = || self.kept.take(peer).map(|seat| (seat, SeatKind::Kept));
        ordinary.or_else(kept).ok_or_else(|| Error::other("too many connections"))
    }
}

impl Seats {
    fn take(&self, peer: IpAddr) -> Option<Seat> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let Some(by_address) = &self.by_address else { return Some(Seat { _permit: permit, share: None }) };
        let address = of_one_subscriber(peer);
        let mut all = by_address.lock();
        let taken = all.entry(address).or_default();
        if *taken >= self.from_one_max {
            return None;
        }
        *taken += 1;
        Some(Seat { _permit: permit, share: Some((Arc::clone(by_address), address)) })
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
        let mut all = by_address.lock();
        if let Some(taken) = all.get_mut(address) {
            *taken -= 1;
            if *taken == 0 {
                all.remove(address);
            }
        }
    }
}

impl<S> Accept<TcpStream, S> for ConnectionLimits {
    type Stream = Seated;
    type Service = AddExtension<S, SeatKind>;
    type Future = Ready<Result<(Seated, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // Events are small and sent one by one: Nagle's algorithm would delay them.
        let seated = stream.peer_addr().and_then(|peer| self.seat(peer.ip())).and_then(|(seat, kind)| {
            stream.set_nodelay(true)?;
            rustix::net::sockopt::set_socket_send_buffer_size(&stream, UNSENT_MAX)?;
            let first = match kind {
                SeatKind::Ordinary => SILENCE_MAX,
                SeatKind::Kept => KEPT_FIRST_MAX,
            };
            let silent = Box::pin(tokio::time::sleep(first));
            Ok((Seated { stream, silent, stalled: None, _seat: seat }, Extension(kind).layer(service)))
        });
        ready(seated)
    }
}

/// A connection that was let in.
pub(super) struct Seated {
    stream: TcpStream,
    /// Fires when the connection has been silent for too long.
    silent: Pin<Box<Sleep>>,
    /// Fires when a write has been blocked for too long.
    stalled: Option<Pin<Box<Sleep>>>,
    _seat: Seat,
}

impl Seated {
    /// The result of a read or write, or an error once the connection was silent or stalled for too
    /// long.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_that_takes_all_it_can_leaves_seats_to_the_others_and_some_to_itself() {
        let limits = ConnectionLimits::new(false);
        let [hog, other] = ["127.0.0.1", "192.0.2.7"].map(|text| text.parse::<IpAddr>().unwrap());
        let held: Vec<_> = (0..).map_while(|_| limits.seat(hog).ok()).collect();
        let kept = held.iter().filter(|(_, kind)| *kind == SeatKind::Kept).count();
        assert_eq!((held.len() - kept, kept), (FROM_ONE_MAX, KEPT_FROM_ONE_MAX));
        assert!(limits.seat(other).is_ok_and(|(_, kind)| kind == SeatKind::Ordinary));
        drop(held);
        assert!(limits.seat(hog).is_ok_and(|(_, kind)| kind == SeatKind::Ordinary));
    }

    #[test]
    fn behind_a_proxy_seats_are_kept_too() {
        let limits = ConnectionLimits::new(true);
        let proxy = "192.0.2.1".parse().unwrap();
        let held: Vec<_> = (0..).map_while(|_| limits.seat(proxy).ok()).collect();
        assert_eq!(held.iter().filter(|(_, kind)| *kind == SeatKind::Kept).count(), KEPT_MAX);
        assert_eq!(held.len(), CONNECTIONS_MAX + KEPT_MAX);
    }
}
