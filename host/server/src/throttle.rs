//! Throttle of sign-ins: an address that fails again and again has to wait, longer each time. The
//! store has only the password's hash, so this is the one place where it could be guessed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Failures without a wait.
const FREE: u32 = 5;
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// How long failures are remembered.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Addresses that are remembered; beyond, all others share one account.
const ADDRESSES_MAX: usize = 10_000;
/// Sign-ins that are worked on at once: each hash takes 19 MiB and tens of milliseconds.
const AT_ONCE: usize = 2;

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Failed sign-ins by address.
pub(super) struct Throttle {
    failures: Mutex<HashMap<IpAddr, Failures>>,
    at_once: Semaphore,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { failures: Mutex::default(), at_once: Semaphore::new(AT_ONCE) }
    }
}

impl Throttle {
    /// Waits for one of the [`AT_ONCE`] sign-ins at a time.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.at_once.acquire().await.ok()
    }

    /// Counts a sign-in as failed before it is tried, so that parallel ones gain nothing over one
    /// after the other. Fails with the time to wait.
    pub(super) fn begin(&self, address: IpAddr) -> Result<(), Duration> {
        let mut all = self.failures.lock();
        all.retain(|_, failures| failures.last.elapsed() < REMEMBERED);
        let address = of_one_subscriber(address);
        let full = all.len() >= ADDRESSES_MAX && !all.contains_key(&address);
        let address = if full { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { address };
        let failures = all.entry(address).or_insert(Failures { count: 0, last: Instant::now() });
        let wait = wait_after(failures.count).saturating_sub(failures.last.elapsed());
        if !wait.is_zero() {
            return Err(wait);
        }
        *failures = Failures { count: failures.count + 1, last: Instant::now() };
        Ok(())
    }

    /// Forgets an address's failures after a successful sign-in.
    pub(super) fn forget(&self, address: IpAddr) {
        self.failures.lock().remove(&of_one_subscriber(address));
    }
}

/// The address that stands for a caller's whole network: an IPv6 subscriber has all 2^64 addresses
/// of its /64, and a local process every loopback address.
pub(super) fn of_one_subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address if address.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

fn wait_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(beyond) => Duration::from_secs(1 << beyond.min(16)).min(WAIT_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_again_and_again_waits_and_nobody_else_does() {
        let throttle = Throttle::default();
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..FREE {
            assert_eq!(throttle.begin(one), Ok(()));
        }
        assert!(throttle.begin(one).is_err_and(|wait| wait <= Duration::from_secs(1)));
        assert_eq!(throttle.begin(other), Ok(()));
        throttle.forget(one);
        assert_eq!(throttle.begin(one), Ok(()));
    }

    #[test]
    fn the_addresses_of_one_network_are_one_and_waits_have_an_end() {
        let throttle = Throttle::default();
        for n in 1..=FREE {
            assert_eq!(throttle.begin(format!("2001:db8::{n}").parse().unwrap()), Ok(()));
        }
        assert!(throttle.begin("2001:db8::ffff".parse().unwrap()).is_err());
        assert_eq!(throttle.begin("2001:db8:0:1::1".parse().unwrap()), Ok(()));
        assert_eq!(wait_after(FREE - 1), Duration::ZERO);
        assert_eq!(wait_after(u32::MAX), WAIT_MAX);
    }
}
