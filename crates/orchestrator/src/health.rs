//! Asking an environment whether it can take a deployment, without recording anything.

use config::{Environment, Target};
use deployer::settings::Configuration;
use healthcheck::{CheckResult, CheckState, Severity};
use lock_model::EnvironmentName;

use crate::context::Context;
use crate::engine::{self, About, Deployable, FailingProbes, Planning};
use crate::environment_policy::{branch_of, find_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_store::LedgerStore;
use crate::report::v1::HealthReport;
use crate::revision::Revision;

/// Asks every probe of an environment, and its cluster about the deployment of the newest commit's lock.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where the environment has neither probes nor a cluster: nothing can be said about it.
pub async fn health(context: &Context, name: &EnvironmentName) -> Result<HealthReport> {
    context.sync()?;
    let environment = find_environment(context, name).await?;
    let head = context.branch_head(&branch_of(&environment)?).await?;
    let revision = Revision::load(context, &head)?;
    let deployable = deployable(context, &revision, &environment).await?;
    let about = match &deployable {
        Ok(Some(deployable)) => About::Deployment(deployable),
        Ok(None) | Err(_) => About::Nothing,
    };
    let found = Box::pin(engine::health(context, &revision, &environment, about, FailingProbes::AsConfigured))
        .await?
        .ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("environment `{name}` has no probes: nothing can be said about it"))
            .hint("name some under `health:` in orchestrator.yaml")
    })?;
    let mut checks = found.report.checks;
    checks.extend(found.plan.check());
    checks.extend(deployable.err());
    Ok(HealthReport { environment: name.clone(), report: healthcheck::HealthReport::new(checks) })
}

/// What the newest commit would deploy to a cluster: `None` where the target is none, and a check where the commit has no
/// lock of its own.
async fn deployable(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
) -> Result<Result<Option<Deployable>, CheckResult>> {
    match &environment.target {
        Some(Target::Helm(_) | Target::Apply(_)) => {}
        Some(Target::Render(_)) | None => return Ok(Ok(None)),
    }
    let lock = revision.lock(context)?.filter(|file| revision.mismatches(&file.lock).is_empty());
    let Some(lock) = lock else {
        let commit = revision.commit.short(12);
        let detail = format!("commit {commit} has no lock of its own yet, so the room for its deployment is not known");
        return Ok(Err(CheckResult::new("plan", CheckState::Unknown, Severity::Warn, detail)));
    };
    let store = LedgerStore::read(context).await?;
    let (lock, release) = (&lock.lock, &revision.release(&lock.lock));
    let planning = Planning { context, ledger: store.ledger(), revision, environment, lock, release };
    Box::pin(planning.with_settings(context, Configuration::Present)).await.map(Some).map(Ok)
}
