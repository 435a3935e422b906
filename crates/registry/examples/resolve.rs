//! Resolves one image with the logins of docker or podman, pins it, and asks whether what it pinned is still there.
//!
//! ```console
//! $ cargo run -p registry --example resolve -- docker.io/library/redis:7 linux/amd64 linux/arm64
//! docker.io/library/redis:7@sha256:…
//!   linux/amd64 sha256:…
//!   linux/arm64 sha256:…
//! docker.io: asked without a login
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use registry::credentials::{EnvVars, HelperPrograms};
use registry::lock_model::{ImageReference, Platform};
use registry::{CredentialSources, Credentials, DigestRequest, Event, Registry, RegistryOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let reference: ImageReference = arguments.next().ok_or("usage: resolve IMAGE:TAG [PLATFORM...]")?.parse()?;
    // None: every platform that the image has.
    let platforms = arguments.map(Platform::try_from).collect::<Result<Vec<_>, _>>()?;

    let mut options = RegistryOptions::default();
    options.credentials = logins()?;
    let registry = Registry::new(options)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    let image = registry.resolve(&reference, &platforms, deadline).await?.image;
    println!("{}", image.reference());
    for (platform, digest) in &image.platforms {
        println!("  {platform} {digest}");
    }
    if let Some(login) = registry.login_of(&reference.repository) {
        println!("{}: {}", reference.repository.host(), login.source);
    }

    let on_event = |event: Event<'_>| {
        if let Event::Retrying { wait, reason, .. } = event {
            println!("once more in {wait:?}: {reason}");
        }
    };
    for answer in registry.check_digests(&[DigestRequest::from(&image)], deadline, &on_event).await {
        println!("everything is there: {}", answer?.is_complete());
    }
    Ok(())
}

/// The logins that `docker login` and `podman login` keep, and the programs that keep them for docker.
#[expect(
    clippy::disallowed_methods,
    reason = "the library reads no environment: whoever uses it says where things are"
)]
fn logins() -> Result<Credentials, Box<dyn Error>> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let below_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    let files = [below_home(".docker/config.json"), below_home(".config/containers/auth.json")];
    let mut environment = EnvVars::new().set("PATH", &path);
    if let Some(home) = &home {
        environment.insert("HOME", home);
    }
    let mut sources = CredentialSources::default();
    sources.files = files.into_iter().flatten().collect();
    sources.helpers = Some(HelperPrograms::new(path, environment));
    Ok(Credentials::load(sources)?)
}
