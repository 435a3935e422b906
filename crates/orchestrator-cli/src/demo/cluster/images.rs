//! The images of the demo: one static program of a few kilobytes each, pushed without a container engine.

use std::time::Instant;

use lock_model::{CommitId, Digest, ImageRepository, Platform, Tag};
use registry::credentials::HelperPrograms;
use registry::layout::ImageContent;
use registry::{CredentialSources, Credentials, Registry, RegistryOptions};

use super::PATIENCE;
use crate::environment;
use crate::surroundings::{children, registry_access};
use orchestrator::{Error, ErrorKind, Result};

/// What the containers run; empty where `build.rs` could not make it.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/service"));

/// The size of an image, rounded up.
pub(super) const KILOBYTES: usize = PROGRAM.len().div_ceil(1000);

/// The short names of the services.
pub(super) const SERVICES: [&str; 2] = ["cart", "web"];

/// What a version of a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// It answers.
    Works,
    /// It prints why it cannot start, and ends.
    EndsAtOnce,
}

/// A registry, and what was pushed to it.
pub(super) struct Images {
    registry: Registry,
    prefix: String,
    platform: Platform,
    pushed: Vec<(ImageRepository, Digest)>,
}

impl Images {
    pub(super) fn new(prefix: &str) -> Result<Self> {
        if PROGRAM.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "this build of orchestrator has no program for containers")
                .hint("use one that was built on Linux, for amd64 or arm64"));
        }
        let platform = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
        let platform = Platform::try_from(platform).map_err(bug)?;
        Ok(Self { registry: client()?, prefix: prefix.to_owned(), platform, pushed: Vec::new() })
    }

    pub(super) fn platform(&self) -> &Platform {
        &self.platform
    }

    pub(super) fn repositories(&self) -> Vec<String> {
        SERVICES.iter().map(|service| format!("{}/{service}", self.prefix)).collect()
    }

    /// What the CI of a service does: an image, tagged by the commit, that says what it was built from.
    pub(super) async fn push(&mut self, service: &str, version: Version, commit: &CommitId) -> Result<()> {
        let repository = ImageRepository::try_from(format!("{}/{service}", self.prefix)).map_err(bug)?;
        let tag = Tag::try_from(format!("main-{}", commit.short(7))).map_err(bug)?;
        let command: &[&str] = match version {
            Version::Works => &["/service"],
            Version::EndsAtOnce => &["/service", "--schema", "7"],
        };
        let image = ImageContent::new(self.platform.clone()).revision(commit).program("service", PROGRAM);
        let image = image.command(command.iter().copied()).build();
        let pushed = self.registry.push_image(&repository, &tag, &image, Instant::now() + PATIENCE).await;
        let pushed = pushed.map_err(|error| {
            let kind = ErrorKind::of(error.class(), ErrorKind::Image, ErrorKind::Image);
            Error::from_source(kind, format!("`{repository}:{tag}` cannot be pushed"), error)
                .hint("log in with `docker login`, or name another place with `--registry`")
        })?;
        self.pushed.push((repository, pushed.digest));
        Ok(())
    }

    /// Takes all of them away; a sentence about each repository.
    pub(super) async fn remove(&self) -> Vec<String> {
        let mut told = Vec::new();
        for (repository, digest) in &self.pushed {
            let deleted = self.registry.delete_manifest(repository, digest, Instant::now() + PATIENCE).await;
            told.push(match deleted {
                Ok(_) => format!("{repository}@sha256:{}… is deleted", digest.hex().get(..12).unwrap_or_default()),
                Err(error) => {
                    format!("{repository}@{digest} STAYS, the registry does not delete it for a client: {error}")
                }
            });
        }
        told
    }
}

/// A client with the logins, proxies and authorities of every other command.
fn client() -> Result<Registry> {
    let access = registry_access()?;
    let mut sources = CredentialSources::default();
    sources.env = access.env_credentials;
    if !access.login_files.iter().any(|file| file.is_file()) {
        sources.env.extend(access.job_login);
    }
    sources.files = access.login_files;
    let mut helpers = children(None);
    for (name, value) in access.helper_variables.iter() {
        helpers.insert(name, value);
    }
    sources.helpers = Some(HelperPrograms::new(environment::search_path(), helpers));
    let mut options = RegistryOptions::default();
    options.credentials = Credentials::load(sources)
        .map_err(|error| Error::from_source(ErrorKind::Usage, "the logins of registries cannot be read", error))?;
    options.proxies = access.proxies;
    options.authorities = access.authorities;
    Registry::new(options)
        .map_err(|error| Error::from_source(ErrorKind::Usage, "the registry client cannot be made", error))
}

fn bug(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::from_source(ErrorKind::Bug, "the demo's images cannot be made", error)
}
