//! The HTTP clients: which trust, which proxy, which addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use reqwest::{Client, ClientBuilder, NoProxy, Proxy};
use rustls::crypto::CryptoProvider;
use url::Url;

use crate::auth::{PublicOnly, Reach};
use crate::connection::HostOptions;
use crate::error::RegistryErrorKind;
use crate::options::RegistryOptions;
use crate::own_certificate;
use crate::text::{host_of, with_causes};

/// Each is made when it is first needed: reading the machine's certificate authorities takes time, and a run on layout
/// folders needs none and must not fail for the lack of them.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    secure: Made,
    public: Made,
    plain: Made,
    /// Of the hosts whose TLS is different.
    hosts: BTreeMap<String, Made>,
}

type Made = OnceLock<Result<Client, String>>;

impl Clients {
    pub(crate) fn new(options: &RegistryOptions) -> Self {
        let own = options.hosts.iter().filter(|(_, host)| host.has_own_tls());
        Self { hosts: own.map(|(name, _)| (name.clone(), Made::default())).collect(), ..Self::default() }
    }

    /// The client for an address.
    pub(crate) fn of(&self, options: &RegistryOptions, url: &Url, reach: Reach) -> Result<&Client, RegistryErrorKind> {
        // reqwest would panic, for plain HTTP too.
        if !has_tls_provider() {
            return Err(RegistryErrorKind::NoTlsProvider);
        }
        let made = if url.scheme() != "https" {
            // No certificate is ever looked at.
            self.plain.get_or_init(|| built(plain(options)))
        } else if let Some((name, made)) = self.hosts.get_key_value(&host_of(url)) {
            made.get_or_init(|| built(of_host(options, name)))
        } else if reach == Reach::PublicOnly {
            let except = [&options.proxies.http, &options.proxies.https].into_iter().flatten();
            let except: BTreeSet<String> = except.filter_map(|url| url.host_str().map(str::to_owned)).collect();
            self.public.get_or_init(|| built(secure(options).map(|b| b.dns_resolver(PublicOnly { except }))))
        } else {
            self.secure.get_or_init(|| built(secure(options)))
        };
        made.as_ref().map_err(|reason| RegistryErrorKind::Client { reason: reason.clone() })
    }
}

#[cfg(feature = "ring")]
fn has_tls_provider() -> bool {
    if CryptoProvider::get_default().is_none() {
        // Fails where another thread was faster: then there is one as well.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    true
}

#[cfg(not(feature = "ring"))]
fn has_tls_provider() -> bool {
    CryptoProvider::get_default().is_some()
}

fn built(builder: Result<ClientBuilder, String>) -> Result<Client, String> {
    builder?.build().map_err(|error| with_causes(&error))
}

fn plain(options: &RegistryOptions) -> Result<ClientBuilder, String> {
    Ok(base(options)?.tls_certs_only([]))
}

fn secure(options: &RegistryOptions) -> Result<ClientBuilder, String> {
    with_tls(options, &HostOptions::default())
}

fn of_host(options: &RegistryOptions, name: &str) -> Result<ClientBuilder, String> {
    let own = HostOptions::default();
    with_tls(options, options.hosts.get(name).unwrap_or(&own))
}

/// The client for hosts with these settings, beside those of all hosts.
fn with_tls(options: &RegistryOptions, host: &HostOptions) -> Result<ClientBuilder, String> {
    let builder = base(options)?.https_only(true);
    let shown = host.client_certificate.as_ref();
    if options.authorities.is_empty() && host.authorities.is_empty() {
        return match shown {
            None => Ok(builder),
            Some(shown) => Ok(builder.identity(shown.parse().map_err(|error| error.to_string())?)),
        };
    }
    let authorities = options.authorities.iter().chain(&host.authorities);
    Ok(builder.tls_backend_preconfigured(own_certificate::config(authorities, shown)?))
}

fn base(options: &RegistryOptions) -> Result<ClientBuilder, String> {
    let mut builder = Client::builder()
        .user_agent(&options.user_agent)
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.concurrency)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        // A library does not look into the environment by itself.
        .no_proxy();
    let exceptions = NoProxy::from_string(&options.proxies.unproxied());
    // The addresses were checked with the options; a failure must not quote them.
    let failed = |_| "a proxy's address cannot be used".to_owned();
    if let Some(url) = &options.proxies.http {
        builder = builder.proxy(Proxy::http(url.clone()).map_err(failed)?.no_proxy(exceptions.clone()));
    }
    if let Some(url) = &options.proxies.https {
        builder = builder.proxy(Proxy::https(url.clone()).map_err(failed)?.no_proxy(exceptions));
    }
    Ok(builder)
}

#[cfg(all(test, not(feature = "ring")))]
mod tests {
    use super::*;

    #[test]
    fn without_a_tls_provider_the_error_names_the_line_to_write() {
        // NOTE: no unit test of this crate installs a provider, since it stays for the whole process.
        let options = RegistryOptions::default();
        let url = Url::parse("http://127.0.0.1").unwrap();
        let error = Clients::new(&options).of(&options, &url, Reach::Anywhere).unwrap_err();
        assert!(error.to_string().contains("`rustls::crypto::ring::default_provider().install_default()`"), "{error}");
        assert_eq!(error.class(), lock_model::ErrorClass::Bug);
    }
}
