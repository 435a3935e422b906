//! Suites that are a file of HTTP requests.

use std::time::Duration;

use lock_model::escaping::{excerpt, mask_address};
use process::Redactor;
use reqwest::{Response, Url};
use tokio::time::{Instant, timeout_at};

use crate::http_file::{HttpRequest, HttpSuite};
use crate::report::{Case, SuiteReport, Verdict};
use crate::template::Variables;
use crate::text::{in_words, innermost, masked_excerpt};
use http_client::HttpClient;

/// Largest body that is read.
const BODY_LIMIT: usize = 1024 * 1024;

/// A file of requests, and the environment that it runs against.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpRun {
    /// The requests, which are sent one after the other.
    pub suite: HttpSuite,
    /// What sends them.
    pub client: HttpClient,
    /// The values of the variables in the file.
    pub variables: Variables,
    /// The time for all requests together; cases without an answer by then are unknown.
    pub deadline: Duration,
    /// Removes secrets from what is reported of answers.
    pub redactor: Redactor,
}

impl HttpRun {
    /// A run without variables or secrets.
    pub fn new(suite: HttpSuite, client: HttpClient, deadline: Duration) -> Self {
        Self { suite, client, variables: Variables::default(), deadline, redactor: Redactor::new() }
    }

    pub(crate) async fn run(&self, name: &str) -> SuiteReport {
        let end = Instant::now() + self.deadline;
        let mut cases = Vec::new();
        for request in self.suite.requests() {
            let (verdict, message) = if Instant::now() >= end {
                (Verdict::Unknown, "not run: the suite's deadline had passed".to_owned())
            } else {
                let late = || format!("no answer within the suite's {}", in_words(self.deadline));
                match timeout_at(end, self.send(request)).await {
                    Ok(Ok(mismatches)) if mismatches.is_empty() => (Verdict::Passed, String::new()),
                    Ok(Ok(mismatches)) => (Verdict::Failed, mismatches.join("; ")),
                    Ok(Err(reason)) => (Verdict::Unknown, reason),
                    Err(_) => (Verdict::Unknown, late()),
                }
            };
            cases.push(Case::new(excerpt(request.name()), verdict, message));
        }
        SuiteReport::new(name, cases)
    }

    /// Every mismatch between answer and expectation; the error is the reason why there is no answer.
    async fn send(&self, request: &HttpRequest) -> Result<Vec<String>, String> {
        let url = request.url.fill(&self.variables)?;
        let url = Url::parse(&url)
            .map_err(|error| format!("`{}` is not a URL: {error}", masked_excerpt(&self.redactor, url.as_bytes())))?;
        let address = masked_excerpt(&self.redactor, mask_address(url.as_str()).as_bytes());
        let asked = format!("{} {address}", request.method);
        let mut outgoing = self.client.request(request.method.clone(), url).map_err(|error| error.to_string())?;
        for (name, value) in &request.headers {
            outgoing = outgoing.header(name, value.fill(&self.variables)?);
        }
        if let Some(body) = &request.body {
            outgoing = outgoing.body(body.clone());
        }
        let mut response =
            outgoing.send().await.map_err(|error| format!("{asked}: no answer: {}", innermost(&error)))?;
        let body = read(&mut response).await?;
        Ok(request.expect.mismatches(response.status().as_u16(), response.headers(), &body, &self.redactor))
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
