//! Which network addresses people may have Vedette call: as a camera, as a receiver of alerts.
//!
//! Cameras and door controllers live in private networks, so private addresses and this host's own are let through. What
//! none of them has is not: addresses of the link alone, which is where clouds tell a machine its own credentials, further
//! addresses some of them do that at, and those that are no single host's. Pure: nothing is looked up here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds tell machines about themselves, apart from addresses of the link: Oracle, Alibaba, Azure.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
/// The same in IPv6: Amazon, Google.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
];

/// Why nothing is to be had at an address.
pub const REFUSED: &str = "this address is the link's own, a cloud's metadata service or no host's";

/// Whether anything may be asked of, or sent to, a host at `address`.
pub fn is_allowed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_allowed_v4(address),
        IpAddr::V6(address) => {
            let is_odd = address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || METADATA_V6.contains(&address);
            !is_odd && embedded_v4(address).is_none_or(is_allowed_v4)
        }
    }
}

fn is_allowed_v4(address: Ipv4Addr) -> bool {
    let is_odd = address.octets()[0] == 0
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || METADATA_V4.contains(&address);
    !is_odd
}

/// The IPv4 address a packet to `address` ends up at, or may: mapped, translated (RFC 6052) or 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        // The deprecated form, of which ::1 is none.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn private_addresses_are_hosts_and_metadata_services_are_not() {
        for address in [
            "10.0.0.7",
            "192.168.1.9",
            "172.16.0.1",
            "127.0.0.1",
            "203.0.113.9",
            "::1",
            "fd12::7",
            "2001:db8::1",
        ] {
            assert!(is_allowed(address.parse().unwrap()), "{address}");
        }
        for address in [
            "169.254.169.254",
            "169.254.1.1",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.0.192",
            "100.100.100.200",
            "168.63.129.16",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
        ] {
            assert!(!is_allowed(address.parse().unwrap()), "{address}");
        }
    }
}
