//! Probes of the configuration → probes that can be asked.

use std::time::Duration;

use config::{HttpQuestion, ProbeKind, ProbeLogin, ProbePlace, ServiceProtocol, ServiceQuestion, SourceValue, Values};
use healthcheck::secrecy::ExposeSecret as _;
use healthcheck::{
    CertificateProbe, Check, CommandProbe, Endpoint, HttpExpectation, HttpProbe, Login, NameProbe, Probe,
    PrometheusProbe, Protocol, ServiceProbe, Severity, TcpProbe, Tls,
};
use process::Redactor;

use super::cluster_services::ClusterServices;
use super::execution::{Workspace, expand};
use crate::config_values;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::revision::Revision;

/// What the probes of an environment are made with.
pub(super) struct Questions<'a> {
    pub(super) context: &'a Context,
    pub(super) revision: &'a Revision,
    pub(super) values: Values,
    pub(super) redactor: Redactor,
    pub(super) services: Option<ClusterServices>,
    /// The programs of probes run in it.
    pub(super) workspace: Workspace<'a>,
}

impl Questions<'_> {
    /// The check of one probe or dependency.
    pub(super) fn check(&mut self, name: &str, probe: &config::Probe, severity: Severity) -> Result<Check> {
        let question = match &probe.kind {
            ProbeKind::Http(question) => Probe::Http(self.http(name, question)?),
            ProbeKind::Prometheus { server, query, expect } => {
                let bound = expect.parse().map_err(|error| {
                    Error::from_source(ErrorKind::Usage, format!("probe `{name}` expects no bound"), error)
                })?;
                Probe::Prometheus(PrometheusProbe::new(self.http(name, server)?, query, bound))
            }
            ProbeKind::Service(question) => Probe::Service(self.service(name, question)?),
            ProbeKind::Certificate { place, days, ca } => {
                Probe::Certificate(CertificateProbe::new(self.endpoint(place)?, self.tls(name, ca.as_ref())?, *days))
            }
            ProbeKind::Name(name) => Probe::Name(NameProbe::new(name)),
            ProbeKind::Tcp { address } => Probe::Tcp(TcpProbe::new(address)),
            ProbeKind::Command(command) => {
                let ready = self.workspace.command(command, &[], &self.values)?;
                let mut probe = CommandProbe::new(ready.program, ready.folder);
                (probe.args, probe.envs) = (ready.arguments, ready.environment);
                probe.interrupt = self.context.surroundings.interrupt.clone();
                probe.launcher.clone_from(&self.context.surroundings.launcher);
                probe.redactor = self.redactor.clone();
                Probe::Command(probe)
            }
        };
        let deadline: Duration = probe.deadline;
        let mut check = Check::new(name, question, deadline);
        (check.severity, check.retries) = (severity, probe.retries);
        Ok(check)
    }

    fn http(&self, name: &str, question: &HttpQuestion) -> Result<HttpProbe> {
        let filled = expand(&question.url, &self.values)?;
        let url = match (&question.service, &self.services) {
            (Some(service), Some(services)) => question.url_with_host(&filled, &services.host(service)),
            (Some(_) | None, _) => filled,
        };
        let probe = HttpProbe::new(&url)
            .map_err(|error| Error::from_source(ErrorKind::Usage, format!("probe `{name}` asks no URL"), error))?;
        let mut expectation = HttpExpectation::default();
        expectation.headers = question.headers.clone().into_iter().collect();
        expectation.body_contains.clone_from(&question.body_contains);
        expectation.json = question.json.clone().into_iter().collect();
        expectation.within = question.within;
        let probe = probe.status(question.status).expect(expectation).redactor(self.redactor.clone());
        let tls = self.tls(name, question.ca.as_ref())?;
        Ok(match &question.service {
            Some(service) => probe.through(self.endpoint(&ProbePlace::Service(service.clone()))?, tls),
            None if question.ca.is_some() => probe.trusting(tls),
            None => probe,
        })
    }

    fn service(&self, name: &str, question: &ServiceQuestion) -> Result<ServiceProbe> {
        let protocol = match question.protocol {
            ServiceProtocol::PostgreSql => Protocol::PostgreSql,
            ServiceProtocol::MySql => Protocol::MySql,
            ServiceProtocol::Redis => Protocol::Redis,
            ServiceProtocol::RabbitMq => Protocol::RabbitMq,
            ServiceProtocol::Nats => Protocol::Nats,
            ServiceProtocol::Grpc => Protocol::Grpc,
        };
        let mut probe = ServiceProbe::new(protocol, self.endpoint(&question.place)?);
        if question.tls {
            probe.tls = Some(self.tls(name, question.ca.as_ref())?);
        }
        probe.login = question.login.as_ref().map(|login| self.login(name, login)).transpose()?;
        probe.part.clone_from(&question.part);
        probe.redactor = self.redactor.clone();
        Ok(probe)
    }

    fn login(&self, name: &str, login: &ProbeLogin) -> Result<Login> {
        let place = format!("probe {name}: login");
        let user = config_values::secret(self.context, &place, &login.user)?;
        let password = config_values::secret(self.context, &place, &login.password)?;
        Ok(Login { user: user.expose_secret().to_owned(), password })
    }

    fn endpoint(&self, place: &ProbePlace) -> Result<Endpoint> {
        match (place, &self.services) {
            (ProbePlace::Address(address), _) => Ok(Endpoint::Address(address.clone())),
            (ProbePlace::Service(service), Some(services)) => Ok(services.endpoint(service)),
            (ProbePlace::Service(service), None) => {
                Err(Error::new(ErrorKind::Bug, format!("no cluster was opened for `{service}`")))
            }
        }
    }

    fn tls(&self, name: &str, ca: Option<&SourceValue>) -> Result<Tls> {
        let Some(source) = ca else { return Ok(Tls::system()) };
        let place = format!("probe {name}: ca");
        let pem = config_values::text(self.context, &self.revision.inputs, &place, source)?;
        Tls::authorities(pem.as_bytes()).map_err(|error| {
            Error::from_source(ErrorKind::Usage, format!("`{place}` is {source}, which cannot be used"), error)
        })
    }
}
