//! The registry client that commands use: mirrors from the configuration, logins from where docker and podman keep
//! them, proxies from the environment, and a cache of what never changes.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::PathBuf;

use config::{Config, RegistrySettings};
use lock_model::CommitId;
use process::EnvVars;
use registry::credentials::{EnvCredential, HelperPrograms, Login};
use registry::{
    ClientCertificate, CredentialSources, Credentials, HostOptions, Mirror, PemAuthority, Proxies, Registry,
    RegistryOptions,
};

use crate::context::Context;
use crate::environment::{self, Variable};
use crate::error::{CliError, CliResult, Problem};
use crate::exit_code::ExitCode;
use crate::sources;

/// What the variables of explicit logins begin with.
const LOGIN_PREFIX: &str = "ORCHESTRATOR_REGISTRY";
/// Where the token of GitHub Actions is good for.
const GITHUB_REGISTRY: &str = "ghcr.io";
/// What helper programs see besides what every child sees: where desktops, clouds and keyrings keep their keys.
const HELPER_VARIABLES: [&str; 4] = ["DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME", "PASSWORD_STORE_DIR", "XDG_RUNTIME_DIR"];
/// The same for whole families of variables.
const HELPER_PREFIXES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// Makes the client of a configuration; files that it names are those of `commit`.
pub(crate) fn client(context: &Context, config: &Config, commit: &CommitId) -> CliResult<Registry> {
    let mut mirrors = BTreeMap::new();
    let mut hosts = BTreeMap::new();
    for (host, settings) in &config.registries {
        hosts.insert(host.clone(), host_options(context, commit, host, settings)?);
        let Some(mirror) = &settings.mirror else { continue };
        let mirror = match mirror {
            config::Mirror::OciLayout(folder) => Mirror::OciLayout(context.top.join(PathBuf::from(folder))),
            config::Mirror::Http(url) => Mirror::Http(url.parse().map_err(|error| {
                CliError::from_source(ExitCode::Usage, format!("registries.{host}.mirror is no URL"), &error)
            })?),
        };
        mirrors.insert(host.clone(), mirror);
    }
    let mut options = RegistryOptions::default()
        .authorities(authorities()?)
        .credentials(credentials(context)?)
        .proxies(proxies()?)
        .cache(context.cache.join("registry"))
        .jitter_seed(u64::from(std::process::id()));
    (options.mirrors, options.hosts) = (mirrors, hosts);
    Registry::new(options)
        .map_err(|error| CliError::from_source(ExitCode::Usage, "the registry client cannot be made", &error))
}

/// What the configuration says about one host.
fn host_options(
    context: &Context,
    commit: &CommitId,
    host: &str,
    settings: &RegistrySettings,
) -> CliResult<HostOptions> {
    let mut options = HostOptions::default().plain_http(settings.plain_http);
    if let Some(ca) = &settings.ca {
        let place = format!("registries.{host}.ca");
        let pem = sources::text(context, commit, &place, ca)?.into_bytes();
        options.authorities.push(PemAuthority::new(sources::name(&place, ca), pem));
    }
    if let Some(ours) = &settings.client_certificate {
        let place = format!("registries.{host}.client-certificate.certificate");
        options.client_certificate = Some(ClientCertificate::new(
            sources::name(&place, &ours.certificate),
            sources::text(context, commit, &place, &ours.certificate)?,
            sources::secret(&format!("registries.{host}.client-certificate.key"), &ours.key)?,
        ));
    }
    Ok(options)
}

/// Authorities that this machine's administrator names, such as the one of a proxy that looks into TLS.
fn authorities() -> CliResult<Vec<PemAuthority>> {
    let Some(path) = environment::read(environment::CA_FILE) else { return Ok(Vec::new()) };
    let pem = std::fs::read(&path).map_err(|error| {
        CliError::from_source(
            ExitCode::Usage,
            format!("`{path}`, which `{}` names, cannot be read", environment::CA_FILE.name),
            &error,
        )
    })?;
    Ok(vec![PemAuthority::new(path, pem)])
}

/// What people should know of logins and cache after the work, each once.
pub(crate) fn warnings(registry: &Registry) -> Vec<String> {
    let mut warnings: Vec<String> = registry
        .logins()
        .into_iter()
        .flat_map(|login| login.trace.problems.into_iter().map(move |problem| format!("{}: {problem}", login.host)))
        .collect();
    warnings.extend(registry.cache_problem().map(|problem| format!("nothing is kept for the next command: {problem}")));
    warnings.sort();
    warnings.dedup();
    warnings
}

fn credentials(context: &Context) -> CliResult<Credentials> {
    let refuse = |problems: Vec<Problem>| {
        CliError::new(ExitCode::Usage, "the logins of registries cannot be read")
            .problems(problems)
            .hint("nothing was sent to any registry")
    };
    let problem = |subject: &str, message: String, cause: Option<&dyn std::error::Error>| Problem {
        subject: subject.to_owned(),
        message,
        details: cause.map(ToString::to_string).into_iter().collect(),
    };
    let variables = environment::with_prefix(LOGIN_PREFIX);
    let mut env = EnvCredential::from_variables(LOGIN_PREFIX, &variables).map_err(|error| {
        refuse(error.problems().iter().map(|one| problem("environment", one.to_string(), None)).collect())
    })?;
    let files = files();
    // An explicit login beats every file: the job's token is taken only where nobody logged in.
    if let Some(token) = environment::read_secret(environment::GITHUB_TOKEN)
        && !files.iter().any(|file| file.is_file())
    {
        let user = environment::read(environment::GITHUB_ACTOR).unwrap_or_else(|| "token".to_owned());
        let login = Login::password(user, secrecy::ExposeSecret::expose_secret(&token));
        env.push(EnvCredential::new(environment::GITHUB_TOKEN.name, GITHUB_REGISTRY, login));
    }
    let mut seen: EnvVars = context.children.clone();
    for (name, value) in environment::named(&HELPER_VARIABLES, &HELPER_PREFIXES) {
        seen.insert(name, value);
    }
    let sources = CredentialSources::default()
        .env(env)
        .files(files)
        .helpers(HelperPrograms::new(environment::search_path(), seen))
        .work_tree(context.git.work_tree().map(PathBuf::from));
    Credentials::load(sources).map_err(|error| {
        let path = error.path().display();
        let problems = error.problems().iter();
        refuse(problems.map(|one| problem("logins", format!("`{path}` {one}"), one.source())).collect())
    })
}

/// Where docker and podman keep logins; the first that exists counts.
fn files() -> Vec<PathBuf> {
    let path = |variable: Variable| environment::read(variable).map(PathBuf::from);
    let home = path(environment::HOME);
    let below_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    let docker = path(environment::DOCKER_CONFIG).or_else(|| below_home(".docker"));
    let configuration = path(environment::XDG_CONFIG_HOME).or_else(|| below_home(".config"));
    [
        docker.map(|folder| folder.join("config.json")),
        path(environment::REGISTRY_AUTH_FILE),
        path(environment::XDG_RUNTIME_DIR).map(|folder| folder.join("containers/auth.json")),
        configuration.map(|folder| folder.join("containers/auth.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn proxies() -> CliResult<Proxies> {
    let parse = |variable: Variable| {
        environment::read_either_case(variable)
            .map(|text| {
                text.parse().map_err(|_| {
                    // The value may hold a password.
                    CliError::new(ExitCode::Usage, format!("the environment variable `{}` is no URL", variable.name))
                })
            })
            .transpose()
    };
    Ok(Proxies::default()
        .http(parse(environment::HTTP_PROXY)?)
        .https(parse(environment::HTTPS_PROXY)?)
        .exceptions(environment::read_either_case(environment::NO_PROXY).unwrap_or_default()))
}
