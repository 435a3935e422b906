//! What reviewers of a plan should know beside its changes: quotas, migrations, objects that need a second look.

use std::collections::BTreeSet;

use config::Environment;
use deployer::{ChangeReason, Plan, Risk};
use lock_model::{Lock, ServiceName};

use crate::context::Context;
use crate::engine::{Destination, Planning, SuiteNeeds};
use crate::report::v1::{MarkedObject, PlannedMigration, QuotaUse};

/// The marks of one plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlanMarks {
    pub quotas: Vec<QuotaUse>,
    pub migrations: Vec<PlannedMigration>,
    pub objects: Vec<MarkedObject>,
    /// What of quotas is not shown as an amount: pods and claims that would be refused, and what could not be computed.
    pub unknown: Vec<String>,
}

impl PlanMarks {
    /// The marks of a plan that was compared with what is deployed.
    pub(crate) async fn of(context: &Context, planning: &Planning<'_>, target: &Destination, plan: &Plan) -> Self {
        let mut marks = Self {
            migrations: migrations(planning.environment, planning.lock, plan),
            objects: marked(plan),
            ..Self::default()
        };
        let Some(place) = target.cluster() else { return marks };
        let namespace = place.namespace.namespace.as_str();
        let suites = SuiteNeeds::of(planning.revision, planning.environment);
        let found = match (place.open(context).await, &suites) {
            (Ok(opened), Ok(suites)) => {
                let found = opened.connection().quota_headroom(namespace, &suites.demands(plan)).await;
                found.map_err(|error| error.to_string())
            }
            (Err(error), _) => Err(error.message().to_owned()),
            (_, Err(error)) => Err(error.message().to_owned()),
        };
        match found {
            Ok(headroom) => {
                marks.quotas = headroom.effects.iter().map(quota_use).collect();
                marks.unknown =
                    headroom.refused.into_iter().chain(headroom.unknown).chain(headroom.uncounted).collect();
            }
            Err(reason) => marks.unknown.push(format!("what the deployment needs of quotas is not known: {reason}")),
        }
        marks
    }
}

fn quota_use(effect: &cluster::capacity::QuotaEffect) -> QuotaUse {
    let missing = effect.highest - effect.hard;
    QuotaUse {
        quota: lock_model::escaping::escape_short(&effect.quota, 200),
        resource: lock_model::escaping::escape_short(&effect.resource, 200),
        hard: effect.hard.to_string(),
        used: effect.used.to_string(),
        highest: effect.highest.to_string(),
        after: effect.after.to_string(),
        missing: (missing > cluster::capacity::Amount::default()).then(|| missing.to_string()),
    }
}

/// The services that get another version and that the environment's `migrations:` names.
fn migrations(environment: &Environment, lock: &Lock, plan: &Plan) -> Vec<PlannedMigration> {
    // Settings, or edits that are taken back, bring no other version.
    let is_version = |reason: &ChangeReason| {
        matches!(
            reason,
            ChangeReason::New
                | ChangeReason::TakenOver
                | ChangeReason::Image
                | ChangeReason::Chart
                | ChangeReason::Manifests
                | ChangeReason::Unfinished
        )
    };
    let of_services = plan.services.iter().filter(|service| service.reasons.iter().any(is_version));
    let of_services = of_services.map(|service| &service.service);
    // Target `render` has files alone.
    let of_files =
        plan.changes.iter().filter(|_| plan.services.is_empty()).filter_map(|change| change.service.as_ref());
    let changing: BTreeSet<&ServiceName> = of_services.chain(of_files).collect();
    let migration = |name: &ServiceName| {
        let service = lock.services().get(name)?;
        let irreversible = environment.migration_of(name, &service.path)?;
        Some(PlannedMigration { service: name.clone(), irreversible })
    };
    changing.into_iter().filter_map(migration).collect()
}

/// Objects with a mark; that pods are replaced is what most deployments do.
fn marked(plan: &Plan) -> Vec<MarkedObject> {
    let mut marked = Vec::new();
    for service in &plan.services {
        let objects = service.objects.iter().map(|object| (&object.object, &object.risks));
        let hooks = service.hooks.iter().map(|hook| (&hook.object, &hook.risks));
        for (object, risks) in objects.chain(hooks) {
            let risks: Vec<Risk> = risks.iter().copied().filter(|risk| *risk != Risk::Rollout).collect();
            if !risks.is_empty() {
                marked.push(MarkedObject { service: service.service.clone(), object: object.clone(), risks });
            }
        }
    }
    marked
}
