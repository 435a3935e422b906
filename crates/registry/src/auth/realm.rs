//! Where a registry may send us for a token.
//!
//! The address comes from the registry, and our login goes there: it must be https, and it must not lead into the
//! network that we stand in, which the registry could not reach itself. Two exceptions: the host of the registry, which
//! we talk to anyway, and hosts that were named in the options.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::options::RegistryOptions;
use crate::text::{escaped, host_of};

/// Which addresses a request may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// To the one that its name has: the host was named by the user.
    Anywhere,
    /// To public ones only: the host was named by a registry.
    PublicOnly,
}

/// Judges the address that a registry at `registry` gives for its tokens.
pub(crate) fn judge(realm: &str, registry: &Url, options: &RegistryOptions) -> Result<(Url, Reach), String> {
    let url = Url::parse(realm).map_err(|_| "is no address".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or a password".to_owned());
    }
    let Some(host) = url.host() else { return Err("names no host".to_owned()) };
    let same_host = registry.host() == Some(host.clone());
    let named = options.hosts.get(&host_of(&url));
    match url.scheme() {
        "https" => {}
        "http" if same_host && registry.scheme() == "http" => {}
        "http" if named.is_some_and(|host| host.plain_http == Some(true)) => {}
        "http" => return Err("is not https".to_owned()),
        other => return Err(format!("is not https but `{}`", escaped(other))),
    }
    if same_host || named.is_some() {
        return Ok((url, Reach::Anywhere));
    }
    let inside = match host {
        Host::Ipv4(address) => !is_public(address.into()),
        Host::Ipv6(address) => !is_public(address.into()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
    };
    if inside { Err(NOT_PUBLIC.to_owned()) } else { Ok((url, Reach::PublicOnly)) }
}

pub(crate) const NOT_PUBLIC: &str =
    "is not a public address, and neither the registry's host nor one that is named in the configuration";

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a >= 224 // multicast, reserved, broadcast
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 198 && (b == 18 || b == 19))) // benchmarks
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] // mapped
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] // NAT64
        | [0x2002, high, low, ..] => embedded(high, low), // 6to4
        // Unspecified, loopback, the old compatible ones, and NAT64 of a local network.
        [0 | 0x64, ..] => false,
        [0x2001, 0xdb8, ..] => false, // documentation
        // Only this eighth has been given out to the internet: not unique-local, link-local, multicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// A name leads to an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` {NOT_PUBLIC}")]
pub(crate) struct NotPublic {
    name: String,
}

/// Resolves names, and refuses one with any address that is not public. The check and the connection use the same
/// answer, so that a name cannot be one thing when it is looked at and another when it is used.
#[derive(Clone, Debug)]
pub(crate) struct PublicOnly {
    /// The proxies in between, which the user named.
    pub(crate) except: BTreeSet<String>,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let excepted = self.except.contains(&name);
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !excepted && !addresses.iter().all(|address| is_public(address.ip())) {
                return Err(NotPublic { name }.into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::HostOptions;

    fn judged(realm: &str, registry: &str) -> Result<Reach, String> {
        let mut options = RegistryOptions::default();
        options.hosts.insert("auth.corp".to_owned(), HostOptions::default());
        options
            .hosts
            .insert("plain.corp:8080".to_owned(), HostOptions { plain_http: Some(true), ..HostOptions::default() });
        judge(realm, &Url::parse(registry).unwrap(), &options).map(|(_, reach)| reach)
    }

    #[test]
    fn t20_a_realm_is_https_and_public() {
        assert_eq!(judged("https://auth.docker.io/token", "https://registry-1.docker.io"), Ok(Reach::PublicOnly));
        assert_eq!(judged("https://8.8.8.8/token", "https://registry.example"), Ok(Reach::PublicOnly));
        for realm in [
            "http://auth.example/token",
            "http://registry.example/token",
            "http://169.254.169.254/latest/meta-data",
            "https://169.254.169.254/latest/meta-data",
            "https://[::ffff:169.254.169.254]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:a00:1::]/",
            "https://2852039166/",
            "https://0x7f.1/",
            "https://127.0.0.1/",
            "https://10.1.2.3/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://255.255.255.255/",
            "https://[::1]/",
            "https://[::]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[ff02::1]/",
            "https://localhost/",
            "https://localhost./",
            "https://a.LOCALHOST/",
            "https://user:password@auth.example/",
            "file:///etc/passwd",
            "ftp://auth.example/",
            "/token",
            "auth.example/token",
            "",
            "https://",
        ] {
            assert!(judged(realm, "https://registry.example").is_err(), "{realm}");
        }
    }

    #[test]
    fn t20_the_registrys_own_host_and_named_hosts_may_be_anywhere() {
        assert_eq!(judged("https://10.0.0.1:8443/token", "https://10.0.0.1"), Ok(Reach::Anywhere));
        assert_eq!(judged("http://127.0.0.1:6000/token", "http://127.0.0.1:5000"), Ok(Reach::Anywhere));
        assert_eq!(judged("https://auth.corp/token", "https://registry.example"), Ok(Reach::Anywhere));
        assert_eq!(judged("http://plain.corp:8080/token", "https://registry.example"), Ok(Reach::Anywhere));
        for (realm, registry) in [
            ("http://10.0.0.1/token", "https://10.0.0.1"),
            ("http://127.0.0.2/token", "http://127.0.0.1:5000"),
            ("http://localhost:6000/token", "http://127.0.0.1:5000"),
            ("http://auth.corp/token", "https://registry.example"),
            ("http://plain.corp/token", "https://registry.example"),
        ] {
            assert!(judged(realm, registry).is_err(), "{realm}");
        }
    }

    #[tokio::test]
    async fn t20_a_name_with_a_private_address_is_not_resolved() {
        let resolve = |except: &[&str]| {
            let except = except.iter().map(|name| (*name).to_owned()).collect();
            PublicOnly { except }.resolve("localhost".parse().unwrap())
        };
        let Err(error) = resolve(&[]).await else { panic!("resolved") };
        assert!(error.downcast_ref::<NotPublic>().is_some(), "{error}");
        assert!(resolve(&["localhost"]).await.is_ok_and(|mut addresses| addresses.next().is_some()));
    }
}
