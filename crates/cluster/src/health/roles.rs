use std::collections::{BTreeMap, BTreeSet};

use crate::connection::Connection;
use crate::discovery::Resource;
use crate::error::ClusterError;
use crate::health::Permission;

/// What objects of this program itself are called; they alone keep their name from one deployment to the next.
const OWN: &str = "orchestrator-";

/// One rule of a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct RoleRule {
    /// The API group; empty for the core.
    pub group: String,
    /// The resources, in the plural: `deployments`, `pods/log`.
    pub resources: BTreeSet<String>,
    /// Verbs of the API, such as `get` and `patch`.
    pub verbs: BTreeSet<String>,
    /// The only objects that it is for; empty for all.
    pub names: BTreeSet<String>,
}

/// The least rights for something: roles by namespace, and what belongs to no namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Roles {
    /// The rules of a Role in each namespace.
    pub namespaced: BTreeMap<String, Vec<RoleRule>>,
    /// The rules of a `ClusterRole`.
    pub cluster: Vec<RoleRule>,
}

/// What finds the ready pods of a Service, and connects to one of them.
const FORWARDING: [(&str, &str, &str); 6] = [
    ("", "services", "get"),
    ("", "pods", "list"),
    ("", "pods", "get"),
    ("", "pods/portforward", "get"),
    ("", "pods/portforward", "create"),
    ("discovery.k8s.io", "endpointslices", "list"),
];

/// A right: API group, resource, verb.
type Right = (String, String, String);

impl Connection {
    /// The least roles that give these permissions in any deployment of the same kinds, and what health asks in a namespace; with
    /// `forwards` also what connects to the pods of its Services. Kinds that are not served yet are as `defined` says.
    pub async fn roles(
        &self,
        namespace: &str,
        permissions: &[Permission],
        defined: &[Resource],
        forwards: bool,
    ) -> Result<Roles, ClusterError> {
        let mut rights: BTreeMap<Option<String>, BTreeMap<Right, BTreeSet<String>>> = BTreeMap::new();
        for permission in permissions {
            let resource = self.resource_or(&permission.kind, defined).await?;
            let place = permission.namespace.clone().filter(|_| resource.is_namespaced);
            let right = (resource.kind.group.clone(), resource.plural.clone(), permission.verb.to_owned());
            let names = stable_names(permission);
            let entry = rights.entry(place).or_default();
            match entry.get_mut(&right) {
                // A right on all objects is one on each.
                Some(known) if known.is_empty() => {}
                Some(known) if names.is_empty() => known.clear(),
                Some(known) => known.extend(names),
                None => drop(entry.insert(right, names)),
            }
        }
        rights.iter_mut().filter(|(place, _)| place.is_some()).for_each(|(_, rights)| add_traces(rights));
        let own = rights.entry(Some(namespace.to_owned())).or_default();
        // Whether it is there, and its bounds.
        for (resource, verb) in [("namespaces", "get"), ("resourcequotas", "list"), ("limitranges", "list")] {
            own.insert((String::new(), resource.to_owned(), verb.to_owned()), BTreeSet::new());
        }
        if forwards {
            for (group, resource, verb) in FORWARDING {
                own.insert((group.to_owned(), resource.to_owned(), verb.to_owned()), BTreeSet::new());
            }
        }
        let of_cluster = rights.entry(None).or_default();
        // The room on nodes, beside the pods of all namespaces, and what quotas count by where an object names no class.
        for (group, resource) in [
            ("", "nodes"),
            ("", "pods"),
            ("storage.k8s.io", "storageclasses"),
            ("scheduling.k8s.io", "priorityclasses"),
        ] {
            of_cluster.insert((group.to_owned(), resource.to_owned(), "list".to_owned()), BTreeSet::new());
        }
        let mut roles = Roles::default();
        for (place, rights) in rights {
            match place {
                Some(namespace) => drop(roles.namespaced.insert(namespace, rules(rights))),
                None => roles.cluster = rules(rights),
            }
        }
        Ok(roles)
    }
}

/// What shows why something that is waited for fails: its pods and what owns them, their events and their logs. A deployment
/// needs none of it to come through.
fn add_traces(rights: &mut BTreeMap<Right, BTreeSet<String>>) {
    let is_watched = |(_, _, verb): &&Right| verb == "watch";
    let watched: Vec<Right> = rights.keys().filter(is_watched).cloned().collect();
    if watched.is_empty() {
        return;
    }
    let shown = watched.into_iter().map(|(group, resource, _)| (group, resource, "get"));
    let events = ["list", "watch"].map(|verb| (String::new(), "events".to_owned(), verb));
    let log = (String::new(), "pods/log".to_owned(), "get");
    for (group, resource, verb) in shown.chain(events).chain([log]) {
        rights.insert((group, resource, verb.to_owned()), BTreeSet::new());
    }
}

/// The names that a rule can give: those of this program's own objects. What is made, listed or watched has none.
pub(super) fn stable_names(permission: &Permission) -> BTreeSet<String> {
    let is_own = !permission.names.is_empty() && permission.names.iter().all(|name| name.starts_with(OWN));
    if is_own && !matches!(permission.verb, "create" | "list" | "watch") {
        permission.names.clone()
    } else {
        BTreeSet::new()
    }
}

/// Rights that differ only in the verb, and then only in the resource, are one rule.
fn rules(rights: BTreeMap<Right, BTreeSet<String>>) -> Vec<RoleRule> {
    let mut verbs: BTreeMap<(String, BTreeSet<String>, String), BTreeSet<String>> = BTreeMap::new();
    for ((group, resource, verb), names) in rights {
        verbs.entry((group, names, resource)).or_default().insert(verb);
    }
    let mut resources: BTreeMap<(String, BTreeSet<String>, BTreeSet<String>), BTreeSet<String>> = BTreeMap::new();
    for ((group, names, resource), verbs) in verbs {
        resources.entry((group, names, verbs)).or_default().insert(resource);
    }
    resources
        .into_iter()
        .map(|((group, names, verbs), resources)| RoleRule { group, resources, verbs, names })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b33_what_is_waited_for_can_be_looked_at_where_it_fails() {
        let right = |resource: &str, verb: &str| (String::new(), resource.to_owned(), verb.to_owned());
        let mut rights = BTreeMap::from([(right("services", "get"), BTreeSet::new())]);
        add_traces(&mut rights);
        assert_eq!(rights.len(), 1, "nothing is waited for");
        rights.insert(right("pods", "watch"), BTreeSet::new());
        add_traces(&mut rights);
        for (resource, verb) in [("pods", "get"), ("pods/log", "get"), ("events", "list"), ("events", "watch")] {
            assert!(rights.contains_key(&right(resource, verb)), "{verb} {resource}");
        }
    }

    #[test]
    fn b33_rights_are_gathered_into_few_rules() {
        let right = |group: &str, resource: &str, verb: &str| (group.to_owned(), resource.to_owned(), verb.to_owned());
        let own = BTreeSet::from(["orchestrator-state".to_owned()]);
        let rights = BTreeMap::from([
            (right("", "configmaps", "get"), BTreeSet::new()),
            (right("", "configmaps", "list"), BTreeSet::new()),
            (right("", "services", "get"), BTreeSet::new()),
            (right("", "services", "list"), BTreeSet::new()),
            (right("", "secrets", "create"), BTreeSet::new()),
            (right("", "secrets", "get"), own.clone()),
            (right("", "secrets", "update"), own.clone()),
            (right("apps", "deployments", "get"), BTreeSet::new()),
        ]);
        let shown: Vec<String> = rules(rights)
            .into_iter()
            .map(|rule| format!("<{}> {:?} {:?} {:?}", rule.group, rule.resources, rule.verbs, rule.names))
            .collect();
        assert_eq!(
            shown,
            [
                r#"<> {"secrets"} {"create"} {}"#,
                r#"<> {"configmaps", "services"} {"get", "list"} {}"#,
                r#"<> {"secrets"} {"get", "update"} {"orchestrator-state"}"#,
                r#"<apps> {"deployments"} {"get"} {}"#,
            ]
        );
    }
}
