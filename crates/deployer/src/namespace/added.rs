//! Containers that other programs added to an object that makes pods, or to a pod on its way into the cluster or later; and
//! images of pods that another program exchanged.

use std::collections::BTreeMap;

use cluster::{ContainerRole, Object, RunningContainer, RunningPod};
use lock_model::{Digest, EnvironmentName, ServiceName};
use serde_json::Value;

use super::running::{Running, Workload, containers, is_alive, is_of_present, pod_spec};
use super::templates::is_same;
use crate::problem::escaped;
use crate::proof::FindingKind;
use crate::request::DeployRequest;

/// A container that another program added to a pod, and that the environment allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Sidecar {
    /// The service.
    pub service: ServiceName,
    /// `Kind/name` of the object that the pod belongs to.
    pub object: String,
    /// Name of the pod.
    pub pod: String,
    /// What tells the pod apart from others of its name.
    pub uid: String,
    /// Name of the container.
    pub container: String,
    /// The image as the pod names it.
    pub image: String,
    /// The digest that it reports; absent before it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// What allows a container that another program added.
pub(super) fn way_out(environment: &EnvironmentName) -> String {
    format!("`environments.{environment}.sidecars` allows it by name")
}

impl Workload<'_> {
    /// Finds what neither the release nor the list of the environment has. What was added to the object itself is told of it
    /// alone: all its pods have it.
    pub(super) fn find_added(&self, live: &Object, pods: &[RunningPod], request: &DeployRequest, found: &mut Running) {
        let (id, way_out) = (self.id, way_out(&request.environment));
        let Some(object) = live.value().as_object() else { return };
        let text = |container: &Value, key: &str| container.get(key)?.as_str().map(str::to_owned);
        let stored: BTreeMap<String, String> = containers(object)
            .filter_map(|container| Some((text(container, "name")?, text(container, "image").unwrap_or_default())))
            .collect();
        let is_declared = |name: &str| match &self.declared {
            Some(declared) => declared.contains(name),
            None => stored.contains_key(name),
        };
        for (name, image) in &stored {
            if !is_declared(name) && !request.allows(name, image) {
                let (name, image) = (escaped(name), escaped(image));
                let message =
                    format!("{id} runs `{image}` in container `{name}`, which the release does not have; {way_out}");
                found.findings.push(self.finding(FindingKind::Foreign, message));
            }
        }
        let volumes = pod_spec(object).and_then(|spec| spec.get("volumes")?.as_array());
        let volumes = cluster::image_volumes(volumes.map_or(&[], Vec::as_slice));
        for pod in pods.iter().filter(|pod| is_alive(pod)) {
            let is_of_present = id.kind != "CronJob" || is_of_present(live, pod);
            // What a node has mounted it does not say.
            for (name, image) in &pod.image_volumes {
                let is_stored = volumes.get(name).is_some_and(|stored| is_same(stored, image));
                if !is_stored && is_of_present {
                    let (pod, name, image) = (escaped(&pod.key.name), escaped(name), escaped(image));
                    let message =
                        format!("{id}: pod `{pod}` mounts `{image}` as volume `{name}`, which {id} does not have");
                    found.findings.push(self.finding(FindingKind::Injected, message));
                }
            }
            for container in &pod.containers {
                let (name, image) = (container.name.as_str(), container.image.as_str());
                let shown = || {
                    let (pod, name, image) = (escaped(&pod.key.name), escaped(name), escaped(image));
                    format!("{id}: pod `{pod}` runs `{image}` in container `{name}`")
                };
                let (kind, message) = match container.role {
                    ContainerRole::Ephemeral => {
                        let (pod, namespace) = (&pod.key.name, pod.key.namespace.as_deref().unwrap_or_default());
                        let goes = format!("`kubectl delete pod {} --namespace {}`", escaped(pod), escaped(namespace));
                        let message = format!("{}, which was added by hand and goes with the pod: {goes}", shown());
                        (FindingKind::Ephemeral, message)
                    }
                    ContainerRole::Main | ContainerRole::Init if !is_declared(name) && request.allows(name, image) => {
                        found.sidecars.insert(Sidecar {
                            service: self.service.clone(),
                            object: id.to_string(),
                            pod: pod.key.name.clone(),
                            uid: pod.uid.clone(),
                            container: name.to_owned(),
                            image: image.to_owned(),
                            digest: container.digest.clone(),
                        });
                        continue;
                    }
                    ContainerRole::Main | ContainerRole::Init => match stored.get(name) {
                        Some(stored) if is_of_present && self.is_exchanged(container, stored) => {
                            (FindingKind::Image, format!("{}, and {id} has `{}` there", shown(), escaped(stored)))
                        }
                        Some(_) => continue,
                        None if is_declared(name) => continue,
                        None => {
                            let message = format!("{}, which {id} does not have; {way_out}", shown());
                            (FindingKind::Injected, message)
                        }
                    },
                };
                found.findings.push(self.finding(kind, message));
            }
        }
    }

    /// Whether a pod has another image in a container than its workload, of which no locked digest says what it runs.
    fn is_exchanged(&self, container: &RunningContainer, stored: &str) -> bool {
        let is_asked = self.is_judged || self.id.kind == "CronJob" && !container.image_id.is_empty();
        let is_told = is_asked && self.images.contains_key(&container.name);
        !is_told && !stored.is_empty() && !is_same(stored, &container.image)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::image_pinning::{ImagePin, Pins};
    use crate::namespace::{Deployed, Rendering};
    use crate::request::{AllowedSidecar, DeployService};

    /// A Deployment, a job that is made anew, and a Deployment without an image of the lock.
    const OBJECTS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: cart }
spec: { template: { spec: { containers: [{ name: app, image: LOCKED }] } } }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: tidy }
spec: { jobTemplate: { spec: { template: { spec: { containers: [{ name: app, image: LOCKED }] } } } } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: cache }
spec: { template: { spec: { containers: [{ name: app, image: 'redis:8' }] } } }
";

    /// What is found of it, by kind.
    fn kinds(found: &Running) -> Vec<FindingKind> {
        found.findings.iter().map(|one| one.kind).collect()
    }

    /// What is found of the object with this place in the list, whose one pod has more containers.
    fn found(place: usize, more: &[(&str, &str, &str)], request: &DeployRequest) -> Running {
        let pin = format!("registry.example/shop/cart@sha256:{}", "1".repeat(64));
        let mut service = DeployService::new("shop-cart".parse().unwrap());
        let image = pin.parse::<lock_model::ImageReference>().unwrap();
        service.image = Some(ImagePin::new(image.repository, image.digest.unwrap()));
        let objects = Rendering::parse([OBJECTS.replace("LOCKED", &pin).as_bytes()], "shop").unwrap();
        let pins = Pins::new(service.image.iter());
        let deployed = Deployed { service: &service, declared: &objects, live: &objects };
        let all = super::super::running::workloads(request, deployed, &pins);
        let name = ["cart", "tidy", "cache"][place];
        let workload = all.iter().find(|workload| workload.id.name == name).unwrap();
        let own = [pin.as_str(), pin.as_str(), "redis:8"][place];
        let mut spec = json!({ "containers": [{ "name": "app", "image": own }] });
        for (list, name, image) in more {
            let list = &mut spec[*list];
            let mut items = list.as_array().cloned().unwrap_or_default();
            items.retain(|item| item["name"] != *name);
            items.push(json!({ "name": name, "image": image }));
            *list = items.into();
        }
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "cart-1", "namespace": "shop", "uid": "7" },
            "spec": spec, "status": { "phase": "Running" }
        });
        let pod = RunningPod::of(&Object::new(pod).unwrap());
        let live = Object::new(Value::Object(objects.objects[workload.id].clone())).unwrap();
        let mut found = Running::default();
        workload.find_added(&live, &[pod], request, &mut found);
        found
    }

    #[test]
    fn t19_the_pods_of_a_cron_job_are_held_to_its_template_unless_they_are_of_what_it_was_before() {
        let locked = format!("registry.example/shop/cart@sha256:{}", "1".repeat(64));
        let (other, evil) =
            (format!("registry.example/shop/cart@sha256:{}", "2".repeat(64)), "evil.example/x:1".to_owned());
        let volume = |image: &str| json!([{ "name": "data", "image": { "reference": image } }]);
        let found = |image: &str, image_id: &str, mounted: &str, begun: &str| {
            let mut service = DeployService::new("shop-cart".parse().unwrap());
            let pin = locked.parse::<lock_model::ImageReference>().unwrap();
            service.image = Some(ImagePin::new(pin.repository, pin.digest.unwrap()));
            let objects = Rendering::parse([OBJECTS.replace("LOCKED", &locked).as_bytes()], "shop").unwrap();
            let (pins, request) = (Pins::new(service.image.iter()), DeployRequest::of_test());
            let deployed = Deployed { service: &service, declared: &objects, live: &objects };
            let all = super::super::running::workloads(&request, deployed, &pins);
            let workload = all.iter().find(|workload| workload.id.name == "tidy").unwrap();
            let mut live = Value::Object(objects.objects[workload.id].clone());
            live["metadata"]["managedFields"] = json!([
                { "manager": "helm", "time": "2026-01-01T12:00:00Z" },
                { "manager": "kube-controller-manager", "subresource": "status", "time": "2026-01-01T14:00:00Z" },
            ]);
            live["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"] = volume("a:1");
            let metadata = json!({ "name": "tidy-1", "namespace": "shop", "uid": "7", "creationTimestamp": begun,
                "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "CronJob", "name": "tidy", "controller": true }] });
            let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
                "spec": { "containers": [{ "name": "app", "image": image }], "volumes": volume(mounted) },
                "status": { "phase": "Running", "containerStatuses": [
                    { "name": "app", "imageID": image_id, "state": { "running": {} } } ] } });
            let mut found = Running::default();
            let pod = RunningPod::of(&Object::new(pod).unwrap());
            workload.look(Some(&Object::new(live).unwrap()), &[pod], &request, &mut found);
            kinds(&found)
        };
        let (before, after) = ("2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z");
        for (image, image_id, mounted, expected) in [
            (&locked, locked.as_str(), "a:1", vec![]),
            // It is not pulled yet.
            (&locked, "", "a:1", vec![]),
            (&locked, other.as_str(), "a:1", vec![FindingKind::Image]),
            (&other, other.as_str(), "a:1", vec![FindingKind::Image]),
            (&evil, "", "a:1", vec![FindingKind::Image]),
            (&locked, locked.as_str(), "a:2", vec![FindingKind::Injected]),
        ] {
            assert_eq!(found(image, image_id, mounted, after), expected, "{image} {image_id} {mounted}");
            assert_eq!(found(image, image_id, mounted, before), [], "{image} {image_id} {mounted}");
        }
    }

    #[test]
    fn t19_an_image_that_was_exchanged_in_a_pod_is_found_though_no_lock_decides_it() {
        let request = DeployRequest::of_test();
        let found = |image| found(2, &[("containers", "app", image)], &request).findings;
        assert_eq!(found("docker.io/library/redis:8"), []);
        let exchanged = found("evil.example/redis:8");
        let message = "Deployment/cache: pod `cart-1` runs `evil.example/redis:8` in container `app`, and Deployment/cache \
                       has `redis:8` there";
        assert_eq!((exchanged[0].kind, exchanged[0].message.as_str()), (FindingKind::Image, message));
    }

    #[test]
    fn t19_a_container_of_a_pod_that_its_workload_does_not_have_is_found_unless_it_is_allowed_by_name() {
        let mut request = DeployRequest::of_test();
        let proxy = "docker.io/istio/proxyv2:1.29";
        for (place, owner) in [(0, "Deployment/cart"), (1, "CronJob/tidy"), (2, "Deployment/cache")] {
            for list in ["containers", "initContainers"] {
                let found = found(place, &[(list, "istio-proxy", proxy)], &request);
                let found: Vec<_> = found.findings.into_iter().map(|one| (one.kind, one.message)).collect();
                let message = format!(
                    "{owner}: pod `cart-1` runs `{proxy}` in container `istio-proxy`, which {owner} does not have; \
                     `environments.staging.sidecars` allows it by name"
                );
                assert_eq!(found, [(FindingKind::Injected, message)]);
            }
        }
        // By its name, and by its name with the repository of its image.
        for (image, is_allowed) in [
            (None, true),
            (Some("docker.io/istio/proxyv2"), true),
            (Some("mirror.example/istio/proxyv2"), false),
            (Some("docker.io/istio/proxyv2-debug"), false),
        ] {
            let image = image.map(|image| image.parse().unwrap());
            request.sidecars = BTreeSet::from([AllowedSidecar { name: "istio-proxy".to_owned(), image }]);
            let found = found(0, &[("containers", "istio-proxy", "istio/proxyv2:1.29")], &request);
            assert_eq!(found.findings.is_empty(), is_allowed, "{:?}", request.sidecars);
            let listed: Vec<_> = found.sidecars.iter().map(|one| (one.pod.as_str(), one.container.as_str())).collect();
            assert_eq!(listed == [("cart-1", "istio-proxy")], is_allowed, "{listed:?}");
        }
        // A second container beside the allowed one, and an ephemeral one of `kubectl debug`, which no list allows.
        request.sidecars = BTreeSet::from([AllowedSidecar { name: "istio-proxy".to_owned(), image: None }]);
        let found =
            found(0, &[("containers", "miner", "x:1"), ("ephemeralContainers", "istio-proxy", "busybox:1")], &request);
        assert_eq!(kinds(&found), [FindingKind::Injected, FindingKind::Ephemeral]);
        let told = "goes with the pod: `kubectl delete pod cart-1 --namespace shop`";
        assert!(found.findings[1].message.ends_with(told), "{:?}", found.findings);
    }
}
