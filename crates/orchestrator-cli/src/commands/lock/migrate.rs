//! `lock migrate`: a lock of the older pipeline becomes somewhere to go back to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use config::{AssignedKind, Config, ServiceAssignment};
use lock_gen::{Scan, Submodule};
use lock_model::{
    CommitId, Content, GitSource, ImageReference, LegacyLock, LegacyService, Lock, LockParts, LockedImage, Origin,
    Revision, Service, ServiceName, Source, TreePath,
};
use registry::{Event, ImageRequest, RevisionPolicy};

use super::adopt::Adopter;
use super::generate::write_lock_folder;
use super::{describe, summary};
use crate::arguments::{LockMigrateArgs, RevisionArgument};
use crate::context::{Context, git_error};
use crate::error::{CliError, CliResult, Problem};
use crate::exit_code::ExitCode;
use crate::generation::{image_policy, unresolved};
use crate::output::{Report, append};
use crate::registries;
use crate::snapshot::{CONFIGURATION_FILE, LOCK_FILE, LockFile, load_config, lock_error};

/// How many commits are looked at for one that the lock belongs to.
const MOST_COMMITS: &str = "--max-count=10000";

/// Makes a lock of this format from one of the older pipeline.
pub(crate) async fn migrate(context: &Context, args: &LockMigrateArgs) -> CliResult<Report> {
    context.sync()?;
    let older = read(&args.file)?;
    let adopter = match &args.adopt {
        Some(name) => Some(Adopter::find(context, name, args.reason.as_deref().unwrap_or_default()).await?),
        None => None,
    };
    let rules_at = match (&args.rules, &adopter) {
        (Some(revision), _) => context.resolve(revision)?,
        (None, Some(adopter)) => context.branch_head(&adopter.branch).await?,
        (None, None) => context.resolve("HEAD")?,
    };
    let rules = load_config(context, rules_at.as_str())?.ok_or_else(|| {
        CliError::new(ExitCode::Usage, format!("`{CONFIGURATION_FILE}` is not in commit {}", rules_at.short(12)))
            .hint("name a commit that has one with `--rules REV`")
    })?;
    let place = Place::find(context, &older, &rules, args.rev.as_deref())?;
    let own = load_config(context, place.commit.as_str())?;
    let chosen = match &own {
        Some(own) => Rules { config: own, commit: &place.commit },
        None => Rules { config: &rules, commit: &rules_at },
    };
    let made = make(context, &older, &place, chosen, args.revision).await?;
    let rules_at = if own.is_some() { None } else { Some(rules_at) };
    let mut warnings = made.warnings;
    if context.superproject.commit(&older.commit).is_err() {
        let commit = lock_model::escaping::shorten(&older.commit, 50);
        warnings
            .push(format!("the commit that it names, `{commit}`, is not in this repository: nobody can look it up"));
    }
    let mut report = describe(&made.file.lock);
    report.document = serde_json::json!({
        "command": "lock migrate", "lock": made.file.lock.id(), "commit": place.commit,
        "services": summary(&made.file.lock),
    });
    if let Some(folder) = &args.output {
        write_lock_folder(folder, &made.file.bytes)?;
        append(&mut report.human, format!("\nit is in {}\n", folder.display()));
    }
    if let Some(adopter) = adopter {
        let adopted = adopter.adopt(context, &place, &made.file, rules_at.as_ref()).await?;
        append(
            &mut report.human,
            format!(
                "\n{} takes it over as `{tag}`: `orchestrator rollback --env {} --to {tag} --reason …` goes there\n",
                adopter.name,
                adopter.name,
                tag = adopted.tag
            ),
        );
        if let Some(document) = report.document.as_object_mut() {
            document.insert("release".to_owned(), serde_json::json!(adopted.release));
            document.insert("tag".to_owned(), serde_json::json!(adopted.tag));
            document.insert("adopted_commit".to_owned(), serde_json::json!(adopted.commit));
        }
    } else if args.output.is_none() {
        report.human = String::from_utf8_lossy(&made.file.bytes).into_owned();
    }
    Ok(report.warnings(warnings))
}

fn read(path: &Path) -> CliResult<LegacyLock> {
    let bytes = std::fs::read(path).map_err(|error| {
        CliError::from_source(ExitCode::Usage, format!("`{}` cannot be read", path.display()), &error)
    })?;
    LegacyLock::parse(&bytes, &path.display().to_string()).map_err(|error| lock_error(&error))
}

/// The commit whose gitlinks are those of the lock.
pub(super) struct Place {
    /// The commit.
    pub commit: CommitId,
    /// Its tree and its time.
    pub facts: lock_gen::CommitInfo,
    scan: Scan,
}

impl Place {
    /// The named commit, or the newest one that fits.
    fn find(context: &Context, older: &LegacyLock, rules: &Config, revision: Option<&str>) -> CliResult<Self> {
        if let Some(revision) = revision {
            let place = Self::at(context, context.resolve(revision)?, rules)?;
            return match place.mismatches(older) {
                none if none.is_empty() => Ok(place),
                problems => Err(CliError::new(
                    ExitCode::Repository,
                    format!("the lock does not belong to the tree of {}", place.commit.short(12)),
                )
                .problems(problems)
                .hint("leave `--rev` out to look for a commit that it belongs to")),
            };
        }
        let head = context.resolve("HEAD")?;
        let commits = context
            .git
            .rev_list(&[MOST_COMMITS, head.as_str()])
            .map_err(|error| git_error("history cannot be read", &error))?;
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
        let error = CliError::new(ExitCode::Repository, "the lock belongs to no commit of this history");
        Err(match nearest {
            Some((place, problems)) => error
                .problems(problems)
                .hint(format!("this is what differs at {}, which comes nearest", place.commit.short(12)))
                .hint("another branch may have had it: `--rev REV`"),
            None => error,
        })
    }

    fn at(context: &Context, commit: CommitId, rules: &Config) -> CliResult<Self> {
        let unreadable = |error: &lock_gen::ReadError| {
            CliError::from_source(
                ExitCode::Repository,
                format!("the submodules of {} cannot be read", commit.short(12)),
                error,
            )
        };
        let facts = context.superproject.commit(commit.as_str()).map_err(|error| unreadable(&error))?;
        let scan =
            context.superproject.scan(&facts.tree, &rules.forge.repository).map_err(|error| unreadable(&error))?;
        Ok(Self { commit, facts, scan })
    }

    /// Everything that speaks against the lock being this tree's.
    fn mismatches(&self, older: &LegacyLock) -> Vec<Problem> {
        let problem =
            |subject: &str, message: String| Problem { subject: subject.to_owned(), message, details: vec![] };
        let mut problems: Vec<Problem> =
            self.scan.problems.iter().map(|finding| problem(&finding.subject, finding.message.clone())).collect();
        let mut there = BTreeSet::new();
        for Submodule { path, sha, .. } in &self.scan.submodules {
            there.insert(path);
            match older.services.get(path) {
                None => problems.push(problem(path.as_str(), "is a submodule, and not in the lock".to_owned())),
                Some(service) if service.commit != *sha => {
                    let (lock, tree) = (service.commit.short(12), sha.short(12));
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
    revision: Option<RevisionArgument>,
) -> CliResult<Made> {
    let paths: Vec<TreePath> = place.scan.submodules.iter().map(|submodule| submodule.path.clone()).collect();
    let assignments =
        rules.config.classify(&paths).map_err(|error| CliError::new(ExitCode::Usage, error.to_string().trim_end()))?;
    let entries: Vec<(&ServiceAssignment, &LegacyService, &Submodule)> = assignments
        .iter()
        .filter_map(|assignment| {
            let submodule = place.scan.submodules.iter().find(|submodule| submodule.path == assignment.path)?;
            Some((assignment, older.services.get(&assignment.path)?, submodule))
        })
        .collect();
    let mut warnings = Vec::new();
    let images = resolve(context, rules, place, &entries, revision, &mut warnings).await?;
    let services = entries.into_iter().map(|(assignment, older, submodule)| {
        let content = if let Some(image) = images.get(&assignment.name) {
            Content::Image(image.clone())
        } else {
            warnings.push(format!(
                "{}: is configuration only, so `{}:{}` is left out",
                assignment.name, older.repository, older.tag
            ));
            Content::Configuration
        };
        let git = GitSource::new(submodule.url.clone(), submodule.sha.clone());
        let service = Service::new(assignment.path.clone(), git, content).with_origin(Origin::Migrated);
        (assignment.name.clone(), service)
    });
    let source = Source::new(
        rules.config.forge.repository.clone(),
        place.commit.clone(),
        place.facts.parents.first().unwrap_or(&place.commit).clone(),
        place.facts.tree.clone(),
    );
    let lock = Lock::new(LockParts::new(source).with_services(services))
        .map_err(|error| CliError::from_source(ExitCode::Lock, "the lock cannot be made", &error))?;
    Ok(Made { file: LockFile::parse(lock.to_yaml().into_bytes(), LOCK_FILE)?, warnings })
}

/// Asks for the very tags that the older lock names, and for no other.
async fn resolve(
    context: &Context,
    rules: Rules<'_>,
    place: &Place,
    entries: &[(&ServiceAssignment, &LegacyService, &Submodule)],
    revision: Option<RevisionArgument>,
    warnings: &mut Vec<String>,
) -> CliResult<BTreeMap<ServiceName, LockedImage>> {
    let (services, requests): (Vec<ServiceName>, Vec<ImageRequest>) = entries
        .iter()
        .filter_map(|(assignment, older, _)| {
            let AssignedKind::Image(image) = &assignment.kind else { return None };
            let candidate = ImageReference::new(older.repository.clone()).with_tag(older.tag.clone());
            let policy = revision.map_or_else(|| image_policy(image), RevisionArgument::policy);
            let request = ImageRequest::new([candidate])
                .platforms(image.platforms.iter().cloned())
                .built_from(older.commit.clone(), policy);
            Some((assignment.name.clone(), request))
        })
        .unzip();
    let registry = registries::client(context, rules.config, rules.commit)?;
    let work = context.progress.work(requests.len(), "resolving", "image");
    let on_event = |event: Event<'_>| {
        if let Event::Looked { request, .. } = event {
            work.done(services[request].as_str());
        }
    };
    let answers = registry.resolve_all(&requests, context.deadline, &on_event).await;
    drop(work);
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
    warnings.extend(registries::warnings(&registry));
    if !failures.is_empty() {
        let error = unresolved(&failures, requests.len()).problems(others);
        return Err(error.hint("images that never said their commit can be taken with `--revision warn`"));
    }
    if others.is_empty() {
        return Ok(images);
    }
    Err(CliError::new(ExitCode::Image, "the registry has something else than the lock meant")
        .problems(others)
        .hint("there is no way back to this lock: what it named is gone"))
}

impl RevisionArgument {
    fn policy(self) -> RevisionPolicy {
        match self {
            Self::Require => RevisionPolicy::Require,
            Self::Warn => RevisionPolicy::Warn,
        }
    }
}
