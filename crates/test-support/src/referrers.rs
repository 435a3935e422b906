//! A registry with the referrers API.

use crate::bench::{self, Missing};
use crate::server::{Says, Server, listening_on};

/// The registry of go-containerregistry, empty, without login, in memory; it ends when this is dropped.
#[derive(Debug)]
pub struct ReferrersRegistry {
    server: Server,
}

impl ReferrersRegistry {
    /// Starts a registry, once it listens.
    pub fn start() -> Result<Self, Missing> {
        let command = bench::part("referrers-registry")?.command();
        Ok(Self { server: Server::start(command, Says::Stdout, listening_on) })
    }

    /// Starts a registry, or reports the running test as skipped.
    pub fn start_or_skip() -> Option<Self> {
        bench::or_skip(Self::start())
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// Its URL: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}
