//! What is wrong where TLS fails for good, told from what passes.

use std::error::Error;
use std::fmt;
use std::io;

use lock_model::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};

use crate::error::RegistryErrorKind;
use crate::text::{escaped, list};

/// What is wrong with a server's certificate. Displayed as the end of a sentence that begins with the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Its time is over.
    Expired {
        /// The end; absent where it is not known.
        until: Option<Timestamp>,
    },
    /// Its time has not begun.
    Early {
        /// The begin; absent where it is not known.
        from: Option<Timestamp>,
    },
    /// It does not have the name that was asked.
    OtherName {
        /// The names that it has: cut and escaped.
        names: Vec<String>,
    },
    /// An authority signed it that is not trusted, or the server itself.
    UnknownIssuer,
    /// No server can show it.
    Unfit {
        /// Why, as the end of the sentence.
        reason: String,
    },
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { until: Some(until) } => write!(f, "expired: it was valid until {until}"),
            Self::Expired { until: None } => f.write_str("expired"),
            Self::Early { from: Some(from) } => write!(f, "is not valid yet: it begins at {from}"),
            Self::Early { from: None } => f.write_str("is not valid yet"),
            Self::OtherName { names } if names.is_empty() => {
                f.write_str("names no host in `subjectAltName`, and a `CN` alone does not count")
            }
            Self::OtherName { names } => write!(f, "does not have this name, but {}", list(names)),
            Self::UnknownIssuer => f.write_str("is signed by itself, or by an authority that is not trusted"),
            Self::Unfit { reason } => f.write_str(reason),
        }
    }
}

/// What a failure of TLS stands for that does not pass by itself; `None` for any other failure.
pub(crate) fn lasting(host: &str, error: &(dyn Error + 'static)) -> Option<RegistryErrorKind> {
    let host = host.to_owned();
    let Some(tls) = find(error) else {
        // A connection that fails twice says the second time only what it said the first time.
        let cause = io::Error::other(alert_in_words(error)?).into();
        let is_ours = CLIENT_ALERTS.iter().any(|alert| words(*alert) == format!("{cause}"));
        return Some(if is_ours {
            RegistryErrorKind::ClientCertificate { host, cause }
        } else {
            RegistryErrorKind::NoCommonTls { host, cause }
        });
    };
    let cause = tls.clone().into();
    match tls {
        rustls::Error::InvalidCertificate(error) => {
            Some(RegistryErrorKind::Untrusted { host, fault: fault(error), cause })
        }
        rustls::Error::NoCertificatesPresented => {
            let fault = CertificateFault::Unfit { reason: "is not shown".to_owned() };
            Some(RegistryErrorKind::Untrusted { host, fault, cause })
        }
        rustls::Error::AlertReceived(alert) if CLIENT_ALERTS.contains(alert) => {
            Some(RegistryErrorKind::ClientCertificate { host, cause })
        }
        rustls::Error::AlertReceived(alert) if TLS_ALERTS.contains(alert) => {
            Some(RegistryErrorKind::NoCommonTls { host, cause })
        }
        rustls::Error::PeerIncompatible(_) => Some(RegistryErrorKind::NoCommonTls { host, cause }),
        _ => None,
    }
}

/// What servers say of a certificate of ours, or of none.
const CLIENT_ALERTS: [AlertDescription; 9] = [
    AlertDescription::AccessDenied,
    AlertDescription::BadCertificate,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateRequired,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateUnknown,
    AlertDescription::NoCertificate,
    AlertDescription::UnknownCA,
    AlertDescription::UnsupportedCertificate,
];

/// What servers say that have no TLS in common with us.
const TLS_ALERTS: [AlertDescription; 3] =
    [AlertDescription::HandshakeFailure, AlertDescription::InsufficientSecurity, AlertDescription::ProtocolVersion];

/// How rustls words an alert.
fn words(alert: AlertDescription) -> String {
    rustls::Error::AlertReceived(alert).to_string()
}

/// An alert that lasts, where only its words are left of it.
fn alert_in_words(error: &(dyn Error + 'static)) -> Option<String> {
    let said = error.to_string();
    if CLIENT_ALERTS.into_iter().chain(TLS_ALERTS).any(|alert| words(alert) == said) {
        return Some(said);
    }
    alert_in_words(error.source()?)
}

fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    // NOTE: `source` of an `io::Error` skips the error that it wraps, and TLS errors come wrapped twice.
    if let Some(inside) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        return find(inside);
    }
    error.source().and_then(find)
}

fn fault(error: &CertificateError) -> CertificateFault {
    let unfit = |reason: &str| CertificateFault::Unfit { reason: reason.to_owned() };
    match error {
        CertificateError::Expired => CertificateFault::Expired { until: None },
        CertificateError::ExpiredContext { not_after, .. } => CertificateFault::Expired { until: date(*not_after) },
        CertificateError::NotValidYet => CertificateFault::Early { from: None },
        CertificateError::NotValidYetContext { not_before, .. } => CertificateFault::Early { from: date(*not_before) },
        CertificateError::NotValidForName => CertificateFault::OtherName { names: Vec::new() },
        CertificateError::NotValidForNameContext { presented, .. } => {
            CertificateFault::OtherName { names: presented.iter().map(|name| bare(name)).collect() }
        }
        // A certificate that signs for itself and calls itself like an authority of this machine.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => CertificateFault::UnknownIssuer,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => unfit(NOT_FOR_SERVERS),
        CertificateError::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) => CertificateFault::UnknownIssuer,
            Some(webpki::Error::UnsupportedCertVersion) => {
                unfit("is one of X.509 version 1, as `openssl x509 -req` makes it without extensions")
            }
            Some(error) => CertificateFault::Unfit { reason: format!("cannot be used: {error:?}") },
            None => CertificateFault::Unfit { reason: format!("cannot be used: {other}") },
        },
        error => CertificateFault::Unfit { reason: format!("cannot be used: {error}") },
    }
}

const NOT_FOR_SERVERS: &str = "is not one for servers (`extendedKeyUsage` without `serverAuth`)";

fn date(time: UnixTime) -> Option<Timestamp> {
    i64::try_from(time.as_secs()).ok().map(Timestamp::from_unix_seconds)
}

/// A name as it stands in the certificate: `DnsName("a.example")` is `a.example`.
fn bare(name: &str) -> String {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    escaped(inside.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lock_model::ErrorClass;
    use rustls::OtherError;

    use super::*;

    #[test]
    fn t21_each_fault_of_a_certificate_has_its_own_words() {
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_580_515_200));
        let webpki = |error: webpki::Error| CertificateError::Other(OtherError(Arc::new(error)));
        for (error, words) in [
            (
                CertificateError::ExpiredContext { time, not_after: time },
                "expired: it was valid until 2020-02-01T00:00:00Z",
            ),
            (CertificateError::NotValidYetContext { time, not_before: time }, "begins at 2020-02-01T00:00:00Z"),
            (
                CertificateError::NotValidForNameContext {
                    expected: "a.example".try_into().unwrap(),
                    presented: vec!["DnsName(\"b.example\")".to_owned(), "IpAddress(127.0.0.1)".to_owned()],
                },
                "does not have this name, but `b.example`, `127.0.0.1`",
            ),
            (CertificateError::UnknownIssuer, "not trusted"),
            (CertificateError::BadSignature, "is signed by itself"),
            (webpki(webpki::Error::CaUsedAsEndEntity), "is signed by itself"),
            (webpki(webpki::Error::UnsupportedCertVersion), "X.509 version 1"),
            (CertificateError::InvalidPurpose, "not one for servers"),
            (CertificateError::Revoked, "cannot be used"),
        ] {
            let shown = fault(&error).to_string();
            assert!(shown.contains(words), "{error:?}: {shown}");
            assert!(!shown.contains("Other"), "{shown}");
        }
    }

    #[test]
    fn t21_refused_certificates_and_old_versions_stay_and_broken_connections_pass() {
        use AlertDescription::{BadCertificate, CertificateRequired, HandshakeFailure, InternalError, ProtocolVersion};
        let wrapped = |alert| io::Error::other(io::Error::other(rustls::Error::AlertReceived(alert)));
        for (alert, words) in [
            (CertificateRequired, "asks for a certificate of ours"),
            (BadCertificate, "asks for a certificate of ours"),
            (ProtocolVersion, "no version and no cipher of TLS"),
            (HandshakeFailure, "no version and no cipher of TLS"),
        ] {
            let kind = lasting("a.example", &wrapped(alert)).unwrap();
            assert_eq!(kind.class(), ErrorClass::Denied);
            assert!(kind.in_short().contains(words), "{kind}");
        }
        let twice = io::Error::other(words(BadCertificate));
        assert_eq!(lasting("a.example", &twice).unwrap().class(), ErrorClass::Denied, "its words alone");
        assert!(lasting("a.example", &wrapped(InternalError)).is_none());
        assert!(lasting("a.example", &io::Error::other("tls handshake eof")).is_none());
    }
}
