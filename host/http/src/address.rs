//! Classes of IP addresses, which decide where a connector's request may go: to public addresses;
//! to others only where the operator granted it; and to some never, since no API is there, but a
//! service that hands out the machine's own credentials.
//!
//! The ranges are those of the IANA registries of special-purpose addresses
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>, …`iana-ipv6-special-registry`;
//! RFC 6890), and the addresses at which clouds serve metadata, as their manuals state them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The class of an IP address, by the registries of special-purpose addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressClass {
    /// A public address.
    Public,
    /// Documentation, benchmarks, future use, tunnels that are no more.
    Reserved,
    /// Between a provider and its customers (RFC 6598).
    Shared,
    /// In a private network (RFC 1918, RFC 4193).
    Private,
    /// This machine.
    Loopback,
    /// The unspecified address (`0.0.0.0`, `::`), which systems take for this machine.
    Unspecified,
    /// The broadcast address: all hosts on the network.
    Broadcast,
    /// A multicast group.
    Multicast,
    /// The machine's own link, where metadata is served (RFC 3927, RFC 4291).
    LinkLocal,
    /// A cloud's metadata service.
    Metadata,
}

/// Which requests may reach an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All requests.
    Anybody,
    /// Requests with a grant for addresses that are not public.
    Granted,
    /// None by a host name; only those below a base URL that is this very address.
    ByItself,
}

impl AddressClass {
    /// Its name, as the catalogues of messages know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Reserved => "reserved",
            Self::Shared => "shared",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::Unspecified => "unspecified",
            Self::Broadcast => "broadcast",
            Self::Multicast => "multicast",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
        }
    }

    /// Whether a grant for addresses that are not public covers it.
    pub fn is_grantable(self) -> bool {
        self.reach() == Reach::Granted
    }

    pub(super) fn reach(self) -> Reach {
        match self {
            Self::Public => Reach::Anybody,
            Self::Reserved | Self::Shared | Self::Private | Self::Loopback => Reach::Granted,
            Self::Unspecified | Self::Broadcast | Self::Multicast | Self::LinkLocal | Self::Metadata => Reach::ByItself,
        }
    }
}

/// Classifies an address. An IPv6 address with an IPv4 address in it is at least as restricted as
/// that one.
pub fn class(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        // Alibaba, Azure's host agent, Oracle's classic cloud; the others' are link-local.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] | [169, 254, 169, 254] => AddressClass::Metadata,
        [0, ..] => AddressClass::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::Shared,
        [127, ..] => AddressClass::Loopback,
        [169, 254, ..] => AddressClass::LinkLocal,
        // Protocol assignments, documentation (three), the relays of 6to4, benchmarks.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => {
            AddressClass::Reserved
        }
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> AddressClass {
    let within = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        class_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        // IPv4-mapped: a socket connects to the IPv4 address.
        [0, 0, 0, 0, 0, 0xffff, high, low] => within(high, low),
        // NAT64 (RFC 6052) and 6to4 (RFC 3056): a gateway connects to the IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => within(high, low),
        // IPv4-compatible and IPv4-translated, which are not in use, and NAT64 with a local prefix
        // (RFC 8215).
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 1, .., high, low] => {
            within(high, low).max(AddressClass::Reserved)
        }
        // Amazon's services within a machine's network; Google's metadata.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => AddressClass::Metadata,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        // Unique local, and site-local of before.
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => AddressClass::Private,
        // Protocol assignments (Teredo among them), documentation (two).
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => AddressClass::Reserved,
        // Global unicast; addresses outside of it are unassigned.
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> AddressClass {
        class(text.parse().unwrap_or_else(|_| panic!("{text} is no address")))
    }

    #[test]
    fn every_range_is_what_its_registry_says_from_its_first_address_to_its_last() {
        use AddressClass::*;
        let table: [(AddressClass, &[&str]); 10] = [
            (Public, &["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"]),
            (
                Private,
                &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"],
            ),
            (Shared, &["100.64.0.0", "100.127.255.255"]),
            (Loopback, &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]),
            (
                LinkLocal,
                &["169.254.0.0", "169.254.170.2", "169.254.255.255", "fe80::1", "febf:ffff::", "::ffff:169.254.1.1"],
            ),
            (
                Metadata,
                &[
                    "169.254.169.254",
                    "fd00:ec2::254",
                    "fd00:ec2::23",
                    "fd20:ce::254",
                    "100.100.100.200",
                    "168.63.129.16",
                    "192.0.0.192",
                    "::ffff:169.254.169.254",
                    "::a9fe:a9fe",
                    "64:ff9b::a9fe:a9fe",
                    "64:ff9b:1::a9fe:a9fe",
                    "2002:a9fe:a9fe::1",
                ],
            ),
            (Multicast, &["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ffff::"]),
            (Unspecified, &["0.0.0.0", "0.255.255.255", "::", "::ffff:0.0.0.0"]),
            (Broadcast, &["255.255.255.255", "::ffff:255.255.255.255"]),
            (
                Reserved,
                &[
                    "192.0.0.0",
                    "192.0.2.255",
                    "198.51.100.7",
                    "203.0.113.7",
                    "192.88.99.1",
                    "198.18.0.0",
                    "198.19.255.255",
                    "240.0.0.0",
                    "255.255.255.254",
                    "2001:db8::1",
                    "2001::1",
                    "2001:1ff::1",
                    "3fff::1",
                    "100::1",
                    "5f00::1",
                    "4000::",
                    "::8.8.8.8",
                ],
            ),
        ];
        for (expected, addresses) in table {
            for address in addresses {
                assert_eq!(of(address), expected, "{address}");
            }
        }
    }

    #[test]
    fn the_neighbours_of_each_range_are_public() {
        for address in [
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::",
            "2606:4700::1111",
            "2a00::",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::",
        ] {
            assert_eq!(of(address), AddressClass::Public, "{address}");
        }
    }

    #[test]
    fn unique_local_and_site_local_are_private() {
        for address in ["fc00::", "fdff:ffff::", "fec0::1", "2002:c0a8:1::", "::ffff:192.168.0.1"] {
            assert_eq!(of(address), AddressClass::Private, "{address}");
        }
    }

    proptest! {
        #[test]
        fn no_way_to_write_an_ipv4_address_within_an_ipv6_one_makes_it_more_public(bits in any::<u32>()) {
            let inner = Ipv4Addr::from_bits(bits);
            let (high, low) = ((bits >> 16) as u16, (bits & 0xffff) as u16);
            let plain = class(IpAddr::V4(inner));
            prop_assert_eq!(class(IpAddr::V6(inner.to_ipv6_mapped())), plain);
            let written = [
                [0, 0, 0, 0, 0, 0, high, low],
                [0, 0, 0, 0, 0xffff, 0, high, low],
                [0x64, 0xff9b, 0, 0, 0, 0, high, low],
                [0x64, 0xff9b, 1, 0, 0, 0, high, low],
                [0x2002, high, low, 0, 0, 0, 0, 1],
            ];
            for segments in written {
                let address = Ipv6Addr::from(segments);
                // `::` and `::1` are addresses of their own.
                if address.is_unspecified() || address.is_loopback() { continue }
                prop_assert!(class(IpAddr::V6(address)) >= plain, "{} is {:?}, {} {:?}", address, class(IpAddr::V6(address)), inner, plain);
            }
        }

        #[test]
        fn only_global_unicast_is_public(bits in any::<u128>()) {
            let address = Ipv6Addr::from_bits(bits);
            let embedded = address.to_ipv4_mapped().is_some() || address.segments()[..2] == [0x64, 0xff9b];
            let public = class(IpAddr::V6(address)) == AddressClass::Public;
            prop_assert!(!public || embedded || address.segments()[0] & 0xe000 == 0x2000);
        }
    }
}
