//! Formats of text in the configuration: how each is checked, and what the JSON Schema says of it.

use lock_model::{
    BranchName, Date, EnvironmentName, ImageReference, ImageRepository, Platform, RepositoryUrl, ServiceName,
    SuiteName, TreePath,
};
use schemars::JsonSchema;

use super::hosts::{is_host, is_host_port};
use super::kubeconfig::{LoginProgram, MachineFile};
use super::noise::{self, FieldPath};
use super::probes::{ProbePlace, service_url};
use super::readiness::{GroupKind, Label, NamedObject};
use super::release_inputs::named_file;
use super::submodules::{AcceptedRef, AllowedSource};
use super::values::{
    EnvironmentVariable, Mode, Namespace, ObjectName, ValuesPath, is_login, login_pattern, parse_duration,
};
use crate::patterns::Pattern;
use crate::variables::{Template, Variable};

/// A format of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Words for people: not empty, one line.
    Sentence,
    /// Name of a probe or of a dependency.
    Label,
    Prefix,
    ServiceName,
    EnvironmentName,
    SuiteName,
    Branch,
    Mode,
    Namespace,
    /// Name of an object of Kubernetes.
    ObjectName,
    EnvironmentVariable,
    /// A file of the machine.
    MachineFile,
    /// A program by which the user of a kubeconfig logs in.
    LoginProgram,
    ValuesPath,
    /// The path of a field of an object.
    FieldPath,
    /// `GROUP/KIND`
    GroupKind,
    /// An object by its kind and name, such as `Namespace/monitoring`.
    NamedObject,
    /// `KEY=VALUE`
    ObjectLabel,
    /// Key of a setting, which becomes an environment variable.
    SettingKey,
    Path,
    Pattern,
    Platform,
    /// An image reference without a digest.
    UnpinnedImage,
    /// An image reference with a digest.
    PinnedImage,
    /// A repository of images with its registry.
    ImageRepository,
    /// An amount of a resource, as Kubernetes writes it.
    Quantity,
    Duration,
    Date,
    RepositoryUrl,
    /// An `http(s)://` address.
    Address,
    /// `HOST:PORT`
    HostPort,
    /// A host without a port.
    HostName,
    /// `HOST:PORT` or `svc/NAME:PORT`
    ProbePlace,
    HeaderName,
    /// What a value is compared with: `<= 0.05`.
    Bound,
    RegistryHost,
    Mirror,
    AllowedSource,
    AcceptedRef,
    /// Text with some variables.
    Template(&'static [Variable]),
    /// First word of a command, or an argument of it.
    Argument(&'static [Variable]),
    /// `http(s)://…` with variables, `tcp://HOST:PORT`, or an address by a protocol.
    Dependency(&'static [Variable]),
}

/// Why text is not of a format.
pub(super) struct Violation {
    pub message: String,
    /// The part of the text that is meant, in characters.
    pub part: Option<(usize, usize)>,
    /// A word that is not among these.
    pub unknown: Option<(String, &'static [Variable])>,
}

impl From<String> for Violation {
    fn from(message: String) -> Self {
        Self { message, part: None, unknown: None }
    }
}

impl Format {
    /// Checks text.
    pub(super) fn check(self, text: &str) -> Result<(), Violation> {
        let refused = |error: String| Err(Violation::from(error));
        let escaped = lock_model::escaping::escape_terminal(text);
        match self {
            Self::Sentence if text.trim().is_empty() => refused("this is empty".to_owned()),
            Self::Sentence if text.contains('\n') => refused("this is more than one line".to_owned()),
            Self::Sentence => Ok(()),
            Self::Prefix if text.is_empty() => Ok(()),
            Self::Prefix | Self::ServiceName => parse::<ServiceName>(text),
            Self::Label | Self::SuiteName => parse::<SuiteName>(text).map_err(|violation| match self {
                Self::Label => violation.message.replace("suite name", "name").into(),
                _ => violation,
            }),
            Self::EnvironmentName => parse::<EnvironmentName>(text),
            Self::Branch => parse::<BranchName>(text),
            Self::Mode => parse::<Mode>(text),
            Self::Namespace => parse::<Namespace>(text),
            Self::ObjectName => parse::<ObjectName>(text),
            Self::MachineFile => parse::<MachineFile>(text),
            Self::LoginProgram => parse::<LoginProgram>(text),
            Self::EnvironmentVariable if is_login(text) => refused(format!(
                "`{escaped}` is a variable of orchestrator itself or a login: no suite, probe or address is given it"
            )),
            Self::EnvironmentVariable => parse::<EnvironmentVariable>(text),
            Self::ValuesPath => parse::<ValuesPath>(text),
            Self::FieldPath => parse::<FieldPath>(text),
            Self::GroupKind => parse::<GroupKind>(text),
            Self::NamedObject => parse::<NamedObject>(text),
            Self::ObjectLabel => parse::<Label>(text),
            Self::SettingKey if is_setting_key(text) => Ok(()),
            Self::SettingKey => refused(format!(
                "`{escaped}` is no key of a setting: letters, digits, `-`, `_` and `.`, and neither a digit nor `..` first"
            )),
            Self::Path => named_file(text).map(drop).map_err(Violation::from),
            Self::Pattern => Pattern::new(text).map(drop).map_err(|error| error.to_string().into()),
            Self::Platform => parse::<Platform>(text),
            Self::UnpinnedImage => match text.parse::<ImageReference>() {
                Ok(reference) if reference.digest.is_some() => {
                    refused(format!("`{escaped}` has a digest, and needs no exception"))
                }
                Ok(_) => Ok(()),
                Err(error) => refused(error.to_string()),
            },
            Self::PinnedImage => match text.parse::<ImageReference>() {
                Ok(reference) if reference.digest.is_none() => {
                    refused(format!("`{escaped}` has no digest, and a tag can be moved: `REPOSITORY@sha256:…`"))
                }
                Ok(_) => Ok(()),
                Err(error) => refused(error.to_string()),
            },
            Self::ImageRepository => parse::<ImageRepository>(text),
            Self::Quantity if is_quantity(text) => Ok(()),
            Self::Quantity => refused(format!("`{escaped}` is no amount of a resource, such as `500m` or `512Mi`")),
            Self::Duration => parse_duration(text).map(drop).map_err(|error| error.to_string().into()),
            Self::Date => parse::<Date>(text),
            Self::RepositoryUrl => parse::<RepositoryUrl>(text),
            Self::AllowedSource => parse::<AllowedSource>(text),
            Self::AcceptedRef => parse::<AcceptedRef>(text),
            Self::Address if is_address(text) => Ok(()),
            Self::Address => refused(format!(
                "`{escaped}` is not an address: `http://` or `https://`, a host, no user, no white space"
            )),
            Self::HostPort if is_host_port(text) => Ok(()),
            Self::HostPort => refused(format!("`{escaped}` is not `HOST:PORT`")),
            Self::HostName if is_host(text) => Ok(()),
            Self::HostName => refused(format!("`{escaped}` is not a host name")),
            Self::ProbePlace => parse::<ProbePlace>(text),
            Self::HeaderName if is_header_name(text) => Ok(()),
            Self::HeaderName => refused(format!("`{escaped}` is not the name of a header")),
            Self::Bound if is_bound(text) => Ok(()),
            Self::Bound => refused(format!("`{escaped}` is no bound, such as `< 0.05` or `>= 2`")),
            Self::RegistryHost
                if (is_host(text) || is_host_port(text)) && text.contains(|c: char| c.is_ascii_uppercase()) =>
            {
                refused(format!("images name hosts in lower case: `{}`", escaped.to_ascii_lowercase()))
            }
            Self::RegistryHost if is_host(text) || is_host_port(text) => Ok(()),
            Self::RegistryHost => {
                refused(format!("`{escaped}` is not a registry's host, such as `ghcr.io` or `127.0.0.1:5000`"))
            }
            Self::Mirror if is_mirror(text) => Ok(()),
            Self::Mirror => refused(format!(
                "`{escaped}` is no mirror: `oci-layout:DIR`, `https://HOST` or `https://HOST/PATH`, or `http://` on this machine"
            )),
            Self::Template(allowed) | Self::Argument(allowed) => {
                if text.is_empty() {
                    return refused("this is empty".to_owned());
                }
                template(text, allowed)
            }
            Self::Dependency(allowed) => match text.strip_prefix("tcp://") {
                Some(address) if is_host_port(address) => Ok(()),
                None if text.starts_with("http://") || text.starts_with("https://") || text.starts_with("{url}") => {
                    template(text, allowed)
                }
                _ => match service_url(text) {
                    Some(Ok(_)) => Ok(()),
                    Some(Err(error)) => refused(error),
                    None => refused(format!(
                        "`{escaped}` is no dependency: `http://…`, `https://…`, `{{url}}…`, `tcp://HOST:PORT` or an address \
                         by a protocol, such as `postgres://svc/db:5432`"
                    )),
                },
            },
        }
    }

    /// What the JSON Schema says beside `type: string`.
    pub(super) fn schema(self) -> serde_json::Map<String, serde_json::Value> {
        let pattern = match self {
            Self::Sentence => r"^.*\S.*$".to_owned(),
            Self::Prefix => format!("{}|^$", pattern_of::<ServiceName>()),
            Self::ServiceName => pattern_of::<ServiceName>(),
            Self::Label | Self::SuiteName => pattern_of::<SuiteName>(),
            Self::EnvironmentName => pattern_of::<EnvironmentName>(),
            Self::Branch => pattern_of::<BranchName>(),
            Self::Mode => pattern_of::<Mode>(),
            Self::Namespace => pattern_of::<Namespace>(),
            Self::ObjectName => pattern_of::<ObjectName>(),
            Self::MachineFile => pattern_of::<MachineFile>(),
            Self::LoginProgram => pattern_of::<LoginProgram>(),
            Self::EnvironmentVariable => {
                let name = pattern_of::<EnvironmentVariable>();
                format!("^(?!{}){}", login_pattern(), name.trim_start_matches('^'))
            }
            Self::ValuesPath => pattern_of::<ValuesPath>(),
            Self::FieldPath => noise::PATTERN.to_owned(),
            Self::GroupKind => pattern_of::<GroupKind>(),
            Self::NamedObject => pattern_of::<NamedObject>(),
            Self::ObjectLabel => pattern_of::<Label>(),
            Self::SettingKey => r"^(?!\.\.|\.$)[A-Za-z_.-][A-Za-z0-9_.-]*$".to_owned(),
            Self::Path => pattern_of::<TreePath>().replacen('^', "^(?!locks(/|$))", 1),
            Self::Pattern => r"^(?![-/])(?!\.\.?/)(?!.*/$)[^\s\[\]!\\]+$".to_owned(),
            Self::Platform => pattern_of::<Platform>(),
            Self::UnpinnedImage => r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$".to_owned(),
            Self::PinnedImage => r"^[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$".to_owned(),
            Self::ImageRepository => pattern_of::<ImageRepository>(),
            Self::Quantity => r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$".to_owned(),
            Self::Duration => "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$".to_owned(),
            Self::Date => "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$".to_owned(),
            Self::RepositoryUrl => pattern_of::<RepositoryUrl>(),
            Self::AllowedSource => pattern_of::<AllowedSource>(),
            Self::AcceptedRef => pattern_of::<AcceptedRef>(),
            Self::Address => r"^https?://[^\s/?#@{}\\]+([/?#][^\s{}\\]*)?$".to_owned(),
            Self::HostPort => format!("^{HOST}:[0-9]{{1,5}}$"),
            Self::HostName => format!("^{HOST}$"),
            Self::ProbePlace => format!("^({HOST}:[0-9]{{1,5}}|{SERVICE})$"),
            Self::HeaderName => "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$".to_owned(),
            Self::Bound => r"^(<=|>=|==|<|>) ?-?[0-9]+(\.[0-9]+)?$".to_owned(),
            Self::RegistryHost => format!("^(?!.*[A-Z]){HOST}(:[0-9]{{1,5}})?$"),
            Self::Mirror => format!(
                "^(oci-layout:[^-].*|(https://{HOST}|http://(127\\.0\\.0\\.1|localhost|\\[::1\\]))(:[0-9]{{1,5}})?{FOLDERS})$"
            ),
            Self::Template(allowed) | Self::Argument(allowed) => format!("^{}$", template_pattern(allowed)),
            Self::Dependency(allowed) => {
                let rest = template_pattern(allowed);
                let schemes = "postgres(ql)?|mysql|rediss?|amqps?|nats|grpcs?";
                let service = format!("({schemes})://({HOST}:[0-9]{{1,5}}|{SERVICE})(/[^?#%@]*)?");
                format!("^(tcp://{HOST}:[0-9]{{1,5}}|{service}|https?://{rest}|\\{{url\\}}({rest})?)$")
            }
        };
        let mut map = serde_json::Map::new();
        map.insert("type".to_owned(), "string".into());
        map.insert("pattern".to_owned(), pattern.into());
        map
    }
}

/// Folders of an image repository, or none.
const FOLDERS: &str = r"(/[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*)*";

/// A port of a Service in the environment's namespace.
const SERVICE: &str = "svc/[a-z0-9]([a-z0-9-]*[a-z0-9])?:[1-9][0-9]{0,4}";

const HOST: &str = r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])";

/// What Kubernetes takes as the name of an environment variable of a container.
pub(super) fn is_setting_key(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= 253
        && text.bytes().all(is_plain)
        && !text.bytes().next().is_none_or(|byte| byte.is_ascii_digit())
        && text != "."
        && !text.starts_with("..")
}

fn is_header_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte))
}

fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let suffix = text.strip_prefix(number).unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number =
        number.split_once('.').map_or_else(|| digits(number), |(whole, part)| digits(whole) && digits(part));
    is_number && matches!(suffix, "" | "m" | "k" | "Ki" | "M" | "Mi" | "G" | "Gi" | "T" | "Ti")
}

fn is_bound(text: &str) -> bool {
    let number = ["<=", ">=", "==", "<", ">"].iter().find_map(|sign| text.strip_prefix(sign));
    let Some(number) = number.map(|number| number.strip_prefix(' ').unwrap_or(number)) else { return false };
    let number = number.strip_prefix('-').unwrap_or(number);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(number),
    }
}

fn template_pattern(allowed: &[Variable]) -> String {
    let pattern = |variable: &Variable| match variable {
        Variable::Environment => r"env:([A-Za-z0-9_]|\{[A-Za-z_]+\})+".to_owned(),
        Variable::ImageOf => r"image:[^{}]+\.(registry|path|repository|tag|digest|reference)".to_owned(),
        plain => plain.as_str().replace('.', "\\."),
    };
    let names: Vec<String> = allowed.iter().map(pattern).collect();
    if names.is_empty() { r"([^{]|\{\{)+".to_owned() } else { format!(r"([^{{]|\{{\{{|\{{({})\}})+", names.join("|")) }
}

fn pattern_of<T: JsonSchema>() -> String {
    let schema = T::json_schema(&mut schemars::SchemaGenerator::default());
    schema.get("pattern").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(), Violation> {
    text.parse::<T>().map(drop).map_err(|error| error.to_string().into())
}

fn template(text: &str, allowed: &'static [Variable]) -> Result<(), Violation> {
    match Template::new(text, allowed) {
        Ok(_) => Ok(()),
        Err(error) => Err(Violation {
            message: error.to_string(),
            part: Some((error.offset(), error.width())),
            unknown: error.unknown().map(|name| (name.to_owned(), allowed)),
        }),
    }
}

fn is_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '{' | '}' | '\\'));
    plain && (is_host(host) || is_host_port(host))
}

fn is_mirror(text: &str) -> bool {
    if let Some(folder) = text.strip_prefix("oci-layout:") {
        return !folder.is_empty() && !folder.starts_with('-') && !folder.contains(char::is_control);
    }
    let Some((scheme, address)) = text.split_once("://") else { return false };
    let (host, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    if !path.is_empty() && ImageRepository::try_from(format!("mirror.example{path}")).is_err() {
        return false;
    }
    match scheme {
        "https" => return is_host(host) || is_host_port(host),
        "http" => {}
        _ => return false,
    }
    let name = if is_host_port(host) { host.rsplit_once(':').map_or(host, |(name, _)| name) } else { host };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_without_encryption_are_on_this_machine() {
        for good in [
            "oci-layout:../registry",
            "http://127.0.0.1:5000",
            "http://[::1]:5000",
            "http://localhost",
            "https://mirror.example",
            "https://harbor.example:8443/dockerhub-proxy/library",
            "http://127.0.0.1:5000/hub_proxy",
        ] {
            assert!(is_mirror(good), "{good}");
        }
        for bad in [
            "http://registry.example",
            "http://127.0.0.1.evil.example",
            "https://mirror.example/",
            "https://mirror.example/x/",
            "https://mirror.example/a//b",
            "https://mirror.example/../x",
            "https://mirror.example/X",
            "https://mirror.example/x?y",
            "https://mirror.example/%61",
            "https://user@mirror.example/x",
            "oci-layout:",
            "ftp://x",
            "",
            "oci-layout:-x",
        ] {
            assert!(!is_mirror(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_carry_no_user_and_no_variables() {
        for good in ["http://127.0.0.1:8080", "https://shop.example/api?x=1", "http://[::1]:1/"] {
            assert!(is_address(good), "{good}");
        }
        for bad in
            ["shop.example", "https://", "https://user:pass@shop.example", "https://a b", "http://{url}", "http://a:0"]
        {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
