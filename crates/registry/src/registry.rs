use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lock_model::{Digest, ImageRepository};
use url::Url;

use crate::auth::Authenticator;
use crate::backend::{Backend, Source, Target, base_of, target_of};
use crate::credentials::LoginTrace;
use crate::error::{RegistryError, RegistryErrorKind};
use crate::host::HostGate;
use crate::layout::LayoutReader;
use crate::options::{Mirror, RegistryOptions};
use crate::options_error::OptionsError;
use crate::remote::{Context, Remote, path_at};

/// Asks registries, and layout folders that stand for them, about images.
///
/// One value is made for a whole program: its connections, and what it learned about the hosts, are used again. Clones
/// are cheap and share all of it.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    authenticator: Authenticator,
    /// Held while a list of referrers is written.
    list_turn: tokio::sync::Mutex<()>,
    /// Held while a blob is uploaded, by its digest.
    upload_turns: Mutex<BTreeMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

/// How a registry was logged in to for one repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct LoginUse {
    /// The host that asked for a login: a mirror's own where there is one.
    pub host: String,
    /// Its path at the host.
    pub repository: String,
    /// Where the login came from.
    pub trace: LoginTrace,
}

/// One pass over registries: a layout folder is read once and stays what it was.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) registry: &'a Registry,
    layouts: Mutex<BTreeMap<String, Arc<LayoutReader>>>,
    /// Where hosts are asked: an address is read once, not once for each image.
    bases: Mutex<BTreeMap<String, (Url, Arc<HostGate>)>>,
}

impl Registry {
    /// Checks the options. Nothing is asked yet, and no connection is made: a TLS provider and a tokio runtime are needed
    /// with the first request over HTTP.
    pub fn new(options: RegistryOptions) -> Result<Self, OptionsError> {
        options.check()?;
        let authenticator = Authenticator::new(options);
        let inner = Inner { authenticator, list_turn: tokio::sync::Mutex::default(), upload_turns: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Every login that a registry asked for so far, sorted by host and repository. No secret is in it.
    pub fn logins(&self) -> Vec<LoginUse> {
        let accounts = self.inner.authenticator.accounts();
        let uses = accounts.iter().filter_map(|account| {
            let (host, repository) = (account.host(), account.key.path.clone());
            Some(LoginUse { host, repository, trace: account.trace()? })
        });
        let mut uses: Vec<LoginUse> = uses.collect();
        uses.sort();
        uses
    }

    /// Why the cache could not be used, which is no failure: everything was asked for instead.
    pub fn cache_problem(&self) -> Option<String> {
        self.inner.authenticator.cache.as_ref()?.problem()
    }

    /// How the registry that answers for a repository was logged in to; `None` while it has not asked for a login.
    pub fn login_of(&self, repository: &ImageRepository) -> Option<LoginTrace> {
        let Ok(Target::Http(base)) = target_of(repository.host(), self.inner.authenticator.options()) else {
            return None;
        };
        self.inner.authenticator.account(&base, &path_at(&base, repository)).trace()
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.inner.authenticator
    }

    /// An error about something in a repository, which a mirror may have under another name.
    pub(crate) fn failed(
        &self,
        repository: &ImageRepository,
        reference: impl Into<String>,
        kind: RegistryErrorKind,
    ) -> RegistryError {
        RegistryError::new(reference, kind).asked_as(self.authenticator().options().asked_as(repository))
    }

    /// Waits for the turn to write a list of referrers.
    pub(crate) async fn list_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.list_turn.lock().await
    }

    /// What to lock while a blob is uploaded: many artefacts have the same small ones, and docker-registry refuses one of
    /// two that bring the same bytes at the same time.
    pub(crate) fn upload_turn(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.inner.upload_turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(digest.clone()).or_default())
    }

    /// Writes what the cache was given to the disk.
    pub(crate) fn tidy(&self) {
        if let Some(cache) = &self.inner.authenticator.cache {
            cache.settle();
        }
    }

    pub(crate) fn session(&self) -> Session<'_> {
        Session { registry: self, layouts: Mutex::default(), bases: Mutex::default() }
    }
}

impl<'a> Session<'a> {
    /// What answers for a repository.
    pub(crate) fn backend<'b>(
        &self,
        repository: &'b ImageRepository,
        context: Context<'b>,
    ) -> Result<Backend<'b>, RegistryErrorKind>
    where
        'a: 'b,
    {
        let authenticator = self.registry.authenticator();
        let host = repository.host();
        if let Some(Mirror::OciLayout(folder)) = authenticator.options().mirrors.get(host) {
            let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
            let reader = if let Some(reader) = layouts.get(host) {
                Arc::clone(reader)
            } else {
                // Small local files, read while nothing else waits: not worth a thread.
                let reader = Arc::new(LayoutReader::open(folder)?);
                layouts.insert(host.to_owned(), Arc::clone(&reader));
                reader
            };
            return Ok(Backend {
                repository,
                source: Source::Layout { reader, limits: authenticator.options().limits },
            });
        }
        let (base, gate) = self.base(host)?;
        let path = path_at(&base, repository);
        let account = authenticator.account(&base, &path);
        let cache = authenticator.cache.as_ref().map(|cache| cache.of(&account.host(), &path));
        let remote = Remote { repository, authenticator, base, gate, account, context };
        Ok(Backend { repository, source: Source::Http { remote, cache } })
    }

    /// Where a host is asked, and the limits there.
    fn base(&self, host: &str) -> Result<(Url, Arc<HostGate>), RegistryErrorKind> {
        let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((base, gate)) = bases.get(host) {
            return Ok((base.clone(), Arc::clone(gate)));
        }
        let authenticator = self.registry.authenticator();
        let base = match authenticator.options().mirrors.get(host) {
            Some(Mirror::Http(url)) => url.clone(),
            Some(Mirror::OciLayout(_)) | None => base_of(host, authenticator.options())?,
        };
        let gate = authenticator.gate(&base);
        bases.insert(host.to_owned(), (base.clone(), Arc::clone(&gate)));
        Ok((base, gate))
    }
}
