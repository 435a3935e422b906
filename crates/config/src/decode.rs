//! Trees → types. The trees are checked: what does not decode here has been reported, except what only a filled-in
//! template shows.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use lock_model::{CommitId, EnvironmentName, ImageRepository, ServiceName, SuiteName, Tag, TreePath};

use super::branches::{Branches, Role};
use super::decode_environment::{environment, source_value};
use super::environment::Environment;
use super::layers::Layers;
use super::places;
use super::problem::Problems;
use super::schema_variables::{REPOSITORY_VARIABLES, RUN_VARIABLES, TAG_VARIABLES};
use super::submodules::Submodules;
use super::suites::{CommandLine, CommandSuite, ContainerSuite, ProgramName, Suite, SuiteImage, SuiteKind};
use super::tree::{Node, Origin};
use super::types::{
    ClientCertificate, Config, Forge, ImageRule, Mirror, Project, RegistrySettings, ServiceKind, ServiceRule,
};
use super::values::parse_duration;
use crate::patterns::Pattern;
use crate::variables::{Template, Values, Variable};

/// The configuration, with an empty tree: its layers are still needed.
pub(super) fn decode(layers: &Layers, problems: &mut Problems) -> Option<Config> {
    let file = &layers.file;
    let services = services(file, problems);
    let suites = suites(file);
    let branches = branches(file);
    let prefix = file.get("project").and_then(|node| node.get("prefix")).and_then(Node::text).unwrap_or_default();
    let environments: Option<BTreeMap<EnvironmentName, Environment>> = layers
        .environments
        .iter()
        // Every environment is looked at, so that all problems are reported.
        .map(|layers| environment(layers, prefix, branches.as_ref(), problems))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|environment| environment.map(|environment| (environment.name.clone(), environment)))
        .collect();
    if let (Some(environments), Some(branches)) = (&environments, &branches) {
        places::check(environments, branches, problems);
    }
    Some(Config {
        project: Project { prefix: prefix.to_owned() },
        branches: branches?,
        forge: optional(file, "forge", forge)?,
        registries: registries(file)?,
        images: image_rule(file.get("images")?, problems)?,
        services: services?,
        submodules: submodules(file.get("submodules")?)?,
        suites: suites?,
        environments: environments?,
        tree: Node::empty_map(Origin::Default),
        source: problems.source().clone(),
    })
}

/// The text of a key, parsed.
pub(super) fn parsed<T: FromStr>(node: &Node, key: &str) -> Option<T> {
    parsed_text(node.get(key)?)
}

pub(super) fn parsed_text<T: FromStr>(node: &Node) -> Option<T> {
    node.text()?.parse().ok()
}

/// `Some(None)` where the key is absent, `None` where it does not decode.
#[expect(clippy::option_option, reason = "absent and undecodable are different; the second has been reported already")]
pub(super) fn optional<T>(node: &Node, key: &str, decode: impl FnOnce(&Node) -> Option<T>) -> Option<Option<T>> {
    match node.get(key) {
        Some(found) => decode(found).map(Some),
        None => Some(None),
    }
}

/// The texts of a list, parsed; a missing list is empty.
pub(super) fn parsed_list<T: FromStr, L: FromIterator<T> + Default>(node: &Node, key: &str) -> Option<L> {
    let Some(list) = node.get(key) else { return Some(L::default()) };
    parsed_items(list)
}

pub(super) fn parsed_items<T: FromStr, L: FromIterator<T>>(list: &Node) -> Option<L> {
    list.list()?.iter().map(parsed_text).collect()
}

pub(super) fn template(node: &Node, allowed: &[Variable]) -> Option<Template> {
    Template::new(node.text()?, allowed).ok()
}

pub(super) fn pattern(node: &Node) -> Option<Pattern> {
    Pattern::new(node.text()?).ok()
}

fn branches(file: &Node) -> Option<Branches> {
    let node = file.get("branches")?;
    Some(Branches {
        integration: parsed(node, Role::Integration.as_str())?,
        staging: parsed(node, Role::Staging.as_str())?,
        production: parsed(node, Role::Production.as_str())?,
    })
}

fn forge(node: &Node) -> Option<Forge> {
    Some(Forge {
        kind: parsed(node, "kind")?,
        repository: parsed(node, "repository")?,
        direct_push: parsed(node, "direct-push")?,
    })
}

fn registries(file: &Node) -> Option<BTreeMap<String, RegistrySettings>> {
    let entries = &file.get("registries")?.map()?.entries;
    let settings = entries.iter().map(|entry| {
        let mirror = |node: &Node| {
            let text = node.text()?;
            Some(match text.strip_prefix("oci-layout:") {
                Some(folder) => Mirror::OciLayout(folder.to_owned()),
                None => Mirror::Http(text.to_owned()),
            })
        };
        let certificate = |node: &Node| {
            let key = parsed(node.get("key")?, "env")?;
            Some(ClientCertificate { certificate: source_value(node.get("certificate")?)?, key })
        };
        let settings = RegistrySettings {
            mirror: optional(&entry.node, "mirror", mirror)?,
            plain_http: optional(&entry.node, "plain-http", Node::boolean)?,
            ca: optional(&entry.node, "ca", source_value)?,
            client_certificate: optional(&entry.node, "client-certificate", certificate)?,
        };
        Some((entry.key.clone(), settings))
    });
    settings.collect()
}

/// What templates are tried with: the longest ids, harmless names.
pub(super) fn sample_values() -> Values {
    let name = ServiceName::try_from("sample").expect("the constant is a name");
    let path = TreePath::try_from("folder/sample").expect("the constant is a path");
    Values::new().service(&name, &path, "").commit(&longest_commit())
}

/// The longest commit id that there is.
pub(super) fn longest_commit() -> CommitId {
    CommitId::try_from("0".repeat(64)).expect("64 digits are a commit id")
}

fn image_rule(node: &Node, problems: &mut Problems) -> Option<ImageRule> {
    let values = sample_values();
    let repository = optional(node, "repository", |found| {
        let template = template(found, REPOSITORY_VARIABLES)?;
        if let Err(error) = ImageRepository::try_from(template.expand(&values).ok()?) {
            violation(&found.origin, &error.to_string(), problems);
        }
        Some(template)
    })?;
    let tags = optional(node, "tags", |list| {
        let tags = list.list()?.iter().map(|item| {
            let template = template(item, TAG_VARIABLES)?;
            if let Err(error) = Tag::try_from(template.expand(&values).ok()?) {
                violation(&item.origin, &error.to_string(), problems);
            }
            Some(template)
        });
        tags.collect::<Option<Vec<_>>>()
    })?
    .unwrap_or_default();
    let revision = parsed(node, "revision")?;
    Some(ImageRule { repository, tags, platforms: parsed_list(node, "platforms")?, revision })
}

fn services(file: &Node, problems: &mut Problems) -> Option<Vec<ServiceRule>> {
    let rules = file.get("services")?.list()?.iter().map(|node| {
        let matched = node.get("match")?;
        let pattern = pattern(matched)?;
        let name = optional(node, "name", parsed_text)?;
        let kind = match node.get("kind")?.text()? {
            "configuration" => ServiceKind::Configuration,
            "image" => {
                let rule = image_rule(node, problems)?;
                for (key, missing) in [("repository", rule.repository.is_none()), ("tags", rule.tags.is_empty())] {
                    // Where it is misspelt or of another form, that has been said.
                    let is_known = node.get(key).is_some()
                        || file.get("images").is_some_and(|images| images.get(key).is_some())
                        || problems.suggests("images")
                        || problems.suggests(key);
                    if missing && !is_known {
                        problems
                            .add(&node.origin, format!("neither this rule nor `images` has `{key}`"))
                            .with_hint("a service without an image has `kind: configuration`");
                    }
                }
                ServiceKind::Image(rule)
            }
            _ => return None,
        };
        Some(ServiceRule { pattern, name, kind, origin: node.origin.clone(), match_origin: matched.origin.clone() })
    });
    // Every rule is looked at, so that all problems are reported.
    rules.collect::<Vec<_>>().into_iter().collect()
}

fn submodules(node: &Node) -> Option<Submodules> {
    Some(Submodules {
        allow: optional(node, "allow", parsed_items)?,
        branches: optional(node, "branches", parsed_items)?,
        pushed: parsed(node, "pushed")?,
    })
}

fn suites(file: &Node) -> Option<BTreeMap<SuiteName, Suite>> {
    let entries = &file.get("suites")?.map()?.entries;
    entries
        .iter()
        .map(|entry| {
            let node = &entry.node;
            let name: SuiteName = entry.key.parse().ok()?;
            let kind = match node.get("kind")?.text()? {
                "command" => SuiteKind::Command(CommandSuite {
                    command: command_line(node)?,
                    files: parsed_list(node, "files")?,
                }),
                "http" => SuiteKind::Http { file: parsed(node, "file")? },
                "container" => SuiteKind::Container(Box::new(container_suite(node)?)),
                _ => return None,
            };
            let deadline = parse_duration(node.get("deadline")?.text()?).ok()?;
            Some((name.clone(), Suite { name, kind, deadline, definition: node.to_json() }))
        })
        .collect()
}

fn container_suite(node: &Node) -> Option<ContainerSuite> {
    let image = match (node.get("service"), node.get("image")) {
        (Some(_), None) => SuiteImage::Service(parsed(node, "service")?),
        (None, Some(_)) => SuiteImage::Pinned(parsed(node, "image")?),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let set = node.get("set-env")?.map()?.entries.iter();
    let resources = |key: &str| {
        let entries = node.get("resources")?.get(key)?.map()?.entries.iter();
        entries.map(|entry| Some((entry.key.clone(), entry.node.text()?.to_owned()))).collect::<Option<_>>()
    };
    Some(ContainerSuite {
        image,
        arguments: node.get("args")?.list()?.iter().map(|word| template(word, RUN_VARIABLES)).collect::<Option<_>>()?,
        set: set
            .map(|entry| Some((entry.key.clone(), template(&entry.node, RUN_VARIABLES)?)))
            .collect::<Option<_>>()?,
        environment: parsed_list(node, "env")?,
        plain: parsed_list(node, "plain")?,
        service_account: optional(node, "service-account", parsed_text)?,
        requests: resources("requests")?,
        limits: resources("limits")?,
    })
}

pub(super) fn command_line(node: &Node) -> Option<CommandLine> {
    let plain = parsed_list(node, "plain")?;
    Some(CommandLine { plain, ..command_line_with(node, "env", RUN_VARIABLES)? })
}

/// The same with variables of other templates, and another key for what the program is given.
pub(super) fn command_line_with(node: &Node, environment: &str, allowed: &[Variable]) -> Option<CommandLine> {
    let words = node.get("command")?.list()?;
    let (first, rest) = words.split_first()?;
    let program = match first.text()?.strip_prefix("./") {
        Some(path) => ProgramName::InTree(path.parse().ok()?),
        None => ProgramName::OnPath(first.text()?.to_owned()),
    };
    let arguments = rest.iter().map(|word| template(word, allowed)).collect::<Option<_>>()?;
    let environment = parsed_list(node, environment)?;
    Some(CommandLine { program, arguments, environment, plain: BTreeSet::default() })
}

/// Reports that a filled-in template does not parse as what it stands for.
pub(super) fn violation(origin: &Origin, error: &str, problems: &mut Problems) {
    problems.add(origin, format!("filled in, {error}"));
}
