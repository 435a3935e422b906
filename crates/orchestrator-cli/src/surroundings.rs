//! What the library may see of this process: variables, programs, logins, the clock and the run's identity.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lock_model::UserName;
use orchestrator::{Actor, Context, Error, ErrorKind, Opened, Problem, RegistryAccess, Result, Settings, Surroundings};
use process::{EnvVars, Launcher};
use registry::credentials::{EnvCredential, Login};
use registry::{PemAuthority, Proxies};
use secrecy::{ExposeSecret as _, SecretString};

use crate::arguments::GlobalArgs;
use crate::child;
use crate::clock;
use crate::command_line;
use crate::environment::{self, Variable};
use crate::interruption;
use crate::output::Progress;

/// What the variables of explicit logins begin with.
const LOGIN_PREFIX: &str = "ORCHESTRATOR_REGISTRY";
/// Where the token of GitHub Actions is good for.
const GITHUB_REGISTRY: &str = "ghcr.io";
/// What helper programs see besides what every child sees: where desktops, clouds and keyrings keep their keys.
const HELPER_VARIABLES: [&str; 4] = ["DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME", "PASSWORD_STORE_DIR", "XDG_RUNTIME_DIR"];
/// The same for whole families of variables.
const HELPER_PREFIXES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// Opens repository and forge for a command.
pub(crate) fn context(global: &GlobalArgs, deadline: Duration, progress: Arc<Progress>) -> Result<Context> {
    Context::open(settings(global, deadline)?, surroundings(), Arc::new(clock::clock()?), progress)
}

/// Opens the repository for a command that needs no forge, with its forge where it has one.
pub(crate) fn opened(global: &GlobalArgs, deadline: Duration, progress: Arc<Progress>) -> Result<Opened> {
    Opened::open(settings(global, deadline)?, surroundings(), Arc::new(clock::clock()?), progress)
}

/// The same for a command that only reads: git is not asked for a person's address.
pub(crate) fn opened_to_read(global: &GlobalArgs, deadline: Duration, progress: Arc<Progress>) -> Result<Opened> {
    let mut settings = settings(global, deadline)?;
    if settings.actor == Actor::OfGit {
        settings.actor = Actor::NotAsked;
    }
    Opened::open(settings, surroundings(), Arc::new(clock::clock()?), progress)
}

fn settings(global: &GlobalArgs, deadline: Duration) -> Result<Settings> {
    let mut settings = Settings::new(&global.repository, actor(global)?);
    settings.command = Some(command_line::without_actor(std::env::args_os().skip(1)));
    settings.forge = global.forge();
    settings.cache = global.cache();
    settings.run_id = environment::read(environment::RUN_ID).unwrap_or_else(|| "local".to_owned());
    settings.run_attempt = environment::read(environment::RUN_ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1);
    settings.nonce = Some(nonce());
    settings.deadline = Instant::now() + deadline;
    Ok(settings)
}

/// Who acts: as named, the bot in a CI job, and else the person whose address git has.
fn actor(global: &GlobalArgs) -> Result<Actor> {
    Ok(match global.actor()? {
        Some(name) => Actor::Named(name),
        None if environment::read(environment::CI).as_deref() == Some("true") => Actor::Bot,
        None => Actor::OfGit,
    })
}

/// Variables, programs and logins.
pub(crate) fn surroundings() -> Surroundings {
    let mut surroundings = Surroundings::new(environment::search_path(), children(None));
    surroundings.job.extend(environment::for_submodules());
    surroundings.home = environment::read(environment::HOME).map(PathBuf::from);
    surroundings.variables = Arc::new(environment::read_named);
    surroundings.registry = Arc::new(registry_access);
    surroundings.standard_input = Arc::new(standard_input);
    surroundings.interrupt = interruption::interrupt();
    surroundings.launcher = Launcher::this_program(child::GUARD);
    for login in environment::logins() {
        surroundings.redactor.add(login.expose_secret());
    }
    surroundings.actor_variable = Some(environment::ACTOR.name.to_owned());
    surroundings
}

/// The bytes of standard input, which can be read once.
fn standard_input() -> io::Result<Vec<u8>> {
    static IS_READ: AtomicBool = AtomicBool::new(false);
    if IS_READ.swap(true, Ordering::Relaxed) {
        return Err(io::Error::other("it was read for another argument already"));
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The named list that children get; the acting user travels to the update hook.
pub(crate) fn children(actor: Option<&UserName>) -> EnvVars {
    let mut list = EnvVars::new();
    for (name, value) in environment::for_children() {
        list.insert(name, value);
    }
    if let Some(actor) = actor {
        list.insert(environment::ACTOR.name, actor.as_str());
    }
    list
}

/// Tells two processes apart whatever their ids: in containers every process is number one.
fn nonce() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    format!("{:016x}", std::hash::RandomState::new().build_hasher().finish())
}

/// What is known about registries besides a configuration.
pub(crate) fn registry_access() -> Result<RegistryAccess> {
    let mut access = RegistryAccess::default();
    let variables = environment::with_prefix(LOGIN_PREFIX);
    access.env_credentials = EnvCredential::from_variables(LOGIN_PREFIX, &variables).map_err(|error| {
        Error::new(ErrorKind::Usage, "the logins of registries cannot be read")
            .problems(error.problems().iter().map(|one| Problem::new("environment", one.to_string())))
            .hint("nothing was sent to any registry")
    })?;
    access.job_login = environment::read(environment::GITHUB_TOKEN).map(SecretString::from).map(|token| {
        let user = environment::read(environment::GITHUB_ACTOR).unwrap_or_else(|| "token".to_owned());
        let login = Login::password(user, token.expose_secret());
        EnvCredential::new(environment::GITHUB_TOKEN.name, GITHUB_REGISTRY, login)
    });
    access.login_files = login_files();
    if let Some(file) = environment::read(environment::DOCKER_CONFIG).filter(|path| Path::new(path).is_file()) {
        access.login_notes.push(format!(
            "`{}` names the file `{file}`: docker means the folder that holds `config.json`",
            environment::DOCKER_CONFIG.name
        ));
    }
    for (name, value) in environment::named(&HELPER_VARIABLES, &HELPER_PREFIXES) {
        access.helper_variables.insert(name, value);
    }
    access.proxies = proxies()?;
    access.authorities = authorities()?;
    access.jitter_seed = u64::from(std::process::id());
    Ok(access)
}

/// Authorities that this machine's administrator names, such as the one of a proxy that looks into TLS.
fn authorities() -> Result<Vec<PemAuthority>> {
    let Some(path) = environment::read(environment::CA_FILE) else { return Ok(Vec::new()) };
    let pem = orchestrator::read_input(Path::new(&path)).map_err(|error| {
        let message = format!("`{path}`, which `{}` names, cannot be read", environment::CA_FILE.name);
        orchestrator::unreadable(ErrorKind::Usage, message, error)
    })?;
    Ok(vec![PemAuthority::new(path, pem)])
}

/// Where docker and podman keep logins: the file that is named explicitly, else docker's, else podman's.
fn login_files() -> Vec<PathBuf> {
    let path = |variable: Variable| environment::read(variable).map(PathBuf::from);
    if let Some(explicit) = path(environment::REGISTRY_AUTH_FILE) {
        return vec![explicit];
    }
    let home = path(environment::HOME);
    let below_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    let docker = path(environment::DOCKER_CONFIG).or_else(|| below_home(".docker"));
    let configuration = path(environment::XDG_CONFIG_HOME).or_else(|| below_home(".config"));
    [
        docker.map(|folder| folder.join("config.json")),
        path(environment::XDG_RUNTIME_DIR).map(|folder| folder.join("containers/auth.json")),
        configuration.map(|folder| folder.join("containers/auth.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The address of an HTTP proxy; without a scheme it is `http://`, as curl and git take it.
fn proxy_address(text: &str) -> Option<registry::Url> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    text.parse().ok().filter(|url: &registry::Url| matches!(url.scheme(), "http" | "https"))
}

fn proxies() -> Result<Proxies> {
    let parse = |variable: Variable| {
        environment::read_either_case(variable)
            .map(|text| {
                proxy_address(&text).ok_or_else(|| {
                    // The value may hold a password.
                    let message = format!("the environment variable `{}` is no address of a proxy", variable.name);
                    Error::new(ErrorKind::Usage, message).hint("`http://HOST:PORT` or `https://HOST:PORT`")
                })
            })
            .transpose()
    };
    let mut proxies = Proxies::default();
    proxies.http = parse(environment::HTTP_PROXY)?;
    proxies.https = parse(environment::HTTPS_PROXY)?;
    proxies.exceptions = environment::read_either_case(environment::NO_PROXY).unwrap_or_default();
    Ok(proxies)
}
