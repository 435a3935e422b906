//! Images that really run: one static busybox, and a command.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::Missing;
use super::space::run;
use crate::bench;
use crate::environment;
use crate::peer::Peer;

/// What of busybox is linked into the images. Its programs that look up names are left out: a static C library crashes
/// there.
const PROGRAMS: &[&str] = &[
    "cat", "date", "echo", "env", "false", "grep", "head", "httpd", "ls", "mkdir", "nc", "rm", "sh", "sleep", "tail",
    "test", "touch", "true",
];

/// An image to be pushed.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Its path in the registry, such as `shop/cart`.
    pub repository: &'a str,
    /// Its tag.
    pub tag: &'a str,
    /// What a container of it runs, such as `["sh", "-c", "exec sleep 1000"]`.
    pub command: &'a [&'a str],
    /// Its labels.
    pub labels: &'a [(&'a str, &'a str)],
}

/// Makes images and pushes them.
#[derive(Debug)]
pub(super) struct Pusher {
    crane: Peer,
    layer: PathBuf,
}

impl Pusher {
    pub(super) fn new(folder: &Path) -> Result<Self, Missing> {
        let (busybox, crane) = (bench::part("busybox")?, Peer::find("crane")?);
        let programs = folder.join("root/bin");
        fs::create_dir_all(&programs).expect("the cluster's folder is ours");
        fs::create_dir(folder.join("root/tmp")).expect("the cluster's folder is ours");
        fs::copy(busybox.program(), programs.join("busybox")).expect("busybox can be copied");
        for name in PROGRAMS {
            symlink("busybox", programs.join(name)).expect("the folder is new");
        }
        let layer = folder.join("layer.tar");
        let mut tar = environment::command("tar");
        // The same bytes, and so the same digests, in every run.
        tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--create"]);
        tar.arg("--file").arg(&layer).arg("--directory").arg(folder.join("root")).args(["bin", "tmp"]);
        run(&mut tar).unwrap_or_else(|problem| panic!("{problem}"));
        Ok(Self { crane, layer })
    }

    /// Writes an image of a registry into an archive.
    pub(super) fn pull(&self, image: &str, file: &Path) {
        let file = file.to_str().expect("test paths are UTF-8");
        self.crane.run(&["pull", "--insecure", "--platform", "linux/amd64", image, file]);
    }

    /// Gives the digest.
    pub(super) fn push(&self, registry: &str, image: &Image<'_>) -> String {
        let reference = format!("{registry}/{}:{}", image.repository, image.tag);
        let layer = self.layer.to_str().expect("test paths are UTF-8");
        self.crane.run(&["append", "--insecure", "--platform", "linux/amd64", "-f", layer, "-t", &reference]);
        let labels: Vec<String> = image.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut words = vec!["mutate", "--insecure", &reference, "--tag", &reference, "--env", "PATH=/bin"];
        words.extend(["--set-platform", "linux/amd64"]);
        // Words of an option are a list with commas: the last word of a command may hold one, and is quoted for it.
        let command: Vec<String> =
            image.command.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
        let command = command.join(",");
        words.extend(["--entrypoint", &command]);
        for label in &labels {
            words.extend(["--label", label]);
        }
        let pushed = self.crane.run(&words);
        let digest = pushed.rsplit_once('@').map(|(_, digest)| digest.to_owned());
        digest.unwrap_or_else(|| panic!("crane names no digest: {pushed}"))
    }
}
