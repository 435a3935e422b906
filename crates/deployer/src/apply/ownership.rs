//! Whose the fields of a live object are: `metadata.managedFields`, which the API server keeps.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cluster::{FIELD_MANAGER, FieldConflict, Object};
use serde_json::{Map, Value};

use super::ConflictRule;
use crate::noise::Owners;

/// Programs that wrote whole manifests from the client's side. What they own is moved to us once: no such program would
/// ever give a field up that a later manifest lacks.
const CLIENT_SIDE: [&str; 5] =
    ["kubectl-client-side-apply", "kubectl-create", "kubectl-replace", "helm", "before-first-apply"];
/// What `kubectl apply` keeps of the manifest, and nothing reads afterwards.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A live object whose fields are to be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    /// Who owned them.
    pub(super) managers: BTreeSet<String>,
    /// The list of field managers as it will be, ours first.
    managed_fields: Vec<Value>,
    /// Fields that the manifest lacks, and that go with the next write.
    pub(super) removed: Vec<String>,
    /// Fields that the manifest lacks, and that stay: another manager has them too.
    pub(super) kept: Vec<(String, String)>,
    /// Fields that the manifest lacks, and that stay since the API server does not let them go.
    pub(super) fixed: Vec<String>,
    /// All fields that are moved.
    fields: Value,
}

impl Move {
    /// Fields that should have gone with the write, and that another program has. What the API server itself fills in, or
    /// makes of a field of another name, belongs to none.
    pub(super) fn remaining(&self, written: &Object, manifest: &Value) -> Vec<String> {
        let entries = written.list("/metadata/managedFields").iter();
        let others: Vec<&Value> = entries.filter(|entry| text(entry, "manager") != FIELD_MANAGER).collect();
        let stale = self.stale(written, manifest).into_iter();
        let stale = stale.filter(|steps| others.iter().any(|entry| owns(entry, steps)));
        stale.map(|steps| path(&steps)).filter(|path| self.removed.contains(path)).collect()
    }

    /// Leaves those fields to none that the API server makes of the manifest alone: they do not go.
    pub(super) fn without_filled_in(&mut self, made: &Object, manifest: &Value) {
        for steps in self.stale(made, manifest) {
            self.leave(&steps);
        }
    }

    /// Leaves all that would go to none, since the API server refuses the object without it.
    pub(super) fn without_fixed(&mut self, live: &Object, manifest: &Value) {
        self.fixed.clone_from(&self.removed);
        for steps in self.stale(live, manifest) {
            self.leave(&steps);
        }
    }

    /// What has no owner stays as it is. A field that another manager has too is no question of ours.
    fn leave(&mut self, steps: &[String]) {
        let place = path(steps);
        if let Some(index) = self.removed.iter().position(|removed| *removed == place) {
            self.removed.remove(index);
            if let Some(ours) = self.managed_fields.first_mut().and_then(|entry| entry.get_mut("fieldsV1")) {
                take_out(ours, steps);
            }
        }
    }

    pub(super) fn managed_fields(&self) -> &[Value] {
        &self.managed_fields
    }

    /// The moved fields that an object has and the manifest lacks.
    fn stale(&self, object: &Object, manifest: &Value) -> Vec<Vec<String>> {
        let mut stale = Vec::new();
        stale_leaves(&self.fields, Some(object.value()), Some(manifest), &mut Vec::new(), &mut stale);
        stale
    }
}

/// What to move of an object; `None` where nothing is owned from a client's side.
pub(super) fn to_move(live: &Object, manifest: &Value) -> Option<Move> {
    let entries = live.list("/metadata/managedFields");
    let (moved, others): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(|entry| is_client_side(entry));
    let newest = moved.last()?;
    let managers = moved.iter().map(|entry| text(entry, "manager").to_owned()).collect();
    let mut fields = Value::Object(Map::new());
    for entry in &moved {
        unite(&mut fields, entry.get("fieldsV1").unwrap_or(&Value::Null));
    }
    let mut stale = Vec::new();
    stale_leaves(&fields, Some(live.value()), Some(manifest), &mut Vec::new(), &mut stale);
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    for steps in stale {
        let owner = others.iter().find(|entry| !is_ours(entry) && owns(entry, &steps));
        match owner {
            Some(owner) => kept.push((path(&steps), text(owner, "manager").to_owned())),
            None => removed.push(path(&steps)),
        }
    }
    let moved = fields.clone();
    let ours = others.iter().find(|entry| is_ours(entry));
    if let Some(ours) = ours {
        unite(&mut fields, ours.get("fieldsV1").unwrap_or(&Value::Null));
    }
    let mut entry = (*ours.unwrap_or(newest)).clone();
    entry["manager"] = FIELD_MANAGER.into();
    entry["operation"] = "Apply".into();
    entry["fieldsV1"] = fields;
    let others = others.into_iter().filter(|entry| !is_ours(entry)).cloned();
    let managed_fields = std::iter::once(entry).chain(others).collect();
    Some(Move { managers, managed_fields, removed, kept, fixed: Vec::new(), fields: moved })
}

/// Whether we have applied the object before.
pub(super) fn is_applied_by_us(live: &Object) -> bool {
    live.list("/metadata/managedFields").iter().any(is_ours)
}

/// The fields that we have applied.
pub(super) fn our_fields(live: &Object) -> Option<&Value> {
    live.list("/metadata/managedFields").iter().find(|entry| is_ours(entry))?.get("fieldsV1")
}

/// Whose the fields of a live object are; what a client-side program wrote becomes ours.
pub(super) fn owners(live: &Object) -> Owners<'_> {
    let others = live.list("/metadata/managedFields").iter().filter(|entry| !is_ours(entry) && !is_client_side(entry));
    Owners::new(our_fields(live), others.filter_map(|entry| entry.get("fieldsV1")).collect())
}

/// Whether the live object has a field that was applied in our name and that a manifest lacks: an apply takes it away.
pub(super) fn applied_more(live: &Object, manifest: &Value) -> bool {
    let mut stale = Vec::new();
    let fields = our_fields(live).unwrap_or(&Value::Null);
    stale_leaves(fields, Some(live.value()), Some(manifest), &mut Vec::new(), &mut stale);
    !stale.is_empty()
}

/// Whether another program alone owns a field that the manifest has: its value is not kept right by us.
pub(super) fn has_lost_fields(live: &Object, manifest: &Value) -> bool {
    let managed = live.list("/metadata/managedFields");
    let Some(ours) = managed.iter().find(|entry| is_ours(entry)) else { return true };
    let others = managed.iter().filter(|entry| !is_ours(entry) && text(entry, "subresource").is_empty());
    let fields = others.filter_map(|entry| entry.get("fieldsV1"));
    fields.into_iter().any(|fields| is_lost(fields, manifest, &mut Vec::new(), ours))
}

fn is_lost(fields: &Value, manifest: &Value, steps: &mut Vec<String>, ours: &Value) -> bool {
    fields.as_object().into_iter().flatten().filter(|(step, _)| step.as_str() != ".").any(|(step, below)| {
        let Some(manifest) = at(manifest, step) else { return false };
        let is_leaf = below.as_object().is_none_or(|below| below.keys().all(|step| step == "."));
        steps.push(step.clone());
        let lost = if is_leaf { !owns(ours, steps) } else { is_lost(below, manifest, steps, ours) };
        steps.pop();
        lost
    })
}

/// Whether we alone own a top-level field of the specification.
pub(super) fn is_our_spec_field(live: &Object, field: &str) -> bool {
    let steps = ["f:spec".to_owned(), format!("f:{field}")];
    let mut owners = live.list("/metadata/managedFields").iter().filter(|entry| owns(entry, &steps)).peekable();
    owners.peek().is_some() && owners.all(|entry| is_ours(entry) || is_client_side(entry))
}

/// The fields that we own, alone or with others, as the API server names them in a conflict.
fn our_paths(live: &Object) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    own_leaves(our_fields(live).unwrap_or(&Value::Null), &mut Vec::new(), &mut paths);
    paths
}

fn own_leaves(fields: &Value, steps: &mut Vec<String>, paths: &mut BTreeSet<String>) {
    let mut is_leaf = true;
    for (step, inner) in fields.as_object().into_iter().flatten().filter(|(step, _)| step.as_str() != ".") {
        is_leaf = false;
        steps.push(step.clone());
        own_leaves(inner, steps, paths);
        steps.pop();
    }
    if is_leaf {
        paths.insert(path(steps));
    }
}

/// Which conflicts the rules take over, and which refuse the plan. What is moved is no conflict. A field that orchestrator
/// owns together with another manager has orchestrator's value, so that taking it over undoes no edit.
pub(super) fn judge_conflicts(
    conflicts: &[FieldConflict],
    rule: &ConflictRule,
    moved: Option<&Move>,
    live: Option<&Object>,
) -> (Vec<FieldConflict>, Vec<FieldConflict>) {
    let ours = live.map(our_paths).unwrap_or_default();
    // Who applies as we do means to go on with it.
    let applies = |manager: &str| {
        let managed = live.map(|live| live.list("/metadata/managedFields")).unwrap_or_default();
        managed.iter().any(|entry| text(entry, "manager") == manager && text(entry, "operation") == "Apply")
    };
    let is_shared =
        |conflict: &FieldConflict| ours.contains(&conflict.field.replace('"', "")) && !applies(&conflict.manager);
    let is_moved = |conflict: &FieldConflict| {
        conflict.subresource.is_none() && moved.is_some_and(|moved| moved.managers.contains(&conflict.manager))
    };
    // `kubectl scale` is how people stop a service, and the next deployment is meant to start it. An autoscaler that is there
    // keeps the number, which is not sent then; what one has left that is gone belongs to nothing.
    let is_scaled = |conflict: &FieldConflict| {
        ["kubectl", "kube-controller-manager"].contains(&conflict.manager.as_str())
            && conflict.subresource.as_deref() == Some("scale")
            && conflict.field == ".spec.replicas"
    };
    let conflicts = conflicts.iter().filter(|conflict| !is_moved(conflict)).cloned();
    conflicts.partition(|conflict| {
        rule.take_all || is_scaled(conflict) || is_shared(conflict) || rule.take.contains(&conflict.manager)
    })
}

fn is_client_side(entry: &Value) -> bool {
    CLIENT_SIDE.contains(&text(entry, "manager"))
        && text(entry, "operation") == "Update"
        && text(entry, "subresource").is_empty()
}

fn is_ours(entry: &Value) -> bool {
    text(entry, "manager") == FIELD_MANAGER
        && text(entry, "operation") == "Apply"
        && text(entry, "subresource").is_empty()
}

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Adds the fields of one set to another.
fn unite(into: &mut Value, more: &Value) {
    let (Some(into), Some(more)) = (into.as_object_mut(), more.as_object()) else { return };
    for (step, below) in more {
        unite(into.entry(step.clone()).or_insert_with(|| Value::Object(Map::new())), below);
    }
}

/// Takes one field out of a set, and what is empty without it: an empty set below a step would be the step itself.
fn take_out(fields: &mut Value, steps: &[String]) {
    let (Some(fields), [step, below @ ..]) = (fields.as_object_mut(), steps) else { return };
    if let Some(set) = fields.get_mut(step).filter(|_| !below.is_empty()) {
        take_out(set, below);
        if set.as_object().is_some_and(|set| !set.is_empty()) {
            return;
        }
    }
    fields.remove(step);
}

fn owns(entry: &Value, steps: &[String]) -> bool {
    let fields = entry.get("fieldsV1");
    steps.iter().try_fold(fields, |fields, step| fields.map(|fields| fields.get(step))).flatten().is_some()
}

/// The fields of a set that the live object has and the manifest lacks.
fn stale_leaves(
    fields: &Value,
    live: Option<&Value>,
    manifest: Option<&Value>,
    steps: &mut Vec<String>,
    found: &mut Vec<Vec<String>>,
) {
    for (step, below) in fields.as_object().into_iter().flatten().filter(|(step, _)| *step != ".") {
        let Some(live) = live.and_then(|live| at(live, step)) else { continue };
        if step.strip_prefix("f:") == Some(LAST_APPLIED) {
            continue;
        }
        let manifest = manifest.and_then(|manifest| at(manifest, step));
        let is_leaf = below.as_object().is_none_or(|below| below.keys().all(|step| step == "."));
        steps.push(step.clone());
        if !is_leaf {
            stale_leaves(below, Some(live), manifest, steps, found);
        } else if manifest.is_none() {
            found.push(steps.clone());
        }
        steps.pop();
    }
}

/// What a step of a set of fields leads to: `f:NAME`, `k:{…}` for an item of a list by its keys, `v:…` by its value.
fn at<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    if let Some(name) = step.strip_prefix("f:") {
        return value.get(name);
    }
    let items = value.as_array()?;
    if let Some(keys) = step.strip_prefix("k:") {
        let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
        // A manifest may leave out a key that has a default, such as the protocol of a port.
        return items.iter().find(|item| {
            let mut said = keys.iter().filter_map(|(key, wanted)| Some((item.get(key)?, wanted))).peekable();
            said.peek().is_some() && said.all(|(found, wanted)| found == wanted)
        });
    }
    let wanted: Value = serde_json::from_str(step.strip_prefix("v:")?).ok()?;
    items.iter().find(|item| **item == wanted)
}

/// `.spec.ports[port=80].name`
fn path(steps: &[String]) -> String {
    let mut out = String::new();
    for step in steps {
        match (step.strip_prefix("f:"), step.strip_prefix("k:")) {
            (Some(name), _) => {
                out.push('.');
                out.push_str(name);
            }
            (None, Some(keys)) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect();
                write!(out, "[{}]", keys.join(",")).expect("a string takes everything");
            }
            (None, None) => {
                write!(out, "[{}]", step.strip_prefix("v:").unwrap_or(step)).expect("a string takes everything");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(managed: &Value) -> Object {
        Object::new(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "a", "managedFields": managed, "annotations": { LAST_APPLIED: "{}", "team": "x" } },
            "data": { "a": "1", "b": "2" },
            "spec": { "ports": [{ "port": 80, "protocol": "TCP", "name": "http" }] },
        }))
        .unwrap()
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({ "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields })
    }

    #[test]
    fn a1_what_a_client_owned_is_moved_to_us_and_what_the_manifest_lacks_goes() {
        let annotations = json!({ "f:annotations": { ".": {}, format!("f:{LAST_APPLIED}"): {}, "f:team": {} } });
        let port = r#"k:{"port":80,"protocol":"TCP"}"#;
        let client = json!({
            "f:metadata": annotations,
            "f:data": { ".": {}, "f:a": {}, "f:b": {} },
            "f:spec": { "f:ports": { port: { ".": {}, "f:name": {}, "f:port": {} } } },
        });
        let live = live(&json!([
            entry("kubectl-client-side-apply", "Update", &client),
            entry(FIELD_MANAGER, "Apply", &json!({ "f:data": { "f:c": {} } })),
            entry("by-hand", "Update", &json!({ "f:metadata": { "f:annotations": { "f:team": {} } } })),
        ]));
        let manifest = json!({ "data": { "a": "1" }, "spec": { "ports": [{ "port": 80 }] } });
        let moved = to_move(&live, &manifest).unwrap();
        assert_eq!(moved.removed, [".data.b", ".spec.ports[port=80,protocol=TCP].name"]);
        assert_eq!(moved.kept, [(".metadata.annotations.team".to_owned(), "by-hand".to_owned())]);
        let managers: Vec<(&str, &str)> =
            moved.managed_fields().iter().map(|entry| (text(entry, "manager"), text(entry, "operation"))).collect();
        assert_eq!(managers, [(FIELD_MANAGER, "Apply"), ("by-hand", "Update")]);
        let data = &moved.managed_fields()[0]["fieldsV1"]["f:data"];
        assert_eq!(data, &json!({ ".": {}, "f:a": {}, "f:b": {}, "f:c": {} }));
    }

    #[test]
    fn a1_what_the_api_server_fills_in_does_not_go_and_is_no_rest() {
        let client = json!({ "f:data": { "f:a": {}, "f:b": {} }, "f:spec": { "f:replicas": {} }, "f:type": {} });
        let secret = |more: &Value, managed: &Value| {
            let mut secret = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a", "managedFields": managed },
                "data": { "a": "MQ==" },
            });
            for (key, value) in more.as_object().unwrap() {
                secret[key] = value.clone();
            }
            Object::new(secret).unwrap()
        };
        let before = json!({ "data": { "a": "MQ==", "b": "Mg==" }, "type": "Opaque", "spec": { "replicas": 3 } });
        let live = secret(&before, &json!([entry("kubectl-client-side-apply", "Update", &client)]));
        let manifest = json!({ "data": { "a": "MQ==" } });
        let mut moved = to_move(&live, &manifest).unwrap();
        assert_eq!(moved.removed, [".data.b", ".spec.replicas", ".type"]);
        moved.without_filled_in(&secret(&json!({ "type": "Opaque" }), &json!([])), &manifest);
        assert_eq!(moved.removed, [".data.b", ".spec.replicas"]);
        let ours = json!({ "f:data": { "f:a": {}, "f:b": {} }, "f:spec": { "f:replicas": {} } });
        assert_eq!(moved.managed_fields()[0]["fieldsV1"], ours, "what stays has no owner");

        // A field that cannot be taken away is left as it is.
        moved.without_fixed(&live, &manifest);
        assert_eq!((moved.removed.len(), moved.fixed.len()), (0, 2));
        assert_eq!(moved.managed_fields()[0]["fieldsV1"], json!({ "f:data": { "f:a": {} } }));

        // After the write, what no program has was filled in, and what another one has should have gone.
        let moved = to_move(&live, &manifest).unwrap();
        let ours = entry(FIELD_MANAGER, "Apply", &json!({ "f:data": { "f:a": {} } }));
        assert!(moved.remaining(&secret(&before, &json!([ours])), &manifest).is_empty());
        let theirs = entry("kubectl-client-side-apply", "Update", &json!({ "f:data": { "f:b": {} } }));
        assert_eq!(moved.remaining(&secret(&before, &json!([ours, theirs])), &manifest), [".data.b"]);
    }

    #[test]
    fn a1_what_others_wrote_is_not_moved() {
        for (manager, operation, subresource) in [
            ("helm", "Apply", ""),
            ("kubectl-edit", "Update", ""),
            ("kube-controller-manager", "Update", "status"),
            ("kubectl-create", "Update", "scale"),
        ] {
            let mut entry = entry(manager, operation, &json!({ "f:data": { "f:a": {} } }));
            entry["subresource"] = subresource.into();
            assert_eq!(to_move(&live(&json!([entry])), &json!({})), None, "{manager}");
        }
        let entry = entry("helm", "Update", &json!({ "f:data": { "f:a": {} } }));
        assert_eq!(to_move(&live(&json!([entry])), &json!({})).unwrap().removed, [".data.a"]);
    }

    #[test]
    fn a1_a_field_that_was_applied_in_our_name_and_that_the_manifest_lacks_is_more() {
        let port = r#"k:{"port":80,"protocol":"TCP"}"#;
        let fields = json!({ "f:data": { "f:a": {} }, "f:spec": { "f:ports": { port: { ".": {}, "f:port": {} } } } });
        let live = live(&json!([
            entry(FIELD_MANAGER, "Apply", &fields),
            entry("by-hand", "Update", &json!({ "f:data": { "f:b": {} } })),
        ]));
        for (manifest, is_more) in [
            (json!({ "data": { "a": "1" }, "spec": { "ports": [{ "port": 80 }] } }), false),
            (json!({ "data": { "a": "2" }, "spec": { "ports": [{ "port": 80 }] } }), false),
            (json!({ "data": { "a": "1" } }), true),
            (json!({ "data": { "a": "1" }, "spec": { "ports": [{ "port": 81 }] } }), true),
            (json!({ "spec": { "ports": [{ "port": 80 }] } }), true),
        ] {
            assert_eq!(applied_more(&live, &manifest), is_more, "{manifest}");
        }
    }

    #[test]
    fn only_named_managers_and_a_scale_that_nothing_keeps_are_taken_over() {
        let conflict = |manager: &str, subresource: Option<&str>, field: &str| FieldConflict {
            manager: manager.to_owned(),
            subresource: subresource.map(str::to_owned),
            field: field.to_owned(),
        };
        let all = [
            conflict("kubectl", Some("scale"), ".spec.replicas"),
            conflict("kubectl", None, ".spec.replicas"),
            conflict("argocd", None, ".spec.paused"),
            conflict("by-hand", None, ".data.k"),
            conflict("helm", None, ".data.k"),
            conflict("kube-controller-manager", Some("scale"), ".spec.replicas"),
            conflict("kube-controller-manager", None, ".spec.replicas"),
        ];
        let rule = ConflictRule::new(["argocd".to_owned()].into());
        let entry = entry("helm", "Update", &json!({ "f:data": { "f:a": {} } }));
        let moved = to_move(&live(&json!([entry])), &json!({}));
        let (taken, refused) = judge_conflicts(&all, &rule, moved.as_ref(), None);
        assert_eq!(taken, [all[0].clone(), all[2].clone(), all[5].clone()]);
        assert_eq!(refused, [all[1].clone(), all[3].clone(), all[6].clone()]);
        assert_eq!(judge_conflicts(&all, &rule, None, None).1.len(), 4);
    }

    #[test]
    fn r1_a_field_that_we_own_with_another_is_no_edit_of_theirs() {
        let image = |manager: &str, operation: &str| {
            let container = json!({ r#"k:{"name":"app"}"#: { "f:image": {} } });
            entry(
                manager,
                operation,
                &json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": container } } } }),
            )
        };
        let conflict = FieldConflict {
            manager: "kubectl-set".to_owned(),
            subresource: None,
            field: r#".spec.template.spec.containers[name="app"].image"#.to_owned(),
        };
        for (way, ours, is_taken) in [
            ("Update", image(FIELD_MANAGER, "Apply"), true),
            ("Update", image("other", "Apply"), false),
            ("Apply", image(FIELD_MANAGER, "Apply"), false),
        ] {
            let live = live(&json!([image("kubectl-set", way), ours]));
            let (taken, _) =
                judge_conflicts(std::slice::from_ref(&conflict), &ConflictRule::default(), None, Some(&live));
            assert_eq!(!taken.is_empty(), is_taken);
            let manifest =
                json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "a" }] } } } });
            let is_ours = live.list("/metadata/managedFields").iter().any(is_ours);
            assert_eq!(has_lost_fields(&live, &manifest), !is_ours);
        }
    }
}
