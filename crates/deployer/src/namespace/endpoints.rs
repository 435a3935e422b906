//! Whether requests reach only pods of which it is proven that they run what is locked.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::{Connection, Kind, ObjectKey};
use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::rendering::Rendering;
use super::running::{RunningContainer, locked_images};
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::manifest::ObjectId;
use crate::problem::escaped;
use crate::proof::{Finding, FindingKind};
use crate::request::DeployService;

/// How often endpoints are read before they count: a controller writes them some moments after a pod has ended.
const LOOKS: u32 = 6;

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(500);

type Object = Map<String, Value>;

/// Finds the ready endpoints of a service that are not pods with a proof. Only Services that select a workload of the lock
/// are asked: what else a chart brings along runs no locked image.
pub(crate) async fn unproven_endpoints(
    connection: &Connection,
    service: &DeployService,
    pins: &Pins,
    stored: &Rendering,
    proven: &[RunningContainer],
) -> Result<Vec<Finding>, DeployError> {
    let proven: BTreeSet<&str> = proven.iter().map(|container| container.uid.as_str()).collect();
    let mut findings = Vec::new();
    for id in selecting(service, pins, stored) {
        let namespace = id.namespace.as_deref().unwrap_or_default();
        let mut unproven = Vec::new();
        for look in 1..=LOOKS {
            unproven = connection.ready_endpoints(namespace, &id.name).await?;
            unproven.retain(|uid| !proven.contains(uid.as_str()));
            if unproven.is_empty() || look == LOOKS {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if !unproven.is_empty() {
            let pods = names(connection, namespace, &unproven).await?.join(", ");
            let message = format!("{id} sends requests to pods that are not proven: {pods}");
            findings.push(finding(&service.name, message));
        }
    }
    Ok(findings)
}

/// The Services whose selector takes the pods of a workload with a locked image.
fn selecting<'a>(service: &DeployService, pins: &Pins, stored: &'a Rendering) -> Vec<&'a ObjectId> {
    let templates: Vec<&Object> = stored
        .objects
        .values()
        .filter(|object| !locked_images(object, service, pins).is_empty())
        .filter_map(|object| at(object, &["spec", "template", "metadata", "labels"])?.as_object())
        .collect();
    let selects = |selector: &Object| {
        !selector.is_empty()
            && templates.iter().any(|labels| selector.iter().all(|(name, value)| labels.get(name) == Some(value)))
    };
    let services = stored.objects.iter().filter(|(id, _)| id.group.is_empty() && id.kind == "Service");
    services
        .filter(|(_, object)| at(object, &["spec", "selector"]).and_then(Value::as_object).is_some_and(selects))
        .map(|(id, _)| id)
        .collect()
}

fn at<'a>(object: &'a Object, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(*first)?, |value, key| value.get(key))
}

/// The names of pods; the UID of one that is gone.
async fn names(connection: &Connection, namespace: &str, uids: &[String]) -> Result<Vec<String>, DeployError> {
    let pods = connection.list(&Kind::new("v1", "Pod"), Some(namespace), &cluster::Selection::default()).await?;
    let name = |uid: &String| {
        let pod = pods.iter().find(|pod| pod.uid() == Some(uid));
        pod.map_or_else(|| escaped(uid), |pod: &cluster::Object| name_of(pod.key()))
    };
    Ok(uids.iter().map(name).collect())
}

fn name_of(key: &ObjectKey) -> String {
    format!("`{}`", escaped(&key.name))
}

fn finding(service: &ServiceName, message: String) -> Finding {
    Finding { service: Some(service.clone()), path: None, kind: FindingKind::Endpoint, message }
}
