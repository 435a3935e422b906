//! Suites that are a file of HTTP requests.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, Response, Url};
use tokio::time::{Instant, timeout_at};

use crate::http_file::{HttpRequest, HttpSuite};
use crate::report::{Case, SuiteReport, Verdict};
use crate::template::Variables;
use crate::text::{in_words, innermost, shown};

/// Largest body that is read.
const BODY_LIMIT: usize = 1024 * 1024;

/// A file of requests, and what it is run against.
#[derive(Clone, Debug)]
pub struct HttpRun {
    /// The requests.
    pub suite: HttpSuite,
    /// The environment's address and mode.
    pub variables: Variables,
    /// A client that follows no redirects and resolves no name to a denied address.
    pub client: Client,
    /// Which addresses are denied when they stand in a URL themselves.
    pub is_denied: fn(IpAddr) -> bool,
    /// The time for all requests together.
    pub deadline: Duration,
}

impl HttpRun {
    pub(crate) async fn run(&self, name: &str) -> SuiteReport {
        let end = Instant::now() + self.deadline;
        let mut cases = Vec::new();
        for request in self.suite.requests() {
            let late = || (Verdict::Unknown, format!("no answer within the suite's {}", in_words(self.deadline)));
            let (verdict, message) = if Instant::now() >= end {
                (Verdict::Unknown, "not run: the suite's deadline had passed".to_owned())
            } else {
                timeout_at(end, self.ask(request)).await.unwrap_or_else(|_| late())
            };
            cases.push(Case { name: shown(request.name()), verdict, message });
        }
        SuiteReport::of(name, cases)
    }

    async fn ask(&self, request: &HttpRequest) -> (Verdict, String) {
        let url = match self.address(request) {
            Ok(url) => url,
            Err(why) => return (Verdict::Unknown, why),
        };
        let mut outgoing = self.client.request(request.method.clone(), url);
        for (name, value) in &request.headers {
            match value.fill(&self.variables) {
                Ok(value) => outgoing = outgoing.header(name, value),
                Err(why) => return (Verdict::Unknown, why),
            }
        }
        if let Some(body) = &request.body {
            outgoing = outgoing.body(body.clone());
        }
        let mut response = match outgoing.send().await {
            Ok(response) => response,
            Err(error) => return (Verdict::Unknown, format!("no answer: {}", innermost(&error))),
        };
        let body = match read(&mut response).await {
            Ok(body) => body,
            Err(why) => return (Verdict::Unknown, why),
        };
        let differences = request.expect.differences(response.status().as_u16(), response.headers(), &body);
        if differences.is_empty() {
            (Verdict::Passed, String::new())
        } else {
            (Verdict::Failed, differences.join("; "))
        }
    }

    fn address(&self, request: &HttpRequest) -> Result<Url, String> {
        let text = request.url.fill(&self.variables)?;
        let url = Url::parse(&text).map_err(|error| format!("`{}` is not a URL: {error}", shown(&text)))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("`{}` is not a scheme that is asked", url.scheme()));
        }
        let literal: Option<IpAddr> = match url.host() {
            Some(url::Host::Ipv4(address)) => Some(address.into()),
            Some(url::Host::Ipv6(address)) => Some(address.into()),
            Some(url::Host::Domain(_)) | None => None,
        };
        // Names are the client's matter; an address in the URL never reaches its resolver.
        if let Some(denied) = literal.filter(|address| (self.is_denied)(*address)) {
            return Err(format!("`{denied}` is a link-local address, which is never asked"));
        }
        Ok(url)
    }
}

async fn read(response: &mut Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_LIMIT => {
                return Err(format!("the answer has more than {BODY_LIMIT} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(format!("the answer ended early: {}", innermost(&error))),
        }
    }
}
