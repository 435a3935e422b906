//! `demo --cluster`: a lock on its way to a real cluster, proven there, broken, and back again.
//!
//! Everything that is made lies in one namespace and below one prefix of a registry, and is removed again, also when the
//! story breaks off.

mod files;
mod images;
mod place;
mod scenes;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use lock_model::{ImageRepository, Timestamp};
use process::EnvVars;

use self::images::Images;
use self::place::Place;
use super::shop::{Built, Shop};
use super::stage::Stage;
use crate::arguments::{DemoArgs, GlobalArgs};
use crate::environment;
use crate::output::{Format, Shown};
use crate::{clock, interruption};
use orchestrator::{Clock as _, Error, ErrorKind, Result};

/// What a request to the registry or the API server, with its retries, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the namespace may take to go.
const REMOVAL: Duration = Duration::from_secs(180);

/// The variable that the demo's configuration reads the kubeconfig from.
const KUBECONFIG: &str = "DEMO_KUBECONFIG";

/// What commands of the story see besides: logins of registries, and the way there.
const HANDED_ON: [&str; 12] = [
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "ORCHESTRATOR_CA_FILE",
    "DBUS_SESSION_BUS_ADDRESS",
];
const HANDED_ON_PREFIXES: [&str; 4] = ["ORCHESTRATOR_REGISTRY", "AWS_", "AZURE_", "GOOGLE_"];

/// Runs the demo on a cluster.
pub(super) fn run(args: &DemoArgs, global: &GlobalArgs) -> Result<Shown> {
    let git = super::find_git()?;
    let prefix = prefix(args.registry.as_deref().unwrap_or_default())?;
    let _installed = rustls::crypto::ring::default_provider().install_default();
    interruption::listen()
        .map_err(|error| Error::from_source(ErrorKind::Bug, "signals cannot be listened to", error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Error::from_source(ErrorKind::Bug, "the async runtime does not start", error))?;
    let place = runtime.block_on(Place::find(&args.namespace))?;
    let mut images = Images::new(&prefix)?;
    let live = global.format != Format::Json;
    confirm(args, &question(&place, &images), live)?;

    let root = super::empty_folder(args.dir.clone())?;
    let start: Timestamp = clock::clock()?.now();
    let configuration = files::configuration(&prefix, &args.namespace);
    let plot = files::plot(&prefix, &configuration);
    let (shop, commits) = Shop::create(&root, git, start, plot, Built::No)?;
    let mut variables = EnvVars::new().set(KUBECONFIG, place.kubeconfig());
    for (name, value) in environment::named(&HANDED_ON, &HANDED_ON_PREFIXES) {
        variables.insert(name, value);
    }
    let mut stage = Stage::new(root.clone(), shop, variables, live, args.pause)?;
    let told = runtime.block_on(place.create()).and_then(|()| {
        scenes::play(
            &mut stage,
            &mut |service, version, commit| runtime.block_on(images.push(service, version, commit)),
            &commits,
        )
    });
    if interruption::is_requested() && live {
        say("\ninterrupted: what was made is removed; a second signal leaves it there\n");
    }
    let removed = runtime.block_on(remove(&place, &images));
    let note = removed.join("\n  ");
    match told {
        Ok(()) => {
            let text = format!(
                "\n━━ What was made is removed again\n\n  {note}\n  the shop's repositories stay in {}\n",
                root.display()
            );
            let result = serde_json::json!({
                "folder": root.display().to_string(),
                "removed": removed,
                "scenes": stage.into_scenes(),
            });
            Ok(Shown::with_result(text, result))
        }
        Err(error) => Err(removed.into_iter().fold(error, Error::hint)),
    }
}

/// Takes everything away that the demo has made; a sentence about each.
async fn remove(place: &Place, images: &Images) -> Vec<String> {
    let mut told = vec![match place.remove().await {
        Ok(sentence) => sentence,
        Err(error) => format!("namespace `{}` is NOT removed: {error}", place.namespace),
    }];
    told.extend(images.remove().await);
    told
}

fn prefix(text: &str) -> Result<String> {
    let wrong = |reason: String| {
        Error::new(ErrorKind::Usage, format!("`--registry {text}` is no registry with a path: {reason}"))
            .hint("such as `--registry ghcr.io/shop/demo`: two repositories are made below it")
    };
    let repository = ImageRepository::try_from(format!("{text}/cart")).map_err(|error| wrong(error.to_string()))?;
    // A name without a host would be taken for one of Docker Hub.
    if repository.as_str() != format!("{text}/cart") {
        return Err(wrong("it begins with no host".to_owned()));
    }
    Ok(text.to_owned())
}

fn question(place: &Place, images: &Images) -> String {
    format!(
        "The demo uses
  context    {context}
  server     {server}
  namespace  {namespace} (is made, and removed at the end with all that is in it)
  registry   {repositories} (four images of {size} KB each are pushed, for {platform}, and removed at the end)
The cluster must be able to pull from there without a login.
",
        context = place.context,
        server = place.server,
        namespace = place.namespace,
        repositories = images.repositories().join(", "),
        size = images::KILOBYTES,
        platform = images.platform(),
    )
}

/// Shows what will happen, and asks.
fn confirm(args: &DemoArgs, question: &str, live: bool) -> Result<()> {
    if args.yes {
        if live {
            say(question);
        }
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Error::new(ErrorKind::Usage, "the demo asks before it does anything, and there is no terminal")
            .hint("`--yes` begins without asking")
            .hint(question.trim_end().replace('\n', "; ")));
    }
    say(&format!("{question}Go on? [y/N] "));
    let mut line = String::new();
    let _end_of_input = input.lock().read_line(&mut line);
    if matches!(line.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Usage, "nothing was done"))
}

fn say(text: &str) {
    let mut out = std::io::stderr().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
