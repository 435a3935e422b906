//! The file of an HTTP suite.
//!
//! ```yaml
//! requests:
//! - name: the cart answers
//!   method: GET
//!   url: "{url}/cart/health"
//!   headers: { accept: application/json }
//!   expect:
//!     status: 200
//!     header: { content-type: application/json }
//!     body-contains: "ok"
//!     json: { /service: cart }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lock_model::ErrorClass;
use lock_model::escaping::{excerpt, mask_address};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, Spanned};

use crate::expectation::Expectation;
use crate::template::{Template, Variables};

/// Largest file that is parsed.
const SIZE_LIMIT: usize = 1024 * 1024;

/// The requests of a suite, in order; there is at least one.
#[derive(Clone, Debug)]
pub struct HttpSuite {
    requests: Vec<HttpRequest>,
}

/// One request, and what its answer has to look like: one case of the suite.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) url: Template,
    pub(crate) headers: Vec<(HeaderName, Template)>,
    pub(crate) body: Option<String>,
    pub(crate) expect: Expectation,
}

/// All problems of a suite's file, one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct HttpSuiteError {
    /// In the order of the file; at least one.
    pub problems: Vec<HttpSuiteProblem>,
}

/// One problem of a suite's file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct HttpSuiteProblem {
    /// Name of the file, as the caller gave it.
    pub file: String,
    /// Line, from 1; absent when the whole file is the problem.
    pub line: Option<u64>,
    /// Column, from 1; absent when the line is.
    pub column: Option<u64>,
    /// What is wrong, escaped and on one line.
    pub message: String,
}

impl HttpSuiteError {
    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl fmt::Display for HttpSuiteProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WireSuite {
    requests: Vec<Spanned<WireRequest>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WireRequest {
    name: String,
    method: Spanned<String>,
    url: Spanned<String>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    body: Option<String>,
    expect: Expectation,
}

impl HttpRequest {
    /// Name of the case.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl HttpSuite {
    /// The requests, in order.
    pub fn requests(&self) -> &[HttpRequest] {
        &self.requests
    }

    /// Whether a request needs the environment's address.
    pub fn uses_url(&self) -> bool {
        let of = |one: &HttpRequest| one.url.uses_url() || one.headers.iter().any(|(_, value)| value.uses_url());
        self.requests.iter().any(of)
    }

    /// Parses the content of a file; `file` is its name in problems.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, HttpSuiteError> {
        let single = |place: Option<(u64, u64)>, message: String| HttpSuiteError {
            problems: vec![problem(file, place, message)],
        };
        if bytes.len() > SIZE_LIMIT {
            return Err(single(None, format!("the file has {} bytes, the limit is {SIZE_LIMIT}", bytes.len())));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| single(None, format!("not UTF-8: {error}")))?;
        let options = serde_saphyr::options! {
            duplicate_keys: DuplicateKeyPolicy::Error,
            merge_keys: MergeKeyPolicy::Error,
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
            reject_unsupported_tags: true,
            with_snippet: false,
            budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 },
        };
        let wire: WireSuite = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let place = error.location().map(|place| (place.line(), place.column())).filter(|(line, _)| *line > 0);
            single(place, parser_message(&error))
        })?;
        if wire.requests.is_empty() {
            return Err(single(
                Some((1, 1)),
                "the suite has no requests: it would pass without having tested anything".to_owned(),
            ));
        }
        let mut reader = Reader { file, names: BTreeSet::new(), problems: Vec::new() };
        let requests: Vec<HttpRequest> = wire.requests.into_iter().filter_map(|wire| reader.request(wire)).collect();
        if reader.problems.is_empty() {
            Ok(Self { requests })
        } else {
            reader.problems.sort();
            Err(HttpSuiteError { problems: reader.problems })
        }
    }
}

/// Why no request can be sent to an address, whatever its variables stand for.
fn never_asked(template: &Template) -> Option<String> {
    let stand_ins = Variables { url: Some("https://environment.invalid".to_owned()), mode: Some("mode".to_owned()) };
    let address = template.fill(&stand_ins).ok()?;
    match Url::parse(&address) {
        Err(error) => Some(format!("`{}` is not a URL: {error}", excerpt(mask_address(&address)))),
        Ok(url) => http_client::check_url(&url).err().map(|refused| refused.to_string()),
    }
}

fn parser_message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or("not readable");
    // What programmers can set is no advice for users.
    excerpt(text.split_once(", set DuplicateKeyPolicy").map_or(text, |(said, _)| said))
}

fn problem(file: &str, place: Option<(u64, u64)>, message: String) -> HttpSuiteProblem {
    let (line, column) = place.unzip();
    HttpSuiteProblem { file: file.to_owned(), line, column, message }
}

struct Reader<'a> {
    file: &'a str,
    names: BTreeSet<String>,
    problems: Vec<HttpSuiteProblem>,
}

impl Reader<'_> {
    fn wrong<T>(&mut self, at: &Spanned<T>, message: String) {
        let place = (at.referenced.line(), at.referenced.column());
        self.problems.push(problem(self.file, Some(place), message));
    }

    fn request(&mut self, wire: Spanned<WireRequest>) -> Option<HttpRequest> {
        let before = self.problems.len();
        let name = wire.value.name.trim().to_owned();
        if name.is_empty() {
            self.wrong(&wire, "the request has no name".to_owned());
        } else if !self.names.insert(name.clone()) {
            self.wrong(&wire, format!("`{}` is the name of an earlier request", excerpt(&name)));
        }
        let WireRequest { name: _, method, url, headers, body, expect } = wire.value;
        let parsed_method = match method.value.as_str() {
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method.value.parse::<Method>().ok(),
            _ => None,
        };
        if parsed_method.is_none() {
            let text = excerpt(&method.value);
            self.wrong(&method, format!("`{text}` is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        let parsed_url = self.template(&url);
        if let Some(wrong) = parsed_url.as_ref().and_then(never_asked) {
            self.wrong(&url, wrong);
        }
        let mut parsed_headers = Vec::new();
        for (name, value) in &headers {
            match name.parse::<HeaderName>() {
                Err(_) => self.wrong(value, format!("`{}` is not the name of a header", excerpt(name))),
                Ok(name) => {
                    if HeaderValue::from_str(&value.value).is_err() {
                        self.wrong(value, format!("the value of `{name}` cannot stand in a header"));
                    } else if let Some(template) = self.template(value) {
                        parsed_headers.push((name, template));
                    }
                }
            }
        }
        self.expectation(&expect);
        (self.problems.len() == before).then_some(())?;
        Some(HttpRequest { name, method: parsed_method?, url: parsed_url?, headers: parsed_headers, body, expect })
    }

    fn template(&mut self, text: &Spanned<String>) -> Option<Template> {
        match Template::parse(&text.value) {
            Ok(template) => Some(template),
            Err(message) => {
                self.wrong(text, message);
                None
            }
        }
    }

    fn expectation(&mut self, expect: &Expectation) {
        let Expectation { status, header, body_contains: _, json } = expect;
        if !(100..=599).contains(&status.value) {
            self.wrong(status, format!("{} is not a status: 100 to 599", status.value));
        }
        for pointer in json.keys().filter(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            self.wrong(status, format!("`{}` is not a JSON pointer: it begins with `/`", excerpt(pointer)));
        }
        for name in header.keys().filter(|name| name.parse::<HeaderName>().is_err()) {
            self.wrong(status, format!("`{}` is not the name of a header", excerpt(name)));
        }
    }
}
