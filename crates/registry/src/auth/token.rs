//! The token service: what it is asked, and what it answers.

use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::Serializer;

/// How long a token is good for when the service does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
/// A shorter life is taken for this one: else each request would fetch a token. One that has expired is renewed anyway.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(10);

/// A token, ready to be sent.
#[derive(Debug)]
pub(crate) struct Token {
    /// Marked as sensitive: its debug form shows nothing.
    pub(crate) header: HeaderValue,
    /// From then on a new one is fetched first.
    pub(crate) stale_from: Instant,
}

#[derive(Deserialize)]
struct Wire {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    expires_in: Option<serde_json::Value>,
}

/// Reads the answer; `Err` says what is wrong with it, without any of it.
pub(crate) fn parse(body: &[u8], asked_at: Instant) -> Result<Token, &'static str> {
    // NOTE: the parser's own message would quote what it found.
    let wire: Wire = serde_json::from_slice(body).map_err(|_| "is not a JSON object with a token")?;
    let present = |token: Option<SecretString>| token.filter(|token| !token.expose_secret().is_empty());
    let token = present(wire.token).or_else(|| present(wire.access_token)).ok_or("holds none")?;
    let header = bearer(&token).ok_or("holds one that cannot be sent")?;
    let lifetime = wire.expires_in.and_then(|seconds| seconds.as_u64()).map_or(DEFAULT_LIFETIME, Duration::from_secs);
    // A tenth is for the way of the request that carries it.
    let lifetime = lifetime.max(SHORTEST_LIFETIME).mul_f32(0.9);
    Ok(Token { header, stale_from: asked_at.checked_add(lifetime).unwrap_or(asked_at) })
}

/// A token as a header.
pub(crate) fn bearer(token: &SecretString) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {}", token.expose_secret()))
}

/// A user and a password as a header.
pub(crate) fn basic(user: &str, password: &SecretString) -> Option<HeaderValue> {
    use base64::Engine as _;

    let pair = secrecy::zeroize::Zeroizing::new(format!("{user}:{}", password.expose_secret()));
    sensitive(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.as_bytes())))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The request for a token as an address, for a login with a password or for none.
pub(crate) fn question(realm: &Url, service: Option<&str>, scopes: &[String]) -> Url {
    let mut url = realm.clone();
    {
        let mut pairs = url.query_pairs_mut();
        pairs.extend_pairs(service.map(|service| ("service", service)));
        pairs.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
    }
    url
}

/// The request for a token as a form, for a login with an identity token.
pub(crate) fn form(service: Option<&str>, scopes: &[String], client: &str, identity: &SecretString) -> Vec<u8> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token").append_pair("client_id", client);
    form.extend_pairs(service.map(|service| ("service", service)));
    form.append_pair("scope", &scopes.join(" ")).append_pair("refresh_token", identity.expose_secret());
    form.finish().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(body: &str) -> Duration {
        let now = Instant::now();
        parse(body.as_bytes(), now).unwrap().stale_from - now
    }

    #[tokio::test]
    async fn f24_a_token_is_used_until_shortly_before_its_end() {
        assert_eq!(lifetime(r#"{"token":"t","expires_in":300}"#).as_secs(), 270);
        for unsaid in
            [r#"{"access_token":"t"}"#, r#"{"token":"t","expires_in":"soon"}"#, r#"{"token":"t","expires_in":-1}"#]
        {
            assert_eq!(lifetime(unsaid).as_secs(), 54, "{unsaid}");
        }
        assert_eq!(lifetime(r#"{"token":"t","expires_in":0}"#).as_secs(), 9);
        let endless = format!(r#"{{"token":"t","expires_in":{}}}"#, u32::MAX);
        assert!(lifetime(&endless).as_secs() > 1 << 30);
    }

    #[tokio::test]
    async fn t20_an_answer_without_a_token_is_refused_and_not_quoted() {
        for (body, why) in [
            ("<html>canary", "is not a JSON object with a token"),
            (r#"{"token":["canary"]}"#, "is not a JSON object with a token"),
            (r#"{"token":""}"#, "holds none"),
            (r#"{"canary":1}"#, "holds none"),
            (r#"{"token":"canary\r\nx: y"}"#, "holds one that cannot be sent"),
        ] {
            assert_eq!(parse(body.as_bytes(), Instant::now()).unwrap_err(), why, "{body}");
        }
        let token = parse(br#"{"token":"canary"}"#, Instant::now()).unwrap();
        assert!(!format!("{token:?}").contains("canary"));
    }

    #[test]
    fn b6_the_question_keeps_what_the_realm_asks_with_and_the_order_of_scopes() {
        let realm = Url::parse("https://a.b/token?x=1").unwrap();
        let scopes = ["repository:new/one:pull".to_owned(), "repository:a/b:pull,push".to_owned()];
        assert_eq!(
            question(&realm, Some("r & s"), &scopes).as_str(),
            "https://a.b/token?x=1&service=r+%26+s&scope=repository%3Anew%2Fone%3Apull&scope=repository%3Aa%2Fb%3Apull%2Cpush"
        );
        assert_eq!(
            form(None, &scopes, "me", &"i+d".into()),
            b"grant_type=refresh_token&client_id=me&scope=repository%3Anew%2Fone%3Apull+repository%3Aa%2Fb%3Apull%2Cpush&refresh_token=i%2Bd"
        );
    }
}
