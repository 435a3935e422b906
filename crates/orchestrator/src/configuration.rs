//! Judging and showing the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::forge::{BranchRules, RefPattern, Role, User};
use config::{Config, ShowOrigin, SourceValue, SuitesStatus, SuperprojectTree, Target};
use lock_gen::{Declared, Gitmodules};
use lock_model::{BranchName, CONFIG_FILE, Date, EnvironmentName, GITMODULES_FILE, RepositoryUrl, TreePath};

use crate::context::{Local, Surroundings, git_error};
use crate::engine::SUITES_STATUS;
use crate::environment_policy::unknown_environment;
use crate::error::{Error, ErrorKind, Result};
use crate::forge_location::find_forge;
use crate::hints;
use crate::input_file::{read_input, unreadable};
use crate::inputs::Inputs;
use crate::judged_tree::{CommitTree, WorkTree};
use crate::registry_client;
use crate::report::v1::{Approvers, ConfigCheckReport, ConfigShowReport, NotJudged};
use crate::revision::{config_error, parse_config, place_of};
use crate::workspace::no_commit;

/// Checks the configuration of a revision, or of the work tree that `repository` lies in, against the tree: files, folders and
/// patterns. It warns of each exception whose `until` is before `today`. Where there is a forge, given or found, it also checks
/// that the forge has the users and branch rules that the configuration needs.
///
/// # Errors
///
/// [`ErrorKind::Usage`] with every mistake and its place.
pub fn check_config(
    repository: &Path,
    revision: Option<&str>,
    forge: Option<&Path>,
    surroundings: &Surroundings,
    today: Date,
) -> Result<ConfigCheckReport> {
    let Found { config, tree, read } = find(repository, revision, surroundings)?;
    let forge = find_forge(repository, forge, surroundings)?;
    let (approvers, unreserved) = match &forge {
        Some(forge) => (approvers(&config, &forge.users()?), unreserved(&config, &forge.reserved_refs()?)),
        None => (Vec::new(), Vec::new()),
    };
    let required = match &forge {
        Some(forge) => suites_status(&config, &forge.protected_branches()?),
        None => SuitesStatus::NotRequired,
    };
    let (mut idle, mut not_judged, mut unusable) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(tree) = tree.as_deref() {
        let found = config.check_tree(tree, required);
        idle = found.map_err(|errors| config_error(&errors))?;
        idle.extend(config.idle_sources(&addresses(&config, &read)));
        unusable = unusable_submodules(&config, &read);
        registry_client::check_authorities(&config, read)?;
    } else {
        let question = "files and patterns against the tree".to_owned();
        let reason = "the file is not at the top of a git work tree".to_owned();
        not_judged.push(NotJudged { question, reason });
    }
    idle.extend(config.passed_exceptions(today));
    let mut warnings: Vec<String> = idle.iter().map(config::Problem::line_text).collect();
    let places: BTreeMap<_, _> = idle.iter().map(|problem| (problem.line_text(), place_of(problem))).collect();
    warnings.extend(unusable);
    warnings.extend(approvers.iter().filter_map(too_few));
    Ok(ConfigCheckReport {
        warnings,
        places,
        approvers,
        unreserved,
        not_judged,
        service_rules: config.services.len(),
        environments: config.environments.keys().cloned().collect(),
        suites: config.suites.keys().cloned().collect(),
        environment_variables: variables(&config, tree.as_deref()),
        chart_images: None,
    })
}

/// Where the submodules that `.gitmodules` declares come from; none where that is not known of each.
fn addresses(config: &Config, read: &ReadFile) -> Vec<RepositoryUrl> {
    let known = || -> Option<Vec<RepositoryUrl>> {
        let repository = &config.forge.as_ref()?.repository;
        let path = TreePath::try_from(GITMODULES_FILE).ok()?;
        let declared = Gitmodules::parse(&read(&path)?).declared;
        declared.iter().map(|one| lock_gen::lock_url(one.url.as_deref()?, repository).ok()).collect()
    };
    known().unwrap_or_default()
}

/// Submodules in `.gitmodules` for which no lock can be made, whatever the configuration says.
fn unusable_submodules(config: &Config, read: &ReadFile) -> Vec<String> {
    let bytes = TreePath::try_from(GITMODULES_FILE).ok().and_then(|path| read(&path)).unwrap_or_default();
    let Gitmodules { declared, problems, .. } = Gitmodules::parse(&bytes);
    let of_url = |one: &Declared| {
        let error = lock_gen::lock_url(one.url.as_deref()?, &config.forge.as_ref()?.repository).err()?;
        Some(unusable_submodule(one.path.as_str(), &error, error.hint()))
    };
    let of_file =
        problems.iter().map(|finding| unusable_submodule(&finding.subject, finding.sentence(), &finding.hint));
    of_file.chain(declared.iter().filter_map(of_url)).collect()
}

/// What is wrong with a submodule that cannot be used, and what fixes it.
pub(crate) fn unusable_submodule(
    subject: &str,
    message: impl std::fmt::Display,
    hint: impl std::fmt::Display,
) -> String {
    format!("`{subject}` {message}: {hint}")
}

/// Whether the forge asks for the status of suites before anything is merged to the staging branch.
fn suites_status(config: &Config, protected: &BTreeMap<BranchName, BranchRules>) -> SuitesStatus {
    let rules = protected.get(&config.branches.staging);
    let is_required = rules.is_some_and(|rules| rules.required_statuses.iter().any(|one| one.context == SUITES_STATUS));
    if is_required { SuitesStatus::Required } else { SuitesStatus::NotRequired }
}

/// Shows the configuration after merging: of one environment, or all of it.
///
/// # Errors
///
/// As [`check_config`], and for an environment that it has not.
pub fn show_config(
    repository: &Path,
    revision: Option<&str>,
    environment: Option<&EnvironmentName>,
    origin: ShowOrigin,
    surroundings: &Surroundings,
) -> Result<ConfigShowReport> {
    let config = read(repository, revision, surroundings)?;
    let shown = match (config.show(environment), environment) {
        (Some(shown), _) => shown,
        (None, Some(name)) => return Err(unknown_environment(&config, name)),
        (None, None) => return Err(Error::new(ErrorKind::Bug, "the configuration cannot be shown")),
    };
    Ok(ConfigShowReport { config: shown.to_json(origin), yaml: shown.to_yaml(origin) })
}

/// Who could approve what goes to each environment that asks for approvals.
fn approvers(config: &Config, users: &[User]) -> Vec<Approvers> {
    let may_approve = |user: &&User| !user.bot && user.role >= Role::Write;
    let people: Vec<String> = users.iter().filter(may_approve).map(|user| user.name.to_string()).collect();
    let required = config.environments.values().filter_map(|environment| {
        let required = environment.requires.approvals.as_ref().filter(|required| required.count > 0)?;
        Some(Approvers {
            environment: environment.name.clone(),
            needed: required.count,
            // Somebody opened what is promoted.
            left: u32::try_from(people.len().saturating_sub(1)).unwrap_or(u32::MAX),
            people: people.clone(),
            fallback: required.fallback.as_ref().map(|fallback| fallback.count),
        })
    });
    required.collect()
}

/// What is wrong where more approvals are asked for than a change of one person could get.
fn too_few(approvers: &Approvers) -> Option<String> {
    let Approvers { environment, needed, people, left, fallback } = approvers;
    if left >= needed {
        return None;
    }
    let way_out = match fallback {
        Some(count) => format!("the fallback of {count} decides"),
        None => "give more people write access, or declare `approvals.fallback`".to_owned(),
    };
    Some(format!(
        "`{environment}` asks for {needed} approvals, and at most {left} people are left when one of {} opened the \
         change: {way_out}",
        if people.is_empty() { "nobody".to_owned() } else { people.join(", ") }
    ))
}

/// What the configuration lets orchestrator write, and the forge does not reserve for bots: anybody with write access
/// could change it.
fn unreserved(config: &Config, reserved: &[RefPattern]) -> Vec<String> {
    let mut lines = BTreeSet::new();
    for environment in config.environments.values() {
        let name = &environment.name;
        if let Some(Target::Render(target)) = &environment.target
            && !reserved.iter().any(|pattern| pattern.covers_branch(target.branch.as_str()))
        {
            lines.insert(format!("branch `{}`, which `{name}` is rendered to: `--reserve {0}`", target.branch));
        }
        if let Some(release) = &environment.release {
            let pattern = tag_pattern(release.tag.as_str());
            if !reserved.iter().any(|reserved| reserved.covers_tag(&pattern.replace('*', "x"))) {
                lines.insert(format!("tags `{}` of `{name}`: `--reserve tag:{pattern}`", release.tag));
            }
        }
    }
    lines.into_iter().collect()
}

/// The pattern of the tags that a template gives: `release-{date}-{id8}` is `release-*-*`.
fn tag_pattern(template: &str) -> String {
    let mut pattern = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        pattern.push_str(before);
        pattern.push('*');
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    pattern + rest
}

/// The environment variables that jobs need, sorted; without a tree those of no service's settings.
fn variables(config: &Config, tree: Option<&dyn SuperprojectTree>) -> Vec<String> {
    let mut names = BTreeSet::new();
    let services = tree.and_then(|tree| config.assign_services(&tree.submodules()).ok()).unwrap_or_default();
    for environment in config.environments.values() {
        names.extend(environment.setting_variables(&services).into_keys());
        if let Some(SourceValue::Env(name)) = &environment.url {
            names.insert(name.to_string());
        }
        if let Some(kubeconfig) = &environment.kubeconfig {
            names.extend(kubeconfig.variable().into_iter().chain(&kubeconfig.allow.variables).map(ToString::to_string));
        }
        for (_, probe) in environment.health.questions() {
            names.extend(probe.command().iter().flat_map(|command| &command.environment).map(ToString::to_string));
            names
                .extend(probe.login().iter().flat_map(|login| [&login.user, &login.password]).map(ToString::to_string));
            if let Some(SourceValue::Env(name)) = probe.authorities() {
                names.insert(name.to_string());
            }
        }
    }
    for settings in config.registries.values() {
        names.extend(settings.variables().map(ToString::to_string));
    }
    for suite in config.suites.values() {
        names.extend(suite.environment().iter().map(ToString::to_string));
    }
    names.into_iter().collect()
}

fn read(repository: &Path, revision: Option<&str>, surroundings: &Surroundings) -> Result<Config> {
    Ok(find(repository, revision, surroundings)?.config)
}

/// A configuration, and the tree that it lies at the top of.
struct Found {
    config: Config,
    tree: Option<Box<dyn SuperprojectTree>>,
    /// Gives the bytes of a file beside it; `None` where it cannot be read.
    read: ReadFile,
}

type ReadFile = Box<dyn Fn(&TreePath) -> Option<Vec<u8>>>;

impl Found {
    /// One that lies beside no tree.
    fn alone(config: Config) -> Self {
        Self { config, tree: None, read: Box::new(|_| None) }
    }
}

/// Finds the configuration of a revision, or of the work tree that a folder lies in.
fn find(repository: &Path, revision: Option<&str>, surroundings: &Surroundings) -> Result<Found> {
    if let Some(revision) = revision {
        let local = Local::open(repository, surroundings)?;
        let known = local.git.commit(revision).map_err(|error| git_error("the revision cannot be read", error))?;
        if known.is_none() {
            return Err(no_commit(&local.git, None, revision));
        }
        let bytes = Inputs::config(&local.git, revision)
            .map_err(|error| git_error("the configuration cannot be read", error))?
            .ok_or_else(|| {
                let hint = hints::of_configuration_elsewhere(&local.git);
                let error = Error::new(ErrorKind::Usage, format!("`{CONFIG_FILE}` is not in `{revision}`"));
                hint.into_iter().fold(error, Error::hint)
            })?;
        let config = parse_config(CONFIG_FILE, &bytes)?;
        let modes =
            Inputs::modes(&local.git, revision).map_err(|error| git_error("the tree cannot be listed", error))?;
        let revision = revision.to_owned();
        let read = move |path: &TreePath| Inputs::judged_file(&local.git, &revision, path).ok().flatten();
        return Ok(Found { config, tree: Some(Box::new(CommitTree(modes))), read: Box::new(read) });
    }
    // Without git the file alone is judged.
    let local = Local::open(repository, surroundings).ok();
    let top = local.as_ref().and_then(|local| local.git.work_tree()).map(Path::to_path_buf);
    let here = repository.join(CONFIG_FILE);
    let path = match &top {
        Some(top) if !here.is_file() => top.join(CONFIG_FILE),
        Some(_) | None => here,
    };
    let bytes = read_input(&path).map_err(|error| {
        let (is_missing, is_denied) =
            (error.kind() == std::io::ErrorKind::NotFound, error.kind() == std::io::ErrorKind::PermissionDenied);
        let error = unreadable(ErrorKind::Usage, format!("`{}` cannot be read", path.display()), error);
        if is_denied {
            return error;
        }
        let error = error.hint("name the superproject with `--repository DIR`, or a commit with `--rev REV`");
        if local.as_ref().is_some_and(|local| local.git.work_tree().is_none()) {
            error.hint("a bare repository has no files beside its commits: `--rev BRANCH` reads the one of a branch")
        } else if is_missing {
            error.hint("`orchestrator config init` writes a first one")
        } else {
            error
        }
    })?;
    let config = parse_config(CONFIG_FILE, &bytes)?;
    let folder = path
        .parent()
        .and_then(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.canonicalize().ok());
    let (Some(local), Some(top), Some(folder)) = (local, top, folder) else { return Ok(Found::alone(config)) };
    if top.canonicalize().ok().as_ref() != Some(&folder) {
        return Ok(Found::alone(config));
    }
    let gitlinks = local.git.index_gitlinks().map_err(|error| git_error("the index cannot be read", error))?;
    let read = move |path: &TreePath| read_input(&folder.join(path.as_str())).ok();
    let tree = WorkTree { top, gitlinks: gitlinks.into_iter().collect() };
    Ok(Found { config, tree: Some(Box::new(tree)), read: Box::new(read) })
}
