//! Whether requests reach only pods of which it is proven that they run what is locked.

use std::collections::{BTreeMap, BTreeSet};
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

/// Finds the ready endpoints of services that are not pods with a proof. Only Services that select a workload of the lock
/// are asked: what else a chart brings along runs no locked image. The API server is asked once for all of them, and again
/// where an endpoint is not proven.
pub(crate) async fn unproven_endpoints(
    connection: &Connection,
    pins: &Pins,
    services: &[(&DeployService, &Rendering)],
    proven: &BTreeSet<RunningContainer>,
) -> Result<Vec<Finding>, DeployError> {
    let proven: BTreeSet<&str> = proven.iter().map(|container| container.uid.as_str()).collect();
    let of_one = |(service, stored): &(&'_ DeployService, &'_ Rendering)| {
        let ids = selecting(service, pins, stored).into_iter();
        ids.map(|id| (service.name.clone(), id.clone())).collect::<Vec<_>>()
    };
    let selecting: Vec<(ServiceName, ObjectId)> = services.iter().flat_map(of_one).collect();
    let namespaces: BTreeSet<&str> = selecting.iter().map(|(_, id)| namespace_of(id)).collect();
    let mut unproven = Vec::new();
    for look in 1..=LOOKS {
        let mut ready: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
        for namespace in &namespaces {
            let endpoints = connection.ready_endpoints(namespace).await?;
            ready.extend(endpoints.into_iter().map(|(name, uids)| ((*namespace, name), uids)));
        }
        let of_one = |(service, id): &(ServiceName, ObjectId)| {
            let mut uids = ready.get(&(namespace_of(id), id.name.clone())).cloned().unwrap_or_default();
            uids.retain(|uid| !proven.contains(uid.as_str()));
            (!uids.is_empty()).then(|| (service.clone(), id.clone(), uids))
        };
        unproven = selecting.iter().filter_map(of_one).collect();
        if unproven.is_empty() || look == LOOKS {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut findings = Vec::new();
    for (service, id, uids) in unproven {
        let pods = names(connection, namespace_of(&id), &uids).await?.join(", ");
        findings.push(finding(&service, format!("{id} sends requests to pods that are not proven: {pods}")));
    }
    Ok(findings)
}

fn namespace_of(id: &ObjectId) -> &str {
    id.namespace.as_deref().unwrap_or_default()
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
