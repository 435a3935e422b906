//! Charts of services, rendered to manifests by the helm program, without a cluster.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::DeployError;
use crate::helm::{of_chart, render_stable};
use crate::image_pinning::Pins;
use crate::manifest::ObjectId;
use crate::namespace::{Rendering, inspect};
use crate::problem::{DeployProblem, DeployProblems};
use crate::program_search::ProgramSearch;
use crate::request::{DeployRequest, DeployService};
use crate::yaml_writer::to_yaml;

/// A request whose charts are manifests, and what people should know about that.
#[derive(Debug)]
pub(super) struct RenderedCharts {
    pub(super) request: DeployRequest,
    pub(super) notes: Vec<String>,
}

/// Renders the charts of a request, each twice and the same way, and demands of them what target `helm` does: the locked
/// digest in every container of a locked service, and no object outside of the namespace rule.
pub(super) fn render_charts(search: &ProgramSearch, request: &DeployRequest) -> Result<RenderedCharts, DeployError> {
    let (mut request, mut notes) = (request.clone(), Vec::new());
    let charts: Vec<DeployService> = request.services.iter().filter(|service| service.is_chart).cloned().collect();
    if charts.is_empty() {
        return Ok(RenderedCharts { request, notes });
    }
    let asked = DeployRequest { services: charts, ..request.clone() };
    let renderings = render_stable(search, &asked)?;
    // Images of all services count, also of those with plain manifests.
    let (pins, mut problems) = (Pins::new(request.images()), Vec::new());
    for (service, rendering) in asked.services.iter().zip(&renderings) {
        let violations = inspect(&request, service, &pins, rendering).violations.into_iter();
        let has_objects = rendering.started().next().is_some();
        problems
            .extend(violations.map(|(kind, message)| {
                DeployProblem::new(of_chart(kind, has_objects), message).service(&service.name)
            }));
    }
    DeployProblems::new(problems).map_or(Ok(()), Err)?;
    for (service, rendering) in asked.services.iter().zip(&renderings) {
        notes.extend(notes_of(service, rendering));
        let Some(rendered) = request.services.iter_mut().find(|one| one.name == service.name) else { continue };
        rendered.files = files(rendering);
    }
    Ok(RenderedCharts { request, notes })
}

/// What becomes of the hooks of a chart, for which a branch has no place of its own.
fn notes_of(service: &DeployService, rendering: &Rendering) -> Vec<String> {
    let name = &service.name;
    let tests = rendering
        .test_hooks()
        .map(|(id, _)| format!("{id} of `{name}` is started by `helm test` only, and is not written"));
    let hooks = rendering.started().filter(|(id, _)| rendering.hooks.contains_key(*id));
    let hooks = hooks.map(|(id, _)| {
        format!(
            "{id} of `{name}` is a hook, written as it is: Argo CD runs it as one, other programs apply it as an object"
        )
    });
    hooks.chain(tests).collect()
}

/// A file for each object, called by kind and name; objects whose files would have one name share it.
fn files(rendering: &Rendering) -> Vec<(String, Vec<u8>)> {
    let mut files: BTreeMap<String, Vec<&Map<String, Value>>> = BTreeMap::new();
    for (id, object) in rendering.started() {
        files.entry(file_name(id)).or_default().push(object);
    }
    files.into_iter().map(|(path, objects)| (path, to_yaml(objects).into_bytes())).collect()
}

fn file_name(id: &ObjectId) -> String {
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' { c } else { '-' };
    let name: String = format!("{}-{}", id.kind, id.name).to_ascii_lowercase().chars().map(plain).collect();
    format!("{name}.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_lie_in_files_of_their_names_and_hooks_of_tests_are_left_out() {
        let text = "
apiVersion: v1
kind: Service
metadata: { name: Cart }
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: { name: cart }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: \"system:x/y\" }
---
apiVersion: batch/v1
kind: Job
metadata: { name: migrate, annotations: { helm.sh/hook: pre-upgrade } }
---
apiVersion: v1
kind: Pod
metadata: { name: probe, annotations: { helm.sh/hook: test } }
";
        let rendering = Rendering::parse([text.as_bytes()], "shop").unwrap();
        let files = files(&rendering);
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["job-migrate.yaml", "role-system-x-y.yaml", "service-cart.yaml"]);
        let services = String::from_utf8(files[2].1.clone()).unwrap();
        assert_eq!(services.matches("kind: Service").count(), 2, "{services}");
        let service = DeployService::new("cart".try_into().unwrap());
        let notes = notes_of(&service, &rendering);
        assert!(notes[0].contains("Job/migrate of `cart` is a hook") && notes[1].contains("Pod/probe"), "{notes:?}");
    }
}
