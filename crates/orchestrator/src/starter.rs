//! The first configuration of a repository: as short as one can be, fitted to its submodules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Not as _;
use std::path::Path;

use config::{ConfigErrors, Pattern};
use git::CommitFacts;
use lock_gen::{Finding, Scan, Submodule};
use lock_model::{CONFIG_FILE, ImageRepository, ServiceName, TreeId, TreePath};

use crate::configuration::unusable_submodule;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::first_environment;
use crate::hints;
use crate::inputs::Inputs;
use crate::labels::count;
use crate::report::v1::ConfigInitReport;
use crate::revision::parse_config;
use crate::site::Site;
use crate::workspace::Workspace;

/// Tags that CI systems give an image by its commit: those of `docker/metadata-action`, and the commit itself.
const TAGS: [&str; 3] = ["sha-{sha7}", "main-{sha7}", "{sha}"];
/// The host of a registry that has yet to be named.
pub(crate) const SOME_REGISTRY: &str = "registry.example.com";

/// What the caller knows of the images.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConfigInitRequest {
    /// `images.repository`; `None`: the registry that goes with the submodules' host, and their names.
    pub repository: Option<String>,
    /// `images.tags`; empty: the usual ones.
    pub tags: Vec<String>,
}

/// Writes an `orchestrator.yaml` for the submodules of `HEAD` into the work tree.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where there is one already, or no work tree, [`ErrorKind::Repository`] without submodules.
pub fn init_config<'a>(site: impl Into<Site<'a>>, request: &ConfigInitRequest) -> Result<ConfigInitReport> {
    let workspace = site.into().workspace();
    let Some(top) = workspace.git.work_tree() else {
        return Err(Error::new(ErrorKind::Usage, format!("a bare repository has no place for `{CONFIG_FILE}`"))
            .hint("run in a clone"));
    };
    let path = top.join(CONFIG_FILE);
    if path.symlink_metadata().is_ok() {
        return Err(Error::new(ErrorKind::Usage, format!("`{CONFIG_FILE}` is there already"))
            .hint("`orchestrator config check` judges it; to have a new one made, move it away"));
    }
    let head = workspace.resolve("HEAD").map_err(|error| {
        if error.kind() == ErrorKind::Repository {
            Error::new(ErrorKind::Repository, "the superproject has no commit yet").hint(hint_of_submodules(top))
        } else {
            error
        }
    })?;
    let no_submodules = || {
        let message = format!("commit {} has no submodule that can be used", head.short(12));
        Error::new(ErrorKind::Repository, message).hint(hint_of_submodules(top))
    };
    let facts = workspace.commit(head.as_str())?.ok_or_else(no_submodules)?;
    let Scan { submodules, problems, .. } = scan(workspace, &facts.tree);
    if submodules.is_empty() {
        let of = |finding: Finding| Problem::new(finding.subject, finding.message).details([finding.hint]);
        return Err(no_submodules().problems(problems.into_iter().map(of)));
    }
    let yaml = starter(&submodules, request);
    let config = parse_config(CONFIG_FILE, yaml.as_bytes())?;
    let paths: Vec<TreePath> = submodules.iter().map(|submodule| submodule.path.clone()).collect();
    let mut warnings: Vec<String> = config
        .assign_services(&paths)
        .err()
        .iter()
        .flat_map(ConfigErrors::problems)
        .map(config::Problem::line_text)
        .collect();
    let left_out = problems.iter().map(|one| unusable_submodule(&one.subject, one.sentence(), &one.hint));
    warnings.extend(left_out);
    let is_unknown = request.repository.is_none() && images_of(&submodules).starts_with(SOME_REGISTRY);
    if is_unknown {
        warnings.push(format!(
            "`{SOME_REGISTRY}` stands for your registry, which the submodules' addresses do not tell: write its name in its \
             place"
        ));
    }
    workspace.write_output(&path, yaml.as_bytes())?;
    let guess = match (&request.repository, request.tags.is_empty()) {
        _ if is_unknown => Some(format!("write your registry in place of `{SOME_REGISTRY}` in `images.repository`")),
        (None, true) => {
            Some("`images` is a guess by where the submodules lie: compare it with what their CI pushes".to_owned())
        }
        (None, false) => Some("`images.repository` is a guess by where the submodules lie: look at it".to_owned()),
        (Some(_), true) => {
            Some("`images.tags` are the usual ones: compare them with what the CI of the services pushes".to_owned())
        }
        (Some(_), false) => None,
    };
    let commit = format!("`git add {CONFIG_FILE}`, `git commit`, `orchestrator lock generate`");
    let next = guess.into_iter().chain([commit]).collect();
    let environment = first_environment::suggest(top, &submodules);
    Ok(ConfigInitReport { file: CONFIG_FILE.to_owned(), yaml, services: submodules.len(), next, environment, warnings })
}

/// What makes a superproject of a repository without submodules.
fn hint_of_submodules(top: &Path) -> &'static str {
    if top.join(".gitmodules").symlink_metadata().is_ok() {
        "`.gitmodules` is there: commit it with its submodules, then run this again"
    } else {
        "the services of a superproject are its submodules: `git submodule add URL PATH` for each, then `git commit`"
    }
}

/// The error of a commit without a configuration: it lies uncommitted, or this would be one.
pub(crate) fn no_configuration(workspace: &Workspace, commit: &CommitFacts) -> Error {
    let error = Error::new(ErrorKind::Usage, format!("`{CONFIG_FILE}` is not in commit {}", commit.id.short(12)));
    if let Some(hint) = hints::of_configuration_elsewhere(&workspace.git) {
        return error.hint(hint);
    }
    let Scan { submodules, .. } = scan(workspace, &commit.tree);
    if submodules.is_empty() {
        return error.hint("run in the superproject, whose submodules are the services: this commit has none");
    }
    let services = count(submodules.len(), "submodule");
    let yaml = starter(&submodules, &ConfigInitRequest::default());
    error.hint(format!(
        "`orchestrator config init` writes one for its {services}, to be looked at and committed:\n{yaml}"
    ))
}

/// The submodules of a tree, and what is wrong with those that cannot be used.
fn scan(workspace: &Workspace, tree: &TreeId) -> Scan {
    Inputs::submodules(workspace, tree, &workspace.own_address()).unwrap_or_default()
}

fn starter(submodules: &[Submodule], request: &ConfigInitRequest) -> String {
    let repository = request.repository.clone().unwrap_or_else(|| images_of(submodules));
    let mut yaml = "version: 1\n".to_owned();
    let prefix = common_prefix(submodules);
    if repository.contains("{short") && !prefix.is_empty() {
        let _written = writeln!(yaml, "project: {{ prefix: {} }}", quoted(&prefix));
    }
    let tags: Vec<String> = if request.tags.is_empty() {
        TAGS.iter().map(|tag| quoted(tag)).collect()
    } else {
        request.tags.iter().map(|tag| quoted(tag)).collect()
    };
    let _written =
        write!(yaml, "images:\n  repository: {}\n  tags: [{}]\nservices:\n", quoted(&repository), tags.join(", "));
    for (pattern, name) in names_for(submodules) {
        let _written = writeln!(yaml, "- {{ match: {}, name: {name} }}", quoted(&pattern));
    }
    yaml.push_str("- { match: \"**\" }\n");
    yaml
}

/// Patterns of the submodules whose folders give no name, or one that another service has, and names for them.
fn names_for(submodules: &[Submodule]) -> Vec<(String, ServiceName)> {
    let mut taken = BTreeSet::new();
    let is_unnamed = |submodule: &&Submodule| {
        ServiceName::try_from(submodule.path.file_name()).is_ok_and(|name| taken.insert(name)).not()
    };
    let unnamed: Vec<&Submodule> = submodules.iter().filter(is_unnamed).collect();
    let mut named = Vec::new();
    for Submodule { path, .. } in unnamed {
        let mut names = [path.file_name(), path.as_str()].into_iter().filter_map(fitted);
        let Some(pattern) = pattern_of(path, submodules) else { continue };
        if let Some(name) = names.find(|name| !taken.contains(name)) {
            taken.insert(name.clone());
            named.push((pattern, name));
        }
    }
    named
}

/// The pattern that matches a path and no other one of the submodules; what patterns do not take, such as a space, is `?`.
fn pattern_of(path: &TreePath, submodules: &[Submodule]) -> Option<String> {
    let literal = |letter: char| if letter.is_alphanumeric() || "/._-".contains(letter) { letter } else { '?' };
    let text: String = path.as_str().chars().map(literal).collect();
    let pattern = Pattern::new(&text).ok()?;
    let matched = submodules.iter().filter(|submodule| pattern.matches_path(&submodule.path));
    matched.map(|submodule| &submodule.path).eq([path]).then_some(text)
}

/// The name of a service that is like a text; `None` where nothing of it can stand in one.
fn fitted(text: &str) -> Option<ServiceName> {
    let fits = |letter: char| if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '-' };
    let text: String = text.to_lowercase().chars().map(fits).collect();
    let parts: Vec<&str> = text.split('-').filter(|part| !part.is_empty()).collect();
    ServiceName::try_from(parts.join("-")).ok()
}

/// A text as YAML takes it: JSON is YAML.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Where the images of most submodules lie, if they are where the host of the repositories keeps images.
fn images_of(submodules: &[Submodule]) -> String {
    let mut owners: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for submodule in submodules {
        let address = submodule.url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        let Some((host, path)) = address.split_once('/') else { continue };
        let owner = path.rsplit_once('/').map_or("", |(owner, _)| owner);
        *owners.entry((host, owner)).or_default() += 1;
    }
    let (host, owner) = owners.into_iter().max_by_key(|(_, times)| *times).map(|(place, _)| place).unwrap_or_default();
    let registry = match host {
        "github.com" => "ghcr.io",
        "gitlab.com" => "registry.gitlab.com",
        // Gitea and Forgejo keep packages under their own name, and so do most forges of one's own.
        host if !owner.is_empty() && !host.ends_with(".invalid") => host,
        _ => SOME_REGISTRY,
    };
    let owner = owner.to_lowercase();
    let folder = if owner.is_empty() { registry.to_owned() } else { format!("{registry}/{owner}") };
    // Some hosts of repositories are none of images: `dev.azure.com/shop/team/_git`.
    let is_one = |folder: &str| ImageRepository::try_from(format!("{folder}/name")).is_ok();
    format!("{}/{{name}}", if is_one(&folder) { folder.as_str() } else { SOME_REGISTRY })
}

/// What all names begin with, to its last `-`; nothing for a single service.
fn common_prefix(submodules: &[Submodule]) -> String {
    let names: Vec<&str> = submodules.iter().map(|submodule| submodule.path.file_name()).collect();
    let [first, others @ ..] = names.as_slice() else { return String::new() };
    if others.is_empty() {
        return String::new();
    }
    let prefixes = first.match_indices('-').filter_map(|(at, dash)| first.get(..at + dash.len()));
    let is_shared = |prefix: &&str| names.iter().all(|name| name.len() > prefix.len() && name.starts_with(*prefix));
    prefixes.rev().find(is_shared).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use lock_model::CommitId;

    use super::*;

    fn submodules(of: &[(&str, &str)]) -> Vec<Submodule> {
        let commit = CommitId::try_from("1".repeat(40)).unwrap();
        let one = |(path, url): &(&str, &str)| {
            Submodule::new(*path, TreePath::try_from(*path).unwrap(), (*url).try_into().unwrap(), commit.clone())
        };
        of.iter().map(one).collect()
    }

    #[test]
    fn the_first_configuration_fits_the_submodules_and_can_be_read() {
        let github = [
            ("services/shop-cart", "https://github.com/Shop/shop-cart.git"),
            ("services/shop-web", "https://github.com/Shop/shop-web"),
            ("tools/lint", "https://github.com/other/lint"),
        ];
        let gitea = [("cart", "https://git.shop.example:3000/team/cart")];
        let nested =
            [("a/x-one", "https://gitlab.com/group/sub/one.git"), ("a/x-two", "https://gitlab.com/group/sub/two")];
        let nowhere = [("cart", "https://no-forge.invalid/cart.git")];
        let azure = [("a", "https://dev.azure.com/shop/team/_git/a"), ("b", "https://dev.azure.com/shop/team/_git/b")];
        let ipv6 = [("cart", "https://[2001:db8::1]/team/cart")];
        for (of, expected) in [
            (github.as_slice(), "ghcr.io/shop/{name}"),
            (gitea.as_slice(), "git.shop.example:3000/team/{name}"),
            (nested.as_slice(), "registry.gitlab.com/group/sub/{name}"),
            (nowhere.as_slice(), "registry.example.com/{name}"),
            (azure.as_slice(), "registry.example.com/{name}"),
            (ipv6.as_slice(), "registry.example.com/{name}"),
        ] {
            let submodules = submodules(of);
            let yaml = starter(&submodules, &ConfigInitRequest::default());
            assert!(yaml.contains(&format!("  repository: \"{expected}\"\n")), "{yaml}");
            assert!(yaml.lines().count() <= 7, "{yaml}");
            let config = parse_config(CONFIG_FILE, yaml.as_bytes()).unwrap();
            let paths: Vec<TreePath> = submodules.iter().map(|submodule| submodule.path.clone()).collect();
            assert_eq!(config.assign_services(&paths).unwrap().len(), of.len());
        }
    }

    #[test]
    fn submodules_whose_folders_give_no_name_of_their_own_get_one() {
        let url = "https://github.com/shop/x";
        let paths = ["s/Alpha", "s/two words", "x/api", "y/api", "Z/API", "Web", "s/cart"];
        let of: Vec<(&str, &str)> = paths.into_iter().map(|path| (path, url)).collect();
        let submodules = submodules(&of);
        let yaml = starter(&submodules, &ConfigInitRequest::default());
        let config = parse_config(CONFIG_FILE, yaml.as_bytes()).unwrap();
        let paths: Vec<TreePath> = submodules.iter().map(|submodule| submodule.path.clone()).collect();
        let services = config.assign_services(&paths).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"));
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["alpha", "two-words", "api", "y-api", "z-api", "web", "cart"], "{yaml}");
    }

    #[test]
    fn what_all_names_begin_with_is_the_prefix_where_it_is_asked_for() {
        let request = ConfigInitRequest {
            repository: Some("registry.example/shop/{short}".to_owned()),
            tags: vec!["v-{sha12}".to_owned()],
        };
        let url = "https://github.com/shop/x";
        for (paths, expected) in [
            (vec!["s/shop-cart", "s/shop-web"], "shop-"),
            (vec!["s/my-shop-cart", "s/my-shop-web"], "my-shop-"),
            (vec!["s/shop-cart", "s/shop-"], ""),
            (vec!["s/shop-cart", "s/web"], ""),
            (vec!["s/shop-cart"], ""),
        ] {
            let of: Vec<(&str, &str)> = paths.into_iter().map(|path| (path, url)).collect();
            let yaml = starter(&submodules(&of), &request);
            assert_eq!(parse_config(CONFIG_FILE, yaml.as_bytes()).unwrap().project.prefix, expected, "{yaml}");
            assert!(yaml.contains("  tags: [\"v-{sha12}\"]\n"), "{yaml}");
        }
    }
}
