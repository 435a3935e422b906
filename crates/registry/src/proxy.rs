//! What a proxy on the way to a registry did, told from what the registry does.

use std::error::Error;
use std::fmt;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use lock_model::ErrorClass;
use tokio::net::TcpStream;
use url::Url;

use crate::connection::Proxies;
use crate::error::RegistryErrorKind;
use crate::http::is_unknown_host;
use crate::text::{host_of, with_causes};
use crate::tls_fault;

/// Why a proxy does not pass a request on. Displayed as the end of a sentence that begins with the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyFault {
    /// It wants a login, or another one than its address holds.
    Login,
    /// It does not connect to this host.
    Refused {
        /// As in 403.
        status: u16,
    },
    /// It could not connect to the host this time.
    NotConnected {
        /// As in 502; absent where it cannot be read.
        status: Option<u16>,
    },
    /// No connection to the proxy itself.
    Unreachable,
    /// The proxy's name has no address, as the name server says.
    UnknownHost,
}

impl ProxyFault {
    pub(crate) fn class(self) -> ErrorClass {
        match self {
            Self::Login | Self::Refused { .. } => ErrorClass::Denied,
            Self::NotConnected { .. } | Self::Unreachable | Self::UnknownHost => ErrorClass::Temporary,
        }
    }

    fn of_status(status: Option<u16>) -> Self {
        match status {
            Some(407) => Self::Login,
            Some(status) if (400..500).contains(&status) && status != 408 && status != 429 => Self::Refused { status },
            status => Self::NotConnected { status },
        }
    }
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login => f.write_str("asks for a login (407)"),
            Self::Refused { status } => write!(f, "refuses to connect to it ({status})"),
            Self::NotConnected { status: Some(status) } => write!(f, "did not connect to it ({status})"),
            Self::NotConnected { status: None } => f.write_str("did not connect to it"),
            Self::Unreachable => f.write_str("cannot be reached"),
            Self::UnknownHost => f.write_str("has a name without an address"),
        }
    }
}

/// The proxy through which an address is asked.
pub(crate) fn before(proxies: &Proxies, url: &Url) -> Option<Intercept> {
    let proxy = if url.scheme() == "https" { &proxies.https } else { &proxies.http };
    let matcher = Matcher::builder().all(proxy.as_ref()?.as_str()).no(proxies.unproxied()).build();
    matcher.intercept(&url.as_str().parse().ok()?)
}

/// Whether a request failed at the proxy, and not behind it: the tunnel is there before TLS is spoken, and plain HTTP is
/// spoken with the proxy.
pub(crate) fn is_at_proxy(url: &Url, error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.to_string().starts_with("tunnel error: ") {
            return true;
        }
        next = error.source();
    }
    url.scheme() == "http" && error.is_connect()
}

/// What a request stands for that failed at the proxy.
pub(crate) async fn failure(proxy: &Intercept, url: &Url, error: reqwest::Error) -> RegistryErrorKind {
    let name = name(proxy);
    if let Some(lasting) = tls_fault::lasting(&name, &error) {
        return lasting;
    }
    let said = with_causes(&error);
    let (fault, source) = if said.contains("proxy authorization required") {
        (ProxyFault::Login, None)
    } else if said.contains("tunnel error: unsuccessful") {
        (ProxyFault::of_status(status(proxy, url).await), None)
    } else if is_unknown_host(&error) {
        (ProxyFault::UnknownHost, Some(error.into()))
    } else {
        (ProxyFault::Unreachable, Some(error.into()))
    };
    RegistryErrorKind::Proxy { host: host_of(url), proxy: name, fault, source }
}

/// What the proxy's own answer to a request over plain HTTP stands for.
pub(crate) fn login_needed(proxy: &Intercept, url: &Url) -> RegistryErrorKind {
    RegistryErrorKind::Proxy { host: host_of(url), proxy: name(proxy), fault: ProxyFault::Login, source: None }
}

/// `HOST[:PORT]` of a proxy, without its login.
fn name(proxy: &Intercept) -> String {
    let (host, port) = (proxy.uri().host().unwrap_or_default(), proxy.uri().port_u16());
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The status with which a proxy refuses a tunnel, for which it is asked again: the HTTP client tells 407 alone from the
/// others. `None` for a proxy that is spoken to with TLS, and where there is no answer.
async fn status(proxy: &Intercept, url: &Url) -> Option<u16> {
    if proxy.uri().scheme_str() != Some("http") {
        return None;
    }
    let host = proxy.uri().host()?.trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, proxy.uri().port_u16().unwrap_or(80))).await.ok()?;
    let target = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    let login = proxy.basic_auth().and_then(|login| login.to_str().ok());
    let login = login.map(|login| format!("Proxy-Authorization: {login}\r\n")).unwrap_or_default();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n");
    let mut left = request.as_bytes();
    while !left.is_empty() {
        stream.writable().await.ok()?;
        match stream.try_write(left) {
            Ok(written) => left = left.get(written..)?,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
    // `HTTP/1.1 403`
    let mut head = Vec::new();
    while head.len() < 12 {
        let mut buffer = [0; 12];
        stream.readable().await.ok()?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return None,
            Ok(length) => head.extend_from_slice(buffer.get(..length)?),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_what_a_proxy_refuses_stays_and_what_it_cannot_reach_passes() {
        for (status, fault, class) in [
            (Some(407), ProxyFault::Login, ErrorClass::Denied),
            (Some(403), ProxyFault::Refused { status: 403 }, ErrorClass::Denied),
            (Some(429), ProxyFault::NotConnected { status: Some(429) }, ErrorClass::Temporary),
            (Some(502), ProxyFault::NotConnected { status: Some(502) }, ErrorClass::Temporary),
            (None, ProxyFault::NotConnected { status: None }, ErrorClass::Temporary),
        ] {
            assert_eq!(ProxyFault::of_status(status), fault);
            assert_eq!(fault.class(), class, "{fault}");
        }
    }

    #[test]
    fn a_proxy_is_known_by_its_address_and_only_for_what_it_is_asked() {
        let proxies = Proxies {
            https: Some(Url::parse("http://me:canary@proxy.corp:3128").unwrap()),
            exceptions: "inside.corp".to_owned(),
            ..Proxies::default()
        };
        let of = |url: &str| before(&proxies, &Url::parse(url).unwrap()).map(|proxy| name(&proxy));
        assert_eq!(of("https://registry.example/v2/").as_deref(), Some("proxy.corp:3128"));
        for other in ["http://registry.example/v2/", "https://a.inside.corp/", "https://localhost:5000/"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
