//! Making a lock: the gitlinks of a tree, and the images that the registry holds for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::{AssignedKind, ImageAssignment, ServiceAssignment};
use lock_gen::Submodule;
use lock_model::{
    Content, GitSource, ImageReference, Lock, LockParts, LockedImage, Origin, Revision, Service, ServiceName, Source,
    TreePath,
};
use registry::{Attempt, Event, ImageRequest, Resolution, RevisionPolicy, Unresolved, WaitPolicy};

use crate::context::Context;
use crate::error::{CliError, CliResult, Problem, code_of};
use crate::exit_code::ExitCode;
use crate::registries;
use crate::snapshot::Snapshot;
use crate::submodules::{PushedRefs, Target, ask_pushed, check_sources};

/// A lock that was just made.
#[derive(Debug)]
pub(crate) struct Generated {
    /// The lock.
    pub lock: Lock,
    /// Its file's bytes.
    pub bytes: Vec<u8>,
    /// What people should know although the lock could be made.
    pub warnings: Vec<String>,
    /// On which branches the commits are, where that was asked.
    pub pushed: Option<BTreeMap<ServiceName, PushedRefs>>,
}

/// Which services are resolved, and how patiently.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope<'a> {
    /// Resolve these only, and take the others from this lock.
    pub only: Option<(&'a BTreeSet<ServiceName>, &'a Lock)>,
    /// How long to wait for images that are still being built.
    pub patience: Duration,
    /// Ask the remotes whether the commits are pushed, also where no configuration wants it.
    pub check_pushed: bool,
}

/// Resolves the services of a snapshot.
pub(crate) async fn generate(
    context: &Context,
    snapshot: &Snapshot,
    source: Source,
    scope: Scope<'_>,
) -> CliResult<Generated> {
    snapshot.check_submodules()?;
    let by_path: BTreeMap<&TreePath, &Submodule> =
        snapshot.scan.submodules.iter().map(|submodule| (&submodule.path, submodule)).collect();
    let assigned: Vec<Assigned<'_>> = assign(snapshot)?
        .into_iter()
        .filter_map(|assignment| Some(Assigned { submodule: by_path.get(&assignment.path)?, assignment }))
        .collect();
    let pushed = judge(context, snapshot, &source, &assigned, scope.check_pushed).await?;
    let mut services = match scope.only {
        Some((only, previous)) => kept(&assigned, only, previous)?,
        None => BTreeMap::new(),
    };
    let wanted: Vec<&Assigned<'_>> =
        assigned.iter().filter(|assigned| !services.contains_key(&assigned.assignment.name)).collect();
    let mut warnings: Vec<String> = snapshot.scan.warnings.iter().map(ToString::to_string).collect();
    let mut images = resolve(context, snapshot, &wanted, scope.patience, &mut warnings).await?;
    for Assigned { assignment, submodule } in wanted {
        let content = match assignment.kind {
            AssignedKind::Configuration => Content::Configuration,
            AssignedKind::Image(_) => match images.remove(&assignment.name) {
                Some(image) => Content::Image(image),
                None => {
                    return Err(CliError::new(
                        ExitCode::Bug,
                        format!("service `{}` was not resolved", assignment.name),
                    ));
                }
            },
        };
        let git = GitSource::new(submodule.url.clone(), submodule.sha.clone());
        services.insert(assignment.name.clone(), Service::new(assignment.path.clone(), git, content));
    }
    let lock = Lock::new(LockParts::new(source).with_services(services))
        .map_err(|error| CliError::from_source(ExitCode::Usage, "the lock cannot be made", &error))?;
    let bytes = lock.to_yaml().into_bytes();
    Ok(Generated { lock, bytes, warnings, pushed })
}

/// A service with its submodule.
struct Assigned<'a> {
    assignment: ServiceAssignment,
    submodule: &'a Submodule,
}

/// Whether the submodules may come from where they come from, and whether their commits are pushed. Nothing is asked of a
/// registry before that.
async fn judge(
    context: &Context,
    snapshot: &Snapshot,
    source: &Source,
    assigned: &[Assigned<'_>],
    check_pushed: bool,
) -> CliResult<Option<BTreeMap<ServiceName, PushedRefs>>> {
    let services: BTreeMap<ServiceName, &Submodule> =
        assigned.iter().map(|one| (one.assignment.name.clone(), one.submodule)).collect();
    let target = Target::load(context, &source.base)?;
    check_sources(snapshot, &target, &services)?;
    if !check_pushed && !target.requires_pushed(&snapshot.config.submodules) {
        return Ok(None);
    }
    ask_pushed(context, snapshot, &target, &services).await?.all_pushed().map(Some)
}

/// Names and kinds of all services, by the configuration's rules.
fn assign(snapshot: &Snapshot) -> CliResult<Vec<ServiceAssignment>> {
    let paths: Vec<TreePath> = snapshot.scan.submodules.iter().map(|submodule| submodule.path.clone()).collect();
    snapshot.config.classify(&paths).map_err(|error| CliError::new(ExitCode::Usage, error.to_string().trim_end()))
}

/// Whether a snapshot's configuration could have made this lock. No registry is asked.
pub(crate) fn would_make(snapshot: &Snapshot, lock: &Lock) -> CliResult<bool> {
    Ok(misfits(snapshot, lock)?.is_empty())
}

/// Why a snapshot's configuration would not have made this lock: other services, another kind, images that it does not
/// look for, platforms and revisions that it does not take.
pub(crate) fn misfits(snapshot: &Snapshot, lock: &Lock) -> CliResult<Vec<String>> {
    let assignments = assign(snapshot)?;
    let mut misfits = Vec::new();
    for assignment in &assignments {
        let name = &assignment.name;
        match lock.services().get(name) {
            None => misfits.push(format!("{name}: is not in the lock")),
            Some(service) => {
                misfits.extend(service_misfits(assignment, service).into_iter().map(|what| format!("{name}: {what}")));
            }
        }
    }
    let known: BTreeSet<&ServiceName> = assignments.iter().map(|assignment| &assignment.name).collect();
    let foreign = lock.services().keys().filter(|name| !known.contains(name));
    misfits.extend(foreign.map(|name| format!("{name}: is no service of this configuration")));
    Ok(misfits)
}

fn service_misfits(assignment: &ServiceAssignment, service: &Service) -> Vec<String> {
    match service.origin {
        Origin::Migrated => return vec!["was taken over from an older pipeline".to_owned()],
        Origin::Resolved => {}
    }
    let (wanted, image) = match (&assignment.kind, &service.content) {
        (AssignedKind::Configuration, Content::Configuration) => return Vec::new(),
        (AssignedKind::Configuration, Content::Image(_)) => return vec!["is locked with an image".to_owned()],
        (AssignedKind::Image(_), Content::Configuration) => return vec!["is locked without an image".to_owned()],
        (AssignedKind::Image(wanted), Content::Image(image)) => (wanted, image),
    };
    let mut misfits = Vec::new();
    let candidates = assignment.candidates(&service.git.commit);
    if !candidates.iter().any(|(repository, tag)| *repository == image.repository && *tag == image.tag) {
        misfits.push(format!("`{}` is none of the images to look for", image.reference().without_digest()));
    }
    let missing = wanted.platforms.iter().filter(|platform| !image.platforms.contains_key(*platform));
    misfits.extend(missing.map(|platform| format!("has no image for {platform}")));
    let proven = match image.revision {
        Revision::Proven | Revision::SelfAsserted => true,
        Revision::Mismatch | Revision::Absent | Revision::Unchecked => false,
    };
    if !proven && wanted.revision == config::RevisionPolicy::Require {
        misfits
            .push(format!("its revision is `{}`, and `revision: require` wants the commit", image.revision.as_str()));
    }
    misfits
}

/// The entries of an earlier lock that a partial refresh keeps. Each must still be what the tree says, or the new lock
/// would not belong to its tree.
fn kept(
    assigned: &[Assigned<'_>],
    only: &BTreeSet<ServiceName>,
    previous: &Lock,
) -> CliResult<BTreeMap<ServiceName, Service>> {
    let known: BTreeSet<&ServiceName> = assigned.iter().map(|assigned| &assigned.assignment.name).collect();
    let mut problems: Vec<Problem> = only
        .iter()
        .filter(|name| !known.contains(name))
        .map(|name| Problem {
            subject: name.to_string(),
            message: "is no service of this tree".to_owned(),
            details: Vec::new(),
        })
        .collect();
    let mut kept = BTreeMap::new();
    for Assigned { assignment, submodule } in assigned.iter().filter(|one| !only.contains(&one.assignment.name)) {
        let name = &assignment.name;
        let wrong = match previous.services().get(name) {
            None => Some("is not in the earlier lock".to_owned()),
            Some(service) if service.git.commit != submodule.sha || service.path != submodule.path => Some(format!(
                "is at {} in the tree, and at {} in the earlier lock",
                submodule.sha.short(12),
                service.git.commit.short(12)
            )),
            Some(service) => {
                kept.insert(name.clone(), service.clone());
                None
            }
        };
        problems.extend(wrong.map(|message| Problem { subject: name.to_string(), message, details: Vec::new() }));
    }
    if problems.is_empty() {
        return Ok(kept);
    }
    Err(CliError::new(ExitCode::Repository, "the earlier lock cannot be kept for services that are not refreshed")
        .problems(problems)
        .hint("name these services with `--service` too, or leave it out to resolve everything"))
}

/// What the registry is asked for a service.
fn request(assigned: &Assigned<'_>) -> Option<ImageRequest> {
    let Assigned { assignment, submodule } = assigned;
    let AssignedKind::Image(image) = &assignment.kind else { return None };
    let candidates = assignment.candidates(&submodule.sha);
    let candidates = candidates.into_iter().map(|(repository, tag)| ImageReference::new(repository).with_tag(tag));
    let request = ImageRequest::new(candidates).platforms(image.platforms.iter().cloned());
    Some(request.built_from(submodule.sha.clone(), image_policy(image)))
}

/// What an image must say about its commit.
pub(crate) fn image_policy(image: &ImageAssignment) -> RevisionPolicy {
    match image.revision {
        config::RevisionPolicy::Require => RevisionPolicy::Require,
        config::RevisionPolicy::Warn => RevisionPolicy::Warn,
        config::RevisionPolicy::Off => RevisionPolicy::Off,
    }
}

async fn resolve(
    context: &Context,
    snapshot: &Snapshot,
    wanted: &[&Assigned<'_>],
    patience: Duration,
    warnings: &mut Vec<String>,
) -> CliResult<BTreeMap<ServiceName, LockedImage>> {
    let (services, requests): (Vec<&ServiceName>, Vec<ImageRequest>) =
        wanted.iter().filter_map(|assigned| Some((&assigned.assignment.name, request(assigned)?))).unzip();
    let registry = registries::client(context, &snapshot.config, &snapshot.commit)?;
    let all = requests.len();
    let work = context.progress.work(all, "resolving", "image");
    let on_event = |event: Event<'_>| match event {
        Event::Looked { request, found: true } => work.done(services[request].as_str()),
        Event::Waiting { missing, of, .. } => {
            let names: Vec<&str> = missing.iter().map(|request| services[*request].as_str()).collect();
            work.line(&format!("waiting for {} of {of} images: {}", missing.len(), names.join(", ")));
        }
        _ => {}
    };
    let wait = WaitPolicy::up_to(patience);
    let answers = registry.resolve_all_waiting(&requests, wait, context.deadline, &on_event).await;
    drop(work);
    let mut images = BTreeMap::new();
    let mut failures = Vec::new();
    let answers: BTreeMap<&ServiceName, _> = services.into_iter().zip(answers).collect();
    for (service, answer) in answers {
        match answer {
            Ok(resolution) => {
                warnings.extend(resolution.warnings.iter().map(|warning| format!("{service}: {warning}")));
                let image = resolution.image.into_locked(snapshot.time);
                images.extend(image.map(|image| (service.clone(), image)));
            }
            Err(unresolved) => failures.push((service.clone(), unresolved)),
        }
    }
    if !failures.is_empty() {
        return Err(unresolved(&failures, all));
    }
    warnings.extend(registries::warnings(&registry));
    Ok(images)
}

/// What the registry said about one service.
#[derive(Debug)]
pub(crate) struct Explained {
    /// The answer.
    pub answer: Result<Resolution, Unresolved>,
    /// Where the logins came from that registries asked for; never the logins.
    pub logins: Vec<String>,
    /// What should have given a login and did not.
    pub warnings: Vec<String>,
}

/// What was asked and answered for one service.
pub(crate) async fn explain(
    context: &Context,
    snapshot: &Snapshot,
    name: &ServiceName,
) -> CliResult<Option<Explained>> {
    snapshot.check_submodules()?;
    let assignments = assign(snapshot)?;
    let known: Vec<&str> = assignments.iter().map(|assignment| assignment.name.as_str()).collect();
    let Some(assignment) = assignments.iter().find(|assignment| assignment.name == *name) else {
        return Err(CliError::new(ExitCode::Usage, format!("there is no service `{name}`"))
            .hint(format!("the tree has: {}", known.join(", "))));
    };
    let submodule = snapshot.scan.submodules.iter().find(|submodule| submodule.path == assignment.path);
    let submodule = submodule.ok_or_else(|| CliError::new(ExitCode::Bug, format!("`{name}` has no submodule")))?;
    let assigned = Assigned { assignment: assignment.clone(), submodule };
    let Some(request) = request(&assigned) else { return Ok(None) };
    let registry = registries::client(context, &snapshot.config, &snapshot.commit)?;
    let repositories: BTreeSet<_> = request.candidates.iter().map(|candidate| candidate.repository.clone()).collect();
    let answer = registry.resolve_all(&[request], context.deadline, &|_event| {}).await.pop();
    let logins = repositories
        .iter()
        .filter_map(|repository| Some(format!("{}: {}", repository.host(), registry.login_of(repository)?.source)))
        .collect();
    Ok(answer.map(|answer| Explained { answer, logins, warnings: registries::warnings(&registry) }))
}

/// All failures in one report; permanent causes decide the exit code, 14 only where nothing else is wrong.
pub(crate) fn unresolved(failures: &[(ServiceName, Unresolved)], of: usize) -> CliError {
    let code = failures
        .iter()
        .map(|(_, failure)| code_of(failure.class(), ExitCode::Image, ExitCode::Image))
        .min_by_key(|code| match code {
            ExitCode::Bug => 0,
            ExitCode::Image => 1,
            ExitCode::Denied => 2,
            _ => 3,
        })
        .unwrap_or(ExitCode::Image);
    let problems = failures.iter().map(|(service, failure)| Problem {
        subject: service.to_string(),
        message: failure.reason.to_string(),
        details: failure.tried.iter().map(|attempt: &Attempt| format!("tried {attempt}")).collect(),
    });
    let hint = match code {
        ExitCode::Temporary => "every failure is temporary: run the same command again",
        ExitCode::Denied => {
            "log in with `docker login` or `podman login`, or set `ORCHESTRATOR_REGISTRY_HOST` and its companions"
        }
        _ => {
            "wait until the service's CI has published the image, or correct `images:` and `services:` in orchestrator.yaml"
        }
    };
    CliError::new(code, format!("{} of {of} services have no image that can be locked", failures.len()))
        .problems(problems)
        .hint(hint)
}
