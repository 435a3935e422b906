//! Plan, deploy and verify: from a snapshot and its lock to the target's request and back.

use std::collections::BTreeSet;

use config::{Deployment, Environment, SourceFolder, Target};
use deployer::{
    BranchChange, Expectation, ForeignNamespace, ImagePin, LeftoverRule, NamespaceRule, NotDeployed, Plan, Proof,
    RenderFolder, RenderRequest, RenderService, RenderTarget,
};
use git::CommitIdentity;
use lock_gen::SubmoduleStore;
use lock_model::{Content, Lock, Service, ServiceName, Timestamp};

use crate::context::{Context, git_options};
use crate::error::{CliError, CliResult, Problem, code_of};
use crate::exit_code::ExitCode;
use crate::snapshot::Snapshot;

/// What an environment's deployment consists of.
#[derive(Debug)]
pub(crate) struct Deployable {
    /// The target's request.
    pub request: RenderRequest,
    /// What must be stored afterwards.
    pub expectation: Expectation,
    /// Branch of the target.
    pub branch: String,
    /// Folder of the target.
    pub folder: Option<RenderFolder>,
    /// Declared skips whose day has passed.
    pub expired: Vec<(ServiceName, String)>,
}

/// Puts together what the environment deploys of a lock: manifests at their locked commits, images by digest.
pub(super) fn deployable(
    context: &Context,
    snapshot: &Snapshot,
    environment: &Environment,
    lock: &Lock,
    release: &str,
    now: Timestamp,
) -> CliResult<Deployable> {
    let Some(Target::Render(target)) = &environment.target else {
        return Err(CliError::new(ExitCode::Usage, format!("environment `{}` has no target", environment.name))
            .hint("give it a `target:` in orchestrator.yaml"));
    };
    let namespace = environment.namespace.as_ref().ok_or_else(|| {
        CliError::new(ExitCode::Usage, format!("environment `{}` has a target but no `namespace:`", environment.name))
    })?;
    let today = now.date();
    let mut services = Vec::new();
    let mut other_images = Vec::new();
    let mut not_deployed = Vec::new();
    let mut expired = Vec::new();
    let mut problems = Vec::new();
    for (name, service) in lock.services() {
        let reason = match environment.decide(name, &service.path, today) {
            Deployment::Deploy(settings) => {
                match files(context, snapshot, name, service, &settings.source) {
                    Ok(files) => services.push(RenderService {
                        name: name.clone(),
                        image: pin(service),
                        files,
                        namespace_rule: Some(namespace_rule(&settings.namespaces)),
                    }),
                    Err(problem) => problems.push(problem),
                }
                continue;
            }
            Deployment::NotDeployed { reason, owner, until, expired: passed } => {
                if passed {
                    expired.push((name.clone(), until.to_string()));
                }
                format!("{reason} ({owner}, until {until})")
            }
            Deployment::Other { reason } => reason,
        };
        other_images.extend(pin(service));
        not_deployed.push(NotDeployed { name: name.clone(), reason });
    }
    if !problems.is_empty() {
        return Err(
            CliError::new(ExitCode::Repository, "manifests of locked services cannot be read").problems(problems)
        );
    }
    let request = RenderRequest {
        environment: environment.name.to_string(),
        namespace: namespace.to_string(),
        namespace_rule: namespace_rule(&environment.namespaces),
        leftovers: LeftoverRule::List,
        release: release.to_owned(),
        lock: lock.id().clone(),
        commit: snapshot.commit.clone(),
        services,
        other_images,
        not_deployed,
    };
    if target.folder.is_some() && context.git.work_tree().is_none() {
        return Err(CliError::new(ExitCode::Usage, format!("`target.folder` of `{}` needs a clone", environment.name))
            .hint("run in a clone: a bare repository has no folder beside its files"));
    }
    let folder = target.folder.as_ref().map(|path| RenderFolder { top: context.top.clone(), path: path.clone() });
    Ok(Deployable {
        expectation: Expectation::of(&request),
        request,
        branch: target.branch.to_string(),
        folder,
        expired,
    })
}

/// Which namespaces objects may name; what reaches beyond namespaces is never allowed.
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
    context: &Context,
    snapshot: &Snapshot,
    name: &ServiceName,
    service: &Service,
    source: &SourceFolder,
) -> Result<Vec<(String, Vec<u8>)>, Problem> {
    let problem = |message: String, details: Vec<String>| Problem { subject: name.to_string(), message, details };
    let failed = |error: &(dyn std::error::Error + 'static)| {
        let shown = CliError::from_source(ExitCode::Repository, "", error);
        problem(shown.causes.first().cloned().unwrap_or_default(), shown.causes.into_iter().skip(1).collect())
    };
    match source {
        SourceFolder::InService(folder) => {
            let submodule = snapshot
                .scan
                .submodules
                .iter()
                .find(|submodule| submodule.path == service.path && submodule.sha == service.git.commit)
                .ok_or_else(|| problem("is not a submodule of this tree".into(), Vec::new()))?;
            let url =
                lock_gen::fetch_url(&submodule.declared_url, &context.remote_location()).map_err(|e| failed(&e))?;
            let store = SubmoduleStore::new(
                &context.git_program,
                git_options(&context.children),
                &context.cache,
                context.git.common_dir(),
            );
            let content = store.content(submodule, &url).map_err(|error| failed(&error))?;
            let files = content.files(folder.as_ref()).map_err(|error| failed(&error))?;
            let prefix = folder.as_ref().map(|folder| format!("{folder}/")).unwrap_or_default();
            Ok(files
                .into_iter()
                .map(|file| {
                    let path = file.path.to_string();
                    (path.strip_prefix(&prefix).unwrap_or(&path).to_owned(), file.bytes)
                })
                .collect())
        }
        SourceFolder::InTree(folder) => {
            let files = context
                .git
                .read_files(snapshot.commit.as_str(), Some(folder.as_str()))
                .map_err(|error| failed(&error))?;
            let prefix = format!("{folder}/");
            Ok(files
                .into_iter()
                .map(|file| (file.path.strip_prefix(&prefix).unwrap_or(&file.path).to_owned(), file.bytes))
                .collect())
        }
    }
}

impl Deployable {
    /// Where the target's tree is stored.
    pub(crate) fn target<'a>(&'a self, context: &'a Context) -> RenderTarget<'a> {
        RenderTarget {
            git: &context.git,
            remote: context.remote.url(),
            branch: &self.branch,
            folder: self.folder.clone(),
        }
    }

    /// What a deployment would change. Every problem of every service is said.
    pub(crate) fn plan(&self, context: &Context) -> CliResult<Plan> {
        let stored = deployer::read_stored(&self.target(context)).map_err(|error| apply_error(&error))?;
        deployer::plan(&self.request, stored.as_ref()).map_err(|problems| {
            let needs_other_target = problems.iter().any(|problem| {
                matches!(problem.kind, deployer::ProblemKind::NeedsHelm | deployer::ProblemKind::NeedsKustomize)
            });
            let code = if needs_other_target { ExitCode::Usage } else { ExitCode::Refused };
            CliError::new(code, format!("the manifests of `{}` cannot be deployed", self.request.environment))
                .problems(problems.iter().map(|problem| Problem {
                    subject: problem.service.as_ref().map_or_else(|| "request".to_owned(), ToString::to_string),
                    message: problem.to_string(),
                    details: Vec::new(),
                }))
                .hint("nothing was changed")
        })
    }

    /// Stores a plan; says what changed.
    pub(crate) fn apply(&self, context: &Context, plan: &Plan, now: Timestamp) -> CliResult<String> {
        let identity = CommitIdentity {
            name: context.run.actor.clone(),
            email: format!("{}@orchestrator.invalid", context.run.actor),
            time: now,
        };
        let message =
            format!("{}: {}\n\nLock-Id: {}\n", self.request.environment, self.request.release, self.request.lock);
        let applied =
            deployer::apply(plan, &self.target(context), &identity, &message).map_err(|error| apply_error(&error))?;
        Ok(match applied.branch {
            BranchChange::Pushed => {
                format!(
                    "{} of {} files, {} at {}",
                    plan.changes.len(),
                    plan.files.len(),
                    self.branch,
                    applied.commit.short(12)
                )
            }
            BranchChange::Unchanged => format!("no change, {} at {}", self.branch, applied.commit.short(12)),
        })
    }

    /// Reads back what is stored and compares it with the lock.
    pub(crate) fn prove(&self, context: &Context) -> CliResult<Proof> {
        let stored = deployer::read_stored(&self.target(context)).map_err(|error| apply_error(&error))?;
        Ok(match &stored {
            Some(tree) => deployer::prove(&self.expectation, tree),
            None => deployer::prove_missing(&format!("branch `{}`", self.branch)),
        })
    }
}

/// An error while storing: the branch moves last, so whatever failed left the old tree or the new one.
fn apply_error(error: &deployer::ApplyError) -> CliError {
    let code = code_of(error.class(), ExitCode::Deploy, ExitCode::Deploy);
    CliError::from_source(code, "the rendered tree could not be stored", error)
        .hint("the branch holds the old tree or the new one, nothing between: run the same command again")
}
