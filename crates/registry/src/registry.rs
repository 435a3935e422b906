use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lock_model::ImageRepository;
use url::Url;

use crate::error::RegistryErrorKind;
use crate::host::HostGate;
use crate::http::Http;
use crate::layout::LayoutReader;
use crate::options::{Mirror, OptionsError, RegistryOptions};
use crate::source::{Source, base_of};

/// Asks registries, and layout folders that stand for them, about images.
///
/// One value is made for a whole command: its connections, and what it learned about the hosts, are used again.
#[derive(Debug)]
pub struct Registry {
    http: Http,
    gates: Mutex<BTreeMap<String, Arc<HostGate>>>,
}

/// One pass over registries: a layout folder is read once and stays what it was.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    registry: &'a Registry,
    layouts: Mutex<BTreeMap<String, Arc<LayoutReader>>>,
}

impl Registry {
    /// Checks the options. Nothing is asked yet, and no connection is made.
    pub fn new(options: RegistryOptions) -> Result<Self, OptionsError> {
        options.check()?;
        Ok(Self { http: Http::new(options), gates: Mutex::new(BTreeMap::new()) })
    }

    pub(crate) fn session(&self) -> Session<'_> {
        Session { registry: self, layouts: Mutex::new(BTreeMap::new()) }
    }

    /// The limits of one address: by its origin, since a mirror stands for several hosts.
    fn gate(&self, base: &Url) -> Arc<HostGate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates
            .entry(base.origin().ascii_serialization())
            .or_insert_with(|| Arc::new(HostGate::new(self.http.options().concurrency)));
        Arc::clone(gate)
    }
}

impl<'a> Session<'a> {
    /// What answers for the host of a repository.
    pub(crate) fn source(&self, repository: &ImageRepository) -> Result<Source<'a>, RegistryErrorKind> {
        let http = &self.registry.http;
        let host = repository.host();
        let base = match http.options().mirrors.get(host) {
            Some(Mirror::OciLayout(folder)) => {
                let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
                let reader = if let Some(reader) = layouts.get(host) {
                    Arc::clone(reader)
                } else {
                    // Small local files, read while nothing else waits: not worth a thread.
                    let reader = Arc::new(LayoutReader::open(folder)?);
                    layouts.insert(host.to_owned(), Arc::clone(&reader));
                    reader
                };
                return Ok(Source::Layout { reader, limits: http.options().limits });
            }
            Some(Mirror::Http(url)) => url.clone(),
            None => base_of(host)?,
        };
        let gate = self.registry.gate(&base);
        Ok(Source::Http { http, base, gate })
    }
}
