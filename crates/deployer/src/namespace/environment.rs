//! To whom a namespace belongs, and who may write it now.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::ready::Rules;
use cluster::{
    Connection, DeployedRelease, Kubeconfig, LeaseHolder, LeaseKeeper, LeasePlace, LeaseState, NamespaceOwner,
    NamespaceState, Patience, StateKey,
};
use lock_model::{CommitId, EnvironmentName, LockId, ReleaseId, ServiceName};
use process::{Interrupt, Redactor};
use secrecy::{ExposeSecret as _, SecretString};

use super::jobs::{AwaitedJobs, JobsByLabel};
use super::superseding::Superseding;
use super::wait::requested;
use crate::error::DeployError;
use crate::noise::NoiseRule;
use crate::problem::{DeployProblem, DeployProblems, ProblemKind, escaped};
use crate::proof::{Finding, FindingKind};
use crate::request::{DeployRequest, OccupiedPlace, Wave};
use crate::settings::{Part, PlannedSettings, prove_versions};

/// One environment's namespace in a cluster, and the right to write it.
#[derive(Clone)]
pub struct EnvironmentNamespace {
    pub(crate) connection: Connection,
    pub(crate) name: String,
    pub(crate) deadline: Instant,
    /// Ends what is under way when it is requested.
    pub(crate) interrupt: Interrupt,
    pub(super) lease: Option<Arc<LeaseKeeper>>,
    pub(super) superseding: Superseding,
    /// What is asked of kinds beyond what Kubernetes defines.
    pub(super) rules: Rules,
    pub(super) repository: String,
}

impl fmt::Debug for EnvironmentNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentNamespace").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What applying needs to know of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedRequest {
    pub(crate) environment: EnvironmentName,
    pub(crate) release: ReleaseId,
    pub(crate) lock: LockId,
    pub(crate) commit: CommitId,
    pub(crate) occupied: OccupiedPlace,
    pub(crate) waves: Vec<Wave>,
    /// By service, the Jobs of controllers that are waited for.
    pub(crate) jobs: BTreeMap<ServiceName, AwaitedJobs>,
    /// Which differences are left out, by service.
    pub(crate) noise: BTreeMap<ServiceName, Vec<NoiseRule>>,
}

/// Whose lease is taken over at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftLease {
    /// That of a run of the same repository: the caller knows that it has ended.
    OfThisRepository,
    /// That of any run: a person breaks it.
    OfAnyRun,
}

impl PlannedRequest {
    pub(crate) fn of(request: &DeployRequest) -> Self {
        Self {
            environment: request.environment.clone(),
            release: request.release.clone(),
            lock: request.lock.clone(),
            commit: request.commit.clone(),
            occupied: request.occupied,
            jobs: request
                .services
                .iter()
                .filter_map(|service| Some((service.name.clone(), service.await_jobs.clone()?)))
                .collect(),
            noise: request.noise(),
            // Without waves everything is in one.
            waves: if request.waves.is_empty() { vec![Wave::default()] } else { request.waves.clone() },
        }
    }
}

impl EnvironmentNamespace {
    /// The namespace `name` of the cluster that the kubeconfig leads to.
    ///
    /// `repository` is the superproject's address, which the namespace is marked with. At `deadline` nothing is waited for
    /// any more; what is under way ends when `interrupt` is requested.
    ///
    /// # Errors
    ///
    /// Where no client can be made of the kubeconfig; the cluster is not asked yet.
    pub async fn new(
        kubeconfig: &Kubeconfig,
        name: impl Into<String>,
        repository: impl Into<String>,
        deadline: Instant,
        interrupt: Interrupt,
    ) -> Result<Self, DeployError> {
        let connection = Connection::new(kubeconfig, within(deadline, Patience::default())).await?;
        let (name, repository) = (name.into(), repository.into());
        let (lease, rules, superseding) = (None, Rules::default(), Superseding::default());
        Ok(Self { connection, name, deadline, interrupt, lease, superseding, rules, repository })
    }

    /// Masks these secrets as well in all that is quoted of the cluster.
    #[must_use]
    pub fn masking<'a>(self, secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut redactor = Redactor::new();
        for secret in secrets {
            redactor.add(secret.expose_secret());
        }
        self.masking_all(&redactor)
    }

    /// The same for all secrets that a redactor knows.
    #[must_use]
    pub fn masking_all(self, secrets: &Redactor) -> Self {
        Self { connection: self.connection.masking(secrets), ..self }
    }

    /// Waits so long for answers in place of the usual time, and not beyond the deadline.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.connection = self.connection.with_patience(within(self.deadline, patience));
        self
    }

    /// Tells, once, that the API server does not answer and is asked again.
    #[must_use]
    pub fn telling(mut self, tell: cluster::Tell) -> Self {
        self.connection = self.connection.telling(tell);
        self
    }

    /// Waits by these rules in place of the default ones.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// Ends a wait for objects that are failing once a newer release is there.
    #[must_use]
    pub fn with_superseding(self, superseding: Superseding) -> Self {
        Self { superseding, ..self }
    }

    /// Writes only while a lease is held, which [`lease`](Self::lease) gives.
    #[must_use]
    pub fn with_lease(self, lease: Arc<LeaseKeeper>) -> Self {
        let connection = self.connection.with_lease(&lease);
        Self { lease: Some(lease), connection, ..self }
    }

    /// Asks the run that holds the lease to stop, and says to whom it yields; gives that run. One of another repository is
    /// not asked, nor is anything where no run has the lease.
    pub async fn ask_to_yield(&self, environment: &str, to: &str) -> Result<Option<LeaseHolder>, DeployError> {
        let place = LeasePlace { namespace: self.name.clone(), environment: environment.to_owned() };
        let holder = self.connection.lease_holder(&place).await?;
        let Some(holder) = holder.filter(|holder| holder.repository == self.repository) else { return Ok(None) };
        Ok(self.connection.ask_to_yield(&place, to).await?.then_some(holder))
    }

    /// The run that has the lease of an environment now.
    pub async fn lease_holder(&self, environment: &str) -> Result<Option<LeaseHolder>, DeployError> {
        let place = LeasePlace { namespace: self.name.clone(), environment: environment.to_owned() };
        Ok(self.connection.lease_holder(&place).await?)
    }

    /// The client of its cluster.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// To whom the namespace belongs, where that is not this environment.
    pub async fn other_owner(&self, environment: &str) -> Result<Option<NamespaceOwner>, DeployError> {
        let state = self.connection.namespace_state(&self.name).await?;
        Ok(state.map(|state| state.owner).filter(|owner| *owner != self.owner(environment)))
    }

    /// Refuses a plan for a namespace that belongs to another environment.
    pub(crate) async fn refuse_other_owner(&self, request: &DeployRequest) -> Result<(), DeployError> {
        let other = self.other_owner(request.environment.as_str()).await?;
        let (OccupiedPlace::Refuse, Some(other)) = (request.occupied, other) else { return Ok(()) };
        let problem = DeployProblem::new(ProblemKind::Place, format!("{} belongs to {other}", self.subject()));
        DeployProblems::new(vec![problem]).map_or(Ok(()), |problems| Err(problems.into()))
    }

    pub(super) fn owner(&self, environment: &str) -> NamespaceOwner {
        NamespaceOwner { repository: self.repository.clone(), environment: environment.to_owned() }
    }

    pub(crate) fn subject(&self) -> String {
        format!("namespace `{}`", self.name)
    }

    /// Marks the namespace as this environment's, before the first write.
    pub(crate) async fn begin(
        &self,
        request: &PlannedRequest,
        settings: &PlannedSettings,
    ) -> Result<NamespaceState, DeployError> {
        let owner = self.owner(request.environment.as_str());
        let key = settings.key.clone().map_or_else(fresh_key, Ok)?;
        let state = self.connection.claim_namespace(&self.name, &owner, &key).await?;
        if state.owner == owner {
            return Ok(state);
        }
        match request.occupied {
            OccupiedPlace::TakeOver => Ok(self.connection.give_namespace(&state, &owner).await?),
            OccupiedPlace::Refuse => {
                Err(DeployError::Unusable { subject: self.subject(), reason: format!("it belongs to {}", state.owner) })
            }
        }
    }

    /// What of the settings of a request is written, and under which names.
    pub(crate) async fn settings(&self, request: &DeployRequest) -> Result<PlannedSettings, DeployError> {
        let state = self.connection.namespace_state(&self.name).await?;
        PlannedSettings::of(&self.connection, &self.name, request, state.as_ref(), fresh_key).await
    }

    /// Why the settings of a request have to be deployed again: they are others than those that were deployed last, or what
    /// was deployed is gone or has other data.
    pub async fn settings_difference(&self, request: &DeployRequest) -> Result<Option<String>, DeployError> {
        let Some(state) = self.connection.namespace_state(&self.name).await? else { return Ok(None) };
        let Some(deployed) = &state.deployed else { return Ok(None) };
        let planned = PlannedSettings::of(&self.connection, &self.name, request, Some(&state), fresh_key).await?;
        Ok(planned.difference(deployed))
    }

    /// Writes that all of a release is there, with the [revisions](DeployedRelease::revisions) whose Jobs have completed, and
    /// removes settings that nothing needs any more.
    pub(crate) async fn complete(
        &self,
        state: &NamespaceState,
        request: &PlannedRequest,
        settings: &PlannedSettings,
        jobs: &JobsByLabel,
        revisions: BTreeMap<String, u64>,
    ) -> Result<(), DeployError> {
        let state = self.complete_jobs(state, request, jobs).await?;
        let deployed = DeployedRelease {
            release: request.release.to_string(),
            lock: request.lock.to_string(),
            commit: request.commit.to_string(),
            inputs: settings.inputs.clone(),
            configurations: settings.names_of(Part::Config),
            secrets: settings.names_of(Part::Secret),
            revisions,
        };
        let state = self.connection.record_deployed(&state, &deployed).await?;
        // What cannot be removed now is removed after another deployment.
        settings.prune(&self.connection, &self.name, &state.history).await.unwrap_or_default();
        Ok(())
    }

    /// To whom the namespace belongs, which release was completed there last, and its settings, where that is not as
    /// requested.
    pub(crate) async fn prove_release(&self, request: &DeployRequest) -> Result<Vec<Finding>, DeployError> {
        let finding = |kind, message: String| Finding { service: None, path: None, kind, message };
        let Some(state) = self.connection.namespace_state(&self.name).await? else {
            return Ok(vec![finding(FindingKind::Missing, format!("nothing was deployed to {}", self.subject()))]);
        };
        let mut findings = Vec::new();
        if state.owner != self.owner(request.environment.as_str()) {
            findings.push(finding(FindingKind::Release, format!("{} belongs to {}", self.subject(), state.owner)));
        }
        let Some(deployed) = &state.deployed else {
            let message = format!("{} does not say which release is there", self.subject());
            findings.push(finding(FindingKind::Release, message));
            return Ok(findings);
        };
        for (what, found, wanted) in
            [("release", &deployed.release, request.release.as_str()), ("lock", &deployed.lock, request.lock.as_str())]
        {
            if found != wanted {
                let message = format!("{} has {what} `{}`, expected is `{wanted}`", self.subject(), escaped(found));
                findings.push(finding(FindingKind::Release, message));
            }
        }
        if state.is_history_damaged {
            let message = format!(
                "the `history` of Secret/orchestrator-state in {} is missing or damaged: it is not known which settings \
                 were deployed",
                self.subject()
            );
            findings.push(finding(FindingKind::Release, message));
        }
        findings.extend(prove_versions(&self.connection, &self.name, &state.key, deployed).await?);
        Ok(findings)
    }

    /// The same with an interrupt of its own, which is requested when the lease is lost as well.
    pub(crate) fn watched(&self) -> Self {
        Self { interrupt: Interrupt::new(), ..self.clone() }
    }

    /// Runs work of a [watched](Self::watched) namespace: a lost lease ends it, like a request of the caller. A caller that
    /// gives the work up, at a signal or the end of its deadline, ends the programs of the work too.
    pub(crate) async fn until_ended<T>(&self, watched: &Self, work: impl Future<Output = T>) -> T {
        let _ending = EndsOnDrop(watched.interrupt.clone());
        tokio::pin!(work);
        let ended = async {
            match &self.lease {
                Some(lease) => lease.ended().await,
                None => std::future::pending().await,
            }
        };
        let state = tokio::select! {
            answer = &mut work => return answer,
            state = ended => state,
            () = requested(&self.interrupt) => LeaseState::Held,
        };
        match state {
            // The lease is ours still: helm may write down that it was told to stop.
            LeaseState::Held | LeaseState::YieldTo(_) => watched.interrupt.request(),
            LeaseState::Lost(_) => watched.interrupt.request_at_once(),
        }
        work.await
    }
}

/// The reason that an API server gives no answer has to be there before the caller gives up.
fn within(deadline: Instant, Patience { request, retries }: Patience) -> Patience {
    let left = Duration::from_secs(deadline.saturating_duration_since(Instant::now()).as_secs().max(1));
    Patience { request: request.min(left), retries: retries.min(left) }
}

/// Ends programs once nothing waits for them any more.
struct EndsOnDrop(Interrupt);

impl Drop for EndsOnDrop {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// It keys digests of configuration and secrets.
fn fresh_key() -> Result<StateKey, DeployError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| DeployError::Failed {
        subject: "Secret/orchestrator-state".to_owned(),
        action: "make its key".to_owned(),
        class: lock_model::ErrorClass::Storage,
        source: error.to_string().into(),
    })?;
    Ok(StateKey::new(key))
}

#[cfg(test)]
mod tests {
    use cluster::Allowed;

    use super::*;

    /// helm runs in a thread of its own, which the end of the process waits for.
    #[tokio::test]
    async fn f24_work_that_its_caller_gives_up_ends_its_programs() {
        let kubeconfig = "{ current-context: a, contexts: [{ name: a, context: { cluster: c, user: u } }], clusters: [{ name: c, \
                          cluster: { server: \"https://127.0.0.1:1\" } }], users: [{ name: u, user: { token: t } }] }";
        let kubeconfig = Kubeconfig::parse(kubeconfig.as_bytes(), None, &Allowed::default()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let namespace =
            EnvironmentNamespace::new(&kubeconfig, "shop", "shop", deadline, Interrupt::new()).await.unwrap();
        let watched = namespace.watched();
        let work = namespace.until_ended(&watched, std::future::pending::<()>());
        tokio::time::timeout(Duration::from_millis(20), work).await.unwrap_err();
        assert!(watched.interrupt.is_requested());
    }
}
