//! Resolves images to digests, each in a task of its own.
//!
//! ```console
//! $ resolve-images docker.io/library/redis:8 ghcr.io/shop/cart:main
//! docker.io/library/redis:8@sha256:…
//! ghcr.io/shop/cart:main@sha256:…
//! $ resolve-images --layout ./images ghcr.io/shop/cart:main   # from an OCI layout folder instead
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use registry::lock_model::ImageReference;
use registry::{Mirror, Registry, RegistryOptions};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let layout = arguments.next_if_eq("--layout").and_then(|_| arguments.next());
    let images = arguments.map(|text| text.parse()).collect::<Result<Vec<ImageReference>, _>>()?;

    let mut options = RegistryOptions::default();
    if let Some(folder) = layout {
        for image in &images {
            options = options.mirror(image.repository.host(), Mirror::OciLayout(folder.clone().into()));
        }
    }
    let registry = Registry::new(options)?;
    let deadline = Instant::now() + Duration::from_secs(60);

    let tasks: Vec<_> = images
        .into_iter()
        .map(|image| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.resolve(&image, &[], deadline).await })
        })
        .collect();
    let mut code = ExitCode::SUCCESS;
    for task in tasks {
        match task.await? {
            Ok(resolution) => println!("{}", resolution.image.reference()),
            Err(unresolved) => {
                eprintln!("{unresolved}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
