//! The rules of the workspace that no compiler checks: who may depend on whom, and what its front pages promise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use test_support::{cargo_metadata, workspace};

/// Which of our own crates each of them may build on. A crate that is not here is a failure.
const OWN: &[(&str, &[&str])] = &[
    ("lock-model", &[]),
    ("orchestrator-config", &["lock-model"]),
    ("orchestrator-ledger", &["lock-model"]),
    ("orchestrator-promotion", &["lock-model", "orchestrator-config", "orchestrator-ledger"]),
    ("orchestrator-cluster", &["lock-model", "orchestrator-process"]),
    ("orchestrator-process", &["lock-model"]),
    ("orchestrator-git", &["lock-model", "orchestrator-process"]),
    ("lock-gen", &["lock-model", "orchestrator-git", "orchestrator-process"]),
    ("registry", &["lock-model", "orchestrator-process"]),
    ("deployer", &["lock-model", "orchestrator-cluster", "orchestrator-git", "orchestrator-process"]),
    ("orchestrator-http-client", &["lock-model"]),
    ("healthcheck", &["lock-model", "orchestrator-http-client", "orchestrator-process"]),
    ("orchestrator-qa", &["lock-model", "orchestrator-cluster", "orchestrator-http-client", "orchestrator-process"]),
    ("orchestrator-forge", &["lock-model", "orchestrator-git", "orchestrator-ledger", "orchestrator-process"]),
    (
        "orchestrator",
        &[
            "deployer",
            "healthcheck",
            "lock-gen",
            "lock-model",
            "orchestrator-cluster",
            "orchestrator-config",
            "orchestrator-forge",
            "orchestrator-git",
            "orchestrator-ledger",
            "orchestrator-process",
            "orchestrator-promotion",
            "orchestrator-qa",
            "registry",
        ],
    ),
    // The demo makes repositories, images and a namespace of its own.
    (
        "orchestrator-cli",
        &[
            "lock-model",
            "orchestrator",
            "orchestrator-cluster",
            "orchestrator-config",
            "orchestrator-git",
            "orchestrator-ledger",
            "orchestrator-process",
            "registry",
        ],
    ),
    // The tools in `examples/`, which stand for programs of others.
    ("emit-metadata", &["lock-model"]),
    ("resolve-images", &["registry"]),
    ("scan-lock", &["lock-gen", "lock-model", "registry"]),
    ("test-support", &[]),
    ("system-tests", &[]),
    ("xtask", &[]),
];

/// Crates of others that belong to one place, with the crates of ours that may name them.
const FOREIGN: &[(&str, &[&str])] = &[
    ("gix", &["lock-gen", "orchestrator-git"]),
    ("oci-client", &["registry"]),
    ("kube", &["orchestrator-cluster"]),
    ("k8s-openapi", &["orchestrator-cluster"]),
    ("clap", &["orchestrator-cli"]),
    ("reqwest", &["healthcheck", "orchestrator-forge", "orchestrator-http-client", "orchestrator-qa", "registry"]),
];

/// Crates of ours that only compute, and what must not be anywhere below them.
const PURE: &[&str] = &["lock-model", "orchestrator-config", "orchestrator-ledger", "orchestrator-promotion"];
const NOT_BELOW_PURE: &[&str] = &["gix", "hyper", "mio", "reqwest", "rustix", "rustls", "socket2", "tempfile", "tokio"];

/// What cargo knows: our packages with what they name themselves, and everything that lies below each.
struct Graph {
    /// Package name → the names of its normal dependencies.
    direct: BTreeMap<String, BTreeSet<String>>,
    ours: BTreeSet<String>,
}

impl Graph {
    fn read() -> Self {
        let metadata: Value = serde_json::from_slice(&cargo_metadata()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let names: BTreeMap<String, String> = metadata["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let below = node["deps"].as_array().unwrap().iter().filter(|dependency| {
                // `null` is how cargo writes the normal kind, beside "dev" and "build".
                dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
            });
            // Two versions of one crate share a name: what is below either counts.
            let name = names[node["id"].as_str().unwrap()].clone();
            direct
                .entry(name)
                .or_default()
                .extend(below.map(|dependency| names[dependency["pkg"].as_str().unwrap()].clone()));
        }
        let ours = metadata["workspace_members"].as_array().unwrap().iter();
        Self { direct, ours: ours.map(|id| names[id.as_str().unwrap()].clone()).collect() }
    }

    fn all_below(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            for below in &self.direct[name] {
                if seen.insert(below.as_str()) {
                    waiting.push(below);
                }
            }
        }
        seen
    }
}

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let graph = Graph::read();
    let mut problems = Vec::new();
    for name in &graph.ours {
        let Some((_, allowed)) = OWN.iter().find(|(known, _)| known == name) else {
            problems.push(format!("{name} has no line in the table of allowed dependencies"));
            continue;
        };
        let used = graph.direct[name].iter().filter(|below| graph.ours.contains(*below));
        problems
            .extend(used.filter(|below| !allowed.contains(&below.as_str())).map(|below| format!("{name} → {below}")));
    }
    assert!(problems.is_empty(), "not allowed: {problems:#?}");
}

#[test]
fn foreign_crates_stay_where_they_belong() {
    let graph = Graph::read();
    let mut problems = Vec::new();
    for (foreign, allowed) in FOREIGN {
        let users = graph.ours.iter().filter(|name| graph.direct[*name].contains(*foreign));
        problems
            .extend(users.filter(|name| !allowed.contains(&name.as_str())).map(|name| format!("{name} → {foreign}")));
    }
    assert!(problems.is_empty(), "not allowed: {problems:#?}");
}

#[test]
fn pure_crates_have_nothing_below_them_that_touches_the_world() {
    let graph = Graph::read();
    for pure in PURE {
        let below = graph.all_below(pure);
        let touching: Vec<_> = NOT_BELOW_PURE.iter().filter(|name| below.contains(**name)).collect();
        assert!(touching.is_empty(), "{pure} stands on {touching:?}");
    }
}

/// The source folder of a package.
fn sources_of(package: &str) -> PathBuf {
    let folder = match package {
        "orchestrator" | "orchestrator-cli" => package,
        package => package.trim_start_matches("orchestrator-"),
    };
    workspace().join("crates").join(folder).join("src")
}

/// Clippy forbids the calls, but an `expect` would allow them again.
#[test]
fn libraries_read_no_environment_and_no_clock_and_print_nothing() {
    let mut found = Vec::new();
    for (package, _) in OWN.iter().filter(|(package, _)| sources_of(package).is_dir()) {
        if matches!(*package, "orchestrator-cli" | "test-support") {
            continue;
        }
        for file in rust_files(&sources_of(package)) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let words = ["env::var", "env::current_dir", "SystemTime::now", "println!", "print!(", "env::args"];
            found.extend(
                words.iter().filter(|word| code.contains(**word)).map(|word| format!("{}: {word}", file.display())),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// What a commit of the superproject says decides about deployments: all of it is read in one place, which knows what the
/// release id covers. Clippy refuses the calls, and only these files may be excepted.
#[test]
fn t41_one_module_reads_the_superproject() {
    let sources = sources_of("orchestrator");
    let excepted = ["context.rs", "inputs/mod.rs"];
    let calls = [
        ".read_file(",
        ".read_files(",
        ".read_blobs(",
        ".list_files(",
        ".holds_text(",
        ".superproject.",
        ".invocation(",
        "disallowed_methods",
    ];
    let mut found = Vec::new();
    for file in rust_files(&sources) {
        let name = file.strip_prefix(&sources).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let commits = text.replace(".superproject.commit(", "").replace(".superproject.is_shallow(", "");
        found.extend(calls.iter().filter(|call| commits.contains(**call)).map(|call| format!("{name}: {call}")));
    }
    found.retain(|line| !excepted.iter().any(|name| line.starts_with(&format!("{name}: "))));
    assert!(found.is_empty(), "read by `Inputs`, or declared there: {found:#?}");

    let lines = |path: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(workspace().join(path)).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let own = lines("crates/orchestrator/clippy.toml");
    assert!(lines("clippy.toml").is_subset(&own), "the engine's own rules begin with those of the workspace");
    for method in
        ["read_file", "read_files", "read_blobs", "list_files", "holds_text", "invocation", "run", "checked", "text"]
    {
        assert!(own.iter().any(|line| line.contains(&format!("\"git::Git::{method}\""))), "{method}");
    }
    for method in ["scan", "list", "files", "read_file"] {
        assert!(own.iter().any(|line| line.contains(&format!("\"lock_gen::Superproject::{method}\""))), "{method}");
    }
}

#[test]
fn pure_crates_name_neither_files_nor_network_nor_programs() {
    let mut found = Vec::new();
    for pure in PURE {
        for file in rust_files(&sources_of(pure)) {
            let text = fs::read_to_string(&file).unwrap();
            let words = ["std::fs", "net::Tcp", "net::Udp", "ToSocketAddrs", "std::process", "std::env", "std::thread"];
            found.extend(
                words.iter().filter(|word| text.contains(**word)).map(|word| format!("{}: {word}", file.display())),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_architecture_page_is_short_and_names_every_crate() {
    let text = fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let lines = text.lines().count();
    assert!(lines < 150, "ARCHITECTURE.md has {lines} lines");
    for entry in fs::read_dir(workspace().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(text.contains(&name), "ARCHITECTURE.md does not name {name}");
    }
}

#[test]
fn the_readme_has_two_commands_for_newcomers() {
    let text = fs::read_to_string(workspace().join("README.md")).unwrap();
    let mut fenced = false;
    let commands: Vec<&str> = text
        .lines()
        .filter(|line| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            fenced && !fence && line.starts_with("cargo ")
        })
        .collect();
    assert_eq!(commands, ["cargo run --quiet --package orchestrator-cli -- demo", "cargo xtask test"]);
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let top = workspace();
    let mut pages: Vec<PathBuf> = fs::read_dir(&top).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.extend(fs::read_dir(top.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut dead = Vec::new();
    for page in pages.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap();
            if !page.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", page.strip_prefix(&top).unwrap().display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}
