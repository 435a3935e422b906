//! The files of the shop that is deployed to a cluster.

use super::super::shop::{Plot, write, write_program};

const LINT: &str = "#!/bin/sh
set -eu
grep -q 'revision: require' orchestrator.yaml || { echo 'images need not say what they were built from'; exit 1; }
echo 'images say what they were built from'
";

/// The superproject's configuration.
pub(super) fn configuration(prefix: &str, namespace: &str) -> String {
    format!(
        r#"version: 1
project: {{ prefix: demo- }}
branches: {{ integration: dev, staging: staging, production: main }}
forge: {{ kind: local, repository: "https://forge.example/demo/shop" }}
images:
  repository: "{prefix}/{{short}}"
  tags: ["main-{{sha7}}"]
  platforms: [{platform}]
  revision: require
services:
- {{ match: "**" }}
suites:
  lint: {{ kind: command, command: [./tests/lint], files: [orchestrator.yaml], deadline: 30s }}
environments:
  pull-request:
    mode: pr
    suites: [lint]
  staging:
    namespace: {namespace}
    kubeconfig: {{ env: DEMO_KUBECONFIG }}       # the job that runs orchestrator sets it
    target: {{ kind: apply, source: "{{path}}/deploy" }}
    deploy: ["services/*"]
    requires: {{ pull-request: pull-request }}
"#,
        platform = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" },
    )
}

/// Two services, each with an image and a manifest.
pub(super) fn plot(prefix: &str, configuration: &str) -> Plot {
    let services = ["services/demo-cart", "services/demo-web"];
    let manifests = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        format!(
            "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: 1
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      terminationGracePeriodSeconds: 1
      automountServiceAccountToken: false
      containers:
      - name: app
        image: {prefix}/{short}:dev
        ports: [{{ name: http, containerPort: 8080 }}]
        readinessProbe: {{ httpGet: {{ path: /, port: http }}, periodSeconds: 1 }}
        resources: {{ requests: {{ cpu: 5m, memory: 8Mi }}, limits: {{ memory: 16Mi }} }}
        securityContext:
          allowPrivilegeEscalation: false
          runAsNonRoot: true
          runAsUser: 65532
          readOnlyRootFilesystem: true
          capabilities: {{ drop: [ALL] }}
          seccompProfile: {{ type: RuntimeDefault }}
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector: {{ app: {name} }}
  ports: [{{ port: 80, targetPort: http }}]
",
            short = name.strip_prefix("demo-").unwrap_or(name),
        )
    };
    Plot {
        services: services.into_iter().map(|path| (path, Some(manifests(path)))).collect(),
        readme: "# The demo's shop\n\nTwo services as submodules; orchestrator carries them to a cluster.\n",
        files: vec![write("orchestrator.yaml", configuration), write_program("tests/lint", LINT)],
        subject: "two services and their configuration",
    }
}
