//! Parts out of Debian packages.

use std::path::{Path, PathBuf};

use super::{Bench, Found};
use crate::{debian, program};

/// A program that is installed on this machine, for archives that do not have it; the arguments let it do something harmless.
fn installed(name: &str, harmless: &[&str], reason: &str) -> Result<Found, String> {
    let program = program::find(name).ok_or_else(|| format!("{reason}; and `{name}` is not on PATH"))?;
    let text = program::text(program::program(&program).args(harmless))?;
    let versions = text.split_whitespace().map(|word| word.strip_prefix('v').unwrap_or(word));
    let mut versions = versions.filter(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()));
    let version = versions.next().unwrap_or("installed").to_owned();
    Ok(Found { version, program, environment: Vec::new() })
}

pub(super) fn docker_registry(bench: &Bench) -> Result<Found, String> {
    let program = |root: &Path| root.join("usr/bin/docker-registry");
    let probe = |root: &Path| program::text(program::program(program(root)).arg("--version")).map(drop);
    match bench.unpacked("docker-registry", &[&["docker-registry"]], probe) {
        Ok(unpacked) => {
            Ok(Found { version: unpacked.version, program: program(&unpacked.root), environment: Vec::new() })
        }
        Err(reason) => installed("docker-registry", &["--version"], &reason),
    }
}

/// The machine's Python with Debian's `PyYAML`, whose Python half runs under any Python 3.
pub(super) fn pyyaml(bench: &Bench) -> Result<Found, String> {
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

/// A program that needs the libraries unpacked beside it.
pub(super) struct WithLibraries {
    pub(super) name: &'static str,
    /// Several programs may come out of one folder.
    pub(super) folder: &'static str,
    /// Below the unpacked root.
    pub(super) program: &'static str,
    pub(super) packages: &'static [&'static [&'static str]],
    /// Arguments with which it ends well and does nothing.
    pub(super) harmless: &'static [&'static str],
}

impl WithLibraries {
    pub(super) fn bring(&self, bench: &Bench) -> Result<Found, String> {
        let probe = |root: &Path| {
            let mut command = program::program(root.join(self.program));
            program::text(command.env("LD_LIBRARY_PATH", debian::library_path(root)).args(self.harmless)).map(drop)
        };
        match bench.unpacked(self.folder, self.packages, probe) {
            Ok(unpacked) => Ok(Found {
                environment: vec![("LD_LIBRARY_PATH", debian::library_path(&unpacked.root))],
                version: unpacked.version,
                program: unpacked.root.join(self.program),
            }),
            Err(reason) => installed(self.name, self.harmless, &reason),
        }
    }
}

pub(super) fn skopeo(bench: &Bench) -> Result<Found, String> {
    let skopeo = WithLibraries {
        name: "skopeo",
        folder: "skopeo",
        program: "usr/bin/skopeo",
        // Its libraries are not on every machine; the names differ between Debian 12 and 13.
        packages: &[
            &["skopeo"],
            &["libgpgme11", "libgpgme11t64", "libgpgme45"],
            &["libassuan0", "libassuan9"],
            &["libdevmapper1.02.1"],
        ],
        harmless: &["--version"],
    };
    skopeo.bring(bench)
}

/// A server for static files and a proxy that speaks TLS and HTTP/2.
pub(super) fn nginx(bench: &Bench) -> Result<Found, String> {
    let nginx = WithLibraries {
        name: "nginx",
        folder: "nginx",
        program: "usr/sbin/nginx",
        packages: &[&["nginx"], &["libpcre2-8-0"], &["libssl3", "libssl3t64"]],
        harmless: &["-v"],
    };
    nginx.bring(bench)
}

/// What `ab` and `htpasswd` come in.
const APACHE_UTILS: &[&[&str]] =
    &[&["apache2-utils"], &["libapr1", "libapr1t64"], &["libaprutil1", "libaprutil1t64"], &["libssl3", "libssl3t64"]];

/// A client that does nothing but ask: the least that a request can cost.
pub(super) fn ab(bench: &Bench) -> Result<Found, String> {
    let ab = WithLibraries {
        name: "ab",
        folder: "apache2-utils",
        program: "usr/bin/ab",
        packages: APACHE_UTILS,
        harmless: &["-V"],
    };
    ab.bring(bench)
}

/// Writes the password files that docker-registry and nginx read.
pub(super) fn htpasswd(bench: &Bench) -> Result<Found, String> {
    let htpasswd = WithLibraries {
        name: "htpasswd",
        folder: "apache2-utils",
        program: "usr/bin/htpasswd",
        packages: APACHE_UTILS,
        harmless: &["-nb", "user", "password"],
    };
    htpasswd.bring(bench)
}
