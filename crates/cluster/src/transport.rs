//! One request: deadline, retries of what is temporary, and the answer as JSON or as an error with a kind.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{Method, Request, Response, StatusCode};
use kube::client::UpgradeConnectionError;
use kube::core::response::Status;
use lock_model::ErrorClass;
use lock_model::escaping::excerpt;
use process::Redactor;
use serde_json::Value;
use tokio::time::Instant;
use tower::BoxError;

use crate::error::{ClusterError, ClusterErrorKind, FieldConflict, Way};
use crate::lease::{LeaseKeeper, LeaseLoss, LeaseState};
use crate::login::LoginFailed;
use crate::object::Object;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How long is waited for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one request.
    pub request: Duration,
    /// For one question with all retries of a server that is busy or away; zero turns retries off.
    pub retries: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { request: Duration::from_secs(30), retries: Duration::from_secs(60) }
    }
}

/// The client with its patience.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) client: kube::Client,
    pub(crate) patience: Patience,
    /// The address of the API server.
    pub(crate) server: Arc<str>,
    pub(crate) way: Arc<Way>,
    pub(crate) outage_notice: OutageNotice,
    /// Masks what is quoted of answers.
    pub(crate) secrets: Arc<Redactor>,
    /// The Secret that is written, whose values are masked too.
    pub(crate) written: Option<Arc<Object>>,
    /// Every attempt of a write needs its proof; what is given back proves nothing.
    pub(crate) lease: Option<Weak<LeaseKeeper>>,
}

/// Takes a line for people.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Who is told once that the API server does not answer, before it is asked again.
#[derive(Clone, Default)]
pub(crate) struct OutageNotice {
    tell: Option<Tell>,
    is_told: Arc<AtomicBool>,
}

impl OutageNotice {
    pub(crate) fn new(tell: Tell) -> Self {
        Self { tell: Some(tell), is_told: Arc::default() }
    }

    fn give(&self, text: impl FnOnce() -> String) {
        if let Some(tell) = &self.tell
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            tell(&text());
        }
    }
}

/// A request that has the same effect when it is sent twice.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) accept: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Vec::new())
    }

    pub(crate) fn new(method: Method, path: impl Into<String>, body: Vec<u8>) -> Self {
        Self { method, path: path.into(), content_type: JSON, accept: JSON, body }
    }

    pub(crate) fn json(method: Method, path: impl Into<String>, body: &Value) -> Self {
        Self::new(method, path, body.to_string().into_bytes())
    }

    /// Whether it changes something: reviews of rights and dry-runs do not.
    fn writes(&self) -> bool {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        self.method != Method::GET && !query.contains("dryRun=All") && !path.ends_with("reviews")
    }

    fn request(&self) -> Request<Vec<u8>> {
        Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header("content-type", self.content_type)
            .header("accept", self.accept)
            .body(self.body.clone())
            .expect("paths are made of checked segments")
    }
}

const JSON: &str = "application/json";

impl Transport {
    /// For a write of this object: an API server that refuses a Secret quotes the values that are wrong.
    pub(crate) fn writing(&self, object: &Object) -> Self {
        let mut other = self.clone();
        if object.key().kind.is("", "Secret") {
            other.written = Some(Arc::new(object.clone()));
        }
        other
    }

    /// Sends a call, again and again while what fails is temporary and there is patience left.
    pub(crate) async fn send(&self, subject: &impl fmt::Display, call: &Call) -> Result<Value, ClusterError> {
        self.retrying(subject, call, || async { self.client.request::<Value>(call.request()).await }).await
    }

    /// The same for an answer that is text.
    pub(crate) async fn send_text(&self, subject: &impl fmt::Display, call: &Call) -> Result<String, ClusterError> {
        self.retrying(subject, call, || async { self.client.request_text(call.request()).await }).await
    }

    /// One header of the answer.
    pub(crate) async fn send_for_header(
        &self,
        subject: &impl fmt::Display,
        call: &Call,
        header: &str,
    ) -> Result<Option<String>, ClusterError> {
        self.retrying(subject, call, || async {
            let request = call.request().map(kube::client::Body::from);
            let answer = self.client.send(request).await?;
            Ok(answer.headers().get(header).and_then(|value| Some(value.to_str().ok()?.to_owned())))
        })
        .await
    }

    async fn retrying<T, F: Future<Output = Result<T, kube::Error>>>(
        &self,
        subject: &impl fmt::Display,
        call: &Call,
        attempt: impl Fn() -> F,
    ) -> Result<T, ClusterError> {
        let end = Instant::now() + self.patience.retries;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(lease) = self.lease.as_ref().filter(|_| call.writes()) {
                let state = match lease.upgrade() {
                    Some(lease) => lease.proved().await?,
                    None => LeaseState::Lost(LeaseLoss::Ended),
                };
                if let LeaseState::Lost(loss) = state {
                    let reason = loss.to_string();
                    return Err(ClusterError::new(subject, ClusterErrorKind::LeaseLost { reason }));
                }
            }
            let limit = self.patience.request;
            let error = match tokio::time::timeout(limit, attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => self.error(subject, error),
                Err(_) => ClusterError::new(subject, ClusterErrorKind::TimedOut { limit }),
            };
            let wait = error.retry_after().unwrap_or_default().max(pause);
            let is_absent =
                matches!(error.kind(), ClusterErrorKind::Unreachable { .. } | ClusterErrorKind::TimedOut { .. });
            if !can_retry(&error) || Instant::now() + wait >= end {
                return Err(if is_absent { error.at(&self.server) } else { error });
            }
            log::debug!("{error}; again in {} ms", wait.as_millis());
            if is_absent {
                let retries = self.patience.retries.as_secs();
                let text =
                    || format!("{}; it is asked again for up to {retries} s", error.at(&self.server).with_causes());
                self.outage_notice.give(text);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What an error of the client library means.
    pub(crate) fn error(&self, subject: &impl fmt::Display, error: kube::Error) -> ClusterError {
        let kind = match &self.written {
            None => kind_of(error, &self.secrets),
            Some(secret) => {
                // Every form of a large value is long to make, and only an error quotes one.
                let mut secrets = Redactor::clone(&self.secrets);
                values_of(secret, &mut secrets);
                kind_of(error, &secrets)
            }
        };
        ClusterError::new(subject, kind).on(&self.way)
    }
}

/// An API server that is too busy says so in a header, and its answer is no object: the client library would drop both.
#[derive(Clone, Copy, Debug, Default, thiserror::Error)]
#[error("HTTP {status}, and to be asked again in {} s", retry_after.as_secs())]
pub(crate) struct AskedToWait {
    status: u16,
    retry_after: Duration,
}

/// Makes an error of an answer that is no object and names the time after which to ask again.
pub(crate) fn asked_to_wait<B, E>(answer: Result<Response<B>, E>) -> Result<Response<B>, BoxError>
where
    E: Into<BoxError>,
{
    let answer = answer.map_err(Into::into)?;
    let header = |name: http::HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let is_object = header(http::header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with(JSON));
    let seconds = header(http::header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
    match (answer.status().as_u16(), seconds) {
        (status @ (429 | 503), Some(seconds)) if !is_object => {
            Err(Box::new(AskedToWait { status, retry_after: Duration::from_secs(seconds) }))
        }
        _ => Ok(answer),
    }
}

/// Whether the same request may have another answer a little later. That of a conflict would be the same.
pub(crate) fn can_retry(error: &ClusterError) -> bool {
    error.class() == ErrorClass::Temporary && !matches!(error.kind(), ClusterErrorKind::Conflict { .. })
}

/// The values of a Secret, whichever type they were given.
fn values_of(secret: &Object, into: &mut Redactor) {
    for field in ["data", "stringData"] {
        for value in secret.value().get(field).and_then(Value::as_object).into_iter().flatten().map(|(_, value)| value)
        {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Ok(decoded) = BASE64.decode(&text) {
                into.add(decoded);
            }
            into.add(text);
        }
    }
}

/// Secrets are masked before anything is cut: a cut would leave their beginning.
fn quoted(text: &str, secrets: &Redactor) -> String {
    excerpt(secrets.redact(text))
}

fn kind_of(error: kube::Error, secrets: &Redactor) -> ClusterErrorKind {
    match error {
        kube::Error::Api(status) => kind_of_status(&status, secrets),
        kube::Error::Service(source) if source.is::<AskedToWait>() => {
            let asked = source.downcast::<AskedToWait>().map_or_else(|_| AskedToWait::default(), |asked| *asked);
            let message = "it is too busy".to_owned();
            ClusterErrorKind::Busy { status: asked.status, message, retry_after: Some(asked.retry_after) }
        }
        kube::Error::SerdeError(error) => ClusterErrorKind::Answer {
            reason: format!("is not the JSON that was expected: {}", quoted(&error.to_string(), secrets)),
        },
        kube::Error::FromUtf8(_) => ClusterErrorKind::Answer { reason: "is not UTF-8 text".to_owned() },
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => kind_of_upgrade(status),
        kube::Error::Service(source) if source.is::<LoginFailed>() => {
            ClusterErrorKind::Login { reason: quoted(&source.to_string(), secrets) }
        }
        kube::Error::Service(source) if is_untrusted(source.as_ref()) => ClusterErrorKind::Untrusted { source },
        kube::Error::Service(source) => ClusterErrorKind::Unreachable { source },
        kube::Error::HyperError(source) => ClusterErrorKind::Unreachable { source: source.into() },
        kube::Error::ReadEvents(source) => ClusterErrorKind::Unreachable { source: source.into() },
        other => ClusterErrorKind::Client { reason: quoted(&other.to_string(), secrets) },
    }
}

/// A WebSocket that is not opened: the client library keeps the status alone.
fn kind_of_upgrade(status: StatusCode) -> ClusterErrorKind {
    let message = "it does not open the connection".to_owned();
    match status.as_u16() {
        401 => ClusterErrorKind::Unauthorized,
        403 => ClusterErrorKind::Forbidden { message },
        404 | 410 => ClusterErrorKind::NotFound,
        status @ (408 | 429 | 500..=599) => ClusterErrorKind::Busy { status, message, retry_after: None },
        status => ClusterErrorKind::Rejected { status, message },
    }
}

fn kind_of_status(status: &Status, secrets: &Redactor) -> ClusterErrorKind {
    let message = quoted(&without_long_values(&status.message), secrets);
    let conflicts = field_conflicts(status);
    match status.code {
        401 => ClusterErrorKind::Unauthorized,
        403 => ClusterErrorKind::Forbidden { message },
        404 | 410 => ClusterErrorKind::NotFound,
        409 if !conflicts.is_empty() => ClusterErrorKind::FieldConflicts { conflicts },
        409 => ClusterErrorKind::Conflict { message },
        // The API server's answer to a value of another type in a server-side apply.
        500 if UNREADABLE.iter().any(|begin| status.message.starts_with(begin)) => {
            ClusterErrorKind::Rejected { status: 500, message }
        }
        code @ (408 | 429 | 500..=599) => {
            let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            let retry_after = (asked > 0).then(|| Duration::from_secs(asked.into()));
            ClusterErrorKind::Busy { status: code, message, retry_after }
        }
        status => ClusterErrorKind::Rejected { status, message },
    }
}

/// How an API server begins that cannot read an object, with the status of a fault of its own.
const UNREADABLE: [&str; 3] =
    ["failed to create typed patch object", "failed to convert new object", "unable to convert unstructured object"];

/// The longest value that is quoted.
const VALUE_SHOWN: usize = 100;

/// A message without the long values that it quotes before the reason why they are refused, such as a template of pods.
fn without_long_values(message: &str) -> String {
    const BEFORE: &str = "Invalid value: ";
    let (mut shown, mut rest) = (String::new(), message);
    while let Some((head, tail)) = rest.split_once(BEFORE) {
        let (value, after) = tail.split_at(end_of_value(tail));
        shown += head;
        shown += BEFORE;
        shown += if value.len() > VALUE_SHOWN { "…" } else { value };
        rest = after;
    }
    shown + rest
}

/// Where a value ends that is written as JSON or as a program's own text: at the first `: ` outside of texts and brackets.
fn end_of_value(text: &str) -> usize {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    let mut letters = text.char_indices().peekable();
    while let Some((place, letter)) = letters.next() {
        if is_text {
            is_text = is_escaped || letter != '"';
            is_escaped = !is_escaped && letter == '\\';
            continue;
        }
        match letter {
            '"' => is_text = true,
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && letters.peek().is_some_and(|(_, next)| *next == ' ') => return place,
            _ => {}
        }
    }
    text.len()
}

/// The API server names manager and field in the causes: `conflict with "kubectl" with subresource "scale" using apps/v1`.
fn field_conflicts(status: &Status) -> Vec<FieldConflict> {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let mut conflicts: Vec<_> = causes
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| {
            let mut quoted = cause.message.split('"').skip(1).step_by(2);
            let manager = quoted.next().unwrap_or(&cause.message);
            let subresource = quoted.next().filter(|_| cause.message.contains("with subresource")).map(excerpt);
            FieldConflict { manager: excerpt(manager), subresource, field: excerpt(&cause.field) }
        })
        .collect();
    conflicts.sort();
    conflicts
}

/// Whether the certificate of the server was refused. The libraries wrap one input error into another, whose own source is
/// that of what it wraps, so that each wrapped error is looked at as well.
fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::CertificateError;

    use super::*;

    #[test]
    fn the_reason_behind_a_long_value_is_kept() {
        let long = format!(r#"{{"a: {{\"": ["{}"]}}"#, "x".repeat(200));
        let said = format!("Job \"a\" is invalid: spec.template: Invalid value: {long}: field is immutable");
        assert_eq!(
            without_long_values(&said),
            "Job \"a\" is invalid: spec.template: Invalid value: …: field is immutable"
        );
        let short = "[spec.replicas: Invalid value: -1: must be positive, a: Invalid value: \"x: y\": no]";
        assert_eq!(without_long_values(short), short);
    }

    #[test]
    fn t23_a_certificate_that_is_not_trusted_is_known_however_deep_it_is_wrapped() {
        let untrusted = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let kind = |error: io::Error| kind_of(kube::Error::Service(error.into()), &Redactor::new());
        for wrapped in [
            io::Error::new(io::ErrorKind::InvalidData, untrusted()),
            io::Error::other(io::Error::new(io::ErrorKind::InvalidData, untrusted())),
            io::Error::other(io::Error::other(io::Error::new(io::ErrorKind::InvalidData, untrusted()))),
        ] {
            let kind = kind(wrapped);
            assert!(matches!(kind, ClusterErrorKind::Untrusted { .. }), "{kind:?}");
            let error = ClusterError::new("Namespace shop", kind);
            assert!(!can_retry(&error) && error.class() == ErrorClass::Denied);
            let told = error.with_causes();
            assert!(told.contains("UnknownIssuer") && told.contains("certificate-authority-data"), "{told}");
        }
        let refused = ClusterError::new("Namespace shop", kind(io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert!(
            can_retry(&refused) && refused.with_causes().contains("connection refused"),
            "{}",
            refused.with_causes()
        );
    }

    #[test]
    fn a_policy_that_denies_and_an_object_that_cannot_be_read_are_told_from_other_refusals() {
        let error = |code: u16, message: &str| {
            let status = serde_json::from_value(serde_json::json!({ "message": message, "code": code })).unwrap();
            ClusterError::new("Deployment/cart", kind_of(kube::Error::Api(status), &Redactor::new()))
        };
        let policy = "deployments.apps \"cart\" is forbidden: ValidatingAdmissionPolicy 'small' with binding 'small' denied \
                      request: at most none";
        let webhook = "admission webhook \"a.example\" denied the request: no";
        for (code, message, is_rule) in [
            (422, policy, true),
            (403, policy, true),
            (400, webhook, true),
            (403, "pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true", true),
            (
                403,
                "pods \"p\" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 4",
                true,
            ),
            (403, "unable to create new content in namespace shop because it is being terminated", true),
            (403, "user \"dana\" cannot patch resource \"deployments\"", false),
            (422, "Deployment.apps \"cart\" is invalid: spec.selector: field is immutable", false),
        ] {
            assert_eq!(error(code, message).is_refused_by_admission(), is_rule, "{message}");
        }
        let spec = serde_json::json!({ "serviceAccountName": "a", "priorityClassName": "p", "runtimeClassName": "r" });
        let pod = serde_json::json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p", "namespace": "shop" }, "spec": spec });
        let pod = Object::new(pod).unwrap();
        for (message, missing) in [
            (
                "error looking up service account shop/a: serviceaccount \"a\" not found",
                Some("v1 ServiceAccount shop/a"),
            ),
            ("no PriorityClass with name p was found", Some("scheduling.k8s.io/v1 PriorityClass /p")),
            ("pod rejected: RuntimeClass \"r\" not found", Some("node.k8s.io/v1 RuntimeClass /r")),
            ("error looking up service account shop/a: etcdserver: request timed out", None),
        ] {
            let error = error(403, &format!("pods \"p\" is forbidden: {message}"));
            let found = error.missing_for(&pod).map(|key| {
                let version = key.kind.api_version();
                format!("{version} {} {}/{}", key.kind.kind, key.namespace.unwrap_or_default(), key.name)
            });
            assert_eq!(found.as_deref(), missing);
            assert_eq!(error.is_refused_by_admission(), missing.is_some(), "{message}");
        }
        let unread = "failed to convert new object (shop/s1; /v1, Kind=Secret) to smd typed: illegal base64 data at input byte 7";
        assert_eq!(error(500, unread).class(), ErrorClass::Invalid);
        assert_eq!(error(500, "etcdserver: leader changed").class(), ErrorClass::Temporary);
    }

    #[test]
    fn t48_what_an_api_server_quotes_of_a_secret_is_masked_before_it_is_cut() {
        let mut secrets = Redactor::new();
        secrets.add("hunter2-hunter2");
        for before in [0, 190, 195] {
            let message = format!("{}hunter2-hunter2 is not valid", "x".repeat(before));
            let status = serde_json::from_value(serde_json::json!({ "message": message, "code": 422 })).unwrap();
            let kind = kind_of(kube::Error::Api(status), &secrets);
            assert!(matches!(kind, ClusterErrorKind::Rejected { .. }), "{kind:?}");
            assert!(!kind.to_string().contains("hunt"), "{kind}");
        }
    }
}
