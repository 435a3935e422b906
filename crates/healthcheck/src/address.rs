//! Addresses that no probe reaches: link-local ones, where clouds answer with credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The metadata service of one cloud, which has no link-local address.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// The same of another, in the range for shared use.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// Whether an address is one that probes and suites never ask: link-local ones, and the metadata services of clouds.
pub fn is_denied(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_denied_v4(address),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address == METADATA_V6 || embedded_v4(address).is_some_and(is_denied_v4)
        }
    }
}

fn is_denied_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || address.is_unspecified() || address == METADATA_V4
}

/// IPv4 in IPv6: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), and NAT64 (`64:ff9b::a.b.c.d`).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b, c, d] = address.octets();
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            (address != Ipv6Addr::LOCALHOST).then(|| Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

/// The address that a URL's host already is.
pub(crate) fn literal(url: &url::Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t31_link_local_addresses_are_denied_in_every_form() {
        for denied in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.0.0.0",
            "::",
        ] {
            assert!(is_denied(denied.parse().unwrap()), "{denied}");
        }
        for allowed in ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "2001:db8::1", "::ffff:10.0.0.1", "fd00::1"] {
            assert!(!is_denied(allowed.parse().unwrap()), "{allowed}");
        }
    }
}
