use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};

use crate::connection::Connection;
use crate::discovery::Resource;
use crate::error::{ClusterError, ClusterErrorKind};
use crate::health::HealthAnswer;
use crate::health::roles::stable_names;
use crate::object::Kind;
use crate::traces::Access;

/// How many reviews are asked at once.
const AT_ONCE: usize = 16;

/// A verb that is needed on objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The kind that the verb is needed on.
    pub kind: Kind,
    /// Absent for kinds without namespaces.
    pub namespace: Option<String>,
    /// The verb of the API, such as `create`.
    pub verb: &'static str,
    /// The only objects that it is needed for; empty for all.
    pub names: BTreeSet<String>,
}

impl Connection {
    /// Whether the user of this connection has all of these permissions: a review for each verb and kind, and where that is
    /// denied one for each object's name. Kinds that are not served yet are as `defined` says.
    pub async fn permissions_health(&self, permissions: &[Permission], defined: &[Resource]) -> HealthAnswer {
        let answers: Vec<_> = stream::iter(permissions.iter().cloned())
            .map(|permission| async move {
                let answer = self.lacks(&permission, defined).await;
                (permission, answer)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let (mut rules, mut unknown) = (BTreeMap::<Rule, BTreeSet<&'static str>>::new(), BTreeSet::new());
        for (permission, answer) in answers {
            match answer {
                Ok(None) => {}
                Ok(Some(rule)) => drop(rules.entry(rule).or_default().insert(permission.verb)),
                Err(error) if matches!(error.kind(), ClusterErrorKind::UnknownKind) => {
                    unknown.insert(error.with_causes());
                }
                Err(error) => return HealthAnswer::unknown(error.with_causes()),
            }
        }
        let wrong = rules.iter().map(|(rule, verbs)| {
            let verbs = verbs.iter().copied().collect::<Vec<_>>().join(", ");
            let Rule { group, resource, namespace, names } = rule;
            let (place, role) = match namespace {
                Some(namespace) => (format!(" in namespace `{namespace}`"), "Role"),
                None => (String::new(), "ClusterRole"),
            };
            let shown: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let listed: Vec<&str> = names.iter().map(String::as_str).collect();
            let (named, names) = if names.is_empty() {
                (String::new(), String::new())
            } else {
                (format!(" {}", shown.join(", ")), format!(", resourceNames: [{}]", listed.join(", ")))
            };
            format!(
                "the user of the kubeconfig may not {verbs} {resource}{named}{place}; rule of a {role}: {{ apiGroups: \
                 [\"{group}\"], resources: [{resource}], verbs: [{verbs}]{names} }}"
            )
        });
        let well = "everything that the deployment does is permitted";
        HealthAnswer::of(wrong.collect(), unknown.into_iter().collect(), well)
    }

    /// The rule that would permit it, where the user does not have it.
    async fn lacks(&self, permission: &Permission, defined: &[Resource]) -> Result<Option<Rule>, ClusterError> {
        let resource = self.resource_or(&permission.kind, defined).await?;
        let namespace = permission.namespace.clone().filter(|_| resource.is_namespaced);
        let access = |name: Option<&str>| Access {
            verb: permission.verb.to_owned(),
            group: resource.kind.group.clone(),
            resource: resource.plural.clone(),
            namespace: namespace.clone(),
            name: name.map(str::to_owned),
        };
        if self.may(&access(None)).await? {
            return Ok(None);
        }
        let rule = |names: BTreeSet<String>| {
            let (group, resource, namespace) =
                (resource.kind.group.clone(), resource.plural.clone(), namespace.clone());
            Some(Rule { group, resource, namespace, names })
        };
        // What is made has no name yet that a rule could give.
        if permission.names.is_empty() || matches!(permission.verb, "create" | "list" | "watch") {
            return Ok(rule(BTreeSet::new()));
        }
        let mut denied = BTreeSet::new();
        for name in &permission.names {
            if !self.review(&access(Some(name))).await? {
                denied.insert(name.clone());
            }
        }
        let is_one_of_many = denied.len() == 1 && permission.names.len() > 1;
        Ok(match denied {
            none if none.is_empty() => None,
            // As the printed Role has it: nothing of the kind besides.
            some if is_one_of_many || !stable_names(permission).is_empty() => rule(some),
            _all => rule(BTreeSet::new()),
        })
    }
}

/// What a role would have to permit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    group: String,
    resource: String,
    namespace: Option<String>,
    names: BTreeSet<String>,
}
