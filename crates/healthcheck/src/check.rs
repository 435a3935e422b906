//! What is checked, and how much the result weighs.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use lock_model::ErrorClass;
use process::{EnvVars, Interrupt, Launcher, Program, Redactor};
use url::Url;

use crate::certificate::CertificateProbe;
use crate::connection::Endpoint;
use crate::http::HttpExpectation;
use crate::prometheus::PrometheusProbe;
use crate::service::ServiceProbe;
use crate::tls::Tls;

/// One check of an environment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Check {
    /// Name in the report.
    pub name: String,
    /// How the state is found out.
    pub probe: Probe,
    /// What a state other than healthy means; [`Severity::Block`] unless set.
    pub severity: Severity,
    /// The time for the whole probe; after it the check is unknown.
    pub deadline: Duration,
    /// How often a probe that did not find what it expects is run again, a second later; 0 unless set.
    pub retries: u32,
}

impl Check {
    /// A check that [blocks](Severity::Block) when it is not healthy.
    pub fn new(name: impl Into<String>, probe: Probe, deadline: Duration) -> Self {
        Self { name: name.into(), probe, severity: Severity::default(), deadline, retries: 0 }
    }
}

/// What a check that is not healthy means for a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is reported, and stops nothing.
    Warn,
    /// Nothing may be deployed.
    #[default]
    Block,
}

/// How the state of a check is found out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Probe {
    /// One GET request.
    Http(HttpProbe),
    /// One query of Prometheus.
    Prometheus(PrometheusProbe),
    /// One conversation in the protocol of a server.
    Service(ServiceProbe),
    /// One TLS handshake.
    Certificate(CertificateProbe),
    /// One look-up of a name.
    Name(NameProbe),
    /// One connection.
    Tcp(TcpProbe),
    /// One program.
    Command(CommandProbe),
}

/// One GET request, whose answer is compared; a redirect is not followed, its status is the result.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) expectation: HttpExpectation,
    /// What is connected to, in place of the host of the URL.
    pub(crate) dialled: Option<Endpoint>,
    pub(crate) tls: Option<Tls>,
    pub(crate) redactor: Redactor,
}

impl HttpProbe {
    /// A request that expects status 200.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        Ok(Self {
            url: url.parse().map_err(|error: url::ParseError| UrlError(error.into()))?,
            status: 200,
            expectation: HttpExpectation::default(),
            dialled: None,
            tls: None,
            redactor: Redactor::new(),
        })
    }

    /// Sets what the answer has to have besides its status.
    #[must_use]
    pub fn expect(mut self, expectation: HttpExpectation) -> Self {
        self.expectation = expectation;
        self
    }

    /// Sends the request over another way than to the host of the URL; `tls` says whom to trust where it is `https`.
    #[must_use]
    pub fn through(mut self, endpoint: Endpoint, tls: Tls) -> Self {
        (self.dialled, self.tls) = (Some(endpoint), Some(tls));
        self
    }

    /// Trusts others than the authorities of the machine, where the URL is `https`.
    #[must_use]
    pub fn trusting(self, tls: Tls) -> Self {
        let host = self.url.host_str().unwrap_or_default();
        let address = format!("{host}:{}", self.url.port_or_known_default().unwrap_or_default());
        self.through(Endpoint::Address(address), tls)
    }

    /// Sets the status that means healthy.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Sets what removes secrets from what is reported of the answer.
    #[must_use]
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }
}

/// A text that is not an absolute URL; the text is left out, since a URL can hold a password.
#[derive(Debug, thiserror::Error)]
#[error("the text is not an absolute URL")]
pub struct UrlError(#[source] Box<dyn Error + Send + Sync>);

impl UrlError {
    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// One TCP connection, opened and closed again; accepted means healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpProbe {
    pub(crate) address: String,
}

impl TcpProbe {
    /// `address` is `HOST:PORT`, with or without `tcp://`; anything else makes the check unknown.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into() }
    }
}

/// One look-up of a host name; an address means healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameProbe {
    pub(crate) name: String,
}

impl NameProbe {
    /// Looks up a name as every connection of this machine would.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// One program: exit status 0 means healthy, another unhealthy, no exit status unknown.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandProbe {
    /// The program, already found.
    pub program: Program,
    /// Its arguments, without the program's name.
    pub args: Vec<String>,
    /// The folder it runs in.
    pub folder: PathBuf,
    /// All variables that it sees.
    pub envs: EnvVars,
    /// Removes secrets from what is reported of its output.
    pub redactor: Redactor,
    /// Ends it early; the check is then unknown.
    pub interrupt: Interrupt,
    /// Starts it, so that its process group ends with this process also when that is killed; `None`: it goes on alone then.
    pub launcher: Option<Launcher>,
}

impl CommandProbe {
    /// A program without arguments, environment variables or secrets.
    pub fn new(program: Program, folder: impl Into<PathBuf>) -> Self {
        Self {
            program,
            args: Vec::new(),
            folder: folder.into(),
            envs: EnvVars::new(),
            redactor: Redactor::new(),
            interrupt: Interrupt::new(),
            launcher: None,
        }
    }
}
