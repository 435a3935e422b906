//! Debian packages, downloaded and unpacked but never installed: an installed server would start by itself, and
//! nothing outside `target/` may change. Works without root.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program;

/// The package archive, through apt with lists and caches of our own.
#[derive(Debug)]
pub(crate) struct Debian {
    folder: PathBuf,
    ready: OnceCell<Result<(), String>>,
}

/// An unpacked package.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// The version of the first package.
    pub(crate) version: String,
    /// The folder that stands for `/`.
    pub(crate) root: PathBuf,
}

impl Debian {
    pub(crate) fn new(bench: &Path) -> Self {
        Self { folder: bench.join("apt"), ready: OnceCell::new() }
    }

    /// Downloads packages and unpacks them all into `into`, which must not be there yet.
    ///
    /// Each package is a list of names, since some were renamed between releases: the first that is known is taken.
    pub(crate) fn unpack(&self, packages: &[&[&str]], into: &Path) -> Result<Unpacked, String> {
        self.ready.get_or_init(|| self.update()).clone()?;
        let mut chosen = Vec::new();
        for names in packages {
            chosen.push(self.choose(names)?);
        }
        fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
        let mut download = self.apt("apt-get");
        program::text(download.arg("download").args(chosen.iter().map(|(name, _)| name)).current_dir(into))?;
        let entries = fs::read_dir(into).map_err(|error| format!("{}: {error}", into.display()))?;
        let files = entries.filter_map(Result::ok).map(|entry| entry.path());
        for file in files.filter(|path| path.extension().is_some_and(|end| end == "deb")) {
            program::text(program::program("dpkg").arg("-x").arg(&file).arg(into.join("root")))?;
            fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let (_, version) = chosen.into_iter().next().ok_or("no package was asked for")?;
        Ok(Unpacked { version, root: into.join("root") })
    }

    /// The first of the names that the archive has, with its version.
    fn choose(&self, names: &[&str]) -> Result<(String, String), String> {
        let mut reasons = Vec::new();
        for name in names {
            match program::text(self.apt("apt-cache").args(["show", "--no-all-versions", name])) {
                Ok(text) => {
                    let version = text.lines().find_map(|line| line.strip_prefix("Version: "));
                    let version = version.ok_or_else(|| format!("package {name} has no version"))?;
                    return Ok(((*name).to_owned(), version.to_owned()));
                }
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }

    /// Brings our own copy of the package lists up to date, once a run and only when something is to be downloaded.
    fn update(&self) -> Result<(), String> {
        for name in ["apt-get", "apt-cache", "dpkg"] {
            program::find(name).ok_or_else(|| format!("`{name}` is not on PATH: this is not Debian"))?;
        }
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = self.folder.join(folder);
            fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let configuration = format!(
            "// The machine's sources and keys, but lists and caches of our own, and no hooks.\n\
             #clear APT::Update::Pre-Invoke;\n\
             #clear APT::Update::Post-Invoke;\n\
             #clear APT::Update::Post-Invoke-Success;\n\
             Dir::State::lists \"{0}/lists\";\n\
             Dir::Cache \"{0}/cache\";\n\
             APT::Sandbox::User \"\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::CNF::DefaultEnabled \"false\";\n\
             Acquire::Retries \"3\";\n\
             Acquire::http::Timeout \"60\";\n",
            self.folder.display()
        );
        fs::write(self.configuration(), configuration).map_err(|error| format!("apt.conf: {error}"))?;
        program::text(self.apt("apt-get").args(["-qq", "update"])).map(drop)
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("apt.conf")
    }

    fn apt(&self, name: &str) -> Command {
        let mut command = program::program(name);
        command.env("LC_ALL", "C.UTF-8").arg("-c").arg(self.configuration());
        command
    }
}

/// The folders of an unpacked package that hold shared libraries, as `LD_LIBRARY_PATH` wants them.
pub(crate) fn library_path(root: &Path) -> String {
    let mut folders = Vec::new();
    for parent in ["usr/lib", "lib"] {
        let entries = fs::read_dir(root.join(parent)).into_iter().flatten().filter_map(Result::ok);
        folders.extend(entries.map(|entry| entry.path()).filter(|path| holds_libraries(path)));
    }
    folders.sort();
    folders.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

fn holds_libraries(folder: &Path) -> bool {
    let mut names = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().contains(".so"))
}
