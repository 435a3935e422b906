//! Makes a lock of a commit: scan, join, write. Services are named by the last part of their path; those without an image
//! among the arguments are locked as configuration only.
//!
//! `cargo run -p lock-gen --example lock -- FOLDER REVISION REPOSITORY_URL [SERVICE=REPOSITORY:TAG@DIGEST]…`

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use lock_gen::lock_model::{
    Content, CreatedFrom, ImageReference, LockedImage, RepositoryUrl, ServiceName, Source, Timestamp,
};
use lock_gen::{LockDraft, Superproject};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, revision, repository, images @ ..] = arguments.as_slice() else {
        return Err("usage: lock FOLDER REVISION REPOSITORY_URL [SERVICE=REPOSITORY:TAG@DIGEST]…".into());
    };
    let repository: RepositoryUrl = repository.parse()?;
    let superproject = Superproject::open(Path::new(folder))?;
    let commit = superproject.commit(revision)?;

    // The submodules of the tree.
    let scan = superproject.scan(&commit.tree, &repository)?;

    // The decision for each of them; a real program asks a registry for the images.
    let mut images = images.iter().map(|text| image(text, commit.time)).collect::<Result<BTreeMap<_, _>, _>>()?;
    let base = commit.parents.first().unwrap_or(&commit.id).clone();
    let mut draft = LockDraft::new(Source::new(repository, commit.id, base, commit.tree));
    for submodule in &scan.submodules {
        let name: ServiceName = submodule.path.file_name().parse()?;
        let content = images.remove(&name).map_or(Content::Configuration, Content::Image);
        draft.add(name, submodule.path.clone(), content, None);
    }

    // The lock, or everything that stands against it.
    let lock = draft.assemble(&scan)?;
    print!("{}", lock.to_yaml());
    Ok(())
}

fn image(text: &str, created: Timestamp) -> Result<(ServiceName, LockedImage), Box<dyn Error>> {
    let form = "an image is written `SERVICE=REPOSITORY:TAG@DIGEST`";
    let (service, reference) = text.split_once('=').ok_or(form)?;
    let ImageReference { repository, tag: Some(tag), digest: Some(digest) } = reference.parse()? else {
        return Err(form.into());
    };
    let platforms = [("linux/amd64".parse()?, digest.clone())];
    let image = LockedImage::new(repository, tag, digest, created, CreatedFrom::Commit).with_platforms(platforms);
    Ok((service.parse()?, image))
}
