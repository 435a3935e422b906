use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lock_model::{Digest, ImageRepository};
use url::Url;

use crate::auth::Wire;
use crate::credentials::LoginTrace;
use crate::error::RegistryErrorKind;
use crate::host::HostGate;
use crate::layout::LayoutReader;
use crate::options::{Mirror, OptionsError, RegistryOptions};
use crate::source::{Source, base_of};

/// Asks registries, and layout folders that stand for them, about images.
///
/// One value is made for a whole command: its connections, and what it learned about the hosts, are used again.
#[derive(Debug)]
pub struct Registry {
    wire: Wire,
    /// Held by whoever writes a list of referrers.
    list_turn: tokio::sync::Mutex<()>,
    /// Held by whoever uploads a blob, by its digest.
    upload_turns: Mutex<BTreeMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

/// How a registry was logged in to for one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginUse {
    /// The host that asked for a login: a mirror's own where there is one.
    pub host: String,
    /// The repository.
    pub repository: String,
    /// Where the login came from.
    pub trace: LoginTrace,
}

/// One pass over registries: a layout folder is read once and stays what it was.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    registry: &'a Registry,
    layouts: Mutex<BTreeMap<String, Arc<LayoutReader>>>,
    /// Where hosts are asked: an address is read once, not once for each image.
    bases: Mutex<BTreeMap<String, (Url, Arc<HostGate>)>>,
}

impl Registry {
    /// Checks the options. Nothing is asked yet, and no connection is made.
    pub fn new(options: RegistryOptions) -> Result<Self, OptionsError> {
        options.check()?;
        Ok(Self { wire: Wire::new(options), list_turn: tokio::sync::Mutex::default(), upload_turns: Mutex::default() })
    }

    /// Every login that a registry asked for so far, sorted by host and repository. No secret is in it.
    pub fn logins(&self) -> Vec<LoginUse> {
        let accounts = self.wire.accounts();
        let uses = accounts.iter().filter_map(|account| {
            let (host, repository) = (account.host(), account.place().path().to_owned());
            Some(LoginUse { host, repository, trace: account.trace()? })
        });
        let mut uses: Vec<LoginUse> = uses.collect();
        uses.sort_by(|a, b| (&a.host, &a.repository).cmp(&(&b.host, &b.repository)));
        uses
    }

    /// Why the cache could not be used, which is no failure: everything was asked for instead.
    pub fn cache_problem(&self) -> Option<String> {
        self.wire.cache()?.problem()
    }

    /// How the registry that answers for a repository was logged in to; `None` while it has not asked for a login.
    pub fn login_of(&self, repository: &ImageRepository) -> Option<LoginTrace> {
        let options = self.wire.options();
        let base = match options.mirrors.get(repository.host()) {
            Some(Mirror::OciLayout(_)) => return None,
            Some(Mirror::Http(url)) => url.clone(),
            None => base_of(repository.host(), options).ok()?,
        };
        self.wire.account(&base, repository.path()).trace()
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Waits for the turn to write a list of referrers.
    pub(crate) async fn list_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.list_turn.lock().await
    }

    /// What to lock while a blob is uploaded: many artefacts have the same small ones, and docker-registry refuses one of
    /// two that bring the same bytes at the same time.
    pub(crate) fn upload_turn(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.upload_turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(digest.clone()).or_default())
    }

    /// Counts what the cache was given, and makes room in it where it is too much.
    pub(crate) fn tidy(&self) {
        if let Some(cache) = self.wire.cache() {
            cache.settle();
        }
    }

    pub(crate) fn session(&self) -> Session<'_> {
        Session { registry: self, layouts: Mutex::default(), bases: Mutex::default() }
    }
}

impl<'a> Session<'a> {
    /// What answers for the host of a repository.
    pub(crate) fn source(&self, repository: &ImageRepository) -> Result<Source<'a>, RegistryErrorKind> {
        let wire = &self.registry.wire;
        let host = repository.host();
        if let Some(Mirror::OciLayout(folder)) = wire.options().mirrors.get(host) {
            let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
            let reader = if let Some(reader) = layouts.get(host) {
                Arc::clone(reader)
            } else {
                // Small local files, read while nothing else waits: not worth a thread.
                let reader = Arc::new(LayoutReader::open(folder)?);
                layouts.insert(host.to_owned(), Arc::clone(&reader));
                reader
            };
            return Ok(Source::Layout { reader, limits: wire.options().limits });
        }
        let (base, gate) = self.base(host)?;
        let account = wire.account(&base, repository.path());
        let cache = wire.cache().map(|cache| cache.of(&account.host(), repository.path()));
        Ok(Source::Http { wire, base, gate, account, cache })
    }

    /// Where a host is asked, and the limits there.
    fn base(&self, host: &str) -> Result<(Url, Arc<HostGate>), RegistryErrorKind> {
        let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((base, gate)) = bases.get(host) {
            return Ok((base.clone(), Arc::clone(gate)));
        }
        let wire = &self.registry.wire;
        let base = match wire.options().mirrors.get(host) {
            Some(Mirror::Http(url)) => url.clone(),
            Some(Mirror::OciLayout(_)) | None => base_of(host, wire.options())?,
        };
        let gate = wire.gate(&base);
        bases.insert(host.to_owned(), (base.clone(), Arc::clone(&gate)));
        Ok((base, gate))
    }
}
