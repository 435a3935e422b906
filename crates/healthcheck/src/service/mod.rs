//! Servers that are asked in their own protocol.
//!
//! Where no login is given, one packet decides: the answer by which the server says that it takes logins. The packets are
//! few and small, so they are read here; a client crate for each protocol would cost more to compile than the rest of
//! this crate. PostgreSQL's exchange of passwords (SCRAM) comes from `postgres-protocol`.

mod grpc;
mod mysql;
mod nats;
mod postgresql;
mod rabbitmq;
mod redis;

use std::fmt;

use process::Redactor;
use secrecy::{ExposeSecret as _, SecretString};

use crate::connection::{Conversation, Endpoint, unknown};
use crate::probe::Found;
use crate::report::CheckState;
use crate::tls::Tls;

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// PostgreSQL, version 3 of the protocol.
    PostgreSql,
    /// MySQL and MariaDB, version 10 of the handshake.
    MySql,
    /// Redis (RESP 2).
    Redis,
    /// RabbitMQ (AMQP 0-9-1).
    RabbitMq,
    /// NATS.
    Nats,
    /// The health service of gRPC (`grpc.health.v1.Health`).
    Grpc,
}

impl Protocol {
    /// What details call it.
    fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::Redis => "Redis",
            Self::RabbitMq => "AMQP 0-9-1",
            Self::Nats => "NATS",
            Self::Grpc => "gRPC",
        }
    }

    /// The scheme of its addresses.
    fn scheme(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::MySql => "mysql",
            Self::Redis => "redis",
            Self::RabbitMq => "amqp",
            Self::Nats => "nats",
            Self::Grpc => "grpc",
        }
    }
}

/// A user of a server.
#[derive(Clone)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, which is in no detail.
    pub password: SecretString,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// One conversation with a server in its own protocol.
///
/// Without a login the server is healthy when it asks for one, with it when it accepts it and answers a question.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceProbe {
    /// What the server speaks.
    pub protocol: Protocol,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What is trusted, where TLS is asked for.
    pub tls: Option<Tls>,
    /// Who logs in.
    pub login: Option<Login>,
    /// The database, the virtual host of RabbitMQ, the service of gRPC; empty: the server's own choice.
    pub part: String,
    /// Removes secrets from what is reported of answers.
    pub redactor: Redactor,
}

impl ServiceProbe {
    /// A probe without TLS and without a login.
    pub fn new(protocol: Protocol, endpoint: Endpoint) -> Self {
        Self { protocol, endpoint, tls: None, login: None, part: String::new(), redactor: Redactor::new() }
    }

    /// What was asked, for details.
    pub(crate) fn asked(&self) -> String {
        format!("{}://{}", self.protocol.scheme(), lock_model::escaping::excerpt(self.endpoint.name()))
    }

    pub(crate) async fn run(&self) -> Found {
        self.ask().await.unwrap_or_else(|found| found)
    }

    /// The detail of a healthy server, or what was found instead.
    async fn ask(&self) -> Result<Found, Found> {
        if self.login.is_some() && self.tls.is_none() && !self.endpoint.is_private() {
            return Err(unknown("a password is not sent without TLS to another machine"));
        }
        let mut secrets = self.redactor.clone();
        if let Some(login) = &self.login {
            secrets.add(login.password.expose_secret());
        }
        if self.protocol == Protocol::Grpc {
            return self.grpc(&secrets).await.map(healthy);
        }
        // The others begin in clear, and agree on TLS.
        let speaks_first = matches!(self.protocol, Protocol::Redis | Protocol::RabbitMq);
        let tls = self.tls.as_ref().filter(|_| speaks_first);
        let stream = self.endpoint.open_with(tls, &[]).await?;
        let conversation = Conversation::new(stream, self.protocol.name(), &secrets);
        let detail = match self.protocol {
            Protocol::PostgreSql => self.postgresql(conversation).await?,
            Protocol::MySql => self.mysql(conversation).await?,
            Protocol::Redis => self.redis(conversation).await?,
            Protocol::RabbitMq => self.rabbitmq(conversation).await?,
            Protocol::Nats => self.nats(conversation).await?,
            Protocol::Grpc => String::new(),
        };
        Ok(healthy(detail))
    }
}

fn healthy(detail: String) -> Found {
    (CheckState::Healthy, detail)
}

/// What a healthy server did.
const TAKES_LOGINS: &str = "takes logins";
/// The same of a server that was logged in to.
const ANSWERS: &str = "accepts the login and answers";
