//! The demo's shop: real bare repositories, real submodules, real OCI images in a layout folder.

use std::path::{Path, PathBuf};

use git::{CommitIdentity, Git, GitOptions, InitOptions, LocalProtocol, PushOutcome, TreeChange};
use lock_model::{CommitId, Digest, ImageRepository, Platform, Tag, Timestamp};
use process::Program;
use registry::layout::{ImageContent, IndexContent, LayoutWriter};

use crate::environment;
use crate::surroundings::children;
use orchestrator::{Error, ErrorKind, Result};

/// What a shop is made of.
#[derive(Debug)]
pub(super) struct Plot {
    /// The submodules: path, and the manifests of those with an image.
    pub services: Vec<(&'static str, Option<String>)>,
    /// The README of the superproject, which is there before everything else.
    pub readme: &'static str,
    /// Other files of the superproject.
    pub files: Vec<TreeChange>,
    /// The subject of the commit that brings all of it.
    pub subject: &'static str,
}

/// Who commits in the shop's repositories.
const DEVELOPER: (&str, &str) = ("Dana Developer", "dana@shop.example");

/// A shop below one folder.
#[derive(Debug)]
pub(super) struct Shop {
    root: PathBuf,
    program: Program,
    services: Vec<(&'static str, Option<String>)>,
    /// Seconds since 1970 of the next commit or image.
    next: i64,
}

impl Shop {
    /// Makes the repositories at version 1, with their images or without, and a clone to work in. Gives the commits of the
    /// services too.
    pub(super) fn create(
        root: &Path,
        program: Program,
        start: Timestamp,
        plot: Plot,
        built: Built,
    ) -> Result<(Self, Vec<CommitId>)> {
        let Plot { services, readme, files: mut changes, subject } = plot;
        changes.push(write("README.md", readme));
        let next = start.as_unix_seconds() - 86_400;
        let paths: Vec<&'static str> = services.iter().map(|(path, _)| *path).collect();
        let mut shop = Self { root: root.to_path_buf(), program, services, next };
        let superproject = shop.init("shop.git", true)?;
        let (mut modules, mut commits) = (String::new(), Vec::new());
        for path in paths {
            let name = name_of(path);
            let commit = shop.new_version(name, 1, built)?;
            commits.push(commit.clone());
            modules.push_str("[submodule \"");
            modules.push_str(name);
            modules.push_str("\"]\n\tpath = ");
            modules.push_str(path);
            modules.push_str("\n\turl = ../");
            modules.push_str(name);
            modules.push_str(".git\n");
            changes.push(TreeChange::Gitlink { path: path.into(), commit });
        }
        changes.push(write(".gitmodules", &modules));
        let empty = shop.commit(&superproject, None, &[write("README.md", readme)], "an empty shop")?;
        for branch in ["main", "staging", "dev"] {
            superproject.update_ref(&format!("refs/heads/{branch}"), empty.as_str(), None).map_err(failed)?;
        }
        let first = shop.commit(&superproject, Some(&empty), &changes, subject)?;
        superproject.update_ref("refs/heads/dev", first.as_str(), Some(empty.as_str())).map_err(failed)?;
        shop.clone_superproject()?;
        Ok((shop, commits))
    }

    /// The clone that commands run in.
    pub(super) fn clone_folder(&self) -> PathBuf {
        self.root.join("shop")
    }

    /// The forge's bare repository.
    pub(super) fn superproject(&self) -> Result<Git> {
        self.open("shop.git")
    }

    /// Commits a new version of a service, and builds its image or not.
    pub(super) fn new_version(&mut self, service: &str, version: u32, built: Built) -> Result<CommitId> {
        let repository = self.init(&format!("{service}.git"), true)?;
        let parent = repository.rev_parse("refs/heads/main").map_err(failed)?;
        let parent = parent.map(CommitId::try_from).transpose().map_err(failed)?;
        let manifests = self.services.iter().find(|(path, _)| name_of(path) == service);
        let manifests = manifests.and_then(|(_, manifests)| manifests.clone());
        let mut changes = vec![write("VERSION", &format!("{version}\n"))];
        let has_image = manifests.is_some();
        if let Some(manifests) = manifests {
            changes.push(write("deploy/app.yaml", &manifests));
        }
        let commit = self.commit(&repository, parent.as_ref(), &changes, &format!("version {version}"))?;
        let old = parent.as_ref().map(CommitId::as_str);
        repository.update_ref("refs/heads/main", commit.as_str(), old).map_err(failed)?;
        if has_image && built == Built::Yes {
            self.build_image(service, &commit)?;
        }
        Ok(commit)
    }

    /// What the service's CI does: an image for two platforms, tagged by the commit, that says what it was built from.
    pub(super) fn build_image(&mut self, service: &str, commit: &CommitId) -> Result<Digest> {
        let short = service.strip_prefix("shop-").unwrap_or(service);
        let repository = ImageRepository::try_from(format!("registry.example/shop/{short}")).map_err(failed)?;
        let tag = Tag::try_from(format!("main-{}", commit.short(7))).map_err(failed)?;
        let created = self.tick();
        let mut images = Vec::new();
        for platform in ["linux/amd64", "linux/arm64"] {
            let content = format!("{service} at {commit} for {platform}\n");
            images.push(
                ImageContent::new(Platform::try_from(platform).map_err(failed)?)
                    .created(created)
                    .revision(commit)
                    .file("service.txt", content.into_bytes()),
            );
        }
        let mut layout = LayoutWriter::create(&self.root.join("registry")).map_err(failed)?;
        layout.add_index(&repository, &tag, &IndexContent::new(images)).map_err(failed)
    }

    /// Commits to `dev` and pushes: gitlinks and files.
    pub(super) fn commit_to_dev(&mut self, changes: &[TreeChange], subject: &str) -> Result<CommitId> {
        self.commit_to("dev", changes, subject)
    }

    /// Commits on top of a branch of the forge and pushes to that branch.
    pub(super) fn commit_to(&mut self, branch: &str, changes: &[TreeChange], subject: &str) -> Result<CommitId> {
        let (commit, parent) = self.commit_on(branch, changes, subject)?;
        self.push(branch, &commit, Some(&parent))?;
        Ok(commit)
    }

    /// Makes a commit on top of a branch of the forge without pushing it.
    pub(super) fn commit_on(
        &mut self,
        branch: &str,
        changes: &[TreeChange],
        subject: &str,
    ) -> Result<(CommitId, CommitId)> {
        let clone = self.open("shop")?;
        clone.fetch("origin", &["+refs/heads/*:refs/remotes/origin/*"], None).map_err(failed)?;
        let parent = clone.commit(&format!("refs/remotes/origin/{branch}")).map_err(failed)?;
        let parent =
            parent.ok_or_else(|| Error::new(ErrorKind::Bug, format!("the demo's branch `{branch}` is gone")))?.id;
        let commit = self.commit(&clone, Some(&parent), changes, subject)?;
        Ok((commit, parent))
    }

    /// Pushes a commit of the clone to a branch of the forge.
    pub(super) fn push(&self, branch: &str, commit: &CommitId, parent: Option<&CommitId>) -> Result<()> {
        let clone = self.open("shop")?;
        let reference = format!("refs/heads/{branch}");
        match clone.push("origin", commit.as_str(), &reference, parent.map(CommitId::as_str)).map_err(failed)? {
            PushOutcome::Done => Ok(()),
            PushOutcome::Moved | PushOutcome::Refused { .. } => {
                Err(Error::new(ErrorKind::Bug, format!("the demo cannot push to `{branch}`")))
            }
        }
    }

    fn clone_superproject(&self) -> Result<()> {
        let clone = self.init("shop", false)?;
        let _added = clone.checked(["remote", "add", "origin", "../shop.git"]).map_err(failed)?;
        clone.fetch("origin", &["+refs/heads/*:refs/remotes/origin/*"], None).map_err(failed)?;
        let _checked_out =
            clone.checked(["checkout", "--quiet", "-B", "dev", "--track", "origin/dev"]).map_err(failed)?;
        Ok(())
    }

    fn commit(
        &mut self,
        repository: &Git,
        parent: Option<&CommitId>,
        changes: &[TreeChange],
        subject: &str,
    ) -> Result<CommitId> {
        let tree = repository.write_tree(parent.map(CommitId::as_str), changes).map_err(failed)?;
        let identity = CommitIdentity { name: DEVELOPER.0.into(), email: DEVELOPER.1.into(), time: self.tick() };
        let parents: Vec<CommitId> = parent.cloned().into_iter().collect();
        repository.commit_tree(&tree, &parents, subject, &identity).map_err(failed)
    }

    fn init(&self, name: &str, bare: bool) -> Result<Git> {
        let options = InitOptions { bare, ..InitOptions::default() };
        let folder = self.root.join(name);
        if folder.exists() {
            return self.open(name);
        }
        std::fs::create_dir_all(&folder).map_err(failed)?;
        Git::init(&self.program, &folder, &options, git_options(None)).map_err(failed)
    }

    fn open(&self, name: &str) -> Result<Git> {
        Git::open(&self.program, &self.root.join(name), git_options(Some("dana"))).map_err(failed)
    }

    /// A minute later, each time.
    fn tick(&mut self) -> Timestamp {
        self.next += 60;
        Timestamp::from_unix_seconds(self.next)
    }
}

/// Whether the CI of a service has built its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Built {
    /// The image is in the registry.
    Yes,
    /// Not yet.
    No,
}

/// The gitlink of a service below `services/`.
pub(super) fn gitlink(service: &str, commit: &CommitId) -> TreeChange {
    TreeChange::Gitlink { path: format!("services/{service}"), commit: commit.clone() }
}

/// A program.
pub(super) fn write_program(path: &str, text: &str) -> TreeChange {
    TreeChange::Write { path: path.into(), mode: 0o100_755, bytes: text.into() }
}

/// A text file.
pub(super) fn write(path: &str, text: &str) -> TreeChange {
    TreeChange::Write { path: path.into(), mode: 0o100_644, bytes: text.into() }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The demo's own set-up failed: nothing that a user of the product would meet.
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::from_source(ErrorKind::Bug, "the demo's shop cannot be made", error)
}

/// How git is run here: the repositories are folders.
fn git_options(user: Option<&str>) -> GitOptions {
    let mut list = children(None);
    if let Some(user) = user {
        list.insert(environment::ACTOR.name, user);
    }
    GitOptions { environment: list, local_protocol: LocalProtocol::Allowed, ..GitOptions::default() }
}
