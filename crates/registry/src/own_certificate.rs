//! Servers that vouch for themselves: their own certificate lies in the file of authorities.
//!
//! `openssl req -x509` and most registries that sign for themselves mark that certificate as an authority, and webpki
//! takes no authority for a server. People who hand us exactly this certificate mean this server.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use secrecy::ExposeSecret as _;

use crate::connection::{ClientCertificate, PemAuthority};

/// Trusts the machine's authorities and these, and a server that shows one of these certificates as its own.
pub(crate) fn config<'a>(
    authorities: impl Iterator<Item = &'a PemAuthority>,
    shown: Option<&ClientCertificate>,
) -> Result<ClientConfig, String> {
    let told = |error: &dyn fmt::Display| error.to_string();
    let provider = CryptoProvider::get_default().ok_or("no TLS provider is installed")?;
    let mut certificates = Vec::new();
    for authority in authorities {
        for certificate in CertificateDer::pem_slice_iter(&authority.pem) {
            certificates.push(certificate.map_err(|_| format!("`{}` cannot be read", authority.name))?);
        }
    }
    let platform = Verifier::new_with_extra_roots(certificates.iter().cloned(), Arc::clone(provider));
    let own = certificates.into_iter().filter_map(|certificate| Own::new(certificate, provider)).collect();
    let verifier = OwnOrPlatform { platform: platform.map_err(|error| told(&error))?, own };
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| told(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match shown {
        None => config.with_no_client_auth(),
        Some(shown) => {
            let unusable = || format!("`{}` holds no certificate with its key", shown.name);
            let chain = CertificateDer::pem_slice_iter(&shown.certificates).collect::<Result<_, _>>();
            let key = PrivateKeyDer::from_pem_slice(shown.key.expose_secret().as_bytes()).map_err(|_| unusable())?;
            config.with_client_auth_cert(chain.map_err(|_| unusable())?, key).map_err(|_| unusable())?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A certificate that a server may show as its own.
#[derive(Debug)]
struct Own {
    certificate: CertificateDer<'static>,
    /// Knows this certificate as the only authority.
    alone: Arc<WebPkiServerVerifier>,
}

impl Own {
    /// `None` for a certificate that webpki cannot read: it is no server's either.
    fn new(certificate: CertificateDer<'static>, provider: &Arc<CryptoProvider>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).ok()?;
        let alone = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()?;
        Some(Self { certificate, alone })
    }

    /// Whether the server may show it under this name now.
    fn accepts(&self, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        match self.alone.verify_server_cert(&self.certificate, &[], name, &[], now) {
            Ok(_) => Ok(()),
            // The period is looked at before the role, so it is valid now; the name would be looked at after it.
            Err(error) if is_for_being_an_authority(&error) => {
                verify_server_name(&ParsedCertificate::try_from(&self.certificate)?, name)
            }
            Err(error) => Err(error),
        }
    }
}

fn is_for_being_an_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            other.0.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity)
        }
        _ => false,
    }
}

#[derive(Debug)]
struct OwnOrPlatform {
    platform: Verifier,
    own: Vec<Own>,
}

impl ServerCertVerifier for OwnOrPlatform {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let own = self.own.iter().find(|own| own.certificate == *end_entity);
        let refusal = match own.map(|own| own.accepts(server_name, now)) {
            Some(Ok(())) => return Ok(ServerCertVerified::assertion()),
            Some(Err(error)) => Some(error),
            None => None,
        };
        let verified = self.platform.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match (verified, refusal) {
            // Its role is no reason to refuse it: the other one is told.
            (Err(error), Some(refusal)) if is_for_being_an_authority(&error) => Err(refusal),
            (verified, _) => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.platform.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.platform.supported_verify_schemes()
    }
}
