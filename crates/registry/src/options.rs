use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lock_model::ImageRepository;
use url::{Host, Url};

use crate::connection::{HostOptions, PemAuthority, Proxies};
use crate::credentials::Credentials;
use crate::options_error::OptionsError;
use crate::remote::path_at;
use crate::retry::RetryPolicy;
use crate::text::{host_of, without_credentials};

/// How registries are asked. [`Default`] asks them directly, without logins and without a cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// Most bytes that the cache may take of the disk, by default 64 MiB: what was written first is deleted.
    pub cache_limit: u64,
    /// Most requests at one time to one host, by default 32, and four times as many over HTTP/2, where they share
    /// connections. A host that is busy gets fewer, until it answers well again.
    pub concurrency: usize,
    /// Longest time until there is a connection, by default 5 s.
    pub connect_timeout: Duration,
    /// Longest time for one request, its redirects and its body, by default 30 s; a second more for each megabyte sent.
    pub request_timeout: Duration,
    /// When a request is sent again.
    pub retry: RetryPolicy,
    /// What the random part of waits starts from: another number for each process that runs at the same time.
    pub jitter_seed: u64,
    /// What is read at most.
    pub limits: Limits,
    /// The `User-Agent` header, and the client's name at token services.
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
            cache_limit: 64 << 20,
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
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a manifest or an index, by default 4 MiB.
    pub manifest: u64,
    /// Bytes of an image's configuration, by default 8 MiB.
    pub config: u64,
    /// Bytes of the blobs of an artefact together, and of one blob that is sent, by default 256 MiB.
    pub blob: u64,
    /// Bytes of a token service's answer, by default 1 MiB.
    pub token: u64,
    /// Redirects of one request, by default 5.
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
    /// [`RegistryOptions::hosts`] as one without TLS. Behind it a path may stand, below which it has the repositories:
    /// `https://harbor.example/dockerhub-proxy`.
    Http(Url),
}

impl RegistryOptions {
    /// Sends the requests for a host (`ghcr.io`, `localhost:5000`) elsewhere.
    #[must_use]
    pub fn mirror(mut self, host: impl Into<String>, mirror: Mirror) -> Self {
        self.mirrors.insert(host.into(), mirror);
        self
    }

    /// Says what is different about `HOST[:PORT]`.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>, options: HostOptions) -> Self {
        self.hosts.insert(host.into(), options);
        self
    }

    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        if self.concurrency == 0 {
            return Err(OptionsError::NoConcurrency);
        }
        if reqwest::header::HeaderValue::from_str(&self.user_agent).is_err() {
            return Err(OptionsError::UserAgent { text: self.user_agent.clone() });
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

    /// The name that a repository has at the mirror that answers for its host, where it is another one than behind the
    /// mirror's host.
    pub(crate) fn asked_as(&self, repository: &ImageRepository) -> Option<String> {
        match self.mirrors.get(repository.host()) {
            Some(Mirror::Http(url)) if url.path() != "/" => {
                Some(format!("{}/{}", host_of(url), path_at(url, repository)))
            }
            Some(Mirror::Http(_) | Mirror::OciLayout(_)) | None => None,
        }
    }

    /// Whether plain HTTP may be spoken to an address: the options say so, or it is this machine and they do not say that
    /// it has TLS.
    pub(crate) fn may_be_plain(&self, url: &Url) -> bool {
        let named = self.hosts.get(&host_of(url));
        let said = named.and_then(|host| host.plain_http);
        said.unwrap_or_else(|| is_loopback(url) && !named.is_some_and(HostOptions::has_own_tls))
    }

    fn unusable(&self, url: &Url) -> Option<&'static str> {
        match url.scheme() {
            "https" => {}
            "http" if self.may_be_plain(url) => {}
            "http" if is_loopback(url) => return Some("is plain HTTP to a host that is to be asked with TLS"),
            "http" => return Some("is plain HTTP to another machine"),
            _ => return Some("is neither `https://` nor `http://`"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            Some("holds a user or a password")
        } else if url.query().is_some() || url.fragment().is_some() {
            Some("has more than a host, a port and a path")
        } else if url.path() != "/" && ImageRepository::try_from(format!("mirror.example{}", url.path())).is_err() {
            Some("has a path that no repository can have")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::base_of;
    use crate::connection::ClientCertificate;

    #[test]
    fn plain_http_stays_on_this_machine_and_on_named_hosts() {
        let mut options = RegistryOptions::default();
        options
            .hosts
            .insert("10.0.0.9:5000".to_owned(), HostOptions { plain_http: Some(true), ..HostOptions::default() });
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
            "https://a.b/x/",
            "https://a.b/?x",
        ] {
            assert!(unusable(&Url::parse(elsewhere).unwrap()).is_some(), "{elsewhere}");
        }
    }

    #[test]
    fn a_registry_of_this_machine_is_asked_with_tls_where_the_options_say_that_it_has_it() {
        let authority = || HostOptions { authorities: vec![PemAuthority::new("ca.pem", "")], ..HostOptions::default() };
        for (host, scheme) in [
            (HostOptions::default(), "http"),
            (HostOptions { plain_http: Some(true), ..authority() }, "http"),
            (HostOptions { plain_http: Some(false), ..HostOptions::default() }, "https"),
            (authority(), "https"),
            (
                HostOptions {
                    client_certificate: Some(ClientCertificate::new("c.pem", "", "")),
                    ..HostOptions::default()
                },
                "https",
            ),
        ] {
            let shown = format!("{host:?}");
            let options = RegistryOptions::default().host("localhost:5000", host);
            let base = |host| base_of(host, &options).unwrap().scheme().to_owned();
            assert_eq!(base("localhost:5000"), scheme, "{shown}");
            assert_eq!(base("localhost:5001"), "http", "another registry");
            assert_eq!(base("registry.example"), "https");
            let mirror = Url::parse("http://localhost:5000").unwrap();
            assert_eq!(options.unusable(&mirror).is_none(), scheme == "http", "{shown}");
        }
    }
}
