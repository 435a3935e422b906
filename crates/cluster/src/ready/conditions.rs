use serde_json::Value;

use crate::object::Object;
use crate::ready::{Facts, Memory, RequiredCondition, Rules};
use crate::verdict::{Cause, FailureClass, Permanence, Verdict};

/// The condition that the configuration names for this kind.
pub(super) fn required(facts: &Facts<'_>, required: &RequiredCondition) -> Verdict {
    let object = facts.object;
    let RequiredCondition { condition, value } = required;
    let Some(found) = object.condition(condition) else {
        return Verdict::waiting(format!("has no condition {condition} yet"));
    };
    if found.observed_generation.zip(object.generation()).is_some_and(|(seen, generation)| seen < generation) {
        return Verdict::waiting(format!("condition {condition} speaks of an older generation"));
    }
    if found.status == value {
        return Verdict::ready(format!("condition {condition} is {value}"));
    }
    let message = format!("{} {}", found.reason, found.message);
    let cause = Cause::new(FailureClass::Condition, Permanence::Temporary, object.key(), message);
    Verdict::waiting_for(format!("condition {condition} is {} and has to be {value}", found.status), vec![cause])
}

pub(super) fn definition(facts: &Facts<'_>) -> Verdict {
    let object = facts.object;
    let failed = |reason: &str, message: &str| {
        let cause = Cause::new(FailureClass::Condition, Permanence::Permanent, object.key(), message);
        Verdict::failed(format!("is not established: {reason}"), vec![cause])
    };
    if let Some(names) = object.false_condition("NamesAccepted") {
        return failed(names.reason, names.message);
    }
    match object.condition("Established") {
        Some(established) if established.is_true() => Verdict::ready("is established"),
        Some(established) if established.is_false() && established.reason != "Installing" => {
            failed(established.reason, established.message)
        }
        Some(_) | None => Verdict::waiting("is not established yet"),
    }
}

/// Any other kind, by the conditions that controllers agree on.
pub(super) fn custom(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    let object = facts.object;
    if let Some(reconciling) = object.true_condition("Reconciling") {
        return Verdict::waiting(format!("is being reconciled: {}", reconciling.reason));
    }
    if let Some(stalled) = object.true_condition("Stalled") {
        let message = format!("{} {}", stalled.reason, stalled.message);
        let permanence = Permanence::After(rules.tolerance.settling);
        let cause = Cause::new(FailureClass::Condition, permanence, object.key(), message);
        return memory.judged("is stalled", vec![cause]);
    }
    let seen = object.observed_generation().is_some();
    for name in ["Ready", "Available"] {
        let Some(condition) = object.condition(name) else { continue };
        if condition.observed_generation.zip(object.generation()).is_some_and(|(seen, newest)| seen < newest) {
            return Verdict::waiting(format!("condition {name} speaks of an older generation"));
        }
        if condition.is_true() {
            return Verdict::ready(format!("condition {name} is True"));
        }
        let message = format!("{} {}", condition.reason, condition.message);
        let cause = Cause::new(FailureClass::Condition, Permanence::Temporary, object.key(), message);
        return Verdict::waiting_for(format!("condition {name} is {}", condition.status), vec![cause]);
    }
    if let Some(why) = unreadable(object) {
        return Verdict::undefined(why);
    }
    match (seen, object.list("/status/conditions").is_empty()) {
        (true, _) => Verdict::ready("its controller has seen it"),
        (false, true) => Verdict::undefined("has neither conditions nor an observed generation"),
        (false, false) => Verdict::undefined("has no condition Ready"),
    }
}

/// Why the conditions of an object say nothing although there are some.
fn unreadable(object: &Object) -> Option<&'static str> {
    if object.at("/status").is_some_and(|status| !status.is_object()) {
        return Some("its `status` is no map, so that nothing says whether it is ready");
    }
    if object.at("/status/conditions").is_some_and(|conditions| !conditions.is_array()) {
        return Some("its `status.conditions` is no list, so that nothing says whether it is ready");
    }
    let is_text = |condition: &Value, key: &str| condition.get(key).is_some_and(Value::is_string);
    let mut conditions = object.list("/status/conditions").iter();
    conditions
        .any(|condition| !is_text(condition, "type") || !is_text(condition, "status"))
        .then_some("one of its conditions has no `type` or no `status`, so that nothing says whether it is ready")
}
