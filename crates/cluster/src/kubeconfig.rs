//! A kubeconfig, cut down to the one context that is used, and refused where it could do more than connect (T23).

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lock_model::escaping::{escape_terminal, excerpt, mask_address};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use crate::certificate::{Lifetime, certificate_lifetime, first_certificate, token_lifetime};
use crate::error::{ClusterError, ClusterErrorKind, Way};
use crate::login::{Login, LoginProgram};

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
        /// A program that gives the credentials.
        Program = "exec",
        /// Variables that it gives that program.
        Variables = "exec.env",
    }
}

impl Risk {
    pub(crate) fn refusal(self) -> &'static str {
        match self {
            Self::Files => "it names other files for certificates, keys or tokens",
            Self::PlainHttp => "the address of its server begins with `http:`, so that requests are not encrypted",
            Self::InsecureTls => "`insecure-skip-tls-verify` accepts every server",
            Self::Proxy => "`proxy-url` sends the requests through a proxy",
            Self::Program => "its user logs in by a program (`exec`)",
            Self::Variables => "it gives its login program variables (`exec.env`)",
        }
    }
}

/// What a kubeconfig may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Whatever these ask for; a program is allowed by its name alone.
    pub risks: BTreeSet<Risk>,
    /// Login programs, as the kubeconfig names them.
    pub programs: BTreeSet<String>,
    /// Variables that a kubeconfig may give its login program.
    pub variables: BTreeSet<String>,
    /// Proxies, by their addresses.
    pub proxies: BTreeSet<String>,
}

impl From<BTreeSet<Risk>> for Allowed {
    fn from(risks: BTreeSet<Risk>) -> Self {
        Self { risks, ..Self::default() }
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
    program: Option<LoginProgram>,
    login: Option<Login>,
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
    /// The file that `bytes` come from may be YAML or JSON. `auth-provider` is always refused. One with a login program needs
    /// its [`logged_in`](Self::logged_in) before a [`Connection`](crate::Connection) can be made of it.
    pub fn parse(bytes: &[u8], context: Option<&str>, allowed: &Allowed) -> Result<Self, ClusterError> {
        let mut parts = Parts::find(bytes, context)?;
        parts.refuse_provider()?;
        let program = parts.program()?;
        parts.refuse_unsendable()?;
        parts.refuse_unusable()?;
        let server = parts.server()?;
        let is_allowed = |risk: &Risk| match risk {
            Risk::Program => program.as_ref().is_some_and(|program| allowed.programs.contains(&program.command)),
            Risk::Variables => {
                let mut given = program.iter().flat_map(LoginProgram::own_variables);
                given.all(|name| allowed.variables.contains(name))
            }
            Risk::Proxy if parts.proxy().is_some_and(|proxy| allowed.proxies.iter().any(|one| is_same(one, proxy))) => {
                true
            }
            Risk::Files | Risk::PlainHttp | Risk::InsecureTls | Risk::Proxy => allowed.risks.contains(risk),
        };
        let refused: Vec<_> =
            parts.risks(&server, program.as_ref()).into_iter().filter(|risk| !is_allowed(risk)).collect();
        if !refused.is_empty() {
            let program = program.map(|program| escape_terminal(&program.command));
            let proxy = parts.proxy().map(|proxy| excerpt(mask_address(proxy)));
            return Err(ClusterError::new(parts.subject(), ClusterErrorKind::Risk { risks: refused, program, proxy }));
        }
        parts.user.remove("exec");
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
        Ok(Self { document, context: parts.context, server, namespace: parts.namespace, program, login: None })
    }

    /// The program by which its user logs in.
    pub fn login_program(&self) -> Option<&LoginProgram> {
        self.program.as_ref()
    }

    /// The same with the credentials that its login program prints. A token is replaced by a new one before it expires; a
    /// certificate is kept as long as this lives, also when it expires meanwhile. Fails where the program prints none.
    pub async fn logged_in(mut self, login: Login) -> Result<Self, ClusterError> {
        let credential = login.fresh().await.map_err(|error| {
            ClusterError::new(context_subject(&self.context), ClusterErrorKind::Login { reason: error.to_string() })
        })?;
        if let Some((certificate, key)) = credential.certificate() {
            self.document["users"][0]["user"] = json!({
                "client-certificate-data": STANDARD.encode(certificate),
                "client-key-data": STANDARD.encode(key.expose_secret()),
            });
        }
        self.login = Some(login);
        Ok(self)
    }

    /// What lies between this machine and an answer, apart from the API server.
    pub(crate) fn way(&self) -> Way {
        let proxy = self.document.pointer("/clusters/0/cluster/proxy-url").and_then(Value::as_str);
        Way {
            proxy: proxy.filter(|proxy| !proxy.is_empty()).map(|proxy| excerpt(mask_address(proxy))),
            program: self.program.as_ref().map(|program| excerpt(&program.command)),
        }
    }

    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
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

    /// The kubeconfig for a program such as helm: this context alone, as JSON, which is YAML too. Holds credentials; of a
    /// login program those that it gave last.
    pub fn to_json(&self) -> SecretString {
        let Some(token) = self.login.as_ref().and_then(Login::token) else { return self.document.to_string().into() };
        let mut document = self.document.clone();
        document["users"][0]["user"]["token"] = token.expose_secret().into();
        document.to_string().into()
    }

    /// Every value of it that must not be shown, for a redactor: also the lines of the key, as programs write it to a file.
    pub fn secrets(&self) -> Vec<SecretString> {
        let user = self.document.pointer("/users/0/user");
        let value = |key: &str| user?.get(key)?.as_str().filter(|text| !text.is_empty());
        let key = value("client-key-data").and_then(|key| STANDARD.decode(key).ok());
        let key = key.and_then(|key| String::from_utf8(key).ok()).map(Zeroizing::new);
        let lines = key.as_deref().into_iter().flat_map(|key| key.lines()).filter(|line| !line.starts_with("-----"));
        let values = ["token", "password", "client-key-data"].into_iter().filter_map(value);
        let values = values.chain(lines.filter(|line| !line.is_empty())).map(SecretString::from);
        values.chain(self.login.as_ref().and_then(Login::token)).collect()
    }

    /// When the API server accepts its client certificate or its token, as far as these say it.
    pub fn lifetime(&self) -> Lifetime {
        // A program gives new ones.
        if self.program.is_some() {
            return Lifetime::default();
        }
        let user = |key: &str| self.document.pointer("/users/0/user")?.get(key)?.as_str();
        // A token is what the API server looks at first.
        let found = match user("token").filter(|token| !token.is_empty()) {
            Some(token) => token_lifetime(token),
            None => user("client-certificate-data").and_then(certificate_lifetime),
        };
        found.unwrap_or_default()
    }

    pub(crate) fn for_client(&self) -> Result<kube::config::Kubeconfig, ClusterError> {
        if self.program.is_some() && self.login.is_none() {
            return Err(wrong(&self.context, "its login program was not asked".to_owned()));
        }
        // The token of a login is put into each request.
        serde_json::from_str(&self.document.to_string()).map_err(|error| {
            // The error of serde can quote a value.
            let reason = format!("a key has a value of another type (line {} of its JSON)", error.line());
            wrong(&self.context, reason)
        })
    }
}

/// Whether both are one address: the slash behind a host says nothing.
fn is_same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
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

    fn refuse_provider(&self) -> Result<(), ClusterError> {
        if is_set(&self.user, "auth-provider") {
            let reason = "its user logs in by `auth-provider`, which Kubernetes has dropped: use `exec`, or the token of a \
                          service account";
            return Err(self.wrong(reason.to_owned()));
        }
        Ok(())
    }

    fn program(&self) -> Result<Option<LoginProgram>, ClusterError> {
        match self.user.get("exec") {
            None | Some(Value::Null) => Ok(None),
            // A token is what goes into each request, as with kubectl, so the program would be started for nothing.
            Some(_) if is_set(&self.user, "token") => Ok(None),
            Some(Value::Object(exec)) => {
                LoginProgram::parse(exec, &self.cluster).map(Some).map_err(|reason| self.wrong(reason))
            }
            Some(_) => Err(self.wrong("its `exec` is no map".to_owned())),
        }
    }

    fn proxy(&self) -> Option<&str> {
        self.cluster.get("proxy-url")?.as_str()
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

    /// Refuses `username` and `password`, which API servers ignore, so that requests would be anonymous, an authority in
    /// which there is no certificate, and one that would not be looked at.
    fn refuse_unusable(&self) -> Result<(), ClusterError> {
        let data = self.cluster.get("certificate-authority-data").and_then(Value::as_str).unwrap_or_default();
        if !data.trim().is_empty() && first_certificate(data).is_none() {
            let reason = "its `certificate-authority-data` is no certificate: PEM, written in base64";
            return Err(self.wrong(reason.to_owned()));
        }
        let has_authority =
            ["certificate-authority-data", "certificate-authority"].iter().any(|key| is_set(&self.cluster, key));
        if has_authority && self.is_insecure() {
            let reason = "its cluster has a certificate authority beside `insecure-skip-tls-verify`, which helm and kubectl do not \
                          take: leave `insecure-skip-tls-verify` out";
            return Err(self.wrong(reason.to_owned()));
        }
        match ["username", "password"].into_iter().find(|key| is_set(&self.user, key)) {
            Some(key) => Err(self.wrong(format!(
                "its user logs in by name and password (`{key}`), which no API server takes: use the token of a service account"
            ))),
            None => Ok(()),
        }
    }

    fn risks(&self, server: &str, program: Option<&LoginProgram>) -> BTreeSet<Risk> {
        let mut risks = BTreeSet::new();
        if self.files().next().is_some() {
            risks.insert(Risk::Files);
        }
        if server.starts_with("http://") {
            risks.insert(Risk::PlainHttp);
        }
        if self.is_insecure() {
            risks.insert(Risk::InsecureTls);
        }
        if is_set(&self.cluster, "proxy-url") {
            risks.insert(Risk::Proxy);
        }
        if let Some(program) = program {
            risks.insert(Risk::Program);
            if program.own_variables().next().is_some() {
                risks.insert(Risk::Variables);
            }
        }
        risks
    }

    /// Anything but a plain `false` counts, however it is written.
    fn is_insecure(&self) -> bool {
        self.cluster.get("insecure-skip-tls-verify").is_some_and(|value| !value.is_null() && value != false)
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
