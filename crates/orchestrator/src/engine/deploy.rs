//! The deployment of an environment: a request to its target, made of a revision and its lock.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{Deployment, Environment, SourceFolder};
use deployer::render::BranchChange;
use deployer::{
    AppliedDetail, ApplyOptions, DeployError, DeployProblems, DeployRequest, DeployService, ForeignNamespace, ImagePin,
    NamespaceRule, NotDeployed, Plan, PlanDetail, Proof, RenderFolder, RenderTarget, SameFiles, Target,
};
use lock_gen::SubmoduleStore;
use lock_model::{BranchName, Content, ErrorClass, Lock, ReleaseId, Service, ServiceName, Timestamp};
use promotion::attempts::Fence;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result, causes};
use crate::hints;
use crate::inputs::{Unreadable, manifests_of};
use crate::revision::Revision;
use crate::workspace::Workspace;

/// What an environment's deployment consists of.
#[derive(Debug)]
pub(crate) struct Deployable {
    pub request: DeployRequest,
    pub branch: BranchName,
    pub folder: Option<RenderFolder>,
    /// Declared skips whose day has passed.
    pub expired: Vec<(ServiceName, String)>,
}

/// Makes the target's request: manifests at their locked commits, images by digest. With `patience` no remote is waited
/// for longer, and the first service that cannot be read ends it.
pub(crate) fn deployable(
    context: &Workspace,
    revision: &Revision,
    environment: &Environment,
    lock: &Lock,
    release: &ReleaseId,
    now: Timestamp,
    patience: Option<Duration>,
) -> Result<Deployable> {
    let Some(config::Target::Render(target)) = &environment.target else {
        return Err(Error::new(ErrorKind::Usage, format!("environment `{}` has no target", environment.name))
            .hint("give it a `target:` in orchestrator.yaml"));
    };
    let namespace = environment.namespace.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("environment `{}` has a target but no `namespace:`", environment.name))
    })?;
    let today = now.date();
    let mut services = Vec::new();
    let mut other_images = Vec::new();
    let mut not_deployed = Vec::new();
    let mut expired = Vec::new();
    let mut problems = Vec::new();
    let mut classes = Vec::new();
    for (name, service) in lock.services() {
        let reason = match environment.decide(name, &service.path, today) {
            Deployment::Deploy(settings) => {
                match files(context, revision, name, service, &settings.source, patience) {
                    Ok(files) => {
                        let mut deployed = DeployService::new(name.clone());
                        deployed.image = pin(service);
                        deployed.files = files;
                        deployed.namespace_rule = Some(namespace_rule(&settings.namespaces));
                        services.push(deployed);
                    }
                    Err((class, problem)) => {
                        classes.push(class);
                        problems.push(problem);
                    }
                }
                if patience.is_some() && !problems.is_empty() {
                    break;
                }
                continue;
            }
            Deployment::NotDeployed { reason, owner, until, expired: passed } => {
                if passed {
                    expired.push((name.clone(), until.to_string()));
                }
                format!("{reason} ({owner}, until {until})")
            }
            Deployment::LockedOnly { reason } => reason,
        };
        other_images.extend(pin(service));
        not_deployed.push(NotDeployed { name: name.clone(), reason });
    }
    if !problems.is_empty() {
        let class = registry::overall_class(classes).unwrap_or(ErrorClass::Invalid);
        let kind = ErrorKind::of(class, ErrorKind::Repository, ErrorKind::Repository);
        let error = Error::new(kind, "manifests of locked services cannot be read").problems(problems);
        return Err(hints::of_remote(class).into_iter().fold(error, Error::hint));
    }
    let mut request = DeployRequest::new(
        environment.name.clone(),
        namespace.to_string(),
        release.clone(),
        lock.id().clone(),
        revision.commit.clone(),
    );
    request.namespace_rule = namespace_rule(&environment.namespaces);
    request.services = services;
    request.other_images = other_images;
    request.not_deployed = not_deployed;
    if target.folder.is_some() && context.git.work_tree().is_none() {
        return Err(Error::new(ErrorKind::Usage, format!("`target.folder` of `{}` needs a clone", environment.name))
            .hint("run in a clone: a bare repository has no folder beside its files"));
    }
    let folder = target.folder.as_ref().map(|path| RenderFolder::new(&context.top, path.to_string()));
    Ok(Deployable { request, branch: target.branch.clone(), folder, expired })
}

/// The namespaces that objects may name. Cluster-scoped objects are never allowed.
fn namespace_rule(rule: &config::NamespaceRule) -> NamespaceRule {
    NamespaceRule {
        allow: rule.allow.iter().map(ToString::to_string).collect(),
        foreign: if rule.rewrite { ForeignNamespace::Rewrite } else { ForeignNamespace::Refuse },
        cluster_scoped: BTreeSet::new(),
        privileged: BTreeSet::new(),
    }
}

fn pin(service: &Service) -> Option<ImagePin> {
    match &service.content {
        Content::Image(image) => Some(ImagePin::from(image)),
        Content::Configuration => None,
    }
}

/// The manifests of a service: from its own repository at the locked commit, or from the superproject's tree.
fn files(
    context: &Workspace,
    revision: &Revision,
    name: &ServiceName,
    service: &Service,
    source: &SourceFolder,
    patience: Option<Duration>,
) -> Result<Vec<(String, Vec<u8>)>, Unreadable> {
    let failed = |class: ErrorClass, error: &(dyn std::error::Error + 'static)| {
        (class, Problem::new(name.to_string(), error.to_string()).details(causes(error.source())))
    };
    match source {
        SourceFolder::InService(folder) => {
            let submodule = revision
                .scan
                .submodules
                .iter()
                .find(|submodule| submodule.path == service.path && submodule.commit == service.git.commit)
                .ok_or_else(|| {
                    (ErrorClass::NotFound, Problem::new(name.to_string(), "is not a submodule of this tree"))
                })?;
            let url = lock_gen::fetch_url(&submodule.declared_url, context.remote_location())
                .map_err(|error| failed(ErrorClass::Invalid, &error))?;
            let mut options = context.git_options();
            options.deadline = patience.map_or(options.deadline, |patience| options.deadline.min(patience));
            let store = SubmoduleStore::new(&context.git_program, options, &context.cache, context.git.common_dir());
            let content = store.content(submodule, &url).map_err(|error| failed(error.class(), &error))?;
            let files = manifests_of(name, &content, folder.as_ref())?;
            let prefix = folder.as_ref().map(|folder| format!("{folder}/")).unwrap_or_default();
            Ok(files
                .into_iter()
                .map(|(path, bytes)| (path.as_str().strip_prefix(&prefix).unwrap_or(path.as_str()).to_owned(), bytes))
                .collect())
        }
        SourceFolder::InTree(folder) => {
            let files = revision.inputs.folder(context, folder).map_err(|error| failed(ErrorClass::Invalid, &error))?;
            let prefix = format!("{folder}/");
            Ok(files
                .into_iter()
                .map(|file| {
                    let path = file.path.as_str();
                    (path.strip_prefix(&prefix).unwrap_or(path).to_owned(), file.bytes)
                })
                .collect())
        }
    }
}

impl Deployable {
    /// Where the target's tree is stored.
    pub(crate) fn target(&self, context: &Context) -> Target {
        let target = RenderTarget::new(context.git.clone(), context.remote.url(), self.branch.clone());
        Target::Render(match &self.folder {
            Some(folder) => target.with_folder(folder.clone()),
            None => target,
        })
    }

    /// Plans the deployment; the error lists every problem of every service.
    pub(crate) async fn plan(&self, context: &Context) -> Result<Plan> {
        self.target(context).plan(&self.request).await.map_err(|error| match &error {
            DeployError::Problems(problems) => self.refused(problems),
            DeployError::Unusable { .. } => {
                Error::from_source(ErrorKind::Refused, "the target cannot be written as it is", error)
                    .hint(NOTHING_DEPLOYED)
            }
            _ => apply_error(error),
        })
    }

    /// The same where nothing is deployed; no target is asked.
    pub(crate) fn plan_from_nothing(&self) -> Result<Plan> {
        deployer::render::plan(&self.request, None).map_err(|problems| self.refused(&problems))
    }

    fn refused(&self, problems: &DeployProblems) -> Error {
        let needs_other_target = problems.as_slice().iter().any(|problem| {
            matches!(problem.kind, deployer::ProblemKind::NeedsHelm | deployer::ProblemKind::NeedsKustomize)
        });
        let code = if needs_other_target { ErrorKind::Usage } else { ErrorKind::Refused };
        let environment = &self.request.environment;
        let all = problems.as_slice();
        let hints: BTreeSet<String> = all.iter().filter_map(|one| hints::of_manifest(one.kind, environment)).collect();
        let problems = all.iter().map(|problem| {
            let mut problem = problem.clone();
            let service = problem.service.take();
            Problem::new(service.map_or_else(|| "request".to_owned(), |name| name.to_string()), problem.to_string())
        });
        let error = Error::new(code, format!("the manifests of `{environment}` cannot be deployed")).problems(problems);
        hints.into_iter().fold(error, Error::hint).hint(NOTHING_DEPLOYED)
    }

    /// Applies a plan, as the deployment that record `number` of the ledger began, and says in one line what changed.
    pub(crate) async fn apply(
        &self,
        context: &Context,
        plan: &Plan,
        now: Timestamp,
        number: u64,
        fence: Fence,
    ) -> Result<String> {
        let mut options = ApplyOptions::new(&context.run.actor, now);
        options.number = Some(number);
        options.same_files = match fence {
            Fence::NotNeeded => SameFiles::Keep,
            Fence::Needed { unless } => SameFiles::Write { unless },
        };
        let applied = self.target(context).apply(plan, &options, &|_| ()).await.map_err(apply_error)?;
        let (PlanDetail::Render(planned), AppliedDetail::Render(applied)) = (&plan.detail, applied.detail);
        Ok(match applied.branch {
            BranchChange::Pushed if plan.changes.is_empty() => {
                format!("no change, in a new commit: {} at {}", self.branch, applied.commit.short(12))
            }
            BranchChange::Pushed => {
                format!(
                    "{} of {} files, {} at {}",
                    plan.changes.len(),
                    planned.tree.files.len(),
                    self.branch,
                    applied.commit.short(12)
                )
            }
            BranchChange::Unchanged => format!("no change, {} at {}", self.branch, applied.commit.short(12)),
        })
    }

    /// Reads back what is stored and compares it with the lock.
    pub(crate) async fn prove(&self, context: &Context) -> Result<Proof> {
        self.target(context).prove(&self.request).await.map_err(apply_error)
    }
}

/// A plan is made before anything is written to a target; the run may have committed a lock and written records.
const NOTHING_DEPLOYED: &str = "nothing was deployed";

/// An error of the target. The render target moves its branch last, so a failure leaves the old tree or the new one.
fn apply_error(error: DeployError) -> Error {
    let code = ErrorKind::of(error.class(), ErrorKind::Deploy, ErrorKind::Deploy);
    Error::from_source(code, "the rendered tree could not be stored", error)
        .hint("the branch holds the old tree or the new one, nothing between: run the same command again")
}
