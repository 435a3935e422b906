//! Whether what runs is what is locked: by the digest that each container of each pod reports.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster::{Connection, Kind, Object, ObjectKey, RunningPod, Selection};
use lock_model::{Digest, ImageReference, ServiceName};
use serde_json::{Map, Value};

use super::added::Sidecar;
use super::rendering::Rendering;
use crate::diff::{Risk, what_becomes_of_pods};
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::image_pinning::{Choice, ImagePin};
use crate::manifest::ObjectId;
use crate::problem::escaped;
use crate::proof::{Finding, FindingKind, Proof, ProofLevel};
use crate::request::{DeployRequest, DeployService};

/// A container that runs a locked image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RunningContainer {
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
    /// The digest that it reports: of the index, of the manifest for its platform, or of the image's configuration.
    pub digest: Digest,
    /// The registry host that the image came from, where it is another one than that of the lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
}

/// A pod that a controller has replaced, and that still works until it has ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct EndingPod {
    /// The service.
    pub service: ServiceName,
    /// Name of the pod.
    pub pod: String,
    /// What its main containers report that they run, without duplicates.
    pub images: BTreeSet<String>,
    /// How long it has from the request to end until it is killed.
    pub grace: Duration,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Running {
    pub(crate) containers: BTreeSet<RunningContainer>,
    pub(crate) ending: BTreeSet<EndingPod>,
    /// The addresses of the pods that run what is locked, by their UID.
    pub(crate) addresses: BTreeMap<String, BTreeSet<String>>,
    pub(crate) sidecars: BTreeSet<Sidecar>,
    pub(crate) without_configuration: BTreeSet<Digest>,
    pub(crate) findings: Vec<Finding>,
    /// Whether an object makes pods of locked images all the time, and none of them can be found.
    is_unasked: bool,
}

impl Running {
    /// The level of a proof with all these findings: nothing is proven to run where no container was asked, or where one
    /// could not be. A proof that fails keeps the level that it was to reach.
    pub(crate) fn level(&self, findings: &[Finding]) -> ProofLevel {
        let is_unasked = self.is_unasked || self.containers.is_empty();
        if findings.is_empty() && is_unasked { ProofLevel::Stored } else { ProofLevel::Running }
    }

    /// A proof with what was seen besides its containers.
    pub(crate) fn tell(self, proof: Proof) -> Proof {
        let Self { without_configuration, sidecars, ending, .. } = self;
        Proof { without_configuration, sidecars, ending, ..proof }
    }
}

/// A stored object that makes pods.
pub(super) struct Workload<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) id: &'a ObjectId,
    key: ObjectKey,
    /// The locked images of its containers, by the container's name.
    pub(super) images: BTreeMap<String, &'a ImagePin>,
    /// Whether its pods run all the time, and locked images.
    pub(super) is_judged: bool,
    /// The names of all containers that the release has in it; none of an object that has left the release.
    pub(super) declared: Option<BTreeSet<String>>,
}

/// What a service has in the cluster, and what its release says of it.
#[derive(Clone, Copy)]
pub(crate) struct Deployed<'a> {
    pub(crate) service: &'a DeployService,
    /// The objects of its release, as they were rendered.
    pub(crate) declared: &'a Rendering,
    /// What is there of them, and what an earlier release left.
    pub(crate) live: &'a Rendering,
}

/// Looks at every pod of services, and at their live objects, which were read before. However many there are, the API server
/// is asked once for each namespace.
pub(crate) async fn running(
    connection: &Connection,
    request: &DeployRequest,
    pins: &Pins,
    services: &[Deployed<'_>],
    live: &BTreeMap<ObjectKey, Object>,
) -> Result<Running, DeployError> {
    let workloads: Vec<Workload<'_>> =
        services.iter().flat_map(|deployed| workloads(request, *deployed, pins)).collect();
    let there: BTreeMap<&ObjectKey, &Object> =
        workloads.iter().filter_map(|workload| live.get_key_value(&workload.key)).collect();
    let mut pods: BTreeMap<&str, Vec<RunningPod>> = BTreeMap::new();
    for (key, workload) in there.iter().filter(|(key, _)| key.kind.kind != "Pod") {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        if !pods.contains_key(namespace) {
            let selection = match there.keys().filter(|other| other.namespace == key.namespace).count() {
                // Of one workload the namespace may have many other pods.
                1 => labels(workload),
                _ => String::new(),
            };
            let selection = Selection { labels: selection, fields: String::new() };
            let kinds = there.keys().filter(|other| other.namespace == key.namespace);
            let between: BTreeSet<Kind> = kinds.flat_map(|other| cluster::between(&other.kind)).collect();
            pods.insert(namespace, connection.running(namespace, &selection, &between).await?);
        }
    }
    let mut found = Running::default();
    for workload in &workloads {
        let namespace = workload.key.namespace.as_deref().unwrap_or_default();
        workload.look(live.get(&workload.key), pods.get(namespace).map_or(&[], Vec::as_slice), request, &mut found);
    }
    Ok(found)
}

/// Whether the pods of a kind run all the time, so that they are asked; others are proven by what is live of them.
pub(super) fn is_asked(id: &ObjectId) -> bool {
    matches!(
        (id.group.as_str(), id.kind.as_str()),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") | ("", "Pod" | "ReplicationController")
    )
}

/// Whether the pods of a kind run at times, and end.
fn ends(id: &ObjectId) -> bool {
    id.group == "batch"
}

/// The objects of a service that make pods: what the release says of them decides, and of what has left the release the live
/// object.
pub(super) fn workloads<'a>(
    request: &DeployRequest,
    Deployed { service, declared, live }: Deployed<'a>,
    pins: &'a Pins,
) -> Vec<Workload<'a>> {
    let left = live.objects.iter().filter(|(id, _)| !declared.objects.contains_key(*id));
    let workload = |(id, object): (&'a ObjectId, &'a Map<String, Value>)| {
        let images = locked_images(object, service, pins);
        let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let namespace = id.namespace.as_deref().unwrap_or(&request.namespace);
        let key = ObjectKey::namespaced(Kind::new(api_version, &id.kind), namespace, &id.name);
        let declared = declared.objects.get(id).map(names);
        let is_judged = !ends(id) && !images.is_empty();
        let has_pods = containers(object).next().is_some();
        has_pods.then_some(Workload { service: &service.name, id, key, images, is_judged, declared })
    };
    declared.objects.iter().chain(left).filter_map(workload).collect()
}

impl Workload<'_> {
    /// Judges what is there: the object, and the pods of its namespace.
    pub(super) fn look(
        &self,
        live: Option<&Object>,
        pods: &[RunningPod],
        request: &DeployRequest,
        found: &mut Running,
    ) {
        let Self { id, key, .. } = self;
        // That it is gone is a finding of its own.
        let Some(live) = live else { return };
        let is_own = |pod: &&RunningPod| pod.owner.as_ref().is_some_and(|owner| owner.is_same_object(key));
        let pods: Vec<RunningPod> = if is_asked(id) && id.kind == "Pod" {
            vec![RunningPod::of(live)]
        } else {
            pods.iter().filter(is_own).cloned().collect()
        };
        self.find_added(live, &pods, request, found);
        for pod in pods.iter().filter(|pod| id.kind == "CronJob" && is_alive(pod) && is_of_present(live, pod)) {
            // It may not have begun, or have ended.
            let wrong = self.judge(pod, request, &mut found.without_configuration).err().unwrap_or_default();
            let wrong = wrong.into_iter().filter(|(kind, _)| *kind == FindingKind::Image);
            found.findings.extend(wrong.map(|(kind, message)| {
                self.finding(kind, format!("{id}: pod `{}` {message}", escaped(&pod.key.name)))
            }));
        }
        if !self.is_judged {
            return;
        }
        // How many pods another kind wants, it alone knows; what it has is asked.
        if !is_asked(id) && !pods.iter().any(is_alive) {
            found.is_unasked = true;
            return;
        }
        let wanted = match id.kind.as_str() {
            "DaemonSet" => live.integer("/status/desiredNumberScheduled").unwrap_or_default(),
            "Pod" => 1,
            _ if !is_asked(id) => 1,
            _ => live.integer("/spec/replicas").unwrap_or(1),
        };
        if wanted == 0 {
            let message = format!("{id} wants no pod: nothing of it runs");
            found.findings.push(self.finding(FindingKind::NotRunning, message));
            return;
        }
        found.ending.extend(pods.iter().filter(|pod| pod.is_terminating && pod.phase == "Running").map(|pod| {
            EndingPod {
                service: self.service.clone(),
                pod: pod.key.name.clone(),
                images: pod.containers.iter().filter(|one| self.images.contains_key(&one.name)).map(shown).collect(),
                grace: pod.grace,
            }
        }));
        let mut proven = 0;
        for pod in pods.iter().filter(|pod| is_alive(pod)) {
            match self.judge(pod, request, &mut found.without_configuration) {
                Ok(containers) => {
                    found.containers.extend(containers);
                    found.addresses.insert(pod.uid.clone(), pod.addresses.clone());
                    proven += 1;
                }
                Err(wrong) => {
                    let wrong = wrong.into_iter().map(|(kind, message)| {
                        self.finding(kind, format!("{id}: pod `{}` {message}", escaped(&pod.key.name)))
                    });
                    found.findings.extend(wrong);
                }
            }
        }
        if proven < wanted {
            let (pods, run) = (if wanted == 1 { "pod" } else { "pods" }, if proven == 1 { "runs" } else { "run" });
            let stay = match what_becomes_of_pods(id, Some(live.value())) {
                risk @ (Risk::OnDelete | Risk::ReplicaSet | Risk::Partition) => format!(": {}", risk.text()),
                Risk::Deletion | Risk::Volume | Risk::Definition | Risk::Migration | Risk::Rollout => String::new(),
            };
            let message = format!("{id} wants {wanted} {pods}, and {proven} {run} what is locked{stay}");
            found.findings.push(self.finding(FindingKind::NotRunning, message));
        }
    }

    pub(super) fn finding(&self, kind: FindingKind, message: String) -> Finding {
        Finding { service: Some(self.service.clone()), path: None, kind, message }
    }

    /// The containers of a pod that run what is locked, or what is wrong with it.
    fn judge(
        &self,
        pod: &RunningPod,
        request: &DeployRequest,
        unasked: &mut BTreeSet<Digest>,
    ) -> Result<Vec<RunningContainer>, Vec<(FindingKind, String)>> {
        let (mut containers, mut wrong) = (Vec::new(), Vec::new());
        for (name, pin) in &self.images {
            let container = pod.containers.iter().find(|container| container.name == *name);
            let Some(container) = container.filter(|container| !container.image_id.is_empty()) else {
                wrong.push((FindingKind::NotRunning, format!("does not say what container `{}` runs", escaped(name))));
                continue;
            };
            if !container.is_running && !container.is_complete {
                wrong.push((FindingKind::NotRunning, format!("does not run container `{}`", escaped(name))));
                continue;
            }
            let platforms = request.platform_digests.get(&pin.digest);
            let configurations = request.configuration_digests.get(&pin.digest);
            match &container.digest {
                Some(digest)
                    if *digest == pin.digest
                        || platforms.is_some_and(|all| all.contains(digest))
                        || container.is_without_repository()
                            && configurations.is_some_and(|all| all.contains(digest)) =>
                {
                    containers.push(RunningContainer {
                        service: self.service.clone(),
                        object: self.id.to_string(),
                        pod: pod.key.name.clone(),
                        uid: pod.uid.clone(),
                        container: name.clone(),
                        digest: digest.clone(),
                        through: container.host().filter(|host| host != pin.repository.host()),
                    });
                }
                Some(_) | None => {
                    if container.is_without_repository() && !request.configuration_digests.contains_key(&pin.digest) {
                        unasked.insert(pin.digest.clone());
                    }
                    let (image_id, name) = (escaped(&container.image_id), escaped(name));
                    wrong.push((
                        FindingKind::Image,
                        format!("runs `{image_id}` in container `{name}`, locked is `{pin}`"),
                    ));
                }
            }
        }
        if wrong.is_empty() { Ok(containers) } else { Err(wrong) }
    }
}

fn shown(container: &cluster::RunningContainer) -> String {
    container.digest.as_ref().map_or_else(|| escaped(&container.image_id), ToString::to_string)
}

/// A pod that has not ended and is not ending: what a controller has replaced proves nothing.
pub(super) fn is_alive(pod: &RunningPod) -> bool {
    !pod.is_terminating && !matches!(pod.phase.as_str(), "Succeeded" | "Failed")
}

/// The labels that all pods of a workload have; what its selector asks beyond that, the pods' owner says.
fn labels(workload: &Object) -> String {
    let labels = workload.at("/spec/selector/matchLabels").and_then(Value::as_object).into_iter().flatten();
    let labels = labels.filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    labels.collect::<Vec<_>>().join(",")
}

pub(super) fn locked_images<'a>(
    object: &'a Map<String, Value>,
    service: &'a DeployService,
    pins: &'a Pins,
) -> BTreeMap<String, &'a ImagePin> {
    containers(object)
        .filter_map(|container| {
            let name = container.get("name")?.as_str()?.to_owned();
            let reference: ImageReference = container.get("image")?.as_str()?.parse().ok()?;
            match pins.choose(service.image.as_ref(), &reference) {
                Choice::Pin(pin) => Some((name, pin)),
                Choice::Ambiguous(_) | Choice::NotLocked => None,
            }
        })
        .collect()
}

/// The names of the containers of a pod, or of a workload's template.
pub(super) fn names(object: &Map<String, Value>) -> BTreeSet<String> {
    containers(object).filter_map(|container| Some(container.get("name")?.as_str()?.to_owned())).collect()
}

/// Whether a pod was begun after the last change of what makes it: those of a `CronJob` may be of what it was before.
pub(super) fn is_of_present(live: &Object, pod: &RunningPod) -> bool {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let entries = live.list("/metadata/managedFields").iter().filter(|entry| text(entry, "subresource").is_empty());
    let changed = entries.map(|entry| text(entry, "time")).max();
    let changed = changed.or_else(|| live.text("/metadata/creationTimestamp").map(str::to_owned));
    changed.is_some_and(|changed| pod.begun > changed)
}

/// The containers of a pod, or of a workload's template.
pub(crate) fn containers(object: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let spec = pod_spec(object);
    ["containers", "initContainers"].into_iter().filter_map(move |list| spec?.get(list)?.as_array()).flatten()
}

/// The specification of a pod, or of those that a workload makes.
pub(super) fn pod_spec(object: &Map<String, Value>) -> Option<&Value> {
    let object_spec = object.get("spec");
    let template = |path: &str| object_spec.and_then(|spec| spec.pointer(path));
    template("/template/spec").or_else(|| template("/jobTemplate/spec/template/spec")).or(object_spec)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    /// What the pod of a workload with one locked container is found to run.
    fn judged(image: &str, image_id: &str) -> Result<Vec<RunningContainer>, Vec<(FindingKind, String)>> {
        judged_with(&BTreeMap::new(), image, image_id, &mut BTreeSet::new())
    }

    /// The same where digests of configurations were asked for; names those that were not.
    fn judged_with(
        configurations: &BTreeMap<Digest, BTreeSet<Digest>>,
        image: &str,
        image_id: &str,
        unasked: &mut BTreeSet<Digest>,
    ) -> Result<Vec<RunningContainer>, Vec<(FindingKind, String)>> {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "cart-1", "namespace": "shop", "uid": "7" },
            "spec": { "containers": [{ "name": "app", "image": image }] },
            "status": { "phase": "Running", "containerStatuses": [
                { "name": "app", "imageID": image_id, "state": { "running": {} } }
            ] }
        });
        looked("Deployment", |workload, request, _| {
            let request = DeployRequest { configuration_digests: configurations.clone(), ..request.clone() };
            workload.judge(&RunningPod::of(&Object::new(pod).unwrap()), &request, unasked)
        })
    }

    /// Asks something of a workload with one locked container.
    fn looked<T>(kind: &str, ask: impl FnOnce(&Workload<'_>, &DeployRequest, &mut Running) -> T) -> T {
        let request = DeployRequest::of_test();
        let service = DeployService::new("shop-cart".parse().unwrap());
        let pin = ImagePin::new("registry.example/shop/cart".parse().unwrap(), digest('1').parse().unwrap());
        let id = ObjectId {
            group: "apps".to_owned(),
            kind: kind.to_owned(),
            namespace: Some("shop".to_owned()),
            name: "cart".to_owned(),
        };
        let key = ObjectKey::namespaced(Kind::new("apps/v1", kind), "shop", "cart");
        let images = BTreeMap::from([("app".to_owned(), &pin)]);
        let declared = images.keys().cloned().collect();
        let workload =
            Workload { service: &service.name, id: &id, key, images, is_judged: true, declared: Some(declared) };
        ask(&workload, &request, &mut Running::default())
    }

    #[test]
    fn d2_the_digest_that_the_node_reports_decides_wherever_it_was_pulled_from() {
        let (locked, other) = (digest('1'), digest('2'));
        let through_a_mirror = format!("mirror.example/proxy/shop/cart@{locked}");
        let proven = judged(&through_a_mirror, &through_a_mirror).unwrap();
        assert_eq!(proven[0].digest.as_str(), locked);
        // That it came from elsewhere is a note.
        assert_eq!(proven[0].through.as_deref(), Some("mirror.example"));
        let from_there = judged("x", &format!("registry.example/shop/cart@{locked}")).unwrap();
        assert_eq!(from_there[0].through, None);
        // An older Docker names a scheme.
        judged("registry.example/shop/cart:1", &format!("docker-pullable://registry.example/shop/cart@{locked}"))
            .unwrap();
        // The mirror has another image under the tag, or the report has no digest at all.
        for image_id in
            [format!("mirror.example/proxy/shop/cart@{other}"), "mirror.example/proxy/shop/cart:1".to_owned()]
        {
            let wrong = judged(&format!("registry.example/shop/cart:1@{locked}"), &image_id).unwrap_err();
            assert_eq!(wrong[0].0, FindingKind::Image);
            assert!(wrong[0].1.contains(&image_id) && wrong[0].1.contains(&locked), "{wrong:?}");
        }
        let unknown = judged(&format!("registry.example/shop/cart:1@{locked}"), "").unwrap_err();
        assert_eq!(unknown[0].0, FindingKind::NotRunning);
    }

    #[test]
    fn b46_a_digest_of_the_index_a_platform_or_the_configuration_of_the_same_image_proves_it_and_no_other() {
        let hashes = |digit| digest(digit).parse::<Digest>().unwrap();
        let asked = BTreeMap::from([(hashes('1'), BTreeSet::from([hashes('c')]))]);
        for (image_id, is_proven) in [
            (digest('1'), true),
            (digest('c'), true),
            (format!("docker://{}", digest('c')), true),
            // Of another image, and in the place of a manifest, where it hashes to another one.
            (digest('d'), false),
            (format!("registry.example/shop/cart@{}", digest('c')), false),
        ] {
            let mut unasked = BTreeSet::new();
            let judged = judged_with(&asked, "x", &image_id, &mut unasked);
            assert_eq!(judged.is_ok(), is_proven, "{image_id}: {judged:?}");
            assert_eq!(unasked, BTreeSet::new());
        }
        // What the configuration is, was not asked: not proven, and to be asked.
        let mut unasked = BTreeSet::new();
        judged_with(&BTreeMap::new(), "x", &digest('c'), &mut unasked).unwrap_err();
        assert_eq!(unasked, BTreeSet::from([hashes('1')]));
        let mut unasked = BTreeSet::new();
        judged_with(&BTreeMap::new(), "x", &format!("x.example/y@{}", digest('c')), &mut unasked).unwrap_err();
        assert_eq!(unasked, BTreeSet::new());
    }

    /// What is found of a workload of one pod, and how much it proves.
    fn found(kind: &str, restarts: &str, state: &Value, digit: char) -> (ProofLevel, Vec<String>) {
        let meta = |name: &str, owner: Value| json!({ "name": name, "namespace": "shop", "uid": name, "ownerReferences": owner });
        let live = json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": meta("cart", json!([])) });
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta("cart-1", json!([{ "apiVersion": "apps/v1", "kind": kind, "name": "cart", "controller": true }])),
            "spec": { "restartPolicy": restarts, "containers": [{ "name": "app", "image": "x" }] },
            "status": { "phase": "Running", "containerStatuses": [
                { "name": "app", "imageID": format!("x@{}", digest(digit)), "state": state }
            ] }
        });
        let pods = if state.is_null() { Vec::new() } else { vec![RunningPod::of(&Object::new(pod).unwrap())] };
        looked(kind, |workload, request, found| {
            workload.look(Some(&Object::new(live).unwrap()), &pods, request, found);
            (found.level(&found.findings), found.findings.iter().map(|finding| finding.message.clone()).collect())
        })
    }

    #[test]
    fn b46_every_kind_that_has_pods_is_asked_by_them() {
        let running = json!({ "running": {} });
        for kind in ["Deployment", "ReplicaSet", "Rollout"] {
            assert_eq!(found(kind, "Always", &running, '1'), (ProofLevel::Running, Vec::new()), "{kind}");
            // Its controller replaces no pods: they run what they ran.
            let (_, old) = found(kind, "Always", &running, '2');
            let stay = match kind {
                "ReplicaSet" => ": pods stay until they are deleted by hand (a `ReplicaSet` replaces none)",
                _ => "",
            };
            assert!(old[0].contains("locked is"), "{kind}: {old:?}");
            assert_eq!(old[1], format!("{kind}/cart wants 1 pod, and 0 run what is locked{stay}"));
        }
        assert_eq!(found("ReplicaSet", "Always", &Value::Null, '1').1.len(), 1);
        // What has none, and may want none, is not proven to run.
        assert_eq!(found("Rollout", "Always", &Value::Null, '1'), (ProofLevel::Stored, Vec::new()));
    }

    #[test]
    fn b46_a_container_that_does_not_run_proves_nothing_but_where_its_work_is_done() {
        let ended = |code: i64| json!({ "terminated": { "exitCode": code } });
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        for (restarts, state, is_proven) in [
            ("Always", waiting.clone(), false),
            ("Never", waiting, false),
            ("Always", ended(0), false),
            ("Never", ended(1), false),
            ("Never", ended(0), true),
        ] {
            let (_, findings) = found("Deployment", restarts, &state, '1');
            assert_eq!(findings.is_empty(), is_proven, "{restarts} {state}: {findings:?}");
            assert!(is_proven || findings[0].contains("does not run container `app`"), "{findings:?}");
        }
    }
}
