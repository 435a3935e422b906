//! Which objects may lie where.

use deployer::ForeignNamespace;

use crate::shop::{planned, refused, text, tree, with_file};

fn object(kind: &str, rest: &str) -> String {
    format!("apiVersion: example/v1\nkind: {kind}\nmetadata: {{ name: x }}\n{rest}\n")
}

#[test]
fn p26_an_object_that_names_another_namespace_is_refused_before_any_change() {
    let store = "apiVersion: v1\nkind: Service\nmetadata: { name: vector-store, namespace: shop-prod }\n";
    let mut request = with_file("store.yaml", store);
    insta::assert_snapshot!(refused(&request), @"`cart`: `store.yaml` document 1 (line 1): `metadata.namespace` of Service/vector-store is `shop-prod`, the environment's namespace is `shop-staging`");

    request.namespace_rule.allow.insert("shop-prod".to_owned());
    assert!(text(&tree(&request), "services/cart/store.yaml").contains("namespace: shop-prod"));

    request.namespace_rule.allow.clear();
    request.namespace_rule.foreign = ForeignNamespace::Rewrite;
    assert!(text(&tree(&request), "services/cart/store.yaml").contains("namespace: shop-staging"));
}

#[test]
fn p26_an_allowed_namespace_that_no_object_names_is_a_note_of_the_plan() {
    let binding = object(
        "RoleBinding",
        "subjects: [{ kind: ServiceAccount, name: a, namespace: accounts }]\nspec: { targetNamespace: target }",
    );
    let store = "apiVersion: v1\nkind: Service\nmetadata: { name: vector-store, namespace: shop-prod }\n";
    let mut request = with_file("store.yaml", &format!("{store}---\n{binding}"));
    request.namespace_rule.allow = ["accounts", "shop-prod", "target"].map(str::to_owned).into();
    assert_eq!(planned(&request).notes, [""; 0]);
    request.namespace_rule.allow.insert("shop-old".to_owned());
    let note = "`namespaces.allow` of `staging` has `shop-old`, and no object of this release names it";
    assert_eq!(planned(&request).notes, [note]);
    // A service that is left out may need it.
    request.paused.insert("web".parse().unwrap());
    assert_eq!(planned(&request).notes, [""; 0]);
}

#[test]
fn p26_objects_inside_a_list_are_objects() {
    let list = "kind: List\napiVersion: v1\nitems:\n- { apiVersion: v1, kind: Secret, metadata: { name: s, namespace: kube-system } }\n";
    assert!(refused(&with_file("list.yaml", list)).contains("`metadata.namespace` of Secret/s is `kube-system`"));
    let good = list.replace(", namespace: kube-system", "");
    let tree = tree(&with_file("list.yaml", &good));
    assert!(!text(&tree, "services/cart/list.yaml").contains("kind: List"));
}

#[test]
fn t17_what_reaches_beyond_the_namespace_is_refused_by_name() {
    let pod = |spec: &str| object("Pod", &format!("spec: {{ containers: [{{ name: a }}], {spec} }}"));
    let context =
        |context: &str| object("Pod", &format!("spec: {{ containers: [{{ name: a, securityContext: {context} }}] }}"));
    let cases = [
        (object("ClusterRoleBinding", ""), "ClusterRoleBinding/x belongs to no namespace"),
        (object("ValidatingWebhookConfiguration", ""), "ValidatingWebhookConfiguration/x belongs to no namespace"),
        (object("CustomResourceDefinition", ""), "CustomResourceDefinition/x belongs to no namespace"),
        (object("Namespace", ""), "Namespace/x belongs to no namespace"),
        (object("ClusterIssuer", ""), "ClusterIssuer/x belongs to no namespace"),
        (object("PersistentVolume", ""), "PersistentVolume/x belongs to no namespace"),
        (pod("hostNetwork: true"), "Pod/x asks for hostNetwork"),
        (pod("hostPID: true"), "Pod/x asks for hostPID"),
        (pod("volumes: [{ name: v, hostPath: { path: / } }]"), "Pod/x asks for hostPath `/`"),
        (context("{ privileged: true }"), "Pod/x asks for a privileged container"),
        (context("{ capabilities: { add: [SYS_ADMIN] } }"), "Pod/x asks for the capability SYS_ADMIN"),
        (
            object("RoleBinding", "subjects: [{ kind: ServiceAccount, name: a, namespace: kube-system }]"),
            "`subjects[0].namespace` of RoleBinding/x is `kube-system`",
        ),
        (
            object("RoleBinding", "subjects: [{ kind: Group, name: 'system:authenticated' }]"),
            "RoleBinding/x gives rights to the Group `system:authenticated`",
        ),
        (object("HelmRelease", "spec: { targetNamespace: kube-system }"), "`spec.targetNamespace` of HelmRelease/x"),
        (object("Application", "spec: { destination: { namespace: kube-system } }"), "`spec.destination.namespace` of"),
    ];
    for (manifest, expected) in cases {
        // Hooks are objects like others.
        let hook = manifest.replace("{ name: x }", "{ name: x, annotations: { helm.sh/hook: pre-install } }");
        for manifest in [manifest, hook] {
            let text = refused(&with_file("x.yaml", &manifest));
            assert!(text.contains(expected) && text.lines().count() == 1, "{manifest}{text}");
        }
    }
}

#[test]
fn t17_named_lists_let_through_what_they_name_and_nothing_else() {
    let manifest = object("ClusterRole", "rules: []") + "---\n" + &object("PriorityClass", "value: 1");
    let mut request = with_file("x.yaml", &manifest);
    request.namespace_rule.cluster_scoped = ["ClusterRole/x".to_owned(), "PriorityClass".to_owned()].into();
    assert!(!text(&tree(&request), "services/cart/x.yaml").contains("namespace:"));
    request.namespace_rule.cluster_scoped = ["ClusterRole/y".to_owned(), "PriorityClass".to_owned()].into();
    assert_eq!(refused(&request).lines().count(), 1);

    let mut request =
        with_file("x.yaml", &object("DaemonSet", "spec: { template: { spec: { hostIPC: true, containers: [] } } }"));
    assert!(refused(&request).contains("DaemonSet/x asks for hostIPC"));
    request.namespace_rule.privileged.insert("DaemonSet/x".to_owned());
    assert_eq!(tree(&request).files.len(), 5);
}

#[test]
fn t17_a_binding_gives_rights_to_a_group_only_where_a_list_names_it() {
    let binding = object("RoleBinding", "subjects: [{ kind: Group, name: 'system:authenticated' }]");
    let mut request = with_file("x.yaml", &binding);
    for (named, accepted) in [("RoleBinding/x", true), ("RoleBinding", true), ("RoleBinding/y", false)] {
        request.namespace_rule.privileged = [named.to_owned()].into();
        assert_eq!(deployer::render::plan(&request, None).is_ok(), accepted, "{named}");
    }
}

#[test]
fn p29_an_object_without_a_fixed_name_is_refused() {
    let manifest = "apiVersion: batch/v1\nkind: Job\nmetadata: { generateName: seed- }\n";
    assert!(refused(&with_file("job.yaml", manifest)).contains("`generateName` makes another object each time"));
}
