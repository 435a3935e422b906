//! The HTTP client for requests to an environment: no redirects, no proxy, no retries, no link-local addresses.
//!
//! ```
//! use std::time::Duration;
//!
//! use http_client::HttpClient;
//! use http_client::reqwest::Method;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = HttpClient::new("my-tool/1.0", Duration::from_secs(5))?;
//! // Where clouds hand out credentials, nothing is sent.
//! assert!(client.request(Method::GET, "http://169.254.169.254/latest/meta-data".parse()?).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `ring` | yes | [`HttpClient::new`] installs ring as the TLS provider where the process has none |
//!
//! # Runtime
//!
//! [`lookup`], and a request when it is sent, need a tokio runtime with its network and time drivers (`enable_all`).

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod json;

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lock_model::ErrorClass;
use lock_model::escaping::escape_terminal;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder};
use url::{Host, Url};

/// [`ErrorClass`] is what `class()` of an error says.
pub use lock_model;
/// Requests and answers are its types.
pub use reqwest;
/// What [`HttpClient::request`] takes.
pub use url;

/// The AWS metadata service over IPv6, which is not link-local.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// The Alibaba Cloud metadata service, in the range for shared address space.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// A client that follows no redirect, uses no proxy, retries nothing, and connects to no link-local address, where
/// clouds hand out credentials. Clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    /// For `http://`: no certificate is ever looked at.
    plain: Client,
    secure: Arc<Secure>,
}

/// The client for `https://`, made for the first request: reading the system's certificates takes longer than a request.
#[derive(Debug)]
struct Secure {
    user_agent: String,
    connect_deadline: Duration,
    made: OnceLock<Result<Client, String>>,
}

/// Why an [`HttpClient`] cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// The process has no TLS provider, and the feature `ring`, which installs one, is off.
    #[error(
        "no TLS provider is installed: turn on the feature `ring`, or call \
         `rustls::crypto::ring::default_provider().install_default()` first"
    )]
    NoTlsProvider,
    /// The user agent is no header value.
    #[error("the HTTP client cannot be built")]
    Build(#[source] Box<dyn Error + Send + Sync>),
}

impl HttpClientError {
    /// [`Bug`](ErrorClass::Bug) for a missing TLS provider, [`Invalid`](ErrorClass::Invalid) for what the caller provides.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoTlsProvider => ErrorClass::Bug,
            Self::Build(_) => ErrorClass::Invalid,
        }
    }
}

/// Why no request is sent to a URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedUrl {
    /// The scheme is neither `http` nor `https`.
    #[error("scheme `{}` is not supported: use `http` or `https`", escape_terminal(.0))]
    Scheme(String),
    /// The host is a link-local or unspecified address, or a cloud's metadata service.
    #[error("`{0}` is a link-local address, to which no request is sent")]
    LinkLocal(IpAddr),
    /// The certificates that the system trusts cannot be read, or there are none: the reason.
    #[error("`https` cannot be spoken: {0}")]
    NoCertificates(String),
}

/// Why a host name has no address to connect to.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Every address of the name is denied, as in [`RefusedUrl::LinkLocal`].
    #[error("`{}` resolves to link-local addresses only, to which no request is sent", escape_terminal(.0))]
    LinkLocal(String),
    /// The name was not found, or the resolver did not answer.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl HttpClient {
    /// `connect_deadline` covers name lookup, connection and TLS handshake of each request.
    ///
    /// # Errors
    ///
    /// As the variants of [`HttpClientError`] say.
    pub fn new(user_agent: &str, connect_deadline: Duration) -> Result<Self, HttpClientError> {
        // Without a provider, reqwest panics.
        if !has_tls_provider() {
            return Err(HttpClientError::NoTlsProvider);
        }
        let plain = builder(user_agent, connect_deadline).tls_certs_only([]).build();
        let plain = plain.map_err(|error| HttpClientError::Build(error.into()))?;
        let secure = Secure { user_agent: user_agent.to_owned(), connect_deadline, made: OnceLock::new() };
        Ok(Self { plain, secure: Arc::new(secure) })
    }

    /// Begins a request.
    ///
    /// # Errors
    ///
    /// Another scheme than `http` and `https`, an address that is denied, and `https` on a system without certificates. A
    /// name that resolves to denied addresses alone fails when the request is sent.
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, RefusedUrl> {
        let client = match check_url(&url)? {
            Security::Tls => self.secure.client()?,
            Security::None => &self.plain,
        };
        Ok(client.request(method, url))
    }
}

/// How a request is protected on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// `https`.
    Tls,
    /// `http`.
    None,
}

/// Judges a URL without sending anything.
///
/// # Errors
///
/// Another scheme than `http` and `https`, and an address that is denied. A name is not looked up.
pub fn check_url(url: &Url) -> Result<Security, RefusedUrl> {
    let security = match url.scheme() {
        "http" => Security::None,
        "https" => Security::Tls,
        other => return Err(RefusedUrl::Scheme(other.to_owned())),
    };
    // Only a name reaches the resolver.
    let literal: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(_)) | None => None,
    };
    match literal.filter(|address| is_denied(*address)) {
        Some(denied) => Err(RefusedUrl::LinkLocal(denied)),
        None => Ok(security),
    }
}

impl Secure {
    fn client(&self) -> Result<&Client, RefusedUrl> {
        let make = || builder(&self.user_agent, self.connect_deadline).build().map_err(|error| innermost(&error));
        self.made.get_or_init(make).as_ref().map_err(|reason| RefusedUrl::NoCertificates(reason.clone()))
    }
}

fn builder(user_agent: &str, connect_deadline: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(user_agent)
        .connect_timeout(connect_deadline)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .dns_resolver(Arc::new(GuardedResolver))
}

/// The innermost reason of an error, which says most.
fn innermost(error: &(dyn Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

fn has_tls_provider() -> bool {
    let is_installed = || rustls::crypto::CryptoProvider::get_default().is_some();
    #[cfg(feature = "ring")]
    if !is_installed() {
        // Refused only when another thread has just installed one.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    is_installed()
}

/// Removes denied addresses after the lookup, since a name can point anywhere.
#[derive(Debug)]
struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Addrs = Box::new(lookup(name.as_str(), 0).await?.into_iter());
            Ok(addresses)
        })
    }
}

/// Resolves a name, without the addresses to which the client does not connect. An empty answer stays empty.
///
/// # Errors
///
/// The name cannot be resolved, or resolves to denied addresses alone.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let allowed: Vec<SocketAddr> = found.iter().copied().filter(|address| !is_denied(address.ip())).collect();
    if allowed.is_empty() && !found.is_empty() {
        return Err(LookupError::LinkLocal(host.to_owned()));
    }
    Ok(allowed)
}

/// Whether an address is link-local, unspecified, or a cloud's metadata service.
fn is_denied(address: IpAddr) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "ring")]
    #[test]
    fn a_client_needs_no_installed_tls_provider() {
        HttpClient::new("test", Duration::from_secs(1)).unwrap();
    }

    #[cfg(not(feature = "ring"))]
    #[test]
    fn a_missing_tls_provider_is_an_error_and_no_panic() {
        let error = HttpClient::new("test", Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().starts_with("no TLS provider is installed: "), "{error}");
        assert_eq!(error.class(), ErrorClass::Bug);
    }

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
