//! Plain manifests applied to a real API server: ownership, order, validation and removal.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use deployer::apply::ConflictRule;
use deployer::cluster::{Allowed, Kubeconfig};
use deployer::git::process::Interrupt;
use deployer::{
    Applied, AppliedDetail, ApplyOptions, ApplyTarget, ChangeKind, ChangeReason, DeployError, DeployRequest,
    DeployService, EnvironmentNamespace, NamespaceRule, Plan, ProgramSearch, RemovedServiceRule, Risk, Target,
};
use lock_model::Timestamp;
use test_support::{Cluster, Peer};

use crate::shop::request;

/// One environment in a namespace of its own.
struct Staging {
    cluster: &'static Cluster,
    namespace: String,
    runtime: tokio::runtime::Runtime,
    target: Target,
}

impl Staging {
    fn new_or_skip(take: &[&str]) -> Option<Self> {
        let cluster = Cluster::shared_or_skip()?;
        cluster.fake_nodes_or_skip(1)?;
        let namespace = cluster.fake_namespace("apply");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let target = Self::target_of(cluster, &runtime, &namespace, Duration::from_secs(90), take);
        Some(Self { cluster, namespace, runtime, target })
    }

    /// The same target, which waits for a moment only.
    fn short(&self) -> Target {
        Self::target_of(self.cluster, &self.runtime, &self.namespace, Duration::from_secs(5), &[])
    }

    fn target_of(
        cluster: &Cluster,
        runtime: &tokio::runtime::Runtime,
        namespace: &str,
        patience: Duration,
        take: &[&str],
    ) -> Target {
        let kubeconfig = Kubeconfig::parse(cluster.kubeconfig().as_bytes(), None, &Allowed::default()).unwrap();
        let deadline = Instant::now() + patience;
        let opened = EnvironmentNamespace::new(&kubeconfig, namespace, "forge/shop", deadline, Interrupt::new());
        let opened = runtime.block_on(opened).unwrap();
        let rule = ConflictRule::new(take.iter().map(|name| (*name).to_owned()).collect());
        Target::Apply(ApplyTarget::new(ProgramSearch::new(""), opened, rule))
    }

    /// A request with services without images: name, and manifests in one file.
    fn request(&self, services: &[(&str, &str)]) -> DeployRequest {
        let services = services.iter().map(|(name, text)| {
            let mut service = DeployService::new((*name).try_into().unwrap());
            service.files = vec![("all.yaml".to_owned(), text.as_bytes().to_vec())];
            service
        });
        let mut request = request(services.collect());
        request.namespace.clone_from(&self.namespace);
        request
    }

    fn plan(&self, request: &DeployRequest) -> Result<Plan, DeployError> {
        self.runtime.block_on(self.target.plan(request))
    }

    #[track_caller]
    fn refused(&self, services: &[(&str, &str)]) -> String {
        self.plan(&self.request(services)).unwrap_err().to_string()
    }

    #[track_caller]
    fn deploy(&self, request: &DeployRequest) -> (Plan, Applied) {
        let plan = self.plan(request).unwrap_or_else(|error| panic!("{error}"));
        let options = ApplyOptions::new("lena", Timestamp::from_unix_seconds(1_800_000_000));
        let applied = self.runtime.block_on(self.target.apply(&plan, &options, &|_| ()));
        (plan, applied.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Deploys one service; gives what changed, and the notes.
    #[track_caller]
    fn deploys(&self, text: &str) -> (Vec<String>, String) {
        let (plan, _) = self.deploy(&self.request(&[("cart", text)]));
        let word = |kind| match kind {
            ChangeKind::Added => "+",
            ChangeKind::Removed => "-",
            ChangeKind::Changed => "~",
        };
        let changes = plan.changes.iter().map(|change| format!("{}{}", word(change.kind), change.path));
        (changes.collect(), plan.notes.join("\n"))
    }

    #[track_caller]
    fn kubectl(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').chain(["--namespace", &self.namespace]).collect();
        self.cluster.kubectl(&words)
    }

    /// Installs objects as a release of a real helm.
    #[track_caller]
    fn install(&self, helm: &Peer, release: &str, objects: &str) {
        let (chart, kubeconfig) = (helm.home().join("chart"), self.cluster.kubeconfig_path());
        std::fs::create_dir_all(chart.join("templates")).unwrap();
        std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: cart\nversion: 0.1.0\n").unwrap();
        std::fs::write(chart.join("templates/all.yaml"), objects).unwrap();
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        helm.run(&["install", release, chart.to_str().unwrap(), "--namespace", &self.namespace, &kubeconfig]);
    }

    fn field(&self, object: &str, path: &str) -> String {
        self.kubectl(&format!("get {object} --output=jsonpath={path} --ignore-not-found"))
    }

    fn uid(&self, object: &str) -> String {
        self.field(object, "{.metadata.uid}")
    }
}

fn map(name: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ {data} }}\n---\n")
}

fn deployment(spec: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec:\n  selector: {{ matchLabels: {{ app: web }} }}\n  \
         template: {{ metadata: {{ labels: {{ app: web }} }}, spec: {{ containers: [{{ name: a, image: r.io/a:1 }}] }} }}\n{spec}---\n"
    )
}

#[test]
fn a1_what_kubectl_or_helm_applied_is_moved_once_and_a_key_that_goes_from_the_manifest_goes() {
    let Some(staging) = Staging::new_or_skip(&[]) else { return };
    let Some(helm) = Peer::find_or_skip("helm3") else { return };
    for manager in ["kubectl-client-side-apply", "helm"] {
        let name = if manager == "helm" { "by-helm" } else { "by-kubectl" };
        let old = map(name, "a: '1', b: '2', c: '3'")
            .replace("{ name", &format!("{{ namespace: {}, name", staging.namespace));
        if manager == "helm" {
            staging.install(&helm, name, &old);
            let refused = staging.refused(&[("cart", &map(name, "a: '1', b: '2'"))]);
            assert!(refused.contains("belongs to the helm release `by-helm`"), "{refused}");
            // Who leaves helm deletes what it keeps of its releases.
            staging.kubectl("delete secret --selector=owner=helm");
        } else {
            staging.cluster.apply(&old);
        }
        let (changes, notes) = staging.deploys(&map(name, "a: '1', b: '2'"));
        assert!(changes.contains(&format!("~ConfigMap/{name}")), "{changes:?} {notes}");
        assert!(notes.contains(&format!("what `{manager}` wrote is ours from now on, and `.data.c`")), "{notes}");
        assert_eq!(staging.field(&format!("configmap/{name}"), "{.data}"), r#"{"a":"1","b":"2"}"#);
        let (_, notes) = staging.deploys(&map(name, "a: '1'"));
        assert!(!notes.contains("is ours"), "once: {notes}");
        assert_eq!(staging.field(&format!("configmap/{name}"), "{.data}"), r#"{"a":"1"}"#);
        assert_eq!(staging.field(&format!("configmap/{name}"), "{.metadata.annotations}"), "");
        // What is moved is in the inventory as well.
        staging.deploys(&map("nothing", "a: '1'"));
        assert_eq!(staging.uid(&format!("configmap/{name}")), "");
    }
}

#[test]
fn a1_what_the_api_server_makes_of_the_same_manifest_is_no_difference() {
    let Some(staging) = Staging::new_or_skip(&[]) else { return };
    let secret = |data: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: pre }}\n{data}\n---\n");
    // Quantities, ports and the account of the pod are kept in another form or under another name; much is filled in.
    let spec = "{ serviceAccountName: default, containers: [{ name: a, image: r.io/a:1, ports: [{ containerPort: 80 }], \
                resources: { limits: { cpu: 1000m, memory: 1024Mi } } }] }";
    let web = deployment("").replace("{ containers: [{ name: a, image: r.io/a:1 }] }", spec);
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: web }\nspec: { ports: [{ port: 80, \
                   targetPort: 80 }] }\n---\n";
    let all = format!("{}{web}{service}", secret("stringData: { pw: abcdefgh }"));
    let place = format!("metadata: {{ namespace: {}, name", staging.namespace);
    staging.cluster.apply(&all.replace("metadata: { name", &place));
    let (_, notes) = staging.deploys(&all);
    assert!(notes.contains("what `kubectl-client-side-apply` wrote is ours") && !notes.contains("goes"), "{notes}");
    let (changes, notes) = staging.deploys(&all);
    assert!(changes.is_empty(), "{changes:?} {notes}");

    // A key under another name takes the place of the one that leaves the manifest.
    let renamed = all.replace("{ pw: abcdefgh }", "{ pw2: abcdefgh }");
    assert_eq!(staging.deploys(&renamed).0, ["~Secret/pre"]);
    assert_eq!(staging.field("secret/pre", "{.data}"), r#"{"pw2":"YWJjZGVmZ2g="}"#);
    let both = renamed.replace("stringData: { pw2: abcdefgh }", "type: Opaque\ndata: { pw2: YWJjZGVmZ2g= }");
    assert_eq!(staging.deploys(&both).0, ["~Secret/pre"], "its type is the manifest's now");
}

#[test]
fn a2_everything_is_validated_before_the_first_write_and_a_filled_in_field_is_named_with_what_clears_it() {
    let Some(staging) = Staging::new_or_skip(&[]) else { return };
    let service = |port: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{ name: web }}\nspec: {{ ports: [{{ port: {port} }}] }}\n---\n"
        )
    };
    let first = format!("{}{}{}", map("before", "a: '1'"), service("80"), deployment(""));
    staging.deploys(&first);
    assert_eq!(staging.field("deployment/web", "{.spec.strategy.type}"), "RollingUpdate");

    // A field that cannot be changed, and a value that is none: both are named, and nothing of the batch is written.
    let broken =
        format!("{}{}{}", map("before", "a: '2'"), service("http"), deployment("").replace("app: web", "app: other"));
    let refused = staging.refused(&[("cart", &broken)]);
    assert!(refused.contains("spec.selector") && refused.contains("immutable"), "{refused}");
    assert!(refused.contains("Service/web"), "{refused}");
    assert_eq!(staging.field("configmap/before", "{.data.a}"), "1");

    let uid = staging.uid("deployment/web");
    let recreate =
        format!("{}{}{}", map("before", "a: '1'"), service("80"), deployment("  strategy: { type: Recreate }\n"));
    let refused = staging.refused(&[("cart", &recreate)]);
    assert!(
        refused.contains("spec.strategy.rollingUpdate") && refused.contains("kubectl patch deployment web"),
        "{refused}"
    );
    staging.kubectl(
        r#"patch deployment web --type=merge --patch={"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}"#,
    );
    let (changes, _) = staging.deploys(&recreate);
    assert_eq!(changes, ["~Deployment/web"]);
    assert_eq!(staging.field("deployment/web", "{.spec.strategy}"), r#"{"type":"Recreate"}"#);
    assert_eq!(staging.uid("deployment/web"), uid);

    // The same again writes nothing, asks for nothing and says so.
    let versions =
        || staging.kubectl("get all,configmap,secret --output=jsonpath={.items[*].metadata.resourceVersion}");
    let before = versions();
    let (plan, applied) = staging.deploy(&staging.request(&[("cart", &recreate)]));
    assert!(plan.changes.is_empty(), "{:?}", plan.changes);
    let AppliedDetail::Apply(applied) = applied.detail else { panic!("another target") };
    assert_eq!((applied.objects, applied.written, applied.removed), (3, 0, 0));
    assert_eq!(versions(), before);
}

#[test]
fn a3_only_what_the_inventory_made_and_the_plan_lacks_is_removed() {
    let Some(staging) = Staging::new_or_skip(&[]) else { return };
    let kept = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: kept, annotations: { orchestrator.dev/prune: never } }\n---\n";
    let scaler = |version: &str, metric: &str| {
        format!(
            "apiVersion: autoscaling/{version}\nkind: HorizontalPodAutoscaler\nmetadata: {{ name: web }}\nspec: {{ maxReplicas: 3, \
             scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: web }}{metric} }}\n---\n"
        )
    };
    let first = format!(
        "{}{}{kept}{}",
        map("stays", "a: '1'"),
        map("goes", "a: '1'"),
        scaler("v1", ", targetCPUUtilizationPercentage: 50")
    );
    staging.deploys(&(first.clone() + &map("remade", "a: '1'")));
    let uid = staging.uid("hpa/web");
    let inventory = || staging.field("configmap/orchestrator-inventory-cart", "{.data.objects}");
    assert!(inventory().contains(r#""version":"v1","kind":"HorizontalPodAutoscaler""#), "{}", inventory());
    staging.kubectl("delete configmap remade");
    staging.kubectl("create configmap remade --from-literal=a=mine");
    staging.kubectl("create configmap foreign --from-literal=a=mine");

    let second = format!("{}{}", map("stays", "a: '1'"), scaler("v2", ", minReplicas: 2"));
    let (changes, notes) = staging.deploys(&second);
    assert_eq!(changes, ["~HorizontalPodAutoscaler/web", "-ConfigMap/goes"], "{notes}");
    assert!(notes.contains("ConfigMap/kept") && notes.contains("prune: never"), "{notes}");
    assert_eq!(staging.uid("hpa/web"), uid, "another version of the same object");
    let known = inventory();
    assert!(known.contains(r#""version":"v2","kind":"HorizontalPodAutoscaler""#), "{known}");
    assert_eq!(known.matches("HorizontalPodAutoscaler").count(), 1, "{known}");
    let maps = staging.kubectl("get configmap --output=name");
    for (name, is_there) in [("stays", true), ("goes", false), ("kept", true), ("remade", true), ("foreign", true)] {
        assert_eq!(maps.contains(&format!("configmap/{name}\n")), is_there, "{name}: {maps}");
    }

    // Another service may have the object in the same release; once its service is gone, no one takes it silently.
    let moved = staging.request(&[("cart", &scaler("v2", ", minReplicas: 2")), ("web", &map("stays", "a: '1'"))]);
    let stays = staging.uid("configmap/stays");
    staging.deploy(&moved);
    assert_eq!(staging.uid("configmap/stays"), stays);
    let refused = staging.refused(&[("other", &map("stays", "a: '2'"))]);
    assert!(refused.contains("ConfigMap/stays") && refused.contains("inventory of service `web`"), "{refused}");
    let (plan, _) = staging.deploy(&staging.request(&[("cart", &scaler("v2", ", minReplicas: 2"))]));
    assert!(plan.notes.iter().any(|note| note.contains("`web` is not deployed here any more")), "{:?}", plan.notes);
    assert_eq!(staging.uid("configmap/stays"), stays);
}

/// The API server keeps events in one place, and serves them under two groups.
#[test]
fn a3_an_object_that_two_groups_serve_stays_when_its_manifest_goes_from_one_to_the_other() {
    let Some(staging) = Staging::new_or_skip(&[]) else { return };
    let event = |version: &str, about: &str, by: &str| {
        format!(
            "apiVersion: {version}\nkind: Event\nmetadata: {{ name: opened }}\n{about}: {{ kind: Pod, name: web, namespace: {} }}\n\
             {by}: shop.example/web\nreportingInstance: web\naction: Open\nreason: Opened\ntype: Normal\neventTime: \
             \"2026-11-30T08:00:00.000000Z\"\n---\n",
            staging.namespace
        )
    };
    let beside = map("beside", "a: '1'");
    let old = format!("{beside}{}", event("events.k8s.io/v1", "regarding", "reportingController"));
    staging.deploys(&old);
    let uid = staging.uid("events/opened");
    let new = staging.request(&[("cart", &format!("{beside}{}", event("v1", "involvedObject", "reportingComponent")))]);
    let plan = staging.plan(&new).unwrap();
    assert!(plan.changes.iter().all(|change| change.kind != ChangeKind::Removed), "{:?}", plan.changes);
    // Events of the first group only tell of other objects, so that this one is waited for in vain: both names are known then.
    let options = ApplyOptions::new("lena", Timestamp::from_unix_seconds(1_800_000_000));
    staging.runtime.block_on(staging.short().apply(&plan, &options, &|_| ())).unwrap_err();
    let known = || {
        let known = staging.field("configmap/orchestrator-inventory-cart", "{.data.objects}");
        (known.matches(r#""kind":"Event""#).count(), known.matches(r#""group":"events.k8s.io""#).count())
    };
    assert_eq!((staging.uid("events/opened"), known()), (uid.clone(), (2, 1)));
    // Back in the other group, the name that is left over is that of the same object.
    let (changes, notes) = staging.deploys(&old);
    assert!(changes.iter().all(|change| !change.starts_with('-')), "{changes:?} {notes}");
    assert_eq!((staging.uid("events/opened"), known()), (uid, (1, 1)), "{changes:?} {notes}");
    // What goes from the manifest altogether is removed.
    assert_eq!(staging.deploys(&beside).0, ["-Event/opened"]);
    assert_eq!(staging.uid("events/opened"), "");
}

#[test]
fn fields_of_other_managers_refuse_the_plan_unless_a_rule_takes_them() {
    let Some(staging) = Staging::new_or_skip(&["trusted"]) else { return };
    let wanted = format!("{}{}", map("a", "k: '1'"), deployment("  replicas: 1\n"));
    staging.deploys(&wanted);
    let patch = |value: &str, manager: &str| {
        let patch = format!(r#"patch configmap a --patch={{"data":{{"k":"{value}"}}}} --field-manager={manager}"#);
        staging.kubectl(&patch);
    };
    patch("2", "trusted");
    staging.kubectl("scale deployment/web --replicas=2");
    let (changes, notes) = staging.deploys(&wanted);
    assert_eq!(changes, ["~ConfigMap/a", "~Deployment/web"], "{notes}");
    assert!(notes.contains("takes over `.data.k` by `trusted`"), "{notes}");
    assert!(notes.contains("takes over `.spec.replicas` by `kubectl` (scale)"), "{notes}");
    assert_eq!(staging.field("deployment/web", "{.spec.replicas}"), "1");

    // Of nothing the API server names no owner.
    staging.kubectl("scale deployment/web --replicas=0");
    assert_eq!(staging.deploys(&wanted).0, ["~Deployment/web"]);
    assert_eq!(staging.field("deployment/web", "{.spec.replicas}"), "1");

    // A manifest without a number starts it too, and leaves the number to others afterwards.
    let silent = format!("{}{}", map("a", "k: '1'"), deployment(""));
    staging.deploys(&silent);
    staging.kubectl("scale deployment/web --replicas=0");
    assert_eq!(staging.deploys(&silent).0, ["~Deployment/web"]);
    assert_eq!(staging.field("deployment/web", "{.spec.replicas}"), "1");
    assert!(staging.deploys(&silent).0.is_empty());
    staging.kubectl("scale deployment/web --replicas=3");
    assert!(staging.deploys(&silent).0.is_empty());
    assert_eq!(staging.field("deployment/web", "{.spec.replicas}"), "3");

    patch("3", "by-hand");
    let refused = staging.refused(&[("cart", &wanted)]);
    assert!(refused.contains("other managers own `.data.k` by `by-hand`"), "{refused}");
    assert_eq!(staging.field("configmap/a", "{.data.k}"), "3");
}

#[test]
fn w2_a_namespace_and_a_kind_of_the_plan_come_first_and_the_rest_is_validated_then() {
    let Some(staging) = Staging::new_or_skip(&[]) else { return };
    let group = format!("{}.example", staging.namespace);
    let other = format!("{}-other", staging.namespace);
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{ name: widgets.{group} }}\nspec:\n  group: \
         {group}\n  scope: Namespaced\n  names: {{ plural: widgets, kind: Widget }}\n  versions:\n  - name: v1\n    served: true\n    \
         storage: true\n    schema: {{ openAPIV3Schema: {{ type: object, properties: {{ spec: {{ type: object, properties: {{ size: {{ \
         type: integer }} }} }} }} }} }}\n---\n"
    );
    let widget = |size: &str| {
        format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{ name: w }}\nspec: {{ size: {size} }}\n---\n")
    };
    let space = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {other} }}\n---\n");
    let inside = map("inside", "a: '1'").replace("{ name", &format!("{{ namespace: {other}, name"));
    let request = |size: &str| {
        let all = format!("{}{}{inside}{space}{definition}", map("a", "a: '1'"), widget(size));
        let mut request = staging.request(&[("cart", &all)]);
        let names = ["CustomResourceDefinition", "Namespace"].map(str::to_owned);
        request.namespace_rule = NamespaceRule {
            allow: BTreeSet::from([other.clone()]),
            cluster_scoped: BTreeSet::from(names),
            ..NamespaceRule::default()
        };
        request
    };
    // A kind that nothing brings is named with its object, before anything is written.
    let refused = staging.refused(&[("cart", &format!("{}{}", map("a", "a: '1'"), widget("3")))]);
    assert!(refused.contains("Widget/w") && refused.contains("does not serve this kind"), "{refused}");
    // What can be found out only after the definition is there stops everything else.
    let plan = staging.plan(&request("big")).unwrap();
    let options = ApplyOptions::new("lena", Timestamp::from_unix_seconds(1_800_000_000));
    let failed = staging.runtime.block_on(staging.target.apply(&plan, &options, &|_| ())).unwrap_err();
    assert!(failed.to_string().contains("spec.size"), "{failed}");
    assert_eq!(staging.uid("configmap/a"), "");

    let (plan, _) = staging.deploy(&request("3"));
    assert_eq!(plan.changes.len(), 3, "what was written by then is kept: {:?}", plan.changes);
    assert_eq!(staging.field("widget/w", "{.spec.size}"), "3");
    let proof = staging.runtime.block_on(staging.target.prove(&request("3"))).unwrap();
    assert!(proof.is_proven(), "{:?}", proof.findings);
    staging.kubectl("delete widget w");
    let proof = staging.runtime.block_on(staging.target.prove(&request("3"))).unwrap();
    assert!(proof.findings[0].message.contains("Widget"), "{:?}", proof.findings);
}

#[test]
fn a_service_that_left_is_removed_on_request_apart_from_what_holds_data_and_what_is_left_out_for_a_time() {
    let Some(staging) = Staging::new_or_skip(&[]) else { return };
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: { name: data, annotations: { a: b } }\nspec: { \
                 storageClassName: none, accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }\n---\n";
    let both = format!("{}{claim}", map("of-web", "a: '1'"));
    let all = [("cart", map("of-cart", "a: '1'")), ("web", both)];
    let all: Vec<(&str, &str)> = all.iter().map(|(name, text)| (*name, text.as_str())).collect();
    // Nothing binds the claim: it is written, and the wait for it ends.
    let plan = staging.plan(&staging.request(&all)).unwrap();
    let options = ApplyOptions::new("lena", Timestamp::from_unix_seconds(1_800_000_000));
    drop(staging.runtime.block_on(staging.short().apply(&plan, &options, &|_| ())));
    assert!(!staging.uid("pvc/data").is_empty() && !staging.uid("configmap/of-web").is_empty());

    let mut request = staging.request(&all[..1]);
    request.removed = RemovedServiceRule::Delete;
    request.paused = BTreeSet::from(["web".try_into().unwrap()]);
    let (plan, _) = staging.deploy(&request);
    assert!(plan.notes.iter().all(|note| !note.contains("web")), "{:?}", plan.notes);
    request.paused.clear();
    let findings = |request: &DeployRequest| {
        let proof = staging.runtime.block_on(staging.target.prove(request)).unwrap();
        proof.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert!(findings(&request).contains("`web`: it is not deployed here any more, and its objects are there: 2"));
    let (plan, _) = staging.deploy(&request);
    assert!(plan.changes.iter().any(|change| change.path == "ConfigMap/of-web" && change.kind == ChangeKind::Removed));
    let web = plan.services.iter().find(|service| service.service.as_str() == "web").unwrap();
    assert_eq!(web.reasons, BTreeSet::from([ChangeReason::Left]));
    assert!(web.objects.len() == 1 && web.objects[0].risks.contains(&Risk::Deletion), "{:?}", web.objects);
    assert!(
        plan.notes.iter().any(|note| note.contains("PersistentVolumeClaim/data of `web` stays")),
        "{:?}",
        plan.notes
    );
    assert!(staging.uid("configmap/of-web").is_empty() && !staging.uid("pvc/data").is_empty());
    assert!(staging.uid("configmap/orchestrator-inventory-web").is_empty());
    assert_eq!(findings(&request), "");
}

#[test]
fn w2_a_pod_comes_after_the_account_of_its_own_manifests_and_is_refused_by_name_without_one() {
    let Some(staging) = Staging::new_or_skip(&[]) else { return };
    let account =
        |place: &str| format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{ {place}name: plain }}\n---\n");
    let pod = |place: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{ {place}name: single }}\nspec: {{ serviceAccountName: plain, containers: [{{ name: \
             a, image: r.io/a:1 }}] }}\n---\n"
        )
    };
    let refused = staging.refused(&[("cart", &pod(""))]);
    for told in ["the cluster would not take Pod/single", "serviceaccount \"plain\" not found"] {
        assert!(refused.contains(told), "{refused}");
    }
    let both = format!("{}{}", pod(""), account(""));
    let (changes, _) = staging.deploys(&both);
    assert_eq!(changes, ["+ServiceAccount/plain", "+Pod/single"]);
    assert_eq!(staging.deploys(&both).0, [""; 0]);

    // In a namespace of the plan, what is wrong is found before anything is written there.
    let other = format!("{}-pods", staging.namespace);
    let place = format!("namespace: {other}, ");
    let all = format!(
        "{}{}apiVersion: v1\nkind: Namespace\nmetadata: {{ name: {other} }}\n---\napiVersion: policy/v1\nkind: \
         PodDisruptionBudget\nmetadata: {{ {place}name: b }}\nspec: {{ minAvailable: many }}\n",
        pod(&place),
        account(&place)
    );
    let mut request = staging.request(&[("cart", &both), ("search", &all)]);
    request.namespace_rule = NamespaceRule {
        allow: BTreeSet::from([other.clone()]),
        cluster_scoped: BTreeSet::from(["Namespace".to_owned()]),
        ..NamespaceRule::default()
    };
    let plan = staging.plan(&request).unwrap();
    let options = ApplyOptions::new("lena", Timestamp::from_unix_seconds(1_800_000_000));
    let failed = staging.runtime.block_on(staging.target.apply(&plan, &options, &|_| ())).unwrap_err();
    assert!(failed.to_string().contains("minAvailable"), "{failed}");
    assert_eq!(staging.cluster.kubectl(&["get", "pods", "--namespace", &other, "--output=name"]), "");

    // The standard for pods of a namespace is a rule, and no right that is missing.
    let label = "pod-security.kubernetes.io/enforce=restricted";
    staging.cluster.kubectl(&["label", "namespace", &staging.namespace, label]);
    staging.kubectl("delete pod single --force");
    let refused = staging.refused(&[("cart", &both)]);
    assert!(refused.contains("the cluster would not take Pod/single"), "{refused}");
    assert!(refused.contains("violates PodSecurity"), "{refused}");
}
