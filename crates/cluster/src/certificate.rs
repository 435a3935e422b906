//! From when and until when the credentials of a kubeconfig are accepted.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lock_model::Timestamp;
use serde_json::Value;

/// When an API server accepts credentials, as far as they say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// `notBefore`, UTC; absent where the credentials have no beginning.
    pub begin: Option<Timestamp>,
    /// `notAfter`, UTC; absent where the credentials do not expire.
    pub end: Option<Timestamp>,
}

/// Of the first certificate of a PEM text that is written in base64, as `client-certificate-data` has it.
pub(crate) fn certificate_lifetime(data: &str) -> Option<Lifetime> {
    validity(&first_certificate(data)?)
}

/// The first certificate of such a text, in DER.
pub(crate) fn first_certificate(data: &str) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    // Lines of base64 can be wrapped.
    let data: String = data.split_whitespace().collect();
    let pem = String::from_utf8(STANDARD.decode(data).ok()?).ok()?;
    let (_, body) = pem.split_once(BEGIN)?;
    let (body, _) = body.split_once("-----END")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

/// The claims `nbf` and `exp` of a token that is a JWT, such as that of a service account.
pub(crate) fn token_lifetime(token: &str) -> Option<Lifetime> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let claim = |name: &str| claims.get(name)?.as_i64().map(Timestamp::from_unix_seconds);
    Some(Lifetime { begin: claim("nbf"), end: claim("exp") })
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `validity` of an X.509 certificate (RFC 5280) in DER. Nothing is verified: the API server does that.
fn validity(der: &[u8]) -> Option<Lifetime> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        (_, rest) = element(rest, VERSION)?;
    }
    // Serial number, signature algorithm and issuer.
    for _ in 0..3 {
        (_, rest) = element(rest, *rest.first()?)?;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (begin, after) = time(validity)?;
    let (end, _) = time(after)?;
    Some(Lifetime { begin: Some(begin), end: Some(end) })
}

/// A time in either form, and what follows it.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let tag = *der.first()?;
    let (time, following) = element(der, tag)?;
    let digits = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let century = if year.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            (format!("{century}{year}"), rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    let part = |place: usize| rest.get(place * 2..place * 2 + 2);
    let text = format!("{year}-{}-{}T{}:{}:{}Z", part(0)?, part(1)?, part(2)?, part(3)?, part(4)?);
    Some((Timestamp::from_rfc3339(&text).ok()?, following))
}

/// The content of the first element, which has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(*short), rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            if bytes.len() > 4 {
                return None;
            }
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl req -x509 -newkey ed25519 -nodes -subj /CN=x -days …`, and one that ends in the
    /// year 2060, which is written in the other form.
    const UNTIL_2031: &str = include_str!("../tests/fixtures/until-2031.pem");
    const UNTIL_2060: &str = include_str!("../tests/fixtures/until-2060.pem");

    #[test]
    fn the_lifetime_of_a_certificate_is_read_in_both_forms() {
        let expiry = |pem: &str| {
            let Lifetime { begin, end } = certificate_lifetime(&STANDARD.encode(pem))?;
            Some(format!("{} {}", begin?, end?))
        };
        assert_eq!(expiry(UNTIL_2031).unwrap(), "2026-11-29T10:29:42Z 2031-02-02T10:29:42Z");
        assert_eq!(expiry(UNTIL_2060).unwrap(), "2026-11-29T10:29:42Z 2060-02-02T10:29:42Z");
        assert_eq!(expiry("no certificate"), None);
        assert_eq!(certificate_lifetime("%"), None);
        // Cut anywhere, it is no certificate, and nothing worse.
        let body: String = UNTIL_2031.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).unwrap();
        for length in 0..der.len() - 1 {
            assert_eq!(validity(&der[..length]), None, "{length}");
        }
    }

    #[test]
    fn the_lifetime_of_a_token_is_read_where_it_says_one() {
        let token = |claims: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        let both = token_lifetime(&token(r#"{"nbf":1800000000,"exp":1900000000}"#)).unwrap();
        let seconds = |time: Option<Timestamp>| time.unwrap().as_unix_seconds();
        assert_eq!((seconds(both.begin), seconds(both.end)), (1_800_000_000, 1_900_000_000));
        for other in [token("{}"), token("no JSON"), "opaque".to_owned(), "a.b".to_owned(), "a.b.c.d".to_owned()] {
            assert_eq!(token_lifetime(&other).unwrap_or_default(), Lifetime::default(), "{other}");
        }
    }
}
