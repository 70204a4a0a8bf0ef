//! What a guest sees of WASI, by a guest that looks.

use std::time::Duration;

use atlas_testing::guests::wasi_guest;

use super::bindings::wasi::clocks::monotonic_clock;
use super::bindings::wasi::filesystem::preopens;
use super::bindings::wasi::io::poll;
use super::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily};
use super::bindings::wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};
use super::*;
use crate::component::{ComponentLoader, LoadedComponent};
use crate::reason::reason_of_trap;
use crate::testing::{load, loader, scrap};

async fn clockwork() -> (ComponentLoader, LoadedComponent) {
    let loader = loader();
    let component = load(&loader, &wasi_guest()).await.unwrap();
    (loader, component)
}

/// What the guest saw: seconds, nanoseconds, a random number, the monotonic clock after its sleep.
async fn seen(loader: &ComponentLoader, component: &LoadedComponent, scrap: &wit::Scrap) -> (u64, u32, u64, u64) {
    let mut store = Guest::store(
        &loader.engine,
        &loader.limits,
        &loader.engine.share(None, "relogio"),
        "relogio",
        None,
        Wasi::of_page(scrap, None),
    );
    let page = component.linked.contract.fetch_page(&mut store, scrap, None).await.unwrap().unwrap();
    let wit::Records::Json(texts) = page.records else { panic!("no records") };
    let digits = texts[0].trim_matches('"');
    let bytes: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&digits[i * 2..i * 2 + 2], 16).unwrap()).collect();
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    (number(0), u32::from_le_bytes(bytes[8..12].try_into().unwrap()), number(16), number(24))
}

#[tokio::test]
async fn the_time_is_the_scraps_and_passes_only_in_sleep() {
    let (loader, component) = clockwork().await;
    let began = std::time::Instant::now();
    let (seconds, nanoseconds, _, after_sleep) = seen(&loader, &component, &scrap()).await;
    assert!(began.elapsed() >= std::time::Duration::from_millis(20));
    assert_eq!((seconds, nanoseconds), (1_760_961_600, 0));
    assert_eq!(after_sleep, 20_000_000);
}

#[tokio::test]
async fn a_replay_sees_the_very_same_and_another_moment_other_numbers() {
    let (loader, component) = clockwork().await;
    let first = seen(&loader, &component, &scrap()).await;
    assert_eq!(first, seen(&loader, &component, &scrap()).await);
    let later = wit::Scrap { now: "2025-10-20T12:00:01Z".to_owned(), ..scrap() };
    assert_ne!(first.2, seen(&loader, &component, &later).await.2);
}

#[tokio::test]
async fn to_exit_is_a_trap_with_its_reason() {
    let (loader, component) = clockwork().await;
    let scrap = scrap();
    let mut store = Guest::store(
        &loader.engine,
        &loader.limits,
        &loader.engine.share(None, "relogio"),
        "relogio",
        None,
        Wasi::of_page(&scrap, Some("exit")),
    );
    let trap = component.linked.contract.fetch_page(&mut store, &scrap, Some("exit".to_owned())).await.err().unwrap();
    assert_eq!(
        reason_of_trap(&trap, store.data().limit_reached(&trap)),
        "the connector exited with failure instead of returning"
    );
}

#[tokio::test]
async fn there_is_no_directory_and_every_socket_and_name_is_refused() {
    let loader = loader();
    let share = loader.engine.share(None, "relogio");
    let mut store = Guest::store(&loader.engine, &loader.limits, &share, "relogio", None, Wasi::of_describe());
    let guest = store.data_mut();
    assert!(preopens::Host::get_directories(guest).unwrap().is_empty());
    let network = instance_network::Host::instance_network(guest).unwrap();
    let name = ip_name_lookup::Host::resolve_addresses(guest, network, "localhost".to_owned()).unwrap();
    assert_eq!(name.err(), Some(ErrorCode::AccessDenied));
    for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
        let tcp = tcp_create_socket::Host::create_tcp_socket(guest, family).unwrap();
        let udp = udp_create_socket::Host::create_udp_socket(guest, family).unwrap();
        assert_eq!((tcp.err(), udp.err()), (Some(ErrorCode::AccessDenied), Some(ErrorCode::AccessDenied)));
    }
}

#[tokio::test]
async fn nobody_waits_for_a_guest_that_sleeps_while_it_describes_itself() {
    const YEAR: u64 = 365 * 24 * 3600 * 1_000_000_000;
    let loader = loader();
    let share = loader.engine.share(None, "relogio");
    let mut store = Guest::store(&loader.engine, &loader.limits, &share, "relogio", None, Wasi::of_describe());
    let guest = store.data_mut();
    let year = monotonic_clock::Host::subscribe_duration(guest, YEAR).unwrap();
    let slept = tokio::time::timeout(Duration::from_secs(10), poll::HostPollable::block(guest, year)).await;
    slept.unwrap().unwrap();
    assert_eq!(monotonic_clock::Host::now(guest).unwrap(), YEAR);
}
