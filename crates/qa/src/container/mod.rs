//! Suites that are an image: one Job in a namespace, whose container's exit code is the verdict.

mod job;
mod outcome;
mod removal;
mod traces;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::health::Permission;
use cluster::{
    Awaited, ClusterError, ClusterErrorKind, Connection, Kind, LeaseKeeper, LeaseState, Object, WaitEnd, WaitOptions,
};
use lock_model::Digest;
use process::{Interrupt, Redactor};
use secrecy::SecretString;

use crate::report::SuiteReport;
use crate::text::{innermost, log_line};
use outcome::Ended;

/// The time between two looks at what is being deleted, or at whether the caller wants to stop.
const LOOK: Duration = Duration::from_millis(250);
/// How long the questions about what is over may take, and the removal of it.
const AFTERWARDS: Duration = Duration::from_secs(15);
/// The same for the questions where the caller has to end.
const STOPPED: Duration = Duration::from_secs(2);

/// An image that runs as a Job: exit status 0 is passed, another failed, everything else unknown.
///
/// The caller makes sure that no other run has suites in the same environment: what an earlier one left is removed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ContainerSuite {
    /// The cluster.
    pub connection: Connection,
    /// Where the Job is, and what tells it apart from others.
    pub identity: JobIdentity,
    /// What it runs.
    pub container: Container,
    /// The time it may take, with its start; then it is removed.
    pub deadline: Duration,
    /// Removes secrets from what is reported of its output, and of what the cluster says of it.
    pub redactor: Redactor,
    /// Ends it early; the suite is then unknown.
    pub interrupt: Interrupt,
    /// The lease of the environment: the suite ends with it, as unknown.
    pub lease: Option<Arc<LeaseKeeper>>,
}

/// Which Job it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobIdentity {
    /// The namespace.
    pub namespace: String,
    /// The environment: its other Jobs of suites are left over.
    pub environment: String,
    /// The suite.
    pub suite: String,
    /// What is different in every execution; nothing secret.
    pub execution: String,
}

/// What a Job's pod is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Container {
    /// The image: `REPOSITORY@DIGEST`.
    pub image: String,
    /// The digests by which a node may name this image: that of the reference, and those of its platforms.
    pub digests: BTreeSet<Digest>,
    /// The arguments; empty: those of the image.
    pub args: Vec<String>,
    /// Environment variables whose values stand in the Job, where the right to read Jobs shows them.
    pub envs: BTreeMap<String, String>,
    /// Environment variables whose values stand in a Secret, which lives as long as the Job.
    pub secret_envs: BTreeMap<String, SecretString>,
    /// The service account, whose token is mounted; `None`: no token is.
    pub service_account: Option<String>,
    /// The Secret with the login to the image's registry.
    pub pull_secret: Option<String>,
    /// What the node must have free, by resource.
    pub requests: BTreeMap<String, String>,
    /// What it may use at most, by resource.
    pub limits: BTreeMap<String, String>,
}

impl Container {
    /// An image without arguments, variables and limits.
    pub fn new(image: impl Into<String>, digests: impl IntoIterator<Item = Digest>) -> Self {
        Self {
            image: image.into(),
            digests: digests.into_iter().collect(),
            args: Vec::new(),
            envs: BTreeMap::new(),
            secret_envs: BTreeMap::new(),
            service_account: None,
            pull_secret: None,
            requests: BTreeMap::new(),
            limits: BTreeMap::new(),
        }
    }
}

/// What has to be permitted in a namespace to run suites there.
pub fn container_permissions(namespace: &str) -> Vec<Permission> {
    let permission = |version: &str, kind: &str, verb: &'static str| Permission {
        kind: Kind::new(version, kind),
        namespace: Some(namespace.to_owned()),
        verb,
        names: BTreeSet::new(),
    };
    let jobs = ["get", "list", "watch", "create", "update", "delete"];
    let jobs = jobs.into_iter().map(|verb| permission("batch/v1", "Job", verb));
    let pods = ["get", "list", "watch"].into_iter().map(|verb| permission("v1", "Pod", verb));
    let secrets = ["create", "delete"].into_iter().map(|verb| permission("v1", "Secret", verb));
    jobs.chain(pods).chain(secrets).collect()
}

/// What a suite has in its namespace while it runs, for the question whether there is room: its Job, and the Secret that it
/// may need.
pub fn container_objects(identity: &JobIdentity, container: &Container) -> Result<Vec<Object>, ClusterError> {
    let job = job::resumed(&job::job(identity, container, Duration::ZERO)?)?;
    let secret = job::secret(&job, &container.secret_envs)?;
    Ok(std::iter::once(job).chain(secret).collect())
}

impl ContainerSuite {
    /// Runs nothing yet; without lease and secrets.
    pub fn new(connection: Connection, identity: JobIdentity, container: Container, deadline: Duration) -> Self {
        Self {
            connection,
            identity,
            container,
            deadline,
            redactor: Redactor::new(),
            interrupt: Interrupt::new(),
            lease: None,
        }
    }

    pub(crate) async fn run(&self, name: &str) -> SuiteReport {
        // All that is reported of the cluster comes through it.
        let masked = Self { connection: self.connection.masking(&self.redactor), ..self.clone() };
        masked.attempt(name).await.unwrap_or_else(|error| {
            let reason = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {}", innermost(source)),
                None => error.to_string(),
            };
            SuiteReport::unknown(name, &reason)
        })
    }

    async fn attempt(&self, name: &str) -> Result<SuiteReport, ClusterError> {
        let end = Instant::now() + self.deadline;
        if let Some(left) = self.remove_earlier().await? {
            return Ok(SuiteReport::unknown(name, &format!("{left} of an earlier run has not ended yet")));
        }
        let job = self.create().await?;
        let mut secret = None;
        let report = match self.start(&job, &mut secret).await {
            Ok(job) => self.follow(name, &job, end).await,
            Err(error) => Err(error),
        };
        let left = self.remove(&job, secret.as_ref()).await;
        let mut report = report?;
        // It is removed by the next run, or by the cluster itself.
        report.log_tail.extend(left.iter().map(|left| log_line(left)));
        Ok(report)
    }

    /// Makes the Job; one that has secrets waits for them.
    async fn create(&self) -> Result<Object, ClusterError> {
        let wanted = job::job(&self.identity, &self.container, self.deadline)?;
        match self.connection.create(&wanted).await {
            // The answer to the first try was lost.
            Err(error) if matches!(error.kind(), ClusterErrorKind::Conflict { .. }) => {
                let found = self.connection.get(wanted.key()).await?;
                if job::is_of(&found, &self.identity) { Ok(found) } else { Err(error) }
            }
            answer => answer,
        }
    }

    /// Gives the Job its secrets, and lets it begin.
    async fn start(&self, job: &Object, secret: &mut Option<Object>) -> Result<Object, ClusterError> {
        let Some(wanted) = job::secret(job, &self.container.secret_envs)? else { return Ok(job.clone()) };
        match self.connection.create(&wanted).await {
            Ok(made) => *secret = Some(made),
            // The answer to the first try was lost: no other Secret has this Job's name.
            Err(error) if matches!(error.kind(), ClusterErrorKind::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        self.connection.replace(&job::resumed(job)?).await
    }

    /// Waits for the end of the Job, and says what it means.
    async fn follow(&self, name: &str, job: &Object, end: Instant) -> Result<SuiteReport, ClusterError> {
        let time_limit = end.saturating_duration_since(Instant::now());
        let options = WaitOptions { time_limit, ..WaitOptions::default() };
        let outcome = self.connection.wait(&[Awaited::applied(job)], &options, self.stopped(), &|_| ()).await?;
        let verdict = outcome.verdicts.get(job.key()).cloned();
        // After a signal there is little time.
        let patience = if outcome.end == WaitEnd::Stopped { STOPPED } else { AFTERWARDS };
        let asked = tokio::time::timeout(patience, self.traces(job, verdict.as_ref())).await;
        let (pod, traces) = match asked {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => (None, vec![format!("what the Job did is not known: {error}")]),
            Err(_) => (None, vec!["what the Job did is not known: the cluster took too long to answer".to_owned()]),
        };
        let ended = Ended { end: outcome.end, verdict, pod, why_stopped: self.why_stopped() };
        let mut report = outcome::report(name, &self.container, &ended, self.deadline);
        report.log_tail = traces.iter().map(|line| log_line(line)).collect();
        Ok(report)
    }

    /// Ends when the caller asks for it, or the environment is not this run's any more.
    async fn stopped(&self) {
        let asked = async {
            while !self.interrupt.is_requested() {
                tokio::time::sleep(LOOK).await;
            }
        };
        match &self.lease {
            Some(lease) => {
                tokio::select! {
                    () = asked => {}
                    _ = lease.ended() => {}
                }
            }
            None => asked.await,
        }
    }

    fn why_stopped(&self) -> String {
        match self.lease.as_ref().map_or(LeaseState::Held, |lease| lease.state()) {
            LeaseState::Held => "was interrupted".to_owned(),
            LeaseState::YieldTo(to) => format!("yielded to {to}"),
            LeaseState::Lost(reason) => format!("was ended, since the lease of the environment was lost: {reason}"),
        }
    }
}
