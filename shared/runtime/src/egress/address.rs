//! Which addresses a request may reach without being allowed by name.
//!
//! Source: the IANA special-purpose registries for IPv4 and IPv6, and the documented metadata
//! addresses of the clouds. For IPv6 the question is turned around: only `2000::/3` is handed out
//! as global unicast, so everything outside of it is refused even where no row names it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What an address is for, as far as outgoing requests care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// A server on the internet; the only class that needs no permission.
    Public,
    /// This machine.
    Loopback,
    /// This network segment.
    LinkLocal,
    /// A private network: RFC 1918, unique local, site-local, local-use NAT64.
    Private,
    /// A carrier's network behind NAT, 100.64.0.0/10; several clouds use it inside.
    CarrierNat,
    /// An endpoint from which a cloud's machines read their credentials.
    Metadata,
    /// A group of machines.
    Multicast,
    /// Every machine on the segment.
    Broadcast,
    /// "This host on this network"; connecting to it reaches this machine.
    Unspecified,
    /// Set aside for examples in documents.
    Documentation,
    /// Set aside for measuring network equipment, 198.18.0.0/15.
    Benchmark,
    /// Set aside by the IETF for anything else, or not handed out at all.
    Reserved,
}

impl AddressClass {
    /// Whether a host that is allowed by its *name* may still not turn out to be at such an
    /// address. No HTTP server of anybody's own is there, so the answer can only be a mistake or an
    /// attack by whoever controls the name.
    pub(super) fn is_never_behind_a_name(self) -> bool {
        matches!(self, Self::Metadata | Self::Multicast | Self::Broadcast | Self::Unspecified)
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Private => "a private address",
            Self::CarrierNat => "a carrier-grade NAT address",
            Self::Metadata => "a cloud metadata address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Unspecified => "an unspecified address",
            Self::Documentation => "a documentation address",
            Self::Benchmark => "a benchmark address",
            Self::Reserved => "a reserved address",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// The first row that contains the address decides, so single addresses come first.
const V4_TABLE: &[(Ipv4Net, AddressClass)] = &[
    // AWS, Google Cloud, Azure, Oracle, DigitalOcean, …
    (v4(169, 254, 169, 254, 32), AddressClass::Metadata),
    // AWS: credentials of containers (ECS, EKS).
    (v4(169, 254, 170, 2, 32), AddressClass::Metadata),
    (v4(169, 254, 170, 23, 32), AddressClass::Metadata),
    // Azure's platform endpoint: looks public, answers only from inside.
    (v4(168, 63, 129, 16, 32), AddressClass::Metadata),
    // Alibaba Cloud, inside the carrier NAT range.
    (v4(100, 100, 100, 200, 32), AddressClass::Metadata),
    // Oracle Cloud classic, inside the IETF range.
    (v4(192, 0, 0, 192, 32), AddressClass::Metadata),
    (v4(255, 255, 255, 255, 32), AddressClass::Broadcast),
    (v4(0, 0, 0, 0, 8), AddressClass::Unspecified),
    (v4(10, 0, 0, 0, 8), AddressClass::Private),
    (v4(100, 64, 0, 0, 10), AddressClass::CarrierNat),
    (v4(127, 0, 0, 0, 8), AddressClass::Loopback),
    (v4(169, 254, 0, 0, 16), AddressClass::LinkLocal),
    (v4(172, 16, 0, 0, 12), AddressClass::Private),
    (v4(192, 0, 0, 0, 24), AddressClass::Reserved),
    (v4(192, 0, 2, 0, 24), AddressClass::Documentation),
    // The anycast relay of 6to4, withdrawn by RFC 7526.
    (v4(192, 88, 99, 0, 24), AddressClass::Reserved),
    (v4(192, 168, 0, 0, 16), AddressClass::Private),
    (v4(198, 18, 0, 0, 15), AddressClass::Benchmark),
    (v4(198, 51, 100, 0, 24), AddressClass::Documentation),
    (v4(203, 0, 113, 0, 24), AddressClass::Documentation),
    (v4(224, 0, 0, 0, 4), AddressClass::Multicast),
    (v4(240, 0, 0, 0, 4), AddressClass::Reserved),
];

/// `fd00:ec2::254`, the metadata endpoint of AWS over IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254);

/// What remains after the addresses that carry an IPv4 address; the first row decides.
const V6_TABLE: &[(Ipv6Net, AddressClass)] = &[
    (v6(0x0064, 0xff9b, 1, 48), AddressClass::Private),
    (v6(0xfc00, 0, 0, 7), AddressClass::Private),
    (v6(0xfe80, 0, 0, 10), AddressClass::LinkLocal),
    (v6(0xfec0, 0, 0, 10), AddressClass::Private),
    (v6(0xff00, 0, 0, 8), AddressClass::Multicast),
    (v6(0x2001, 0x0002, 0, 48), AddressClass::Benchmark),
    // IETF protocol assignments, Teredo (2001::/32) among them: no server is there.
    (v6(0x2001, 0, 0, 23), AddressClass::Reserved),
    (v6(0x2001, 0x0db8, 0, 32), AddressClass::Documentation),
    (v6(0x3fff, 0, 0, 20), AddressClass::Documentation),
    (v6(0x2000, 0, 0, 3), AddressClass::Public),
];

/// Says what `address` is for. Addresses that carry an IPv4 address inside (mapped, compatible,
/// NAT64, 6to4, Teredo) are what that address is, since the network may well deliver them there.
pub fn classify(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    V4_TABLE
        .iter()
        .find(|(net, _)| net.contains(&address))
        .map_or(AddressClass::Public, |(_, class)| *class)
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    if address.is_unspecified() {
        return AddressClass::Unspecified;
    }
    if address.is_loopback() {
        return AddressClass::Loopback;
    }
    if address == METADATA_V6 {
        return AddressClass::Metadata;
    }
    match embedded(address) {
        Some(Embedded::Reachable(inner)) => classify_v4(inner),
        Some(Embedded::Obsolete(inner)) => match classify_v4(inner) {
            AddressClass::Public => AddressClass::Reserved,
            class => class,
        },
        None => V6_TABLE
            .iter()
            .find(|(net, _)| net.contains(&address))
            .map_or(AddressClass::Reserved, |(_, class)| *class),
    }
}

/// An IPv4 address inside an IPv6 address.
enum Embedded {
    /// In a form that today's networks translate; a public address inside is fine.
    Reachable(Ipv4Addr),
    /// In a form that nothing should use any more; refused whatever is inside.
    Obsolete(Ipv4Addr),
}

fn embedded(address: Ipv6Addr) -> Option<Embedded> {
    let [prefix @ .., high, low] = address.segments();
    match prefix {
        // IPv4-mapped: a socket connects to the IPv4 address itself. NAT64: how a machine with
        // IPv6 only reaches every IPv4 server.
        [0, 0, 0, 0, 0, 0xffff] | [0x0064, 0xff9b, 0, 0, 0, 0] => {
            Some(Embedded::Reachable(joined(high, low)))
        }
        // IPv4-compatible (RFC 4291) and IPv4-translated (RFC 2765).
        [0, 0, 0, 0, 0 | 0xffff, 0] => Some(Embedded::Obsolete(joined(high, low))),
        // 6to4 keeps the address right after its prefix.
        [0x2002, high, low, ..] => Some(Embedded::Reachable(joined(high, low))),
        // Teredo stores the client's address with every bit flipped.
        [0x2001, 0, ..] => Some(Embedded::Obsolete(joined(!high, !low))),
        _ => None,
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low))
}

/// Host names under which clouds serve credentials; lower case, without a trailing dot.
const METADATA_NAMES: &[&str] = &[
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Whether `name` (lower case, as the `url` crate writes it) is a metadata endpoint. Names are
/// checked besides addresses so that the refusal does not depend on what the name resolves to.
pub(super) fn is_metadata_name(name: &str) -> bool {
    METADATA_NAMES.contains(&name.strip_suffix('.').unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_the_registries_say() {
        use AddressClass as Is;
        let table: &[(Is, &[&str])] = &[
            (Is::Public, &["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111"]),
            (Is::Public, &["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0"]),
            (Is::Public, &["192.167.255.255", "192.169.0.0", "126.255.255.255", "128.0.0.0"]),
            (Is::Public, &["100.63.255.255", "100.128.0.0", "169.253.255.255", "169.255.0.0"]),
            (Is::Public, &["198.17.255.255", "198.20.0.0", "223.255.255.255", "1.0.0.0"]),
            (Is::Public, &["2001:200::1", "2a00::1", "3ffe::1", "3fff:1000::1"]),
            (Is::Public, &["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]),
            (Is::Loopback, &["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"]),
            (Is::Loopback, &["::127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::"]),
            (Is::Loopback, &["::ffff:0:127.0.0.1", "2001:0:0:0:0:0:80ff:fffe"]),
            (Is::LinkLocal, &["169.254.0.0", "169.254.255.255", "fe80::1", "febf:ffff::1"]),
            (Is::Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255"]),
            (Is::Private, &["192.168.0.0", "192.168.255.255", "fc00::1", "fdff:ffff::1"]),
            (Is::Private, &["fec0::1", "64:ff9b:1::1", "::ffff:10.0.0.1", "2002:c0a8:1::"]),
            (Is::CarrierNat, &["100.64.0.0", "100.127.255.255", "64:ff9b::100.64.0.1"]),
            (Is::Metadata, &["169.254.169.254", "169.254.170.2", "fd00:ec2::254"]),
            (Is::Metadata, &["100.100.100.200", "168.63.129.16", "192.0.0.192"]),
            (Is::Metadata, &["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"]),
            (Is::Multicast, &["224.0.0.0", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"]),
            (Is::Broadcast, &["255.255.255.255", "::ffff:255.255.255.255"]),
            (Is::Unspecified, &["0.0.0.0", "0.255.255.255", "::", "::ffff:0.0.0.0"]),
            (Is::Documentation, &["192.0.2.1", "198.51.100.1", "203.0.113.255"]),
            (Is::Documentation, &["2001:db8::1", "3fff::1", "3fff:fff:ffff::1"]),
            (Is::Benchmark, &["198.18.0.0", "198.19.255.255", "2001:2::1"]),
            (Is::Reserved, &["240.0.0.0", "255.255.255.254", "192.0.0.8", "192.88.99.1"]),
            (Is::Reserved, &["100::1", "5f00::1", "4000::1", "1fff::1", "::8.8.8.8"]),
            (Is::Reserved, &["2001::1", "2001:20::1", "2001:1ff::1", "2001:0:0:0:0:0:f7f7:f7f7"]),
        ];
        for (class, addresses) in table {
            for address in *addresses {
                assert_eq!(classify(address.parse().expect("an address")), *class, "{address}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn every_v6_address_has_a_class(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            let class = classify(address.into());
            // Said once more, independently of the table.
            let global_unicast = bits >> 125 == 1;
            let translated = bits >> 32 == 0xffff || bits >> 32 == 0x0064_ff9b << 64;
            proptest::prop_assert!(class != AddressClass::Public || global_unicast || translated);
        }

        #[test]
        fn addresses_with_an_address_inside_are_what_is_inside(bits: u32) {
            let inner = classify(Ipv4Addr::from_bits(bits).into());
            let carry = |high: u128| classify(Ipv6Addr::from_bits(high | u128::from(bits)).into());
            proptest::prop_assert_eq!(carry(0xffff << 32), inner);
            proptest::prop_assert_eq!(carry(0x0064_ff9b << 96), inner);
            let six_to_four = (0x2002 << 112) | (u128::from(bits) << 80) | 1;
            proptest::prop_assert_eq!(classify(Ipv6Addr::from_bits(six_to_four).into()), inner);
            // Obsolete forms are never public.
            proptest::prop_assert_ne!(carry(0), AddressClass::Public);
            let teredo = (0x2001_0000 << 96) | u128::from(!bits);
            let teredo = classify(Ipv6Addr::from_bits(teredo).into());
            let expected =
                if inner == AddressClass::Public { AddressClass::Reserved } else { inner };
            proptest::prop_assert_eq!(teredo, expected);
        }

        #[test]
        fn std_agrees_on_what_is_internal(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let internal = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_multicast()
                || address.is_unspecified();
            proptest::prop_assert!(!internal || classify(address.into()) != AddressClass::Public);
        }
    }
}
