use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::StatusCode;
use url::Url;

use super::account::{Account, Need, Scheme};
use crate::cache::Cache;
use crate::error::RegistryErrorKind;
use crate::host::HostGate;
use crate::http::{Answer, Ask, Http};
use crate::options::RegistryOptions;

/// Most logins of one request: one for the first challenge, and one more when that did not do.
const LOGINS: u32 = 2;

/// Sends requests with whatever login they need.
#[derive(Debug)]
pub(crate) struct Authenticator {
    pub(crate) http: Http,
    gates: Mutex<BTreeMap<String, Arc<HostGate>>>,
    accounts: Mutex<BTreeMap<(String, String), Arc<Account>>>,
    /// How each registry takes logins.
    schemes: Mutex<BTreeMap<String, Scheme>>,
    pub(crate) cache: Option<Arc<Cache>>,
}

impl Authenticator {
    pub(crate) fn new(options: RegistryOptions) -> Self {
        Self {
            cache: options.cache.as_deref().map(|folder| Arc::new(Cache::new(folder, options.cache_limit))),
            http: Http::new(options),
            gates: Mutex::default(),
            accounts: Mutex::default(),
            schemes: Mutex::default(),
        }
    }

    pub(crate) fn options(&self) -> &RegistryOptions {
        &self.http.options
    }

    /// The limits of one address: by its origin, since a mirror stands for several hosts.
    pub(crate) fn gate(&self, url: &Url) -> Arc<HostGate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates
            .entry(url.origin().ascii_serialization())
            .or_insert_with(|| Arc::new(HostGate::new(self.options().concurrency)));
        Arc::clone(gate)
    }

    /// The account for a repository at an address.
    pub(crate) fn account(&self, base: &Url, path: &str) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (base.origin().ascii_serialization(), path.to_owned());
        Arc::clone(accounts.entry(key).or_insert_with(|| Arc::new(Account::new(base.clone(), path))))
    }

    /// Every account so far.
    pub(crate) fn accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    pub(crate) fn scheme(&self, base: &Url) -> Option<Scheme> {
        let schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        schemes.get(&base.origin().ascii_serialization()).cloned()
    }

    pub(crate) fn remember(&self, base: &Url, scheme: &Scheme) {
        let mut schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        schemes.insert(base.origin().ascii_serialization(), scheme.clone());
    }

    /// Sends a request; when the registry asks for a login, once more with it.
    pub(crate) async fn send(&self, ask: &Ask<'_>, account: &Account) -> Result<Answer, RegistryErrorKind> {
        let need = Need { account, authenticator: self, ask };
        let mut sent = need.ready().await?;
        let mut logins = 0;
        loop {
            let mut answer = self.http.exchange(ask, sent.as_ref().map(|sent| &sent.header)).await?;
            // What a host that we were sent on to asks for is no business of this account.
            if answer.status == StatusCode::UNAUTHORIZED && !answer.elsewhere && logins < LOGINS {
                let next = need.challenged(&answer.headers, sent.as_ref(), logins > 0).await?;
                if next.is_some() {
                    sent = next;
                    logins += 1;
                    continue;
                }
            }
            answer.login = account.trace();
            return Ok(answer);
        }
    }
}
