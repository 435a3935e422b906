//! Whom a probe trusts, and until when.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use lock_model::ErrorClass;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// Which certificates of servers are trusted.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Those that these authorities signed; `None`: those of the machine.
    authorities: Option<Vec<CertificateDer<'static>>>,
    /// How much longer a certificate must be valid.
    ahead: Duration,
}

impl Tls {
    /// Trusts the authorities that the machine trusts.
    pub fn system() -> Self {
        Self::default()
    }

    /// Trusts these authorities alone, which are PEM.
    ///
    /// # Errors
    ///
    /// The text holds no certificate.
    pub fn authorities(pem: &[u8]) -> Result<Self, AuthorityError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(Self { authorities: Some(found), ahead: Duration::ZERO }),
            Ok(_) => Err(AuthorityError(None)),
            Err(error) => Err(AuthorityError(Some(error.into()))),
        }
    }

    /// Asks certificates to be valid so much longer as well.
    #[must_use]
    pub(crate) fn ahead(mut self, by: Duration) -> Self {
        self.ahead = by;
        self
    }

    /// The settings of a connection with these application protocols; the error is the reason why there are none.
    pub(crate) fn config(&self, protocols: &[&str]) -> Result<ClientConfig, String> {
        let provider = CryptoProvider::get_default().ok_or("no TLS provider is installed")?;
        let inner: Arc<dyn ServerCertVerifier> = match &self.authorities {
            None => Arc::new(Verifier::new(Arc::clone(provider)).map_err(|error| error.to_string())?),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in authorities {
                    roots.add(authority.clone()).map_err(|error| format!("an authority cannot be used: {error}"))?;
                }
                let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
                builder.build().map_err(|error| error.to_string())?
            }
        };
        let verifier = Arc::new(ValidLonger { inner, ahead: self.ahead });
        let config = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(config)
    }
}

/// A text without a certificate in PEM.
#[derive(Debug, thiserror::Error)]
#[error("the text holds no certificate in PEM")]
pub struct AuthorityError(#[source] Option<Box<dyn Error + Send + Sync>>);

impl AuthorityError {
    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Asks a certificate, and those that it rests on, to be valid now and some time later.
#[derive(Debug)]
struct ValidLonger {
    inner: Arc<dyn ServerCertVerifier>,
    ahead: Duration,
}

impl ServerCertVerifier for ValidLonger {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let valid = |time| self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time);
        let verified = valid(now)?;
        if self.ahead.is_zero() {
            return Ok(verified);
        }
        valid(UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()).saturating_add(self.ahead)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
