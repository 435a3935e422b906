//! The parts of the test bench: real programs that the system tests compare us with.
//!
//! Each lies in `target/bench/NAME-VERSION` and is brought once. `target/bench/parts.tsv` tells the tests what is
//! there and why the rest is not; the crate `test-support` reads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::debian::{self, Debian};
use crate::{Outcome, is_ci, program, workspace};

/// A part: its name, and how it comes to be there.
struct Part {
    name: &'static str,
    bring: fn(&Bench) -> Result<Found, String>,
}

/// All of them. A new part is a line here and a function below.
const PARTS: &[Part] = &[
    Part { name: "docker-registry", bring: docker_registry },
    Part { name: "skopeo", bring: skopeo },
    Part { name: "pyyaml", bring: pyyaml },
    Part { name: "yaml-go", bring: yaml_go },
];

/// A part that is there.
#[derive(Debug)]
struct Found {
    version: String,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
}

/// Where parts are brought from and to.
struct Bench {
    folder: PathBuf,
    debian: Debian,
}

/// Brings every part that is not there yet; a part that cannot be had is named, and an error where `CI=true`.
pub(crate) fn set_up(workspace: &Path) -> Outcome {
    let folder = workspace.join("target/bench");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let bench = Bench { debian: Debian::new(&folder), folder };
    let mut list = String::new();
    let mut missing = Vec::new();
    for part in PARTS {
        let start = Instant::now();
        let (name, outcome) = (part.name, (part.bring)(&bench));
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(found) => {
                println!("  {name} {} ({seconds:.1} s)", found.version);
                let environment = found.environment.iter().map(|(key, value)| format!("{key}={value}"));
                let program = found.program.display().to_string();
                let columns = ["found".to_owned(), name.to_owned(), found.version, program];
                list += &columns.into_iter().chain(environment).collect::<Vec<_>>().join("\t");
            }
            Err(reason) => {
                println!("  {name} is missing: {reason}");
                // One line and one column, whatever a program wrote.
                let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
                list += &["missing", name, &reason].join("\t");
                missing.push(name);
            }
        }
        list.push('\n');
    }
    let path = bench.folder.join("parts.tsv");
    let staged = bench.folder.join(format!("parts.tsv.{}", std::process::id()));
    fs::write(&staged, list)
        .and_then(|()| fs::rename(&staged, &path))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    if missing.is_empty() || !is_ci() {
        Ok(())
    } else {
        Err(format!("CI=true, and parts of the bench are missing: {}", missing.join(", ")))
    }
}

impl Bench {
    /// The unpacked packages of a part: from an earlier run, or from the archive.
    ///
    /// The folder gets its name at the end, after `probe` has seen the program work, so that what has the name is whole.
    fn unpacked(
        &self,
        name: &str,
        packages: &[&[&str]],
        probe: impl Fn(&Path) -> Result<(), String>,
    ) -> Result<debian::Unpacked, String> {
        let prefix = format!("{name}-");
        let entries = fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        let mut there: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&prefix)))
            .collect();
        there.sort();
        // Probed again: the folder may come from a machine with another C library.
        while let Some(folder) = there.pop() {
            let root = folder.join("root");
            if probe(&root).is_ok() {
                let file = folder.file_name().unwrap_or_default().to_string_lossy();
                let version = file.strip_prefix(&prefix).unwrap_or(&file).to_owned();
                return Ok(debian::Unpacked { version, root });
            }
        }
        let staging = self.folder.join(format!("staging-{name}-{}", std::process::id()));
        let unpacked = self.debian.unpack(packages, &staging).and_then(|unpacked| {
            probe(&unpacked.root)?;
            // A colon, of a Debian epoch, would split a search path.
            let version = unpacked.version.replace(':', "_");
            let folder = self.folder.join(format!("{name}-{version}"));
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            }
            fs::rename(&staging, &folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            Ok(debian::Unpacked { version, root: folder.join("root") })
        });
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(|error| format!("{}: {error}", staging.display()))?;
        }
        unpacked
    }
}

/// A program that somebody installed here, where the archive cannot help.
fn installed(name: &str, reason: &str) -> Result<Found, String> {
    let program = program::find(name).ok_or_else(|| format!("{reason}; and `{name}` is not on PATH"))?;
    let version = program::text(program::program(&program).arg("--version"))?;
    let version = version.split_whitespace().find(|word| word.contains('.')).unwrap_or("installed").to_owned();
    Ok(Found { version, program, environment: Vec::new() })
}

fn docker_registry(bench: &Bench) -> Result<Found, String> {
    let program = |root: &Path| root.join("usr/bin/docker-registry");
    let probe = |root: &Path| program::text(program::program(program(root)).arg("--version")).map(drop);
    match bench.unpacked("docker-registry", &[&["docker-registry"]], probe) {
        Ok(unpacked) => {
            Ok(Found { version: unpacked.version, program: program(&unpacked.root), environment: Vec::new() })
        }
        Err(reason) => installed("docker-registry", &reason),
    }
}

fn skopeo(bench: &Bench) -> Result<Found, String> {
    // Its libraries are not on every machine; the names differ between Debian 12 and 13.
    let packages: &[&[&str]] = &[
        &["skopeo"],
        &["libgpgme11", "libgpgme11t64", "libgpgme45"],
        &["libassuan0", "libassuan9"],
        &["libdevmapper1.02.1"],
    ];
    let program = |root: &Path| root.join("usr/bin/skopeo");
    let probe = |root: &Path| {
        let mut command = program::program(program(root));
        program::text(command.env("LD_LIBRARY_PATH", debian::library_path(root)).arg("--version")).map(drop)
    };
    match bench.unpacked("skopeo", packages, probe) {
        Ok(unpacked) => Ok(Found {
            environment: vec![("LD_LIBRARY_PATH", debian::library_path(&unpacked.root))],
            version: unpacked.version,
            program: program(&unpacked.root),
        }),
        Err(reason) => installed("skopeo", &reason),
    }
}

/// The machine's Python with Debian's `PyYAML`, whose Python half runs under any Python 3.
fn pyyaml(bench: &Bench) -> Result<Found, String> {
    program::find("python3").ok_or("`python3` is not on PATH")?;
    // Asked for its real path: version managers put a script in front that needs its own environment.
    let python = program::text(program::program("python3").args(["-c", "import sys; print(sys.executable)"]))?;
    let python = PathBuf::from(python.trim());
    let modules = |root: &Path| root.join("usr/lib/python3/dist-packages");
    let version = |path: Option<PathBuf>| {
        let mut command = program::program(&python);
        command.envs(path.map(|path| ("PYTHONPATH", path))).args(["-c", "import yaml; print(yaml.__version__)"]);
        program::text(command.env("PYTHONDONTWRITEBYTECODE", "1")).map(|text| text.trim().to_owned())
    };
    let probe = |root: &Path| version(Some(modules(root))).map(drop);
    match bench.unpacked("pyyaml", &[&["python3-yaml"]], probe) {
        Ok(unpacked) => {
            let modules = modules(&unpacked.root);
            let environment = vec![
                ("PYTHONPATH", modules.display().to_string()),
                ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
                ("PYTHONNOUSERSITE", "1".to_owned()),
            ];
            Ok(Found { version: version(Some(modules))?, program: python.clone(), environment })
        }
        Err(reason) => match version(None) {
            Ok(version) => Ok(Found { version, program: python.clone(), environment: Vec::new() }),
            Err(_) => Err(reason),
        },
    }
}

/// A reader of a few lines around Go's yaml.v3, built here.
fn yaml_go(bench: &Bench) -> Result<Found, String> {
    program::find("go").ok_or("`go` is not on PATH")?;
    let source = workspace().join("tests/readers/yaml-go");
    let module = fs::read_to_string(source.join("go.mod")).map_err(|error| format!("go.mod: {error}"))?;
    let version = module.lines().find_map(|line| line.trim().strip_prefix("require gopkg.in/yaml.v3 "));
    let version = version.ok_or("go.mod does not name the version of yaml.v3")?.to_owned();
    let program = bench.folder.join(format!("yaml-go-{version}")).join("yaml-go");
    let mut build = program::program("go");
    build.current_dir(&source).args(["build", "-buildvcs=false", "-trimpath", "-o"]).arg(&program).arg(".");
    program::text(&mut build)?;
    Ok(Found { version, program, environment: Vec::new() })
}
