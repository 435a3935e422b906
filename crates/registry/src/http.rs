//! Requests over HTTP: connections, redirects, caps, deadlines and retries. Knows nothing of images.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use lock_model::ErrorClass;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use reqwest::{Method, StatusCode, Version};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::auth::{NOT_PUBLIC, NotPublic, Reach};
use crate::clients::Clients;
use crate::credentials::{LoginSource, LoginTrace};
use crate::error::RegistryErrorKind;
use crate::host::{Closed, HostGate, LastFailure};
use crate::media_type;
use crate::options::RegistryOptions;
use crate::proxy;
use crate::retry::{Jitter, retry_after};
use crate::text::{escaped, host_of, with_causes};
use crate::tls_fault;

/// Most bytes that are read of an answer which is not the one that was wanted.
const REFUSAL_LIMIT: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) options: RegistryOptions,
    clients: Clients,
    jitter: Jitter,
}

pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    pub(crate) payload: Option<Payload>,
    /// Most bytes of a good answer.
    pub(crate) limit: u64,
    pub(crate) gate: &'a HostGate,
    pub(crate) deadline: Instant,
    /// Told before each retry: the wait, and why.
    pub(crate) on_retry: &'a (dyn Fn(Duration, &str) + Sync),
    pub(crate) hops: Hops,
    pub(crate) reach: Reach,
}

impl<'a> Ask<'a> {
    /// A request whose redirects are judged and whose retries are not reported.
    pub(crate) fn new(method: Method, url: Url, limit: u64, gate: &'a HostGate, deadline: Instant) -> Self {
        let on_retry = &|_: Duration, _: &str| ();
        let (hops, reach) = (Hops::Judged, Reach::Anywhere);
        Self { method, url, accept: None, payload: None, limit, gate, deadline, on_retry, hops, reach }
    }
}

/// What is sent with a request.
pub(crate) struct Payload {
    media_type: String,
    bytes: Bytes,
}

impl Payload {
    pub(crate) fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { media_type: media_type.to_owned(), bytes: bytes.into() }
    }
}

/// Whether redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hops {
    /// Each one is judged.
    Judged,
    /// None is: the address was judged, and the request may carry a login in its body.
    None,
}

/// What came back: any status but those that ask for a retry.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) host: String,
    /// `HOST[:PORT]` that was asked at first.
    pub(crate) asked: String,
    /// It came from another origin, to which the request was sent on.
    pub(crate) elsewhere: bool,
    /// How the login that it was asked with was found; absent when none was asked for.
    pub(crate) login: Option<LoginTrace>,
}

impl Http {
    pub(crate) fn new(options: RegistryOptions) -> Self {
        Self { clients: Clients::new(&options), jitter: Jitter::new(options.jitter_seed), options }
    }

    /// A wait of our own choice before something is done for another time.
    pub(crate) fn pause(&self, round: u32) -> Duration {
        self.options.retry.jittered(round, None, self.jitter.next())
    }

    /// Sends a request until there is an answer that stays, the retries are used up, or the deadline leaves no room
    /// for the next one.
    pub(crate) async fn exchange(
        &self,
        ask: &Ask<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryErrorKind> {
        let mut retries = 0;
        loop {
            let failure = match self.once(ask, authorization).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let is_last = retries == self.options.retry.retries || ask.gate.is_given_up();
            if failure.class() != ErrorClass::Temporary || is_last {
                return Err(failure);
            }
            let wait = self.options.retry.jittered(retries, failure.retry_after(), self.jitter.next());
            if ask.deadline.saturating_duration_since(Instant::now()) <= wait {
                return Err(failure);
            }
            (ask.on_retry)(wait, &with_causes(&failure));
            tokio::time::sleep(wait).await;
            retries += 1;
        }
    }

    /// Sends a request once, within the host's concurrency and both deadlines.
    async fn once(&self, ask: &Ask<'_>, authorization: Option<&HeaderValue>) -> Result<Answer, RegistryErrorKind> {
        let past_deadline = || RegistryErrorKind::Deadline { host: host_of(&ask.url) };
        let slot = tokio::time::timeout_at(ask.deadline, ask.gate.enter(ask.deadline)).await;
        let slot = match slot {
            Err(_) => return Err(past_deadline()),
            Ok(Err(Closed::PausedBeyond(wait))) => {
                return Err(RegistryErrorKind::Paused { host: host_of(&ask.url), wait });
            }
            Ok(Err(Closed::GivenUp(failure))) => return Err(failure.of_host(host_of(&ask.url))),
            Ok(Ok(slot)) => slot,
        };
        // What is sent takes its time as well: at least a megabyte a second is expected of a line.
        let sent = ask.payload.as_ref().map_or(0, |payload| length(&payload.bytes));
        let limit = self.options.request_timeout.saturating_add(Duration::from_secs(sent >> 20));
        let until = Instant::now().checked_add(limit).map_or(ask.deadline, |until| until.min(ask.deadline));
        let outcome = match tokio::time::timeout_at(until, self.follow(ask, authorization)).await {
            Ok(outcome) => outcome,
            Err(_) if until == ask.deadline => Err(past_deadline()),
            Err(_) => Err(RegistryErrorKind::TimedOut { host: host_of(&ask.url), limit }),
        };
        match &outcome {
            Ok(_) => {
                slot.went_well();
                // A task of hyper's puts the connection back, and it runs after this one: without this the next request
                // opens another connection.
                tokio::task::yield_now().await;
            }
            Err(failure) => {
                if let Some(last) = LastFailure::of(failure) {
                    slot.was_too_much(failure.retry_after(), &self.options.retry);
                    slot.give_up_after(last, &self.options.retry);
                }
            }
        }
        outcome
    }

    /// Sends a request and follows redirects.
    ///
    /// By hand, since each hop is judged: never from https to http, never over plain HTTP to another machine. The login
    /// stays with the origin that it was given for, and does not come back with a redirect to there.
    async fn follow(&self, ask: &Ask<'_>, authorization: Option<&HeaderValue>) -> Result<Answer, RegistryErrorKind> {
        let mut url = ask.url.clone();
        let mut hops = 0;
        let mut elsewhere = false;
        loop {
            let client = self.clients.of(&self.options, &url, ask.reach)?;
            let mut request = client.request(ask.method.clone(), url.clone());
            if let Some(accept) = ask.accept {
                request = request.header(ACCEPT, accept);
            }
            if let Some(authorization) = authorization.filter(|_| !elsewhere) {
                request = request.header(AUTHORIZATION, authorization);
            }
            if let Some(payload) = &ask.payload {
                request = request.header(CONTENT_TYPE, &payload.media_type).body(payload.bytes.clone());
            }
            let began = Instant::now();
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Err(self.unsent(&url, error).await),
            };
            // A host that it was sent on to has no part in the pace of this one.
            if hops == 0 && response.version() == Version::HTTP_2 {
                ask.gate.is_multiplexed();
            }
            let status = response.status();
            trace(&ask.method, &url, status, began);
            if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
                && let Some(proxy) = proxy::before(&self.options.proxies, &url)
            {
                return Err(proxy::login_needed(&proxy, &url));
            }
            if is_busy(status, &ask.method) {
                let retry_after = retry_after(response.headers());
                return Err(RegistryErrorKind::Busy { host: host_of(&url), status: status.as_u16(), retry_after });
            }
            if !is_redirect(status) {
                return read(response, ask, &url, elsewhere).await;
            }
            let refuse = |reason: String| RegistryErrorKind::Redirect { host: host_of(&url), reason };
            if ask.hops == Hops::None {
                return Err(refuse("although it gives out tokens, which are asked for at one address".to_owned()));
            }
            if hops == self.options.limits.redirects {
                return Err(refuse(format!("more than {hops} times")));
            }
            let target = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let target =
                target.and_then(|target| url.join(target).ok()).ok_or_else(|| refuse("to no address".to_owned()))?;
            judge_redirect(&url, &target, &self.options).map_err(refuse)?;
            elsewhere |= target.origin() != ask.url.origin();
            hops += 1;
            url = target;
        }
    }

    /// What a request without an answer stands for.
    async fn unsent(&self, url: &Url, error: reqwest::Error) -> RegistryErrorKind {
        match proxy::before(&self.options.proxies, url).filter(|_| proxy::is_at_proxy(url, &error)) {
            Some(proxy) => proxy::failure(&proxy, url, error.without_url()).await,
            None => broken(url, error),
        }
    }
}

impl Answer {
    /// The type of the body, without parameters.
    pub(crate) fn content_type(&self) -> Option<String> {
        self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(media_type::essence)
    }

    /// What an answer that is not a success stands for; `missing` is what a 404 means here.
    pub(crate) fn into_failure(self, missing: RegistryErrorKind) -> RegistryErrorKind {
        let Self { status, headers, body, host, asked, elsewhere, login } = self;
        let detail = detail(&body);
        let (code, login) = (status.as_u16(), login.map(Box::new));
        match (status, login) {
            (StatusCode::NOT_FOUND, _) => missing,
            (StatusCode::UNAUTHORIZED, Some(login)) if login.source != LoginSource::Anonymous => {
                RegistryErrorKind::LoginRefused { host, status: code, detail, login }
            }
            (StatusCode::UNAUTHORIZED, login) => {
                let login = login.unwrap_or_else(|| Box::new(LoginTrace::anonymous()));
                RegistryErrorKind::LoginNeeded { host, challenge: challenge(&headers), login }
            }
            (StatusCode::FORBIDDEN, _) if elsewhere => {
                RegistryErrorKind::StorageRefused { host, from: asked, status: code, detail }
            }
            (StatusCode::FORBIDDEN, login) => RegistryErrorKind::Refused { host, status: code, detail, login },
            _ => RegistryErrorKind::Status { host, status: code, detail },
        }
    }
}

/// The statuses after which the same request can succeed.
///
/// A failure of the server, or of a proxy before it, says nothing of an image, whatever its number: 520 to 529 are sent by
/// proxies. 501 (method not supported), 505 (HTTP version not supported) and 511 (the network asks for a login) are permanent.
/// After a 500 to HEAD the client sends GET, which some registries answer.
fn is_busy(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        408 | 429 => true,
        500 => *method != Method::HEAD,
        501 | 505 | 511 => false,
        status => (502..=599).contains(&status),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Whether a redirect is followed; if not, why.
pub(crate) fn judge_redirect(from: &Url, to: &Url, options: &RegistryOptions) -> Result<(), String> {
    // Without the query, which may carry a signature.
    let shown = escaped(format!("{}://{}{}", to.scheme(), host_of(to), to.path()));
    match (from.scheme(), to.scheme()) {
        (_, "https") => Ok(()),
        ("http", "http") if options.may_be_plain(to) => Ok(()),
        ("https", "http") => Err(format!("from https to plain HTTP (`{shown}`)")),
        _ => Err(format!("to `{shown}`, which is neither https nor this machine")),
    }
}

/// Says what was asked, without the query, which may be a signature.
fn trace(method: &Method, url: &Url, status: StatusCode, began: Instant) {
    let (origin, path, took) = (url.origin().ascii_serialization(), url.path(), began.elapsed().as_millis());
    log::debug!(target: "registry", "{method} {origin}{path}: {} ({took} ms)", status.as_u16());
}

async fn read(
    mut response: reqwest::Response,
    ask: &Ask<'_>,
    url: &Url,
    elsewhere: bool,
) -> Result<Answer, RegistryErrorKind> {
    let status = response.status();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    if ask.method != Method::HEAD {
        let limit = if status.is_success() { ask.limit } else { ask.limit.min(REFUSAL_LIMIT) };
        let announced = response.content_length();
        if announced.is_some_and(|length| length > limit) && status.is_success() {
            return Err(RegistryErrorKind::TooLarge { limit });
        }
        body.reserve_exact(announced.and_then(|length| usize::try_from(length.min(limit)).ok()).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(url, error))? {
            if length(&body) + length(&chunk) > limit {
                if status.is_success() {
                    return Err(RegistryErrorKind::TooLarge { limit });
                }
                break;
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() && announced.is_some_and(|announced| announced != length(&body)) {
            return Err(RegistryErrorKind::CutOff { host: host_of(url) });
        }
        let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        if let Some(encoding) = encoding.filter(|encoding| status.is_success() && *encoding != b"identity") {
            let reason = format!("the answer is compressed (`{}`), which was not asked for", escaped(encoding));
            return Err(RegistryErrorKind::NotAnImage { reason });
        }
    }
    Ok(Answer { status, headers, body, host: host_of(url), asked: host_of(&ask.url), elsewhere, login: None })
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory fits 64 bits")
}

/// What a request that got no whole answer stands for.
fn broken(url: &Url, error: reqwest::Error) -> RegistryErrorKind {
    let host = host_of(url);
    // The address may carry a signature in its query.
    let error = error.without_url();
    if find_cause::<NotPublic>(&error).is_some() {
        let realm = escaped(format!("{}://{host}{}", url.scheme(), url.path()));
        return RegistryErrorKind::Realm { realm, reason: NOT_PUBLIC.to_owned(), host };
    }
    if let Some(lasting) = tls_fault::lasting(&host, &error) {
        lasting
    } else if error.is_body() || error.is_decode() {
        RegistryErrorKind::CutOff { host }
    } else if is_unknown_host(&error) {
        RegistryErrorKind::UnknownHost { host, source: error.into() }
    } else {
        RegistryErrorKind::Unreachable { host, source: error.into() }
    }
}

/// Whether the name server's answer is that there is no such name. The standard library gives its words alone; any other
/// failure of a look-up may pass.
pub(crate) fn is_unknown_host(error: &(dyn Error + 'static)) -> bool {
    const WORDS: [&str; 4] = [
        "Name or service not known",
        "No address associated with hostname",
        "nodename nor servname provided, or not known",
        "Name does not resolve",
    ];
    let mut next = Some(error);
    while let Some(error) = next {
        if error.source().is_none() {
            let said = error.to_string();
            return WORDS.iter().any(|words| said.contains(words));
        }
        next = error.source();
    }
    false
}

fn find_cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    error.downcast_ref().or_else(|| find_cause(error.source()?))
}

/// How a registry asks for a login, for people: the scheme and where tokens are given out.
fn challenge(headers: &HeaderMap) -> String {
    match headers.get(WWW_AUTHENTICATE) {
        Some(value) => escaped(value),
        None => "without saying how".to_owned(),
    }
}

/// What a registry says about its refusal, in the form that the distribution specification gives it, with a leading
/// colon; empty when it says nothing.
pub(crate) fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        errors: Vec<Problem>,
    }
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let problem = serde_json::from_slice(body).ok().and_then(|refusal: Refusal| refusal.errors.into_iter().next());
    match problem {
        Some(Problem { code, message }) => format!(": {}", escaped(format!("{code} {message}"))),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_name_that_certainly_has_no_address_is_unknown() {
        for (words, is_unknown) in [
            ("failed to lookup address information: Name or service not known", true),
            ("failed to lookup address information: Name does not resolve", true),
            ("failed to lookup address information: Temporary failure in name resolution", false),
            ("Connection refused (os error 111)", false),
        ] {
            let error = std::io::Error::other(std::io::Error::other(words));
            assert_eq!(super::is_unknown_host(&error), is_unknown, "{words}");
        }
        let kind = RegistryErrorKind::UnknownHost { host: "r.example".to_owned(), source: "no name".into() };
        assert_eq!(kind.class(), ErrorClass::Temporary, "asked again, and 14");
    }

    use super::*;

    #[test]
    fn b2_failures_of_servers_and_of_proxies_before_them_may_pass() {
        for (status, get, head) in [
            (404, false, false),
            (408, true, true),
            (418, false, false),
            (429, true, true),
            (500, true, false),
            (501, false, false),
            (502, true, true),
            (505, false, false),
            (507, true, true),
            (511, false, false),
            (520, true, true),
            (524, true, true),
            (529, true, true),
        ] {
            let code = StatusCode::from_u16(status).unwrap();
            assert_eq!((is_busy(code, &Method::GET), is_busy(code, &Method::HEAD)), (get, head), "{status}");
        }
    }

    #[test]
    fn t21_a_redirect_never_leads_from_https_to_http_or_over_plain_http_elsewhere() {
        let options = RegistryOptions::default();
        let judge =
            |from: &str, to: &str| judge_redirect(&Url::parse(from).unwrap(), &Url::parse(to).unwrap(), &options);
        assert_eq!(judge("https://a.example/x", "https://b.example/y"), Ok(()));
        assert_eq!(judge("http://127.0.0.1:1/x", "http://127.0.0.1:2/y"), Ok(()));
        assert_eq!(judge("http://127.0.0.1:1/x", "https://b.example/y"), Ok(()));
        assert_eq!(
            judge("https://a.example/x", "http://127.0.0.1/y?signature=secret"),
            Err("from https to plain HTTP (`http://127.0.0.1/y`)".to_owned())
        );
        for elsewhere in ["http://169.254.169.254/latest", "ftp://b.example/y", "file:///etc/passwd", "data:,x"] {
            assert!(judge("http://127.0.0.1/x", elsewhere).is_err(), "{elsewhere}");
        }
        for elsewhere in ["http://a.example/x", "file:///etc/passwd"] {
            assert!(judge("https://a.example/x", elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn a_refusal_is_quoted_when_it_has_the_form_of_one() {
        let body = br#"{"errors":[{"code":"DENIED","message":"requested access\u001b[0m is denied"},{"code":"X"}]}"#;
        assert_eq!(detail(body), ": DENIED requested access\\u{1b}[0m is denied");
        for other in [&b"<html>"[..], b"", b"{}", b"{\"errors\":[]}"] {
            assert_eq!(detail(other), "");
        }
    }
}
