//! The configuration against a tree: what is not there, what matches nothing, what nothing can meet.

use std::collections::BTreeMap;

use config::{Config, SuitesStatus, SuperprojectTree, TreeEntry};
use lock_model::TreePath;

const CONFIGURATION: &str = r#"version: 1
project: { prefix: shop- }
images: { repository: "ghcr.io/shop/{short}", tags: ["main-{sha7}"] }
services:
- { match: "ops/*", kind: configuration }
- { match: "**" }
suites:
  lint: { kind: command, command: [./tests/lint], files: [tests/rules.txt] }
  smoke: { kind: http, file: tests/smoke.yaml }
base:
  target: { kind: render, source: "manifests/{mode}/{short}", branch: "deploy/{mode}" }
  deploy: ["services/*"]
  locked-only: { reason: no container of its own }
  health: { probes: { room: { kind: command, command: [./ops/room] } } }
environments:
  pull-request: { base: none, suites: [lint] }
  staging:
    namespace: shop-staging
    suites: [smoke]
    promote: { to: production }
  production:
    namespace: shop-production
    url: { file: ops/address }
    requires: { proven-in: staging }
"#;

const FILES: [&str; 5] = ["tests/lint", "tests/rules.txt", "tests/smoke.yaml", "ops/room", "ops/address"];
const FOLDERS: [&str; 4] =
    ["manifests/staging/cart", "manifests/staging/web", "manifests/production/cart", "manifests/production/web"];
const SUBMODULES: [&str; 3] = ["ops/shop-dashboards", "services/shop-cart", "services/shop-web"];

struct Tree(BTreeMap<String, TreeEntry>);

impl Tree {
    fn whole() -> Self {
        let files = FILES.iter().map(|path| ((*path).to_owned(), TreeEntry::File));
        let folders = FOLDERS.iter().map(|path| ((*path).to_owned(), TreeEntry::Folder));
        Self(files.chain(folders).collect())
    }

    fn with(path: &str, entry: TreeEntry) -> Self {
        let mut tree = Self::whole();
        tree.0.insert(path.to_owned(), entry);
        tree
    }
}

impl SuperprojectTree for Tree {
    fn submodules(&self) -> Vec<TreePath> {
        SUBMODULES.iter().map(|path| TreePath::try_from(*path).unwrap()).collect()
    }

    fn entry(&self, path: &TreePath) -> TreeEntry {
        self.0.get(path.as_str()).copied().unwrap_or(TreeEntry::Missing)
    }
}

fn parse(text: &str) -> Config {
    Config::parse("orchestrator.yaml", text.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The problems, a line each; warnings are none.
fn problems(config: &str, tree: &Tree, status: SuitesStatus) -> Vec<String> {
    match parse(config).check_tree(tree, status) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems().iter().map(config::Problem::line_text).collect(),
    }
}

#[test]
fn a_whole_tree_has_nothing_wrong() {
    assert!(parse(CONFIGURATION).check_tree(&Tree::whole(), SuitesStatus::Required).unwrap().is_empty());
}

#[test]
fn what_is_not_there_is_named_with_its_place() {
    for (path, entry, expected) in [
        ("tests/lint", TreeEntry::Missing, "orchestrator.yaml:8:36: `tests/lint` is not in the tree"),
        (
            "tests/rules.txt",
            TreeEntry::Folder,
            "orchestrator.yaml:8:59: `tests/rules.txt` is a folder, and a file is wanted",
        ),
        ("tests/smoke.yaml", TreeEntry::Link, "orchestrator.yaml:9:30: `tests/smoke.yaml` is a symbolic link"),
        ("ops/room", TreeEntry::Submodule, "orchestrator.yaml:14:56: `ops/room` is a submodule"),
        (
            "ops/address",
            TreeEntry::Unreadable,
            "orchestrator.yaml:23:18: `ops/address` cannot be looked at: this user may not go through the folders that lead there",
        ),
        ("ops/address", TreeEntry::Missing, "orchestrator.yaml:23:18: `ops/address` is not in the tree"),
        (
            "manifests/production/web",
            TreeEntry::Missing,
            "orchestrator.yaml:11:35: `manifests/production/web`, where `shop-web` has its manifests for `production`, is \
             not in the tree",
        ),
    ] {
        let found = problems(CONFIGURATION, &Tree::with(path, entry), SuitesStatus::NotRequired);
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(found[0].starts_with(expected), "{path}: {found:?}");
    }
}

#[test]
fn patterns_namespaces_and_statuses_that_nothing_meets_are_named() {
    let run = |from: &str, to: &str, status| {
        assert!(CONFIGURATION.contains(from), "{from}");
        problems(&CONFIGURATION.replace(from, to), &Tree::whole(), status)
    };
    let not_required = SuitesStatus::NotRequired;
    for (from, to, status, expected) in [
        ("\"ops/*\"", "\"{ops,tools}/*\"", not_required, "`tools` in pattern `{ops,tools}/*` matches no submodule"),
        ("deploy: [\"services/*\"]", "deploy: [\"services/shop-{cart,web,pay}\"]", not_required, "`pay` in pattern"),
        ("\"ops/*\"", "\"tools/*\"", not_required, "pattern `tools/*` matches no submodule"),
        (
            "    namespace: shop-staging\n",
            "    namespace: shop-staging\n    namespaces: { allow: [monitoring, shop-staging] }\n",
            not_required,
            "no object of `staging` needs this: it is the environment's own namespace",
        ),
        (
            "    namespace: shop-staging\n",
            "    namespace: shop-staging\n    overrides: [{ match: \"ops/*\", namespaces: { allow: [monitoring] } }]\n",
            not_required,
            "`staging` deploys no service that `ops/*` names",
        ),
        (
            "    namespace: shop-staging\n",
            "    namespace: shop-staging\n    migrations: [{ match: \"ops/*\", irreversible: true }]\n",
            not_required,
            "`staging` deploys no service that `ops/*` names",
        ),
        (
            "  pull-request: { base: none, suites: [lint] }",
            "  pull-request: { base: none, suites: [] }",
            SuitesStatus::Required,
            "the status can never be set",
        ),
        ("  pull-request: { base: none, suites: [lint] }\n", "", SuitesStatus::Required, "the status can never be set"),
    ] {
        let found = run(from, to, status);
        assert!(found.iter().any(|one| one.contains(expected)), "{to}: {found:?}");
        let placed = found.iter().filter(|one| one.starts_with("orchestrator.yaml:"));
        assert_eq!(placed.count(), found.len(), "{found:?}");
    }
    assert!(run("[lint]", "[]", not_required).is_empty(), "no forge asks for it");
}

#[test]
fn an_environment_that_nothing_is_promoted_to_is_a_warning() {
    let config = parse(&CONFIGURATION.replace("    promote: { to: production }\n", ""));
    let warnings = config.check_tree(&Tree::whole(), SuitesStatus::NotRequired).unwrap();
    let texts: Vec<String> = warnings.iter().map(config::Problem::line_text).collect();
    assert_eq!(
        texts,
        [
            "orchestrator.yaml:23:28: `staging` does not promote to `production`: no pull request brings a release there \
          (`promote: { to: production }` in `environments.staging`)"
        ]
    );
}

#[test]
fn settings_of_a_host_without_the_port_of_its_images_are_a_warning() {
    let warnings = |registries: &str| {
        let text = CONFIGURATION
            .replace("images:", &format!("registries: {{ {registries} }}\nimages:"))
            .replace("ghcr.io/shop/{short}", "registry.corp:5000/shop/{short}");
        let warnings = parse(&text).check_tree(&Tree::whole(), SuitesStatus::NotRequired).unwrap();
        warnings.iter().map(config::Problem::line_text).collect::<Vec<_>>()
    };
    let found = warnings("registry.corp: { plain-http: true }");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("no settings of `registry.corp:5000`"), "{found:?}");
    for fine in [
        "\"registry.corp:5000\": { plain-http: true }",
        "\"registry.corp:5000\": {}, registry.corp: {}",
        "tokens.corp: {}, \"registry.corp:443\": {}",
    ] {
        assert!(warnings(fine).is_empty(), "{fine}");
    }
}

#[test]
fn a_proof_of_what_runs_is_asked_of_no_rendered_environment() {
    let text = CONFIGURATION
        .replace("proven-in: staging }", "proven-in: staging, proof: running }")
        .replace("    namespace: shop-production\n", "    target: null\n    deploy: null\n    locked-only: null\n");
    let errors = Config::parse("orchestrator.yaml", text.as_bytes()).unwrap_err();
    let found: Vec<String> = errors.problems().iter().map(config::Problem::line_text).collect();
    assert!(found.iter().any(|one| one.contains("target `render` starts nothing")), "{found:?}");
}

#[test]
fn one_mistake_is_one_problem() {
    // The tree has no folders of manifests, so that only the last case may name them.
    let without_folders = r#"version: 1
images: { repository: "ghcr.io/shop/{short}", tags: ["main-{sha7}"] }
services:
- { match: "**" }
base:
  target: { kind: render, source: "{path}/deploy", branch: "deploy/{mode}" }
  deploy: ["**"]
environments:
  staging: { namespace: shop-staging, promote: { to: production } }
  production: { namespace: shop-production, requires: { proven-in: staging } }
"#;
    let lines = |from: &str, to: &str| -> Vec<String> {
        assert!(without_folders.contains(from), "{from}");
        let text = without_folders.replace(from, to);
        let errors = match Config::parse("orchestrator.yaml", text.as_bytes()) {
            Ok(config) => match config.check_tree(&Tree::whole(), SuitesStatus::NotRequired) {
                Ok(_) => return Vec::new(),
                Err(errors) => errors,
            },
            Err(errors) => errors,
        };
        errors.problems().iter().map(config::Problem::line_text).collect()
    };
    assert_eq!(lines("version: 1", "version: 1"), [""; 0]);
    let deploy = "deploy: [\"**\"]";
    for (from, to, expected) in [
        (deploy, "deploy: \"**\"", "a list is wanted here"),
        (deploy, "deploy: [\"service/*\"]", "pattern `service/*` matches no service (did you mean `services/*`?)"),
        (deploy, "", "each environment has a target and `deploy` names nothing"),
        (deploy, "deploy: [\"services/*\"]", "`shop-dashboards` would be locked and not deployed, without a reason"),
        (deploy, "deploy: [\"**\", \"services/{shop-cart,{shop-web,x}}\"]", "`x` in pattern"),
        (deploy, "deploy: [\"**\", \"services/{shop-cart,{y,x}}\"]", "`{y,x}` in pattern"),
        (deploy, "deploy: [\"**\", \"services/shop-{cart,}\"]", "the empty alternative in pattern"),
        ("images:", "imagess:", "there is no key `imagess` here (did you mean `images`?)"),
        ("repository:", "repo:", "there is no key `repo` here"),
        ("tags: [\"main-{sha7}\"]", "tags: []", "the list is empty"),
        ("tags: [\"main-{sha7}\"]", "tags: latest", "a list is wanted here"),
        (
            "{path}/deploy",
            "manifests/{name}",
            "each of `manifests/shop-cart`, `manifests/shop-dashboards`, `manifests/shop-web`, where `shop-cart`, \
             `shop-dashboards`, `shop-web` have their manifests for `production`, `staging`, is not in the tree",
        ),
    ] {
        let found = lines(from, to);
        assert_eq!(found.len(), 1, "{to}: {found:#?}");
        assert!(found[0].contains(expected), "{to}: {found:#?}");
    }
}
