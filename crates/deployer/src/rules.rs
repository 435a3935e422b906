//! What an object may reach: its namespace, the cluster, the node.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::manifest::ObjectId;
use crate::problem::{ProblemKind, escaped};
use crate::request::{DeployRequest, ForeignNamespace, NamespaceRule};

/// Capabilities that are as good as a privileged container.
const STRONG_CAPABILITIES: [&str; 8] =
    ["ALL", "BPF", "DAC_READ_SEARCH", "NET_ADMIN", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"];

/// Fields of custom resources that make an operator act in the namespace they name.
const TARGET_FIELDS: [&[&str]; 4] = [
    &["spec", "targetNamespace"],
    &["spec", "storageNamespace"],
    &["spec", "destination", "namespace"],
    &["spec", "install", "namespace"],
];

pub(crate) type Violation = (ProblemKind, String);

/// Puts an object into the environment's namespace, where the rule lets it, and says what breaks the rule.
pub(crate) fn place_in_namespace(
    object: &mut Map<String, Value>,
    id: &mut ObjectId,
    namespace: &str,
    rule: &NamespaceRule,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let placement = Placement { id: id.short(), namespace, rule };
    if id.is_cluster_scoped() {
        if !id.is_in(&rule.cluster_scoped) {
            violations.push((ProblemKind::ClusterScoped, format!("{id} belongs to no namespace")));
        }
    } else {
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata {
            match placement.settle(id.namespace.as_deref(), "`metadata.namespace`") {
                Ok(settled) => {
                    metadata.insert("namespace".to_owned(), Value::String(settled.clone()));
                    id.namespace = Some(settled);
                }
                Err(violation) => violations.push(violation),
            }
        }
    }
    placement.subjects(object, &mut violations);
    for field in TARGET_FIELDS {
        if let Some(Value::String(named)) = field_mut(object, field) {
            match placement.settle(Some(named), &format!("`{}`", field.join("."))) {
                Ok(settled) => *named = settled,
                Err(violation) => violations.push(violation),
            }
        }
    }
    violations
}

fn field_mut<'a>(object: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Value> {
    let (last, parents) = path.split_last()?;
    parents.iter().try_fold(object, |map, key| map.get_mut(*key)?.as_object_mut())?.get_mut(*last)
}

/// A note for each namespace that the request allows and that none of its objects names. Without some services nothing is known.
pub(crate) fn unused_namespaces<'a>(
    request: &DeployRequest,
    objects: impl IntoIterator<Item = &'a Map<String, Value>>,
) -> Vec<String> {
    let mut unused: BTreeSet<&String> =
        request.services.iter().flat_map(|service| &request.rule_of(service).allow).collect();
    if unused.is_empty() || !request.paused.is_empty() {
        return Vec::new();
    }
    for object in objects {
        let at = |path: &[&str]| {
            let (first, rest) = path.split_first()?;
            rest.iter().try_fold(object.get(*first)?, |value, key| value.get(*key))?.as_str()
        };
        let subjects = object.get("subjects").and_then(Value::as_array).into_iter().flatten();
        let subjects = subjects.filter_map(|subject| subject.get("namespace")?.as_str());
        let fields = TARGET_FIELDS.into_iter().chain([&["metadata", "namespace"] as &[&str]]).filter_map(at);
        let named: BTreeSet<&str> = subjects.chain(fields).collect();
        unused.retain(|namespace| !named.contains(namespace.as_str()));
    }
    let environment = &request.environment;
    let note = |namespace: &String| {
        format!(
            "`namespaces.allow` of `{environment}` has `{}`, and no object of this release names it",
            escaped(namespace)
        )
    };
    unused.into_iter().map(note).collect()
}

struct Placement<'a> {
    id: String,
    namespace: &'a str,
    rule: &'a NamespaceRule,
}

impl Placement<'_> {
    fn settle(&self, named: Option<&str>, field: &str) -> Result<String, Violation> {
        match named.filter(|named| !named.is_empty()) {
            None => Ok(self.namespace.to_owned()),
            Some(named) if named == self.namespace || self.rule.allow.contains(named) => Ok(named.to_owned()),
            Some(named) => match self.rule.foreign {
                ForeignNamespace::Rewrite => Ok(self.namespace.to_owned()),
                ForeignNamespace::Refuse => Err((
                    ProblemKind::Namespace,
                    format!(
                        "{field} of {} is `{}`, the environment's namespace is `{}`",
                        escaped(&self.id),
                        escaped(named),
                        self.namespace
                    ),
                )),
            },
        }
    }

    /// A binding gives rights to whom it names: accounts of this namespace, or those that the lists allow.
    fn subjects(&self, object: &mut Map<String, Value>, violations: &mut Vec<Violation>) {
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !matches!(kind.as_str(), "RoleBinding" | "ClusterRoleBinding") {
            return;
        }
        let allowed = self.rule.privileged.contains(&self.id) || self.rule.privileged.contains(&kind);
        let Some(Value::Array(subjects)) = object.get_mut("subjects") else { return };
        for (index, subject) in subjects.iter_mut().enumerate() {
            let Some(subject) = subject.as_object_mut() else { continue };
            let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (subject_kind, name, named) = (text("kind"), text("name"), text("namespace"));
            if subject_kind == "ServiceAccount" {
                match self.settle(Some(&named), &format!("`subjects[{index}].namespace`")) {
                    Ok(settled) => {
                        subject.insert("namespace".to_owned(), Value::String(settled));
                    }
                    Err(violation) => violations.push(violation),
                }
            } else if !allowed {
                violations.push((
                    ProblemKind::Privileged,
                    format!(
                        "{} gives rights to the {} `{}`, which is not an account of this namespace",
                        escaped(&self.id),
                        escaped(&subject_kind),
                        escaped(&name)
                    ),
                ));
            }
        }
    }
}

/// What an object asks of the node it runs on, where no list allows it.
pub(crate) fn node_privileges(object: &Map<String, Value>, id: &ObjectId, rule: &NamespaceRule) -> Vec<Violation> {
    if id.is_in(&rule.privileged) {
        return Vec::new();
    }
    let mut asked = std::collections::BTreeSet::new();
    crate::image_fields::maps(object, &mut |map| {
        let is_true = |key: &str| map.get(key) == Some(&Value::Bool(true));
        if map.get("containers").is_some_and(Value::is_array) {
            asked.extend(
                ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|key| is_true(key)).map(str::to_owned),
            );
            for volume in map.get("volumes").and_then(Value::as_array).into_iter().flatten() {
                if let Some(path) = volume.get("hostPath").filter(|path| !path.is_null()) {
                    let path = path.get("path").and_then(Value::as_str).unwrap_or_default();
                    asked.insert(format!("hostPath `{}`", escaped(path)));
                }
            }
        }
        if let Some(context) = map.get("securityContext") {
            if context.get("privileged") == Some(&Value::Bool(true)) {
                asked.insert("a privileged container".to_owned());
            }
            let added = context.get("capabilities").and_then(|it| it.get("add")).and_then(Value::as_array);
            for capability in added.into_iter().flatten().filter_map(Value::as_str) {
                let bare = capability.strip_prefix("CAP_").unwrap_or(capability);
                if STRONG_CAPABILITIES.contains(&bare) {
                    asked.insert(format!("the capability {bare}"));
                }
            }
        }
    });
    asked.into_iter().map(|what| (ProblemKind::Privileged, format!("{id} asks for {what}"))).collect()
}
