//! `WWW-Authenticate`: how a registry asks for a login ([RFC 9110, 11.6.1]).
//!
//! ```text
//! WWW-Authenticate: Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull"
//! WWW-Authenticate: Basic realm="Registry"
//! ```
//!
//! [RFC 9110, 11.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// One way in which a registry accepts a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A user and a password with each request.
    Basic,
    /// A token from a token service.
    Bearer {
        realm: String,
        service: Option<String>,
        /// What the token must be good for, as it is demanded.
        scopes: Vec<String>,
    },
}

#[cfg(any(test, feature = "fuzzing"))]
impl Challenge {
    /// The challenge as a header that means the same.
    pub(crate) fn written(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#));
        match self {
            Self::Basic => "Basic".to_owned(),
            Self::Bearer { realm, service, scopes } => {
                let mut text = format!("Bearer realm={}", quoted(realm));
                if let Some(service) = service {
                    text.push_str(",service=");
                    text.push_str(&quoted(service));
                }
                if !scopes.is_empty() {
                    text.push_str(",scope=");
                    text.push_str(&quoted(&scopes.join(" ")));
                }
                text
            }
        }
    }
}

/// Reads every challenge of an answer; what cannot be read, or is of another kind, is left out.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(parse).collect()
}

fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = Rest(text);
    loop {
        rest.skip(|c| c == ',' || c.is_ascii_whitespace());
        let Some(word) = rest.word() else { break };
        let after_word = rest.0;
        rest.skip(|c| c.is_ascii_whitespace());
        if rest.eat('=') {
            // Base64 in the place of parameters may end in more of them.
            rest.skip(|c| c == '=' || c.is_ascii_whitespace());
            let Some(value) = rest.value() else { break };
            // A parameter before any scheme belongs to nothing.
            let Some((_, parameters)) = found.last_mut() else { break };
            parameters.entry(word.to_ascii_lowercase()).or_insert(value);
        } else {
            rest = Rest(after_word);
            found.push((word.to_ascii_lowercase(), BTreeMap::new()));
        }
    }
    found.into_iter().filter_map(|(scheme, parameters)| challenge(&scheme, parameters)).collect()
}

fn challenge(scheme: &str, mut parameters: BTreeMap<String, String>) -> Option<Challenge> {
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scopes: parameters
                .remove("scope")
                .map_or_else(Vec::new, |scope| scope.split_ascii_whitespace().map(str::to_owned).collect()),
        }),
        _ => None,
    }
}

/// What is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, what: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(what);
    }

    fn eat(&mut self, what: char) -> bool {
        let rest = self.0.strip_prefix(what);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn word(&mut self) -> Option<&'a str> {
        // Of more characters than a token may have: what looks like one is passed over as a whole.
        let is_end = |c: char| c == ',' || c == '=' || c == '"' || c.is_ascii_whitespace();
        let (word, rest) = self.0.split_at(self.0.find(is_end).unwrap_or(self.0.len()));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    fn value(&mut self) -> Option<String> {
        if !self.eat('"') {
            return Some(self.word().unwrap_or_default().to_owned());
        }
        let mut value = String::new();
        let mut characters = self.0.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(characters.next()?),
                other => value.push(other),
            }
        }
        self.0 = characters.as_str();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        }
    }

    #[test]
    fn b6_challenges_are_read_as_registries_write_them() {
        for (text, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                vec![bearer("https://auth.docker.io/token", Some("registry.docker.io"), &["repository:a/b:pull,push"])],
            ),
            (
                r#"bearer  Realm = "https://a.b/x" , SCOPE="a b  c", error=invalid_token"#,
                vec![bearer("https://a.b/x", None, &["a", "b", "c"])],
            ),
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("Basic", vec![Challenge::Basic]),
            (
                r#"Bearer realm="https://a.b/x",service=s, Basic realm="x", Negotiate, Digest qop="auth, x", nonce="\"n""#,
                vec![bearer("https://a.b/x", Some("s"), &[]), Challenge::Basic],
            ),
            (r#"Negotiate YIIB==, Basic realm="a""#, vec![Challenge::Basic]),
            (
                r#"Bearer realm="https://a.b/\"q\\",realm="https://evil.example""#,
                vec![bearer(r#"https://a.b/"q\"#, None, &[])],
            ),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn b6_what_is_no_challenge_is_none() {
        for text in [
            "",
            ",",
            "=",
            "\"",
            "Bearer",
            "Bearer service=x",
            "Bearer realm=\"open",
            "realm=\"x\"",
            "Bearer=\"x",
            "ü=",
            "Bearer realm=\"\\",
        ] {
            assert_eq!(parse(text), [], "{text}");
        }
    }

    #[test]
    fn b6_no_text_at_all_stops_the_reader() {
        // Every text of these pieces up to five of them: the reader comes to its end with each.
        let pieces = ["Bearer", "Basic", " ", ",", "=", "\"", "\\", "realm", "é", "x"];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            texts = texts.iter().flat_map(|text| pieces.map(|piece| format!("{text}{piece}"))).collect();
            for text in &texts {
                parse(text);
            }
        }
    }

    /// A text of what may stand in a header, with everything that means something in a challenge.
    fn text() -> impl Strategy<Value = String> {
        let piece =
            prop_oneof!["[ -~]{0,4}", Just(r#"""#.to_owned()), Just("\\".to_owned()), Just(", Basic ".to_owned())];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    fn challenge() -> impl Strategy<Value = Challenge> {
        let scopes = proptest::collection::vec("[!-~]{1,12}", 0..3);
        let bearer = (text(), proptest::option::of(text()), scopes)
            .prop_map(|(realm, service, scopes)| Challenge::Bearer { realm, service, scopes });
        prop_oneof![Just(Challenge::Basic), bearer]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

        #[test]
        fn b6_what_is_written_is_read_as_the_same(written in proptest::collection::vec(challenge(), 0..4)) {
            let text: Vec<String> = written.iter().map(Challenge::written).collect();
            prop_assert_eq!(parse(&text.join(", ")), written);
        }

        #[test]
        fn b6_what_was_understood_of_any_text_is_understood_again(text in "\\PC{0,64}") {
            let read = parse(&text);
            let again: Vec<String> = read.iter().map(Challenge::written).collect();
            prop_assert_eq!(parse(&again.join(", ")), read);
        }
    }

    #[test]
    fn b6_several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
        headers.append(WWW_AUTHENTICATE, "Bearer realm=\"https://a.b\"".parse().unwrap());
        assert_eq!(challenges(&headers), [Challenge::Basic, bearer("https://a.b", None, &[])]);
    }
}
