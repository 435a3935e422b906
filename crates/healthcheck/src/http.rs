//! Requests of HTTP: by the shared client, or over a connection that the caller dials.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty};
use http_client::HttpClient;
use http_client::json::is_equal;
use hyper_util::rt::TokioIo;
use lock_model::escaping::excerpt;
use process::Redactor;
use reqwest::Method;
use serde_json::Value;

use crate::check::HttpProbe;
use crate::connection::{Endpoint, unhealthy, unknown};
use crate::probe::{Found, in_words};
use crate::report::CheckState;
use crate::text::{first_line, innermost};

/// How much of a body is read to be shown; the head of a page of HTML has to fit.
const BODY_SHOWN: usize = 4 * 1024;
/// How much of a body is read to be compared.
const BODY_COMPARED: usize = 1024 * 1024;

/// What an answer has to have besides its status.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HttpExpectation {
    /// Headers by name in any case, each with its whole value.
    pub headers: Vec<(String, String)>,
    /// A text anywhere in the body.
    pub body_contains: Option<String>,
    /// Values of a JSON body, by JSON pointer (RFC 6901).
    pub json: Vec<(String, Value)>,
    /// The longest time until the whole answer is there.
    pub within: Option<Duration>,
}

impl HttpExpectation {
    fn reads_body(&self) -> bool {
        self.body_contains.is_some() || !self.json.is_empty() || self.within.is_some()
    }

    /// Everything in which an answer is not as expected.
    fn mismatches(&self, headers: &HeaderMap, body: &[u8], secrets: &Redactor) -> Vec<String> {
        let masked = |text: &str| excerpt(secrets.redact(text));
        let mut wrong = Vec::new();
        for (name, expected) in &self.headers {
            let mut found = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            if !found.any(|value| value == expected.as_str()) {
                let found: Vec<_> =
                    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
                wrong.push(if found.is_empty() {
                    format!("header `{}` is missing, expected `{}`", excerpt(name), masked(expected))
                } else {
                    let found = masked(&found.join(", "));
                    format!("header `{}` is `{found}`, expected `{}`", excerpt(name), masked(expected))
                });
            }
        }
        let text = String::from_utf8_lossy(body);
        if let Some(expected) = self.body_contains.as_deref().filter(|expected| !text.contains(expected)) {
            wrong.push(format!("body is `{}`, expected to contain `{}`", masked(&text), masked(expected)));
        }
        if !self.json.is_empty() {
            match serde_json::from_slice::<Value>(body) {
                Err(_) => wrong.push(format!("body is not JSON: `{}`", masked(&text))),
                Ok(document) => wrong.extend(self.json.iter().filter_map(|(pointer, expected)| {
                    let wanted = masked(&expected.to_string());
                    match document.pointer(pointer) {
                        Some(found) if is_equal(found, expected) => None,
                        Some(found) => {
                            let found = masked(&found.to_string());
                            Some(format!("`{}` is `{found}`, expected `{wanted}`", excerpt(pointer)))
                        }
                        None => Some(format!("`{}` is missing, expected `{wanted}`", excerpt(pointer))),
                    }
                })),
            }
        }
        wrong
    }
}

/// An answer whose body comes in parts.
enum Incoming {
    Client(reqwest::Response),
    Dialled(http::Response<hyper::body::Incoming>),
}

impl Incoming {
    fn status(&self) -> http::StatusCode {
        match self {
            Self::Client(answer) => answer.status(),
            Self::Dialled(answer) => answer.status(),
        }
    }

    fn headers(&self) -> &HeaderMap {
        match self {
            Self::Client(answer) => answer.headers(),
            Self::Dialled(answer) => answer.headers(),
        }
    }

    /// The next part of the body; `None` at its end. The error is the reason why it ends early.
    async fn chunk(&mut self) -> Result<Option<Bytes>, String> {
        match self {
            Self::Client(answer) => answer.chunk().await.map_err(|error| innermost(&error)),
            Self::Dialled(answer) => loop {
                match answer.body_mut().frame().await {
                    None => return Ok(None),
                    Some(Err(error)) => return Err(innermost(&error)),
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            },
        }
    }

    /// The beginning of the body, and whether that is all of it.
    async fn read(&mut self, limit: usize) -> Result<(Vec<u8>, bool), (Vec<u8>, String)> {
        let mut bytes = Vec::new();
        loop {
            match self.chunk().await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => return Ok((bytes, true)),
                Err(reason) => return Err((bytes, reason)),
            }
            if bytes.len() > limit {
                bytes.truncate(limit);
                return Ok((bytes, false));
            }
        }
    }
}

impl HttpProbe {
    pub(crate) async fn run(&self, client: &HttpClient) -> Found {
        self.ask(client).await.unwrap_or_else(|found| found)
    }

    async fn ask(&self, client: &HttpClient) -> Result<Found, Found> {
        let start = Instant::now();
        let mut answer = self.expected(client).await?;
        let status = format!("status {}", self.status);
        let body = if self.expectation.reads_body() {
            whole(&mut answer).await?
        } else {
            announced(&mut answer).await?;
            Vec::new()
        };
        let mut wrong = self.expectation.mismatches(answer.headers(), &body, &self.redactor);
        if let Some(limit) = self.expectation.within.filter(|limit| start.elapsed() > *limit) {
            wrong.push(format!("the whole answer took longer than {}", in_words(limit)));
        }
        if wrong.is_empty() { Ok((CheckState::Healthy, status)) } else { Err(unhealthy(wrong.join("; "))) }
    }

    /// The body of an answer with the expected status.
    pub(crate) async fn body(&self, client: &HttpClient) -> Result<Vec<u8>, Found> {
        whole(&mut self.expected(client).await?).await
    }

    /// The answer, where its status is the expected one.
    async fn expected(&self, client: &HttpClient) -> Result<Incoming, Found> {
        let mut answer = match &self.dialled {
            Some(endpoint) => Incoming::Dialled(self.send_over(endpoint).await?),
            None => Incoming::Client(self.send(client).await?),
        };
        let status = answer.status();
        if status.as_u16() == self.status {
            return Ok(answer);
        }
        let mut detail = format!("status {}, expected {}", status.as_u16(), self.status);
        if status.is_redirection() {
            detail.push_str("; redirects are not followed");
        } else if let Some(body) = beginning(&mut answer, &self.redactor).await {
            detail.push_str(": ");
            detail.push_str(&body);
        }
        Err(unhealthy(detail))
    }

    async fn send(&self, client: &HttpClient) -> Result<reqwest::Response, Found> {
        let request = client.request(Method::GET, self.url.clone()).map_err(|refused| unknown(refused.to_string()))?;
        request.send().await.map_err(|error| {
            if error.is_timeout() {
                return unknown("no answer: connecting took too long");
            }
            // A refused connection says that the service is down, an unknown name says nothing about the service.
            let state = if error.is_connect() { connect_state(&error) } else { CheckState::Unknown };
            (state, innermost(&error))
        })
    }

    async fn send_over(&self, endpoint: &Endpoint) -> Result<http::Response<hyper::body::Incoming>, Found> {
        let tls = self.tls.as_ref().filter(|_| self.url.scheme() == "https");
        let stream = endpoint.open_with(tls, &["http/1.1"]).await?;
        let target = match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        };
        let request = Request::builder()
            .uri(target)
            .header("host", endpoint.authority())
            .header("user-agent", concat!("orchestrator/", env!("CARGO_PKG_VERSION")))
            .body(Empty::<Bytes>::new())
            .map_err(|_| unknown("the address is none of a request"))?;
        let not_http = |error: hyper::Error| unhealthy(format!("the answer is not HTTP: {}", innermost(&error)));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(not_http)?;
        // Ends with the answer: the caller drops the sender, and reads the body to its end or drops it.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(not_http)
    }
}

/// A body that is compared.
async fn whole(answer: &mut Incoming) -> Result<Vec<u8>, Found> {
    match answer.read(BODY_COMPARED).await {
        Ok((body, true)) => Ok(body),
        Ok((_, false)) => Err(unknown(format!("the answer has more than {BODY_COMPARED} bytes"))),
        Err((_, reason)) => Err(unknown(format!("the answer ends early: {reason}"))),
    }
}

/// Reads a body that no expectation compares, if the answer has a `Content-Length`: a server that ends before that length is
/// not healthy. A body without that header may have no end, and is not read.
async fn announced(answer: &mut Incoming) -> Result<(), Found> {
    if !answer.headers().contains_key(http::header::CONTENT_LENGTH) {
        return Ok(());
    }
    let ended = answer.read(BODY_COMPARED).await;
    ended.map(drop).map_err(|(_, reason)| unhealthy(format!("the answer ends early: {reason}")))
}

fn connect_state(error: &reqwest::Error) -> CheckState {
    let mut source: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::ConnectionReset)
        {
            return CheckState::Unhealthy;
        }
        source = inner.source();
    }
    CheckState::Unknown
}

/// The first line of text in a body, of which only the beginning is read. Secrets are masked before anything is cut, and
/// where reading ended within one, what was read of it.
async fn beginning(answer: &mut Incoming, secrets: &Redactor) -> Option<String> {
    let (mut bytes, is_whole) = answer.read(BODY_SHOWN).await.unwrap_or_else(|(bytes, _)| (bytes, false));
    if !secrets.is_empty() {
        bytes = secrets.redact_beginning(&String::from_utf8_lossy(&bytes)).into_bytes();
    }
    let (line, is_last) = first_line(&bytes)?;
    let mut text = excerpt(line);
    let is_all = is_whole && is_last;
    if !is_all && !text.ends_with('…') {
        text.push('…');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mismatch_is_told_without_secrets() {
        let mut secrets = Redactor::new();
        secrets.add("s3cr3t-of-the-probe");
        let expectation = HttpExpectation {
            headers: vec![("X-Ready".to_owned(), "yes".to_owned()), ("x-none".to_owned(), "1".to_owned())],
            body_contains: Some("ready".to_owned()),
            json: vec![
                ("/status".to_owned(), json!("up")),
                ("/n".to_owned(), json!(1)),
                ("/a/0".to_owned(), json!(true)),
            ],
            within: None,
        };
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-ready"), "no".parse().unwrap())]);
        let body = br#"{"status":"s3cr3t-of-the-probe","n":1}"#;
        let found = expectation.mismatches(&headers, body, &secrets);
        assert_eq!(
            found,
            [
                "header `X-Ready` is `no`, expected `yes`",
                "header `x-none` is missing, expected `1`",
                r#"body is `{"status":"***","n":1}`, expected to contain `ready`"#,
                r#"`/status` is `"***"`, expected `"up"`"#,
                "`/a/0` is missing, expected `true`",
            ]
        );
        let headers = HeaderMap::from_iter([
            (http::HeaderName::from_static("x-ready"), "yes".parse().unwrap()),
            (http::HeaderName::from_static("x-none"), "1".parse().unwrap()),
        ]);
        let body = br#"{"status":"up","n":1.0,"a":[true],"b":"ready"}"#;
        assert_eq!(expectation.mismatches(&headers, body, &secrets), Vec::<String>::new());
        assert_eq!(expectation.mismatches(&headers, b"ready", &secrets), ["body is not JSON: `ready`"]);
    }
}
