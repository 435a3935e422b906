//! A lock of the older pipeline becomes somewhere to go back to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use config::{AssignedKind, Config, ServiceAssignment};
use lock_gen::{LockDraft, Scan, Submodule};
use lock_model::{
    CONFIG_FILE, CommitId, Content, EnvironmentName, ImageReference, LOCK_FILE, LegacyLock, LegacyService, LockedImage,
    Origin, Revision, ServiceName, Source, TreePath,
};
use registry::{Event, ImageRequest, RevisionPolicy, Unresolved, UnresolvedReason};

use super::adopt::Adopter;
use super::files::{check_lock_folder, read_bytes, write_lock_folder};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::Event as Progress;
use crate::hints::of_uncommitted_configuration;
use crate::image_failure::{Patience, unresolved};
use crate::inputs::Inputs;
use crate::lock_builder::{Resolving, image_policy};
use crate::lock_folder::schema_place;
use crate::registry_client;
use crate::report::v1::{LockMigrateReport, locked_services};
use crate::revision::{LockFile, load_config, lock_error};

/// How many commits are looked at for one that the lock belongs to.
const MOST_COMMITS: &str = "--max-count=10000";

/// Which older lock, and what becomes of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockMigrateRequest {
    /// The older lock, `-` for standard input: JSON, whatever its name ends with.
    pub file: PathBuf,
    /// The commit that it was made for; `None`: the newest before `HEAD` whose gitlinks are the lock's.
    pub revision: Option<String>,
    /// Where the configuration is taken from when that commit has none; `None`: the branch of the adopting environment,
    /// else `HEAD`.
    pub rules: Option<String>,
    /// Whether an image that does not say its commit is taken; `None`: as the configuration says.
    pub accept_unlabelled: Option<bool>,
    /// Write the lock and what belongs beside it into this folder.
    pub output: Option<PathBuf>,
    /// Let an environment go back to it.
    pub adopt: Option<Adoption>,
}

/// An environment that takes a migrated lock over.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The environment that may roll back to the lock.
    pub environment: EnvironmentName,
    /// Why it may be gone back to.
    pub reason: String,
}

impl LockMigrateRequest {
    /// A lock for the commit that it belongs to; nothing is written and nothing recorded.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), revision: None, rules: None, accept_unlabelled: None, output: None, adopt: None }
    }
}

/// Makes a lock of this format from one of the older pipeline.
///
/// # Errors
///
/// [`ErrorKind::Lock`] for a file that is no such lock, [`ErrorKind::Repository`] where it belongs to no commit,
/// [`ErrorKind::Image`] where the registry has something else than it meant.
pub async fn migrate_lock(context: &Context, request: &LockMigrateRequest) -> Result<LockMigrateReport> {
    check_lock_folder(context, request.output.as_ref())?;
    context.sync()?;
    let older = read_bytes(&request.file, &context.surroundings)?;
    let older = LegacyLock::parse(&older, &request.file.display().to_string()).map_err(|error| lock_error(&error))?;
    let adopter = match &request.adopt {
        Some(adoption) => Some(Adopter::find(context, &adoption.environment, &adoption.reason).await?),
        None => None,
    };
    let rules_at = match (&request.rules, &adopter) {
        (Some(revision), _) => context.resolve(revision)?,
        (None, Some(adopter)) => context.branch_head(&adopter.branch).await?,
        (None, None) => context.resolve("HEAD")?,
    };
    let rules = load_config(context, rules_at.as_str())?.ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("`{CONFIG_FILE}` is not in commit {}", rules_at.short(12)))
            .hint("name a commit that has one with `--rules REV`")
    })?;
    let uncommitted = of_uncommitted_configuration(&context.git, &rules_at);
    let place = Place::find(context, &older, &rules, request.revision.as_deref())?;
    let own = load_config(context, place.commit.as_str())?;
    let chosen = match &own {
        Some(own) => Rules { config: own, commit: &place.commit },
        None => Rules { config: &rules, commit: &rules_at },
    };
    let policy =
        request.accept_unlabelled.map(|accept| if accept { RevisionPolicy::Warn } else { RevisionPolicy::Require });
    let made = make(context, &older, &place, chosen, policy).await?;
    let rules_at = if own.is_some() { None } else { Some(rules_at) };
    let mut warnings = made.warnings;
    warnings.extend(uncommitted);
    if context.superproject.commit(&older.commit).is_err() {
        let commit = lock_model::escaping::shorten(&older.commit, 50);
        warnings.push(format!(
            "the commit that it names, `{commit}`, is not in this repository, so its history cannot be shown"
        ));
    }
    if let Some(folder) = &request.output {
        write_lock_folder(context, folder, &made.file.bytes)?;
    }
    let adopted = match adopter {
        // The time of the commit that it belongs to: the same commit whenever it is made.
        Some(adopter) => {
            Some(adopter.adopt(context, &place.commit, place.facts.time, &made.file, rules_at.as_ref()).await?)
        }
        None => None,
    };
    Ok(LockMigrateReport {
        lock: made.file.lock.id().clone(),
        commit: place.commit,
        source: made.file.lock.source().into(),
        services: locked_services(&made.file.lock),
        adopted,
        folder: request.output.as_ref().map(|folder| folder.display().to_string()),
        file: String::from_utf8_lossy(&made.file.bytes).into_owned(),
        warnings,
    })
}

/// The commit whose gitlinks are those of the lock.
struct Place {
    commit: CommitId,
    /// Its tree and its time.
    facts: lock_gen::CommitInfo,
    scan: Scan,
}

impl Place {
    /// The named commit, or the newest one that fits.
    fn find(context: &Context, older: &LegacyLock, rules: &Config, revision: Option<&str>) -> Result<Self> {
        if let Some(revision) = revision {
            let place = Self::at(context, context.resolve(revision)?, rules)?;
            return match place.mismatches(older) {
                none if none.is_empty() => Ok(place),
                problems => Err(Error::new(
                    ErrorKind::Repository,
                    format!("the lock does not belong to the tree of {}", place.commit.short(12)),
                )
                .problems(problems)
                .hint("leave `--rev` out to look for a commit that it belongs to")),
            };
        }
        let head = context.resolve("HEAD")?;
        let commits = context.rev_list(&[MOST_COMMITS, head.as_str()])?;
        let mut nearest: Option<(Self, Vec<Problem>)> = None;
        for commit in commits {
            let place = Self::at(context, commit, rules)?;
            let problems = place.mismatches(older);
            if problems.is_empty() {
                return Ok(place);
            }
            if nearest.as_ref().is_none_or(|(_, fewest)| problems.len() < fewest.len()) {
                nearest = Some((place, problems));
            }
        }
        let error = Error::new(ErrorKind::Repository, "the lock belongs to no commit of this history");
        Err(match nearest {
            Some((place, problems)) => error
                .problems(problems)
                .hint(format!("this is what differs at {}, which comes nearest", place.commit.short(12)))
                .hint("another branch may have had it: `--rev REV`"),
            None => error,
        })
    }

    fn at(context: &Context, commit: CommitId, rules: &Config) -> Result<Self> {
        let unreadable = |error: lock_gen::ReadError| {
            Error::from_source(
                ErrorKind::Repository,
                format!("the submodules of {} cannot be read", commit.short(12)),
                error,
            )
        };
        let facts = context.superproject.commit(commit.as_str()).map_err(unreadable)?;
        let scan = Inputs::submodules(context, &facts.tree, &context.address(rules)).map_err(unreadable)?;
        Ok(Self { commit, facts, scan })
    }

    /// Everything that speaks against the lock being this tree's.
    fn mismatches(&self, older: &LegacyLock) -> Vec<Problem> {
        let problem = |subject: &str, message: String| Problem::new(subject, message);
        let mut problems: Vec<Problem> =
            self.scan.problems.iter().map(|finding| problem(&finding.subject, finding.sentence())).collect();
        let mut there = BTreeSet::new();
        for Submodule { path, commit, .. } in &self.scan.submodules {
            there.insert(path);
            match older.services.get(path) {
                None => problems.push(problem(path.as_str(), "is a submodule, and not in the lock".to_owned())),
                Some(service) if service.commit != *commit => {
                    let (lock, tree) = (service.commit.short(12), commit.short(12));
                    problems.push(problem(path.as_str(), format!("is locked at {lock}, and at {tree} in the tree")));
                }
                Some(_) => {}
            }
        }
        let gone = older.services.keys().filter(|path| !there.contains(path));
        problems.extend(gone.map(|path| problem(path.as_str(), "is in the lock, and no submodule".to_owned())));
        problems
    }
}

/// The configuration that decides, and where it stands.
#[derive(Clone, Copy)]
struct Rules<'a> {
    config: &'a Config,
    commit: &'a CommitId,
}

/// A lock that was just made.
struct Made {
    file: LockFile,
    warnings: Vec<String>,
}

/// What an older lock pins, with the digests that its tags have today.
async fn make(
    context: &Context,
    older: &LegacyLock,
    place: &Place,
    rules: Rules<'_>,
    revision: Option<RevisionPolicy>,
) -> Result<Made> {
    let paths: Vec<TreePath> = place.scan.submodules.iter().map(|submodule| submodule.path.clone()).collect();
    let (assignments, mut warnings) = rules
        .config
        .assign_services_of_past(&paths)
        .map_err(|error| Error::new(ErrorKind::Usage, error.to_string().trim_end()))?;
    let entries: Vec<(&ServiceAssignment, &LegacyService, &Submodule)> = assignments
        .iter()
        .filter_map(|assignment| {
            let submodule = place.scan.submodules.iter().find(|submodule| submodule.path == assignment.path)?;
            Some((assignment, older.services.get(&assignment.path)?, submodule))
        })
        .collect();
    let images = resolve(context, rules, place, &entries, revision, &mut warnings).await?;
    let source = Source::new(
        context.address(rules.config),
        place.commit.clone(),
        place.facts.parents.first().unwrap_or(&place.commit).clone(),
        place.facts.tree.clone(),
    );
    let mut draft = LockDraft::new(source).with_origin(Origin::Migrated);
    for (assignment, older, _) in entries {
        let content = if let Some(image) = images.get(&assignment.name) {
            Content::Image(image.clone())
        } else {
            warnings.push(format!(
                "{}: is configuration only, so `{}:{}` is left out",
                assignment.name, older.repository, older.tag
            ));
            Content::Configuration
        };
        draft.add(assignment.name.clone(), assignment.path.clone(), content, None);
    }
    let lock = draft
        .assemble(&place.scan)
        .map_err(|error| Error::from_source(ErrorKind::Lock, "the lock cannot be made", error))?;
    let lock = lock.with_schema(schema_place(context, &place.facts.tree)?);
    Ok(Made { file: LockFile::parse(lock.to_yaml().into_bytes(), LOCK_FILE)?, warnings })
}

/// Asks for the very tags that the older lock names, and for no other.
async fn resolve(
    context: &Context,
    rules: Rules<'_>,
    place: &Place,
    entries: &[(&ServiceAssignment, &LegacyService, &Submodule)],
    revision: Option<RevisionPolicy>,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<ServiceName, LockedImage>> {
    let (services, requests): (Vec<ServiceName>, Vec<ImageRequest>) = entries
        .iter()
        .filter_map(|(assignment, older, _)| {
            let AssignedKind::Image(image) = &assignment.kind else { return None };
            let candidate = ImageReference::new(older.repository.clone()).with_tag(older.tag.clone());
            let policy = revision.unwrap_or_else(|| image_policy(image));
            let request = ImageRequest::new([candidate])
                .platforms(image.platforms.iter().cloned())
                .built_from(older.commit.clone(), policy);
            Some((assignment.name.clone(), request))
        })
        .unzip();
    let registry =
        registry_client::client(context, rules.config, &Inputs::named(context, rules.commit, rules.config)?)?;
    let resolving = Resolving::start(context, requests.len());
    let on_event = |event: Event<'_>| {
        if let Event::Looked { request, .. } = event {
            context.emit(Progress::ImageResolved { service: services[request].as_str() });
        }
    };
    let answers = registry.resolve_all(&requests, context.deadline, &on_event).await;
    drop(resolving);
    let mut images = BTreeMap::new();
    let mut failures = Vec::new();
    let mut others = Vec::new();
    let answers: BTreeMap<ServiceName, _> = services.into_iter().zip(answers).collect();
    for (service, answer) in answers {
        let resolution = match answer {
            Ok(resolution) => resolution,
            Err(failure) => {
                failures.push((service, failure));
                continue;
            }
        };
        warnings.extend(resolution.warnings.iter().map(|warning| format!("{service}: {warning}")));
        let image = resolution.image.into_locked(place.facts.time).expect("every candidate has a tag");
        let said = entries.iter().find(|(assignment, ..)| assignment.name == service);
        let said = said.and_then(|(_, older, _)| older.digest.as_ref());
        let wrong = match said {
            Some(digest) if *digest != image.digest => {
                Some(format!("`{}` is {} today, and was {digest}", image.tag, image.digest))
            }
            // Whatever the policy: this is the image of another commit, not one that does not say.
            _ if image.revision == Revision::Mismatch => Some(format!("`{}` was built from another commit", image.tag)),
            _ => None,
        };
        others.extend(wrong.map(|message| Problem { subject: service.to_string(), message, details: Vec::new() }));
        images.insert(service, image);
    }
    warnings.extend(registry_client::warnings(&registry));
    if !failures.is_empty() {
        let error = unresolved(context, &failures, requests.len(), Patience::Useless).problems(others);
        let is_silent = |failure: &Unresolved| {
            matches!(&failure.reason, UnresolvedReason::OtherRevision { found, .. }
                if found.iter().any(|found| found.revision.is_none()))
        };
        let hint = failures.iter().any(|(_, failure)| is_silent(failure));
        let hint = hint.then_some("images that never said their commit can be taken with `--revision warn`");
        return Err(hint.into_iter().fold(error, Error::hint));
    }
    if others.is_empty() {
        return Ok(images);
    }
    Err(Error::new(ErrorKind::Image, "the registry has something else than the lock meant")
        .problems(others)
        .hint("there is no way back to this lock: what it named is gone"))
}
