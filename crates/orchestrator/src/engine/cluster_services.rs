//! Probes of Services of an environment's namespace: through the API server, and only to pods that count.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{ClusterError, ClusterErrorKind, Connection, ContainerRole, Patience, RunningPod};
use config::{Environment, ServicePort};
use healthcheck::{CheckState, Dial, DialError, Dialling, Endpoint, Stream};
use lock_model::escaping::excerpt;
use lock_model::{CommitId, Digest, ImageReference, ImageRepository, Lock};

use crate::cluster_target::ClusterPlace;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::revision::Revision;

/// The namespace that Services are asked in.
#[derive(Debug)]
pub(super) struct ClusterServices {
    connection: Connection,
    namespace: String,
    locked: LockedPods,
}

/// What pods of locked services have to run, so that their answers count.
#[derive(Clone, Debug)]
struct LockedPods {
    /// The digests that each locked repository may run by.
    digests: BTreeMap<ImageRepository, BTreeSet<Digest>>,
    /// Why none of them counts.
    unproven: Option<String>,
}

impl ClusterServices {
    /// `None` where no probe of the environment asks a Service.
    pub(super) async fn open(
        context: &Context,
        revision: &Revision,
        environment: &Environment,
    ) -> Result<Option<Self>> {
        let health = &environment.health;
        let asked: Vec<_> = health.questions().filter(|(_, probe)| probe.service().is_some()).collect();
        let Some(longest) = asked.iter().map(|(_, probe)| probe.deadline).max() else { return Ok(None) };
        let place = ClusterPlace::of(context, &revision.config, environment).ok_or_else(|| {
            let message =
                format!("a probe of `{}` asks a Service, and the environment has no cluster", environment.name);
            Error::new(ErrorKind::Usage, message).hint("`kubeconfig` and `namespace` say which one")
        })?;
        let target = place.open(context).await?;
        // The deadline of each probe ends it earlier.
        let connection = target.connection().with_patience(Patience { request: longest, retries: longest });
        let namespace = place.namespace.namespace.to_string();
        let locked = LockedPods::read(context, revision, &connection, &namespace).await;
        Ok(Some(Self { connection, namespace, locked }))
    }

    /// What probes connect to.
    pub(super) fn endpoint(&self, service: &ServicePort) -> Endpoint {
        Endpoint::Dialled {
            name: service.to_string(),
            host: self.host(service),
            dial: std::sync::Arc::new(ServiceDial {
                connection: self.connection.clone(),
                namespace: self.namespace.clone(),
                service: service.clone(),
                locked: self.locked.clone(),
            }),
        }
    }

    /// The name by which the Service is called inside of its cluster.
    pub(super) fn host(&self, service: &ServicePort) -> String {
        format!("{}.{}.svc", service.name, self.namespace)
    }
}

impl LockedPods {
    /// By the lock of the release that was completed in the namespace last.
    async fn read(context: &Context, revision: &Revision, connection: &Connection, namespace: &str) -> Self {
        let newest = revision.lock(context).ok().flatten().map(|file| file.lock);
        let unproven =
            |reason: String| Self { digests: newest.as_ref().map(images).unwrap_or_default(), unproven: Some(reason) };
        let deployed = match connection.namespace_state(namespace).await {
            Ok(state) => state.and_then(|state| state.deployed),
            Err(error) => return unproven(format!("which release is deployed is not known: {error}")),
        };
        let Some(deployed) = deployed else { return unproven("no release was completed here yet".to_owned()) };
        let lock = deployed.commit.parse::<CommitId>().ok().and_then(|commit| {
            let file = Revision::load(context, &commit).ok()?.lock(context).ok()??;
            (file.lock.id().to_string() == deployed.lock).then_some(file.lock)
        });
        match lock {
            Some(lock) => Self { digests: images(&lock), unproven: None },
            None => unproven(format!("the lock of the deployed commit `{}` cannot be read", excerpt(&deployed.commit))),
        }
    }

    /// Why the answer of a pod does not count: it runs another image of a locked service.
    fn refuses(&self, pod: &RunningPod) -> Option<Refusal> {
        let mut main = pod.containers.iter().filter(|container| container.role == ContainerRole::Main);
        main.find_map(|container| {
            let reference: ImageReference = container.image.parse().ok()?;
            let digests = self.digests.get(&reference.repository)?;
            let name = excerpt(&pod.key.name);
            if let Some(reason) = &self.unproven {
                let reason = format!("pod `{name}` is of a locked service, and {reason}");
                return Some(Refusal { state: CheckState::Unknown, reason });
            }
            match &container.digest {
                Some(digest) if digests.contains(digest) => None,
                Some(_) | None => {
                    let reason =
                        format!("pod `{name}` does not run what is locked: `{}`", excerpt(&container.image_id));
                    Some(Refusal { state: CheckState::Unhealthy, reason })
                }
            }
        })
    }
}

/// The digests of each repository: of the index and of its manifests.
fn images(lock: &Lock) -> BTreeMap<ImageRepository, BTreeSet<Digest>> {
    let mut digests: BTreeMap<ImageRepository, BTreeSet<Digest>> = BTreeMap::new();
    for image in lock.services().values().filter_map(|service| service.content.image()) {
        let known = digests.entry(image.repository.clone()).or_default();
        known.insert(image.digest.clone());
        known.extend(image.platforms.values().cloned());
    }
    digests
}

#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    state: CheckState,
    reason: String,
}

/// Opens connections to one port of one Service.
#[derive(Debug)]
struct ServiceDial {
    connection: Connection,
    namespace: String,
    service: ServicePort,
    locked: LockedPods,
}

impl Dial for ServiceDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move {
            let (name, port) = (self.service.name.as_str(), self.service.port);
            let endpoints = self.connection.service_endpoints(&self.namespace, name, port).await;
            let endpoints = endpoints.map_err(|error| failed(&error, LOOK))?;
            let mut refusals = Vec::new();
            for endpoint in &endpoints {
                if let Some(refusal) = self.locked.refuses(&endpoint.pod) {
                    refusals.push(refusal);
                    continue;
                }
                let forwarded = self.connection.forward(&endpoint.pod.key, endpoint.port).await;
                let stream = forwarded.map_err(|error| failed(&error, FORWARD))?;
                return Ok(Box::new(stream) as Box<dyn Stream>);
            }
            Err(no_endpoint(&refusals))
        })
    }
}

/// The rule of a Role that lets its user forward.
const FORWARD: &str = "{ apiGroups: [\"\"], resources: [pods/portforward], verbs: [get, create] }";

/// The rules that let it find the pods of a Service.
const LOOK: &str = "{ apiGroups: [\"\"], resources: [services, pods], verbs: [get, list] } and { apiGroups: \
                    [discovery.k8s.io], resources: [endpointslices], verbs: [list] }";

fn no_endpoint(refusals: &[Refusal]) -> DialError {
    if refusals.is_empty() {
        return DialError { state: CheckState::Unhealthy, reason: "the Service has no ready endpoint".to_owned() };
    }
    let is_known = refusals.iter().all(|refusal| refusal.state == CheckState::Unhealthy);
    let reasons: Vec<&str> = refusals.iter().map(|refusal| refusal.reason.as_str()).collect();
    DialError {
        state: if is_known { CheckState::Unhealthy } else { CheckState::Unknown },
        reason: format!("no ready endpoint counts: {}", reasons.join("; ")),
    }
}

fn failed(error: &ClusterError, rule: &str) -> DialError {
    let (state, reason) = match error.kind() {
        ClusterErrorKind::Forbidden { .. } => {
            (CheckState::Unknown, format!("the user of the kubeconfig may not reach it; rule of a Role: {rule}"))
        }
        ClusterErrorKind::NotFound | ClusterErrorKind::NotAnObject { .. } => (CheckState::Unhealthy, error.to_string()),
        _ => (CheckState::Unknown, error.to_string()),
    };
    DialError { state, reason }
}
