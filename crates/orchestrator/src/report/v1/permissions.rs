use std::fmt::Write as _;

use cluster::health::{RoleRule, Roles};
use lock_model::EnvironmentName;
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{Report, Verdict};

/// `permissions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PermissionsReport {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// Its namespace.
    pub namespace: String,
    /// What a deployment needs, a Role for each namespace.
    pub roles: Vec<NamespaceRole>,
    /// What belongs to no namespace: kinds of the plan, and the room on nodes, which is optional.
    pub cluster_role: Vec<Rule>,
}

/// The rules of a Role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct NamespaceRole {
    /// The namespace of the Role.
    pub namespace: String,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A rule, as Kubernetes has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Rule {
    /// The API group; empty for the core.
    pub api_group: String,
    /// The resources, in the plural.
    pub resources: Vec<String>,
    /// Verbs of the API, such as `get` and `patch`.
    pub verbs: Vec<String>,
    /// The only objects that it is for; empty for all.
    pub resource_names: Vec<String>,
}

impl PermissionsReport {
    pub(crate) fn new(environment: EnvironmentName, namespace: String, roles: Roles) -> Self {
        let rules = |rules: Vec<RoleRule>| rules.into_iter().map(Rule::from).collect::<Vec<_>>();
        let namespaced = roles.namespaced.into_iter();
        Self {
            environment,
            namespace,
            roles: namespaced.map(|(namespace, role)| NamespaceRole { namespace, rules: rules(role) }).collect(),
            cluster_role: rules(roles.cluster),
        }
    }

    /// The roles as manifests, for `kubectl apply`.
    pub fn manifests(&self) -> String {
        let name = format!("orchestrator-{}", self.environment);
        let mut text = String::new();
        let mut add = |kind: &str, metadata: &str, rules: &[Rule]| {
            let head =
                format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{ {metadata} }}\nrules:\n");
            let separator = if text.is_empty() { "" } else { "---\n" };
            write!(text, "{separator}{head}").expect("writing into a string cannot fail");
            for rule in rules {
                writeln!(text, "- {}", rule.to_yaml()).expect("writing into a string cannot fail");
            }
        };
        for NamespaceRole { namespace, rules } in &self.roles {
            add("Role", &format!("name: {name}, namespace: {namespace}"), rules);
        }
        // A name of its own in the cluster, where another product may have an environment of the same name.
        add("ClusterRole", &format!("name: {name}-of-{}", self.namespace), &self.cluster_role);
        text
    }
}

impl From<RoleRule> for Rule {
    fn from(rule: RoleRule) -> Self {
        let list = |texts: std::collections::BTreeSet<String>| texts.into_iter().collect();
        let RoleRule { group, resources, verbs, names, .. } = rule;
        Self { api_group: group, resources: list(resources), verbs: list(verbs), resource_names: list(names) }
    }
}

impl Rule {
    /// In one line.
    pub fn to_yaml(&self) -> String {
        let list = |texts: &[String]| texts.join(", ");
        let names = match self.resource_names.as_slice() {
            [] => String::new(),
            names => format!(", resourceNames: [{}]", list(names)),
        };
        format!(
            "{{ apiGroups: [\"{}\"], resources: [{}], verbs: [{}]{names} }}",
            self.api_group,
            list(&self.resources),
            list(&self.verbs)
        )
    }
}

impl Report for PermissionsReport {
    fn verdict(&self) -> Verdict {
        Verdict::of(true)
    }
}
