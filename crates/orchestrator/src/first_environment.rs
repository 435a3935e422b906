//! An environment for the charts or manifests that submodules bring, to begin with.

use std::fs;
use std::path::Path;

use lock_gen::Submodule;

use crate::labels::count;
use crate::report::v1::SuggestedEnvironment;
use crate::starter::quoted;

/// Where services keep a chart, the most common place first.
const CHARTS: [&str; 6] = [
    "{path}/chart",
    "{path}/helm",
    "{path}/charts/{name}",
    "{path}/deploy/chart",
    "{path}/deploy/helm",
    "charts/{name}",
];
/// Where they keep plain manifests.
const MANIFESTS: [&str; 4] = ["{path}/deploy", "{path}/k8s", "{path}/manifests", "{path}/kubernetes"];

/// Looks into the work tree for charts, and for manifests where there is no chart.
pub(crate) fn suggest(top: &Path, submodules: &[Submodule]) -> Option<SuggestedEnvironment> {
    let of_charts = || {
        let (place, with) = most_common(&CHARTS, submodules, |folder| top.join(folder).join("Chart.yaml").is_file())?;
        let target = format!("{{ kind: helm, chart: {} }}", quoted(place));
        Some(SuggestedEnvironment {
            found: format!("{} of {} have a chart in `{place}`", with.len(), count(submodules.len(), "submodule")),
            yaml: environment("kubeconfig: { env: STAGING_KUBECONFIG }", &target, "chart", &with, submodules),
            next: "put your namespace, and the variable that holds a kubeconfig, in their place; `orchestrator config check \
                   --suggest` then says which charts take the locked image"
                .to_owned(),
        })
    };
    let of_manifests = || {
        let (place, with) = most_common(&MANIFESTS, submodules, |folder| has_manifests(&top.join(folder)))?;
        let target = format!("{{ kind: render, source: {}, branch: \"deploy/{{mode}}\" }}", quoted(place));
        Some(SuggestedEnvironment {
            found: format!("{} of {} have manifests in `{place}`", with.len(), count(submodules.len(), "submodule")),
            yaml: environment("", &target, "manifest", &with, submodules),
            next: "put your namespace in its place; `orchestrator plan staging` then shows the manifests with their locked \
                   images. With `kind: apply`, a `kubeconfig` and no `branch` they go to a cluster"
                .to_owned(),
        })
    };
    of_charts().or_else(of_manifests)
}

/// The place that most submodules use, the first of several, and those submodules.
fn most_common<'a>(
    places: &[&'static str],
    submodules: &'a [Submodule],
    is_there: impl Fn(&str) -> bool,
) -> Option<(&'static str, Vec<&'a Submodule>)> {
    let found = places.iter().rev().map(|place| {
        let at = |submodule: &&Submodule| {
            is_there(&place.replace("{path}", submodule.path.as_str()).replace("{name}", submodule.path.file_name()))
        };
        (*place, submodules.iter().filter(at).collect::<Vec<_>>())
    });
    found.max_by_key(|(_, with)| with.len()).filter(|(_, with)| !with.is_empty())
}

/// Whether a folder has manifests and no kustomization.
fn has_manifests(folder: &Path) -> bool {
    let names: Vec<String> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    let is_yaml = |name: &String| Path::new(name).extension().is_some_and(|end| end == "yaml" || end == "yml");
    let is_other = |name: &String| name.to_lowercase().starts_with("kustomization") || name == "Chart.yaml";
    names.iter().any(is_yaml) && !names.iter().any(is_other)
}

fn environment(cluster: &str, target: &str, what: &str, with: &[&Submodule], all: &[Submodule]) -> String {
    let cluster = if cluster.is_empty() { String::new() } else { format!("    {cluster}\n") };
    let deploy = if with.len() == all.len() {
        "    deploy: [\"**\"]\n".to_owned()
    } else {
        let names: Vec<String> = with.iter().map(|submodule| quoted(submodule.path.file_name())).collect();
        format!("    deploy: [{}]\n    locked-only: {{ reason: no {what} of its own }}\n", names.join(", "))
    };
    format!("environments:\n  staging:\n    namespace: staging\n{cluster}    target: {target}\n{deploy}")
}
