use std::collections::{BTreeMap, BTreeSet};

use crate::capacity::{Amount, Bounds, Demand, Headroom, Shortage, headroom, placement, uncounted};
use crate::connection::{Connection, Selection};
use crate::error::ClusterError;
use crate::health::HealthAnswer;
use crate::object::{Kind, Object};

impl Connection {
    /// Whether every quota of a namespace has room for what is deployed, at its highest moment.
    pub async fn quota_health(&self, namespace: &str, demands: &[Demand<'_>]) -> HealthAnswer {
        match self.headroom(namespace, demands).await {
            Ok(Some(report)) => judge_quota(&report),
            Ok(None) => HealthAnswer::Healthy(format!("namespace `{namespace}` has no quota")),
            Err((resource, error)) => {
                HealthAnswer::of_error(&error, &format!("list {resource} in namespace `{namespace}`"))
            }
        }
    }

    /// What the quotas of a namespace have, and what a deployment needs of them; nothing where there is no quota.
    pub async fn quota_headroom(&self, namespace: &str, demands: &[Demand<'_>]) -> Result<Headroom, ClusterError> {
        let found = self.headroom(namespace, demands).await;
        found.map(Option::unwrap_or_default).map_err(|(_resource, error)| error)
    }

    /// An error comes with the resource that could not be listed.
    async fn headroom(
        &self,
        namespace: &str,
        demands: &[Demand<'_>],
    ) -> Result<Option<Headroom>, (&'static str, ClusterError)> {
        let (quotas, limits) = tokio::join!(self.of_namespace("ResourceQuota", namespace), self.limits(namespace));
        let quotas = quotas.map_err(|error| ("resourcequotas", error))?;
        let limit_ranges = limits.map_err(|error| ("limitranges", error))?;
        if quotas.is_empty() && limit_ranges.is_empty() {
            return Ok(None);
        }
        // Without the right to list nodes, a new DaemonSet counts as one pod.
        let nodes = self.list(&Kind::new("v1", "Node"), None, &Selection::default()).await;
        let nodes = nodes.map_or(1, |nodes| i64::try_from(nodes.len()).unwrap_or(i64::MAX));
        // A class that may not be read is missed only where a quota counts by it.
        let (storage, priority) = tokio::join!(
            self.of_cluster("storage.k8s.io/v1", "StorageClass"),
            self.of_cluster("scheduling.k8s.io/v1", "PriorityClass")
        );
        let discovery = self.discovery().await.map_err(|error| ("kinds", error))?;
        let resources: Vec<_> = discovery.resources().cloned().collect();
        let bounds = Bounds {
            quotas: &quotas,
            limit_ranges: &limit_ranges,
            nodes,
            resources: &resources,
            storage_classes: storage.as_deref(),
            priority_classes: priority.as_deref(),
        };
        Ok(Some(headroom(demands, &bounds)))
    }

    /// Whether the nodes have room for the pods that come.
    pub async fn capacity_health(&self, namespace: &str, demands: &[Demand<'_>]) -> HealthAnswer {
        let (node, pod, all) = (Kind::new("v1", "Node"), Kind::new("v1", "Pod"), Selection::default());
        let (nodes, pods, limits) =
            tokio::join!(self.list(&node, None, &all), self.list(&pod, None, &all), self.limits(namespace));
        let (nodes, pods) = match (nodes, pods) {
            (Ok(nodes), Ok(pods)) => (nodes, pods),
            (Err(error), _) => return HealthAnswer::of_error(&error, "list nodes"),
            (_, Err(error)) => return HealthAnswer::of_error(&error, "list pods in all namespaces"),
        };
        let limit_ranges = limits.unwrap_or_default();
        let bounds = Bounds { limit_ranges: &limit_ranges, ..Bounds::default() };
        let unplaced = placement(demands, &bounds, &nodes, &pods);
        let sentences = unplaced.iter().map(|one| {
            let (object, reasons) = (&one.object, one.reasons.join(", "));
            let (pods, find) = if one.pods == 1 { ("pod", "finds") } else { ("pods", "find") };
            let place = if object.kind.is("apps", "DaemonSet") { "its own node" } else { "any node" };
            format!("{}: {} {pods} of {object} {find} no room on {place}: {reasons}", one.service, one.pods)
        });
        let well = "the nodes have room for the pods that come";
        HealthAnswer::of(sentences.collect(), Vec::new(), beside(well, &uncounted(demands)))
    }

    async fn of_cluster(&self, version: &str, kind: &str) -> Option<Vec<Object>> {
        self.list(&Kind::new(version, kind), None, &Selection::default()).await.ok()
    }

    async fn limits(&self, namespace: &str) -> Result<Vec<Object>, ClusterError> {
        self.of_namespace("LimitRange", namespace).await
    }

    async fn of_namespace(&self, kind: &str, namespace: &str) -> Result<Vec<Object>, ClusterError> {
        self.list(&Kind::new("v1", kind), Some(namespace), &Selection::default()).await
    }
}

fn judge_quota(report: &Headroom) -> HealthAnswer {
    let wrong = report.shortages.iter().map(sentence).chain(report.refused.iter().cloned()).collect();
    let unknown = report.unknown.iter().cloned().collect();
    HealthAnswer::of(wrong, unknown, beside("every quota has room for the deployment", &report.uncounted))
}

/// What is well, and what is not counted in it.
fn beside(well: &str, uncounted: &BTreeSet<String>) -> String {
    std::iter::once(well).chain(uncounted.iter().map(String::as_str)).collect::<Vec<_>>().join("; ")
}

/// What is short, what needs it, and the change that would fix it.
fn sentence(short: &Shortage) -> String {
    let Shortage { quota, resource, needed, free, hard, lasting, services, wave: _, is_rolling } = short;
    let mut by_amount: Vec<(&String, &Amount)> = BTreeMap::iter(services).collect();
    by_amount.sort_by(|one, other| other.1.cmp(one.1));
    let services: Vec<_> = by_amount.into_iter().map(|(service, amount)| format!("{service} {amount}")).collect();
    let missing = short.missing();
    let beside = if *is_rolling && lasting <= free {
        ", or replace pods without a new one beside the old (`strategy: { type: Recreate }`)"
    } else {
        ""
    };
    format!(
        "quota `{quota}` has {free} of `{resource}` free, the deployment needs {needed} more, {missing} missing: {}; raise it \
         to {}, ask for less{beside}",
        services.join(", "),
        *hard + missing
    )
}
