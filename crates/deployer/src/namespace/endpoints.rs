//! Whether requests reach only pods of which it is proven that they run what is locked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster::{Connection, Kind, ObjectKey, ReadyEndpoint};
use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::running::{Deployed, locked_images};
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::manifest::ObjectId;
use crate::problem::escaped;
use crate::proof::{Finding, FindingKind};

/// How often endpoints are read before they count: a controller writes them some moments after a pod has ended.
const LOOKS: u32 = 6;

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(500);

type Object = Map<String, Value>;

/// The addresses of proven pods, by their UID.
type Addresses = BTreeMap<String, BTreeSet<String>>;

/// Finds the ready endpoints of services that are not pods with a proof, and Services that no longer send requests where
/// their release says. Only Services that select a workload of the lock, in the release or in the cluster, are asked: what
/// else a chart brings along runs no locked image. The API server is asked once for all of them, and again where an endpoint
/// is not proven.
pub(crate) async fn unproven_endpoints(
    connection: &Connection,
    pins: &Pins,
    services: &[Deployed<'_>],
    proven: &Addresses,
) -> Result<Vec<Finding>, DeployError> {
    let of_one = |deployed: &Deployed<'_>| {
        let name = deployed.service.name.clone();
        let ids = selecting(*deployed, pins).into_iter();
        ids.map(|id| (name.clone(), id.clone())).collect::<Vec<_>>()
    };
    let selecting: Vec<(ServiceName, ObjectId)> = services.iter().flat_map(of_one).collect();
    let namespaces: BTreeSet<&str> = selecting.iter().map(|(_, id)| namespace_of(id)).collect();
    let mut unproven = Vec::new();
    for look in 1..=LOOKS {
        let mut ready: BTreeMap<(&str, String), BTreeSet<ReadyEndpoint>> = BTreeMap::new();
        for namespace in &namespaces {
            let endpoints = connection.ready_endpoints(namespace).await?;
            ready.extend(endpoints.into_iter().map(|(name, endpoints)| ((*namespace, name), endpoints)));
        }
        let of_one = |(service, id): &(ServiceName, ObjectId)| {
            let mut endpoints = ready.get(&(namespace_of(id), id.name.clone())).cloned().unwrap_or_default();
            endpoints.retain(|endpoint| !is_proven(endpoint, proven));
            (!endpoints.is_empty()).then(|| (service.clone(), id.clone(), endpoints))
        };
        unproven = selecting.iter().filter_map(of_one).collect();
        if unproven.is_empty() || look == LOOKS {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut findings: Vec<Finding> = services.iter().flat_map(|deployed| rerouted(*deployed, pins)).collect();
    for (service, id, endpoints) in unproven {
        let all =
            connection.list(&Kind::new("v1", "Pod"), Some(namespace_of(&id)), &cluster::Selection::default()).await?;
        findings.extend(named(&service, &id, &endpoints, &all, proven));
    }
    Ok(findings)
}

/// A pod that is proven, under an address that it has: anyone who may write endpoints can name a pod.
fn is_proven(endpoint: &ReadyEndpoint, proven: &Addresses) -> bool {
    let addresses = endpoint.pod.as_ref().and_then(|pod| proven.get(pod));
    addresses.is_some_and(|own| !endpoint.addresses.is_empty() && endpoint.addresses.is_subset(own))
}

fn namespace_of(id: &ObjectId) -> &str {
    id.namespace.as_deref().unwrap_or_default()
}

/// The labels of the pods of workloads with a locked image, as the release or the cluster has them.
fn pod_labels<'a>(deployed: Deployed<'a>, pins: &Pins) -> Vec<&'a Object> {
    let all = deployed.declared.objects.values().chain(deployed.live.objects.values());
    let locked = all.filter(|object| !locked_images(object, deployed.service, pins).is_empty());
    locked.filter_map(|object| at(object, &["spec", "template", "metadata", "labels"])?.as_object()).collect()
}

/// The Services of a rendering.
fn services(objects: &BTreeMap<ObjectId, Object>) -> impl Iterator<Item = (&ObjectId, &Object)> {
    objects.iter().filter(|(id, _)| id.group.is_empty() && id.kind == "Service")
}

/// Whether a Service takes pods with labels, any of these.
fn selects(object: &Object, labels: &[&Object]) -> bool {
    selector(object).is_some_and(|selector| labels.iter().any(|labels| includes(labels, selector)))
}

/// By what a Service selects pods; one that only gives another host a name selects none.
fn selector(object: &Object) -> Option<&Object> {
    let is_name = at(object, &["spec", "type"]).and_then(Value::as_str) == Some("ExternalName");
    let selector = at(object, &["spec", "selector"]).and_then(Value::as_object).filter(|selector| !selector.is_empty());
    selector.filter(|_| !is_name)
}

fn includes(all: &Object, some: &Object) -> bool {
    some.iter().all(|(name, value)| all.get(name) == Some(value))
}

/// The Services whose selector takes the pods of a workload with a locked image: in the release, so that an edit hides none,
/// or in the cluster.
fn selecting<'a>(deployed: Deployed<'a>, pins: &Pins) -> BTreeSet<&'a ObjectId> {
    let labels = pod_labels(deployed, pins);
    let all = services(&deployed.declared.objects).chain(services(&deployed.live.objects));
    all.filter(|(_, object)| selects(object, &labels)).map(|(id, _)| id).collect()
}

/// The Services of the release that select a workload of the lock there, and other pods or none in the cluster. A controller
/// that selects fewer of the pods, such as one that shifts requests step by step, is none of that.
fn rerouted(deployed: Deployed<'_>, pins: &Pins) -> Vec<Finding> {
    let labels = pod_labels(deployed, pins);
    let declared = services(&deployed.declared.objects).filter(|(_, object)| selects(object, &labels));
    let rerouted = declared.filter_map(|(id, object)| {
        let live = deployed.live.objects.get(id)?;
        let (wanted, found) = (selector(object)?, selector(live));
        if found.is_some_and(|found| includes(found, wanted)) {
            return None;
        }
        let now = match (found, at(live, &["spec", "externalName"]).and_then(Value::as_str)) {
            (Some(found), _) => format!("selects {}", shown(found)),
            (None, Some(host)) => format!("sends requests to `{}`", escaped(host)),
            (None, None) => "selects no pods".to_owned(),
        };
        Some(finding(&deployed.service.name, format!("{id} {now}, the release has {}", shown(wanted))))
    });
    rerouted.collect()
}

/// `` `app=cart,part=web` ``
fn shown(selector: &Object) -> String {
    let pairs = selector.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    format!("`{}`", escaped(&pairs.collect::<Vec<_>>().join(",")))
}

fn at<'a>(object: &'a Object, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(*first)?, |value, key| value.get(key))
}

/// Names the pods behind unproven endpoints of a Service, those that are ending for themselves, and the addresses of endpoints
/// without a pod or that are not their pod's.
fn named(
    service: &ServiceName,
    id: &ObjectId,
    endpoints: &BTreeSet<ReadyEndpoint>,
    all: &[cluster::Object],
    proven: &Addresses,
) -> Vec<Finding> {
    let (mut ending, mut pods, mut addresses) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for endpoint in endpoints {
        match endpoint.pod.as_ref().filter(|uid| !proven.contains_key(*uid)) {
            Some(uid) => {
                let pod = all.iter().find(|pod| pod.uid() == Some(uid));
                let list = if pod.is_some_and(cluster::Object::is_terminating) { &mut ending } else { &mut pods };
                list.insert(pod.map_or_else(|| escaped(uid), |pod| name_of(pod.key())));
            }
            None => addresses.extend(endpoint.addresses.iter().map(|address| format!("`{}`", escaped(address)))),
        }
    }
    let of_one = |(kind, what, all): (FindingKind, &str, BTreeSet<String>)| {
        let all = all.into_iter().collect::<Vec<_>>().join(", ");
        (!all.is_empty()).then(|| Finding { kind, ..finding(service, format!("{id} sends requests to {what}: {all}")) })
    };
    let lists = [
        (FindingKind::Ending, "pods that have yet to end", ending),
        (FindingKind::Endpoint, "pods that are not proven", pods),
        (FindingKind::Endpoint, "addresses of no proven pod", addresses),
    ];
    lists.into_iter().filter_map(of_one).collect()
}

fn name_of(key: &ObjectKey) -> String {
    format!("`{}`", escaped(&key.name))
}

fn finding(service: &ServiceName, message: String) -> Finding {
    Finding { service: Some(service.clone()), path: None, kind: FindingKind::Endpoint, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_pinning::ImagePin;
    use crate::namespace::Rendering;
    use crate::request::DeployService;

    #[test]
    fn q3_a_service_that_sends_requests_elsewhere_than_its_release_says_is_found() {
        let digest = format!("sha256:{}", "1".repeat(64));
        let text = format!(
            "
apiVersion: v1
kind: Service
metadata: {{ name: cart }}
spec: {{ selector: {{ app: cart }} }}
---
apiVersion: v1
kind: Service
metadata: {{ name: cache }}
spec: {{ selector: {{ app: redis }} }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: cart }}
spec:
  template:
    metadata: {{ labels: {{ app: cart }} }}
    spec: {{ containers: [{{ name: a, image: 'registry.example/shop/cart:main@{digest}' }}] }}
"
        );
        let mut service = DeployService::new("shop-cart".try_into().unwrap());
        let pin = ImagePin::new("registry.example/shop/cart".try_into().unwrap(), digest.try_into().unwrap());
        service.image = Some(pin.clone());
        let pins = Pins::new([&pin]);
        let found = |from: &str, to: &str| {
            let parse = |text: &str| Rendering::parse([text.as_bytes()], "shop").unwrap();
            let (declared, live) = (parse(&text), parse(&text.replace(from, to)));
            let deployed = Deployed { service: &service, declared: &declared, live: &live };
            let asked: Vec<String> = selecting(deployed, &pins).into_iter().map(ToString::to_string).collect();
            (asked, rerouted(deployed, &pins).into_iter().map(|finding| finding.message).collect::<Vec<_>>())
        };
        let cart = || vec!["Service/cart".to_owned()];
        for kept in ["{ app: cart }", "{ app: cart, pod-template-hash: '7' }"] {
            assert_eq!(found("selector: { app: cart }", &format!("selector: {kept}")), (cart(), vec![]));
        }
        for (spec, now) in [
            ("selector: { app: evil }", "selects `app=evil`"),
            ("selector: {}", "selects no pods"),
            ("ports: [{ port: 80 }]", "selects no pods"),
            ("type: ExternalName, externalName: evil.example", "sends requests to `evil.example`"),
        ] {
            let told = format!("Service/cart {now}, the release has `app=cart`");
            assert_eq!(found("selector: { app: cart }", spec), (cart(), vec![told]), "{spec}");
        }
        // One that selects other pods in the release, and these in the cluster, is asked as well.
        let both = vec!["Service/cache".to_owned(), "Service/cart".to_owned()];
        assert_eq!(found("selector: { app: redis }", "selector: { app: cart }"), (both, vec![]));
    }

    #[test]
    fn w3_an_endpoint_that_is_ending_is_another_finding_than_one_that_stays() {
        let service: ServiceName = "shop-cart".try_into().unwrap();
        let pod = |name: &str, metadata: &str| {
            let text = format!("{{ apiVersion: v1, kind: Pod, metadata: {{ name: {name}, uid: {name}{metadata} }} }}");
            cluster::Object::new(serde_saphyr::from_str(&text).unwrap()).unwrap()
        };
        let all = [pod("old", ", deletionTimestamp: '2026-11-30T10:00:00Z'"), pod("stranger", "")];
        let endpoint = |pod: Option<&str>, address: &str| {
            let mut endpoint = ReadyEndpoint::new(BTreeSet::from([address.to_owned()]));
            endpoint.pod = pod.map(str::to_owned);
            endpoint
        };
        let text = "{ apiVersion: v1, kind: Service, metadata: { name: cart } }";
        let rendering = Rendering::parse([text.as_bytes()], "shop").unwrap();
        let id = rendering.objects.keys().next().unwrap();
        let found = |endpoints: &[ReadyEndpoint]| {
            let endpoints = endpoints.iter().cloned().collect();
            let found = named(&service, id, &endpoints, &all, &Addresses::new());
            found.into_iter().map(|finding| (finding.kind, finding.message)).collect::<Vec<_>>()
        };
        let ending =
            (FindingKind::Ending, "Service/cart sends requests to pods that have yet to end: `old`".to_owned());
        let strange =
            (FindingKind::Endpoint, "Service/cart sends requests to pods that are not proven: `stranger`".to_owned());
        let other =
            (FindingKind::Endpoint, "Service/cart sends requests to addresses of no proven pod: `10.0.0.9`".to_owned());
        assert_eq!(found(&[endpoint(Some("old"), "10.0.0.1")]), std::slice::from_ref(&ending));
        let all_three =
            [endpoint(Some("old"), "10.0.0.1"), endpoint(Some("stranger"), "10.0.0.2"), endpoint(None, "10.0.0.9")];
        assert_eq!(found(&all_three), [ending, strange, other]);
    }

    #[test]
    fn q3_an_endpoint_counts_as_a_proven_pod_under_an_address_of_that_pod_alone() {
        let proven = Addresses::from([("7".to_owned(), BTreeSet::from(["10.0.0.7".to_owned(), "fd00::7".to_owned()]))]);
        let slice = |pod: Option<&str>, addresses: &[&str]| {
            let mut endpoint = ReadyEndpoint::new(addresses.iter().map(|one| (*one).to_owned()).collect());
            endpoint.pod = pod.map(str::to_owned);
            is_proven(&endpoint, &proven)
        };
        assert!(slice(Some("7"), &["10.0.0.7"]) && slice(Some("7"), &["fd00::7"]));
        for (pod, address) in [(None, "10.0.0.7"), (Some("8"), "10.0.0.7"), (Some("7"), "10.0.0.8")] {
            assert!(!slice(pod, &[address]), "{pod:?} {address}");
        }
        assert!(!slice(Some("7"), &[]));
    }
}
