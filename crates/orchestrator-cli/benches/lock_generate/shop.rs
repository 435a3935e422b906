//! A shop of many services: a superproject made by script, its forge, and their images in a real registry.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git::{Git, GitOptions, InitOptions};
use process::EnvVars;
use process::Program;
use registry::layout::Blob;
use tempfile::TempDir;
use test_support::bench::Missing;
use test_support::measure::fastest;
use test_support::{DockerRegistry, GitShim, Invocation, ReferrersRegistry, RegistryRelease, Repository, Sandbox};

use crate::images::Image;

const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The branch that wants one platform of each image, as the tools beside us look at one.
pub(crate) const ONE_PLATFORM: &str = "main";
/// The branch that wants two.
pub(crate) const TWO_PLATFORMS: &str = "both";
/// The branch whose services are configuration alone.
pub(crate) const NO_IMAGES: &str = "none";

/// The shop; everything of it goes away when this is dropped.
pub(crate) struct Shop {
    sandbox: Sandbox,
    registry: Registry,
    images: Vec<Image>,
    caches: TempDir,
}

/// Which program the images are in.
#[derive(Clone, Copy)]
pub(crate) enum Kept {
    /// Distribution, as most registries are.
    Docker(RegistryRelease),
    /// The registry of go-containerregistry, which has everything in its memory, and so adds little to what its clients do.
    InMemory,
}

enum Registry {
    Docker(DockerRegistry),
    InMemory(ReferrersRegistry),
}

impl Registry {
    fn start(kept: Kept, images: &[Image]) -> Result<Self, Missing> {
        match kept {
            Kept::Docker(release) => {
                let registry = DockerRegistry::start_silent(release)?;
                for image in images {
                    store(&registry.storage(), image);
                }
                Ok(Self::Docker(registry))
            }
            Kept::InMemory => {
                let registry = ReferrersRegistry::start()?;
                for image in images {
                    push(registry.address(), image);
                }
                Ok(Self::InMemory(registry))
            }
        }
    }

    fn address(&self) -> &str {
        match self {
            Self::Docker(registry) => registry.address(),
            Self::InMemory(registry) => registry.address(),
        }
    }
}

impl Shop {
    /// A shop of some services with images, and of some submodules that are only configuration.
    pub(crate) fn new(kept: Kept, services: usize, others: usize) -> Result<Self, Missing> {
        let images: Vec<Image> = (0..services).map(Image::new).collect();
        let registry = Registry::start(kept, &images)?;
        let sandbox = Sandbox::new();
        superproject(&sandbox.join("shop.git"), &images, others, &format!("http://{}", registry.address()));
        let forge = ["-C", "shop.git", "forge", "init", "--user", "ana:write"];
        orchestrator(&sandbox).args(forge).run().expect_code(0);
        drop(Repository::clone_from(sandbox.join("shop.git"), sandbox.join("shop")));
        // On the disk that the build is on: `/tmp` may be of another kind, and is full of other programs' waste.
        let caches = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Ok(Self { sandbox, registry, images, caches })
    }

    /// Makes the lock of a branch, and gives its text.
    pub(crate) fn lock(&self, branch: &str, cache: &str) -> String {
        let cache = self.caches.path().join(cache);
        let command = orchestrator(&self.sandbox).current_dir(self.sandbox.join("shop")).arg("--cache").arg(cache);
        command.args(["lock", "generate", "--rev", branch]).run().expect_code(0).stdout().to_owned()
    }

    /// The fastest of some runs, each with a cache as this one says.
    pub(crate) fn time(&self, branch: &str, runs: usize, cache: impl Fn(usize) -> String) -> Duration {
        let mut run = 0;
        fastest(runs, || {
            run += 1;
            drop(self.lock(branch, &cache(run)));
        })
    }

    /// How often a command starts git, and the median of its times; what it prints is thrown away.
    pub(crate) fn command(&self, runs: usize, arguments: &[&str]) -> (usize, Duration) {
        let folder = self.sandbox.join("shop");
        let cache = self.caches.path().join("kept");
        let command = || orchestrator(&self.sandbox).current_dir(&folder).arg("--cache").arg(&cache).args(arguments);
        let counting = GitShim::counting();
        command().search_path(counting.search_path()).run().expect_code(0);
        (counting.count(), median(runs, || drop(command().run().expect_code(0))))
    }

    /// What a script does for the gitlinks alone.
    pub(crate) fn by_git(&self, runs: usize) -> Duration {
        let git = Program::find("git", SEARCH_PATH.as_ref()).unwrap();
        let folder = self.sandbox.join("shop");
        let run = |arguments: &[&str]| {
            let invocation = process::Invocation::new(&git).args(arguments).current_dir(&folder);
            drop(invocation.run().unwrap().checked().unwrap());
        };
        median(runs, || {
            run(&["ls-tree", "-r", NO_IMAGES_HERE]);
            run(&["config", "--blob", &[NO_IMAGES_HERE, ":.gitmodules"].concat(), "--list"]);
        })
    }

    /// Every image, as people write it.
    pub(crate) fn references(&self) -> Vec<String> {
        let reference = |image: &Image| format!("{}/{}:{}", self.registry.address(), image.repository, image.tag);
        self.images.iter().map(reference).collect()
    }

    /// The address of its registry: `127.0.0.1:PORT`.
    pub(crate) fn registry(&self) -> &str {
        self.registry.address()
    }

    /// The digests that the lock must hold.
    pub(crate) fn digests(&self) -> Vec<&str> {
        self.images.iter().map(|image| image.index.digest.as_str()).collect()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.sandbox.home()
    }
}

/// The branch without images in the clone.
const NO_IMAGES_HERE: &str = "origin/none";

/// The median of the times of some runs.
pub(crate) fn median(runs: usize, mut what: impl FnMut()) -> Duration {
    middle((0..runs).map(|_| fastest(1, &mut what)).collect())
}

/// The median of some times; of an even number the later one.
pub(crate) fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The fastest `--version` of some.
pub(crate) fn version(runs: usize) -> Duration {
    let program = binary();
    fastest(runs, || {
        let output = process::Invocation::new(&program).arg("--version").run().unwrap().checked().unwrap();
        assert!(output.stdout_text().starts_with("orchestrator "));
    })
}

pub(crate) fn binary() -> Program {
    Program::at(env!("CARGO_BIN_EXE_orchestrator"))
}

fn orchestrator(sandbox: &Sandbox) -> Invocation {
    sandbox.orchestrator_at(env!("CARGO_BIN_EXE_orchestrator"))
}

/// A bare repository with all submodules in one commit.
fn superproject(folder: &Path, images: &[Image], others: usize, registry: &str) {
    let mut gitmodules = String::new();
    let mut links = String::new();
    let mut submodule = |path: &str, name: &str, commit: &str| {
        writeln!(gitmodules, "[submodule \"{path}\"]\n\tpath = {path}\n\turl = ../shop-{name}.git").unwrap();
        writeln!(links, "M 160000 {commit} {path}").unwrap();
    };
    for image in images {
        let name = image.repository.rsplit('/').next().unwrap();
        submodule(&format!("services/shop-{name}"), name, image.tag.strip_prefix("main-").unwrap());
    }
    for number in 0..others {
        submodule(&format!("ops/shop-other-{number}"), &format!("other-{number}"), &format!("{:040x}", number + 1));
    }
    let mut stream = String::new();
    let plain = r#"{ match: "ops/*", kind: configuration }, "#;
    let rules = format!(r#"[{}{{ match: "**" }}]"#, if others == 0 { "" } else { plain });
    for (branch, platforms, rules) in [
        (ONE_PLATFORM, "linux/amd64", rules.as_str()),
        (TWO_PLATFORMS, "linux/amd64, linux/arm64", rules.as_str()),
        (NO_IMAGES, "linux/amd64", r#"[{ match: "**", kind: configuration }]"#),
    ] {
        let configuration = configuration(registry, platforms, rules);
        writeln!(stream, "commit refs/heads/{branch}\ncommitter T <t@shop.example> 1700000000 +0000\ndata 1\nx")
            .unwrap();
        for (name, text) in [(".gitmodules", &gitmodules), ("orchestrator.yaml", &configuration)] {
            writeln!(stream, "M 100644 inline {name}\ndata {}\n{text}", text.len()).unwrap();
        }
        stream.push_str(&links);
    }
    let program = Program::find("git", SEARCH_PATH.as_ref()).unwrap();
    let environment = EnvVars::new().set("PATH", SEARCH_PATH).set("HOME", folder.parent().unwrap());
    let options = GitOptions { environment, ..GitOptions::default() };
    let init = InitOptions { bare: true, ..InitOptions::default() };
    let git = Git::init(&program, folder, &init, options).unwrap();
    let import = git.invocation(["fast-import", "--quiet", "--force"]).stdin(stream).run().unwrap().checked();
    drop(import.unwrap());
}

fn configuration(registry: &str, platforms: &str, rules: &str) -> String {
    format!(
        r#"version: 1
project: {{ prefix: shop- }}
branches: {{ integration: main, staging: staging, production: production }}
forge: {{ kind: local, repository: "https://forge.example/shop/shop" }}
registries:
  registry.example: {{ mirror: "{registry}" }}
images:
  repository: "registry.example/shop/{{short}}"
  tags: ["main-{{sha}}"]
  platforms: [{platforms}]
  revision: require
services: {rules}
suites:
  lint: {{ kind: command, command: ["true"], deadline: 1m }}
environments:
  pull-request: {{ base: none, mode: pr, suites: [lint] }}
"#
    )
}

/// Puts an image where docker-registry keeps what was pushed: pushing thousands takes minutes.
fn store(folder: &Path, image: &Image) {
    let top = folder.join("docker/registry/v2");
    let repository = top.join("repositories").join(&image.repository);
    let write = |path: PathBuf, bytes: &[u8]| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let blob = |blob: &Blob| {
        let hex = blob.digest.hex();
        write(top.join(format!("blobs/sha256/{}/{hex}/data", &hex[..2])), &blob.bytes);
    };
    let link = |below: &str, blob: &Blob| {
        let name =
            if below.ends_with("current") { "link".to_owned() } else { format!("sha256/{}/link", blob.digest.hex()) };
        write(repository.join(below).join(name), blob.digest.as_str().as_bytes());
    };
    for document in std::iter::once(&image.index).chain(&image.manifests).chain(&image.attestations) {
        blob(document);
        link("_manifests/revisions", document);
    }
    for config in &image.configs {
        blob(config);
        link("_layers", config);
    }
    link(&format!("_manifests/tags/{}/current", image.tag), &image.index);
    link(&format!("_manifests/tags/{}/index", image.tag), &image.index);
}

/// Pushes an image without its layers, which nothing reads.
fn push(registry: &str, image: &Image) {
    let send = |method: &str, path: &str, blob: &Blob| {
        let length = blob.bytes.len();
        let head = format!(
            "{method} /v2/{}/{path} HTTP/1.1\r\nHost: {registry}\r\nContent-Type: {}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n",
            image.repository, blob.media_type
        );
        let mut stream = TcpStream::connect(registry).unwrap();
        stream.write_all(&[head.as_bytes(), &blob.bytes].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{path}: {answer}");
    };
    for config in &image.configs {
        send("POST", &format!("blobs/uploads/?digest={}", config.digest), config);
    }
    for manifest in image.manifests.iter().chain(&image.attestations) {
        send("PUT", &format!("manifests/{}", manifest.digest), manifest);
    }
    send("PUT", &format!("manifests/{}", image.tag), &image.index);
}
