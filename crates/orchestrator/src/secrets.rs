//! What is masked in the output of suites and probes: the values that they get by `env:`, and the secrets of services.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use config::{Config, Deployment, Environment, SettingOrigin};
use process::Redactor;
use secrecy::ExposeSecret;

use crate::cluster_target::ClusterPlace;
use crate::context::{Context, git_error};
use crate::engine::{parse_settings, printed_secrets};
use crate::error::Result;
use crate::inputs::Inputs;
use crate::revision::Revision;
use crate::workspace::Workspace;

/// Shorter values cannot be told from ordinary words: masking them would destroy the output and protect nothing.
pub(crate) const SHORTEST: usize = 8;

/// What masks the secrets of a revision's suites, probes and services, and the caller's own logins. Every program's output is
/// masked with all of them, since one suite can store what another prints.
///
/// A value that stands in the tree is no secret.
pub(crate) fn redactor(context: &Workspace, revision: &Revision) -> Result<Redactor> {
    let mut known = context.redactors.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(redactor) = known.get(&revision.commit) {
        return Ok(redactor.clone());
    }
    let mut redactor = context.surroundings.redactor.clone();
    for name in revision.config.secret_variables() {
        let Some(value) = context.variable(name.as_str()) else { continue };
        if value.len() < SHORTEST {
            context.note_once(format!(
                "warning: the value of `{name}` has less than {SHORTEST} bytes and is not masked in the output of suites"
            ));
        } else if !stands_in_tree(context, revision, &value)? {
            redactor.add(&value);
        }
    }
    mask_clusters(context, &revision.config, &mut redactor);
    for value in secrets_of_services(context, revision) {
        if value.len() >= SHORTEST && !stands_in_tree(context, revision, &value)? {
            redactor.add(&value);
        }
    }
    known.insert(revision.commit.clone(), redactor.clone());
    Ok(redactor)
}

/// The same for the suites of an environment, also with the secrets of its services that programs print: those are run for
/// that, once. What a suite shows of an application can hold any of them.
pub(crate) async fn suite_redactor(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
) -> Result<Redactor> {
    let key = (revision.commit.clone(), environment.name.clone());
    let known = context.suite_redactors.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    if let Some(redactor) = known {
        return Ok(redactor);
    }
    let mut redactor = redactor(context, revision)?;
    for value in Box::pin(printed_secrets(context, revision, environment)).await? {
        if value.len() >= SHORTEST && !stands_in_tree(context, revision, &value)? {
            redactor.add(&value);
        }
    }
    context.suite_redactors.lock().unwrap_or_else(PoisonError::into_inner).insert(key, redactor.clone());
    Ok(redactor)
}

/// Masks the logins of other configurations in the output of a revision's suites as well: that of a pull request may have taken
/// out what the one of its base names, and its suites read files and variables all the same.
pub(crate) fn mask_logins<'a>(
    context: &Workspace,
    revision: &Revision,
    configs: impl Iterator<Item = &'a Config>,
) -> Result<()> {
    let mut redactor = redactor(context, revision)?;
    for config in configs {
        for value in config.own_credentials().into_iter().filter_map(|name| context.variable(name.as_str())) {
            if value.len() >= SHORTEST {
                redactor.add(&value);
            }
        }
        mask_clusters(context, config, &mut redactor);
    }
    context.redactors.lock().unwrap_or_else(PoisonError::into_inner).insert(revision.commit.clone(), redactor);
    Ok(())
}

/// Masks the logins of the clusters of a configuration's environments.
fn mask_clusters(context: &Workspace, config: &Config, redactor: &mut Redactor) {
    let places = config.environments.values().filter_map(|environment| ClusterPlace::of(context, config, environment));
    for place in places {
        // One that cannot be used is told where the cluster is needed.
        let secrets = place.kubeconfig(context).map(|kubeconfig| kubeconfig.secrets()).unwrap_or_default();
        for secret in secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| secret.len() >= SHORTEST) {
            redactor.add(secret);
        }
    }
}

/// The secrets of services that no program prints: what stands within variables, and what is composed of them. What cannot be
/// read is a mistake that the deployment names.
fn secrets_of_services(context: &Workspace, revision: &Revision) -> BTreeSet<String> {
    let services = revision.services();
    let today = context.now().date();
    let mut found = BTreeSet::new();
    for environment in revision.config.environments.values() {
        for service in &services {
            let Deployment::Deploy(settings) = environment.decide(&service.name, &service.path, today) else {
                continue;
            };
            let values = environment.service_values(&service.name, &service.path);
            for source in &settings.secret {
                match &source.from {
                    SettingOrigin::Variable { name, format } => {
                        let text = name.expand(&values).ok().and_then(|name| context.variable(&name));
                        let data = text.and_then(|text| parse_settings(*format, &text).ok());
                        found.extend(data.into_iter().flatten().map(|(_, value)| value));
                    }
                    SettingOrigin::Set(composed) => {
                        for template in composed.values() {
                            let mut values = values.clone();
                            for name in template.environment(&values).unwrap_or_default() {
                                if let Some(value) = context.variable(&name) {
                                    found.insert(value.clone());
                                    values = values.with_environment(&name, value);
                                }
                            }
                            found.extend(template.expand(&values));
                        }
                    }
                    // Named by `secret_variables`; read and run for suites alone.
                    SettingOrigin::Variables(_) | SettingOrigin::File { .. } | SettingOrigin::Command { .. } => {}
                }
            }
        }
    }
    found
}

/// What stands there is no secret.
pub(crate) fn stands_in_tree(context: &Workspace, revision: &Revision, value: &str) -> Result<bool> {
    if value.contains('\n') {
        return Ok(false);
    }
    Inputs::tree_holds(&context.git, revision.commit.as_str(), value)
        .map_err(|error| git_error("the tree cannot be searched for a value", error))
}
