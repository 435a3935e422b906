//! What a kustomization names: files of its source, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::manifest;
use crate::problem::{DeployProblem, ProblemKind, escaped};

/// The names that a kustomization's file can have.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Keys that start programs, or read charts of a network.
const REFUSED: [&str; 6] =
    ["generators", "transformers", "validators", "helmCharts", "helmChartInflationGenerator", "helmGlobals"];

/// What else a kustomization may have: nothing of it is a file. kustomize matches keys whatever their case is, so every other
/// key is refused, and one that is unknown here does not pass as if it named nothing.
const PLAIN: [&str; 19] = [
    "apiVersion",
    "buildMetadata",
    "commonAnnotations",
    "commonLabels",
    "generatorOptions",
    "imageTags",
    "images",
    "inventory",
    "kind",
    "labels",
    "metadata",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "openapi",
    "patchesStrategicMerge",
    "replicas",
    "sortOptions",
    "vars",
];

/// The keys of an entry of [`WITH_PATH`].
const PATH_KEYS: [&str; 6] = ["options", "patch", "path", "source", "target", "targets"];

/// The keys of an entry of [`GENERATORS`].
const GENERATOR_KEYS: [&str; 9] =
    ["behavior", "env", "envs", "files", "literals", "name", "namespace", "options", "type"];

/// Keys whose entries are files, or folders with a kustomization.
const FOLDERS: [&str; 3] = ["resources", "bases", "components"];

/// Keys whose entries are files.
const FILES: [&str; 2] = ["crds", "configurations"];

/// Keys whose entries are maps with a `path`.
const WITH_PATH: [&str; 3] = ["patches", "patchesJson6902", "replacements"];

/// Keys whose entries are maps with lists of files: `KEY=FILE`, or `FILE`.
const GENERATORS: [&str; 2] = ["configMapGenerator", "secretGenerator"];

type Files<'a> = BTreeMap<&'a str, &'a [u8]>;

/// What a kustomization and all that it builds on name that is not among the files, and what would start programs.
pub(super) fn source_problems(files: &[(String, Vec<u8>)], folder: &str) -> Vec<DeployProblem> {
    let files: Files<'_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let mut reading = Reading { files, seen: BTreeSet::new(), problems: Vec::new() };
    if !reading.enter(folder) {
        let place = if folder.is_empty() { "the source".to_owned() } else { format!("`{}`", escaped(folder)) };
        let message = format!("{place} has no kustomization");
        reading.problems.push(DeployProblem::new(ProblemKind::Kustomization, message));
    }
    reading.problems
}

struct Reading<'a> {
    files: Files<'a>,
    seen: BTreeSet<String>,
    problems: Vec<DeployProblem>,
}

/// Where an entry leads.
enum Place {
    Inside(String),
    Outside,
    Remote,
}

impl Reading<'_> {
    /// Looks at the kustomization of a folder; whether there is one.
    fn enter(&mut self, folder: &str) -> bool {
        let found = NAMES.iter().map(|name| joined(folder, name)).find(|path| self.files.contains_key(path.as_str()));
        let Some(path) = found else { return false };
        if !self.seen.insert(folder.to_owned()) {
            return true;
        }
        let bytes = self.files.get(path.as_str()).copied().unwrap_or_default();
        match manifest::parse_map(bytes) {
            Ok(map) => self.look(folder, &path, &map),
            Err(reason) => {
                self.problems.push(DeployProblem::new(ProblemKind::Unreadable, reason).file(&path));
            }
        }
        true
    }

    fn look(&mut self, folder: &str, path: &str, map: &Map<String, Value>) {
        for key in REFUSED.iter().filter(|key| map.contains_key(**key)) {
            self.refuse(
                path,
                format!("`{key}` would start programs or read charts of a network, which is not done here"),
            );
        }
        let lists: [&[&str]; 6] = [&REFUSED, &PLAIN, &FOLDERS, &FILES, &WITH_PATH, &GENERATORS];
        self.refuse_unknown(path, map, &lists.concat(), "");
        self.refuse_other_types(path, map);
        for key in FOLDERS {
            for entry in texts(map.get(key)) {
                self.name(folder, path, key, entry, true);
            }
        }
        for key in FILES {
            for entry in texts(map.get(key)) {
                self.name(folder, path, key, entry, false);
            }
        }
        if let Some(entry) = map.get("openapi").and_then(|openapi| openapi.get("path")).and_then(Value::as_str) {
            self.name(folder, path, "openapi", entry, false);
        }
        for (keys, known) in [(WITH_PATH.as_slice(), PATH_KEYS.as_slice()), (&GENERATORS, &GENERATOR_KEYS)] {
            for key in keys {
                for entry in list(map.get(*key)).filter_map(Value::as_object) {
                    self.refuse_unknown(path, entry, known, key);
                }
            }
        }
        for key in WITH_PATH {
            for entry in list(map.get(key)).filter_map(|entry| entry.get("path")?.as_str()) {
                self.name(folder, path, key, entry, false);
            }
        }
        // A patch is a file, or the patch itself.
        for entry in texts(map.get("patchesStrategicMerge")) {
            if manifest::parse_map(entry.as_bytes()).is_err() {
                self.name(folder, path, "patchesStrategicMerge", entry, false);
            }
        }
        for key in GENERATORS {
            for generator in list(map.get(key)) {
                let env = generator.get("env").and_then(Value::as_str);
                let files =
                    texts(generator.get("files")).map(|entry| entry.split_once('=').map_or(entry, |(_, file)| file));
                let named: Vec<&str> = files.chain(texts(generator.get("envs"))).chain(env).collect();
                for entry in named {
                    self.name(folder, path, key, entry, false);
                }
            }
        }
    }

    /// Refuses keys that are none of those that are known.
    fn refuse_unknown(&mut self, path: &str, map: &Map<String, Value>, known: &[&str], within: &str) {
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let place = if within.is_empty() { String::new() } else { format!(" in `{within}`") };
            let meant = known.iter().find(|known| known.eq_ignore_ascii_case(key));
            let meant = meant.map(|known| format!(", did you mean `{known}`?")).unwrap_or_default();
            self.refuse(path, format!("`{}`{place} is no key of a kustomization{meant}", escaped(key)));
        }
    }

    /// Refuses values that are not of the type that files are looked for in.
    fn refuse_other_types(&mut self, path: &str, map: &Map<String, Value>) {
        let of_text = FOLDERS.iter().chain(&FILES).chain(&["patchesStrategicMerge"]);
        for key in of_text.filter(|key| !is_list(map.get(**key), Value::is_string)) {
            self.refuse(path, format!("`{key}` is no list of texts"));
        }
        for key in WITH_PATH.iter().chain(&GENERATORS).filter(|key| !is_list(map.get(**key), Value::is_object)) {
            self.refuse(path, format!("`{key}` is no list of maps"));
        }
    }

    /// Judges one entry of a key, and looks at the kustomization that it leads to.
    fn name(&mut self, folder: &str, path: &str, key: &str, entry: &str, can_be_folder: bool) {
        let shown = escaped(entry);
        match place(folder, entry) {
            Place::Inside(found) if self.files.contains_key(found.as_str()) => {}
            Place::Inside(found) if can_be_folder && self.enter(&found) => {}
            Place::Inside(_) => self.refuse(path, format!("`{key}` names `{shown}`, which is not among its files")),
            Place::Outside => self.refuse(path, format!("`{key}` names `{shown}`, which lies outside of the source")),
            Place::Remote => {
                self.refuse(path, format!("`{key}` names `{shown}`, which is remote: only files of git are read"));
            }
        }
    }

    fn refuse(&mut self, path: &str, message: String) {
        self.problems.push(DeployProblem::new(ProblemKind::Kustomization, message).file(path));
    }
}

/// Whether a value is absent, or a list of such values.
fn is_list(value: Option<&Value>, is_one: fn(&Value) -> bool) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.iter().all(is_one),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => false,
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    list(value).filter_map(Value::as_str)
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Where an entry of a folder's kustomization leads, as kustomize reads it: a path first, and else an address.
fn place(folder: &str, entry: &str) -> Place {
    if entry.contains("://") || entry.contains('?') || entry.starts_with("git@") || entry.starts_with("git::") {
        return Place::Remote;
    }
    if entry.starts_with('/') {
        return Place::Outside;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in entry.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Place::Outside;
                }
            }
            part => parts.push(part),
        }
    }
    Place::Inside(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(files: &[(&str, &str)], folder: &str) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        source_problems(&files, folder).iter().map(DeployProblem::text).collect()
    }

    const OVERLAY: &str = "
resources: [../../base, extra.yaml]
components: [../../parts/debug]
patches: [{ path: patch.yaml }, { patch: '{}' }]
patchesStrategicMerge: [patch.yaml, '{ apiVersion: v1, kind: ConfigMap, metadata: { name: a } }']
configMapGenerator: [{ name: a, files: [settings.ini, other=settings.ini], envs: [a.env], literals: ['url=https://a.example'] }]
commonAnnotations: { docs: https://docs.example }
";

    #[test]
    fn b29_everything_that_a_kustomization_names_lies_in_its_source() {
        let files = [
            ("overlays/staging/kustomization.yaml", OVERLAY),
            ("overlays/staging/extra.yaml", ""),
            ("overlays/staging/patch.yaml", ""),
            ("overlays/staging/settings.ini", ""),
            ("overlays/staging/a.env", ""),
            ("base/kustomization.yml", "resources: [app.yaml]"),
            ("base/app.yaml", ""),
            ("parts/debug/Kustomization", "kind: Component"),
        ];
        assert!(problems(&files, "overlays/staging").is_empty(), "{:?}", problems(&files, "overlays/staging"));
        for missing in 1..files.len() {
            let mut fewer = files.to_vec();
            let (gone, _) = fewer.remove(missing);
            assert!(!problems(&fewer, "overlays/staging").is_empty(), "{gone}");
        }
        assert_eq!(problems(&files, "overlays/production"), ["`overlays/production` has no kustomization"]);
        assert_eq!(problems(&files, ""), ["the source has no kustomization"]);
    }

    #[test]
    fn t18_what_is_remote_or_starts_programs_is_refused_by_name() {
        for (text, told) in [
            (
                "resources: ['https://a.example/app.yaml']",
                "`resources` names `https://a.example/app.yaml`, which is remote",
            ),
            ("resources: ['github.com/shop/base?ref=main']", "which is remote"),
            ("resources: ['git@github.com:shop/base']", "which is remote"),
            ("resources: [github.com/shop/base]", "which is not among its files"),
            ("bases: [../base]", "which lies outside of the source"),
            ("resources: [/etc/passwd]", "which lies outside of the source"),
            ("patches: [{ path: 'https://a.example/p.yaml' }]", "`patches` names"),
            ("secretGenerator: [{ name: a, files: ['a=../../key'] }]", "`secretGenerator` names"),
            ("openapi: { path: 'https://a.example/schema.json' }", "`openapi` names"),
            ("generators: [a.yaml]", "`generators` would start programs"),
            ("helmCharts: [{ name: redis }]", "`helmCharts` would start programs"),
            ("a: [", "`kustomization.yaml`"),
            (
                "Resources: ['https://a.example/app.yaml']",
                "`Resources` is no key of a kustomization, did you mean `resources`?",
            ),
            ("re\u{17f}ources: [/etc]", "is no key of a kustomization"),
            ("GENERATORS: [a.yaml]", "did you mean `generators`?"),
            ("configMapGenerator: [{ name: a, Envs: [/etc/passwd] }]", "`Envs` in `configMapGenerator` is no key"),
            ("patches: [{ PATH: /etc/passwd }]", "`PATH` in `patches` is no key"),
            ("resources: app.yaml", "`resources` is no list of texts"),
            ("patches: [app.yaml]", "`patches` is no list of maps"),
            ("secretGenerator: { Files: [/etc/passwd] }", "`secretGenerator` is no list of maps"),
        ] {
            let found = problems(&[("kustomization.yaml", text)], "");
            assert!(found.iter().any(|problem| problem.contains(told)), "{text}: {found:?}");
        }
    }
}
