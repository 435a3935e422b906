//! Where submodules may come from. No remote is asked.

use std::collections::{BTreeMap, BTreeSet};

use config::{PushedPolicy, Submodules};
use git::{GitError, GitOptions};
use lock_gen::{Pins, Submodule, SubmoduleChange, changes_to_review, lock_pins};
use lock_model::escaping::mask_address;
use lock_model::{CONFIG_FILE, CommitId, ErrorClass, GitSource, LOCK_FILE, Lock, RepositoryUrl, ServiceName, TreePath};

use super::allowed_sources;
use crate::context::git_error;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::hints::REWRITTEN;
use crate::inputs::Inputs;
use crate::revision::{LockFile, Revision, parse_config};
use crate::workspace::Workspace;

/// What the branch that a change goes to says of submodules: no change decides about that itself.
#[derive(Debug)]
pub(crate) struct Target {
    rules: Option<Submodules>,
    /// The commit that both were read from; absent where there is no such branch.
    base: Option<CommitId>,
    /// The pins of its lock. A submodule that was never locked has no earlier owner.
    pins: Pins,
    /// The paths of that lock's services.
    names: BTreeMap<ServiceName, TreePath>,
}

impl Target {
    /// Reads the commit that a change goes to. A commit that is not here, and a file that makes no sense, say nothing:
    /// whoever needs more than that says what is wrong with them. A repository that cannot be read is no answer.
    pub(crate) fn load(context: &Workspace, base: &CommitId) -> Result<Self> {
        let known = |read: Result<Option<Vec<u8>>, GitError>| match read {
            Err(error) if error.class() == ErrorClass::NotFound => Ok(None),
            read => read.map_err(|error| git_error("the rules for submodules cannot be read", error)),
        };
        let config = known(Inputs::config(&context.git, base.as_str()))?
            .and_then(|bytes| parse_config(CONFIG_FILE, &bytes).ok());
        let lock = known(Inputs::lock(&context.git, base.as_str()))?
            .and_then(|bytes| LockFile::parse(bytes, LOCK_FILE).ok())
            .map(|file| file.lock);
        let names = lock.iter().flat_map(Lock::services);
        let names = names.map(|(name, service)| (name.clone(), service.path.clone())).collect();
        let pins = lock.as_ref().map(lock_pins).unwrap_or_default();
        Ok(Self { rules: config.map(|config| config.submodules), base: Some(base.clone()), pins, names })
    }

    /// Nothing but the tree's own rules: for questions about a tree as it is.
    pub(crate) fn none() -> Self {
        Self { rules: None, base: None, pins: Pins::new(), names: BTreeMap::new() }
    }

    /// The rules that hold for a tree: the target's, and the tree's own where they ask for more.
    pub(super) fn rules<'a>(&'a self, own: &'a Submodules) -> Vec<&'a Submodules> {
        match &self.rules {
            Some(rules) if rules != own => vec![rules, own],
            Some(_) | None => vec![own],
        }
    }

    /// The commit of the target whose list this is; absent for the tree's own.
    fn base_of(&self, rules: &Submodules) -> Option<&CommitId> {
        self.base.as_ref().filter(|_| self.rules.as_ref() == Some(rules))
    }

    /// Whether a configuration requires that the commits are pushed.
    pub(crate) fn requires_pushed(&self, own: &Submodules) -> bool {
        self.rules(own).iter().any(|rules| rules.pushed == PushedPolicy::Require)
    }

    /// The pins of services as they were, by the paths that they have now.
    fn pins_of<'a>(&self, services: impl Iterator<Item = (&'a ServiceName, &'a Submodule)>) -> Pins {
        let pins = services.filter_map(|(name, submodule)| {
            let before = self.names.get(name).unwrap_or(&submodule.path);
            Some((submodule.path.clone(), self.pins.get(before)?.clone()))
        });
        pins.collect()
    }
}

pub(crate) fn check_sources(
    revision: &Revision,
    target: &Target,
    services: &BTreeMap<ServiceName, &Submodule>,
) -> Result<()> {
    let (problems, hints) = foreign_sources(revision, target, services)?;
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("{} of {} submodules come from where they must not", problems.len(), services.len());
    let error = Error::new(ErrorKind::Repository, message).problems(problems);
    Err(hints.into_iter().fold(error, Error::hint))
}

/// Submodules from elsewhere: those that a list of allowed sources does not name, and without a list those that changed
/// their owner. The second value says what to do about them.
pub(crate) fn foreign_sources(
    revision: &Revision,
    target: &Target,
    services: &BTreeMap<ServiceName, &Submodule>,
) -> Result<(Vec<Problem>, BTreeSet<&'static str>)> {
    let own = &revision.config.submodules;
    let mut problems: BTreeMap<&ServiceName, Problem> = BTreeMap::new();
    let mut hints = BTreeSet::new();
    for rules in target.rules(own) {
        let (Some(allowed), Some(entries)) = (allowed_sources(rules)?, &rules.allow) else { continue };
        for (name, submodule) in services.iter().filter(|(_, submodule)| !allowed.allows(&submodule.url)) {
            let entries: Vec<String> = entries.iter().map(|entry| format!("`{entry}`")).collect();
            let problem = Problem {
                subject: name.to_string(),
                message: format!("comes from `{}`, which `submodules.allow` does not name", submodule.url),
                details: vec![
                    format!(
                        "`.gitmodules`, submodule `{}`: `{}`, owner `{}`",
                        submodule.name,
                        mask_address(&submodule.declared_url),
                        owner(&submodule.url)
                    ),
                    format!("allowed: {}", entries.join(", ")),
                    match target.base_of(rules) {
                        Some(base) => format!("the list is that of {}, which this goes to", base.short(12)),
                        None => format!("the list is that of this commit's `{CONFIG_FILE}`"),
                    },
                ],
            };
            problems.entry(name).or_insert(problem);
            hints.insert(if target.base_of(rules).is_some() {
                "check every letter of the URL; a new source is added to `submodules.allow` of the branch that this goes \
                 to, by a change of its own"
            } else {
                "check every letter of the URL, or add the source to `submodules.allow`"
            });
        }
    }
    let deciding = target.rules.as_ref().unwrap_or(own);
    if deciding.allow.is_none() {
        let before = target.pins_of(services.iter().map(|(name, submodule)| (name, *submodule)));
        let pin = |submodule: &Submodule| GitSource::new(submodule.url.clone(), submodule.commit.clone());
        let after: Pins = services.values().map(|submodule| (submodule.path.clone(), pin(submodule))).collect();
        let paths: BTreeMap<_, _> = services.iter().map(|(name, submodule)| (&submodule.path, name)).collect();
        for change in changes_to_review(&before, &after, &BTreeMap::new()) {
            let SubmoduleChange::RepositoryChanged { path, before, after, owner_changed: true } = &change else {
                continue;
            };
            let Some(name) = paths.get(path) else { continue };
            let problem = Problem {
                subject: name.to_string(),
                message: format!("comes from another owner: `{before}` → `{after}`"),
                details: vec![format!("owner: `{}` → `{}`", owner(before), owner(after))],
            };
            problems.entry(name).or_insert(problem);
            hints.insert(
                "check every letter of the URL; if it is meant, name the owners in `submodules.allow` of the branch that \
                 this goes to, by a change of its own",
            );
        }
    }
    Ok((problems.into_values().collect(), hints))
}

/// How git fetches a submodule from an address, where the job's configuration leads it to no source that a list of allowed
/// ones does not name.
pub(crate) fn submodule_access(context: &Workspace, rules: &[&Submodules], url: &str) -> Result<GitOptions> {
    let options = context.submodule_git_options()?;
    let rewritten = context.transport()?.rewritten(url);
    if let Some(rest) = rewritten.strip_prefix("http://") {
        return Err(plain_http(&rewritten, rest));
    }
    if rewritten == url {
        return Ok(options);
    }
    let source = lock_gen::source_url(&rewritten).map_err(|error| {
        let message = format!("git's configuration leads to `{}`", mask_address(&rewritten));
        Error::from_source(ErrorKind::Repository, message, error).hint(REWRITTEN)
    })?;
    for rules in rules {
        if allowed_sources(rules)?.is_some_and(|allowed| !allowed.allows(&source)) {
            let message = format!("git's configuration leads to `{source}`, which `submodules.allow` does not name");
            return Err(Error::new(ErrorKind::Repository, message).hint(REWRITTEN));
        }
    }
    Ok(options)
}

/// Git itself is not given the protocol, and would only say that it is not allowed.
fn plain_http(url: &str, rest: &str) -> Error {
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let message =
        format!("orchestrator fetches nothing from `{}`: plain http can be changed on the way", mask_address(url));
    Error::new(ErrorKind::Repository, message).hint(format!(
        "write `https://` or an ssh address in `.gitmodules` (a relative URL takes the scheme of the superproject's \
         remote), or lead git there: `git config url.https://{host}/.insteadOf http://{host}/`"
    ))
}

/// Host and owner of a repository, for people.
fn owner(url: &RepositoryUrl) -> &str {
    let address = url.as_str();
    let bare = address.strip_prefix("https://").unwrap_or(address);
    bare.rsplit_once('/').map_or(bare, |(owner, _)| owner)
}
