use std::collections::{BTreeMap, BTreeSet};

use lock_model::ErrorClass;
use secrecy::SecretString;

use super::credential_key::{CredentialKey, canonical};
use super::login::Login;
use crate::text::joined;

/// A login that was set in the environment, which beats every file. No variable is read here: the caller hands them over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EnvCredential {
    /// What people know it by, for example the name of the variable.
    pub name: String,
    /// Where it is for: `HOST[:PORT]`, with a path below it where it is for a part of the host, and with `*` for any
    /// one part between the dots of the host.
    pub registry: String,
    /// What is sent there.
    pub login: Login,
}

/// Variables that do not make logins. Displayed are all problems, with names and never with values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", joined(problems))]
pub struct EnvCredentialsError {
    problems: Vec<VariableProblem>,
}

impl EnvCredentialsError {
    /// At least one problem, by the number of the login.
    pub fn problems(&self) -> &[VariableProblem] {
        &self.problems
    }

    /// What kind of failure this is: `Invalid`, since the variables stay what they are.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Variables that do not make a login together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableProblem {
    /// A part of a login without the registry, or the user, that it is for.
    #[error("`{set}` is set without `{missing}`")]
    Incomplete {
        /// The variable that is set.
        set: String,
        /// The variable that is needed with it.
        missing: String,
    },
    /// No login for a registry that is named.
    #[error("`{host}` is set without a login: `{password}`, `{identity}` or `{registry}`")]
    NoLogin {
        /// The variable that names the registry.
        host: String,
        /// The variable for a password.
        password: String,
        /// The variable for an identity token.
        identity: String,
        /// The variable for a registry token.
        registry: String,
    },
    /// Several logins for one registry.
    #[error("only one of {} can be set", crate::text::list(set))]
    Several {
        /// The variables that are set.
        set: Vec<String>,
    },
}

const HOST: &str = "HOST";
const USERNAME: &str = "USERNAME";
const PASSWORD: &str = "PASSWORD";
const IDENTITY_TOKEN: &str = "IDENTITY_TOKEN";
const REGISTRY_TOKEN: &str = "REGISTRY_TOKEN";
const PARTS: [&str; 5] = [HOST, USERNAME, PASSWORD, IDENTITY_TOKEN, REGISTRY_TOKEN];

impl EnvCredential {
    /// A login for `HOST[:PORT][/PATH]`, known to people as `name`.
    pub fn new(name: impl Into<String>, registry: impl Into<String>, login: Login) -> Self {
        Self { name: name.into(), registry: registry.into(), login }
    }

    /// Reads the logins that variables spell, one registry for each ending: none, `_1`, `_2` and so on.
    ///
    /// ```text
    /// PREFIX_HOST=ghcr.io/shop   PREFIX_USERNAME=robot   PREFIX_PASSWORD=…
    /// PREFIX_HOST_1=*.corp:5000  PREFIX_IDENTITY_TOKEN_1=…
    /// PREFIX_HOST_2=quay.io      PREFIX_REGISTRY_TOKEN_2=…
    /// ```
    ///
    /// A variable that is set to nothing counts as not set. All problems are reported.
    pub fn from_variables(
        prefix: &str,
        variables: &BTreeMap<String, SecretString>,
    ) -> Result<Vec<Self>, EnvCredentialsError> {
        use secrecy::ExposeSecret as _;

        let value = |part: &str, ending: &str| {
            variables.get(&format!("{prefix}_{part}{ending}")).filter(|value| !value.expose_secret().is_empty())
        };
        let endings: BTreeSet<(u64, &str)> = variables.keys().filter_map(|name| ending(prefix, name)).collect();
        let (mut logins, mut problems) = (Vec::new(), Vec::new());
        for (_, ending) in endings {
            let name = |part: &str| format!("{prefix}_{part}{ending}");
            let ways: Vec<(&str, &SecretString)> = [PASSWORD, IDENTITY_TOKEN, REGISTRY_TOKEN]
                .into_iter()
                .filter_map(|part| value(part, ending).map(|secret| (part, secret)))
                .collect();
            let (host, user) = (value(HOST, ending), value(USERNAME, ending));
            let Some(host) = host else {
                if let Some(set) = ways.first().map(|(part, _)| *part).or(user.map(|_| USERNAME)) {
                    problems.push(VariableProblem::Incomplete { set: name(set), missing: name(HOST) });
                }
                continue;
            };
            let login = match (ways.as_slice(), user) {
                ([], _) => {
                    problems.push(VariableProblem::NoLogin {
                        host: name(HOST),
                        password: name(PASSWORD),
                        identity: name(IDENTITY_TOKEN),
                        registry: name(REGISTRY_TOKEN),
                    });
                    continue;
                }
                ([(PASSWORD, _)], None) => {
                    problems.push(VariableProblem::Incomplete { set: name(PASSWORD), missing: name(USERNAME) });
                    continue;
                }
                ([(PASSWORD, password)], Some(user)) => {
                    Login::Password { user: user.expose_secret().to_owned(), password: (*password).clone() }
                }
                ([(IDENTITY_TOKEN, token)], _) => Login::Identity((*token).clone()),
                ([(_, token)], _) => Login::Registry((*token).clone()),
                (several, _) => {
                    problems
                        .push(VariableProblem::Several { set: several.iter().map(|(part, _)| name(part)).collect() });
                    continue;
                }
            };
            logins.push(Self::new(name(ways[0].0), host.expose_secret(), login));
        }
        if problems.is_empty() { Ok(logins) } else { Err(EnvCredentialsError { problems }) }
    }

    /// How well the login fits: `None` when it does not, else the better the greater. A longer path beats a shorter
    /// one, then an exact host beats a pattern.
    pub(crate) fn fits(&self, key: &CredentialKey) -> Option<(usize, bool)> {
        let own = canonical(&self.registry);
        let (host, path) = own.split_once('/').unwrap_or((&own, ""));
        let exact = host == key.host;
        if !exact && !host_fits(host, &key.host) {
            return None;
        }
        let below = key.path.strip_prefix(path)?;
        (path.is_empty() || below.is_empty() || below.starts_with('/')).then_some((path.len(), exact))
    }
}

/// The ending of a variable that is part of a login, with its number for the order.
fn ending<'a>(prefix: &str, name: &'a str) -> Option<(u64, &'a str)> {
    let rest = name.strip_prefix(prefix)?.strip_prefix('_')?;
    let ending = PARTS.iter().find_map(|part| {
        let ending = rest.strip_prefix(part)?;
        let number = ending.strip_prefix('_').unwrap_or_default();
        let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        (ending.is_empty() || numbered).then_some(ending)
    })?;
    // One more than the number, so that no number comes first.
    let number = ending.strip_prefix('_').map_or(Some(0), |number| number.parse::<u64>().ok()?.checked_add(1))?;
    Some((number, ending))
}

/// `*` stands for one whole part between dots; ports must be equal.
fn host_fits(pattern: &str, host: &str) -> bool {
    let split = |text: &'_ str| {
        text.rsplit_once(':').map_or((text.to_owned(), None), |(h, p)| (h.to_owned(), Some(p.to_owned())))
    };
    let ((pattern, pattern_port), (host, port)) = (split(pattern), split(host));
    let (pattern, host): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), host.split('.').collect());
    pattern_port == port
        && pattern.len() == host.len()
        && pattern.iter().zip(&host).all(|(pattern, part)| *pattern == "*" || pattern == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretString> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect()
    }

    fn fits(own: &str, host: &str, path: &str) -> Option<(usize, bool)> {
        EnvCredential::new("", own, Login::registry("x")).fits(&CredentialKey::new(host, path))
    }

    #[test]
    fn b7_numbered_variables_are_one_login_each() {
        let logins = EnvCredential::from_variables(
            "R",
            &variables(&[
                ("R_HOST_10", "quay.io"),
                ("R_IDENTITY_TOKEN_10", "i"),
                ("R_HOST_2", "*.corp:5000"),
                ("R_REGISTRY_TOKEN_2", "t"),
                ("R_HOST", "ghcr.io/shop"),
                ("R_USERNAME", "robot"),
                ("R_PASSWORD", "p"),
                ("R_HOSTILE", "not ours"),
                ("R_HOST_x", "not ours"),
                ("OTHER", "x"),
            ]),
        )
        .unwrap();
        let names: Vec<_> = logins.iter().map(|login| (login.name.as_str(), login.registry.as_str())).collect();
        assert_eq!(
            names,
            [("R_PASSWORD", "ghcr.io/shop"), ("R_REGISTRY_TOKEN_2", "*.corp:5000"), ("R_IDENTITY_TOKEN_10", "quay.io")]
        );
        assert!(matches!(&logins[0].login, Login::Password { user, .. } if user == "robot"));
        assert!(matches!(&logins[1].login, Login::Registry(_)));
        assert!(matches!(&logins[2].login, Login::Identity(_)));
    }

    #[test]
    fn b7_incomplete_variables_are_all_reported_without_values() {
        let errors = EnvCredential::from_variables(
            "R",
            &variables(&[
                ("R_PASSWORD", "canary"),
                ("R_HOST_1", "ghcr.io"),
                ("R_HOST_2", "ghcr.io"),
                ("R_PASSWORD_2", "canary"),
                ("R_HOST_3", "ghcr.io"),
                ("R_IDENTITY_TOKEN_3", "canary"),
                ("R_REGISTRY_TOKEN_3", "canary"),
                ("R_HOST_4", ""),
                ("R_PASSWORD_4", ""),
            ]),
        )
        .unwrap_err();
        let text: Vec<String> = errors.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "`R_PASSWORD` is set without `R_HOST`",
                "`R_HOST_1` is set without a login: `R_PASSWORD_1`, `R_IDENTITY_TOKEN_1` or `R_REGISTRY_TOKEN_1`",
                "`R_PASSWORD_2` is set without `R_USERNAME_2`",
                "only one of `R_IDENTITY_TOKEN_3`, `R_REGISTRY_TOKEN_3` can be set",
            ]
        );
        assert!(!format!("{errors:?}").contains("canary"));
    }

    #[test]
    fn b7_an_exact_host_beats_a_pattern_and_a_longer_path_beats_both() {
        assert_eq!(fits("ghcr.io", "ghcr.io", "shop/cart"), Some((0, true)));
        assert_eq!(fits("*.io", "ghcr.io", "shop/cart"), Some((0, false)));
        assert_eq!(fits("ghcr.io/shop", "ghcr.io", "shop/cart"), Some((4, true)));
        assert_eq!(fits("*.dkr.ecr.*.aws.example", "1.dkr.ecr.eu.aws.example", "a"), Some((0, false)));
        assert_eq!(fits("docker.io", "registry-1.docker.io", "library/redis"), Some((0, true)));
        for (own, host, path) in [
            ("ghcr.io", "ghcr.io.evil.example", "a"),
            ("*.io", "a.b.io", "a"),
            ("*", "localhost:5000", "a"),
            ("ghcr.io/shop", "ghcr.io", "shopping/cart"),
            ("ghcr.io/shop/cart", "ghcr.io", "shop"),
            ("ghcr.io:443", "ghcr.io", "a"),
        ] {
            assert_eq!(fits(own, host, path), None, "{own}");
        }
    }
}
