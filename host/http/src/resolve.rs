//! Resolves a host's name to the addresses that a connection may go to. Addresses are refused here,
//! on the very list that is then connected to: a name that is looked up once for the check and once
//! more for the connection could resolve differently each time (DNS rebinding). Addresses that are
//! written in a URL never come here; `egress` checks those.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use rustix::io::Errno;
use thiserror::Error;
use tower::Service;
use url::{Host, Url};

use super::address::{AddressClass, Reach, class};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 32;
/// How long a name is looked up when a base URL is registered; one that takes longer counts as not
/// found.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// A host whose addresses were all refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{host} is at {address}, a {} address, which was not granted", .class.name())]
pub struct AddressRefused {
    /// The host, as the URL names it.
    pub host: String,
    /// Where it is.
    pub address: IpAddr,
    /// What kind of address that is.
    pub class: AddressClass,
}

/// How names are looked up.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// As the system does it.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|host| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await;
            // The system says then that there is no such name.
            let found = found.map_err(|error| out_of_files().unwrap_or(error))?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Whether an error says that no file descriptor is left, in this process or in the system.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| code == Some(errno.raw_os_error()))
}

/// Files that opening a database or an engine takes at once.
const FILES_NEEDED: usize = 8;

/// Whether fewer than `FILES_NEEDED` file descriptors are left, so that the call that failed may
/// have failed for that: the files that it had opened are closed by now.
pub fn lacks_files() -> bool {
    let opened: Result<Vec<_>, _> = (0..FILES_NEEDED).map(|_| std::fs::File::open("/dev/null")).collect();
    opened.is_err_and(|error| is_out_of_files(&error))
}

/// The error, if no file descriptor is left.
fn out_of_files() -> Option<io::Error> {
    std::fs::File::open("/dev/null").err().filter(is_out_of_files)
}

/// Looks names up for one of the two pools of connections.
#[derive(Clone)]
pub(super) struct FilteringResolver {
    lookup: Lookup,
    admits: fn(IpAddr) -> bool,
}

impl FilteringResolver {
    /// Finds addresses that `admits` lets pass, and no others.
    pub(super) fn new(lookup: Lookup, admits: fn(IpAddr) -> bool) -> Self {
        Self { lookup, admits }
    }
}

/// Whether a connection without a grant may go to an address.
pub(super) fn public_only(address: IpAddr) -> bool {
    class(address).reach() == Reach::Anybody
}

/// Whether a connection with a grant for private addresses may go to an address.
pub(super) fn private_too(address: IpAddr) -> bool {
    class(address).reach() != Reach::ByItself
}

impl Service<Name> for FilteringResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let host = name.as_str().to_owned();
        let (found, admits) = ((self.lookup)(host.clone()), self.admits);
        Box::pin(async move {
            let found = found.await?;
            let refused = found.iter().copied().find(|address| !admits(*address));
            let admitted: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| admits(*address))
                .take(ADDRESSES_MAX)
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            match refused {
                Some(address) if admitted.is_empty() => {
                    Err(AddressRefused { host, address, class: class(address) }.into())
                }
                _ => Ok(admitted.into_iter()),
            }
        })
    }
}

/// Whether all addresses of a base URL are private. An operator who sets such a URL by hand means
/// to grant them.
pub async fn is_private(url: &Url) -> bool {
    let addresses = match url.host() {
        Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
        Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
        Some(Host::Domain("localhost")) => return true,
        Some(Host::Domain(host)) => {
            let found = tokio::time::timeout(LOOKUP_TIMEOUT, system_lookup()(host.to_owned())).await;
            found.ok().and_then(Result::ok).unwrap_or_default()
        }
        None => Vec::new(),
    };
    !addresses.is_empty() && addresses.into_iter().all(|address| !public_only(address))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Names that are looked up here: each answer once, the last one from then on.
    pub(in super::super) fn answers(answers: &[&[&str]]) -> Lookup {
        let parse = |text: &&str| text.parse().unwrap_or_else(|_| panic!("{text} is no address"));
        let answers: Vec<Vec<IpAddr>> = answers.iter().map(|one| one.iter().map(parse).collect()).collect();
        let next = Mutex::new(0);
        Arc::new(move |_| {
            let mut next = next.lock().expect("no lookup panics");
            let answer = answers[(*next).min(answers.len() - 1)].clone();
            *next += 1;
            Box::pin(async move { Ok(answer) })
        })
    }

    async fn resolve(lookup: &Lookup, admits: fn(IpAddr) -> bool) -> Result<Vec<String>, String> {
        let name = "erp.example".parse().expect("a name");
        let found = FilteringResolver::new(Arc::clone(lookup), admits).call(name).await;
        found.map(|addresses| addresses.map(|a| a.ip().to_string()).collect()).map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn addresses_that_were_not_granted_are_left_out_and_are_an_error_where_no_other_is_left() {
        let mixed = answers(&[&["10.0.0.7", "8.8.8.8", "::1", "2606:4700::1111"]]);
        assert_eq!(resolve(&mixed, public_only).await, Ok(vec!["8.8.8.8".into(), "2606:4700::1111".into()]));
        let private = answers(&[&["10.0.0.7", "::ffff:127.0.0.1"]]);
        let refused = resolve(&private, public_only).await;
        assert_eq!(refused, Err("erp.example is at 10.0.0.7, a private address, which was not granted".into()));
        assert_eq!(resolve(&private, private_too).await.map(|found| found.len()), Ok(2));
    }

    #[tokio::test]
    async fn a_grant_for_private_addresses_covers_no_metadata_link_or_group() {
        for address in ["169.254.169.254", "fe80::1", "fd00:ec2::254", "224.0.0.1", "0.0.0.0", "255.255.255.255"] {
            let refused = resolve(&answers(&[&[address]]), private_too).await;
            assert!(refused.as_ref().is_err_and(|e| e.contains("not granted")), "{address}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_changes_its_answer_is_judged_by_the_answer_that_is_connected_to() {
        let rebinding = answers(&[&["8.8.8.8"], &["127.0.0.1"]]);
        assert_eq!(resolve(&rebinding, public_only).await, Ok(vec!["8.8.8.8".into()]));
        assert!(resolve(&rebinding, public_only).await.is_err());
    }

    #[tokio::test]
    async fn a_base_url_is_private_where_all_of_its_addresses_are() {
        for private in
            ["http://127.0.0.1:8080/", "http://10.1/", "http://[::1]/", "http://0x7f000001/", "http://localhost/"]
        {
            assert!(is_private(&private.parse().expect("a URL")).await, "{private}");
        }
        for public in ["https://8.8.8.8/", "https://[2606:4700::1111]/", "https://nowhere.invalid/"] {
            assert!(!is_private(&public.parse().expect("a URL")).await, "{public}");
        }
    }
}
