//! When an object is ready, and why it is not: functions of objects, without a server and without a clock.
//!
//! What the rules rest on: a controller that has not seen the newest generation says nothing about it; a rollout is done
//! when only new pods serve; a rollout has failed when no pod of the new set can become ready by itself. A pod that was
//! evicted, an image that could not be pulled this time, and the first crashes are disturbances: they end no wait.

mod conditions;
mod job;
mod memory;
mod network;
mod pod;
mod pull;
mod volume;
mod workload;

use std::collections::BTreeMap;
use std::time::Duration;

pub use memory::Memory;
pub(crate) use pod::is_ready;

use crate::object::{Kind, Object, ObjectKey};
use crate::verdict::{Cause, FailureClass, Permanence, Verdict};

/// An object with everything that its verdict rests on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// The object as it is stored now.
    pub object: &'a Object,
    /// What it owns, directly or not: replica sets, Jobs, pods; for a Service its endpoint slices.
    pub children: &'a [&'a Object],
    /// Warnings that the cluster recorded for the object or its children.
    pub warnings: &'a [&'a Warning],
    /// The generation that was applied: an older one says nothing. Absent where it does not matter.
    pub generation: Option<i64>,
    /// When the storage class of a claim binds; absent where it could not be found out.
    pub binding: Option<VolumeBinding>,
    /// Whether the pods of a Service are among what is waited for.
    pub has_backend: bool,
}

impl<'a> Facts<'a> {
    /// An object alone.
    pub fn of(object: &'a Object) -> Self {
        Self { object, children: &[], warnings: &[], generation: None, binding: None, has_backend: false }
    }

    /// The children of a kind.
    fn children_of(&self, group: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Object> {
        self.children.iter().copied().filter(move |child| child.key().kind.is(group, kind))
    }

    fn warnings_of(&self, object: &'a Object) -> impl Iterator<Item = &'a Warning> {
        self.warnings.iter().copied().filter(|warning| Some(warning.uid.as_str()) == object.uid())
    }
}

/// An event of the type `Warning`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The UID of the object that it speaks of.
    pub uid: String,
    /// `reason` of the event, such as `FailedCreate`.
    pub reason: String,
    /// `message` of the event: foreign text, not escaped.
    pub message: String,
}

/// When a storage class makes a volume for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeBinding {
    /// As soon as the claim exists.
    Immediate,
    /// Only for a pod that uses the claim, so that waiting for it before the pod would never end.
    WaitForFirstConsumer,
}

/// What is asked of kinds and pods beyond what Kubernetes defines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// For a group and kind, the condition that makes it ready.
    pub required: BTreeMap<(String, String), RequiredCondition>,
    /// How long disturbances are tolerated.
    pub tolerance: Tolerance,
}

/// A condition that an object has to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredCondition {
    /// Its type, as in `Synced`.
    pub condition: String,
    /// Its status, as in `True`.
    pub value: String,
}

/// How much is tolerated before a pod counts as doomed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// A container that was restarted this often and ended again does not recover.
    pub restarts: i64,
    /// For what the cluster may not have seen yet, such as a Secret that was just written.
    pub settling: Duration,
    /// For a pod that no node takes, and for one that no quota lets in: others may go.
    pub room: Duration,
    /// How long nothing at all may change about the objects of a wait; `None`: until its deadline.
    pub silence: Option<Duration>,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { restarts: 2, settling: Duration::from_secs(20), room: Duration::from_secs(90), silence: None }
    }
}

/// Whether an object is a Job that Kubernetes deletes some time after its end.
pub(crate) fn removes_itself(object: &Object) -> bool {
    let Kind { group, kind, .. } = &object.key().kind;
    group == "batch" && kind == "Job" && object.integer("/spec/ttlSecondsAfterFinished").is_some()
}

/// The verdict on an object that is not there, perhaps a Job that Kubernetes deletes after its end.
pub(crate) fn absent(key: &ObjectKey, is_ending_job: bool, rules: &Rules, memory: &mut Memory) -> Verdict {
    memory.begin();
    let permanence = Permanence::After(rules.tolerance.settling);
    let message = if is_ending_job {
        "is gone (`ttlSecondsAfterFinished`), and nothing says that it has completed: it was deleted before it was looked at, and \
         no event tells its end"
    } else {
        "does not exist"
    };
    let cause = Cause::new(FailureClass::Deleted, permanence, key, message);
    let verdict = memory.judged("does not exist", vec![cause]);
    memory.forget_the_rest();
    verdict
}

/// Whether an object is ready. `memory` is the object's own, kept from one call to the next.
pub fn judge(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    memory.begin();
    let verdict = judge_now(facts, rules, memory);
    memory.forget_the_rest();
    verdict
}

fn judge_now(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    let object = facts.object;
    if object.is_terminating() {
        let permanence = Permanence::After(rules.tolerance.settling);
        let cause = Cause::new(FailureClass::Deleted, permanence, object.key(), "is being deleted");
        return memory.judged("is being deleted", vec![cause]);
    }
    if let Some(behind) = behind(facts) {
        return behind;
    }
    let kind = &object.key().kind;
    if let Some(required) = rules.required.get(&(kind.group.clone(), kind.kind.clone())) {
        return conditions::required(facts, required);
    }
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment") => workload::deployment(facts, rules, memory),
        ("apps", "ReplicaSet") => workload::replica_set(facts, rules, memory),
        ("apps", "StatefulSet") => workload::stateful_set(facts, rules, memory),
        ("apps", "DaemonSet") => workload::daemon_set(facts, rules, memory),
        ("batch", "Job") => job::job(facts, rules, memory),
        ("batch", "CronJob") => Verdict::ready("runs by its schedule"),
        ("", "Pod") => pod::bare(facts, rules, memory),
        ("", "PersistentVolumeClaim") => volume::claim(facts, memory),
        ("", "Service") => network::service(facts),
        ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute") => network::route(facts, rules, memory),
        ("", "Namespace") => match object.text("/status/phase") {
            Some("Active") => Verdict::ready("active"),
            _ => Verdict::waiting("is not active yet"),
        },
        ("apiextensions.k8s.io", "CustomResourceDefinition") => conditions::definition(facts),
        (group, _) if has_no_readiness(group) => Verdict::ready("exists"),
        _ => conditions::custom(facts, rules, memory),
    }
}

/// Groups of Kubernetes itself whose other kinds are ready once they are stored.
fn has_no_readiness(group: &str) -> bool {
    matches!(group, "" | "apps" | "autoscaling" | "batch" | "policy" | "rbac.authorization.k8s.io")
        || matches!(
            group,
            "networking.k8s.io"
                | "storage.k8s.io"
                | "scheduling.k8s.io"
                | "admissionregistration.k8s.io"
                | "discovery.k8s.io"
                | "coordination.k8s.io"
                | "node.k8s.io"
        )
}

/// A verdict for an object whose controller has not seen what was applied.
fn behind(facts: &Facts<'_>) -> Option<Verdict> {
    let object = facts.object;
    let generation = object.generation()?;
    if let Some(applied) = facts.generation.filter(|applied| generation < *applied) {
        return Some(Verdict::waiting(format!("generation {applied} was applied, and {generation} is what is seen")));
    }
    let counts = matches!(
        (object.key().kind.group.as_str(), object.key().kind.kind.as_str()),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
    );
    match object.observed_generation() {
        Some(observed) if observed < generation => {
            Some(Verdict::waiting(format!("the controller has seen generation {observed} of {generation}")))
        }
        None if counts => Some(Verdict::waiting("the controller has not seen it yet")),
        Some(_) | None => None,
    }
}
