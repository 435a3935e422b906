use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use lock_model::escaping::{credentials_of, escape_short, mask_address};
use process::{EnvVars, Invocation, Redactor};

use crate::address::{Address, address_of};
use crate::options::{GitOptions, configuration, own_settings};
use crate::output::{self, take_until, unexpected};
use crate::{Git, GitError};

/// What git takes from a job to reach remotes that are not the superproject's own: variables, and settings as they hold in
/// the job's clone.
///
/// The job itself speaks through its environment and through configuration of the scopes `command`, `global` and
/// `system`: credential helpers, ssh commands, headers, proxies, authorities. A clone's own configuration, with its
/// includes, adds only what runs nothing: `http.extraHeader`, `http.sslCAInfo` (both also for a URL), `http.proxy` and
/// `url.*.insteadOf`.
///
/// The debug form shows no value.
#[derive(Clone, Default)]
pub struct Transport {
    environment: EnvVars,
    settings: Vec<(String, OsString)>,
    rewrites: Vec<Rewrite>,
    ignored: Vec<String>,
    secrets: Vec<String>,
}

/// `url.BASE.insteadOf = PREFIX`
#[derive(Clone)]
struct Rewrite {
    prefix: String,
    base: String,
}

/// Who wrote a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// The job, its user or its machine.
    Job,
    /// The clone, which somebody else may have prepared.
    Clone,
}

/// Where git goes for an address, and what it must be given.
pub(crate) struct Destination {
    pub(crate) url: String,
    pub(crate) is_local: bool,
}

impl Git {
    /// Reads what holds in this repository for the job with these variables. One child.
    pub fn transport(&self, job: &EnvVars) -> Result<Transport, GitError> {
        let mut environment = self.options().environment.clone();
        environment.retain(|name| !name.as_encoded_bytes().starts_with(b"GIT_"));
        environment.extend(job.iter().filter(|(name, _)| is_taken(name)));
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(self.git_dir());
        let output = Invocation::new(self.program())
            .envs(&environment)
            .deadline(self.options().deadline)
            .redact(&self.options().redactor)
            .interrupt(&self.options().interrupt)
            .current_dir(self.git_dir())
            .arg(git_dir)
            .args(["config", "--list", "--includes", "--show-scope", "-z"])
            .run()?
            .checked()?;
        let mut transport = Transport { environment, ..Transport::default() };
        let mut rest = output.stdout.as_slice();
        while let Some(scope) = take_until(&mut rest, 0) {
            let entry = take_until(&mut rest, 0).ok_or_else(|| unexpected(&output, "scope, key and value"))?;
            let end = entry.iter().position(|&byte| byte == b'\n').unwrap_or(entry.len());
            let (key, value) = entry.split_at(end);
            let writer = match scope {
                b"command" | b"global" | b"system" => Writer::Job,
                _ => Writer::Clone,
            };
            // A key without `=` is true.
            let value = OsStr::from_bytes(value.get(1..).unwrap_or(b"true"));
            transport.take(writer, output::text(key, &output)?, value);
        }
        Ok(transport)
    }
}

impl Transport {
    /// Keys of the clone's own configuration that are not used, because they run programs; without credentials.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The address that git goes to for this one: the longest `insteadOf` that it begins with is replaced. It may hold
    /// credentials.
    pub fn rewritten(&self, address: &str) -> String {
        let matching =
            self.rewrites.iter().filter_map(|rewrite| Some((rewrite, address.strip_prefix(&rewrite.prefix)?)));
        // As git does: of two that are equally long the first.
        let longest = matching.reduce(|best, next| if next.0.prefix.len() > best.0.prefix.len() { next } else { best });
        longest.map_or_else(|| address.to_owned(), |(rewrite, rest)| format!("{}{rest}", rewrite.base))
    }

    fn take(&mut self, writer: Writer, key: &str, value: &OsStr) {
        let (section, rest) = key.split_once('.').unwrap_or((key, ""));
        let (subsection, name) = rest.rsplit_once('.').map_or((None, rest), |(part, name)| (Some(part), name));
        match (section, subsection, name) {
            ("url", Some(base), "insteadof") => {
                let prefix = value.to_string_lossy().into_owned();
                self.rewrites.push(Rewrite { prefix, base: base.to_owned() });
                return;
            }
            ("http", _, "extraheader" | "sslcainfo") | ("http", None, "proxy") => {}
            _ if writer == Writer::Clone => {
                if runs_a_program(section, name) && !value.is_empty() {
                    let shown = subsection.map(|part| format!("{}.", mask_address(part))).unwrap_or_default();
                    let key = escape_short(format!("{section}.{shown}{name}"), 200);
                    if !self.ignored.contains(&key) {
                        self.ignored.push(key);
                    }
                }
                return;
            }
            ("http" | "credential" | "ssh" | "transfer" | "protocol", ..) => {}
            ("fetch", _, name) if name.starts_with("fsck") => {}
            ("fetch", Some("fsck"), _) => {}
            ("core", None, "sshcommand" | "askpass" | "gitproxy") => {}
            _ => return,
        }
        let text = value.to_string_lossy();
        match name {
            "extraheader" => {
                // `AUTHORIZATION: basic BASE64`: each part by itself must not be seen.
                let credentials = text.split_once(':').map_or(&*text, |(_, rest)| rest).trim();
                let last = credentials.rsplit(' ').next().unwrap_or(credentials);
                self.secrets.extend([text.trim().to_owned(), credentials.to_owned(), last.to_owned()]);
            }
            "proxy" => self.secrets.extend(credentials_of(&text).into_iter().map(str::to_owned)),
            _ => {}
        }
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// Where git would go for an address that was accepted. What an `insteadOf` made of it must be reached by https or ssh:
    /// a folder or a remote helper is never the answer to an address that was none.
    pub(crate) fn destination(&self, address: &str) -> Result<Destination, GitError> {
        let url = self.rewritten(address);
        let kind = address_of(&url);
        let is_allowed = url == address
            || match kind {
                Address::Web | Address::Ssh => true,
                Address::Local | Address::Helper => false,
            };
        // Hidden characters, spaces and leading dashes: what no address that was accepted has.
        let is_plain = !url.contains(|c: char| lock_model::escaping::is_hidden(c) || c.is_whitespace())
            && !url.starts_with('-')
            && !url.split_once("://").is_some_and(|(_, rest)| rest.starts_with('-'));
        if is_allowed && (is_plain || url == address) {
            return Ok(Destination { is_local: kind == Address::Local, url });
        }
        Err(GitError::rewritten(mask_address(address), &escape_short(mask_address(&url), 200)))
    }

    /// Gives git what the job has, and nothing else of any configuration but ours.
    pub(crate) fn apply(&self, invocation: Invocation, options: &GitOptions, remote: &str, url: &str) -> Invocation {
        let mut environment = self.environment.clone();
        environment.retain(|name| !name.as_encoded_bytes().starts_with(b"GIT_CONFIG"));
        let ours = own_settings().filter(|(key, _)| key != "core.askPass");
        let address = (format!("remote.{remote}.url"), OsString::from(url));
        let settings = self.settings.iter().cloned().chain(ours).chain([address]);
        environment.extend(configuration(settings).iter());
        environment.extend([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
        let command = self.ssh_command().map(|command| with_batch_mode(&command));
        environment.insert("GIT_SSH_COMMAND", command.unwrap_or_else(|| options.ssh_command.clone()));
        invocation.envs(&environment)
    }

    /// What the job calls ssh, in the order in which git asks: a command for the shell.
    fn ssh_command(&self) -> Option<OsString> {
        let variable = |name: &str| self.environment.get(name).map(OsStr::to_owned);
        let setting = || self.settings.iter().rev().find(|(key, _)| key == "core.sshcommand");
        variable("GIT_SSH_COMMAND")
            .or_else(|| setting().map(|(_, value)| value.clone()))
            .or_else(|| variable("GIT_SSH").map(|program| quoted(&program)))
    }

    /// Masks headers and credentials of proxies.
    pub(crate) fn redact(&self, redactor: &mut Redactor) {
        for secret in &self.secrets {
            redactor.add(secret);
        }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&str> = self.settings.iter().map(|(key, _)| key.rsplit('.').next().unwrap_or(key)).collect();
        f.debug_struct("Transport")
            .field("environment", &self.environment)
            .field("settings", &keys)
            .finish_non_exhaustive()
    }
}

/// Variables of git that a job uses to say how remotes are reached. Those that name a repository, an index or an object
/// folder, and those that trace, are never taken.
fn is_taken(name: &OsStr) -> bool {
    const NAMES: [&[u8]; 7] = [
        b"GIT_ASKPASS",
        b"GIT_SSH",
        b"GIT_SSH_COMMAND",
        b"GIT_SSH_VARIANT",
        b"GIT_HTTP_PROXY_AUTHMETHOD",
        // What Jenkins gives to its own `GIT_ASKPASS`.
        b"GIT_USERNAME",
        b"GIT_PASSWORD",
    ];
    const PREFIXES: [&[u8]; 3] = [b"GIT_CONFIG_", b"GIT_SSL_", b"GIT_PROXY_SSL_"];
    let name = name.as_encoded_bytes();
    !name.starts_with(b"GIT_") || NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether git starts the value of a setting as a program when it reaches a remote.
fn runs_a_program(section: &str, name: &str) -> bool {
    matches!((section, name), ("credential", "helper") | ("core", "sshcommand" | "askpass" | "gitproxy"))
}

/// A path as one word of a shell.
fn quoted(program: &OsStr) -> OsString {
    let parts = program.as_bytes().split(|&byte| byte == b'\'').collect::<Vec<_>>().join(&b"'\\''"[..]);
    OsString::from_vec([&b"'"[..], &parts, b"'"].concat())
}

/// No program may wait for a person. Only ssh itself is known to take the option.
fn with_batch_mode(command: &OsStr) -> OsString {
    let words = command.to_string_lossy();
    let program = words.split_whitespace().next().unwrap_or_default().trim_matches('\'');
    let mut command = command.to_owned();
    if program.rsplit('/').next() == Some("ssh") {
        command.push(" -oBatchMode=yes");
    }
    command
}
