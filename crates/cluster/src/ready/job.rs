use crate::ready::{Facts, Memory, Rules, pod, workload};
use crate::verdict::{Cause, FailureClass, Permanence, Verdict};

pub(super) fn job(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    let object = facts.object;
    if object.true_condition("Complete").is_some() {
        return Verdict::ready("has completed");
    }
    let pods: Vec<_> = facts.children_of("", "Pod").collect();
    // The second says that the first comes once the pods have ended.
    if let Some(failed) = object.true_condition("Failed").or_else(|| object.true_condition("FailureTarget")) {
        let message = format!("{} {}", failed.reason, failed.message);
        let mut causes = vec![Cause::new(FailureClass::Job, Permanence::Permanent, object.key(), message)];
        for pod in pods {
            causes.extend(pod::causes(pod, facts, &rules.tolerance, memory));
        }
        return Verdict::failed("has failed", causes);
    }
    if object.is_true("/spec/suspend") {
        return Verdict::undefined("is suspended (`spec.suspend`), so that nothing runs");
    }
    let count = |field: &str| object.integer(&format!("/status/{field}")).unwrap_or_default();
    let detail =
        format!("{} pods run, {} have failed, {} have succeeded", count("active"), count("failed"), count("succeeded"));
    let mut causes = if pods.is_empty() { workload::refused(object, facts, rules) } else { Vec::new() };
    for pod in pods.into_iter().filter(|pod| !pod.is_terminating()) {
        for mut cause in pod::causes(pod, facts, &rules.tolerance, memory) {
            // The Job counts crashes itself; it never sees a pod that does not start.
            if matches!(cause.class, FailureClass::Crash | FailureClass::OutOfMemory) {
                cause.permanence = Permanence::Temporary;
            }
            if cause.class != FailureClass::Probe {
                causes.push(cause);
            }
        }
    }
    memory.judged(&detail, causes)
}
