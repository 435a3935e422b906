use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lock_model::{Digest, ImageReference};
use serde_json::Value;

use crate::connection::{Connection, Selection};
use crate::error::ClusterError;
use crate::object::{Kind, Object, ObjectKey};
use crate::ready;

/// One pod with the images that really run in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningPod {
    /// Which pod.
    pub key: ObjectKey,
    /// What tells it apart from an earlier pod of the same name.
    pub uid: String,
    /// The topmost object that made it: a Deployment rather than its replica set. Absent for a pod without a controller.
    pub owner: Option<ObjectKey>,
    /// The creation time of the Job or replica set that made it, else its own; RFC 3339, empty for a pod that is not stored.
    pub begun: String,
    /// `status.phase`, such as `Running`; empty where the kubelet has not said one.
    pub phase: String,
    /// Whether it takes requests.
    pub is_ready: bool,
    /// Whether it is being deleted.
    pub is_terminating: bool,
    /// How long it has from the request to end until it is killed; zero where it was not asked.
    pub grace: Duration,
    /// Its addresses, one for each family.
    pub addresses: BTreeSet<String>,
    /// All of them: init containers, sidecars and ephemeral ones too, also those that a webhook added.
    pub containers: Vec<RunningContainer>,
    /// The images that it mounts as volumes, as its specification names them, by the volume's name.
    pub image_volumes: BTreeMap<String, String>,
}

/// Where requests to a Service go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ReadyEndpoint {
    /// The UID of the pod behind it; none where it names none.
    pub pod: Option<String>,
    /// Its addresses, of one family.
    pub addresses: BTreeSet<String>,
}

impl ReadyEndpoint {
    /// Addresses behind which no pod is named.
    pub fn new(addresses: BTreeSet<String>) -> Self {
        Self { pod: None, addresses }
    }
}

/// One container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningContainer {
    /// `name` in the pod's specification.
    pub name: String,
    /// How it takes part in the pod.
    pub role: ContainerRole,
    /// The image as the pod's specification names it.
    pub image: String,
    /// The image as the container runtime reports it; empty before it was pulled.
    pub image_id: String,
    /// The digest in the report of the runtime: of an index, a manifest or a configuration. The text of a tag is none.
    pub digest: Option<Digest>,
    /// Whether it runs now.
    pub is_running: bool,
    /// Whether it did its work and is not started again: an init container that is no sidecar, or one of a pod that may end.
    pub is_complete: bool,
    /// Whether it is ready.
    pub is_ready: bool,
    /// How often it was started again.
    pub restarts: i64,
}

impl RunningContainer {
    /// Whether the report of the runtime has a digest and no repository, as of an image that was loaded without a registry.
    pub fn is_without_repository(&self) -> bool {
        self.digest.is_some() && !self.image_id.contains('@')
    }

    /// The registry host in the report of the runtime.
    pub fn host(&self) -> Option<String> {
        let image = self.image_id.rsplit("//").next().filter(|image| image.contains('@'))?;
        Some(image.parse::<ImageReference>().ok()?.repository.host().to_owned())
    }
}

lock_model::words! {
    /// How a container takes part in its pod.
    ContainerRole, "role of a container" {
        /// It runs as long as the pod.
        Main = "main",
        /// It ends before the others start, or is a sidecar.
        Init = "init",
        /// It was added to the running pod by hand.
        Ephemeral = "ephemeral",
    }
}

const ROLES: &[(ContainerRole, &str, &str)] = &[
    (ContainerRole::Init, "/spec/initContainers", "/status/initContainerStatuses"),
    (ContainerRole::Main, "/spec/containers", "/status/containerStatuses"),
    (ContainerRole::Ephemeral, "/spec/ephemeralContainers", "/status/ephemeralContainerStatuses"),
];

impl RunningPod {
    /// Reads a pod; its owner is the one that it names itself.
    pub fn of(pod: &Object) -> Self {
        Self {
            key: pod.key().clone(),
            uid: pod.uid().unwrap_or_default().to_owned(),
            owner: controller(pod),
            begun: pod.text(CREATED).unwrap_or_default().to_owned(),
            phase: pod.text("/status/phase").unwrap_or_default().to_owned(),
            is_ready: ready::is_ready(pod),
            is_terminating: pod.is_terminating(),
            grace: Duration::from_secs(
                pod.integer("/metadata/deletionGracePeriodSeconds")
                    .and_then(|it| it.try_into().ok())
                    .unwrap_or_default(),
            ),
            addresses: addresses(pod),
            containers: containers(pod),
            image_volumes: image_volumes(pod.list("/spec/volumes")),
        }
    }
}

const CREATED: &str = "/metadata/creationTimestamp";

fn addresses(pod: &Object) -> BTreeSet<String> {
    let all = pod.list("/status/podIPs").iter().filter_map(|one| one.get("ip")?.as_str());
    all.chain(pod.text("/status/podIP")).map(str::to_owned).collect()
}

/// The images that the volumes of a pod, or of a template, are made of, by the volume's name.
pub fn image_volumes(volumes: &[Value]) -> BTreeMap<String, String> {
    let text = |volume: &Value, path: &str| volume.pointer(path).and_then(Value::as_str).map(str::to_owned);
    volumes.iter().filter_map(|volume| Some((text(volume, "/name")?, text(volume, "/image/reference")?))).collect()
}

fn containers(pod: &Object) -> Vec<RunningContainer> {
    let mut containers = Vec::new();
    let may_end = pod.text("/spec/restartPolicy").is_some_and(|policy| policy != "Always");
    for (role, specs, statuses) in ROLES {
        for spec in pod.list(specs) {
            let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let name = text(spec, "name");
            let status = pod.list(statuses).iter().find(|status| text(status, "name") == name).unwrap_or(&Value::Null);
            let image_id = text(status, "imageID");
            containers.push(RunningContainer {
                name,
                role: *role,
                image: text(spec, "image"),
                digest: image_id.rsplit(['@', '/']).next().and_then(|digest| digest.parse().ok()),
                image_id,
                is_complete: match role {
                    ContainerRole::Init => spec.get("restartPolicy").and_then(Value::as_str) != Some("Always"),
                    ContainerRole::Main | ContainerRole::Ephemeral => may_end,
                } && status.pointer("/state/terminated/exitCode").and_then(Value::as_i64) == Some(0),
                is_running: status.pointer("/state/running").is_some_and(|running| !running.is_null()),
                is_ready: status.get("ready").and_then(Value::as_bool).unwrap_or_default(),
                restarts: status.get("restartCount").and_then(Value::as_i64).unwrap_or_default(),
            });
        }
    }
    containers
}

fn controller(object: &Object) -> Option<ObjectKey> {
    let owners = object.list("/metadata/ownerReferences");
    let owner = owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
    let text = |key: &str| owner.get(key).and_then(Value::as_str);
    let kind = Kind::new(text("apiVersion")?, text("kind")?);
    Some(ObjectKey { kind, namespace: object.key().namespace.clone(), name: text("name")?.to_owned() })
}

/// The kinds that lie between objects of a kind and their pods: of a custom resource both.
pub fn between(kind: &Kind) -> Vec<Kind> {
    let (set, job) = (Kind::new("apps/v1", "ReplicaSet"), Kind::new("batch/v1", "Job"));
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment") => vec![set],
        ("batch", "CronJob") => vec![job],
        ("" | "apps" | "batch", _) => Vec::new(),
        _ => vec![set, job],
    }
}

impl Connection {
    /// The pods of a namespace with what runs in them, each under its topmost owner as far as `between` goes: the kinds that lie
    /// between a workload and its pods, which are listed.
    pub async fn running(
        &self,
        namespace: &str,
        selection: &Selection,
        between: &BTreeSet<Kind>,
    ) -> Result<Vec<RunningPod>, ClusterError> {
        let pods = self.list(&Kind::new("v1", "Pod"), Some(namespace), selection).await?;
        let mut pods: Vec<_> = pods.iter().map(RunningPod::of).collect();
        let mut above = BTreeMap::new();
        for kind in between {
            if pods.iter().any(|pod| pod.owner.as_ref().is_some_and(|owner| owner.kind == *kind)) {
                let owners = self.list(kind, Some(namespace), &Selection::default()).await?;
                let top = |owner: &Object| {
                    Some((
                        owner.key().clone(),
                        (controller(owner)?, owner.text(CREATED).unwrap_or_default().to_owned()),
                    ))
                };
                above.extend(owners.iter().filter_map(top));
            }
        }
        for pod in &mut pods {
            if let Some((top, begun)) = pod.owner.as_ref().and_then(|owner| above.get(owner)) {
                (pod.owner, pod.begun) = (Some(top.clone()), begun.clone());
            }
        }
        Ok(pods)
    }

    /// What takes the requests of each Service of a namespace now, by its name: also what no selector put there.
    pub async fn ready_endpoints(
        &self,
        namespace: &str,
    ) -> Result<BTreeMap<String, BTreeSet<ReadyEndpoint>>, ClusterError> {
        let kind = Kind::new("discovery.k8s.io/v1", "EndpointSlice");
        let mut services = BTreeMap::<String, BTreeSet<ReadyEndpoint>>::new();
        for slice in self.list(&kind, Some(namespace), &Selection::default()).await? {
            let Some(service) = slice.label("kubernetes.io/service-name") else { continue };
            let ready = slice
                .list("/endpoints")
                .iter()
                .filter(|endpoint| endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true))
                .map(endpoint);
            services.entry(service.to_owned()).or_default().extend(ready);
        }
        Ok(services)
    }
}

fn endpoint(endpoint: &Value) -> ReadyEndpoint {
    let addresses = endpoint.get("addresses").and_then(Value::as_array).into_iter().flatten();
    let target = endpoint.get("targetRef").filter(|target| target.get("kind").and_then(Value::as_str) == Some("Pod"));
    ReadyEndpoint {
        pod: target.and_then(|target| target.get("uid")?.as_str().map(str::to_owned)),
        ..ReadyEndpoint::new(addresses.filter_map(Value::as_str).map(str::to_owned).collect())
    }
}
