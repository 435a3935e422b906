//! How long a server's certificate is still valid.

use std::time::Duration;

use crate::connection::{Endpoint, unhealthy};
use crate::probe::Found;
use crate::report::CheckState;
use crate::tls::Tls;

/// One TLS handshake: healthy where the certificate, and those that it rests on, are valid now and some days longer.
#[derive(Clone, Debug)]
pub struct CertificateProbe {
    pub(crate) endpoint: Endpoint,
    tls: Tls,
    days: u32,
}

impl CertificateProbe {
    /// Asks for so many days; `tls` says whom to trust.
    pub fn new(endpoint: Endpoint, tls: Tls, days: u32) -> Self {
        Self { endpoint, tls, days }
    }

    pub(crate) async fn run(&self) -> Found {
        let ahead = Duration::from_secs(u64::from(self.days) * 24 * 60 * 60);
        let checked = async {
            // Refused for what is true today, it says why.
            let stream = self.endpoint.open().await?;
            drop(self.endpoint.secure(stream, &self.tls, &[]).await?);
            let stream = self.endpoint.open().await?;
            let later = self.endpoint.secure(stream, &self.tls.clone().ahead(ahead), &[]).await;
            later.map(drop).map_err(|(state, reason)| match state {
                CheckState::Unhealthy => {
                    unhealthy(format!("in {} days the certificate is not accepted: {reason}", self.days))
                }
                CheckState::Unknown | CheckState::Healthy => (state, reason),
            })
        };
        match checked.await {
            Ok(()) => (CheckState::Healthy, format!("the certificate is valid {} days longer", self.days)),
            Err(found) => found,
        }
    }
}
