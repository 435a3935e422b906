//! The lock of a revision: its gitlinks joined with the images that the registry has for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::{AssignedKind, ImageAssignment, ServiceAssignment};
use lock_gen::{LockDraft, Submodule};
use lock_model::{
    Content, ImageReference, Lock, LockedImage, Origin, Revision as ImageRevision, Service, ServiceName, Source,
    TreePath,
};
use registry::{Event, ImageRequest, Resolution, RevisionPolicy, Unresolved, WaitPolicy};

use crate::error::{Error, ErrorKind, Problem, Result};
use crate::events::Event as Progress;
use crate::image_failure::{Patience, unresolved};
use crate::lock_folder::schema_place;
use crate::registry_client;
use crate::report::v1::PushedRefs;
use crate::revision::{Revision, config_error};
use crate::submodules::{Target, ask_pushed, check_sources};
use crate::workspace::Workspace;

/// A lock that was just made.
#[derive(Debug)]
pub(crate) struct Generated {
    pub lock: Lock,
    pub bytes: Vec<u8>,
    /// What people should know although the lock could be made.
    pub warnings: Vec<String>,
    /// On which branches the commits are, where that was asked.
    pub pushed: Option<BTreeMap<ServiceName, PushedRefs>>,
    /// Whether the rules want every commit to be pushed.
    pub must_be_pushed: bool,
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

/// Resolves the services of a revision.
pub(crate) async fn generate(
    context: &Workspace,
    revision: &Revision,
    source: Source,
    scope: Scope<'_>,
) -> Result<Generated> {
    revision.check_submodules()?;
    let by_path: BTreeMap<&TreePath, &Submodule> =
        revision.scan.submodules.iter().map(|submodule| (&submodule.path, submodule)).collect();
    let assigned: Vec<Assigned<'_>> = assign(revision)?
        .into_iter()
        .filter_map(|assignment| Some(Assigned { submodule: by_path.get(&assignment.path)?, assignment }))
        .collect();
    let (must_be_pushed, pushed) = judge(context, revision, &source, &assigned, scope.check_pushed).await?;
    let kept = match scope.only {
        Some((only, previous)) => kept(&assigned, only, previous)?,
        None => BTreeMap::new(),
    };
    let wanted: Vec<&Assigned<'_>> =
        assigned.iter().filter(|assigned| !kept.contains_key(&assigned.assignment.name)).collect();
    let mut warnings: Vec<String> =
        revision.scan.warnings.iter().map(|finding| format!("{finding}: {}", finding.hint)).collect();
    let mut images = resolve(context, revision, &wanted, scope.patience, &mut warnings).await?;
    let mut draft = LockDraft::new(source);
    for (name, entry) in kept {
        draft.keep(name, entry);
    }
    for Assigned { assignment, .. } in wanted {
        let content = match assignment.kind {
            AssignedKind::Configuration => Content::Configuration,
            AssignedKind::Image(_) => match images.remove(&assignment.name) {
                Some(image) => Content::Image(image),
                None => {
                    return Err(Error::new(ErrorKind::Bug, format!("service `{}` was not resolved", assignment.name)));
                }
            },
        };
        draft.add(assignment.name.clone(), assignment.path.clone(), content, None);
    }
    let lock = draft
        .assemble(&revision.scan)
        .map_err(|error| Error::from_source(ErrorKind::Usage, "the lock cannot be made", error))?;
    let lock = lock.with_schema(schema_place(context, &revision.tree)?);
    let bytes = lock.to_yaml().into_bytes();
    Ok(Generated { lock, bytes, warnings, pushed, must_be_pushed })
}

/// A service with its submodule.
struct Assigned<'a> {
    assignment: ServiceAssignment,
    submodule: &'a Submodule,
}

/// Checks the sources of the submodules and, where it is asked for, whether their commits are pushed. This comes before any
/// request to a registry. The first value says whether the rules ask for it.
async fn judge(
    context: &Workspace,
    revision: &Revision,
    source: &Source,
    assigned: &[Assigned<'_>],
    check_pushed: bool,
) -> Result<(bool, Option<BTreeMap<ServiceName, PushedRefs>>)> {
    let services: BTreeMap<ServiceName, &Submodule> =
        assigned.iter().map(|one| (one.assignment.name.clone(), one.submodule)).collect();
    let target = Target::load(context, &source.base)?;
    check_sources(revision, &target, &services)?;
    let must_be_pushed = target.requires_pushed(&revision.config.submodules);
    if !check_pushed && !must_be_pushed {
        return Ok((must_be_pushed, None));
    }
    let pushed = ask_pushed(context, revision, &target, &services).await?.all_pushed()?;
    Ok((must_be_pushed, Some(pushed)))
}

/// Names and kinds of all services, by the configuration's rules.
fn assign(revision: &Revision) -> Result<Vec<ServiceAssignment>> {
    revision.config.assign_services(&paths(revision)).map_err(|error| config_error(&error))
}

/// The same for a tree that may be of the past.
fn assign_past(revision: &Revision) -> Result<Vec<ServiceAssignment>> {
    let assigned = revision.config.assign_services_of_past(&paths(revision));
    let (services, _unmatched) = assigned.map_err(|error| config_error(&error))?;
    Ok(services)
}

fn paths(revision: &Revision) -> Vec<TreePath> {
    revision.scan.submodules.iter().map(|submodule| submodule.path.clone()).collect()
}

/// Whether the revision's configuration could have made this lock. No registry is asked.
pub(crate) fn would_make(revision: &Revision, lock: &Lock) -> Result<bool> {
    Ok(violations_of(&assign(revision)?, lock).is_empty())
}

/// What in this lock the revision's configuration would not have made: other services, another kind, images that are not
/// candidates, missing platforms, revisions that the policy refuses.
///
/// The tree may be one of the past: rules that match nothing there decide nothing about the lock.
pub(crate) fn violations(revision: &Revision, lock: &Lock) -> Result<Vec<String>> {
    Ok(violations_of(&assign_past(revision)?, lock))
}

fn violations_of(assignments: &[ServiceAssignment], lock: &Lock) -> Vec<String> {
    let mut violations = Vec::new();
    for assignment in assignments {
        let name = &assignment.name;
        match lock.services().get(name) {
            None => violations.push(format!("{name}: is not in the lock")),
            Some(service) => {
                violations
                    .extend(service_violations(assignment, service).into_iter().map(|what| format!("{name}: {what}")));
            }
        }
    }
    let known: BTreeSet<&ServiceName> = assignments.iter().map(|assignment| &assignment.name).collect();
    let foreign = lock.services().keys().filter(|name| !known.contains(name));
    violations.extend(foreign.map(|name| format!("{name}: is no service of this configuration")));
    violations
}

fn service_violations(assignment: &ServiceAssignment, service: &Service) -> Vec<String> {
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
    let mut violations = Vec::new();
    let candidates = assignment.candidates(&service.git.commit);
    if !candidates.iter().any(|(repository, tag)| *repository == image.repository && *tag == image.tag) {
        violations.push(format!("`{}:{}` is none of the images to look for", image.repository, image.tag));
    }
    let missing = wanted.platforms.iter().filter(|platform| !image.platforms.contains_key(*platform));
    violations.extend(missing.map(|platform| format!("has no image for {platform}")));
    let proven = match image.revision {
        ImageRevision::Proven | ImageRevision::SelfAsserted => true,
        ImageRevision::Mismatch | ImageRevision::Absent | ImageRevision::Unchecked => false,
    };
    if !proven && wanted.revision == config::RevisionPolicy::Require {
        violations
            .push(format!("its revision is `{}`, and `revision: require` wants the commit", image.revision.as_str()));
    }
    violations
}

/// The entries of an earlier lock that a partial refresh keeps. Each must still have the commit and path of the tree.
fn kept(
    assigned: &[Assigned<'_>],
    only: &BTreeSet<ServiceName>,
    previous: &Lock,
) -> Result<BTreeMap<ServiceName, Service>> {
    let assignments = || assigned.iter().map(|assigned| &assigned.assignment);
    let unknown: Vec<&ServiceName> = only.iter().filter(|name| named(assignments(), name).is_none()).collect();
    if !unknown.is_empty() {
        let known: Vec<&str> = assignments().map(|assignment| assignment.name.as_str()).collect();
        let short: Vec<&str> = assignments().map(ServiceAssignment::short_name).collect();
        return Err(unknown_services(&unknown, &known, &short));
    }
    let only: BTreeSet<&ServiceName> = only.iter().filter_map(|name| Some(&named(assignments(), name)?.name)).collect();
    let mut problems: Vec<Problem> = Vec::new();
    let mut kept = BTreeMap::new();
    for Assigned { assignment, submodule } in assigned.iter().filter(|one| !only.contains(&one.assignment.name)) {
        let name = &assignment.name;
        let wrong = match previous.services().get(name) {
            None => Some("is not in the earlier lock".to_owned()),
            Some(service) if service.git.commit != submodule.commit || service.path != submodule.path => Some(format!(
                "is at {} in the tree, and at {} in the earlier lock",
                submodule.commit.short(12),
                service.git.commit.short(12)
            )),
            Some(service) if service.git.url != submodule.url => Some(format!(
                "comes from `{}` in the tree, and from `{}` in the earlier lock",
                submodule.url, service.git.url
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
    Err(Error::new(ErrorKind::Repository, "the earlier lock cannot be kept for services that are not refreshed")
        .problems(problems)
        .hint("name these services with `--service` too, or leave it out to resolve everything"))
}

/// The service that is meant: named in full, or by its short name where only one has it.
fn named<'a>(
    assignments: impl Iterator<Item = &'a ServiceAssignment> + Clone,
    name: &ServiceName,
) -> Option<&'a ServiceAssignment> {
    let mut short = assignments.clone().filter(|assignment| assignment.short_name() == name.as_str());
    let by_short = short.next().filter(|_| short.next().is_none());
    assignments.into_iter().find(|assignment| assignment.name == *name).or(by_short)
}

/// The error for services that a tree has not; `short` are the short names that are taken as well.
fn unknown_services(unknown: &[&ServiceName], known: &[&str], short: &[&str]) -> Error {
    let near = |name: &ServiceName| config::nearest(name.as_str(), known.iter().chain(short).copied());
    let all = format!("the tree has: {}", known.join(", "));
    if let [name] = unknown {
        let hint = near(name).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default() + &all;
        return Error::new(ErrorKind::Usage, format!("there is no service `{name}`")).hint(hint);
    }
    let problems = unknown.iter().map(|name| {
        let near = near(name).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
        Problem::new(name.to_string(), format!("is no service of this tree{near}"))
    });
    let message = format!("there are no services of {} names", unknown.len());
    Error::new(ErrorKind::Usage, message).problems(problems).hint(all)
}

/// What the registry is asked for a service.
fn request(assigned: &Assigned<'_>) -> Option<ImageRequest> {
    let Assigned { assignment, submodule } = assigned;
    let AssignedKind::Image(image) = &assignment.kind else { return None };
    let candidates = assignment.candidates(&submodule.commit);
    let candidates = candidates.into_iter().map(|(repository, tag)| ImageReference::new(repository).with_tag(tag));
    let request = ImageRequest::new(candidates).platforms(image.platforms.iter().cloned());
    Some(request.built_from(submodule.commit.clone(), image_policy(image)))
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
    context: &Workspace,
    revision: &Revision,
    wanted: &[&Assigned<'_>],
    patience: Duration,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<ServiceName, LockedImage>> {
    let (services, requests): (Vec<&ServiceName>, Vec<ImageRequest>) =
        wanted.iter().filter_map(|assigned| Some((&assigned.assignment.name, request(assigned)?))).unzip();
    let registry = registry_client::client(context, &revision.config, &revision.inputs)?;
    let all = requests.len();
    let resolving = Resolving::start(context, all);
    let on_event = |event: Event<'_>| match event {
        Event::Looked { request, found: true } => {
            context.emit(Progress::ImageResolved { service: services[request].as_str() });
        }
        Event::Waiting { missing, of, .. } => {
            let names: Vec<&str> = missing.iter().map(|request| services[*request].as_str()).collect();
            context.emit(Progress::WaitingForImages { missing: &names, total: of });
        }
        _ => {}
    };
    let wait = WaitPolicy::up_to(patience);
    let answers = registry.resolve_all_waiting(&requests, wait, context.deadline, &on_event).await;
    drop(resolving);
    let mut images = BTreeMap::new();
    let mut failures = Vec::new();
    let answers: BTreeMap<&ServiceName, _> = services.into_iter().zip(answers).collect();
    for (service, answer) in answers {
        match answer {
            Ok(resolution) => {
                warnings.extend(resolution.warnings.iter().map(|warning| format!("{service}: {warning}")));
                let image = resolution.image.into_locked(revision.time);
                images.extend(image.map(|image| (service.clone(), image)));
            }
            Err(unresolved) => failures.push((service.clone(), unresolved)),
        }
    }
    if !failures.is_empty() {
        let patience = if patience.is_zero() { Patience::None } else { Patience::Over };
        return Err(unresolved(context, &failures, all, patience));
    }
    warnings.extend(registry_client::warnings(&registry));
    Ok(images)
}

/// Emits the start of the work on images, and its end when it is dropped.
pub(crate) struct Resolving<'a>(&'a Workspace);

impl<'a> Resolving<'a> {
    pub(crate) fn start(context: &'a Workspace, total: usize) -> Self {
        context.emit(Progress::ResolvingStarted { total });
        Self(context)
    }
}

impl Drop for Resolving<'_> {
    fn drop(&mut self) {
        self.0.emit(Progress::ResolvingEnded);
    }
}

/// What the registry said about one service.
#[derive(Debug)]
pub(crate) struct Explained {
    pub answer: Result<Resolution, Unresolved>,
    /// Where the logins came from that registries asked for; never the logins.
    pub logins: Vec<String>,
    /// What should have given a login and did not.
    pub warnings: Vec<String>,
}

/// What was asked and answered for one service.
///
/// The service is named in full, or by its short name where only one has it.
pub(crate) async fn explain(
    context: &Workspace,
    revision: &Revision,
    name: &ServiceName,
) -> Result<(ServiceName, Option<Explained>)> {
    revision.check_submodules()?;
    let assignments = assign_past(revision)?;
    let Some(assignment) = named(assignments.iter(), name) else {
        let known: Vec<&str> = assignments.iter().map(|assignment| assignment.name.as_str()).collect();
        let short: Vec<&str> = assignments.iter().map(config::ServiceAssignment::short_name).collect();
        return Err(unknown_services(&[name], &known, &short));
    };
    let service = assignment.name.clone();
    let submodule = revision.scan.submodules.iter().find(|submodule| submodule.path == assignment.path);
    let submodule = submodule.ok_or_else(|| Error::new(ErrorKind::Bug, format!("`{service}` has no submodule")))?;
    let assigned = Assigned { assignment: assignment.clone(), submodule };
    let Some(request) = request(&assigned) else { return Ok((service, None)) };
    let registry = registry_client::client(context, &revision.config, &revision.inputs)?;
    let repositories: BTreeSet<_> = request.candidates.iter().map(|candidate| candidate.repository.clone()).collect();
    let answer = registry.resolve_all(&[request], context.deadline, &|_event| {}).await.pop();
    let logins = repositories
        .iter()
        .filter_map(|repository| Some(format!("{}: {}", repository.host(), registry.login_of(repository)?.source)))
        .collect();
    let explained = answer.map(|answer| Explained { answer, logins, warnings: registry_client::warnings(&registry) });
    Ok((service, explained))
}
