//! Logging in by a program that a kubeconfig names (`exec`): what the program is told, what its answer means, and how long
//! that is used. Who starts it is the caller.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use kube::client::Body;
use lock_model::Timestamp;
use lock_model::escaping::{escape_short, excerpt};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tower::BoxError;
use tower::filter::AsyncPredicate;

/// The versions of `ExecCredential` that are known.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
/// The variable that tells the program what is asked.
const EXEC_INFO: &str = "KUBERNETES_EXEC_INFO";
/// Credentials that end so soon are asked for again.
const LEAST_LEFT: Duration = Duration::from_secs(60);

/// The program by which the user of a kubeconfig logs in.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginProgram {
    /// A name on the search path, or a path.
    pub command: String,
    /// Key `args` of the kubeconfig, in its order; empty where it has none.
    pub arguments: Vec<String>,
    /// The variables that it is given besides the caller's: those of the kubeconfig, and the question itself.
    pub variables: BTreeMap<String, String>,
    version: &'static str,
}

/// Without arguments and variables, which can hold credentials.
impl fmt::Debug for LoginProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginProgram").field("command", &self.command).finish_non_exhaustive()
    }
}

impl LoginProgram {
    /// Reads `exec` of a user; `cluster` is the cluster of the context.
    pub(crate) fn parse(exec: &Map<String, Value>, cluster: &Map<String, Value>) -> Result<Self, String> {
        let text = |key: &str| exec.get(key).and_then(Value::as_str).unwrap_or_default();
        let command = text("command").to_owned();
        if command.is_empty() {
            return Err("its `exec` names no `command`".to_owned());
        }
        let asked = text("apiVersion");
        let Some(version) = VERSIONS.into_iter().find(|version| *version == asked) else {
            return Err(format!(
                "`apiVersion` of its `exec` is `{}`, and {} and {} are known",
                escape_short(asked, 80),
                VERSIONS[0],
                VERSIONS[1]
            ));
        };
        if text("interactiveMode") == "Always" {
            return Err(format!("`{}` needs a person at a terminal (`interactiveMode`)", escape_short(&command, 80)));
        }
        let list = |key: &str| match exec.get(key) {
            None | Some(Value::Null) => Ok(&[] as &[Value]),
            Some(Value::Array(list)) => Ok(list.as_slice()),
            Some(_) => Err(format!("`{key}` of its `exec` is no list")),
        };
        let wrong = |key: &str| format!("`{key}` of its `exec` has an entry of another type");
        let arguments = list("args")?.iter().map(|argument| argument.as_str().map(str::to_owned));
        let arguments = arguments.collect::<Option<Vec<_>>>().ok_or_else(|| wrong("args"))?;
        let pair =
            |entry: &Value| Some((entry.get("name")?.as_str()?.to_owned(), entry.get("value")?.as_str()?.to_owned()));
        let variables = list("env")?.iter().map(pair).collect::<Option<BTreeMap<_, _>>>();
        let mut variables = variables.ok_or_else(|| wrong("env"))?;
        let mut question = json!({ "apiVersion": version, "kind": "ExecCredential", "spec": { "interactive": false } });
        if exec.get("provideClusterInfo") == Some(&Value::Bool(true)) {
            let mut told = cluster.clone();
            if let Some(Value::Array(extensions)) = told.remove("extensions")
                && let Some(own) = extensions.iter().find(|own| own["name"] == "client.authentication.k8s.io/exec")
            {
                told.insert("config".to_owned(), own["extension"].clone());
            }
            question["spec"]["cluster"] = Value::Object(told);
        }
        variables.insert(EXEC_INFO.to_owned(), question.to_string());
        Ok(Self { command, arguments, variables, version })
    }

    /// The names of the variables that the kubeconfig itself sets.
    pub(crate) fn own_variables(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str).filter(|name| *name != EXEC_INFO)
    }

    /// What the kubeconfig itself gives the program, each of which may be a secret: values of variables and arguments, and the
    /// parts of both (`--client-secret=…`, `user:…`, those of a URL) from eight bytes on. Names of flags and of the program
    /// are left out.
    pub fn own_values(&self) -> BTreeSet<&str> {
        let mut values = BTreeSet::new();
        for (_, value) in self.variables.iter().filter(|(name, _)| *name != EXEC_INFO) {
            values.insert(value.as_str());
            values.extend(parts(value));
        }
        for argument in &self.arguments {
            let (flag, value) = flag_and_value(argument);
            values.insert(value);
            // Before the value nothing is secret but a glued one: `-p…`.
            values.extend(flag.filter(|flag| !is_flag(flag)).and_then(|flag| flag.get(2..)));
            values.extend(parts(value));
        }
        let name = self.command.rsplit('/').next().unwrap_or_default();
        values.retain(|value| !value.is_empty() && *value != name && *value != self.command);
        values
    }

    /// What the program has printed means; the reason why it is no login holds nothing of it.
    pub fn answer(&self, printed: &[u8], now: Timestamp) -> Result<Credential, String> {
        let answer: Value = serde_json::from_slice(printed).map_err(|_| "what it prints is no JSON".to_owned())?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        if (text("kind"), text("apiVersion")) != ("ExecCredential", self.version) {
            return Err(format!("what it prints is no `ExecCredential` of `{}`", self.version));
        }
        let status = |key: &str| answer["status"][key].as_str().filter(|text| !text.is_empty());
        let certificate = match (status("clientCertificateData"), status("clientKeyData")) {
            (Some(certificate), Some(key)) => Some((certificate.to_owned(), SecretString::from(key))),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err("it gives a certificate without its key, or a key without its certificate".to_owned());
            }
        };
        let token = status("token");
        if token.is_none() && certificate.is_none() {
            return Err("it gives neither a token nor a certificate".to_owned());
        }
        if token.is_some_and(|token| token.bytes().any(|byte| !byte.is_ascii_graphic())) {
            return Err("its token has a character that no token has".to_owned());
        }
        let lives = match status("expirationTimestamp") {
            None => None,
            Some(end) => {
                let end = Timestamp::from_rfc3339(end).map_err(|_| "`expirationTimestamp` is no time".to_owned())?;
                let left = u64::try_from(end.as_unix_seconds() - now.as_unix_seconds()).unwrap_or_default();
                if left == 0 {
                    return Err(format!("its credentials ended at {end}"));
                }
                Some(Duration::from_secs(left))
            }
        };
        Ok(Credential { token: token.map(SecretString::from), certificate, lives })
    }
}

/// Shorter parts cannot be told from ordinary words.
const SHORTEST_PART: usize = 8;
/// What separates the parts of a value, from the outermost.
const SEPARATORS: [&[char]; 6] =
    [&[' ', '\n', '\t', '"', '\'', '{', '}', '[', ']'], &[',', ';'], &['='], &['@'], &[':'], &['/', '?', '&', '#']];

/// The parts of a value, also those that have parts themselves: of `a=b:c` it is `b:c` as well as `b` and `c`.
fn parts(value: &str) -> BTreeSet<&str> {
    let (mut found, mut whole) = (BTreeSet::new(), vec![value]);
    for separators in SEPARATORS {
        whole = whole.into_iter().flat_map(|part| part.split(separators)).collect();
        found.extend(whole.iter().copied().filter(|part| part.len() >= SHORTEST_PART));
    }
    found
}

/// An argument that is an option, and its value: `--token=…`, `-token:…`.
fn flag_and_value(argument: &str) -> (Option<&str>, &str) {
    if !argument.starts_with('-') {
        return (None, argument);
    }
    argument.split_once(['=', ':']).map_or((Some(argument), ""), |(flag, value)| (Some(flag), value))
}

fn is_flag(argument: &str) -> bool {
    argument.starts_with("--") || argument.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '-' | '_'))
}

/// What a login program gives.
#[derive(Clone, Debug)]
pub struct Credential {
    token: Option<SecretString>,
    /// A certificate and its key, in PEM.
    certificate: Option<(String, SecretString)>,
    /// How long they live on; `None`: as long as they are used.
    lives: Option<Duration>,
}

impl Credential {
    pub(crate) fn certificate(&self) -> Option<&(String, SecretString)> {
        self.certificate.as_ref()
    }

    fn ends(&self, given: Instant) -> Option<Instant> {
        self.lives.map(|lives| given + lives.saturating_sub(LEAST_LEFT.min(lives / 2)))
    }
}

/// The answer to a question for credentials.
pub type Asked = Pin<Box<dyn Future<Output = Result<Credential, LoginFailed>> + Send>>;

/// A login program gave no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoginFailed(String);

impl LoginFailed {
    /// `reason` is shown to people.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(excerpt(reason.into()))
    }
}

/// The credentials of a login program, asked for again before they end. Clones share them.
#[derive(Clone)]
pub struct Login {
    ask: Arc<dyn Fn() -> Asked + Send + Sync>,
    asking: Arc<Mutex<()>>,
    held: Arc<RwLock<Option<Held>>>,
}

#[derive(Clone)]
struct Held {
    credential: Credential,
    until: Option<Instant>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl Login {
    /// Nothing is asked yet; `ask` starts the program.
    pub fn new(ask: impl Fn() -> Asked + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask), asking: Arc::default(), held: Arc::default() }
    }

    /// Credentials that live on for some time; who asks meanwhile waits for the same answer.
    pub(crate) async fn fresh(&self) -> Result<Credential, LoginFailed> {
        let _alone = self.asking.lock().await;
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = held.filter(|held| held.until.is_none_or(|until| Instant::now() < until)) {
            return Ok(held.credential);
        }
        let given = Instant::now();
        let credential = (self.ask)().await?;
        let held = Held { until: credential.ends(given), credential: credential.clone() };
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
        Ok(credential)
    }

    /// The token that was given last.
    pub(crate) fn token(&self) -> Option<SecretString> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.credential.token.clone()
    }
}

/// Puts the token of a login into each request.
#[derive(Clone, Debug)]
pub(crate) struct Authorise(pub(crate) Login);

impl AsyncPredicate<Request<Body>> for Authorise {
    type Future = Pin<Box<dyn Future<Output = Result<Request<Body>, BoxError>> + Send>>;
    type Request = Request<Body>;

    fn check(&mut self, mut request: Request<Body>) -> Self::Future {
        let login = self.0.clone();
        Box::pin(async move {
            if let Some(token) = login.fresh().await?.token {
                let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))?;
                value.set_sensitive(true);
                request.headers_mut().insert(AUTHORIZATION, value);
            }
            Ok(request)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn program(exec: &Value) -> Result<LoginProgram, String> {
        let cluster = json!({ "server": "https://h", "extensions": [
            { "name": "client.authentication.k8s.io/exec", "extension": { "audience": "x" } },
        ] });
        LoginProgram::parse(exec.as_object().unwrap(), cluster.as_object().unwrap())
    }

    fn usual(version: &str) -> LoginProgram {
        program(&json!({ "command": "aws", "apiVersion": version, "args": ["eks", "get-token"] })).unwrap()
    }

    #[test]
    fn t23_a_login_program_is_told_what_kubectl_tells_it() {
        let asked = json!({ "command": "aws", "apiVersion": VERSIONS[1], "args": ["a b"], "provideClusterInfo": true,
            "env": [{ "name": "AWS_PROFILE", "value": "shop" }] });
        let asked = program(&asked).unwrap();
        assert_eq!((asked.command.as_str(), asked.arguments.as_slice()), ("aws", &["a b".to_owned()][..]));
        assert_eq!(asked.own_variables().collect::<Vec<_>>(), ["AWS_PROFILE"]);
        let question: Value = serde_json::from_str(&asked.variables[EXEC_INFO]).unwrap();
        let expected = json!({ "apiVersion": VERSIONS[1], "kind": "ExecCredential", "spec": { "interactive": false,
            "cluster": { "server": "https://h", "config": { "audience": "x" } } } });
        assert_eq!(question, expected);
        for (wrong, told) in [
            (json!({ "apiVersion": VERSIONS[0] }), "names no `command`"),
            (json!({ "command": "aws", "apiVersion": "client.authentication.k8s.io/v1alpha1" }), "v1alpha1"),
            (json!({ "command": "aws", "apiVersion": VERSIONS[0], "interactiveMode": "Always" }), "needs a person"),
            (json!({ "command": "aws", "apiVersion": VERSIONS[0], "args": [1] }), "`args`"),
            (json!({ "command": "aws", "apiVersion": VERSIONS[0], "env": { "A": "b" } }), "`env`"),
        ] {
            let error = program(&wrong).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn t23_every_part_of_what_a_login_program_is_given_may_be_a_secret() {
        let given = |arguments: Value, value: &str| {
            program(&json!({ "command": "/opt/kubelogin", "apiVersion": VERSIONS[0], "args": arguments,
                "env": [{ "name": "A", "value": value }] }))
            .unwrap()
        };
        for (argument, secret) in [
            ("--token=canary-1", "canary-1"),
            ("--token=-canary1", "-canary1"),
            ("-token:canary-1", "canary-1"),
            ("-pcanary-1", "canary-1"),
            ("canary-1", "canary-1"),
            ("pin4", "pin4"),
            ("user:canary-1", "canary-1"),
            ("a=b,secret=canary-1", "canary-1"),
            ("--set=a=b,auth=user:can/ary1,c", "can/ary1"),
            ("https://user:canary-1@host/?x=y", "canary-1"),
            ("--url=https://host/a?x=y&token=canary-1", "canary-1"),
            ("{\"secret\": \"canary-1\"}", "canary-1"),
            ("--header=Bearer canary-1", "canary-1"),
        ] {
            let of_argument = given(json!(["--flag", argument]), "");
            assert!(of_argument.own_values().contains(secret), "{argument}: {:?}", of_argument.own_values());
            if !argument.starts_with("-p") {
                let of_variable = given(json!([]), argument);
                assert!(of_variable.own_values().contains(secret), "{argument}: {:?}", of_variable.own_values());
            }
        }
        let readable =
            given(json!(["--client-secret=canary-1", "--no-prompt", "-insecure-tls", "kubelogin", "a:b"]), "");
        assert_eq!(readable.own_values(), BTreeSet::from(["canary-1", "a:b"]));
    }

    #[test]
    fn t23_what_a_login_program_prints_is_read_strictly_and_never_shown() {
        let now = Timestamp::from_unix_seconds(1_000_000_000);
        let answer = |status: Value| {
            let printed = json!({ "kind": "ExecCredential", "apiVersion": VERSIONS[0], "status": status }).to_string();
            usual(VERSIONS[0]).answer(printed.as_bytes(), now)
        };
        let given = answer(json!({ "token": "t", "expirationTimestamp": "2001-09-09T02:01:40Z" })).unwrap();
        assert_eq!((given.token.unwrap().expose_secret(), given.lives), ("t", Some(Duration::from_secs(900))));
        answer(json!({ "clientCertificateData": "c", "clientKeyData": "k" })).unwrap();
        for (status, told) in [
            (json!({}), "neither a token nor a certificate"),
            (json!({ "clientKeyData": "canary" }), "key without its certificate"),
            (json!({ "token": "canary\n" }), "a character that no token has"),
            (json!({ "token": "canary", "expirationTimestamp": "2001-09-09T01:46:40Z" }), "ended at 2001-09-09"),
            (json!({ "token": "canary", "expirationTimestamp": "soon" }), "no time"),
        ] {
            let error = answer(status).unwrap_err();
            assert!(error.contains(told) && !error.contains("canary"), "{error}");
        }
        let other = json!({ "kind": "ExecCredential", "apiVersion": VERSIONS[1], "status": { "token": "t" } });
        let error = usual(VERSIONS[0]).answer(other.to_string().as_bytes(), now).unwrap_err();
        assert!(error.contains(VERSIONS[0]), "{error}");
        assert_eq!(usual(VERSIONS[0]).answer(b"canary", now).unwrap_err(), "what it prints is no JSON");
    }

    #[tokio::test]
    async fn t23_credentials_are_asked_for_once_and_again_before_they_end() {
        let of = |lives: Option<Duration>| {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            let login = Login::new(move || {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let token = Some(SecretString::from(format!("token {number}")));
                Box::pin(async move { Ok(Credential { token, certificate: None, lives }) })
            });
            (login, asked)
        };
        let (lasting, asked) = of(Some(Duration::from_secs(600)));
        assert!(lasting.token().is_none());
        let other = lasting.clone();
        let (one, two, three) = tokio::join!(lasting.fresh(), lasting.fresh(), other.fresh());
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        assert_eq!((asked.load(Ordering::SeqCst), lasting.token().unwrap().expose_secret()), (1, "token 0"));
        let (short, asked) = of(Some(Duration::from_millis(1)));
        short.fresh().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        short.fresh().await.unwrap();
        assert_eq!((asked.load(Ordering::SeqCst), short.token().unwrap().expose_secret()), (2, "token 1"));
    }
}
