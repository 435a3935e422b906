//! Every environment variable that the program reads, in one place.

use std::collections::BTreeMap;
use std::ffi::OsString;

use lock_model::escaping::credentials_of;
use secrecy::SecretString;

/// A variable that changes what the program does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, for the reference.
    pub description: &'static str,
}

/// Folder of the local forge.
pub(crate) const FORGE: Variable =
    Variable { name: "ORCHESTRATOR_FORGE", description: "Folder of the local forge, as `--forge`." };
/// Acting user.
pub(crate) const ACTOR: Variable = Variable {
    name: "ORCHESTRATOR_AS",
    description: "User of the local forge who acts, as `--as`; default: the person with git's `user.email`. The update \
                  hook reads it too: it names who pushes.",
};
/// What a shell asks for completions with.
pub(crate) const COMPLETE: Variable = Variable {
    name: "ORCHESTRATOR_COMPLETE",
    description: "Set by the script that `completion` prints, to the name of the shell that asks.",
};
/// Fixed clock.
pub(crate) const CLOCK: Variable = Variable {
    name: "ORCHESTRATOR_CLOCK",
    description: "A fixed clock for tests and the demo, such as `2026-01-05T09:00:00Z`: it starts there and \
                  advances a second with each record of the ledger. Accepted with the local forge only.",
};
/// Cache folder.
pub(crate) const CACHE: Variable = Variable {
    name: "ORCHESTRATOR_CACHE",
    description: "Folder for what was fetched (commits of submodules, manifests of images), as `--cache`. Default: a \
                  folder beside the git objects.",
};
/// Run identity given by the CI system.
pub(crate) const RUN_ID: Variable =
    Variable { name: "GITHUB_RUN_ID", description: "Identity of the CI run, written into ledger records." };
/// Attempt of the CI run.
pub(crate) const RUN_ATTEMPT: Variable =
    Variable { name: "GITHUB_RUN_ATTEMPT", description: "Attempt of the CI run, written into ledger records." };
/// Set by GitHub Actions.
pub(crate) const ACTIONS: Variable = Variable {
    name: "GITHUB_ACTIONS",
    description: "When `true`: secrets that a command reads are masked in the log of the job, by `::add-mask::`.",
};
/// Step summary file of GitHub Actions.
pub(crate) const STEP_SUMMARY: Variable = Variable {
    name: "GITHUB_STEP_SUMMARY",
    description: "File that `--format github` adds the report to, in Markdown.",
};
/// Program search path.
pub(crate) const PATH: Variable =
    Variable { name: "PATH", description: "Where `git` and the programs of suites are found." };
/// Kubeconfig of the demo.
pub(crate) const KUBECONFIG: Variable = Variable {
    name: "KUBECONFIG",
    description: "The kubeconfig of `demo --cluster`, one file; default `$HOME/.kube/config`. No other command reads it.",
};
/// Home folder.
pub(crate) const HOME: Variable =
    Variable { name: "HOME", description: "Handed to `git`, for its credential helpers; `~/` of `kubeconfig.file`." };
/// Folder of docker's configuration.
pub(crate) const DOCKER_CONFIG: Variable = Variable {
    name: "DOCKER_CONFIG",
    description: "Folder of docker's `config.json` with logins of registries; default `$HOME/.docker`.",
};
/// Podman's file with logins.
pub(crate) const REGISTRY_AUTH_FILE: Variable = Variable {
    name: "REGISTRY_AUTH_FILE",
    description: "File with logins, as docker and podman write it; where it is set, no other file is read.",
};
/// Folder of podman's logins of this session.
pub(crate) const XDG_RUNTIME_DIR: Variable =
    Variable { name: "XDG_RUNTIME_DIR", description: "Where podman's `containers/auth.json` is looked for next." };
/// Folder of podman's logins for good.
pub(crate) const XDG_CONFIG_HOME: Variable = Variable {
    name: "XDG_CONFIG_HOME",
    description: "Where podman's `containers/auth.json` is looked for last; default `$HOME/.config`.",
};
/// Explicit logins; named here for the reference.
pub(crate) const REGISTRY_LOGIN: Variable = Variable {
    name: "ORCHESTRATOR_REGISTRY_HOST",
    description: "A registry, or a part of one, for an explicit login with `ORCHESTRATOR_REGISTRY_USERNAME` and \
                  `…_PASSWORD`, or `…_IDENTITY_TOKEN`, or `…_REGISTRY_TOKEN`. Further registries: the same names ending \
                  in `_1`, `_2`, …",
};
/// The job's token on GitHub.
pub(crate) const GITHUB_TOKEN: Variable =
    Variable { name: "GITHUB_TOKEN", description: "Login for ghcr.io where no file with logins exists." };
/// Who started the job on GitHub.
pub(crate) const GITHUB_ACTOR: Variable =
    Variable { name: "GITHUB_ACTOR", description: "User name that goes with `GITHUB_TOKEN`." };
/// Proxy for plain HTTP.
pub(crate) const HTTP_PROXY: Variable =
    Variable { name: "HTTP_PROXY", description: "Proxy on the way to registries that speak plain HTTP." };
/// Proxy for HTTPS.
pub(crate) const HTTPS_PROXY: Variable =
    Variable { name: "HTTPS_PROXY", description: "Proxy on the way to registries." };
/// Exceptions from the proxies.
pub(crate) const NO_PROXY: Variable =
    Variable { name: "NO_PROXY", description: "Hosts that are reached without a proxy." };
/// Authorities for every registry.
pub(crate) const CA_FILE: Variable = Variable {
    name: "ORCHESTRATOR_CA_FILE",
    description: "File with certificates of authorities, in PEM, that are trusted for every registry beside the \
                  machine's own: for a proxy that looks into TLS.",
};
/// Colour switch.
pub(crate) const NO_COLOR: Variable = Variable {
    name: "NO_COLOR",
    description: "No colours, whatever the terminal can do (no-color.org); `--color` counts before it.",
};
/// Colours without a terminal.
pub(crate) const CLICOLOR_FORCE: Variable =
    Variable { name: "CLICOLOR_FORCE", description: "Other than `0`: colours in files and pipes, too." };
/// Colours on a terminal.
pub(crate) const CLICOLOR: Variable =
    Variable { name: "CLICOLOR", description: "`0`: no colours on a terminal either (bixense.com/clicolors)." };

/// What the terminal can do.
pub(crate) const TERM: Variable =
    Variable { name: "TERM", description: "`dumb`, or nothing: plain lines instead of progress bars, and no colours." };
/// Set by CI systems.
pub(crate) const CI: Variable = Variable {
    name: "CI",
    description: "When `true` and no user is named: the forge's bot acts. When set at all: plain lines instead of progress \
                  bars, even on a terminal.",
};

/// All of them, in the order of the reference.
pub(crate) const ALL: [Variable; 28] = [
    ACTOR,
    CACHE,
    CA_FILE,
    CLOCK,
    COMPLETE,
    FORGE,
    REGISTRY_LOGIN,
    CI,
    CLICOLOR,
    CLICOLOR_FORCE,
    DOCKER_CONFIG,
    ACTIONS,
    GITHUB_ACTOR,
    RUN_ATTEMPT,
    RUN_ID,
    STEP_SUMMARY,
    GITHUB_TOKEN,
    HOME,
    HTTPS_PROXY,
    HTTP_PROXY,
    KUBECONFIG,
    NO_COLOR,
    NO_PROXY,
    PATH,
    REGISTRY_AUTH_FILE,
    TERM,
    XDG_CONFIG_HOME,
    XDG_RUNTIME_DIR,
];

/// What children inherit when it is set: enough for git, ssh, certificates and locale, and nothing that
/// carries a token.
const INHERITED: [&str; 11] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
];

/// What `git` sees besides when it fetches submodules: who the job is towards their hosts, and the way there. The library
/// takes no other variable that begins with `GIT_`, such as one that names a repository.
pub(crate) const FOR_SUBMODULES: [&str; 32] = [
    "GIT_ASKPASS",
    "GIT_HTTP_PROXY_AUTHMETHOD",
    "GIT_PASSWORD",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_USERNAME",
    "SSH_ASKPASS",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    // Proxies, as curl reads them.
    "ALL_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    // What credential helpers ask.
    "CI_JOB_TOKEN",
    "DBUS_SESSION_BUS_ADDRESS",
    "GH_CONFIG_DIR",
    "GH_ENTERPRISE_TOKEN",
    "GH_HOST",
    "GH_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_HOST",
    "GITLAB_TOKEN",
    "GNUPGHOME",
    "GPG_TTY",
    "PASSWORD_STORE_DIR",
    "SYSTEM_ACCESSTOKEN",
    "XDG_RUNTIME_DIR",
];
/// The same for whole families of variables.
pub(crate) const FOR_SUBMODULES_PREFIXES: [&str; 7] =
    ["AWS_", "AZURE_", "GCM_", "GIT_CONFIG_", "GIT_PROXY_SSL_", "GIT_SSL_", "GOOGLE_"];

/// Reads a variable; empty counts as unset.
pub(crate) fn read(variable: Variable) -> Option<String> {
    read_named(variable.name)
}

/// Reads a variable that the configuration names (`{ env: NAME }`); empty counts as unset.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(crate) fn read_named(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a variable in capitals, or in small letters as some programs write it.
pub(crate) fn read_either_case(variable: Variable) -> Option<String> {
    read(variable).or_else(|| read_named(&variable.name.to_ascii_lowercase()))
}

/// All variables whose name begins like this; any of them may be a secret.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(crate) fn with_prefix(prefix: &str) -> BTreeMap<String, SecretString> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, value)| (name, SecretString::from(value)))
        .collect()
}

/// Variables by name or by what their name begins with, to hand on.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(crate) fn named(names: &[&str], prefixes: &[&str]) -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| {
            name.to_str()
                .is_some_and(|name| names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix)))
        })
        .collect()
}

/// What `git` is given to fetch submodules.
pub(crate) fn for_submodules() -> Vec<(OsString, OsString)> {
    named(&FOR_SUBMODULES, &FOR_SUBMODULES_PREFIXES)
}

/// The values of this program's own logins, and of the proxies' addresses: what no program's output may repeat.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(crate) fn logins() -> Vec<SecretString> {
    let is_secret = |name: &str| {
        let own_setting =
            name.starts_with("ORCHESTRATOR_") && !["PASSWORD", "TOKEN"].iter().any(|word| name.contains(word));
        config::is_login(name) && !own_setting
    };
    let texts =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut values = Vec::new();
    for (name, value) in texts {
        if is_secret(&name) {
            values.push(SecretString::from(value));
        } else if name.to_ascii_uppercase().ends_with("_PROXY") {
            values.extend(credentials_of(&value).into_iter().map(SecretString::from));
        }
    }
    values
}

/// Whether a stream gets colours where `--color` leaves it open.
pub(crate) fn wants_colour(is_terminal: bool) -> bool {
    if read(NO_COLOR).is_some() {
        return false;
    }
    let is_forced = read(CLICOLOR_FORCE).is_some_and(|value| value != "0");
    is_forced || (is_terminal && !is_dumb_terminal() && read(CLICOLOR).is_none_or(|value| value != "0"))
}

/// Whether the terminal can neither move its cursor nor show colours.
pub(crate) fn is_dumb_terminal() -> bool {
    read(TERM).is_none_or(|term| term == "dumb")
}

/// The search path for programs.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(crate) fn search_path() -> OsString {
    std::env::var_os(PATH.name).unwrap_or_default()
}

/// The named list that every child gets.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(crate) fn for_children() -> Vec<(&'static str, OsString)> {
    INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect()
}
