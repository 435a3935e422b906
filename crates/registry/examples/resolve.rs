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

use lock_model::{ImageRepository, Platform, Tag};
use registry::credentials::HelperPrograms;
use registry::{
    Candidate, CredentialSources, Credentials, DigestRequest, Event, ImageRequest, Registry, RegistryOptions,
    RevisionPolicy,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let image = arguments.next().ok_or("usage: resolve IMAGE:TAG [PLATFORM...]")?;
    let (repository, tag) = image.rsplit_once(':').ok_or("an image is named with its tag, such as `ghcr.io/a/b:c`")?;
    let (repository, tag) = (ImageRepository::normalize(repository)?, Tag::try_from(tag)?);
    // None: every platform that the image has.
    let platforms = arguments.map(Platform::try_from).collect::<Result<Vec<_>, _>>()?;

    // Once in a program: who does the cryptography of TLS.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "somebody was faster")?;
    let options = RegistryOptions { credentials: logins()?, ..RegistryOptions::default() };
    let registry = Registry::new(options)?;

    let request = ImageRequest {
        service: "example".parse()?,
        candidates: vec![Candidate { repository: repository.clone(), tag }],
        platforms,
        // There is no submodule to compare the image with.
        commit: "0000000000000000000000000000000000000001".parse()?,
        revision: RevisionPolicy::Off,
        commit_time: "1970-01-01T00:00:00Z".parse()?,
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let on_event = |event: Event<'_>| {
        if let Event::Retrying { wait, reason, .. } = event {
            println!("once more in {wait:?}: {reason}");
        }
    };
    let answers = registry.resolve_all(&[request], deadline, &on_event).await;
    let resolution = answers.into_values().next().ok_or("one question, one answer")?;
    let image = resolution.map_err(|unresolved| unresolved.reason)?.image;
    println!("{}", image.reference());
    for (platform, digest) in &image.platforms {
        println!("  {platform} {digest}");
    }
    if let Some(login) = registry.login_of(&repository) {
        println!("{}: {}", repository.host(), login.source);
    }

    let question =
        DigestRequest { service: "example".parse()?, repository, digest: image.digest, platforms: image.platforms };
    for answer in registry.check_digests(&[question], deadline, &|_| ()).await.into_values() {
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
    let mut environment = process::EnvVars::new().set("PATH", &path);
    if let Some(home) = &home {
        environment.insert("HOME", home);
    }
    let sources = CredentialSources {
        files: files.into_iter().flatten().collect(),
        helpers: Some(HelperPrograms { search_path: path, environment, deadline: HelperPrograms::DEADLINE }),
        ..CredentialSources::default()
    };
    Credentials::load(sources)
        .map_err(|errors| errors.into_iter().next().map_or_else(|| "no logins".into(), Into::into))
}
