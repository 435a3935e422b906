//! Requests over HTTP: connections, redirects, caps, deadlines and retries. Knows nothing of images.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use lock_model::ErrorClass;
use reqwest::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::error::RegistryErrorKind;
use crate::host::{HostGate, PausedBeyond};
use crate::media_type;
use crate::options::{RegistryOptions, is_loopback};
use crate::retry::retry_after;
use crate::text::{shown, with_causes};

/// Most bytes that are read of an answer which is not the one that was wanted.
const REFUSAL_LIMIT: u64 = 64 << 10;

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Http {
    options: RegistryOptions,
    // Made when first needed: reading the machine's certificate authorities takes time, and a run on layout folders
    // needs none and must not fail for the lack of them.
    secure: OnceLock<Result<Client, String>>,
    plain: OnceLock<Result<Client, String>>,
}

/// One request.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    /// Most bytes of a good answer.
    pub(crate) limit: u64,
    pub(crate) gate: &'a HostGate,
    pub(crate) deadline: Instant,
    /// Told before each retry: the wait, and why.
    pub(crate) on_retry: &'a dyn Fn(Duration, &str),
}

/// What came back: any status but those that ask for a retry.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) host: String,
}

impl Http {
    pub(crate) fn new(options: RegistryOptions) -> Self {
        Self { options, secure: OnceLock::new(), plain: OnceLock::new() }
    }

    pub(crate) fn options(&self) -> &RegistryOptions {
        &self.options
    }

    /// Sends a request until there is an answer that stays, the retries are used up, or the deadline leaves no room
    /// for the next one.
    pub(crate) async fn send(&self, ask: &Ask<'_>) -> Result<Answer, RegistryErrorKind> {
        let mut retries = 0;
        loop {
            let failure = match self.once(ask).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let asked = failure.retry_after();
            if let Some(wait) = asked {
                ask.gate.pause(wait);
            }
            if failure.class() != ErrorClass::Temporary || retries == self.options.retry.retries {
                return Err(failure);
            }
            let wait = self.options.retry.wait(retries, asked);
            if ask.deadline.saturating_duration_since(Instant::now()) <= wait {
                return Err(failure);
            }
            (ask.on_retry)(wait, &with_causes(&failure));
            tokio::time::sleep(wait).await;
            retries += 1;
        }
    }

    /// Sends a request once, within the host's concurrency and both deadlines.
    async fn once(&self, ask: &Ask<'_>) -> Result<Answer, RegistryErrorKind> {
        let host = host_of(&ask.url);
        let past_deadline = || RegistryErrorKind::Deadline { host: host.clone() };
        let slot = tokio::time::timeout_at(ask.deadline, ask.gate.enter(ask.deadline)).await;
        let _slot = match slot {
            Err(_) => return Err(past_deadline()),
            Ok(Err(PausedBeyond(wait))) => {
                return Err(RegistryErrorKind::Busy {
                    host,
                    status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
                    retry_after: Some(wait),
                });
            }
            Ok(Ok(slot)) => slot,
        };
        let limit = self.options.request_timeout;
        let until = Instant::now().checked_add(limit).map_or(ask.deadline, |until| until.min(ask.deadline));
        match tokio::time::timeout_at(until, self.follow(ask)).await {
            Ok(answer) => answer,
            Err(_) if until == ask.deadline => Err(past_deadline()),
            Err(_) => Err(RegistryErrorKind::TimedOut { host, limit }),
        }
    }

    /// Sends a request and follows redirects.
    ///
    /// By hand, since each hop is judged: never from https to http, never over plain HTTP to another machine. No
    /// request carries credentials; when they come, they stay with the origin that they were given for.
    async fn follow(&self, ask: &Ask<'_>) -> Result<Answer, RegistryErrorKind> {
        let mut url = ask.url.clone();
        let mut hops = 0;
        loop {
            let host = host_of(&url);
            let mut request = self.client(&url)?.request(ask.method.clone(), url.clone());
            if let Some(accept) = ask.accept {
                request = request.header(ACCEPT, accept);
            }
            let response = request.send().await.map_err(|error| broken(host.clone(), error))?;
            let status = response.status();
            if is_busy(status) {
                let retry_after = retry_after(response.headers());
                return Err(RegistryErrorKind::Busy { host, status: status.as_u16(), retry_after });
            }
            if !is_redirect(status) {
                return read(response, ask, host).await;
            }
            let refuse = |reason: String| RegistryErrorKind::Redirect { host: host.clone(), reason };
            if hops == self.options.limits.redirects {
                return Err(refuse(format!("more than {hops} times")));
            }
            let target = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let target =
                target.and_then(|target| url.join(target).ok()).ok_or_else(|| refuse("to no address".to_owned()))?;
            judge_redirect(&url, &target).map_err(refuse)?;
            hops += 1;
            url = target;
        }
    }

    fn client(&self, url: &Url) -> Result<&Client, RegistryErrorKind> {
        let client = if url.scheme() == "https" {
            self.secure.get_or_init(|| self.builder().https_only(true).build().map_err(|e| with_causes(&e)))
        } else {
            // Used for this machine only, see `is_loopback`: no certificate is ever looked at.
            self.plain.get_or_init(|| self.builder().tls_certs_only([]).build().map_err(|e| with_causes(&e)))
        };
        client.as_ref().map_err(|reason| RegistryErrorKind::Client { reason: reason.clone() })
    }

    fn builder(&self) -> reqwest::ClientBuilder {
        Client::builder()
            .user_agent(&self.options.user_agent)
            .connect_timeout(self.options.connect_timeout)
            .pool_max_idle_per_host(self.options.concurrency)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            // A library does not look into the environment by itself.
            .no_proxy()
    }
}

impl Answer {
    /// The type of the body, without parameters.
    pub(crate) fn content_type(&self) -> Option<String> {
        self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(media_type::essence)
    }

    /// What an answer that is not a success stands for; `missing` is what a 404 means here.
    pub(crate) fn into_failure(self, missing: RegistryErrorKind) -> RegistryErrorKind {
        let Self { status, headers, body, host } = self;
        match status {
            StatusCode::NOT_FOUND => missing,
            StatusCode::UNAUTHORIZED => RegistryErrorKind::LoginNeeded { host, challenge: challenge(&headers) },
            StatusCode::FORBIDDEN => {
                RegistryErrorKind::Refused { host, status: status.as_u16(), detail: detail(&body) }
            }
            _ => RegistryErrorKind::Status { host, status: status.as_u16(), detail: detail(&body) },
        }
    }
}

/// The statuses after which the same request can succeed.
fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Whether a redirect is followed; if not, why.
fn judge_redirect(from: &Url, to: &Url) -> Result<(), String> {
    // Without the query, which may carry a signature.
    let shown = shown(&format!("{}://{}{}", to.scheme(), host_of(to), to.path()));
    match (from.scheme(), to.scheme()) {
        (_, "https") => Ok(()),
        ("http", "http") if is_loopback(to) => Ok(()),
        ("https", "http") => Err(format!("from https to plain HTTP (`{shown}`)")),
        _ => Err(format!("to `{shown}`, which is neither https nor this machine")),
    }
}

async fn read(mut response: reqwest::Response, ask: &Ask<'_>, host: String) -> Result<Answer, RegistryErrorKind> {
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
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(host.clone(), error))? {
            if length(&body) + length(&chunk) > limit {
                if status.is_success() {
                    return Err(RegistryErrorKind::TooLarge { limit });
                }
                break;
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() && announced.is_some_and(|announced| announced != length(&body)) {
            return Err(RegistryErrorKind::CutOff { host });
        }
        let encoding = headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
        if let Some(encoding) = encoding.filter(|encoding| status.is_success() && encoding != "identity") {
            let reason = format!("the answer is compressed (`{}`), which was not asked for", shown(&encoding));
            return Err(RegistryErrorKind::NotAnImage { reason });
        }
    }
    Ok(Answer { status, headers, body, host })
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory fits 64 bits")
}

fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

/// What a request that got no whole answer stands for.
fn broken(host: String, error: reqwest::Error) -> RegistryErrorKind {
    // The address may carry a signature in its query.
    let error = error.without_url();
    if is_certificate_problem(&error) {
        RegistryErrorKind::Untrusted { host, source: error }
    } else if error.is_body() || error.is_decode() {
        RegistryErrorKind::CutOff { host }
    } else {
        RegistryErrorKind::Unreachable { host, source: error }
    }
}

/// Whether TLS failed on a certificate: that does not pass by itself.
fn is_certificate_problem(error: &(dyn Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return matches!(tls, rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented);
    }
    // NOTE: `source` of an `io::Error` skips the error that it wraps, and TLS errors come wrapped twice.
    if let Some(inside) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        return is_certificate_problem(inside);
    }
    error.source().is_some_and(is_certificate_problem)
}

/// How a registry asks for a login, for people: the scheme and where tokens are given out.
fn challenge(headers: &HeaderMap) -> String {
    match headers.get(WWW_AUTHENTICATE) {
        Some(value) => shown(&String::from_utf8_lossy(value.as_bytes())),
        None => "without saying how".to_owned(),
    }
}

/// What a registry says about its refusal, in the form that the distribution specification gives it.
fn detail(body: &[u8]) -> String {
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
        Some(Problem { code, message }) => format!(": {}", shown(&format!("{code} {message}"))),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t21_a_redirect_never_leads_from_https_to_http_or_over_plain_http_elsewhere() {
        let judge = |from: &str, to: &str| judge_redirect(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
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
