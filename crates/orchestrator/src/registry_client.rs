//! The registry client of a configuration: its mirrors and hosts, with the logins, proxies and authorities that the caller
//! hands in, and a cache of what never changes.

use std::fmt;
use std::path::PathBuf;

use config::{Config, RegistrySettings, SourceValue};
use lock_model::TreePath;
use process::EnvVars;
use registry::credentials::{CredentialProblem, EnvCredential, HelperPrograms};
use registry::{
    ClientCertificate, CredentialSources, Credentials, HostOptions, Mirror, PemAuthority, Proxies, Registry,
    RegistryOptions,
};

use crate::config_values;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::inputs::Inputs;
use crate::workspace::Workspace;

/// Logins, proxies and authorities: what a caller knows about registries besides the configuration.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RegistryAccess {
    /// Logins that beat those of every file.
    pub env_credentials: Vec<EnvCredential>,
    /// A login that counts only where no file with logins exists, such as the token of a CI job.
    pub job_login: Option<EnvCredential>,
    /// Where docker and podman keep logins; the first that exists counts.
    pub login_files: Vec<PathBuf>,
    /// What is odd about where logins are looked for, a sentence each.
    pub login_notes: Vec<String>,
    /// What credential helpers see besides what every program inherits.
    pub helper_variables: EnvVars,
    /// Proxies on the way to registries.
    pub proxies: Proxies,
    /// Authorities that are trusted for every registry beside the machine's own.
    pub authorities: Vec<PemAuthority>,
    /// Makes waiting times of several processes differ.
    pub jitter_seed: u64,
}

impl fmt::Debug for RegistryAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryAccess").field("login_files", &self.login_files).finish_non_exhaustive()
    }
}

/// Makes the client of a configuration; files that it names are among the inputs.
pub(crate) fn client(context: &Workspace, config: &Config, inputs: &Inputs) -> Result<Registry> {
    let access = (context.surroundings.registry)()?;
    let mut options = RegistryOptions::default();
    for (host, settings) in &config.registries {
        options.hosts.insert(host.clone(), host_options(context, inputs, host, settings)?);
        let Some(mirror) = &settings.mirror else { continue };
        let mirror = match mirror {
            config::Mirror::OciLayout(folder) => Mirror::OciLayout(context.top.join(PathBuf::from(folder))),
            config::Mirror::Http(url) => Mirror::Http(url.parse().map_err(|error| {
                Error::from_source(ErrorKind::Usage, format!("registries.{host}.mirror is no URL"), error)
            })?),
        };
        options.mirrors.insert(host.clone(), mirror);
    }
    options.credentials = credentials(context, &access)?;
    for authority in &access.authorities {
        authority.check().map_err(|error| no_pem(&format!("`ORCHESTRATOR_CA_FILE`: {error}")))?;
    }
    options.authorities = access.authorities;
    options.proxies = access.proxies;
    options.cache = Some(context.cache.join("registry"));
    options.jitter_seed = access.jitter_seed;
    Registry::new(options)
        .map_err(|error| Error::from_source(ErrorKind::Usage, "the registry client cannot be made", error))
}

/// What the configuration says about one host.
fn host_options(context: &Workspace, inputs: &Inputs, host: &str, settings: &RegistrySettings) -> Result<HostOptions> {
    let mut options = HostOptions::default();
    options.plain_http = settings.plain_http;
    if let Some(ca) = &settings.ca {
        let place = format!("registries.{host}.ca");
        let pem = config_values::text(context, inputs, &place, ca)?.into_bytes();
        let authority = PemAuthority::new(config_values::name(&place, ca), pem);
        authority.check().map_err(|error| no_pem(&format!("`{place}`: {error}")))?;
        options.authorities.push(authority);
    }
    if let Some(ours) = &settings.client_certificate {
        let place = format!("registries.{host}.client-certificate.certificate");
        options.client_certificate = Some(ClientCertificate::new(
            config_values::name(&place, &ours.certificate),
            config_values::text(context, inputs, &place, &ours.certificate)?,
            config_values::secret(context, &format!("registries.{host}.client-certificate.key"), &ours.key)?,
        ));
    }
    Ok(options)
}

/// Authorities that are not in PEM.
fn no_pem(message: &str) -> Error {
    Error::new(ErrorKind::Usage, message).hint(
        "it has to be PEM, which begins with `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der` makes it of DER",
    )
}

/// Judges the authorities of registries that are files of the commit: a sentence for each that is none.
pub(crate) fn check_authorities(config: &Config, read: impl Fn(&TreePath) -> Option<Vec<u8>>) -> Result<()> {
    for (host, settings) in &config.registries {
        let Some(SourceValue::File(path)) = &settings.ca else { continue };
        let Some(pem) = read(path) else { continue };
        let checked = PemAuthority::new(path.to_string(), pem).check();
        checked.map_err(|error| no_pem(&format!("`registries.{host}.ca`: {error}")))?;
    }
    Ok(())
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

fn credentials(context: &Workspace, access: &RegistryAccess) -> Result<Credentials> {
    let mut env = access.env_credentials.clone();
    if !access.login_files.iter().any(|file| file.is_file()) {
        env.extend(access.job_login.clone());
    }
    let mut environment = context.surroundings.children.clone();
    for (name, value) in access.helper_variables.iter() {
        environment.insert(name, value);
    }
    let mut sources = CredentialSources::default();
    sources.env = env;
    sources.files.clone_from(&access.login_files);
    sources.helpers = Some(HelperPrograms::new(context.surroundings.search_path.clone(), environment));
    sources.work_tree = context.git.work_tree().map(PathBuf::from);
    Credentials::load(sources).map_err(|error| {
        let path = error.path().display();
        let problems = error.problems().iter().map(|one| {
            Problem::new("logins", format!("`{path}` {one}"))
                .details(std::error::Error::source(one).map(ToString::to_string))
        });
        let failed = Error::new(ErrorKind::Usage, "the logins of registries cannot be read").problems(problems);
        let mut hints: Vec<&str> = error.problems().iter().map(problem_hint).collect();
        hints.dedup();
        hints.into_iter().fold(failed, Error::hint)
    })
}

/// What to do about a file with logins that is not used.
fn problem_hint(problem: &CredentialProblem) -> &'static str {
    match problem {
        CredentialProblem::InsideWorkTree { .. } => {
            "keep logins outside of the checkout, in the home folder or a folder of the job"
        }
        CredentialProblem::Unreadable(_) => "let this user read the file, or name another with `REGISTRY_AUTH_FILE`",
        CredentialProblem::HelperName { .. } => {
            "`credsStore` and `credHelpers` hold the end of a program's name: `ecr-login` for `docker-credential-ecr-login`"
        }
        // One that is no JSON, or too large.
        _ => {
            "correct the file, or delete it and log in again with `docker login` or `podman login`, which write it; \
             `REGISTRY_AUTH_FILE` can name another"
        }
    }
}

#[cfg(test)]
mod tests {
    use lock_model::CONFIG_FILE;

    use super::*;

    #[test]
    fn a_file_with_logins_that_is_not_used_has_a_hint_of_its_own() {
        let name = || "x/y".to_owned();
        for (problem, words) in [
            (CredentialProblem::InsideWorkTree { work_tree: PathBuf::from("/w") }, "outside of the checkout"),
            (CredentialProblem::Unreadable(std::io::Error::other("x")), "let this user read"),
            (CredentialProblem::TooLarge { limit: 1 }, "`docker login`"),
            (CredentialProblem::NotReadable { line: 1, column: 1 }, "`docker login`"),
            (CredentialProblem::HelperName { setting: name(), name: name() }, "`ecr-login`"),
        ] {
            assert!(problem_hint(&problem).contains(words), "{problem}");
        }
    }

    #[test]
    fn an_authority_that_is_no_pem_is_named_by_its_key() {
        let text = "version: 1\nregistries: { \"registry.corp:5000\": { ca: { file: ops/ca.der } } }\n";
        let config = Config::parse(CONFIG_FILE, text.as_bytes()).expect("it is one");
        let said = |bytes: &[u8]| {
            let error = check_authorities(&config, |path| (path.as_str() == "ops/ca.der").then(|| bytes.to_vec()));
            error.expect_err("it is no PEM").to_string()
        };
        assert_eq!(said(b"\x30\x82"), "`registries.registry.corp:5000.ca`: `ops/ca.der` holds no certificate");
        assert!(said(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n").contains("`ops/ca.der` holds"));
        assert!(check_authorities(&config, |_| None).is_ok(), "whether it is there is judged with the tree");
    }
}
