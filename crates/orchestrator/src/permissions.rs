//! The least rights that the deployments of an environment need in its cluster.

use deployer::settings::Configuration;
use lock_model::{EnvironmentName, ErrorClass};

use crate::context::Context;
use crate::engine::{Planning, SuiteNeeds};
use crate::environment_policy::{branch_of, find_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::hints;
use crate::ledger_store::LedgerStore;
use crate::report::v1::PermissionsReport;
use crate::revision::Revision;

/// Says which roles the kubeconfig's user of an environment needs, by the plan of the newest commit's lock.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where the environment has no cluster, [`ErrorKind::Repository`] where the commit has no lock of its
/// own, and as [`plan`](crate::plan) where no plan can be made of it.
pub async fn permissions(context: &Context, name: &EnvironmentName) -> Result<PermissionsReport> {
    context.sync()?;
    let environment = find_environment(context, name).await?;
    let head = context.branch_head(&branch_of(&environment)?).await?;
    let revision = Revision::load(context, &head)?;
    let lock = revision.lock(context)?.filter(|file| revision.mismatches(&file.lock).is_empty());
    let lock = lock.ok_or_else(|| {
        let message = format!("commit {} has no lock of its own, so nothing can be planned", revision.commit.short(12));
        Error::new(ErrorKind::Repository, message).hint(format!("`orchestrator lock commit {name}` makes it"))
    })?;
    let store = LedgerStore::read(context).await?;
    let (lock, release) = (&lock.lock, &revision.release(&lock.lock));
    let planning =
        Planning { context, ledger: store.ledger(), revision: &revision, environment: &environment, lock, release };
    let deployable = Box::pin(planning.with_settings(context, Configuration::Present)).await?;
    let Some(place) = deployable.destination.cluster() else {
        return Err(Error::new(ErrorKind::Usage, format!("environment `{name}` is deployed to no cluster"))
            .hint("targets `helm` and `apply` need rights in one"));
    };
    let plan = match deployable.compare(context).await? {
        // What is rendered without the cluster says what has to be permitted.
        Err(error) if error.class() == ErrorClass::Denied => deployable.plan_from_nothing(context).await?,
        Err(error) => return Err(Box::pin(deployable.not_planned(context, error)).await),
        Ok(plan) => plan,
    };
    let (opened, namespace) = (place.open(context).await?, place.namespace.namespace.to_string());
    let permissions = [plan.permissions(), SuiteNeeds::of(&revision, &environment)?.permissions].concat();
    // A probe of a Service is a connection to a pod, through the API server.
    let forwards = environment.health.questions().any(|(_, probe)| probe.service().is_some());
    let defined = plan.defined_resources();
    let roles = opened.connection().roles(&namespace, &permissions, &defined, forwards).await.map_err(|error| {
        let kind = ErrorKind::of(error.class(), ErrorKind::Refused, ErrorKind::Refused);
        let hint = hints::of_cluster(&error);
        let error = Error::from_source(kind, "the kinds of the plan cannot be found in the cluster", error);
        hint.into_iter().fold(error, Error::hint)
    })?;
    Ok(PermissionsReport::new(name.clone(), namespace, roles))
}
