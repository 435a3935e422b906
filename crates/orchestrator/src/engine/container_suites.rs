//! Suites that are images: from the configuration and the lock to a Job in the environment's namespace.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{ContainerSuite, Containers, Environment, Suite, SuiteImage, SuiteKind, Values};
use deployer::Plan;
use lock_model::{Digest, LockedImage, ServiceName};
use process::Redactor;
use qa::cluster::Object;
use qa::cluster::capacity::Demand;
use qa::cluster::health::Permission;
use qa::{Container, JobIdentity, SuiteReport};
use secrecy::SecretString;

use super::execution::expand;
use super::target_errors::not_read;
use crate::cluster_target::{ClusterPlace, before};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_store::LedgerStore;
use crate::revision::Revision;

/// How long a command takes to notice that nothing holds its end back.
const ENDING: Duration = Duration::from_secs(1);

/// What a container suite is run with.
pub(super) struct RunContainer<'a> {
    pub(super) context: &'a Context,
    pub(super) revision: &'a Revision,
    pub(super) environment: &'a Environment,
    pub(super) suite: &'a Suite,
    pub(super) values: &'a Values,
    pub(super) redactor: &'a Redactor,
}

impl RunContainer<'_> {
    /// Runs it under the lease that the environment has in its cluster.
    pub(super) async fn run(&self, definition: &ContainerSuite) -> Result<SuiteReport> {
        let container = self.container(definition)?;
        let place = self.place()?;
        let namespace = place.open(self.context).await?;
        let environment = self.environment.name.as_str();
        let other = namespace.other_owner(environment).await;
        let other = other.map_err(|error| not_read(error, &self.environment.name))?;
        if let Some(other) = other {
            let message = format!("suite `{}` cannot run in its namespace, which belongs to {other}", self.suite.name);
            return Err(Error::new(ErrorKind::Refused, message)
                .hint(format!("`orchestrator policy take-over {environment}` gives it to this environment")));
        }
        // After a signal the Job and the lease are taken away, and nothing else is done.
        let interrupt = &self.context.surroundings.interrupt;
        let held = interrupt.hold();
        // Under the forge's lease no deployment is recorded meanwhile.
        let above = LedgerStore::read(self.context).await?.ledger().lease_number(&self.environment.name);
        let lease = place.lease(self.context, false, above).await?;
        let connection = namespace.connection().clone();
        // A command that is cut off could not remove the Job.
        let now = Instant::now();
        let left = before(self.context.deadline, now).saturating_duration_since(now);
        let deadline = self.suite.deadline.min(left);
        let mut run = qa::ContainerSuite::new(connection, self.identity(&place), container, deadline);
        run.redactor = self.redactor.clone();
        run.interrupt = interrupt.clone();
        run.lease = Some(Arc::clone(&lease));
        let report = qa::run(self.suite.name.as_str(), &qa::Suite::Container(Box::new(run))).await;
        if let Some(lease) = Arc::into_inner(lease)
            && let Err(error) = lease.release().await
        {
            self.context.note(format!("the lease in the cluster ends by itself, it could not be given back: {error}"));
        }
        drop(held);
        if interrupt.is_requested() {
            // The command ends here: how the suite ended is no result of it, and nothing is recorded.
            tokio::time::sleep(ENDING).await;
        }
        Ok(report)
    }

    fn place(&self) -> Result<ClusterPlace> {
        let place = match self.environment.containers {
            Some(Containers::Job) => ClusterPlace::of(self.context, &self.revision.config, self.environment),
            None => None,
        };
        place.ok_or_else(|| {
            let (suite, environment) = (&self.suite.name, &self.environment.name);
            let message = format!("suite `{suite}` is a container, and `{environment}` does not say where it runs");
            Error::new(ErrorKind::Usage, message)
                .hint("`containers: job` runs it in the environment's `namespace`, which `kubeconfig` leads to")
        })
    }

    /// A Job of its own for each execution.
    fn identity(&self, place: &ClusterPlace) -> JobIdentity {
        let run = &self.context.run;
        let nonce = run.nonce.as_deref().unwrap_or_default();
        JobIdentity {
            namespace: place.namespace.namespace.to_string(),
            environment: self.environment.name.to_string(),
            suite: self.suite.name.to_string(),
            execution: format!("{} {} {nonce} {}", run.id, run.attempt, self.context.now()),
        }
    }

    fn container(&self, definition: &ContainerSuite) -> Result<Container> {
        let (image, digests) = self.image(definition)?;
        let mut container = Container::new(image, digests);
        container.args =
            definition.arguments.iter().map(|argument| expand(argument, self.values)).collect::<Result<_>>()?;
        for (name, template) in &definition.set {
            container.envs.insert(name.clone(), expand(template, self.values)?);
        }
        for name in &definition.environment {
            // One that is missing was refused before.
            let Some(value) = self.context.variable(name.as_str()) else { continue };
            if definition.plain.contains(name) {
                container.envs.insert(name.to_string(), value);
            } else {
                container.secret_envs.insert(name.to_string(), SecretString::from(value));
            }
        }
        container.pull_secret = self.environment.pull_secret.as_ref().map(|pull| pull.name.to_string());
        Ok(sized(container, definition))
    }

    /// The image by digest, and every digest by which a node may name it.
    fn image(&self, definition: &ContainerSuite) -> Result<(String, BTreeSet<Digest>)> {
        match &definition.image {
            SuiteImage::Service(service) => {
                let image = locked_image(self.context, self.revision, service)?.ok_or_else(|| {
                    let commit = self.revision.commit.short(12);
                    let message = format!(
                        "suite `{}` runs the image of `{service}`, and commit {commit} has no lock of its own with it",
                        self.suite.name
                    );
                    Error::new(ErrorKind::Repository, message).hint(crate::environment_policy::locking_command(
                        "run",
                        &self.revision.config,
                        &self.environment.name,
                    ))
                })?;
                let digests = image.platforms.values().chain([&image.digest]).cloned().collect();
                Ok((format!("{}@{}", image.repository, image.digest), digests))
            }
            SuiteImage::Pinned(reference) => {
                let digest = reference.digest.clone().ok_or_else(|| {
                    Error::new(ErrorKind::Bug, format!("the image of suite `{}` has no digest", self.suite.name))
                })?;
                Ok((format!("{}@{digest}", reference.repository), BTreeSet::from([digest])))
            }
        }
    }
}

/// The image that the lock of a commit gives a service; `None` where it has none, or is of another tree.
pub(super) fn locked_image(
    context: &Context,
    revision: &Revision,
    service: &ServiceName,
) -> Result<Option<LockedImage>> {
    let lock = revision.lock(context)?.filter(|file| revision.mismatches(&file.lock).is_empty());
    Ok(lock.and_then(|file| file.lock.services().get(service)?.content.image().cloned()))
}

/// What the configuration says of the pod itself.
fn sized(mut container: Container, definition: &ContainerSuite) -> Container {
    container.service_account = definition.service_account.as_ref().map(ToString::to_string);
    container.requests.clone_from(&definition.requests);
    container.limits.clone_from(&definition.limits);
    container
}

/// What the suites of an environment need in its cluster.
#[derive(Debug, Default)]
pub(crate) struct SuiteNeeds {
    pub permissions: Vec<Permission>,
    /// Each suite with what it has in the namespace while it runs, in their order.
    objects: Vec<(String, Vec<Object>)>,
}

impl SuiteNeeds {
    pub(crate) fn of(revision: &Revision, environment: &Environment) -> Result<Self> {
        let Some(namespace) = environment.namespace.as_ref().filter(|_| environment.containers.is_some()) else {
            return Ok(Self::default());
        };
        let mut needs = Self::default();
        for suite in environment.suites.iter().filter_map(|name| revision.config.suites.get(name)) {
            let definition = match &suite.kind {
                SuiteKind::Container(definition) => definition,
                SuiteKind::Command(_) | SuiteKind::Http { .. } => continue,
            };
            let identity = JobIdentity {
                namespace: namespace.to_string(),
                environment: environment.name.to_string(),
                suite: suite.name.to_string(),
                execution: String::new(),
            };
            // Which of its images it is makes no difference to quotas and nodes.
            let image = match &definition.image {
                SuiteImage::Service(service) => service.to_string(),
                SuiteImage::Pinned(reference) => reference.repository.to_string(),
            };
            let mut container = sized(Container::new(image, []), definition);
            let secrets = definition.secret_variables().map(|name| (name.to_string(), SecretString::default()));
            container.secret_envs = secrets.collect();
            let objects = qa::container_objects(&identity, &container).map_err(|error| {
                Error::from_source(ErrorKind::Bug, format!("the Job of suite `{}` cannot be made", suite.name), error)
            })?;
            needs.objects.push((format!("suite {}", suite.name), objects));
        }
        if !needs.objects.is_empty() {
            needs.permissions = qa::container_permissions(namespace.as_ref());
        }
        Ok(needs)
    }

    /// What a plan needs room for, wave by wave: each suite comes when all waves are over, as a wave of its own. Where nothing
    /// is deployed, no suite is expected either.
    pub(crate) fn demands<'a>(&'a self, plan: &'a Plan) -> Vec<Demand<'a>> {
        let mut demands = deployer::demands(plan.batch());
        if plan.changes.is_empty() {
            return demands;
        }
        let first = demands.iter().map(|demand| demand.wave + 1).max().unwrap_or_default();
        for (wave, (service, objects)) in (first..).zip(&self.objects) {
            let of_suite =
                objects.iter().map(|wanted| Demand { service, wave, wanted, live: None, ends_with_wave: true });
            demands.extend(of_suite);
        }
        demands
    }
}
