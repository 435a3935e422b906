use std::fmt;

use reqwest::{Certificate, Identity};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::options_error::OptionsError;
use crate::text::without_credentials;

/// What is different about one host.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HostOptions {
    /// Whether plain HTTP is spoken to it: to another machine, every machine on the way can read and change everything,
    /// logins too. Where it is absent, another machine is asked with TLS, and this one without, unless `authorities` or
    /// `client_certificate` show that it has TLS.
    pub plain_http: Option<bool>,
    /// Certificate authorities that are trusted for it, beside those of the machine and of all hosts. A server may also
    /// show one of these certificates as its own: name and period are looked at then, too.
    pub authorities: Vec<PemAuthority>,
    /// What we show it of ourselves.
    pub client_certificate: Option<ClientCertificate>,
}

impl HostOptions {
    /// Whether connections to the host need a client of their own.
    pub(crate) fn has_own_tls(&self) -> bool {
        !self.authorities.is_empty() || self.client_certificate.is_some()
    }
}

/// Certificates of authorities that are trusted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PemAuthority {
    /// What people know them by, for example the path of the file.
    pub name: String,
    /// One certificate or more, in PEM.
    pub pem: Vec<u8>,
}

impl PemAuthority {
    /// `pem` is looked at when a [`Registry`](crate::Registry) is made.
    pub fn new(name: impl Into<String>, pem: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), pem: pem.into() }
    }

    /// Looks at the PEM.
    ///
    /// # Errors
    ///
    /// [`OptionsError::Certificate`] where it holds none, or one that cannot be read.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.parse().map(drop)
    }

    pub(crate) fn parse(&self) -> Result<Vec<Certificate>, OptionsError> {
        let failed = |reason| OptionsError::Certificate { name: self.name.clone(), reason };
        let certificates =
            Certificate::from_pem_bundle(&self.pem).map_err(|_| failed("holds a certificate that cannot be read"))?;
        if certificates.is_empty() { Err(failed("holds no certificate")) } else { Ok(certificates) }
    }
}

/// A certificate that we show, with its key. The debug form does not show the key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// What people know it by, for example the path of the file.
    pub name: String,
    /// The certificate and those between it and the authority, in PEM.
    pub certificates: Vec<u8>,
    /// The key, in PEM.
    pub key: SecretString,
}

impl ClientCertificate {
    /// The PEM is looked at when a [`Registry`](crate::Registry) is made.
    pub fn new(name: impl Into<String>, certificates: impl Into<Vec<u8>>, key: impl Into<SecretString>) -> Self {
        Self { name: name.into(), certificates: certificates.into(), key: key.into() }
    }

    pub(crate) fn parse(&self) -> Result<Identity, OptionsError> {
        let mut pem = secrecy::zeroize::Zeroizing::new(self.certificates.clone());
        pem.push(b'\n');
        pem.extend_from_slice(self.key.expose_secret().as_bytes());
        Identity::from_pem(&pem).map_err(|_| OptionsError::Certificate {
            name: self.name.clone(),
            reason: "holds no certificate with its key",
        })
    }
}

/// Addresses of this machine, which no proxy can reach for us.
const OURSELVES: &str = "localhost,127.0.0.0/8,::1";

/// Proxies on the way to registries. This machine itself is never asked through one.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Proxies {
    /// For requests over plain HTTP.
    pub http: Option<Url>,
    /// For requests over https.
    pub https: Option<Url>,
    /// Hosts that are asked without one, as in `NO_PROXY`: names with everything below them, addresses, networks,
    /// separated by commas.
    pub exceptions: String,
}

impl Proxies {
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        for url in [&self.http, &self.https].into_iter().flatten() {
            if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
                return Err(OptionsError::Proxy { url: without_credentials(url) });
            }
        }
        Ok(())
    }

    /// What is asked without a proxy, in the form of `NO_PROXY`.
    pub(crate) fn unproxied(&self) -> String {
        format!("{OURSELVES},{}", self.exceptions)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { http, https, exceptions } = self;
        f.debug_struct("Proxies")
            .field("http", &http.as_ref().map(without_credentials))
            .field("https", &https.as_ref().map(without_credentials))
            .field("exceptions", exceptions)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t25_keys_and_proxy_passwords_do_not_show() {
        let proxies = Proxies { https: Some(Url::parse("http://me:canary@proxy.corp").unwrap()), ..Proxies::default() };
        let certificate =
            ClientCertificate { name: "c.pem".to_owned(), certificates: Vec::new(), key: "canary".into() };
        let shown = format!("{proxies:?} {certificate:?} {}", certificate.parse().err().unwrap());
        assert!(!shown.contains("canary") && shown.contains("proxy.corp"), "{shown}");
    }

    #[test]
    fn what_cannot_be_used_is_said_before_anything_is_asked() {
        let authority = |pem: &str| PemAuthority { name: "ca.pem".to_owned(), pem: pem.into() }.parse();
        assert_eq!(authority("").unwrap_err().to_string(), "`ca.pem` holds no certificate");
        for url in ["socks5://proxy.corp", "file:///x"] {
            let proxies = Proxies { http: Some(Url::parse(url).unwrap()), ..Proxies::default() };
            assert!(proxies.check().is_err(), "{url}");
        }
    }
}
