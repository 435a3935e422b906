//! Makes a lock of the commit `HEAD` of a superproject, and prints what changed since the lock before.
//!
//! The image of the submodule `services/cart` at commit `1111111…` is looked for at `ghcr.io/shop/cart:main-1111111`.
//!
//! ```console
//! $ scan-lock /src/shop https://github.com/shop/shop ghcr.io/shop
//! cart: image.tag main-0000000 → main-1111111
//! $ scan-lock --layout ./images /src/shop https://github.com/shop/shop ghcr.io/shop   # images of an OCI layout folder
//! ```

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lock_gen::{LockDraft, Superproject};
use lock_model::{Change, Content, ImageReference, LOCK_FILE, Lock, RepositoryUrl, ServiceName, Source, diff};
use registry::{ImageRequest, Mirror, Registry, RegistryOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let layout = arguments.next_if_eq("--layout").and_then(|_| arguments.next());
    let arguments: Vec<String> = arguments.collect();
    let [folder, repository, images] = arguments.as_slice() else {
        return Err("usage: scan-lock [--layout DIR] SUPERPROJECT REPOSITORY_URL IMAGES".into());
    };
    let repository: RepositoryUrl = repository.parse()?;

    // What the commit says, whatever is checked out.
    let superproject = Superproject::open(Path::new(folder))?;
    let head = superproject.commit("HEAD")?;
    let scan = superproject.scan(&head.tree, &repository)?;

    // Which image each submodule has.
    let mut names: Vec<ServiceName> = Vec::new();
    let mut references: Vec<ImageReference> = Vec::new();
    for submodule in &scan.submodules {
        let name = submodule.path.file_name();
        references.push(format!("{images}/{name}:main-{}", submodule.commit.short(7)).parse()?);
        names.push(name.parse()?);
    }
    let mut options = RegistryOptions::default();
    if let (Some(layout), Some(reference)) = (layout, references.first()) {
        options = options.mirror(reference.repository.host(), Mirror::OciLayout(layout.into()));
    }
    let requests: Vec<ImageRequest> = references.into_iter().map(|reference| ImageRequest::new([reference])).collect();
    let deadline = Instant::now() + Duration::from_secs(300);
    let answers = Registry::new(options)?.resolve_all(&requests, deadline, &|_| ()).await;

    // The join of both; it reports every problem of the tree, too.
    let mut draft = LockDraft::new(Source::new(repository, head.id.clone(), head.id, head.tree));
    for ((submodule, name), answer) in scan.submodules.iter().zip(names).zip(answers) {
        let image = answer?.image.into_locked(head.time).ok_or("a lock names images by tag")?;
        draft.add(name, submodule.path.clone(), Content::Image(image), None);
    }
    let lock = draft.assemble(&scan)?;

    let file = Path::new(folder).join(LOCK_FILE);
    if file.exists() {
        let before = Lock::parse(&fs::read(&file)?, LOCK_FILE)?;
        for (service, change) in diff(&before, &lock).services {
            match change {
                Change::Added { .. } => println!("{service}: added"),
                Change::Removed { .. } => println!("{service}: removed"),
                Change::Changed { fields } => {
                    for field in fields {
                        let (before, after) = (field.before.unwrap_or_default(), field.after.unwrap_or_default());
                        println!("{service}: {} {before} → {after}", field.field);
                    }
                }
            }
        }
    }
    fs::create_dir_all(file.parent().ok_or("the lock has a folder")?)?;
    fs::write(file, lock.to_yaml())?;
    Ok(())
}
