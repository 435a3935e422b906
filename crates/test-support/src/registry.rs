//! A real registry on a loopback port, and `skopeo`, an independent client to compare our answers with.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::bench::{self, Missing, Part};
use crate::environment;
use crate::http::base64;
use crate::server::{Says, Server};

/// A release of the distribution registry that tests start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryRelease {
    /// Debian's docker-registry 2.8: what many shops run. It spends about a millisecond of the processor on a manifest.
    V2,
    /// Distribution 3, the present release. A manifest costs it a fifth of that.
    V3,
}

impl RegistryRelease {
    /// The part of the test bench.
    const fn part(self) -> &'static str {
        match self {
            Self::V2 => "docker-registry",
            Self::V3 => "distribution",
        }
    }
}

/// A distribution registry without login, alone with its storage; it ends when this is dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    server: Server,
    release: RegistryRelease,
    folder: TempDir,
    data: PathBuf,
    scheme: &'static str,
}

/// What a registry requires of its clients, as values of its configuration file: YAML in flow style.
#[derive(Debug, Clone, Default)]
pub struct DoorSettings {
    /// The value of `auth`, such as `{htpasswd: {realm: tests, path: /x/htpasswd}}`.
    pub auth: Option<String>,
    /// The value of `http.tls`, such as `{certificate: /x/server.pem, key: /x/server.key.pem}`.
    pub tls: Option<String>,
    /// Writes no line a request: for measurements, in which writing and reading them would count.
    pub silent: bool,
}

impl DockerRegistry {
    /// Starts docker-registry 2.8 with empty storage, once it listens.
    pub fn start() -> Result<Self, Missing> {
        Self::start_release(RegistryRelease::V2, &DoorSettings::default())
    }

    /// Starts docker-registry 2.8, or reports the running test as skipped.
    pub fn start_or_skip() -> Option<Self> {
        bench::or_skip(Self::start())
    }

    /// Starts a release with empty storage, once it listens.
    pub fn start_release(release: RegistryRelease, settings: &DoorSettings) -> Result<Self, Missing> {
        Ok(Self::start_part(release, &bench::part(release.part())?, None, settings))
    }

    /// Starts a registry that writes no line a request.
    pub fn start_silent(release: RegistryRelease) -> Result<Self, Missing> {
        Self::start_release(release, &DoorSettings { silent: true, ..DoorSettings::default() })
    }

    /// Starts another door to the same storage: what was pushed here without login is asked for there with one.
    ///
    /// The storage goes away with `self`.
    #[must_use]
    pub fn door(&self, settings: &DoorSettings) -> Self {
        let part = bench::part(self.release.part()).expect("the first registry was made of it");
        Self::start_part(self.release, &part, Some(&self.data), settings)
    }

    fn start_part(release: RegistryRelease, part: &Part, data: Option<&Path>, settings: &DoorSettings) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let configuration = folder.path().join("config.yml");
        let data = data.map_or_else(|| folder.path().join("data"), Path::to_path_buf);
        let auth = settings.auth.as_ref().map_or_else(String::new, |auth| format!("auth: {auth}\n"));
        let tls = settings.tls.as_ref().map_or_else(String::new, |tls| format!(", tls: {tls}"));
        let level = if settings.silent { "error" } else { "info" };
        // Port 0: the kernel chooses a free one, and the log names it.
        let text = format!(
            "version: 0.1\n\
             log: {{level: {level}, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: \"{}\"}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"127.0.0.1:0\", secret: tests-only{tls}}}\n\
             {auth}",
            data.display()
        );
        fs::write(&configuration, text).expect("the registry's configuration can be written");
        let mut command = part.command();
        command.arg("serve").arg(&configuration);
        // Release 3 sends traces to an address on this machine unless told not to.
        command.env("OTEL_TRACES_EXPORTER", "none");
        let server = if settings.silent {
            Server::start_silent(command)
        } else {
            Server::start(command, Says::Stderr, listening_address)
        };
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        Self { server, release, folder, data, scheme }
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// Its URL: `http://127.0.0.1:PORT`, with TLS `https://`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// Its storage folder, for tests that lose or change a blob behind its back.
    pub fn storage(&self) -> PathBuf {
        self.data.clone()
    }

    /// A folder of its own, for files that its settings name.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The address in docker-registry's line `… msg="listening on 127.0.0.1:43783" …`, with TLS `… 127.0.0.1:43783, tls"`.
pub(crate) fn listening_address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("msg=\"listening on ")?;
    let (address, _) = rest.split_once(['"', ','])?;
    Some(address.to_owned())
}

/// The `skopeo` program, with a home of its own and no trust policy (the tests' images are not signed).
#[derive(Debug)]
pub struct Skopeo {
    part: Part,
    home: TempDir,
}

impl Skopeo {
    /// Finds skopeo, or says why it is not there.
    pub fn find() -> Result<Self, Missing> {
        Ok(Self { part: bench::part("skopeo")?, home: TempDir::new().expect("a temporary folder can be made") })
    }

    /// Finds skopeo, or reports the running test as skipped.
    pub fn find_or_skip() -> Option<Self> {
        bench::or_skip(Self::find())
    }

    /// Runs skopeo and gives its standard output without the last line end; a failure is a panic that shows everything.
    pub fn run(&self, args: &[&str]) -> String {
        let stdout = String::from_utf8(self.output(args)).expect("skopeo prints UTF-8");
        stdout.trim_end_matches('\n').to_owned()
    }

    fn output(&self, args: &[&str]) -> Vec<u8> {
        let mut command = self.part.command();
        command.env("HOME", self.home.path()).env("XDG_RUNTIME_DIR", self.home.path());
        command.arg("--insecure-policy").arg("--tmpdir").arg(self.home.path()).args(args);
        let output = environment::output(&mut command).expect("skopeo starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`skopeo {}`: {}\n{stderr}", args.join(" "), output.status);
        output.stdout
    }

    /// Copies an image of an OCI layout, an index with all its platforms, to a registry, every byte as it was.
    ///
    /// `reference` is the name in the layout (`registry.example/shop/cart:main-1`), `to` the repository and tag
    /// in the registry (`shop/cart:main-1`).
    pub fn push_layout(&self, layout: &Path, reference: &str, registry: &DockerRegistry, to: &str) {
        self.push_layout_to(layout, reference, registry.address(), to, None);
    }

    /// The same for any registry on this machine without TLS, with a login (`USER:PASSWORD`) where it wants one.
    pub fn push_layout_to(&self, layout: &Path, reference: &str, address: &str, to: &str, login: Option<&str>) {
        let layout = layout.to_str().expect("test paths are UTF-8");
        let from = format!("oci:{layout}:{reference}");
        let to = format!("docker://{address}/{to}");
        let mut args = vec!["copy", "--quiet", "--all", "--preserve-digests", "--dest-tls-verify=false"];
        // In a file of its private home: every process of the machine can read a command line.
        let logins = self.home.path().join("logins.json");
        if let Some(login) = login {
            let entry = format!(r#"{{"auths":{{"{address}":{{"auth":"{}"}}}}}}"#, base64(login.as_bytes()));
            fs::write(&logins, entry).expect("the logins can be written");
            args.extend(["--dest-authfile", logins.to_str().expect("test paths are UTF-8")]);
        }
        args.extend([from.as_str(), to.as_str()]);
        self.run(&args);
    }

    /// The manifest behind a reference in the registry, byte for byte; `name` is `shop/cart:main-1` or `…@sha256:…`.
    pub fn manifest(&self, registry: &DockerRegistry, name: &str) -> Vec<u8> {
        self.output(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{}/{name}", registry.address())])
    }

    /// The digest of what a reference names in the registry: of the index where there is one.
    ///
    /// Skopeo hashes the bytes that it got; it does not repeat what the registry says about them.
    pub fn digest(&self, registry: &DockerRegistry, name: &str) -> String {
        let path = self.home.path().join("manifest.json");
        fs::write(&path, self.manifest(registry, name)).expect("the manifest can be written");
        self.run(&["manifest-digest", path.to_str().expect("test paths are UTF-8")])
    }
}

#[cfg(test)]
mod tests {
    use super::listening_address;

    #[test]
    fn the_address_is_read_from_the_log() {
        let line = r#"time="2026-01-01T00:00:00Z" level=info msg="listening on 127.0.0.1:43783" go.version=go1.19.8"#;
        assert_eq!(listening_address(line).as_deref(), Some("127.0.0.1:43783"));
        let line = r#"level=info msg="listening on 127.0.0.1:43783, tls" go.version=go1.19.8"#;
        assert_eq!(listening_address(line).as_deref(), Some("127.0.0.1:43783"));
        assert_eq!(listening_address("level=info msg=\"redis not configured\""), None);
    }
}
