//! Whether the charts below `charts/` are those that `Chart.lock` names.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use lock_model::Digest;
use serde_json::{Map, Value};

use crate::manifest;
use crate::problem::escaped;
use crate::request::DeployService;

const LOCK_FILE: &str = "Chart.lock";

/// What is wrong with the dependencies of a service's chart, by file.
///
/// A dependency without a repository lies in `charts/` and is in no lock. helm itself asks only whether charts of all names
/// are there.
pub(super) fn dependency_problems(service: &DeployService) -> Vec<(&'static str, String)> {
    // A chart that cannot be read is named elsewhere.
    let Some(chart) = map_of(service, "Chart.yaml").and_then(Result::ok) else { return Vec::new() };
    let misspelt = misspelt(&chart);
    if !misspelt.is_empty() {
        let messages = misspelt.into_iter().map(|(key, meant)| {
            format!("`{}` is read as `{meant}` by helm, whatever its case: write `{meant}`", escaped(&key))
        });
        return messages.map(|message| ("Chart.yaml", message)).collect();
    }
    let dependencies = list(&chart);
    let fetched: Vec<&Map<String, Value>> =
        dependencies.iter().copied().filter(|one| !text(one, "repository").is_empty()).collect();
    if fetched.is_empty() {
        return Vec::new();
    }
    let lock = match map_of(service, LOCK_FILE) {
        None => {
            let names: Vec<String> = fetched.iter().map(|one| escaped(text(one, "name"))).collect();
            let message = format!("it is missing, and the chart depends on {}", names.join(", "));
            return vec![(LOCK_FILE, message)];
        }
        Some(Err(reason)) => return vec![(LOCK_FILE, reason)],
        Some(Ok(lock)) => lock,
    };
    let locked = list(&lock);
    let mut problems = Vec::new();
    let digest = digest_of(&dependencies, &locked);
    if text(&lock, "digest") != digest {
        let found = escaped(text(&lock, "digest"));
        let message = format!("it is not of these dependencies: its digest is `{found}`, theirs is `{digest}`");
        problems.push((LOCK_FILE, message));
    }
    let vendored = vendored(service);
    for one in locked.iter().filter(|one| !text(one, "repository").is_empty()) {
        let wanted = (text(one, "name").to_owned(), text(one, "version").to_owned());
        if !vendored.contains(&wanted) {
            let (name, version) = (escaped(&wanted.0), escaped(&wanted.1));
            let others = vendored.iter().filter(|(other, _)| *other == wanted.0);
            let others: Vec<String> = others.map(|(_, version)| escaped(version)).collect();
            let found = if others.is_empty() {
                "it is not there".to_owned()
            } else {
                format!("{} is there", others.join(", "))
            };
            problems.push((LOCK_FILE, format!("it names {version} of chart `{name}`, and in `charts/` {found}")));
        }
    }
    problems
}

/// Keys that helm takes for keys of a chart or of a dependency although they are spelt in another case.
fn misspelt(chart: &Map<String, Value>) -> Vec<(String, &'static str)> {
    let is_same = |key: &str, known: &str| key.to_lowercase().to_uppercase() == known.to_uppercase();
    let find = |map: &'_ Map<String, Value>, known: &'static [&'static str]| {
        let other = |key: &String| known.iter().find(|known| **known != key.as_str() && is_same(key, known));
        map.keys().filter_map(|key| Some((key.clone(), *other(key)?))).collect::<Vec<_>>()
    };
    let mut found = find(chart, &["apiVersion", "dependencies", "kubeVersion", "name", "type", "version"]);
    for dependency in list(chart) {
        found.extend(find(dependency, &["name", "repository", "version"]));
    }
    found
}

/// Name and version of each chart in `charts/`: of a folder, what its `Chart.yaml` says; of an archive, what its name says.
fn vendored(service: &DeployService) -> BTreeSet<(String, String)> {
    let charts = service.files.iter().filter_map(|(path, bytes)| {
        let inside = path.strip_prefix("charts/")?;
        match inside.split_once('/') {
            Some((_, "Chart.yaml")) => {
                let chart = manifest::parse_map(bytes).ok()?;
                Some((text(&chart, "name").to_owned(), text(&chart, "version").to_owned()))
            }
            Some(_) => None,
            None => {
                let stem = inside.strip_suffix(".tgz")?;
                // A version begins with the first digit behind a hyphen after which nothing but a version can follow.
                let at = stem.match_indices('-').map(|(at, _)| at).find(|at| {
                    let rest = stem.get(at + 1..).unwrap_or_default();
                    let core = rest.split(['-', '+']).next().unwrap_or_default();
                    core.split('.').count() == 3 && core.split('.').all(|part| part.parse::<u64>().is_ok())
                })?;
                Some((stem.get(..at)?.to_owned(), stem.get(at + 1..)?.to_owned()))
            }
        }
    });
    charts.collect()
}

/// The digest that helm writes into `Chart.lock`: of what the chart asks for and of what was found for it.
fn digest_of(asked: &[&Map<String, Value>], locked: &[&Map<String, Value>]) -> String {
    let list = |all: &[&Map<String, Value>]| all.iter().map(|one| to_json(one)).collect::<Vec<_>>().join(",");
    Digest::of(format!("[[{}],[{}]]", list(asked), list(locked)).as_bytes()).to_string()
}

/// A dependency as helm writes it as JSON: its fields in this order, and those with a default left out.
fn to_json(dependency: &Map<String, Value>) -> String {
    let mut fields = Vec::new();
    for (key, always) in [
        ("name", true),
        ("version", false),
        ("repository", true),
        ("condition", false),
        ("tags", false),
        ("enabled", false),
        ("import-values", false),
        ("alias", false),
    ] {
        let empty = Value::String(String::new());
        let value = dependency.get(key).unwrap_or(&empty);
        let is_default = match value {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Number(_) | Value::Object(_) => false,
        };
        if always || !is_default {
            fields.push(format!("\"{key}\":{}", as_go_writes(value)));
        }
    }
    format!("{{{}}}", fields.join(","))
}

/// Go escapes what HTML would read.
fn as_go_writes(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        if matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') {
            write!(text, "\\u{:04x}", u32::from(character)).expect("writing into a string cannot fail");
        } else {
            text.push(character);
        }
    }
    text
}

fn map_of(service: &DeployService, name: &str) -> Option<Result<Map<String, Value>, String>> {
    let (_, bytes) = service.files.iter().find(|(path, _)| path == name)?;
    Some(manifest::parse_map(bytes))
}

fn list(map: &Map<String, Value>) -> Vec<&Map<String, Value>> {
    map.get("dependencies").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).collect()
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: &str = "apiVersion: v2
name: parent
version: 0.1.0
dependencies:
- name: cache
  version: 1.2.3
  repository: https://charts.example/stable
- name: worker
  alias: mailer
  version: \">=0.3.0 <1.0.0\"
  repository: https://charts.example/stable
  condition: mailer.enabled
  tags: [mail]
";
    /// As helm wrote it for this chart.
    const LOCK: &str = "dependencies:
- name: cache
  repository: https://charts.example/stable
  version: 1.2.3
- name: worker
  repository: https://charts.example/stable
  version: 0.3.7
digest: sha256:a283fc1e364d8d355d61fc0d189f52e459780909297d8579af51b7094bf1f875
generated: \"2026-01-05T09:00:00.000000000Z\"
";

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        let mut service = DeployService::new("shop-parent".try_into().unwrap());
        service.files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        dependency_problems(&service).into_iter().map(|(file, message)| format!("{file}: {message}")).collect()
    }

    const CACHE: (&str, &str) = ("charts/cache/Chart.yaml", "apiVersion: v2\nname: cache\nversion: 1.2.3\n");
    const WORKER: (&str, &str) = ("charts/worker-0.3.7.tgz", "");

    #[test]
    fn t28_charts_that_a_chart_depends_on_are_those_of_its_lock() {
        let chart = ("Chart.yaml", CHART);
        assert_eq!(problems(&[chart, ("Chart.lock", LOCK), CACHE, WORKER]), [""; 0]);
        assert_eq!(problems(&[("Chart.yaml", "name: a\ndependencies: [{ name: b, version: 1.0.0 }]\n")]), [""; 0]);
        assert_eq!(
            problems(&[chart, CACHE, WORKER]),
            ["Chart.lock: it is missing, and the chart depends on cache, worker"]
        );
        let newer = ("charts/cache/Chart.yaml", "apiVersion: v2\nname: cache\nversion: 1.2.4\n");
        assert_eq!(
            problems(&[chart, ("Chart.lock", LOCK), newer]),
            [
                "Chart.lock: it names 1.2.3 of chart `cache`, and in `charts/` 1.2.4 is there",
                "Chart.lock: it names 0.3.7 of chart `worker`, and in `charts/` it is not there"
            ]
        );
        for edited in [CHART.replace("1.2.3", "1.2.4"), CHART.replace("[mail]", "[post]"), CHART.replace('<', "<=")] {
            let found = problems(&[("Chart.yaml", &edited), ("Chart.lock", LOCK), CACHE, WORKER]);
            assert!(found.len() == 1 && found[0].contains("it is not of these dependencies"), "{found:?}");
        }
        assert_eq!(problems(&[chart, ("Chart.lock", "a: ["), CACHE, WORKER]).len(), 1);
    }

    #[test]
    fn t28_keys_in_another_case_are_told_since_helm_reads_them() {
        for (chart, told) in [
            (CHART.replace("dependencies:", "Dependencies:"), "`Dependencies` is read as `dependencies`"),
            (CHART.replace("dependencies:", "dependencie\u{17f}:"), "is read as `dependencies`"),
            (CHART.replacen("  repository:", "  Repository:", 1), "`Repository` is read as `repository`"),
        ] {
            let found = problems(&[("Chart.yaml", &chart), ("Chart.lock", LOCK), CACHE, WORKER]);
            assert!(found.len() == 1 && found[0].contains(told), "{told}: {found:?}");
        }
    }
}
