//! A kubeconfig, cut down to the one context that is used, and refused where it could do more than connect (T23).

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lock_model::escaping::escape_terminal;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use crate::certificate::{Lifetime, certificate_lifetime, first_certificate, token_lifetime};
use crate::error::{ClusterError, ClusterErrorKind};

/// How large a kubeconfig may be, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

lock_model::words! {
    /// Something that a kubeconfig can ask for and that is refused unless it is allowed by name.
    Risk, "risk of a kubeconfig" {
        /// Other files that it names: certificates, keys, tokens.
        Files = "files",
        /// Requests without encryption: a server address with `http:`.
        PlainHttp = "http",
        /// A server whose certificate is not checked.
        InsecureTls = "insecure-skip-tls-verify",
        /// A proxy between this machine and the cluster.
        Proxy = "proxy-url",
    }
}

impl Risk {
    pub(crate) fn refusal(self) -> &'static str {
        match self {
            Self::Files => "it names other files for certificates, keys or tokens",
            Self::PlainHttp => "the address of its server begins with `http:`, so that requests are not encrypted",
            Self::InsecureTls => "`insecure-skip-tls-verify` accepts every server",
            Self::Proxy => "`proxy-url` sends the requests through a proxy",
        }
    }
}

/// How one cluster is reached: a server, what it is trusted by, and credentials.
#[derive(Clone)]
pub struct Kubeconfig {
    /// A kubeconfig of one cluster, one user and one context; holds credentials.
    document: Value,
    context: String,
    server: String,
    namespace: Option<String>,
}

/// Without credentials.
impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubeconfig")
            .field("context", &self.context)
            .field("server", &self.server)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Kubeconfig {
    /// Reads the context of that name, else the current one, and refuses what is not in `allowed`.
    ///
    /// The file that `bytes` come from may be YAML or JSON. A program for logins (`exec`, `auth-provider`) is always
    /// refused.
    pub fn parse(bytes: &[u8], context: Option<&str>, allowed: &BTreeSet<Risk>) -> Result<Self, ClusterError> {
        let parts = Parts::find(bytes, context)?;
        parts.refuse_programs()?;
        parts.refuse_unsendable()?;
        parts.refuse_unusable()?;
        let server = parts.server()?;
        let refused: Vec<_> = parts.risks(&server).into_iter().filter(|risk| !allowed.contains(risk)).collect();
        if !refused.is_empty() {
            return Err(ClusterError::new(parts.subject(), ClusterErrorKind::Risk { risks: refused }));
        }
        if let Some(path) = parts.relative_file() {
            return Err(
                parts.wrong(format!("the path of `{path}` is not absolute, and a kubeconfig here has no folder"))
            );
        }
        let mut context = json!({ "cluster": "cluster", "user": "user" });
        if let Some(namespace) = &parts.namespace {
            context["namespace"] = json!(namespace);
        }
        let document = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "cluster", "cluster": parts.cluster }],
            "users": [{ "name": "user", "user": parts.user }],
            "contexts": [{ "name": "context", "context": context }],
            "current-context": "context",
        });
        Ok(Self { document, context: parts.context, server, namespace: parts.namespace })
    }

    /// The name of the context that was chosen.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The address of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The namespace of the context.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The kubeconfig for a program such as helm: this context alone, as JSON, which is YAML too. Holds credentials.
    pub fn to_json(&self) -> SecretString {
        self.document.to_string().into()
    }

    /// Every value of it that must not be shown, for a redactor: also the lines of the key, as programs write it to a file.
    pub fn secrets(&self) -> Vec<SecretString> {
        let user = self.document.pointer("/users/0/user");
        let value = |key: &str| user?.get(key)?.as_str().filter(|text| !text.is_empty());
        let key = value("client-key-data").and_then(|key| STANDARD.decode(key).ok());
        let key = key.and_then(|key| String::from_utf8(key).ok()).map(Zeroizing::new);
        let lines = key.as_deref().into_iter().flat_map(|key| key.lines()).filter(|line| !line.starts_with("-----"));
        let values = ["token", "password", "client-key-data"].into_iter().filter_map(value);
        values.chain(lines.filter(|line| !line.is_empty())).map(SecretString::from).collect()
    }

    /// When the API server accepts its client certificate or its token, as far as these say it.
    pub fn lifetime(&self) -> Lifetime {
        let user = |key: &str| self.document.pointer("/users/0/user")?.get(key)?.as_str();
        // A token is what the API server looks at first.
        let found = match user("token").filter(|token| !token.is_empty()) {
            Some(token) => token_lifetime(token),
            None => user("client-certificate-data").and_then(certificate_lifetime),
        };
        found.unwrap_or_default()
    }

    pub(crate) fn for_client(&self) -> Result<kube::config::Kubeconfig, ClusterError> {
        serde_json::from_str(self.to_json().expose_secret()).map_err(|error| {
            // The error of serde can quote a value.
            let reason = format!("a key has a value of another type (line {} of its JSON)", error.line());
            wrong(&self.context, reason)
        })
    }
}

/// What the chosen context consists of.
struct Parts {
    context: String,
    namespace: Option<String>,
    cluster: Map<String, Value>,
    user: Map<String, Value>,
}

impl Parts {
    fn find(bytes: &[u8], context: Option<&str>) -> Result<Self, ClusterError> {
        let document = read(bytes)?;
        let name = match context.or_else(|| text(&document, "current-context")) {
            Some(name) => name.to_owned(),
            None => return Err(kubeconfig("it has no `current-context`, and no context is named")),
        };
        let found = match entry(&document, "contexts", &name, "context")? {
            (Some(found), _) => found,
            (None, names) => return Err(wrong(&name, format!("the kubeconfig has {names}"))),
        };
        let found = Value::Object(found);
        let part = |list: &str, key: &str| -> Result<Option<Map<String, Value>>, ClusterError> {
            let Some(wanted) = text(&found, key) else { return Ok(None) };
            match entry(&document, list, wanted, key)? {
                (Some(part), _) => Ok(Some(part)),
                (None, names) => {
                    let reason =
                        format!("its {key} is `{}`, and the kubeconfig has {}", escape_terminal(wanted), names);
                    Err(wrong(&name, reason))
                }
            }
        };
        let Some(cluster) = part("clusters", "cluster")? else {
            return Err(wrong(&name, "it names no cluster".to_owned()));
        };
        let user = part("users", "user")?.unwrap_or_default();
        let namespace = text(&found, "namespace").filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Self { context: name, namespace, cluster, user })
    }

    fn subject(&self) -> String {
        context_subject(&self.context)
    }

    fn wrong(&self, reason: String) -> ClusterError {
        wrong(&self.context, reason)
    }

    fn server(&self) -> Result<String, ClusterError> {
        let server = self.cluster.get("server").and_then(Value::as_str).unwrap_or_default();
        let rest = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or_default();
        let host = rest.split('/').next().unwrap_or_default();
        if host.is_empty() || host.contains('@') || server.contains(['?', '#']) {
            return Err(self.wrong("its `server` is not an address such as https://HOST:PORT".to_owned()));
        }
        Ok(server.to_owned())
    }

    /// Login programs would see our whole environment, and client libraries start them at any time.
    fn refuse_programs(&self) -> Result<(), ClusterError> {
        match ["exec", "auth-provider"].into_iter().find(|key| is_set(&self.user, key)) {
            Some(key) => Err(self.wrong(format!(
                "its user logs in by a program (`{key}`), which is never started: use the token of a service account"
            ))),
            None => Ok(()),
        }
    }

    /// A token is sent in a header, which holds one line of ASCII.
    fn refuse_unsendable(&self) -> Result<(), ClusterError> {
        let token = self.user.get("token").and_then(Value::as_str).unwrap_or_default();
        if token.ends_with('\n') && token.trim_end().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.wrong("its user's `token` ends with a line break: YAML's `|-` leaves it out".to_owned()));
        }
        if token.bytes().any(|byte| !byte.is_ascii_graphic()) {
            let reason =
                "its user's `token` has a character that no token has: a space, a control character, or none of ASCII";
            return Err(self.wrong(reason.to_owned()));
        }
        Ok(())
    }

    /// Refuses `username` and `password`, which API servers ignore, so that requests would be anonymous, and an authority in
    /// which there is no certificate.
    fn refuse_unusable(&self) -> Result<(), ClusterError> {
        let data = self.cluster.get("certificate-authority-data").and_then(Value::as_str).unwrap_or_default();
        if !data.trim().is_empty() && first_certificate(data).is_none() {
            let reason = "its `certificate-authority-data` is no certificate: PEM, written in base64";
            return Err(self.wrong(reason.to_owned()));
        }
        match ["username", "password"].into_iter().find(|key| is_set(&self.user, key)) {
            Some(key) => Err(self.wrong(format!(
                "its user logs in by name and password (`{key}`), which no API server takes: use the token of a service account"
            ))),
            None => Ok(()),
        }
    }

    fn risks(&self, server: &str) -> BTreeSet<Risk> {
        let mut risks = BTreeSet::new();
        if self.files().next().is_some() {
            risks.insert(Risk::Files);
        }
        if server.starts_with("http://") {
            risks.insert(Risk::PlainHttp);
        }
        // Anything but a plain `false` counts, however it is written.
        if self.cluster.get("insecure-skip-tls-verify").is_some_and(|value| !value.is_null() && value != false) {
            risks.insert(Risk::InsecureTls);
        }
        if is_set(&self.cluster, "proxy-url") {
            risks.insert(Risk::Proxy);
        }
        risks
    }

    fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let of_cluster = [("certificate-authority", &self.cluster)];
        let of_user = [("client-certificate", &self.user), ("client-key", &self.user), ("tokenFile", &self.user)];
        of_cluster
            .into_iter()
            .chain(of_user)
            .filter_map(|(key, part)| Some((key, part.get(key)?.as_str()?)).filter(|(_, path)| !path.is_empty()))
    }

    fn relative_file(&self) -> Option<&'static str> {
        self.files().find(|(_, path)| !path.starts_with('/')).map(|(key, _)| key)
    }
}

fn read(bytes: &[u8]) -> Result<Value, ClusterError> {
    if bytes.len() > SIZE_LIMIT {
        return Err(kubeconfig(format!("it is larger than {SIZE_LIMIT} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| kubeconfig("it is not UTF-8 text"))?;
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 },
    };
    let document: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        if matches!(error.without_snippet(), serde_saphyr::Error::MultipleDocuments { .. }) {
            return kubeconfig("it has more than one YAML document: keep the one with `kind: Config`");
        }
        // The message of the parser can quote a value; the place is enough to find it.
        let place = error.location().map(|place| format!(" (line {})", place.line())).unwrap_or_default();
        kubeconfig(format!("it is not YAML without anchors and duplicate keys{place}"))
    })?;
    if document.is_object() { Ok(document) } else { Err(kubeconfig("it is not a map")) }
}

/// The part of the entry with that name, and the names that there are.
fn entry(
    document: &Value,
    list: &str,
    name: &str,
    part: &str,
) -> Result<(Option<Map<String, Value>>, String), ClusterError> {
    let entries = document.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut found = entries.iter().filter(|entry| text(entry, "name") == Some(name));
    let first = found.next();
    if found.next().is_some() {
        return Err(kubeconfig(format!("`{list}` has two entries named `{}`", escape_terminal(name))));
    }
    let names: Vec<_> = entries
        .iter()
        .filter_map(|entry| text(entry, "name"))
        .map(|name| format!("`{}`", escape_terminal(name)))
        .collect();
    let names = if names.is_empty() { format!("no {list}") } else { format!("{list} {}", names.join(", ")) };
    Ok((first.and_then(|entry| entry.get(part)).and_then(Value::as_object).cloned(), names))
}

fn is_set(part: &Map<String, Value>, key: &str) -> bool {
    part.get(key).is_some_and(|value| !value.is_null() && value != "")
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn context_subject(context: &str) -> String {
    format!("context `{}`", escape_terminal(context))
}

fn wrong(context: &str, reason: String) -> ClusterError {
    ClusterError::new(context_subject(context), ClusterErrorKind::Kubeconfig { reason })
}

fn kubeconfig(reason: impl Into<String>) -> ClusterError {
    ClusterError::new("the kubeconfig", ClusterErrorKind::Kubeconfig { reason: reason.into() })
}
