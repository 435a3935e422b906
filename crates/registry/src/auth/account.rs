//! One repository at one registry: the login for it, and the token that is in use.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::authenticator::Authenticator;
use super::challenge::{Challenge, challenges};
use super::realm::{Reach, judge};
use super::token::{self, Token};
use crate::credentials::{CredentialKey, Found, Login, LoginSource, LoginTrace};
use crate::error::RegistryErrorKind;
use crate::http::{Ask, Hops, Payload, detail};
use crate::text::{escaped, host_of};

#[derive(Debug)]
pub(crate) struct Account {
    base: Url,
    pub(crate) key: CredentialKey,
    /// Held while a token is fetched: other requests that need it wait for that one.
    state: tokio::sync::Mutex<State>,
    trace: Mutex<Option<LoginTrace>>,
}

/// An account, and the request that a login may be needed for.
#[derive(Clone, Copy)]
pub(crate) struct Need<'a> {
    pub(crate) account: &'a Account,
    pub(crate) authenticator: &'a Authenticator,
    pub(crate) ask: &'a Ask<'a>,
}

#[derive(Debug, Default)]
struct State {
    found: Option<Arc<Found>>,
    session: Session,
    /// Grows with each header, so that a refused one is told from its successor.
    generation: u64,
    /// The token service refused, and will refuse the next request too.
    refusal: Option<Refusal>,
}

#[derive(Debug, Default)]
enum Session {
    /// The registry has not asked for a login so far.
    #[default]
    Open,
    /// The same header each time.
    Fixed(HeaderValue),
    Tokens(Tokens),
}

#[derive(Debug)]
struct Tokens {
    service: TokenService,
    scopes: Vec<String>,
    token: Option<Token>,
}

/// How a registry takes logins.
#[derive(Clone, Debug)]
pub(crate) enum Scheme {
    /// A user and a password with each request.
    Basic,
    Tokens(TokenService),
}

/// Where tokens are given out.
#[derive(Clone, Debug)]
pub(crate) struct TokenService {
    realm: Url,
    reach: Reach,
    name: Option<String>,
}

#[derive(Clone, Debug)]
struct Refusal {
    host: String,
    status: u16,
    detail: String,
}

/// A header that was, or is about to be, sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) header: HeaderValue,
    generation: u64,
}

impl Account {
    pub(crate) fn new(base: Url, path: &str) -> Self {
        let key = CredentialKey::new(&host_of(&base), path);
        Self { base, key, state: tokio::sync::Mutex::default(), trace: Mutex::default() }
    }

    /// How the login was found; `None` while the registry has not asked for one.
    pub(crate) fn trace(&self) -> Option<LoginTrace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The host that is asked, as it is named in the address.
    pub(crate) fn host(&self) -> String {
        host_of(&self.base)
    }

    fn session(&self, scheme: Scheme, mut scopes: Vec<String>, found: &Found) -> Session {
        let fixed = |header: Option<HeaderValue>| header.map_or(Session::Open, Session::Fixed);
        match (scheme, &found.login) {
            (Scheme::Basic, Some(Login::Password { user, password })) => fixed(token::basic(user, password)),
            // No other login can be sent so.
            (Scheme::Basic, _) => Session::Open,
            (Scheme::Tokens(_), Some(Login::Registry(token))) => fixed(token::bearer(token)),
            (Scheme::Tokens(service), _) => {
                if scopes.is_empty() {
                    scopes.push(format!("repository:{}:pull", self.key.path));
                }
                Session::Tokens(Tokens { service, scopes, token: None })
            }
        }
    }
}

impl Need<'_> {
    /// What to send with a request before the registry asks for anything.
    pub(crate) async fn ready(&self) -> Result<Option<Sent>, RegistryErrorKind> {
        let mut state = self.lock().await?;
        if matches!(state.session, Session::Open) {
            // What this registry wanted for another repository it will want for this one too.
            let Some(scheme) = self.authenticator.scheme(&self.account.base) else { return Ok(None) };
            let found = self.find(&mut state).await?;
            state.start(self.account.session(scheme, Vec::new(), &found));
        }
        self.current(&mut state).await
    }

    /// What to send with requests that need `scope`, after one request has shown how the registry takes logins.
    pub(crate) async fn granted(&self, scope: String) -> Result<Option<HeaderValue>, RegistryErrorKind> {
        let mut state = self.lock().await?;
        if let Session::Tokens(tokens) = &mut state.session
            && !tokens.scopes.contains(&scope)
        {
            tokens.scopes.insert(0, scope);
            tokens.token = None;
        }
        Ok(self.current(&mut state).await?.map(|sent| sent.header))
    }

    /// What to send after a registry refused a request that was sent with `sent`; `None` when there is nothing better.
    ///
    /// `fresh`: this same request has logged in before, so that the same login will not do.
    pub(crate) async fn challenged(
        &self,
        headers: &HeaderMap,
        sent: Option<&Sent>,
        fresh: bool,
    ) -> Result<Option<Sent>, RegistryErrorKind> {
        let mut state = self.lock().await?;
        if state.generation > sent.map_or(0, |sent| sent.generation) {
            // Another request was refused too, and fetched what is needed now.
            return self.current(&mut state).await;
        }
        let found = self.find(&mut state).await?;
        let Some((scheme, demanded)) = self.scheme(headers)? else { return Ok(None) };
        let known = match &state.session {
            Session::Tokens(tokens) => tokens.scopes.as_slice(),
            Session::Open | Session::Fixed(_) => &[],
        };
        if fresh && demanded.iter().all(|scope| known.contains(scope)) {
            return Ok(None);
        }
        // What is demanded now comes first; what was demanded before may still be needed.
        let mut scopes = demanded;
        for scope in known {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        self.authenticator.remember(&self.account.base, &scheme);
        let session = self.account.session(scheme, scopes, &found);
        if let (Session::Fixed(header), Some(sent)) = (&session, sent)
            && *header == sent.header
        {
            return Ok(None);
        }
        state.start(session);
        self.current(&mut state).await
    }

    /// The best of the ways that a registry offers, with the scopes that it demands.
    fn scheme(&self, headers: &HeaderMap) -> Result<Option<(Scheme, Vec<String>)>, RegistryErrorKind> {
        let mut offered = None;
        for challenge in challenges(headers) {
            match challenge {
                Challenge::Bearer { realm, service, scopes } => {
                    let (url, reach) =
                        judge(&realm, &self.account.base, self.authenticator.options()).map_err(|reason| {
                            RegistryErrorKind::Realm { host: self.account.host(), realm: escaped(&realm), reason }
                        })?;
                    return Ok(Some((Scheme::Tokens(TokenService { realm: url, reach, name: service }), scopes)));
                }
                Challenge::Basic => offered = Some((Scheme::Basic, Vec::new())),
            }
        }
        Ok(offered)
    }

    async fn lock(&self) -> Result<tokio::sync::MutexGuard<'_, State>, RegistryErrorKind> {
        let past = |_| RegistryErrorKind::Deadline { host: self.account.host() };
        tokio::time::timeout_at(self.ask.deadline, self.account.state.lock()).await.map_err(past)
    }

    async fn find(&self, state: &mut State) -> Result<Arc<Found>, RegistryErrorKind> {
        if let Some(found) = &state.found {
            return Ok(Arc::clone(found));
        }
        // A helper may take longer than there is time.
        let search = self.authenticator.options().credentials.find(&self.account.key);
        let past = |_| RegistryErrorKind::Deadline { host: self.account.host() };
        let found = Arc::new(tokio::time::timeout_at(self.ask.deadline, search).await.map_err(past)?);
        *self.account.trace.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.trace.clone());
        state.found = Some(Arc::clone(&found));
        Ok(found)
    }

    /// The header of the session; a token that is missing or about to end is fetched.
    async fn current(&self, state: &mut State) -> Result<Option<Sent>, RegistryErrorKind> {
        let State { found, session, generation, refusal } = state;
        let tokens = match session {
            Session::Open => return Ok(None),
            Session::Fixed(header) => return Ok(Some(Sent { header: header.clone(), generation: *generation })),
            Session::Tokens(tokens) => tokens,
        };
        let trace = || found.as_ref().map_or_else(LoginTrace::anonymous, |found| found.trace.clone());
        if let Some(refusal) = refusal {
            return Err(refused(refusal.clone(), trace()));
        }
        if let Some(token) = &tokens.token
            && Instant::now() < token.stale_from
        {
            return Ok(Some(Sent { header: token.header.clone(), generation: *generation }));
        }
        let login = found.as_ref().and_then(|found| found.login.as_ref());
        match fetch(self.authenticator, self.ask, &tokens.service, &tokens.scopes, login).await? {
            Fetched::Token(token) => {
                *generation += 1;
                let header = token.header.clone();
                tokens.token = Some(token);
                Ok(Some(Sent { header, generation: *generation }))
            }
            Fetched::Refused(new) => {
                *refusal = Some(new.clone());
                Err(refused(new, trace()))
            }
        }
    }
}

impl State {
    fn start(&mut self, session: Session) {
        // A token gets its number when it is there.
        self.generation += u64::from(matches!(session, Session::Fixed(_)));
        self.session = session;
    }
}

enum Fetched {
    Token(Token),
    Refused(Refusal),
}

/// Asks the token service.
async fn fetch(
    authenticator: &Authenticator,
    ask: &Ask<'_>,
    service: &TokenService,
    scopes: &[String],
    login: Option<&Login>,
) -> Result<Fetched, RegistryErrorKind> {
    let TokenService { realm, reach, name } = service;
    let name = name.as_deref();
    let host = host_of(realm);
    let gate = authenticator.gate(realm);
    let (method, url, payload, header) = match login {
        Some(Login::Identity(identity)) => {
            let form = token::form(name, scopes, &authenticator.options().user_agent, identity);
            (Method::POST, realm.clone(), Some(Payload::new("application/x-www-form-urlencoded", form)), None)
        }
        Some(Login::Password { user, password }) => {
            (Method::GET, token::question(realm, name, scopes), None, token::basic(user, password))
        }
        Some(Login::Registry(_)) | None => (Method::GET, token::question(realm, name, scopes), None, None),
    };
    let question = Ask {
        accept: Some("application/json"),
        payload,
        on_retry: ask.on_retry,
        hops: Hops::None,
        reach: *reach,
        ..Ask::new(method, url, authenticator.options().limits.token, &gate, ask.deadline)
    };
    let asked_at = Instant::now();
    let unusable = |reason: String| RegistryErrorKind::TokenAnswer { host: host.clone(), reason };
    let answer = authenticator.http.exchange(&question, header.as_ref()).await.map_err(|failure| match failure {
        RegistryErrorKind::TooLarge { limit } => unusable(format!("is larger than {limit} bytes")),
        RegistryErrorKind::Redirect { reason, .. } => unusable(format!("is a redirect {reason}")),
        RegistryErrorKind::NotAnImage { reason } => unusable(format!("cannot be used: {reason}")),
        other => other,
    })?;
    match answer.status.as_u16() {
        200..=299 => {
            token::parse(&answer.body, asked_at).map(Fetched::Token).map_err(|reason| unusable(reason.to_owned()))
        }
        // 400 is what the grant of an identity token that has ended is answered with.
        status @ (400 | 401 | 403) => Ok(Fetched::Refused(Refusal { host, status, detail: detail(&answer.body) })),
        status => Err(unusable(format!("has the status {status}{}", detail(&answer.body)))),
    }
}

fn refused(refusal: Refusal, trace: LoginTrace) -> RegistryErrorKind {
    let Refusal { host, status, detail } = refusal;
    if trace.source == LoginSource::Anonymous {
        let challenge = format!("{status}{detail}");
        RegistryErrorKind::LoginNeeded { host, challenge, login: Box::new(trace) }
    } else {
        RegistryErrorKind::LoginRefused { host, status, detail, login: Box::new(trace) }
    }
}
