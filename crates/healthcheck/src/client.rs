//! The HTTP client of probes and suites: no redirects, no proxy, no link-local addresses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lock_model::ErrorClass;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The program forgot to install its TLS provider.
    #[error("no TLS provider is installed")]
    NoTlsProvider,
    /// The client could not be built, for example without any trusted certificate.
    #[error("HTTP client cannot be built")]
    Build(#[source] reqwest::Error),
}

impl ClientError {
    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoTlsProvider => ErrorClass::Bug,
            Self::Build(_) => ErrorClass::Invalid,
        }
    }
}

/// Builds the client that probes and suites use.
///
/// The process must have installed a TLS provider before.
pub fn http_client(user_agent: &str, connect_timeout: Duration) -> Result<reqwest::Client, ClientError> {
    // Building without one panics.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(ClientError::NoTlsProvider);
    }
    reqwest::Client::builder()
        .user_agent(user_agent)
        .connect_timeout(connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .dns_resolver(Arc::new(GuardedResolver))
        .build()
        .map_err(ClientError::Build)
}

/// Leaves out the addresses that are denied, after the name was resolved: a name can point anywhere.
#[derive(Debug)]
struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = lookup(name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// A name that leads only to denied addresses.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` resolves to link-local addresses only, which are never asked")]
pub(crate) struct Denied {
    host: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Resolves a name, without the denied addresses.
pub(crate) async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let some = !found.is_empty();
    let allowed: Vec<SocketAddr> = found.into_iter().filter(|it| !address::is_denied(it.ip())).collect();
    if allowed.is_empty() && some {
        return Err(Denied { host: crate::text::shown(host) }.into());
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_tls_provider_is_an_error_and_no_panic() {
        let error = http_client("test", Duration::from_secs(1)).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.class()), ("no TLS provider is installed", ErrorClass::Bug));
    }
}
