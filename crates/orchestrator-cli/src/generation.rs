//! Making a lock: the gitlinks of a tree, and the images that the registry holds for them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lock_model::{Content, GitSource, Lock, LockParts, Origin, Service, ServiceName, Source, TreePath};
use registry::{Attempt, Candidate, ImageRequest, Mirror, Registry, RegistryOptions, RevisionPolicy, Unresolved};
use train::config::{AssignedKind, Config, ServiceAssignment};

use crate::context::Context;
use crate::error::{CliError, CliResult, Problem, code_of};
use crate::exit_code::ExitCode;
use crate::snapshot::Snapshot;

/// A lock that was just made.
#[derive(Debug)]
pub(crate) struct Generated {
    /// The lock.
    pub lock: Lock,
    /// Its file's bytes.
    pub bytes: Vec<u8>,
    /// What people should know although the lock could be made.
    pub warnings: Vec<String>,
}

/// Resolves every service of a snapshot.
pub(crate) async fn generate(context: &Context, snapshot: &Snapshot, source: Source) -> CliResult<Generated> {
    snapshot.check_submodules()?;
    let assignments = assign(snapshot)?;
    let mut warnings: Vec<String> = snapshot.scan.warnings.iter().map(ToString::to_string).collect();
    let mut images = resolve(context, snapshot, &assignments, &mut warnings).await?;
    let mut services = BTreeMap::new();
    for assignment in &assignments {
        let Some(submodule) = snapshot.scan.submodules.iter().find(|submodule| submodule.path == assignment.path)
        else {
            continue;
        };
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
        services.insert(
            assignment.name.clone(),
            Service {
                path: assignment.path.clone(),
                git: GitSource { url: submodule.url.clone(), sha: submodule.sha.clone() },
                content,
                metadata: None,
                origin: Origin::Resolved,
            },
        );
    }
    let parts = LockParts { source, services, third_party: BTreeMap::new(), exceptions: Vec::new() };
    let lock =
        Lock::new(parts).map_err(|error| CliError::from_source(ExitCode::Usage, "the lock cannot be made", &error))?;
    let bytes = lock_model::write(&lock).into_bytes();
    Ok(Generated { lock, bytes, warnings })
}

/// Names and kinds of all services, by the configuration's rules.
fn assign(snapshot: &Snapshot) -> CliResult<Vec<ServiceAssignment>> {
    let paths: Vec<TreePath> = snapshot.scan.submodules.iter().map(|submodule| submodule.path.clone()).collect();
    snapshot.config.classify(&paths).map_err(|error| CliError::new(ExitCode::Usage, error.to_string().trim_end()))
}

async fn resolve(
    context: &Context,
    snapshot: &Snapshot,
    assignments: &[ServiceAssignment],
    warnings: &mut Vec<String>,
) -> CliResult<BTreeMap<ServiceName, lock_model::LockedImage>> {
    let mut requests = Vec::new();
    for assignment in assignments {
        let AssignedKind::Image(image) = &assignment.kind else { continue };
        let Some(submodule) = snapshot.scan.submodules.iter().find(|submodule| submodule.path == assignment.path)
        else {
            continue;
        };
        let candidates = assignment.candidates(&submodule.sha);
        requests.push(ImageRequest {
            service: assignment.name.clone(),
            candidates: candidates.into_iter().map(|(repository, tag)| Candidate { repository, tag }).collect(),
            platforms: image.platforms.clone(),
            commit: submodule.sha.clone(),
            revision: match image.revision {
                train::config::RevisionPolicy::Require => RevisionPolicy::Require,
                train::config::RevisionPolicy::Warn => RevisionPolicy::Warn,
                train::config::RevisionPolicy::Off => RevisionPolicy::Off,
            },
            commit_time: snapshot.time,
        });
    }
    let registry = registry(context, &snapshot.config)?;
    let progress = context.progress;
    progress.line(&format!("resolving {} images", requests.len()));
    let answers = registry.resolve_all(&requests, context.deadline, &|_event| {}).await;
    let mut images = BTreeMap::new();
    let mut failures = Vec::new();
    for (service, answer) in answers {
        match answer {
            Ok(resolution) => {
                warnings.extend(resolution.warnings.iter().map(|warning| format!("{service}: {warning}")));
                images.insert(service, resolution.image);
            }
            Err(unresolved) => failures.push((service, unresolved)),
        }
    }
    if failures.is_empty() { Ok(images) } else { Err(unresolved(&failures, requests.len())) }
}

/// All failures in one report; permanent causes decide the exit code, 14 only where nothing else is wrong.
fn unresolved(failures: &[(ServiceName, Unresolved)], of: usize) -> CliError {
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
            "the registry wants credentials, which this version does not have: use a mirror without login"
        }
        _ => {
            "wait until the service's CI has published the image, or correct `images:` and `services:` in orchestrator.yaml"
        }
    };
    CliError::new(code, format!("{} of {of} services have no image that can be locked", failures.len()))
        .problems(problems)
        .hint(hint)
}

/// A client with the configuration's mirrors.
pub(crate) fn registry(context: &Context, config: &Config) -> CliResult<Registry> {
    let mut mirrors = BTreeMap::new();
    for (host, settings) in &config.registries {
        let Some(mirror) = &settings.mirror else { continue };
        let mirror = match mirror {
            train::config::Mirror::OciLayout(folder) => Mirror::OciLayout(context.top.join(PathBuf::from(folder))),
            train::config::Mirror::Http(url) => Mirror::Http(url.parse().map_err(|error| {
                CliError::from_source(ExitCode::Usage, format!("registries.{host}.mirror is no URL"), &error)
            })?),
        };
        mirrors.insert(host.clone(), mirror);
    }
    Registry::new(RegistryOptions { mirrors, ..RegistryOptions::default() })
        .map_err(|error| CliError::from_source(ExitCode::Usage, "the registry client cannot be made", &error))
}
