use crate::object::Object;
use crate::ready::pod::{self, PodState};
use crate::ready::{Facts, Memory, Rules};
use crate::verdict::{Cause, FailureClass, Permanence, Verdict};

const REVISION: &str = "deployment.kubernetes.io/revision";

/// How many pods have to be doomed before the set is.
#[derive(Clone, Copy)]
enum Doom {
    /// All of them: where one is ready, the others are disturbed and can recover.
    All,
    /// All that are not ready: the controller replaces one after another and does not go on.
    NotReady,
}

pub(super) fn deployment(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    let object = facts.object;
    if object.is_true("/spec/paused") {
        let message = "`spec.paused` is set, so that nothing is rolled out";
        return Verdict::failed(
            message,
            vec![Cause::new(FailureClass::Config, Permanence::Permanent, object.key(), message)],
        );
    }
    let revision = object.annotation(REVISION);
    let newest = facts
        .children_of("apps", "ReplicaSet")
        .find(|set| set.controller() == object.uid() && revision.is_some() && set.annotation(REVISION) == revision);
    let mut causes = refused(object, facts, rules);
    let mut pods = Vec::new();
    if let Some(newest) = newest {
        causes.extend(refused(newest, facts, rules).into_iter().take(usize::from(causes.is_empty())));
        pods = states(facts, rules, memory, |pod| pod.controller() == newest.uid());
    }
    let progress = deployment_progress(object);
    // A controller that goes back to a set that is there leaves the condition as it was for a while.
    let is_of_newest = |message: &str| newest.is_none_or(|newest| speaks_of(message, &newest.key().name));
    let stalled = object.false_condition("Progressing").filter(|stalled| is_of_newest(stalled.message));
    if let (Some(stalled), Progress::Missing(detail)) = (stalled, &progress) {
        let mut causes: Vec<_> = causes.into_iter().chain(pods.into_iter().flat_map(|pod| pod.causes)).collect();
        if causes.is_empty() {
            causes.push(Cause::new(FailureClass::Condition, Permanence::Permanent, object.key(), stalled.message));
        }
        return Verdict::failed(format!("{}: {detail}", stalled.reason), causes);
    }
    decide(progress, causes, pods, Doom::All, memory)
}

/// Whether a message is about a `ReplicaSet` of this name, or about none: `ReplicaSet "web-5579d98f46" has timed out progressing.`
fn speaks_of(message: &str, set: &str) -> bool {
    let named = message.split_once("ReplicaSet \"").and_then(|(_, rest)| rest.split_once('"'));
    named.is_none_or(|(named, _)| named == set)
}

fn deployment_progress(object: &Object) -> Progress {
    let wanted = object.integer("/spec/replicas").unwrap_or(1);
    let count = |field: &str| object.integer(&format!("/status/{field}")).unwrap_or_default();
    let (updated, available, ready) = (count("updatedReplicas"), count("availableReplicas"), count("readyReplicas"));
    let total = count("replicas");
    if updated < wanted {
        Progress::Missing(format!("{updated} of {wanted} pods are new"))
    } else if total > updated {
        Progress::Missing(format!("old pods that are left: {}", total - updated))
    } else if available < updated {
        Progress::Missing(format!("{available} of {updated} new pods are available"))
    } else if ready < wanted {
        Progress::Missing(format!("{ready} of {wanted} pods are ready"))
    } else {
        done(wanted)
    }
}

pub(super) fn replica_set(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    let object = facts.object;
    let wanted = object.integer("/spec/replicas").unwrap_or(1);
    let available = object.integer("/status/availableReplicas").unwrap_or_default();
    let progress = if available < wanted {
        Progress::Missing(format!("{available} of {wanted} pods are available"))
    } else {
        done(wanted)
    };
    let causes = refused(object, facts, rules);
    let pods = states(facts, rules, memory, |_| true);
    decide(progress, causes, pods, Doom::All, memory)
}

pub(super) fn stateful_set(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    let object = facts.object;
    if object.text("/spec/updateStrategy/type") == Some("OnDelete") {
        return Verdict::undefined("its pods are replaced only when they are deleted by hand (`OnDelete`)");
    }
    let wanted = object.integer("/spec/replicas").unwrap_or(1);
    let partition = object.integer("/spec/updateStrategy/rollingUpdate/partition").unwrap_or_default();
    let count = |field: &str| object.integer(&format!("/status/{field}")).unwrap_or_default();
    let revision = object.text("/status/updateRevision");
    let is_current = revision.is_some() && object.text("/status/currentRevision") == revision;
    // In the first rollout, and after it, every pod has the newest revision, and older servers do not count them.
    let updated =
        if is_current { count("updatedReplicas").max(count("currentReplicas")) } else { count("updatedReplicas") };
    let to_update = (wanted - partition).max(0);
    let available = object.integer("/status/availableReplicas").unwrap_or_else(|| count("readyReplicas"));
    let total = count("replicas");
    let progress = if updated < to_update {
        Progress::Missing(format!("{updated} of {to_update} pods are new"))
    } else if available < wanted {
        Progress::Missing(format!("{available} of {wanted} pods are available"))
    } else if total > wanted {
        Progress::Missing(format!("pods too many: {}", total - wanted))
    } else if partition == 0 && !is_current {
        Progress::Missing("the new revision is not current yet".to_owned())
    } else {
        done(wanted)
    };
    let causes = refused(object, facts, rules);
    let is_new = |pod: &Object| revision.is_some() && pod.label("controller-revision-hash") == revision;
    let pods = states(facts, rules, memory, is_new);
    if object.text("/spec/podManagementPolicy") == Some("Parallel") {
        return decide(progress, causes, pods, Doom::All, memory);
    }
    let is_old = |pod: &Object| revision.is_some() && pod.label("controller-revision-hash") != revision;
    let stuck = stuck(facts, rules, memory, is_old);
    match progress {
        Progress::Missing(detail) if stuck.iter().any(Cause::is_permanent) => {
            Verdict::failed(detail, stuck.into_iter().chain(causes).collect())
        }
        progress => decide(progress, stuck.into_iter().chain(causes).collect(), pods, Doom::NotReady, memory),
    }
}

/// Pods of an earlier revision that are not ready: a controller that replaces one after the other waits for them first.
fn stuck(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory, is_old: impl Fn(&Object) -> bool) -> Vec<Cause> {
    let old: Vec<_> = facts.children_of("", "Pod").filter(|pod| !pod.is_terminating() && is_old(pod)).collect();
    let cause = |pod: &Object| {
        let state = pod::state(pod, facts, rules, memory);
        let permanence = if state.is_doomed() { Permanence::Permanent } else { Permanence::Temporary };
        let name = lock_model::escaping::escape_short(&pod.key().name, 253);
        let message = format!(
            "is of an earlier revision and not ready: its controller replaces no pod before that (`OrderedReady`); `kubectl \
             delete pod {name}` lets it go on"
        );
        (!state.is_ready).then(|| Cause::new(FailureClass::Condition, permanence, pod.key(), message))
    };
    old.into_iter().filter_map(cause).collect()
}

pub(super) fn daemon_set(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    let object = facts.object;
    if object.text("/spec/updateStrategy/type") == Some("OnDelete") {
        return Verdict::undefined("its pods are replaced only when they are deleted by hand (`OnDelete`)");
    }
    let count = |field: &str| object.integer(&format!("/status/{field}")).unwrap_or_default();
    let wanted = count("desiredNumberScheduled");
    let (updated, available) = (count("updatedNumberScheduled"), count("numberAvailable"));
    let progress = if updated < wanted {
        Progress::Missing(format!("{updated} of {wanted} pods are new"))
    } else if available < wanted {
        Progress::Missing(format!("{available} of {wanted} pods are available"))
    } else if wanted == 0 {
        Progress::Done("no node is to run it".to_owned())
    } else {
        done(wanted)
    };
    let causes = refused(object, facts, rules);
    // The controller counts templates in this annotation and writes the number on each pod.
    let template = object.annotation("deprecated.daemonset.template.generation");
    let is_new = |pod: &Object| template.is_none() || pod.label("pod-template-generation") == template;
    let pods = states(facts, rules, memory, is_new);
    decide(progress, causes, pods, Doom::NotReady, memory)
}

enum Progress {
    Done(String),
    Missing(String),
}

fn done(wanted: i64) -> Progress {
    Progress::Done(if wanted == 0 { "scaled to 0".to_owned() } else { format!("{wanted} pods are ready") })
}

fn states(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory, is_new: impl Fn(&Object) -> bool) -> Vec<PodState> {
    let pods: Vec<_> = facts.children_of("", "Pod").filter(|pod| !pod.is_terminating() && is_new(pod)).collect();
    pods.into_iter().map(|pod| pod::state(pod, facts, rules, memory)).collect()
}

/// Pods that the API server does not let the controller make.
pub(super) fn refused(object: &Object, facts: &Facts<'_>, rules: &Rules) -> Vec<Cause> {
    let condition = object.true_condition("ReplicaFailure").map(|failure| failure.message);
    let warned = facts
        .warnings
        .iter()
        .find(|warning| Some(warning.uid.as_str()) == object.uid() && warning.reason == "FailedCreate");
    // An event stays after its cause is gone; the condition does not, where the kind has one.
    let has_condition = object.key().kind.is("apps", "ReplicaSet") || object.key().kind.is("apps", "Deployment");
    let said = condition.or_else(|| warned.filter(|_| !has_condition).map(|warning| warning.message.as_str()));
    let Some(message) = said else { return Vec::new() };
    let terminating = facts.children_of("", "Pod").any(Object::is_terminating);
    let is_quota = message.contains("exceeded quota") || message.contains("failed quota");
    let (class, permanence, message) = match (is_quota, terminating) {
        // They hold their part until they are gone, and the controller tries again only after a while.
        (true, true) => {
            (FailureClass::Quota, Permanence::Temporary, format!("backing off while pods are ending: {message}"))
        }
        (true, false) => {
            (FailureClass::Quota, Permanence::After(rules.tolerance.room), format!("backing off: {message}"))
        }
        (false, _) => (FailureClass::Config, Permanence::After(rules.tolerance.settling), message.to_owned()),
    };
    vec![Cause::new(class, permanence, object.key(), message)]
}

fn decide(progress: Progress, refused: Vec<Cause>, pods: Vec<PodState>, doom: Doom, memory: &mut Memory) -> Verdict {
    let detail = match progress {
        Progress::Done(detail) => return Verdict::ready(detail),
        Progress::Missing(detail) => detail,
    };
    let refused: Vec<_> = refused.into_iter().map(|cause| memory.noted(cause)).collect();
    let none_is_ready = pods.iter().all(|pod| !pod.is_ready);
    let judged = match doom {
        Doom::All => none_is_ready,
        Doom::NotReady => true,
    };
    let mut unready = pods.iter().filter(|pod| !pod.is_ready).peekable();
    let is_doomed = judged && unready.peek().is_some() && unready.all(PodState::is_doomed);
    // Without a single pod, what keeps them from being made decides. Beside pods it may be an old story.
    let is_refused = refused.iter().any(Cause::is_permanent) && pods.is_empty();
    let causes: Vec<_> = refused.into_iter().chain(pods.into_iter().flat_map(|pod| pod.causes)).collect();
    if is_doomed || is_refused { Verdict::failed(detail, causes) } else { Verdict::waiting_for(detail, causes) }
}
