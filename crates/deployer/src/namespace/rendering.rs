//! What a chart was rendered to, from the text that helm prints or stores.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::manifest::{self, ObjectId};
use crate::problem::DeployProblem;

/// The annotation that makes an object a hook.
pub(crate) const HOOK: &str = "helm.sh/hook";
/// The hooks that only `helm test` starts.
const TEST_EVENTS: [&str; 3] = ["test", "test-success", "test-failure"];

type Object = Map<String, Value>;

/// The objects of a chart by identity: those that stay, and hooks.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Rendering {
    pub(crate) objects: BTreeMap<ObjectId, Object>,
    pub(crate) hooks: BTreeMap<ObjectId, Object>,
}

/// The names alone: objects can hold secrets.
impl std::fmt::Debug for Rendering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.objects.keys().chain(self.hooks.keys())).finish()
    }
}

/// Where two renderings differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) object: String,
    /// Field of the object; empty where only one of them has the object.
    pub(crate) field: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field.is_empty() { f.write_str(&self.object) } else { write!(f, "`{}` of {}", self.field, self.object) }
    }
}

impl Rendering {
    /// Reads texts of Kubernetes objects; objects without a namespace are in the release's.
    pub(crate) fn parse<'a>(
        texts: impl IntoIterator<Item = &'a [u8]>,
        namespace: &str,
    ) -> Result<Self, Vec<DeployProblem>> {
        let (mut rendering, mut problems) = (Self::default(), Vec::new());
        for text in texts {
            match manifest::parse(text) {
                Err(wrong) => problems.extend(wrong),
                Ok(documents) => {
                    for document in documents {
                        if let Err(message) = rendering.add(document.object, namespace) {
                            problems.push(DeployProblem::new(crate::problem::ProblemKind::Unreadable, message));
                        }
                    }
                }
            }
        }
        if problems.is_empty() { Ok(rendering) } else { Err(problems) }
    }

    /// Objects without hooks.
    pub(crate) fn of_objects(objects: impl IntoIterator<Item = (ObjectId, Object)>) -> Self {
        Self { objects: objects.into_iter().collect(), hooks: BTreeMap::new() }
    }

    fn add(&mut self, object: Object, namespace: &str) -> Result<(), String> {
        let mut id = ObjectId::of(&object)?;
        if id.namespace.is_none() && !id.is_cluster_scoped() {
            id.namespace = Some(namespace.to_owned());
        }
        let shown = id.to_string();
        let list = if hook_events(&object).is_empty() { &mut self.objects } else { &mut self.hooks };
        match list.insert(id, object) {
            None => Ok(()),
            Some(_) => Err(format!("{shown} is rendered twice")),
        }
    }

    /// What helm installs or starts: everything but hooks that only `helm test` starts.
    pub(crate) fn started(&self) -> impl Iterator<Item = (&ObjectId, &Object)> {
        self.objects.iter().chain(self.started_hooks())
    }

    /// Every hook but those that only `helm test` starts.
    pub(crate) fn started_hooks(&self) -> impl Iterator<Item = (&ObjectId, &Object)> {
        self.hooks.iter().filter(|(_, hook)| !is_test(hook))
    }

    /// The hooks of an event such as `pre-upgrade`.
    pub(crate) fn hooks_of(&self, event: &str) -> impl Iterator<Item = (&ObjectId, &Object)> {
        self.hooks.iter().filter(move |(_, hook)| hook_events(hook).iter().any(|one| one == event))
    }

    /// Whether a hook is made before the objects that stay.
    pub(crate) fn is_before(&self, hook: &ObjectId) -> bool {
        self.hooks.get(hook).is_some_and(|hook| hook_events(hook).iter().any(|event| event.starts_with("pre-")))
    }

    /// The hooks that only `helm test` starts.
    pub(crate) fn test_hooks(&self) -> impl Iterator<Item = (&ObjectId, &Object)> {
        self.hooks.iter().filter(|(_, hook)| is_test(hook))
    }

    /// Whether a workload that both have makes its pods from another template.
    pub(crate) fn has_other_pods(&self, other: &Self) -> bool {
        let template = |object: &Object| object.get("spec").and_then(|spec| spec.get("template")).cloned();
        self.objects.iter().any(|(id, object)| {
            let planned = other.objects.get(id).and_then(template);
            planned.is_some() && planned != template(object)
        })
    }

    /// The first difference; `None` where both are the same.
    pub(crate) fn difference(&self, other: &Self) -> Option<Difference> {
        let difference = |one: &BTreeMap<ObjectId, Object>, other: &BTreeMap<ObjectId, Object>| {
            let ids = one.keys().chain(other.keys()).collect::<std::collections::BTreeSet<_>>();
            ids.into_iter().find_map(|id| match (one.get(id), other.get(id)) {
                (Some(one), Some(other)) if one == other => None,
                (Some(one), Some(other)) => {
                    let mut field = String::new();
                    differing_field(&Value::Object(one.clone()), &Value::Object(other.clone()), &mut field);
                    Some(Difference { object: id.to_string(), field })
                }
                (Some(_) | None, _) => Some(Difference { object: id.to_string(), field: String::new() }),
            })
        };
        difference(&self.objects, &other.objects).or_else(|| difference(&self.hooks, &other.hooks))
    }

    /// All of it as one JSON value, for digests.
    pub(crate) fn to_json(&self) -> Value {
        let list =
            |objects: &BTreeMap<ObjectId, Object>| objects.values().cloned().map(Value::Object).collect::<Value>();
        serde_json::json!({ "hooks": list(&self.hooks), "objects": list(&self.objects) })
    }
}

/// As helm reads the annotation.
fn hook_events(object: &Object) -> Vec<String> {
    let annotations = object.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let events = annotations.and_then(|all| all.get(HOOK)).and_then(Value::as_str).unwrap_or_default();
    events.split(',').map(|event| event.trim().to_lowercase()).filter(|event| !event.is_empty()).collect()
}

fn is_test(hook: &Object) -> bool {
    hook_events(hook).iter().all(|event| TEST_EVENTS.contains(&event.as_str()))
}

/// Writes the path of the first field that differs.
fn differing_field(one: &Value, other: &Value, path: &mut String) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys()).collect::<std::collections::BTreeSet<_>>();
            for key in keys {
                let (before, after) = (one.get(key), other.get(key));
                if before != after {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                    if let (Some(before), Some(after)) = (before, after) {
                        differing_field(before, after, path);
                    }
                    return;
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let differing = one.iter().zip(other).enumerate().find(|(_, (one, other))| one != other);
            if let Some((index, (one, other))) = differing {
                write!(path, "[{index}]").expect("writing into a string cannot fail");
                differing_field(one, other, path);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Rendering {
        Rendering::parse([text.as_bytes()], "shop").unwrap()
    }

    const CHART: &str = "
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec: { ports: [{ port: 80 }, { port: 81 }] }
---
apiVersion: batch/v1
kind: Job
metadata: { name: migrate, annotations: { helm.sh/hook: \"pre-install, Pre-Upgrade\" } }
---
apiVersion: v1
kind: Pod
metadata: { name: probe, annotations: { helm.sh/hook: test } }
";

    #[test]
    fn d1_hooks_are_objects_and_those_of_tests_stand_apart() {
        let rendering = parse(CHART);
        let names = |list: Vec<(&ObjectId, &Object)>| list.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>();
        assert_eq!(names(rendering.started().collect()), ["Service/cart", "Job/migrate"]);
        assert_eq!(names(rendering.test_hooks().collect()), ["Pod/probe"]);
        assert_eq!(names(rendering.hooks_of("pre-upgrade").collect()), ["Job/migrate"]);
        assert_eq!(
            rendering.difference(&parse(&CHART.replace(", namespace: shop", ""))).unwrap().field,
            "metadata.namespace"
        );
    }

    #[test]
    fn t18_a_difference_names_object_and_field() {
        let difference = |from: &str, to: &str| {
            parse(CHART).difference(&parse(&CHART.replace(from, to))).map(|difference| difference.to_string())
        };
        assert_eq!(difference("x", "x"), None);
        assert_eq!(difference("port: 81", "port: 82").unwrap(), "`spec.ports[1].port` of Service/cart");
        assert_eq!(difference("name: migrate", "name: migrate-7").unwrap(), "Job/migrate");
        let twice = format!("{CHART}---\n{CHART}");
        assert_eq!(Rendering::parse([twice.as_bytes()], "shop").unwrap_err().len(), 3);
    }
}
