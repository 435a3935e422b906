//! The files of the demo's shop: what a small team would have in its repositories.

use super::shop::{Plot, write, write_program};

/// The superproject's configuration.
const CONFIGURATION: &str = r#"version: 1
project: { prefix: shop- }
branches: { integration: dev, staging: staging, production: main }
forge: { kind: local, repository: "https://forge.example/shop/shop" }
registries:
  registry.example: { mirror: "oci-layout:../registry" }     # the images of the demo lie in a folder
images:
  repository: "registry.example/shop/{short}"
  tags: ["main-{sha7}", "sha-{sha12}"]
  platforms: [linux/amd64, linux/arm64]
  revision: require
services:
- { match: "ops/*", kind: configuration }
- { match: "**" }
suites:
  lint: { kind: command, command: [./tests/lint], files: [orchestrator.yaml], deadline: 30s }
  system: { kind: http, file: tests/system.yaml, deadline: 30s }
  smoke: { kind: http, file: tests/smoke.yaml, deadline: 30s }
base:
  target: { kind: render, source: "{path}/deploy", branch: "deploy/{mode}" }
  deploy: ["services/*"]
  locked-only: { reason: no container of its own }
  health:
    probes:
      platform: { kind: http, url: "{url}/platform", status: 200, severity: block, deadline: 5s }
environments:
  pull-request:
    base: none
    mode: pr
    suites: [lint]
  staging:
    mode: staging
    namespace: shop-staging
    url: { env: STAGING_URL }
    not-deployed:
      shop-reports: { reason: needs the data warehouse, owner: team-data, until: "2099-12-31" }
    requires: { pull-request: pull-request }
    suites: [system]
    promote: { to: production }
  production:
    mode: production
    namespace: shop-production
    url: { env: PRODUCTION_URL }
    requires: { proven-in: staging, proof: stored, approvals: { count: 4 } }
    suites: [smoke]
    release: { tag: "release-{date}-{id8}" }
"#;

/// The shop of the demo.
pub(super) fn plot() -> Plot {
    let with_image = [
        "services/shop-cart",
        "services/shop-catalog",
        "services/shop-payments",
        "services/shop-reports",
        "services/shop-web",
    ];
    let with_image = with_image.map(|path| (path, Some(manifests(path.rsplit('/').next().unwrap_or(path)))));
    let services = std::iter::once(("ops/shop-dashboards", None)).chain(with_image);
    let files = vec![
        write("orchestrator.yaml", CONFIGURATION),
        write("tests/smoke.yaml", SMOKE),
        write("tests/system.yaml", SYSTEM),
        write_program("tests/lint", LINT),
    ];
    Plot { services: services.collect(), readme: README, files, subject: "six services and their train" }
}

/// A lint that any machine can run: `sh` and `grep`.
const LINT: &str = "#!/bin/sh
# No environment may ask for fewer approvals than four.
set -eu
grep -q 'approvals: { count: 4 }' orchestrator.yaml || { echo 'production asks for fewer than four approvals'; exit 1; }
echo 'configuration keeps the four approvals'
";

/// The suite that staging must pass.
const SYSTEM: &str = "requests:
- name: a customer can pay
  method: GET
  url: \"{url}/checkout\"
  expect: { status: 200, json: { /status: paid } }
- name: the web service answers
  method: GET
  url: \"{url}/services/shop-web\"
  expect: { status: 200, body-contains: \"@sha256:\" }
";

/// The suite that production must pass.
pub(super) const SMOKE: &str = "requests:
- name: cart runs a pinned image
  method: GET
  url: \"{url}/services/shop-cart\"
  expect: { status: 200, body-contains: \"@sha256:\" }
- name: web runs a pinned image
  method: GET
  url: \"{url}/services/shop-web\"
  expect: { status: 200, body-contains: \"@sha256:\" }
";

/// The superproject's README.
const README: &str = "# The demo's shop\n\nSix services as submodules; orchestrator carries them to production.\n";

/// A service's manifests.
fn manifests(service: &str) -> String {
    let short = service.strip_prefix("shop-").unwrap_or(service);
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {service}
spec:
  selector: {{ matchLabels: {{ app: {service} }} }}
  template:
    metadata: {{ labels: {{ app: {service} }} }}
    spec:
      containers:
      - name: {short}
        image: registry.example/shop/{short}:dev
        ports: [{{ containerPort: 8080 }}]
---
apiVersion: v1
kind: Service
metadata:
  name: {service}
spec:
  selector: {{ app: {service} }}
  ports: [{{ port: 80, targetPort: 8080 }}]
"
    )
}
