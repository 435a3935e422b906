//! Rules that need more than a file: services, decisions, origins, files, policy relaxations.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{
    AssignedKind, CheckSeverity, ComparedTree, Config, Deployment, EnvironmentVariable, InputCoverage, Mirror,
    PolicyRelaxation, ProbeKind, ProgramName, PushedPolicy, RelaxationKind, RevisionPolicy, Role, ServiceSettings,
    SettingOrigin, SettingSource, ShowOrigin, SourceFolder, SourceValue, Submodules, SuiteKind, Target, Values,
    Variable, policy_relaxations,
};
use lock_model::{CommitId, Date, Digest, EnvironmentName, FileMode, ServiceName, SuiteName, TreePath, config_digest};

const DEMO: &str = include_str!("../fixtures/config/valid/demo.yaml");
const LAYERS: &str = include_str!("../fixtures/config/valid/layers.yaml");

fn load(text: &str) -> Config {
    Config::parse("orchestrator.yaml", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn demo() -> Config {
    load(DEMO)
}

fn paths(list: &[&str]) -> Vec<TreePath> {
    list.iter().map(|path| TreePath::try_from(*path).unwrap()).collect()
}

fn demo_paths() -> Vec<TreePath> {
    paths(&[
        "ops/shop-grafana",
        "services/shop-cart",
        "services/shop-catalog",
        "services/shop-reports",
        "services/gateway",
    ])
}

fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::try_from(name).unwrap()
}

fn today() -> Date {
    "2026-06-01".parse().unwrap()
}

fn decide(config: &Config, env: &str, name: &str, path: &str) -> Deployment {
    let (name, path) = (ServiceName::try_from(name).unwrap(), TreePath::try_from(path).unwrap());
    config.environments[&environment(env)].decide(&name, &path, today())
}

fn settings(config: &Config, env: &str, name: &str, path: &str) -> ServiceSettings {
    match decide(config, env, name, path) {
        Deployment::Deploy(settings) => settings,
        other => panic!("{name} is not deployed: {other:?}"),
    }
}

#[test]
fn the_demo_has_its_values() {
    let config = demo();
    assert_eq!(config.project.prefix, "shop-");
    assert_eq!(config.branches.of(Role::Integration).as_str(), "dev");
    assert_eq!(config.branches.role_of("main"), Some(Role::Production));
    assert_eq!(config.registries["registry.example"].mirror, Some(Mirror::OciLayout("../registry".to_owned())));
    assert_eq!(config.submodules, Submodules { allow: None, branches: None, pushed: PushedPolicy::Off });
    let system = &config.suites["system"];
    assert_eq!(system.deadline, Duration::from_secs(120));
    let SuiteKind::Command(suite) = &system.kind else { panic!("a command") };
    assert_eq!(suite.command.program, ProgramName::InTree(TreePath::try_from("tests/system").unwrap()));
    assert_eq!(suite.command.arguments[0].as_str(), "{url}");
    assert_eq!(
        system.definition,
        serde_json::json!({
            "kind": "command", "command": ["./tests/system", "{url}"], "env": [], "files": ["tests/lib.sh"],
            "deadline": "2m",
        })
    );

    let staging = &config.environments["staging"];
    assert_eq!(staging.branch.as_ref().unwrap().as_str(), "staging");
    assert!(matches!(&staging.url, Some(SourceValue::Env(name)) if name.as_str() == "STAGING_URL"));
    let Some(Target::Render(target)) = &staging.target else { panic!("rendered") };
    assert_eq!(
        (target.branch.as_str(), target.folder.as_ref().map(TreePath::as_str)),
        ("deploy/staging", Some("rendered/staging"))
    );
    assert_eq!(staging.promote.as_ref().unwrap().to, environment("production"));
    assert_eq!(staging.requires.approvals, None);
    let gateway = &staging.health.probes["gateway"];
    assert!(
        matches!(&gateway.kind, ProbeKind::Http(asked) if asked.url.as_str() == "{url}/healthz" && asked.status == 200)
    );
    assert_eq!((gateway.severity, gateway.deadline), (CheckSeverity::Block, Duration::from_secs(5)));
    let db = &staging.health.dependencies["db"].kind;
    assert_eq!(db, &ProbeKind::Tcp { address: "127.0.0.1:5432".to_owned() });

    let production = &config.environments["production"];
    assert_eq!(production.mode.as_str(), "production", "its name where the file says nothing");
    assert_eq!(production.requires.approvals.as_ref().unwrap().count, 4);
    assert_eq!(production.requires.proven_in, Some(environment("staging")));
    assert!(!production.health.probes.contains_key("script"), "`null` removes what base says");
    assert!(production.not_deployed.is_empty());

    let pull_request = &config.environments["pull-request"];
    assert_eq!((pull_request.branch.as_ref(), pull_request.target.as_ref()), (None, None), "`base: none`");
    assert_eq!(pull_request.suites, [SuiteName::try_from("lint").unwrap()]);
}

#[test]
fn t48_a_variable_is_secret_unless_every_entry_calls_it_plain() {
    let config = load(
        "version: 1
forge: { kind: local, repository: https://forge.example/shop/shop }
suites:
  a: { kind: command, command: [./a], env: [A, B, C], plain: [A, B] }
  b: { kind: command, command: [./b], env: [B] }
environments:
  staging:
    health: { probes: { p: { kind: command, command: [./p], env: [A, D, E], plain: [A, E] } } }
",
    );
    let names: Vec<&str> = config.secret_variables().into_iter().map(EnvironmentVariable::as_str).collect();
    assert_eq!(names, ["B", "C", "D"]);
}

#[test]
fn layers_merge_deeply_and_lists_replace() {
    let config = load(LAYERS);
    let (staging, production) = (&config.environments["staging"], &config.environments["production"]);
    assert_eq!((staging.mode.as_str(), production.mode.as_str()), ("staging", "shared"));
    assert!(matches!(&staging.url, Some(SourceValue::Env(_))));
    assert!(matches!(&production.url, Some(SourceValue::Value(_))));
    assert_eq!((&staging.release.is_none(), production.release.is_some()), (&true, true));
    let gateway = &production.health.probes["gateway"];
    assert_eq!((gateway.severity, gateway.deadline), (CheckSeverity::Block, Duration::from_secs(90)));
    assert!(
        matches!(&gateway.kind, ProbeKind::Http(asked) if asked.url.as_str() == "{url}/healthz" && asked.status == 204)
    );
    assert_eq!(production.health.probes.len(), 1);
    assert!(production.requires.approvals.as_ref().unwrap().exclude.is_empty(), "lists replace defaults");
    assert_eq!(config.services.len(), 2);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let config = demo();
    let services = config.assign_services(&demo_paths()).unwrap();
    let commit = CommitId::try_from("0123456789abcdef0123456789abcdef01234567").unwrap();
    let shown: Vec<String> = services
        .iter()
        .map(|service| {
            let images: Vec<String> = service
                .candidates(&commit)
                .into_iter()
                .map(|(repository, tag)| format!("{repository}:{tag}"))
                .collect();
            format!("{} at {}: {}", service.name, service.path, images.join(" or "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "shop-grafana at ops/shop-grafana: ",
            "basket at services/shop-cart: registry.example/shop/basket:main-0123456789ab",
            "shop-catalog at services/shop-catalog: registry.example/shop/catalog:main-0123456 or \
             registry.example/shop/catalog:sha-0123456789ab",
            "shop-reports at services/shop-reports: registry.example/shop/reports:main-0123456 or \
             registry.example/shop/reports:sha-0123456789ab",
            "gateway at services/gateway: registry.example/shop/gateway:main-0123456 or \
             registry.example/shop/gateway:sha-0123456789ab",
        ]
    );
    assert_eq!(services[0].kind, AssignedKind::Configuration);
    assert_eq!(services[0].rule.place().unwrap().path, "services[0]");
    let AssignedKind::Image(image) = &services[1].kind else { panic!("an image") };
    assert_eq!(image.revision, RevisionPolicy::Require, "`images` says what the rule does not");
}

#[test]
fn every_problem_with_submodules_is_said_at_once() {
    let text = r#"version: 1
forge: { kind: local, repository: https://forge.example/shop/shop }
project: { prefix: shop- }
images: { repository: "registry.example/{path}", tags: [main] }
services:
  - match: services/*
  - { match: "ops/*", kind: configuration }
  - match: services/shop-cart
  - match: nothing/here
environments:
  staging:
    namespace: shop
    target: { kind: render, source: "{path}/deploy", branch: deploy }
    deploy: ["services/*", "infra/*"]
    not-deployed: { cart: { reason: r, owner: o, until: "2026-01-01" } }
    overrides: [{ match: shop-chart, namespaces: { rewrite: true } }]
    migrations: [{ match: shop-orders, irreversible: true }]
    waves: [ops/*, { match: shop-till }]
"#;
    let list = ["services/shop-cart", "services/Upper", "ops/shop-cart", "ops/grafana", "other/x", "services/a__-b"];
    let errors = load(text).assign_services(&paths(&list)).unwrap_err();
    let said: Vec<String> = errors
        .problems()
        .iter()
        .map(|problem| {
            let hint = problem.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}: {}: {}{hint}", problem.line().unwrap_or_default(), problem.path(), problem.message())
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    0: : no rule of `services` matches the submodule at `other/x` (a rule `- match: "**"` at the end is for all that is left)
    6: services[0]: submodule `services/Upper`: `Upper` is not a valid service name: lower-case letters, digits, `.`, `_`, `-`, starting with a letter or digit, at most 128 (a rule with `name:` gives it another)
    6: services[0]: service `a__-b`: `registry.example/services/a__-b` is not a valid image repository: a registry host and lower-case path segments, such as `ghcr.io/shop/cart`
    7: services[1]: `services/shop-cart` and `ops/shop-cart` are both named `shop-cart` (a rule with `name:` gives one of them another)
    8: services[2].match: rule `services/shop-cart` never decides: rules before it match all that it matches
    9: services[3].match: pattern `nothing/here` matches no submodule
    14: environments.staging.deploy[1]: pattern `infra/*` matches no service
    15: environments.staging.not-deployed.cart: no service is named `cart` (did you mean `shop-cart`?)
    16: environments.staging.overrides[0].match: pattern `shop-chart` matches no service (did you mean `shop-cart`?)
    17: environments.staging.migrations[0].match: pattern `shop-orders` matches no service
    18: environments.staging.waves: target `render` writes all services at once: it has no waves (what follows the branch decides on the order)
    18: environments.staging.waves: no wave of `staging` has `shop-cart`, `a__-b` (a first wave `"**"` has every service that no later wave names)
    18: environments.staging.waves[1].match: pattern `shop-till` matches no service
    "#);
}

#[test]
fn p13_every_service_is_deployed_or_has_a_reason() {
    let config = demo();
    config.assign_services(&demo_paths()).unwrap();
    assert_eq!(
        decide(&config, "staging", "shop-grafana", "ops/shop-grafana"),
        Deployment::LockedOnly { reason: "configuration of the operators".to_owned() }
    );
    let Deployment::NotDeployed { reason, owner, until, expired } =
        decide(&config, "staging", "shop-reports", "services/shop-reports")
    else {
        panic!("left out by name")
    };
    assert_eq!((reason.as_str(), owner.as_str(), expired), ("not ready", "team-reports", false));
    assert_eq!(until.to_string(), "2026-12-31");
    let late = config.environments["staging"].decide(
        &ServiceName::try_from("shop-reports").unwrap(),
        &TreePath::try_from("services/shop-reports").unwrap(),
        "2027-01-01".parse().unwrap(),
    );
    assert!(matches!(late, Deployment::NotDeployed { expired: true, .. }), "reading has no clock, deciding has");
    assert!(matches!(decide(&config, "production", "shop-reports", "services/shop-reports"), Deployment::Deploy(_)));
    assert!(matches!(decide(&config, "pull-request", "gateway", "services/gateway"), Deployment::LockedOnly { .. }));
}

#[test]
fn overrides_apply_in_order_base_before_environment() {
    let config = demo();
    let folder = |text: &str| SourceFolder::InService(Some(TreePath::try_from(text).unwrap()));
    let cart = settings(&config, "staging", "basket", "services/shop-cart");
    assert_eq!((cart.source, cart.namespaces.rewrite), (folder("manifests"), false));
    let gateway = settings(&config, "staging", "gateway", "services/gateway");
    assert_eq!((gateway.source, gateway.namespaces.allow.len()), (folder("deploy"), 0));
    let cart = settings(&config, "production", "basket", "services/shop-cart");
    assert_eq!((cart.source, cart.namespaces.rewrite), (folder("manifests"), true), "base's and the environment's");
    assert_eq!(cart.namespaces.allow.iter().map(ToString::to_string).collect::<Vec<_>>(), ["shared"]);
    let catalog = settings(&config, "production", "shop-catalog", "services/shop-catalog");
    assert_eq!((catalog.namespaces.allow.len(), catalog.namespaces.rewrite), (0, true), "the later one wins");
}

/// Objects that reach beyond the namespace are allowed one by one, and not by their kind.
#[test]
fn t17_w2_objects_beyond_the_namespace_are_named_by_kind_and_name() {
    let with = |cluster_scoped: &str, privileged: &str| {
        let lists = format!("allow: [], cluster-scoped: [{cluster_scoped}], privileged: [{privileged}]");
        DEMO.replace(
            "{ match: shop-catalog, namespaces: { allow: [] } }",
            &format!("{{ match: shop-catalog, namespaces: {{ {lists} }} }}"),
        )
    };
    let config = load(&with("\"ClusterRole/shop:reader\"", "DaemonSet/agent"));
    let rule = settings(&config, "production", "shop-catalog", "services/shop-catalog").namespaces;
    let shown = |list: &std::collections::BTreeSet<config::NamedObject>| {
        list.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        (shown(&rule.cluster_scoped), shown(&rule.privileged)),
        (vec!["ClusterRole/shop:reader".to_owned()], vec!["DaemonSet/agent".to_owned()])
    );
    let other = settings(&config, "production", "basket", "services/shop-cart").namespaces;
    assert!(other.cluster_scoped.is_empty() && other.privileged.is_empty());
    for wrong in ["ClusterRole", "ClusterRole/", "clusterrole/x", "\"*/x\"", "a.example/Kind/x"] {
        assert!(Config::parse("orchestrator.yaml", with(wrong, "DaemonSet/x").as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn manifests_may_lie_in_the_superproject() {
    let config = load(LAYERS);
    let cart = settings(&config, "production", "cart", "services/cart");
    assert_eq!(cart.source, SourceFolder::InTree(TreePath::try_from("ops/cart").unwrap()));
}

fn names<'a>(found: impl Iterator<Item = &'a TreePath>) -> Vec<&'a str> {
    found.map(TreePath::as_str).collect()
}

#[test]
fn p13_the_digest_covers_every_file_that_is_named() {
    let config = demo();
    let inputs = config.release_inputs(&[]).unwrap();
    assert_eq!(
        names(inputs.files()),
        ["ops/check", "orchestrator.yaml", "tests/lib.sh", "tests/lint", "tests/smoke.yaml", "tests/system"]
    );
    let digest = |own: &str, smoke: &[u8], mode: FileMode| {
        let digests = inputs.files().map(|path| match path.as_str() {
            "orchestrator.yaml" => (path.clone(), (FileMode::Plain, Digest::of(own.as_bytes()))),
            "tests/smoke.yaml" => (path.clone(), (FileMode::Plain, Digest::of(smoke))),
            _ => (path.clone(), (mode, Digest::of(b"content"))),
        });
        config_digest(&digests.collect())
    };
    let before = digest(DEMO, b"content", FileMode::Executable);
    assert_eq!(before, digest(DEMO, b"content", FileMode::Executable));
    assert_ne!(before, digest(LAYERS, b"content", FileMode::Executable));
    assert_ne!(before, digest(DEMO, b"other", FileMode::Executable));
    assert_ne!(before, digest(DEMO, b"content", FileMode::Plain), "a mode counts");
}

#[test]
fn a_release_reads_what_is_hashed_and_what_the_lock_covers() {
    let submodules = paths(&["services/shop-cart"]);
    let inputs = demo().release_inputs(&submodules).unwrap();
    let covered = |path: &str| inputs.coverage(&TreePath::try_from(path).unwrap());
    for path in ["locks/lock.yaml", "locks/schema.json", ".gitmodules", "services/shop-cart"] {
        assert_eq!(covered(path), Some(InputCoverage::Lock), "{path}");
    }
    assert_eq!(covered("orchestrator.yaml"), Some(InputCoverage::Hashed));
    for path in ["README.md", "locks.yaml", "services/shop-cart/deploy/app.yaml", "ops/x/orchestrator.yaml"] {
        assert_eq!(covered(path), None, "{path}");
    }

    let with = |rest: &str| {
        let head = "version: 1\nforge: { kind: local, repository: \"https://forge.example/shop/shop\" }\n";
        load(&format!("{head}{rest}")).release_inputs(&[]).unwrap()
    };
    let named = with("suites:\n  x: { kind: command, command: [make], files: [.gitmodules] }\n");
    assert_eq!(
        names(named.files()),
        [".gitmodules", "orchestrator.yaml"],
        "a file that the configuration names is hashed"
    );

    let text = "\
registries:
  ghcr.io: { ca: { file: ops/ca.pem }, client-certificate: { certificate: { file: ops/us.pem }, key: { env: KEY } } }
environments:
  test: { url: { file: ops/url } }
  review: { url: { value: \"https://x.example\" } }
";
    assert_eq!(names(with(text).files()), ["ops/ca.pem", "ops/url", "ops/us.pem", "orchestrator.yaml"]);
}

/// Manifests of two environments in the superproject; one of three services is deployed in one of them only, one nowhere.
const IN_TREE: &str = r#"version: 1
forge: { kind: local, repository: "https://forge.example/shop/shop" }
images: { repository: "ghcr.io/shop/{name}", tags: ["main-{sha7}"] }
services: [{ match: "**" }]
base:
  target: { kind: render, source: "ops/{mode}/{name}", branch: "deploy/{mode}" }
  deploy: [cart, web]
  locked-only: { reason: no container }
environments:
  staging:
    mode: test
    namespace: s
    not-deployed: { web: { reason: r, owner: o, until: "2030-01-01" } }
    overrides: [{ match: cart, target: { source: "{path}/deploy" } }]
  production: { mode: live, namespace: p }
"#;

#[test]
fn t41_manifests_of_every_service_and_environment_are_inputs() {
    let submodules = paths(&["services/cart", "services/web", "services/tools"]);
    let inputs = load(IN_TREE).release_inputs(&submodules).unwrap();
    assert_eq!(
        names(inputs.folders()),
        ["ops/live/cart", "ops/live/tools", "ops/live/web", "ops/test/tools", "ops/test/web"]
    );
    let path = |text: &str| TreePath::try_from(text).unwrap();
    for read in ["ops/live/cart/a.yaml", "ops/test/web/x/b.yml", "ops/live/web/c.json", "ops/live/web/Kustomization"] {
        assert_eq!(inputs.coverage(&path(read)), Some(InputCoverage::Hashed), "{read}");
    }
    for unread in ["ops/live/cart/README.md", "ops/live/a.yaml", "ops/test/cart/a.yaml", "ops/live/cart/yaml", "x.yaml"]
    {
        assert_eq!(inputs.coverage(&path(unread)), None, "{unread}");
    }
    let services = |text: &str| inputs.services(&path(text)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(services("ops/live/web/c.json"), ["web"]);
    assert!(services("orchestrator.yaml").is_empty());
    assert!(inputs.is_deployed_from("ops/test/web/x/b.yml"), "left out for a time");
    assert!(!inputs.is_deployed_from("ops/live/tools/a.yaml") && !inputs.is_deployed_from("ops/live"));
    let shared = IN_TREE.replace("ops/{mode}/{name}", "ops/all");
    let services = load(&shared).release_inputs(&submodules).unwrap().services(&path("ops/all/a.yaml"));
    assert_eq!(services.len(), 3, "one folder for all of them");
}

#[test]
fn t41_a_source_that_the_lock_stands_for_is_refused_with_its_place() {
    let refused =
        |config: &Config| config.release_inputs(&paths(&["services/cart", "x/locks"])).unwrap_err().to_string();
    let named =
        load(&IN_TREE.replace("ops/{mode}/{name}", "{name}/deploy").replace("deploy: [cart, web]", "deploy: [\"**\"]"));
    let text = refused(&named);
    assert!(text.starts_with("orchestrator.yaml:6:35: "), "{text}");
    assert!(text.contains("service `locks`: the source lies in `locks/`, where `lock commit` alone writes"), "{text}");
    assert_eq!(text.matches("service `locks`").count(), 1, "said once: {text}");
    let elsewhere = load(&IN_TREE.replace("ops/{mode}/{name}", "{name}/deploy"));
    elsewhere
        .release_inputs(&paths(&["services/cart", "x/locks"]))
        .expect("no environment deploys a service whose source lies in `locks/`");
    assert!(named.assign_services(&paths(&["services/cart", "x/locks"])).is_err(), "a lock is not made either");
}

#[test]
fn every_value_says_where_it_comes_from() {
    let config = load(LAYERS);
    let shown = config.show(Some(&environment("production"))).unwrap();
    insta::assert_snapshot!(shown.to_yaml(ShowOrigin::Shown), @r#"
    # beside a value: its line of orchestrator.yaml, if another than the one above
    mode: shared                     # 9
    target:
      kind: render                   # 10
      branch: deploy/production      # 29
      source: "ops/{short}"
    deploy:
    - "**"                           # 11
    namespace: shop                  # 28
    url:
      value: "https://shop.example"  # 13
    health:
      probes:
        gateway:
          kind: http                 # 16
          url: "{url}/healthz"
          severity: block            # 30
          status: 204
          deadline: 1m30s
    requires:
      approvals:
        exclude: []                  # 18
        count: 2                     # 31
      proven-in: staging
    release:
      tag: "{mode}-{id8}"            # 19
    # defaults:
    #   health.probes.gateway.retries: 0
    #   health.checks.api.severity: block
    #   health.checks.namespace.severity: block
    #   health.checks.permissions.severity: block
    #   health.checks.references.severity: block
    #   health.checks.quota.severity: block
    #   health.checks.replicas.severity: warn
    #   health.checks.nodes.severity: warn
    #   health.checks.capacity.severity: warn
    #   health.checks.certificate.severity: warn
    #   health.checks.clock.severity: warn
    #   health.checks.ready-nodes: 100
    #   health.checks.deadline: 30s
    #   health.checks.retries: 0
    #   requires.proof: stored
    #   namespaces.rewrite: false
    #   tolerance.restarts: 2
    #   tolerance.room: 90s
    #   removed: keep
    #   branch: production
    "#);
    assert!(config.show(Some(&environment("nowhere"))).is_none());
    let json = shown.to_json(ShowOrigin::Shown);
    assert_eq!(json["requires"]["proof"], serde_json::json!({ "value": "stored", "origin": "default" }));
    assert_eq!(json["namespace"]["origin"]["path"], "environments.production.namespace");
    assert_eq!(json["mode"]["origin"]["path"], "base.mode");
    assert_eq!(shown.to_json(ShowOrigin::Hidden)["deploy"], serde_json::json!(["**"]));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let shown = demo().show(None).unwrap().to_yaml(ShowOrigin::Hidden);
    let again = load(&shown);
    assert_eq!(again.show(None).unwrap().to_yaml(ShowOrigin::Hidden), shown);
}

#[test]
fn large_files_are_not_read() {
    let text = format!("version: 1\n# {}\n", "x".repeat(1024 * 1024));
    let errors = Config::parse("orchestrator.yaml", text.as_bytes()).unwrap_err();
    assert_eq!(errors.to_string(), "orchestrator.yaml: the file has 1048590 bytes; at most 1048576 are read");
}

#[test]
fn line_ends_of_another_system_change_nothing() {
    let shown = |text: &str| load(text).show(None).unwrap().to_yaml(ShowOrigin::Hidden);
    assert_eq!(shown(&DEMO.replace('\n', "\r\n")), shown(DEMO));
}

/// What the demo with one edit asks less of.
fn weaker(from: &str, to: &str) -> Vec<String> {
    assert!(DEMO.contains(from), "{from}");
    said(&relaxed(&demo(), &load(&DEMO.replace(from, to)), &[]))
}

/// What one configuration asks less of than another, for the demo's services; these paths have another content.
fn relaxed(old: &Config, new: &Config, changed: &[&str]) -> Vec<PolicyRelaxation> {
    let (services, changed) = (demo_paths(), changed.iter().map(|path| (*path).to_owned()).collect());
    policy_relaxations(old, new, ComparedTree { services: &services, changed: &changed })
}

fn said(found: &[PolicyRelaxation]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn t1_lowering_what_is_asked_is_seen() {
    for (from, to, expected) in [
        ("count: 4", "count: 1", "production: 1 approvals are required, it was 4"),
        (", approvals: { count: 4, exclude: [author, merger] }", "", "production: no approvals are required, it was 4"),
        ("exclude: [author, merger]", "exclude: [author]", "production: the merger's own approval counts"),
        (
            "exclude: [author, merger]",
            "exclude: [author, merger], fallback: { count: 2, owner: x, reason: small, until: \"2026-12-31\" }",
            "production: 2 approvals are enough until 2026-12-31 where too few people are left",
        ),
        ("proven-in: staging, ", "", "production: no proof of `staging` is required any more"),
        ("    suites: [system]\n", "", "staging: suite `system` is not run any more"),
        ("[./tests/system, \"{url}\"]", "[\"true\"]", "staging: suite `system` is defined differently"),
        ("revision: require", "revision: off", ""),
        ("direct-push: refuse", "direct-push: relock", "commits without a pull request get a lock"),
        ("production: main", "production: other", ""),
        (
            "/shop/shop, ",
            "/evil/shop, ",
            "the repository is `https://forge.example/evil/shop`, it was `https://forge.example/shop/shop`",
        ),
        (
            "oci-layout:../registry",
            "https://evil.example",
            "requests to `registry.example` go to `https://evil.example`",
        ),
        ("{ mirror: \"oci-layout:../registry\" }", "{ plain-http: true }", "`registry.example` is asked without TLS"),
        (
            "{ mirror: \"oci-layout:../registry\" }",
            "{ ca: { file: ops/other.pem } }",
            "other authorities are trusted for `registry.example`",
        ),
        (
            "{ mirror: \"oci-layout:../registry\" }",
            "{ client-certificate: { certificate: { env: C }, key: { env: K } } }",
            "`registry.example` is shown another certificate of ours",
        ),
        ("registry.example/shop/{short}", "evil.example/{short}", ""),
        (
            "allow: [shared]",
            "allow: [shared, kube-system]",
            "production: `basket`, `shop-reports`, `gateway`: objects may lie in namespace `kube-system`",
        ),
        (
            "namespace: shop-staging",
            "namespace: shop-prod2",
            "staging: `namespace` is `shop-prod2`, it was `shop-staging`",
        ),
        ("severity: block, deadline: 5s", "severity: warn, deadline: 5s", ""),
        ("      db: { kind: tcp, address: \"127.0.0.1:5432\" }\n", "", ""),
        ("catalog: \"{url}/dep\", ", "", ""),
        (
            "until: \"2026-12-31\"",
            "until: \"2036-12-31\"",
            "staging: `shop-reports` is not deployed until 2036-12-31, it was 2026-12-31",
        ),
        (
            "not-deployed: { shop-reports: null }",
            "locked-only: { reason: x }",
            "production: `shop-reports` is not deployed until 2026-12-31",
        ),
        ("deploy: [\"services/*\"]", "deploy: [services/gateway]", ""),
        (
            "{ match: \"ops/*\", kind",
            "{ match: \"**/shop-*\", kind",
            "`shop-cart`, `shop-catalog`, `shop-reports`: no image is locked any more",
        ),
        (
            "tags: [\"main-{sha12}\"]",
            "tags: [latest]",
            "`basket`: images are looked for under `latest`, it was `main-{sha12}`",
        ),
    ] {
        let found = weaker(from, to);
        assert!(!found.is_empty(), "{from} → {to}");
        assert!(expected.is_empty() || found.iter().any(|line| line == expected), "{from} → {to}: {found:#?}");
    }
}

#[test]
fn t1_asking_more_is_no_relaxation() {
    assert_eq!(weaker("version: 1", "version: 1"), Vec::<String>::new());
    for (from, to) in [
        ("count: 4", "count: 5"),
        ("suites: [system]", "suites: [system, smoke]"),
        ("deadline: 5s", "deadline: 6s"),
        ("until: \"2026-12-31\"", "until: \"2026-11-30\""),
        ("direct-push: refuse", "direct-push: \"refuse\""),
        ("platforms: [linux/amd64]", "platforms: [linux/amd64, linux/arm64]"),
    ] {
        assert_eq!(weaker(from, to), Vec::<String>::new(), "{from} → {to}");
    }
    let kinds: BTreeSet<RelaxationKind> =
        relaxed(&demo(), &load(LAYERS), &[]).into_iter().map(|relaxation| relaxation.kind).collect();
    assert!(kinds.contains(&RelaxationKind::Environment), "the pull request's environment is gone: {kinds:?}");
}

/// What is weaker when one `submodules:` takes the place of another.
fn weaker_submodules(before: &str, after: &str) -> Vec<String> {
    let with = |submodules: &str| load(&DEMO.replace("suites:\n", &format!("submodules: {submodules}\nsuites:\n")));
    said(&relaxed(&with(before), &with(after), &[]))
}

#[test]
fn t1_t8_submodules_from_elsewhere_are_seen() {
    for (before, after, expected) in [
        ("{ allow: [h.example/shop] }", "{}", "submodules may come from everywhere"),
        ("{ allow: [h.example/shop] }", "{ allow: [h.example] }", "submodules may come from `h.example`"),
        (
            "{ allow: [h.example/shop] }",
            "{ allow: [h.example/shop/cart, h.example/sh0p, i.example] }",
            "submodules may come from `h.example/sh0p`, `i.example`",
        ),
        (
            "{}",
            "{ allow: [h.example/shop] }",
            "a submodule may change its owner to any of `h.example/shop`, that was refused",
        ),
        ("{ branches: [main] }", "{}", "commits of submodules may be on any branch or tag"),
        (
            "{ branches: [main, \"release/*\"] }",
            "{ branches: [\"release/1\", \"refs/tags/*\"] }",
            "commits of submodules may be on `refs/tags/*`",
        ),
        (
            "{ pushed: require }",
            "{ pushed: off }",
            "whether the commits of submodules are pushed is not asked any more",
        ),
    ] {
        assert_eq!(weaker_submodules(before, after), [expected], "{before} → {after}");
    }
    for (before, after) in [
        ("{ allow: [h.example] }", "{ allow: [h.example/shop, H.example/other] }"),
        ("{ branches: [\"*\"] }", "{ branches: [main] }"),
        ("{}", "{ branches: [main], pushed: require }"),
        ("{ allow: [h.example/a, h.example/b] }", "{ allow: [h.example/b, h.example/a] }"),
    ] {
        assert_eq!(weaker_submodules(before, after), Vec::<String>::new(), "{before} → {after}");
    }
}

#[test]
fn t1_an_environment_that_is_gone_asks_nothing() {
    let without = DEMO.replace("  pull-request: { base: none, mode: pr, suites: [lint] }\n", "");
    assert_eq!(said(&relaxed(&demo(), &load(&without), &[])), ["pull-request: the environment is gone"]);
}

#[test]
fn t57_suites_of_pull_requests_that_are_not_required_any_more_are_listed() {
    let with = |required: &str| {
        let place = "    namespace: shop-staging\n";
        assert!(DEMO.contains(place));
        let other = "  other: { base: none, mode: other, suites: [lint] }\n  staging:\n";
        load(&DEMO.replace("  staging:\n", other).replace(place, &format!("{place}{required}")))
    };
    let required = "    requires: { pull-request: pull-request }\n";
    let found = |before: &str, after: &str| -> Vec<String> { said(&relaxed(&with(before), &with(after), &[])) };
    assert_eq!(
        found(required, ""),
        ["staging: a pull request must pass no suites, it was the suites of `pull-request`"]
    );
    assert_eq!(
        found(required, "    requires: { pull-request: other }\n"),
        ["staging: a pull request must pass the suites of `other`, it was the suites of `pull-request`"]
    );
    assert_eq!(found("", required), Vec::<String>::new());
}

/// Words that a file can be broken with.
const WORDS: &[&str] = &[
    "null",
    "~",
    "[]",
    "{}",
    "[",
    "}",
    ": ",
    "- ",
    "\n",
    "  ",
    "\"",
    "'",
    "{name}",
    "{",
    "{{",
    "*",
    "&a ",
    "!!str ",
    "<<: ",
    "kind: render",
    "kind: http",
    "base: none",
    "overrides: [{ match: x }]",
    "target: { source: \"{path}\" }",
    "no",
    "1e9",
    "-1",
    "é",
    "\u{202e}",
    "\u{0}",
    "|\n",
    ">-\n",
    "#",
    "? ",
    "---\n",
    "staging",
    "production",
    "services/*",
    "**",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(512) })]

    /// Whatever is done to a file, it loads or is refused in words; nothing panics, and no check lets through what
    /// cannot be decoded.
    #[test]
    fn no_edit_of_a_file_is_a_fault_of_the_reader(
        edits in proptest::collection::vec((0..4096_usize, 0..40_usize, 0..WORDS.len()), 1..6),
        layered in proptest::bool::ANY,
    ) {
        let mut text: Vec<char> = if layered { LAYERS } else { DEMO }.chars().collect();
        for (position, removed, word) in edits {
            let start = position % text.len();
            let end = (start + removed).min(text.len());
            text.splice(start..end, WORDS[word].chars());
            if text.is_empty() {
                break;
            }
        }
        let text: String = text.into_iter().collect();
        match Config::parse("orchestrator.yaml", text.as_bytes()) {
            Ok(config) => {
                config.show(None).unwrap().to_yaml(ShowOrigin::Shown);
                relaxed(&demo(), &config, &["tests/system"]);
                if let Ok(services) = config.assign_services(&demo_paths()) {
                    let commit = CommitId::try_from("0123456789abcdef0123456789abcdef01234567").unwrap();
                    for service in services {
                        service.candidates(&commit);
                        for environment in config.environments.values() {
                            environment.decide(&service.name, &service.path, today());
                        }
                    }
                }
            }
            Err(errors) => {
                let said = errors.to_string();
                proptest::prop_assert!(!errors.problems().is_empty());
                proptest::prop_assert!(!said.contains("fault of this program"), "{said}\n{text}");
                proptest::prop_assert!(!said.contains('\u{202e}') && !said.contains('\u{0}'), "{said:?}");
            }
        }
    }
}

#[test]
fn p6_a_chart_is_given_typed_values_and_the_locked_image() {
    let text = include_str!("../fixtures/config/valid/helm.yaml");
    let config = load(text);
    let staging = &config.environments["staging"];
    let values_of = |name: &str| {
        let (service, path) = (ServiceName::try_from(name).unwrap(), TreePath::try_from("services/x").unwrap());
        let today = "2026-01-01".parse().unwrap();
        let Deployment::Deploy(settings) = staging.decide(&service, &path, today) else { panic!("deployed") };
        let digest = format!("sha256:{}", "2".repeat(64)).try_into().unwrap();
        let values = Values::new().service(&service, &path, "shop-").with(Variable::Mode, "staging").image(
            &"ghcr.io/shop/cart".try_into().unwrap(),
            &"2286238".try_into().unwrap(),
            &digest,
        );
        (settings.source, serde_json::Value::Object(settings.values.fill(&values).unwrap()))
    };
    let digest = format!("sha256:{}", "2".repeat(64));
    assert_eq!(
        values_of("shop-web"),
        (
            SourceFolder::InService(Some("chart".try_into().unwrap())),
            serde_json::json!({
                "replicas": 2, "debug": false, "labels": ["a", "web"],
                "largest": [9_007_199_254_740_991_i64, -9_007_199_254_740_991_i64], "quoted": "9007199254740993",
                "ingress": { "host": "web.staging.example", "tls": true },
                "image": { "repository": "ghcr.io/shop/cart", "tag": format!("2286238@{digest}") },
            })
        )
    );
    assert_eq!(
        values_of("shop-cart"),
        (
            SourceFolder::InTree("charts/shop-cart".try_into().unwrap()),
            serde_json::json!({
                "replicas": 2, "debug": true, "labels": ["a", "cart"], "nothing": "",
                "largest": [9_007_199_254_740_991_i64, -9_007_199_254_740_991_i64], "quoted": "9007199254740993",
                "ingress": { "host": "cart.staging.example" },
                "image": format!("ghcr.io/shop/cart:2286238@{digest}"),
                "sidecar": { "image": { "digest": digest } },
            })
        )
    );
    // A chart in the superproject is an input with all of its files.
    let path = |text: &str| TreePath::try_from(text).unwrap();
    let inputs = config.release_inputs(&[path("services/shop-cart")]).unwrap();
    assert!(inputs.coverage(&path("charts/shop-cart/templates/_helpers.tpl")).is_some());
    assert!(inputs.coverage(&path("charts/shop-web/Chart.yaml")).is_none());
    let places: Vec<String> = staging.places().iter().map(ToString::to_string).collect();
    assert_eq!(places, ["namespace shop-staging of KUBECONFIG_BASE64"]);
}

#[test]
fn a_kubeconfig_is_in_a_variable_or_in_a_file_of_the_machine() {
    let config = load(include_str!("../fixtures/config/valid/kubeconfig-files.yaml"));
    let places = |name: &str| -> Vec<String> {
        let places = config.environments[name].places();
        for place in &places {
            assert_eq!(place.to_string().parse(), Ok(place.clone()), "what the ledger keeps is read again");
        }
        places.iter().map(ToString::to_string).collect()
    };
    for (path, is_manifest) in
        [("a/b.yaml", true), ("a/b.YAML", true), ("b.Yml", true), ("b.JSON", true), ("yaml", false)]
    {
        assert_eq!(config::is_manifest(path), is_manifest, "{path}");
    }
    assert_eq!(places("mine"), ["namespace shop-mine of ~/.kube/shop config, context west"]);
    assert_eq!(places("runner"), ["namespace shop-mine of /etc/orchestrator/kubeconfig"]);
    let names: Vec<_> = config.secret_variables().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["PULL_PASSWORD"]);
    let environment = &config.environments["runner"];
    let inputs = config.release_inputs(&[TreePath::try_from("services/shop-cart").unwrap()]).unwrap();
    assert!(inputs.files().all(|file| !file.as_str().contains("etc/")), "no file of the machine is read from a tree");
    let kubeconfig = environment.kubeconfig.as_ref().unwrap();
    assert_eq!((kubeconfig.variable(), kubeconfig.encoding), (None, config::KubeconfigEncoding::Text));
    assert_eq!(kubeconfig.file().unwrap().as_str(), "/etc/orchestrator/kubeconfig");
}

#[test]
fn settings_come_from_a_list_that_an_override_replaces() {
    let text = include_str!("../fixtures/config/valid/settings.yaml");
    let config = Config::parse("orchestrator.yaml", text.as_bytes()).unwrap();
    let staging = &config.environments["staging"];
    assert!(staging.has_settings());
    let path = |name: &str| TreePath::try_from(format!("services/{name}")).unwrap();
    let decide = |name: &str| {
        let today = "2026-01-01".parse().unwrap();
        match staging.decide(&name.parse().unwrap(), &path(name), today) {
            config::Deployment::Deploy(settings) => settings,
            other => panic!("{other:?}"),
        }
    };
    let (auth, gateway) = (decide("shop-auth"), decide("shop-gateway"));
    assert_eq!(auth.config, staging.config);
    let [_, SettingSource { from: SettingOrigin::Set(set), replace: true, .. }] = auth.secret.as_slice() else {
        panic!("{:?}", auth.secret);
    };
    let values = staging.service_values(&"shop-auth".parse().unwrap(), &path("shop-auth"));
    let template = &set["DATABASE_URL"];
    assert_eq!(template.environment(&values).unwrap(), ["DB_PASSWORD_AUTH"]);
    let filled = template.expand(&values.with_environment("DB_PASSWORD_AUTH", "{name}")).unwrap();
    assert_eq!(filled, "postgresql://auth:{name}@db:5432/auth");
    assert_eq!((gateway.config.len(), gateway.secret), (2, staging.secret.clone()));

    // The release id covers the files; secrets are masked in what suites print.
    let submodules = ["shop-auth", "shop-gateway"].map(path);
    let inputs = config.release_inputs(&submodules).unwrap();
    let files: Vec<_> = inputs.files().map(ToString::to_string).collect();
    assert_eq!(files, ["deploy/auth.enc.yaml", "deploy/gateway.env", "orchestrator.yaml"]);
    let secret: Vec<_> = config.secret_variables().iter().map(ToString::to_string).collect();
    assert_eq!(secret, ["GHCR_PAT", "KUBECONFIG_BASE64", "SOPS_AGE_KEY"]);
}

#[test]
fn a_suite_is_an_image_of_the_lock_or_one_with_a_digest() {
    let text = include_str!("../fixtures/config/valid/containers.yaml");
    let config = load(text);
    assert_eq!(config.environments[&environment("staging")].containers, Some(config::Containers::Job));
    let suite = |config: &Config, name: &str| config.suites[&SuiteName::try_from(name).unwrap()].clone();
    let system = suite(&config, "system");
    let SuiteKind::Container(container) = &system.kind else { panic!("a container") };
    assert_eq!(container.image, config::SuiteImage::Service("shop-tests".parse().unwrap()));
    assert_eq!((container.requests["cpu"].as_str(), container.limits["memory"].as_str()), ("500m", "1.5Gi"));
    assert_eq!(system.deadline, Duration::from_secs(20 * 60));
    assert!(system.files().is_empty() && suite(&config, "load").service().is_none());
    // What is no secret is not masked.
    let secret: Vec<_> = config.secret_variables().iter().map(ToString::to_string).collect();
    assert_eq!(secret, ["KUBECONFIG_STAGING", "TEST_LOGIN"]);

    // The image is one that the lock has.
    let services = |list: &[&str]| config.assign_services(&paths(list)).unwrap();
    let problem = |list: &[&str]| config.suite_image_problem(&system, &services(list));
    assert_eq!(problem(&["services/shop-cart", "ops/shop-grafana", "tools/shop-tests"]), None);
    let none = problem(&["services/shop-cart", "ops/shop-grafana", "tools/shop-test"]).unwrap();
    assert_eq!(none, "no service is named `shop-tests`, did you mean `shop-test`?");
    let files = problem(&["services/shop-cart", "tools/shop-web", "ops/shop-tests"]).unwrap();
    assert_eq!(files, "service `shop-tests` has no image");
    assert_eq!(config.suite_image_problem(&suite(&config, "load"), &[]), None);

    // A variable more, and other arguments, are shown to reviewers.
    let changed = load(&text.replace("env: [TEST_LOGIN,", "env: [TEST_LOGIN, SHOP_PASSWORD,"));
    let relaxed = relaxations_between(&config, &changed);
    assert!(relaxed.iter().any(|line| line.contains("`SHOP_PASSWORD`")), "{relaxed:?}");
    let relaxed = relaxations_between(&config, &load(&text.replace("--suite, system", "--suite, smoke")));
    assert_eq!(relaxed, ["staging: suite `system` is defined differently"]);
}

fn relaxations_between(old: &Config, new: &Config) -> Vec<String> {
    let (services, changed) = (paths(&["services/shop-cart"]), BTreeSet::new());
    let found = policy_relaxations(old, new, ComparedTree { services: &services, changed: &changed });
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn variables_of_settings_are_listed_with_what_reads_them() {
    let config = load(
        r#"version: 1
images: { repository: "r.example/{name}", tags: ["{sha}"] }
services: [{ match: "**" }]
base:
  target: { kind: helm, chart: "{path}/chart" }
  deploy: ["services/*"]
  locked-only: { reason: no service }
  not-deployed: { mail: { reason: not ready, owner: ana, until: "2099-12-31" } }
  config: [{ env: "{NAME}_CONFIG", format: dotenv }, { file: "deploy/all.env", format: dotenv }]
  secret: [{ keys-from-env: [PAYMENT_KEY] }, { set: { URL: "db://{env:DB_{SHORT}}" } }]
  pull-secret: { name: pull, registry: r.example, username: { env: PULL_USER }, password: { env: PULL_PASSWORD } }
  overrides: [{ match: services/web, secret: [{ command: [sops, x], format: json, variables: [AGE_KEY] }] }]
environments:
  staging: { namespace: shop, kubeconfig: { env: KUBECONFIG_STAGING } }
"#,
    );
    let services =
        config.assign_services(&paths(&["services/cart", "services/web", "services/mail", "tools/t"])).unwrap();
    let found = config.environments[&environment("staging")].setting_variables(&services);
    let lines: Vec<String> = found
        .iter()
        .map(|(name, readers)| format!("{name}: {}", readers.iter().cloned().collect::<Vec<_>>().join(", ")))
        .collect();
    assert_eq!(
        lines,
        [
            "AGE_KEY: `secret` of web",
            "CART_CONFIG: `config` of cart",
            "DB_CART: `secret` of cart",
            "PAYMENT_KEY: `secret` of cart",
            "PULL_PASSWORD: `pull-secret`",
            "PULL_USER: `pull-secret`",
            "WEB_CONFIG: `config` of web",
        ]
    );
}

#[test]
fn a_wave_without_a_service_is_refused() {
    let text = r#"version: 1
images: { repository: "r.example/{name}", tags: ["{sha}"] }
services: [{ match: "**" }]
environments:
  staging: { namespace: shop, kubeconfig: { env: KUBE }, target: { kind: helm, chart: "{path}/chart" }, deploy: ["**"], waves: [database, "**"] }
"#;
    let all = paths(&["services/database", "services/web"]);
    let refused = load(text).assign_services(&all).unwrap_err().to_string();
    assert!(refused.contains("wave `database` has no service: later waves name all of them"), "{refused}");
    load(&text.replace(r#"[database, "**"]"#, r#"["**", web]"#)).assign_services(&all).unwrap();
}

/// What `base` says for every environment is wrong once, whatever the pass that finds it.
#[test]
fn a_fault_of_base_is_one_problem_and_not_one_for_each_environment() {
    let file = |base: &str| {
        format!(
            "version: 1\nproject: {{ prefix: shop- }}\nimages: {{ repository: \"ghcr.io/shop/{{short}}\", tags: [\"main-{{sha7}}\"] \
             }}\nservices: [{{ match: \"**\" }}]\nbase:\n{base}environments:\n  one: {{ namespace: one }}\n  two: {{ namespace: \
             two, mode: test }}\n  three: {{ namespace: three }}\n"
        )
    };
    let render =
        |branch: &str| format!("  target: {{ kind: render, source: \"{{path}}\", {branch} }}\n  deploy: [\"**\"]\n");
    let good = render("branch: \"deploy/{mode}\"");
    let helm = "  target: { kind: helm, chart: \"{path}\", values: { a: \"{config}\" } }\n  deploy: [\"**\"]\n";
    for (base, expected) in [
        (render("branch: \"a..b/{mode}\""), "filled in, `a..b/one` is not a valid branch name"),
        (render("branch: \"deploy/{moed}\""), "moed"),
        (render("branch: \"deploy/{mode}\", folder: \"/x/{mode}\""), "filled in, `/x/one` is not a valid path"),
        (render(""), "`branch` is missing"),
        (format!("{good}  suites: [smoke]\n"), "no suite is named `smoke`"),
        (format!("{good}  requires: {{ proven-in: nowhere }}\n"), "no environment is named `nowhere`"),
        (format!("{good}  config: [{{ env: A, format: dotenv }}]\n"), "target `render` writes to none"),
        ("  deploy: [\"**\"]\n".to_owned(), "environment `one` deploys services and has no `target`"),
        (format!("{helm}  kubeconfig: {{ env: A }}\n"), "environment `one` has no `config`"),
    ] {
        let errors = Config::parse("orchestrator.yaml", file(&base).as_bytes()).unwrap_err();
        let lines: Vec<String> = errors.problems().iter().map(config::Problem::line_text).collect();
        let [line] = lines.as_slice() else { panic!("{base}{lines:#?}") };
        assert!(line.contains(expected), "{expected}: {line}");
    }
    // What each environment says by itself is as many problems.
    let text = file(&good).replace("namespace: one", "namespace: One").replace("namespace: two", "namespace: Two");
    assert_eq!(Config::parse("orchestrator.yaml", text.as_bytes()).unwrap_err().problems().len(), 2);
}

/// A program is a name on the search path, or a file of the superproject: nothing looks for other paths.
#[test]
fn a_program_that_is_another_path_says_what_is_looked_for() {
    let probe = "health: { probes: { a: { kind: command, command: [PROGRAM] } } }";
    let question = "health: { dependencies: { a: { kind: command, command: [PROGRAM] } } }";
    let setting = "secret: [{ command: [PROGRAM], format: json }]";
    for place in [probe, question, setting, "suites: [a]"] {
        for (program, hint) in [
            ("/opt/bin/k6", "write `k6`, and put its folder on the search path (`PATH`) of the job"),
            ("tests/k6", "a file of the superproject is `./tests/k6`"),
        ] {
            let text = format!(
                "version: 1\nimages: {{ repository: \"ghcr.io/shop/{{short}}\", tags: [\"main-{{sha7}}\"] }}\nservices: [{{ match: \
                 \"**\" }}]\nsuites: {{ a: {{ kind: command, command: [SUITE] }} }}\nenvironments:\n  one: {{ {place} }}\n"
            );
            let suite = if place == "suites: [a]" { program } else { "./a" };
            let text = text.replace("SUITE", suite).replace("PROGRAM", program);
            let errors = Config::parse("orchestrator.yaml", text.as_bytes()).unwrap_err();
            let problems: Vec<&config::Problem> =
                errors.problems().iter().filter(|problem| problem.message().contains(program)).collect();
            let [problem] = problems.as_slice() else { panic!("{place}: {errors}") };
            assert!(problem.message().starts_with(&format!("`{program}` is a path: ")), "{place}: {problem}");
            assert_eq!(problem.hint(), Some(hint), "{place}");
        }
    }
}

#[test]
fn what_has_no_effect_any_more_is_named_with_its_place() {
    let text = "version: 1\nimages: { repository: \"ghcr.io/shop/{short}\", tags: [\"main-{sha7}\"] }\nservices: [{ match: \"**\" }]\n\
                submodules:\n  allow:\n  - forge.example/shop\n  - forge.example/shop2\n  - old.example\n\
                base:\n  not-deployed: { shop-a: { reason: later, owner: ana, until: \"2025-11-19\" } }\n\
                environments:\n  one:\n    unpinned-images:\n      busybox:1: { reason: tool, owner: ana, until: \"2025-11-20\" }\n\
                \x20     busybox:2: { reason: tool, owner: ana, until: \"2024-01-01\" }\n\
                \x20   requires:\n      approvals:\n        count: 2\n        fallback: { count: 1, owner: ana, reason: alone, until: \"2025-01-31\" }\n\
                \x20 two: {}\n";
    let config = load(text);
    let found = |problems: Vec<config::Problem>| {
        problems.iter().map(|one| format!("{}: {}", one.line().unwrap(), one.message())).collect::<Vec<_>>()
    };
    assert_eq!(
        found(config.passed_exceptions("2025-11-20".parse().unwrap())),
        [
            "10: 2025-11-19 has passed: a deployment that leaves `shop-a` out is refused",
            "15: 2024-01-01 has passed: a deployment with `busybox:2` is refused",
            "19: 2025-01-31 has passed: this number of approvals is enough no longer",
        ]
    );
    let addresses = ["https://forge.example/shop/a.git", "https://FORGE.example:443/shop/b"];
    let addresses: Vec<_> = addresses.iter().map(|url| url.parse().unwrap()).collect();
    let idle = found(config.idle_sources(&addresses));
    assert_eq!(idle, ["7: no submodule comes from `forge.example/shop2`", "8: no submodule comes from `old.example`"]);
}

/// Settings of another kind are other keys: those of the kind below would be refused.
#[test]
fn another_kind_in_a_higher_layer_replaces_the_one_below_as_a_whole() {
    let text = "version: 1
forge: { kind: local, repository: https://forge.example/shop/shop }
base:
  namespace: shop
  deploy: [\"**\"]
  target: { kind: render, source: \"{path}/deploy\", branch: \"deploy/{mode}\", folder: \"rendered/{mode}\" }
  health: { probes: { db: { kind: http, url: \"https://db.example/\", status: 204, severity: warn } } }
environments:
  staging:
    kubeconfig: { env: KUBECONFIG_STAGING }
    target: { kind: apply, source: \"{path}/manifests\" NULL }
    health: { probes: { db: { kind: postgresql, address: \"db.example:5432\" } } }
  chart:
    kubeconfig: { env: KUBECONFIG_CHART }
    target: { kind: helm, chart: \"{path}/chart\", values: { job: { kind: Job, retries: 2 } } }
    overrides: [{ match: shop-web, target: { values: { job: { kind: CronJob } } } }]
  production: { target: { folder: null } }
";
    let config = load(&text.replace(" NULL", ""));
    let staging = &config.environments["staging"];
    let Some(Target::Apply(_)) = &staging.target else { panic!("{:?}", staging.target) };
    let probe = &staging.health.probes["db"];
    assert!(matches!(probe.kind, ProbeKind::Service(_)), "{probe:?}");
    assert_eq!(probe.severity, CheckSeverity::Block, "what the probe below says is not of this one");
    let values = format!("{:?}", settings(&config, "chart", "shop-web", "services/shop-web").values);
    assert!(values.contains("CronJob") && values.contains("retries"), "a chart's own `kind` is a key as any: {values}");
    let Some(Target::Render(target)) = &config.environments["production"].target else { panic!("it is rendered") };
    assert_eq!(target.folder, None);

    load(&text.replace(" NULL", ", branch: null"));
    let refused = Config::parse("orchestrator.yaml", text.replace(" NULL", ", chart: null").as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("none has it"), "{refused}");
}
