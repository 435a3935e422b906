use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lock_model::ErrorClass;
use url::{Host, Url};

use crate::connection::{HostOptions, PemAuthority, Proxies};
use crate::credentials::Credentials;
use crate::retry::RetryPolicy;
use crate::text::host_of;

/// How registries are asked. [`Default`] has the documented defaults.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Where the requests for a host go instead; the names in the lock stay.
    pub mirrors: BTreeMap<String, Mirror>,
    /// What is different about single hosts, by `HOST[:PORT]` as it is asked. A host that is named here may also have
    /// an address in a private network when a registry sends us there for tokens.
    pub hosts: BTreeMap<String, HostOptions>,
    /// The logins that registries are given when they ask for one.
    pub credentials: Credentials,
    /// Certificate authorities that are trusted for every host, beside those of the machine.
    pub authorities: Vec<PemAuthority>,
    /// The proxies on the way.
    pub proxies: Proxies,
    /// Where manifests and configurations are kept from one command to the next. Any number of processes may share the
    /// folder, and it may be deleted at any time.
    pub cache: Option<PathBuf>,
    /// Most bytes that the cache may take of the disk: what was not used for longest is deleted.
    pub cache_limit: u64,
    /// Most requests at one time to one host. A host that is busy gets fewer, until it answers well again.
    pub concurrency: usize,
    /// Longest time for a connection.
    pub connect_timeout: Duration,
    /// Longest time for one request, its redirects and its body; a second more for each megabyte that is sent.
    pub request_timeout: Duration,
    /// When a request is sent again.
    pub retry: RetryPolicy,
    /// What the random part of waits starts from: another number for each process that runs at the same time.
    pub jitter_seed: u64,
    /// What is read at most.
    pub limits: Limits,
    /// How the program calls itself.
    pub user_agent: String,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            mirrors: BTreeMap::new(),
            hosts: BTreeMap::new(),
            credentials: Credentials::default(),
            authorities: Vec::new(),
            proxies: Proxies::default(),
            cache: None,
            cache_limit: 256 << 20,
            concurrency: 32,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            jitter_seed: 0,
            limits: Limits::default(),
            user_agent: concat!("orchestrator/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What is read at most; what is larger is refused while it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a manifest or an index.
    pub manifest: u64,
    /// Bytes of an image's configuration.
    pub config: u64,
    /// Bytes of the blobs of an artefact together, and of one blob that is sent.
    pub blob: u64,
    /// Bytes of a token service's answer.
    pub token: u64,
    /// Redirects of one request.
    pub redirects: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { manifest: 4 << 20, config: 8 << 20, blob: 256 << 20, token: 1 << 20, redirects: 5 }
    }
}

/// Where the requests for a host go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// An OCI layout folder, in which names are full `repository:tag`.
    OciLayout(PathBuf),
    /// Another registry: `https://HOST[:PORT]`, or `http://` when the host is this machine or is named in
    /// [`RegistryOptions::hosts`] as one without TLS.
    Http(Url),
}

/// Options that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// No request could ever be sent.
    #[error("the number of requests at one time must be at least 1")]
    NoConcurrency,
    /// A mirror's address is not one of a registry.
    #[error("mirror `{url}` of `{host}` {reason}")]
    Mirror {
        /// The host that it stands for.
        host: String,
        /// The address, without user and password.
        url: String,
        /// Why not.
        reason: &'static str,
    },
    /// The name of the program cannot stand in a request.
    #[error("`{text}` cannot be sent as the name of the program", text = lock_model::escaping::escape_terminal(text))]
    UserAgent {
        /// The name.
        text: String,
    },
    /// A certificate, or a key, cannot be used.
    #[error("`{name}` {reason}")]
    Certificate {
        /// What people know it by.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A proxy's address is not one.
    #[error("proxy `{url}` is neither `http://` nor `https://` with a host")]
    Proxy {
        /// The address, without user and password.
        url: String,
    },
    /// The program has not chosen who does the cryptography of TLS.
    #[error("no provider of cryptography is installed for TLS")]
    NoCryptography,
}

impl OptionsError {
    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoConcurrency
            | Self::Mirror { .. }
            | Self::UserAgent { .. }
            | Self::Certificate { .. }
            | Self::Proxy { .. } => ErrorClass::Invalid,
            Self::NoCryptography => ErrorClass::Bug,
        }
    }
}

impl RegistryOptions {
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        if self.concurrency == 0 {
            return Err(OptionsError::NoConcurrency);
        }
        if reqwest::header::HeaderValue::from_str(&self.user_agent).is_err() {
            return Err(OptionsError::UserAgent { text: self.user_agent.clone() });
        }
        // reqwest would panic with the first client.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(OptionsError::NoCryptography);
        }
        for (host, mirror) in &self.mirrors {
            if let Mirror::Http(url) = mirror
                && let Some(reason) = self.unusable(url)
            {
                let url = without_credentials(url);
                return Err(OptionsError::Mirror { host: host.clone(), url, reason });
            }
        }
        for authority in self.authorities.iter().chain(self.hosts.values().flat_map(|host| &host.authorities)) {
            authority.parse()?;
        }
        for certificate in self.hosts.values().filter_map(|host| host.client_certificate.as_ref()) {
            certificate.parse()?;
        }
        self.proxies.check()
    }

    /// Whether plain HTTP may be spoken to an address: nobody can listen, or the user says that it does not matter.
    pub(crate) fn may_be_plain(&self, url: &Url) -> bool {
        is_loopback(url) || self.hosts.get(&host_of(url)).is_some_and(|host| host.plain_http)
    }

    fn unusable(&self, url: &Url) -> Option<&'static str> {
        match url.scheme() {
            "https" => {}
            "http" if self.may_be_plain(url) => {}
            "http" => return Some("is plain HTTP to another machine"),
            _ => return Some("is neither `https://` nor `http://`"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            Some("holds a user or a password")
        } else if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            Some("has more than a host and a port")
        } else {
            None
        }
    }
}

/// Whether an address can only lead to this machine, where plain HTTP is not overheard.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// An address without user and password, for people.
pub(crate) fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for addresses that cannot hold credentials.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_cryptography_there_is_an_error_and_no_panic() {
        // NOTE: no unit test of this crate installs a provider, since it stays for the whole process.
        let error = crate::Registry::new(RegistryOptions::default()).unwrap_err();
        assert!(matches!(error, OptionsError::NoCryptography), "{error}");
        assert_eq!(error.class(), ErrorClass::Bug);
    }

    #[test]
    fn plain_http_stays_on_this_machine_and_on_named_hosts() {
        let mut options = RegistryOptions::default();
        options.hosts.insert("10.0.0.9:5000".to_owned(), HostOptions { plain_http: true, ..HostOptions::default() });
        let unusable = |url: &Url| options.unusable(url);
        for local in [
            "http://127.0.0.1:5000",
            "http://localhost",
            "http://[::1]:1",
            "http://[::ffff:127.0.0.1]",
            "https://a.b",
            "http://10.0.0.9:5000",
        ] {
            assert_eq!(unusable(&Url::parse(local).unwrap()), None, "{local}");
        }
        for elsewhere in [
            "http://10.0.0.1",
            "http://10.0.0.9",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "ftp://127.0.0.1",
            "https://u:p@a.b",
            "https://a.b/x",
            "https://a.b/?x",
        ] {
            assert!(unusable(&Url::parse(elsewhere).unwrap()).is_some(), "{elsewhere}");
        }
    }
}
