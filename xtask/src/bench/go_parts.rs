//! Parts built from Go modules: a folder each with `go.mod` and `go.sum`, which pin every byte that is built.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Bench, Found};
use crate::{program, workspace};

/// A program out of a Go module of ours.
pub(super) struct GoPart {
    pub(super) name: &'static str,
    /// The folder of our module, below the workspace.
    pub(super) module: &'static str,
    /// What is built: a package of a module that ours requires, or one of ours.
    pub(super) package: &'static str,
    /// The required module that gives the part its version.
    pub(super) versioned_by: &'static str,
    /// Whether it is linked with C code; then it needs a C compiler.
    pub(super) with_c: bool,
    pub(super) tags: &'static str,
    /// More for the linker; `VERSION` stands for the version without its `v`.
    pub(super) link: &'static str,
    /// Folders of the required module that the program reads while it runs: copied into `static` beside it.
    pub(super) folders: &'static [&'static str],
}

pub(super) const PLAIN: GoPart =
    GoPart { name: "", module: "", package: "", versioned_by: "", with_c: false, tags: "", link: "", folders: &[] };

/// A reader of a few lines around Go's yaml.v3.
pub(super) fn yaml_go(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "yaml-go",
        module: "tests/readers/yaml-go",
        package: ".",
        versioned_by: "gopkg.in/yaml.v3",
        ..PLAIN
    };
    part.bring(bench)
}

/// A peer: go-containerregistry's command line.
pub(super) fn crane(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "crane",
        module: "tests/bench/go-containerregistry",
        package: "github.com/google/go-containerregistry/cmd/crane",
        versioned_by: "github.com/google/go-containerregistry",
        ..PLAIN
    };
    part.bring(bench)
}

/// A peer: regclient's command line.
pub(super) fn regctl(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "regctl",
        module: "tests/bench/regctl",
        package: "github.com/regclient/regclient/cmd/regctl",
        versioned_by: "github.com/regclient/regclient",
        ..PLAIN
    };
    part.bring(bench)
}

/// The present release of the registry whose release 2 Debian calls docker-registry.
pub(super) fn distribution(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "distribution",
        module: "tests/bench/distribution",
        package: "github.com/distribution/distribution/v3/cmd/registry",
        versioned_by: "github.com/distribution/distribution/v3",
        ..PLAIN
    };
    part.bring(bench)
}

/// A registry with the referrers API, which docker-registry 2 does not have.
pub(super) fn referrers_registry(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "referrers-registry",
        module: "tests/bench/go-containerregistry",
        package: "./referrers-registry",
        versioned_by: "github.com/google/go-containerregistry",
        ..PLAIN
    };
    part.bring(bench)
}

/// A proxy that is slow, cuts, resets and keeps silent when told so.
pub(super) fn toxiproxy(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "toxiproxy",
        module: "tests/bench/toxiproxy",
        package: ".",
        versioned_by: "github.com/Shopify/toxiproxy/v2",
        ..PLAIN
    };
    part.bring(bench)
}

/// What renders kustomizations, beside the one within kubectl.
pub(super) fn kustomize(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "kustomize",
        module: "tests/bench/kustomize",
        package: "sigs.k8s.io/kustomize/kustomize/v5",
        versioned_by: "sigs.k8s.io/kustomize/kustomize/v5",
        ..PLAIN
    };
    part.bring(bench)
}

/// A forge with a registry and a token service of its own.
pub(super) fn gitea(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "gitea",
        module: "tests/bench/gitea",
        package: "code.gitea.io/gitea",
        versioned_by: "code.gitea.io/gitea",
        with_c: true,
        tags: "sqlite sqlite_unlock_notify",
        link: "-X main.Version=VERSION",
        folders: &["options", "public", "templates"],
    };
    part.bring(bench)
}

impl GoPart {
    /// The built program: from an earlier run when everything is as it was then, or built now.
    pub(super) fn bring(&self, bench: &Bench) -> Result<Found, String> {
        program::find("go").ok_or("`go` is not on PATH")?;
        let module = workspace().join(self.module);
        let text = read(&module.join("go.mod"))?;
        let version = required(&text, self.versioned_by)
            .ok_or_else(|| format!("{}/go.mod does not name the version of {}", self.module, self.versioned_by))?;
        let folder = bench.folder.join(format!("{}-{version}", self.name));
        let found = Found { version: version.to_owned(), program: folder.join(self.name), environment: Vec::new() };
        let source = self.source(&module)?;
        let stamp = folder.join("built-from");
        if found.program.is_file() && fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == source) {
            return Ok(found);
        }
        // The folder gets its name at the end, so that what has the name is whole.
        let staging = bench.folder.join(format!("staging-{}-{}", self.name, std::process::id()));
        let built = self.build(&module, version, &staging).and_then(|()| {
            let place = |error| format!("{}: {error}", folder.display());
            fs::write(staging.join("built-from"), &source).map_err(place)?;
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(place)?;
            }
            fs::rename(&staging, &folder).map_err(place)
        });
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(|error| format!("{}: {error}", staging.display()))?;
        }
        built.map(|()| found)
    }

    /// Everything that the program is made of, as a text: equal texts build equal programs.
    fn source(&self, module: &Path) -> Result<String, String> {
        let mut files = vec![module.join("go.mod"), module.join("go.sum")];
        if self.package.starts_with('.') {
            let folder = module.join(self.package);
            let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
            let mut ours: Vec<PathBuf> =
                entries.filter(|path| path.extension().is_some_and(|end| end == "go")).collect();
            ours.sort();
            files.extend(ours);
        }
        let go = program::text(self.go(module).args(["env", "GOVERSION", "GOOS", "GOARCH"]))?;
        let how = format!("{} {} {} {} {:?}", self.package, self.with_c, self.tags, self.link, self.folders);
        let files = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
        Ok([go, how].into_iter().chain(files).collect::<Vec<_>>().join("\n"))
    }

    fn build(&self, module: &Path, version: &str, into: &Path) -> Result<(), String> {
        fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
        let link = format!("-s -w {}", self.link.replace("VERSION", version.trim_start_matches('v')));
        let mut build = self.go(module);
        build.args(["build", "-buildvcs=false", "-trimpath", "-ldflags", link.trim(), "-tags", self.tags, "-o"]);
        program::text(build.arg(into.join(self.name)).arg(self.package))?;
        if self.folders.is_empty() {
            return Ok(());
        }
        let from = program::text(self.go(module).args(["list", "-m", "-f", "{{.Dir}}", self.versioned_by]))?;
        for folder in self.folders {
            copy_folder(&Path::new(from.trim()).join(folder), &into.join("static").join(folder))?;
        }
        Ok(())
    }

    /// `go` in our module, whatever workspaces and flags the machine has set.
    fn go(&self, module: &Path) -> std::process::Command {
        let mut command = program::program("go");
        command.current_dir(module).env("GOWORK", "off").env("GOFLAGS", "-mod=readonly");
        command.env("CGO_ENABLED", if self.with_c { "1" } else { "0" });
        command
    }
}

/// The version of a module that a `go.mod` requires, in a line or in a block.
fn required<'a>(text: &'a str, module: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("require ").unwrap_or(line);
        let version = line.strip_prefix(module)?.strip_prefix(' ')?;
        version.split_whitespace().next().filter(|version| version.starts_with('v'))
    })
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Copies a folder's files; not their rights, which the module cache has taken away.
fn copy_folder(from: &Path, into: &Path) -> Result<(), String> {
    let place = |error| format!("{}: {error}", from.display());
    fs::create_dir_all(into).map_err(place)?;
    for entry in fs::read_dir(from).map_err(place)? {
        let entry = entry.map_err(place)?;
        let (source, target) = (entry.path(), into.join(entry.file_name()));
        if entry.file_type().map_err(place)?.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            fs::read(&source).and_then(|bytes| fs::write(&target, bytes)).map_err(place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::required;

    #[test]
    fn a_version_is_found_in_a_line_and_in_a_block() {
        let text = "go 1.26\n\ntool a.example/b/cmd/c\n\nrequire a.example/b v1.2.3\n\nrequire (\n\ta.example/bc v2.0.0 // indirect\n)\n";
        assert_eq!(required(text, "a.example/b"), Some("v1.2.3"));
        assert_eq!(required(text, "a.example/bc"), Some("v2.0.0"));
        assert_eq!(required(text, "a.example/d"), None);
    }
}
