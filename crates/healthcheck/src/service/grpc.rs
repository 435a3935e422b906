//! The health service of gRPC: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lock_model::escaping::excerpt;
use process::Redactor;

use super::ServiceProbe;
use crate::connection::{unhealthy, unknown};
use crate::probe::Found;
use crate::text::innermost;

const PATH: &str = "/grpc.health.v1.Health/Check";
/// How much of an answer is read; a whole one has seven bytes.
const ANSWER_READ: usize = 4096;

/// What the service says of the one that was asked about.
#[derive(Debug, PartialEq, Eq)]
enum Health {
    Serving,
    /// Another `ServingStatus`.
    Other(u64),
    /// A status of gRPC, and its text.
    Failed(String, String),
    /// Neither.
    Wrong,
}

/// `HealthCheckRequest` with its frame.
fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, which has a length.
        message.push(0x0a);
        varint(service.len(), &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], length.as_slice(), &message].concat()
}

fn varint(mut number: usize, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    into.push(u8::try_from(number).unwrap_or_default());
}

/// Judges an answer: its status, which stands behind the body or in place of it, and `HealthCheckResponse`.
fn health(status: Option<(String, String)>, body: &[u8]) -> Health {
    match status {
        Some((code, _)) if code == "0" => {}
        Some((code, text)) => return Health::Failed(code, text),
        None => return Health::Wrong,
    }
    let Some((&[0, a, b, c, d], message)) = body.split_first_chunk() else { return Health::Wrong };
    if usize::try_from(u32::from_be_bytes([a, b, c, d])) != Ok(message.len()) {
        return Health::Wrong;
    }
    match message {
        // Field 1 is left out where it is 0, which is UNKNOWN.
        [] => Health::Other(0),
        [0x08, 1] => Health::Serving,
        [0x08, other @ 0..=0x7f] => Health::Other(u64::from(*other)),
        _ => Health::Wrong,
    }
}

fn status(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Some((text("grpc-status")?, text("grpc-message").unwrap_or_default()))
}

impl ServiceProbe {
    pub(super) async fn grpc(&self, secrets: &Redactor) -> Result<String, Found> {
        let stream = self.endpoint.open_with(self.tls.as_ref(), &["h2"]).await?;
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let not_grpc = |error: hyper::Error| unhealthy(format!("the answer is not gRPC: {}", innermost(&error)));
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(not_grpc)?;
        let driver = tokio::spawn(connection);
        let found = self.check(&mut sender, secrets).await;
        driver.abort();
        found
    }

    async fn check(
        &self,
        sender: &mut hyper::client::conn::http2::SendRequest<Full<Bytes>>,
        secrets: &Redactor,
    ) -> Result<String, Found> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let host = self.endpoint.authority();
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{scheme}://{host}{PATH}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from(request(&self.part))));
        let request = request.map_err(|_| unknown("the address is none of a request"))?;
        let not_grpc = |error: hyper::Error| unhealthy(format!("the answer is not gRPC: {}", innermost(&error)));
        let answer = sender.send_request(request).await.map_err(not_grpc)?;
        let (head, body) = answer.into_parts();
        if head.status != http::StatusCode::OK {
            return Err(unhealthy(format!("the answer is not gRPC: status {}", head.status.as_u16())));
        }
        let body = Limited::new(body, ANSWER_READ).collect().await;
        let body = body.map_err(|_| unhealthy("the answer is not gRPC: its body is cut or too long"))?;
        let status = status(&head.headers).or_else(|| body.trailers().and_then(status));
        let service = if self.part.is_empty() { "the server".to_owned() } else { format!("`{}`", excerpt(&self.part)) };
        Err(unhealthy(match health(status, &body.to_bytes()) {
            Health::Serving => return Ok("is serving".to_owned()),
            Health::Other(2) => format!("{service} is not serving"),
            Health::Other(number) => format!("{service} has the status {number}"),
            Health::Failed(code, _) if code == "5" => format!("the health service does not know {service}"),
            Health::Failed(code, _) if code == "12" => "the server has no health service".to_owned(),
            Health::Failed(code, text) => {
                format!("the health service fails with status {}: {}", excerpt(code), excerpt(secrets.redact(&text)))
            }
            Health::Wrong => "the answer is not that of a health service".to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_serving_is_serving() {
        let ok = || Some(("0".to_owned(), String::new()));
        for (body, expected) in [
            (b"\0\0\0\0\x02\x08\x01".as_slice(), Health::Serving),
            (b"\0\0\0\0\x02\x08\x02", Health::Other(2)),
            (b"\0\0\0\0\x02\x08\x03", Health::Other(3)),
            (b"\0\0\0\0\0", Health::Other(0)),
            (b"\0\0\0\0\x02\x10\x01", Health::Wrong),
            (b"\0\0\0\0\x03\x08\x01", Health::Wrong),
            (b"\x01\0\0\0\x02\x08\x01", Health::Wrong),
            (b"", Health::Wrong),
        ] {
            assert_eq!(health(ok(), body), expected, "{body:?}");
        }
        let serving = b"\0\0\0\0\x02\x08\x01";
        assert_eq!(health(None, serving), Health::Wrong, "an answer that was cut");
        let failed = Some(("14".to_owned(), "busy".to_owned()));
        assert_eq!(health(failed, serving), Health::Failed("14".to_owned(), "busy".to_owned()));
    }

    #[test]
    fn a_request_names_its_service() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("a.B"), b"\0\0\0\0\x05\x0a\x03a.B");
        assert_eq!(request(&"x".repeat(200))[5..8], [0x0a, 0xc8, 0x01]);
    }
}
