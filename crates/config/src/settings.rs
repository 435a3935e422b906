//! What an environment gives to services: `config`, `secret`, `pull-secret`.

use std::collections::BTreeMap;

use lock_model::TreePath;

use super::decode::{command_line_with, optional, parsed, parsed_list, template};
use super::problem::Problems;
use super::schema_variables::{SERVICE_VARIABLES, SET_VARIABLES};
use super::suites::CommandLine;
use super::tree::Node;
use super::values::{EnvironmentVariable, ObjectName};
use crate::variables::Template;

/// One entry of `config:` or `secret:`: where some keys with their values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingSource {
    /// Where they are.
    pub from: SettingOrigin,
    /// Whether a key that an earlier source gives is replaced; otherwise that is an error.
    pub replace: bool,
}

/// Where settings are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// `env`: the text of an environment variable.
    Variable {
        /// Its name, with variables of the service.
        name: Template,
        /// What it holds.
        format: SettingFormat,
    },
    /// `file`: a file of the superproject.
    File {
        /// Its path, with variables of the service.
        path: Template,
        /// What it holds.
        format: SettingFormat,
    },
    /// `command`: what a program prints.
    Command {
        /// The program; its arguments can have variables of the service.
        command: CommandLine,
        /// Files of the superproject that it needs.
        files: Vec<TreePath>,
        /// What it prints.
        format: SettingFormat,
    },
    /// `keys-from-env`: environment variables under their own names.
    Variables(Vec<EnvironmentVariable>),
    /// `set`: keys with their values.
    Set(BTreeMap<String, Template>),
}

lock_model::words! {
    /// `format` of a source of settings.
    SettingFormat, "format of settings" {
        /// What `kubectl create --from-env-file` reads: quotes and spaces belong to the value.
        KubectlEnvFile = "kubectl-env-file",
        /// Lines `KEY=VALUE` with quotes and comments.
        Dotenv = "dotenv",
        /// A map of texts, whole numbers and booleans.
        Yaml = "yaml",
        /// The same in JSON.
        Json = "json",
    }
}

/// `pull-secret:`: a Secret with the login to a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct PullSecret {
    /// The name of the Secret: `{pull-secret}`.
    pub name: ObjectName,
    /// The registry's host.
    pub registry: String,
    /// The variable with the user's name.
    pub username: EnvironmentVariable,
    /// The variable with the password.
    pub password: EnvironmentVariable,
}

const ORIGINS: [&str; 5] = ["env", "file", "command", "keys-from-env", "set"];

/// Reads the entries of `config:` or `secret:`.
pub(super) fn sources(node: &Node, problems: &mut Problems) -> Option<Vec<SettingSource>> {
    // Every entry is looked at, also after one that is wrong.
    let sources: Vec<Option<SettingSource>> = node.list()?.iter().map(|entry| source(entry, problems)).collect();
    sources.into_iter().collect()
}

fn source(node: &Node, problems: &mut Problems) -> Option<SettingSource> {
    let given: Vec<&str> = ORIGINS.into_iter().filter(|key| node.get(key).is_some()).collect();
    let [origin] = given.as_slice() else {
        let message = match given.as_slice() {
            [] => "does not say where its settings come from".to_owned(),
            several => format!("has {} origins: `{}`", several.len(), several.join("`, `")),
        };
        problems.add(&node.origin, message).with_hint(format!("give it one of `{}`", ORIGINS.join("`, `")));
        return None;
    };
    let from = match *origin {
        "env" => SettingOrigin::Variable {
            format: format_of(node, origin, problems)?,
            name: template(node.get("env")?, SERVICE_VARIABLES)?,
        },
        "file" => SettingOrigin::File {
            format: format_of(node, origin, problems)?,
            path: template(node.get("file")?, SERVICE_VARIABLES)?,
        },
        "command" => SettingOrigin::Command {
            format: format_of(node, origin, problems)?,
            command: command_line_with(node, "variables", SERVICE_VARIABLES)?,
            files: parsed_list(node, "files")?,
        },
        "keys-from-env" => SettingOrigin::Variables(parsed_list(node, "keys-from-env")?),
        _ => {
            let entries = node.get("set")?.map()?.entries.iter();
            SettingOrigin::Set(
                entries
                    .map(|entry| Some((entry.key.clone(), template(&entry.node, SET_VARIABLES)?)))
                    .collect::<Option<_>>()?,
            )
        }
    };
    // Layers of overrides have no defaults.
    Some(SettingSource { from, replace: optional(node, "replace", Node::boolean)?.unwrap_or_default() })
}

/// `format`, which the origins need that are texts.
fn format_of(node: &Node, origin: &str, problems: &mut Problems) -> Option<SettingFormat> {
    let Some(found) = node.get("format") else {
        let formats: Vec<&str> = SettingFormat::ALL.iter().map(|format| format.as_str()).collect();
        problems
            .add(&node.origin, format!("`{origin}` needs a `format`"))
            .with_hint(format!("one of `{}`", formats.join("`, `")));
        return None;
    };
    found.text()?.parse().ok()
}

pub(super) fn pull_secret(node: &Node) -> Option<PullSecret> {
    Some(PullSecret {
        name: parsed(node, "name")?,
        registry: node.get("registry")?.text()?.to_owned(),
        username: parsed(node.get("username")?, "env")?,
        password: parsed(node.get("password")?, "env")?,
    })
}
