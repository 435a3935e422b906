//! `health.probes` and `health.dependencies`: what is asked, and how it is read from the file.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lock_model::{ErrorClass, TreePath};

use super::decode::{command_line, optional, parsed, template};
use super::decode_environment::source_value;
use super::environment::CheckSeverity;
use super::hosts::is_host_port;
use super::problem::Problems;
use super::schema_variables::RUN_VARIABLES;
use super::suites::CommandLine;
use super::tree::Node;
use super::values::{EnvironmentVariable, Namespace, SourceValue, parse_duration};
use crate::variables::Template;

/// `health.probes.NAME:` and `health.dependencies.NAME:`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// What is asked.
    pub kind: ProbeKind,
    /// What a failure means.
    pub severity: CheckSeverity,
    /// How long the answer may take.
    pub deadline: Duration,
    /// How often it is asked again before a failure counts.
    pub retries: u32,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// `kind: http`
    Http(HttpQuestion),
    /// `kind: prometheus`
    Prometheus {
        /// The base address of the server.
        server: HttpQuestion,
        /// The query, in PromQL.
        query: String,
        /// What every value is, such as `<= 0.05`.
        expect: String,
    },
    /// The kinds that are called by a protocol.
    Service(ServiceQuestion),
    /// `kind: tls`: the certificate of a server is valid some days longer.
    Certificate {
        /// The server.
        place: ProbePlace,
        /// How many days.
        days: u32,
        /// The authorities that alone are trusted.
        ca: Option<SourceValue>,
    },
    /// `kind: dns`: a host name has an address.
    Name(String),
    /// `kind: tcp`: a connection is accepted.
    Tcp {
        /// `HOST:PORT`
        address: String,
    },
    /// `kind: command`: the program ends with 0.
    Command(CommandLine),
}

/// A GET request, and what its answer has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpQuestion {
    /// The address, with `{url}` and `{mode}`.
    pub url: Template,
    /// The Service that the address names as `svc/NAME:PORT`.
    pub service: Option<ServicePort>,
    /// The status that means healthy.
    pub status: u16,
    /// Headers by name, with their whole values.
    pub headers: BTreeMap<String, String>,
    /// A text somewhere in the body.
    pub body_contains: Option<String>,
    /// Values of a JSON body, by JSON pointer.
    pub json: BTreeMap<String, serde_json::Value>,
    /// The longest time until the whole answer is there.
    pub within: Option<Duration>,
    /// The authorities that alone are trusted.
    pub ca: Option<SourceValue>,
}

/// A server that is asked in its own protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceQuestion {
    /// What it speaks.
    pub protocol: ServiceProtocol,
    /// Where it is.
    pub place: ProbePlace,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// The authorities that alone are trusted.
    pub ca: Option<SourceValue>,
    /// Who logs in.
    pub login: Option<ProbeLogin>,
    /// The database, the virtual host of RabbitMQ, the service of gRPC; empty: the server's own choice.
    pub part: String,
}

lock_model::words! {
    /// The kind of a probe that speaks the protocol of a server.
    ServiceProtocol, "protocol of a server" {
        /// PostgreSQL.
        PostgreSql = "postgresql",
        /// MySQL and MariaDB.
        MySql = "mysql",
        /// Redis.
        Redis = "redis",
        /// RabbitMQ, by AMQP 0-9-1.
        RabbitMq = "rabbitmq",
        /// NATS.
        Nats = "nats",
        /// The health service of gRPC.
        Grpc = "grpc",
    }
}

/// `login:`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeLogin {
    /// The variable with the user's name.
    pub user: EnvironmentVariable,
    /// The variable with the password.
    pub password: EnvironmentVariable,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbePlace {
    /// `HOST:PORT`
    Address(String),
    /// `svc/NAME:PORT`: a Service in the environment's namespace.
    Service(ServicePort),
}

/// A port of a Service in the environment's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServicePort {
    /// The Service's name.
    pub name: Namespace,
    /// The port that the Service has.
    pub port: u16,
}

/// How a place in a Service is written.
const SERVICE: &str = "svc/";

impl fmt::Display for ServicePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SERVICE}{}:{}", self.name, self.port)
    }
}

/// Why text is no [`ProbePlace`].
#[derive(Debug, thiserror::Error)]
#[error("`{}` is neither `HOST:PORT` nor `svc/NAME:PORT`", lock_model::escaping::escape_terminal(.0))]
pub struct ProbePlaceError(String);

impl ProbePlaceError {
    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl FromStr for ProbePlace {
    type Err = ProbePlaceError;

    fn from_str(text: &str) -> Result<Self, ProbePlaceError> {
        let wrong = || ProbePlaceError(text.to_owned());
        let Some(service) = text.strip_prefix(SERVICE) else {
            return if is_host_port(text) { Ok(Self::Address(text.to_owned())) } else { Err(wrong()) };
        };
        let (name, port) = service.split_once(':').ok_or_else(wrong)?;
        let name = Namespace::try_from(name).map_err(|_| wrong())?;
        let port = port.parse().ok().filter(|number| *number > 0 && !port.starts_with(['+', '0'])).ok_or_else(wrong)?;
        Ok(Self::Service(ServicePort { name, port }))
    }
}

/// Splits `SCHEME://svc/NAME:PORT/…` into the Service and what follows it; `None` for another address.
pub(super) fn service_in_url(url: &str) -> Option<Result<(ServicePort, &str), ProbePlaceError>> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "http" | "https") || !rest.starts_with(SERVICE) {
        return None;
    }
    let end = rest.get(SERVICE.len()..)?.find(['/', '?', '#']).map_or(rest.len(), |end| end + SERVICE.len());
    let (place, rest) = rest.split_at_checked(end)?;
    Some(match place.parse() {
        Ok(ProbePlace::Service(service)) => Ok((service, rest)),
        Ok(ProbePlace::Address(_)) => Err(ProbePlaceError(place.to_owned())),
        Err(error) => Err(error),
    })
}

/// The schemes of addresses by protocol, and whether TLS is spoken by them.
const SCHEMES: [(&str, ServiceProtocol, bool); 10] = [
    ("postgres", ServiceProtocol::PostgreSql, false),
    ("postgresql", ServiceProtocol::PostgreSql, false),
    ("mysql", ServiceProtocol::MySql, false),
    ("redis", ServiceProtocol::Redis, false),
    ("rediss", ServiceProtocol::Redis, true),
    ("amqp", ServiceProtocol::RabbitMq, false),
    ("amqps", ServiceProtocol::RabbitMq, true),
    ("nats", ServiceProtocol::Nats, false),
    ("grpc", ServiceProtocol::Grpc, false),
    ("grpcs", ServiceProtocol::Grpc, true),
];

/// Schemes that a later version has.
const LATER_SCHEMES: [&str; 3] = ["kafka", "mongodb", "mongodb+srv"];

/// An address whose scheme is a protocol.
pub(super) struct ServiceUrl {
    protocol: ServiceProtocol,
    tls: bool,
    place: ProbePlace,
    part: String,
}

/// Reads `SCHEME://PLACE` or `SCHEME://PLACE/PART`; `None` for a scheme that is none of a protocol.
pub(super) fn service_url(text: &str) -> Option<Result<ServiceUrl, String>> {
    let (scheme, rest) = text.split_once("://")?;
    if LATER_SCHEMES.contains(&scheme) {
        return Some(Err(format!("`{scheme}` is not available yet: remove it")));
    }
    let (_, protocol, tls) = SCHEMES.into_iter().find(|(name, ..)| *name == scheme)?;
    let after = if rest.starts_with(SERVICE) { SERVICE.len() } else { 0 };
    let end = rest.get(after..).and_then(|rest| rest.find('/')).map_or(rest.len(), |end| end + after);
    let (place, part) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let place = match place.parse::<ProbePlace>() {
        Ok(place) => place,
        // It can hold a password, and is not shown.
        Err(_) if place.contains('@') => {
            return Some(Err("an address has no user and no password: they are in `login`".to_owned()));
        }
        Err(error) => return Some(Err(error.to_string())),
    };
    let part = part.strip_prefix('/').unwrap_or_default().to_owned();
    if part.contains(['?', '#', '%', '\0']) {
        return Some(Err(format!("`{scheme}` addresses have no options: `tls` and `login` are keys")));
    }
    Some(Ok(ServiceUrl { protocol, tls, place, part }))
}

/// Reads an entry of `probes`.
pub(super) fn probe(node: &Node, problems: &mut Problems) -> Option<Probe> {
    let name = node.get("kind")?.text()?;
    let kind = match name {
        "http" => ProbeKind::Http(http_question(node, problems)?),
        "prometheus" => ProbeKind::Prometheus {
            server: HttpQuestion { ca: ca(node)?, ..plain_question(node.get("url")?, problems)? },
            query: node.get("query")?.text()?.to_owned(),
            expect: node.get("expect")?.text()?.to_owned(),
        },
        "tls" => ProbeKind::Certificate {
            place: parsed(node, "address")?,
            days: node.get("days")?.integer()?.try_into().ok()?,
            ca: ca(node)?,
        },
        "dns" => ProbeKind::Name(node.get("name")?.text()?.to_owned()),
        "tcp" => ProbeKind::Tcp { address: parsed(node, "address")? },
        "command" => ProbeKind::Command(command_line(node)?),
        protocol => {
            let part = ["database", "vhost", "service"].iter().find_map(|key| node.get(key)?.text());
            let question = ServiceQuestion {
                protocol: protocol.parse().ok()?,
                place: parsed(node, "address")?,
                tls: node.get("tls")?.boolean()?,
                ca: ca(node)?,
                login: login(node)?,
                part: part.unwrap_or_default().to_owned(),
            };
            refuse_open_password(node, &question, problems);
            ProbeKind::Service(question)
        }
    };
    with_weight(kind, node)
}

/// Reads an entry of `dependencies`: its scheme is its kind.
pub(super) fn dependency(node: &Node, problems: &mut Problems) -> Option<Probe> {
    let url = node.get("url")?;
    let text = url.text()?;
    let kind = if let Some(address) = text.strip_prefix("tcp://") {
        ProbeKind::Tcp { address: address.to_owned() }
    } else if let Some(parsed) = service_url(text) {
        let ServiceUrl { protocol, tls, place, part } = parsed.ok()?;
        let tls = tls || node.get("tls")?.boolean()?;
        let question = ServiceQuestion { protocol, place, tls, ca: ca(node)?, login: login(node)?, part };
        refuse_open_password(node, &question, problems);
        ProbeKind::Service(question)
    } else {
        ProbeKind::Http(HttpQuestion { ca: ca(node)?, ..plain_question(url, problems)? })
    };
    match &kind {
        ProbeKind::Service(ServiceQuestion { protocol, .. }) if *protocol != ServiceProtocol::Grpc => {}
        ProbeKind::Service(_)
        | ProbeKind::Http(_)
        | ProbeKind::Prometheus { .. }
        | ProbeKind::Certificate { .. }
        | ProbeKind::Name(_)
        | ProbeKind::Tcp { .. }
        | ProbeKind::Command(_) => {
            if let Some(login) = node.get("login") {
                problems
                    .add(&login.origin, "this kind of probe has no login".to_owned())
                    .with_hint("leave `login` out");
            }
        }
    }
    with_weight(kind, node)
}

fn with_weight(kind: ProbeKind, node: &Node) -> Option<Probe> {
    let severity = parsed(node, "severity")?;
    let deadline = parse_duration(node.get("deadline")?.text()?).ok()?;
    Some(Probe { kind, severity, deadline, retries: node.get("retries")?.integer()?.try_into().ok()? })
}

/// A request that expects status 200.
fn plain_question(url: &Node, problems: &mut Problems) -> Option<HttpQuestion> {
    let service = match service_in_url(url.text()?) {
        None => None,
        Some(Ok((service, _))) => Some(service),
        Some(Err(error)) => {
            problems.add(&url.origin, error.to_string());
            None
        }
    };
    if let Some(message) = authority_problem(url.text()?) {
        problems.add(&url.origin, message);
    }
    Some(HttpQuestion {
        url: template(url, RUN_VARIABLES)?,
        service,
        status: 200,
        headers: BTreeMap::new(),
        body_contains: None,
        json: BTreeMap::new(),
        within: None,
        ca: None,
    })
}

/// What is wrong with the host of an address, as far as no variable stands for it.
fn authority_problem(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        // It can hold a password, and is not shown.
        return Some("an address of `http` or `https` has no user and no password".to_owned());
    }
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains([']', '{', '}']))?;
    match port.parse::<u16>() {
        Ok(1..) => None,
        Ok(0) | Err(_) => Some(format!("`{}` is no port: 1 to 65535", lock_model::escaping::escape_short(port, 20))),
    }
}

fn http_question(node: &Node, problems: &mut Problems) -> Option<HttpQuestion> {
    let entries = |key: &str| node.get(key).and_then(Node::map).map(|map| map.entries.as_slice()).unwrap_or_default();
    for entry in entries("json").iter().filter(|entry| !entry.key.is_empty() && !entry.key.starts_with('/')) {
        problems
            .add(&entry.key_origin, format!("`{}` is no JSON pointer", entry.key))
            .with_hint(format!("`/{}`", entry.key));
    }
    let header = |entry: &super::tree::Entry| Some((entry.key.clone(), entry.node.text()?.to_owned()));
    Some(HttpQuestion {
        status: node.get("status")?.integer()?.try_into().ok()?,
        headers: entries("header").iter().map(header).collect::<Option<_>>()?,
        body_contains: optional(node, "body-contains", |text| text.text().map(str::to_owned))?,
        json: entries("json").iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
        within: optional(node, "within", |limit| parse_duration(limit.text()?).ok())?,
        ca: ca(node)?,
        ..plain_question(node.get("url")?, problems)?
    })
}

#[expect(clippy::option_option, reason = "as `optional` gives it: absent and undecodable are different")]
fn ca(node: &Node) -> Option<Option<SourceValue>> {
    optional(node, "ca", source_value)
}

#[expect(clippy::option_option, reason = "as `optional` gives it: absent and undecodable are different")]
fn login(node: &Node) -> Option<Option<ProbeLogin>> {
    optional(node, "login", |login| {
        Some(ProbeLogin { user: parsed(login.get("user")?, "env")?, password: parsed(login.get("password")?, "env")? })
    })
}

/// A password is sent in clear to this machine alone, or inside of the connection to a cluster.
fn refuse_open_password(node: &Node, question: &ServiceQuestion, problems: &mut Problems) {
    let ProbePlace::Address(address) = &question.place else { return };
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    let is_here = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
    if let Some(login) = node.get("login").filter(|_| !question.tls && !is_here) {
        problems
            .add(&login.origin, format!("the password would be sent to `{address}` without TLS"))
            .with_hint("`tls: true`, or leave `login` out: a server that asks for logins is healthy");
    }
}

impl Probe {
    /// Its authorities, where they are in a file of the superproject.
    pub(super) fn certificate_file(&self) -> Option<&TreePath> {
        match self.authorities()? {
            SourceValue::File(path) => Some(path),
            SourceValue::Value(_) | SourceValue::Env(_) => None,
        }
    }

    /// The authorities that alone are trusted.
    pub fn authorities(&self) -> Option<&SourceValue> {
        match &self.kind {
            ProbeKind::Http(question) | ProbeKind::Prometheus { server: question, .. } => question.ca.as_ref(),
            ProbeKind::Service(question) => question.ca.as_ref(),
            ProbeKind::Certificate { ca, .. } => ca.as_ref(),
            ProbeKind::Name(_) | ProbeKind::Tcp { .. } | ProbeKind::Command(_) => None,
        }
    }

    /// Who logs in.
    pub fn login(&self) -> Option<&ProbeLogin> {
        match &self.kind {
            ProbeKind::Service(question) => question.login.as_ref(),
            ProbeKind::Http(_)
            | ProbeKind::Prometheus { .. }
            | ProbeKind::Certificate { .. }
            | ProbeKind::Name(_)
            | ProbeKind::Tcp { .. }
            | ProbeKind::Command(_) => None,
        }
    }

    /// The program that it runs.
    pub fn command(&self) -> Option<&CommandLine> {
        match &self.kind {
            ProbeKind::Command(command) => Some(command),
            ProbeKind::Http(_)
            | ProbeKind::Prometheus { .. }
            | ProbeKind::Service(_)
            | ProbeKind::Certificate { .. }
            | ProbeKind::Name(_)
            | ProbeKind::Tcp { .. } => None,
        }
    }

    /// The Service of the environment's namespace that it asks.
    pub fn service(&self) -> Option<&ServicePort> {
        match &self.kind {
            ProbeKind::Http(question) | ProbeKind::Prometheus { server: question, .. } => question.service.as_ref(),
            ProbeKind::Service(ServiceQuestion { place, .. }) | ProbeKind::Certificate { place, .. } => match place {
                ProbePlace::Service(service) => Some(service),
                ProbePlace::Address(_) => None,
            },
            ProbeKind::Name(_) | ProbeKind::Tcp { .. } | ProbeKind::Command(_) => None,
        }
    }

    /// Templates that may name the environment's address.
    pub fn address(&self) -> Option<&Template> {
        match &self.kind {
            ProbeKind::Http(question) | ProbeKind::Prometheus { server: question, .. } => Some(&question.url),
            ProbeKind::Service(_)
            | ProbeKind::Certificate { .. }
            | ProbeKind::Name(_)
            | ProbeKind::Tcp { .. }
            | ProbeKind::Command(_) => None,
        }
    }
}

impl HttpQuestion {
    /// The filled-in address with this host in place of the Service that it names.
    pub fn url_with_host(&self, filled: &str, host: &str) -> String {
        match (filled.split_once("://"), service_in_url(filled)) {
            (Some((scheme, _)), Some(Ok((service, rest)))) => format!("{scheme}://{host}:{}{rest}", service.port),
            _ => filled.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_addresses_or_services() {
        for (text, expected) in [("db.example:5432", None), ("127.0.0.1:1", None), ("svc/db:5432", Some("svc/db:5432"))]
        {
            let place: ProbePlace = text.parse().unwrap();
            let found = match place {
                ProbePlace::Address(_) => None,
                ProbePlace::Service(service) => Some(service.to_string()),
            };
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        for text in
            ["svc/db", "svc/db:0", "svc/db:+1", "svc/db:01", "svc/:1", "svc/a.b:1", "svc/db:70000", "db", "svc:1/x"]
        {
            assert!(text.parse::<ProbePlace>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_scheme_is_a_protocol() {
        for (text, protocol, tls, part) in [
            ("postgres://svc/db:5432", ServiceProtocol::PostgreSql, false, ""),
            ("postgresql://db.example:5432/shop", ServiceProtocol::PostgreSql, false, "shop"),
            ("rediss://svc/cache:6379", ServiceProtocol::Redis, true, ""),
            ("amqp://svc/bus:5672/orders", ServiceProtocol::RabbitMq, false, "orders"),
            ("grpc://svc/cart:9000/shop.Cart", ServiceProtocol::Grpc, false, "shop.Cart"),
        ] {
            let Some(Ok(url)) = service_url(text) else { panic!("{text}") };
            assert_eq!((url.protocol, url.tls, url.part.as_str()), (protocol, tls, part), "{text}");
        }
        for (text, message) in [
            ("kafka://svc/bus:9092", "`kafka` is not available yet: remove it"),
            ("mongodb://svc/db:27017", "`mongodb` is not available yet: remove it"),
            ("postgres://shop:hunter2@db:5432", "an address has no user and no password: they are in `login`"),
            ("redis://cache", "`cache` is neither `HOST:PORT` nor `svc/NAME:PORT`"),
            (
                "postgres://db:1/shop?sslmode=require",
                "`postgres` addresses have no options: `tls` and `login` are keys",
            ),
        ] {
            let Some(Err(error)) = service_url(text) else { panic!("{text}") };
            assert_eq!(error, message, "{text}");
        }
        assert!(service_url("http://x").is_none() && service_url("ftp://x:1").is_none());
    }

    #[test]
    fn a_url_names_a_service_and_keeps_its_path() {
        for (url, rest) in [
            ("http://svc/cart:8080/healthz?a=b", "/healthz?a=b"),
            ("https://svc/cart:8080", ""),
            ("http://svc/cart:8080?x", "?x"),
        ] {
            let (service, found) = service_in_url(url).unwrap().unwrap();
            assert_eq!((service.to_string().as_str(), found), ("svc/cart:8080", rest), "{url}");
        }
        service_in_url("http://svc/cart/healthz").unwrap().unwrap_err();
        assert!(service_in_url("http://svc.example/").is_none() && service_in_url("{url}/svc/a:1").is_none());
    }
}
