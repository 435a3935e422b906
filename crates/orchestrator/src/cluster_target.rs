//! The cluster of an environment: where its kubeconfig is, and the target that deploys there.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cluster::ready::{RequiredCondition, Rules, Tolerance};
use cluster::{
    Allowed, ClusterError, ClusterErrorKind, LeaseHolder, LeaseKeeper, Lifetime, Login, LoginProgram, Patience, Risk,
};
use config::{
    ClusterNamespace, Config, Environment, EnvironmentVariable, GroupKind, KubeconfigAllow, KubeconfigEncoding,
    KubeconfigSource, ReadyCondition,
};
use deployer::ProgramSearch;
use deployer::apply::ConflictRule;
use deployer::{
    ApplyTarget, DeployError, DeployRequest, EnvironmentNamespace, HelmTarget, LeftLease, Superseding, TakenLease,
};
use lock_model::{EnvironmentName, ErrorClass};

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::hints;
use crate::kubeconfig_file;
use crate::kubeconfig_login;
use crate::workspace::Workspace;

/// A lease of the cluster that a person has taken from a run.
#[derive(Debug)]
pub(crate) struct BrokenLease {
    /// That run, as people read it.
    pub from: String,
    taken: TakenLease,
}

/// The namespace that an environment is deployed to, and how its cluster is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterPlace {
    pub environment: EnvironmentName,
    pub namespace: ClusterNamespace,
    pub encoding: KubeconfigEncoding,
    pub allow: KubeconfigAllow,
    /// Where the configuration says that, `orchestrator.yaml:12:25`; a default stands nowhere.
    pub configured_at: Option<String>,
    /// The superproject's address: a namespace is marked with it.
    pub repository: String,
    /// When objects are ready, and when they are not waited for any longer.
    pub rules: Rules,
    /// How long its answers are waited for.
    pub patience: Patience,
    /// When the deployment ends at the latest, where something follows that needs time; `None`: with the command.
    pub until: Option<Instant>,
}

impl ClusterPlace {
    /// None where the environment names no cluster.
    pub(crate) fn of(context: &Workspace, config: &Config, environment: &Environment) -> Option<Self> {
        Some(Self {
            environment: environment.name.clone(),
            namespace: environment.cluster_namespace()?,
            encoding: environment.kubeconfig.as_ref()?.encoding,
            allow: environment.kubeconfig.as_ref()?.allow.clone(),
            configured_at: kubeconfig_place(config, environment),
            repository: context.address(config).to_string(),
            rules: Rules {
                required: environment.ready.iter().map(required).collect(),
                tolerance: Tolerance {
                    restarts: environment.tolerance.restarts.into(),
                    room: environment.tolerance.room,
                    silence: environment.tolerance.silence,
                    ..Tolerance::default()
                },
            },
            patience: Patience::default(),
            until: None,
        })
    }

    /// Opens the namespace; the cluster is not asked yet.
    pub(crate) async fn open(&self, context: &Workspace) -> Result<EnvironmentNamespace> {
        Box::pin(async { self.open_with(context, &self.logged_in(context).await?).await }).await
    }

    /// The same, with when the kubeconfig's credentials are accepted.
    pub(crate) async fn open_with_lifetime(&self, context: &Workspace) -> Result<(EnvironmentNamespace, Lifetime)> {
        let kubeconfig = Box::pin(self.logged_in(context)).await?;
        Ok((self.open_with(context, &kubeconfig).await?, kubeconfig.lifetime()))
    }

    async fn open_with(&self, context: &Workspace, kubeconfig: &cluster::Kubeconfig) -> Result<EnvironmentNamespace> {
        let (namespace, interrupt) = (self.namespace.namespace.to_string(), context.surroundings.interrupt.clone());
        let until = self.until.map_or(context.deadline, |until| until.min(context.deadline));
        let deadline = before(until, Instant::now());
        EnvironmentNamespace::new(kubeconfig, namespace, self.repository.clone(), deadline, interrupt)
            .await
            .map(|namespace| namespace.with_patience(self.patience))
            .map(|namespace| namespace.with_rules(self.rules.clone()).telling(context.notes()))
            .map(|namespace| namespace.masking_all(&context.surroundings.redactor))
            .map_err(|error| Error::from_source(ErrorKind::Usage, self.message("cannot be used"), error))
    }

    /// Opens the namespace for plain manifests.
    pub(crate) async fn apply(
        &self,
        context: &Workspace,
        conflicts: ConflictRule,
        lease: Option<&Arc<LeaseKeeper>>,
        superseding: Superseding,
        request: &DeployRequest,
    ) -> Result<ApplyTarget> {
        let namespace = self.open(context).await?.masking(request.secrets());
        let namespace = leased(namespace, lease).with_superseding(superseding);
        Ok(ApplyTarget::new(program_search(context), namespace, conflicts))
    }

    /// Opens the namespace for helm.
    pub(crate) async fn helm(
        &self,
        context: &Workspace,
        lease: Option<&Arc<LeaseKeeper>>,
        superseding: Superseding,
        request: &DeployRequest,
    ) -> Result<HelmTarget> {
        let kubeconfig = Box::pin(self.logged_in(context)).await?;
        let namespace = self.open_with(context, &kubeconfig).await?.masking(request.secrets());
        let namespace = leased(namespace, lease).with_superseding(superseding);
        Ok(HelmTarget::new(program_search(context), &kubeconfig, namespace))
    }

    /// Takes the lease of the environment in its cluster. The environment's lease of the forge is held already, so no other
    /// run of this repository works on it. `is_given`: an administrator gave the namespace to this environment. The number of
    /// the lease is larger than `above`, the largest in the ledger.
    pub(crate) async fn lease(&self, context: &Context, is_given: bool, above: u64) -> Result<Arc<LeaseKeeper>> {
        let namespace = self.open(context).await?;
        let taken = self.take_lease(context, &namespace, LeftLease::OfThisRepository, is_given, above).await?;
        Ok(Arc::new(taken.alone().await))
    }

    async fn take_lease(
        &self,
        context: &Context,
        namespace: &EnvironmentNamespace,
        left: LeftLease,
        is_given: bool,
        above: u64,
    ) -> Result<TakenLease> {
        let run = &context.run;
        let holder = LeaseHolder {
            repository: self.repository.clone(),
            run: run.id.clone(),
            attempt: run.attempt,
            nonce: run.nonce.clone().unwrap_or_else(|| format!("{} {}", run.id, run.attempt)),
            link: None,
        };
        let clock = Arc::clone(&context.clock);
        let now = Arc::new(move || clock.now());
        let taken = namespace.lease(self.environment.as_str(), &holder, left, above, now).await;
        match taken.map_err(|error| self.not_asked("taken", error))? {
            Ok(lease) => Ok(lease),
            Err(other) => Err(self.busy(&other, self.is_ours(namespace, is_given).await?)),
        }
    }

    /// Whether the namespace belongs to this environment, or `is_given` to it.
    async fn is_ours(&self, namespace: &EnvironmentNamespace, is_given: bool) -> Result<bool> {
        let other = namespace.other_owner(self.environment.as_str()).await;
        Ok(is_given || other.map_err(|error| self.not_asked("taken", error))?.is_none())
    }

    /// Asks the run of this repository that deploys to the namespace to stop, for a rollback; gives the run that was asked,
    /// or nothing where none deploys.
    pub(crate) async fn ask_to_yield(&self, context: &Context) -> Result<Option<String>> {
        let to = format!("the rollback of {} (run {})", context.run.actor, context.run.id);
        let namespace = self.open(context).await?;
        let asked = namespace.ask_to_yield(self.environment.as_str(), &to).await;
        let asked = asked.map_err(|error| self.not_asked("written", error))?;
        Ok(asked.map(|holder| lock_model::escaping::escape_short(&holder.run, 200)))
    }

    /// Who has the environment is not known, so nothing is written, and who can help is said.
    fn not_asked(&self, action: &str, error: DeployError) -> Error {
        let (environment, namespace) = (&self.environment, &self.namespace.namespace);
        let kind = ErrorKind::of(error.class(), ErrorKind::Refused, ErrorKind::Refused);
        let hint = match error.class() {
            ErrorClass::Temporary => Some(
                "run the same command again; where that does not help, who operates the cluster sees why its API server does \
                 not answer"
                    .to_owned(),
            ),
            ErrorClass::Denied
            | ErrorClass::NotFound
            | ErrorClass::Invalid
            | ErrorClass::Storage
            | ErrorClass::Bug => hints::of_target_of(&error, environment),
        };
        let message = format!("the lease of `{environment}` in namespace `{namespace}` cannot be {action}");
        let error = Error::from_source(kind, message, error);
        hint.into_iter().fold(error, Error::hint).hint("nothing was deployed")
    }

    /// Takes the lease of the cluster from the run that has it, also from one of another repository where the namespace
    /// belongs to this environment or `is_given` to it; `None` where no run has it.
    pub(crate) async fn break_lease(&self, context: &Context, is_given: bool) -> Result<Option<BrokenLease>> {
        let namespace = self.open(context).await?;
        let holder = namespace.lease_holder(self.environment.as_str()).await;
        let Some(holder) = holder.map_err(|error| self.not_asked("read", error))? else { return Ok(None) };
        let is_ours = self.is_ours(&namespace, is_given).await?;
        let left = if is_ours { LeftLease::OfAnyRun } else { LeftLease::OfThisRepository };
        // A Lease with a holder has a number, and the next one is larger: nothing is deployed under it.
        let taken = self.take_lease(context, &namespace, left, is_given, 0).await?;
        Ok(Some(BrokenLease { from: described(&holder), taken }))
    }

    /// Waits until the run that had the lease must have noticed, and gives it back.
    pub(crate) async fn give_back(&self, broken: BrokenLease) -> Result<()> {
        let lease = broken.taken.alone().await;
        lease.release().await.map_err(|error| self.not_asked("given back", error.into()))
    }

    /// Another run has the environment.
    fn busy(&self, other: &LeaseHolder, is_ours: bool) -> Error {
        let message = format!("namespace `{}` is leased to {}", self.namespace.namespace, described(other));
        if other.repository == self.repository {
            Error::new(ErrorKind::Temporary, message).hint("run the same command again later")
        } else if is_ours {
            Error::new(ErrorKind::Refused, message).hint(
                "the namespace belongs to this environment: where that run has ended, `--break-lease --reason TEXT` takes the \
                 lease from it",
            )
        } else {
            Error::new(ErrorKind::Refused, message)
                .hint("a namespace belongs to one environment of one repository: give this one a namespace of its own")
        }
    }

    fn login(&self, context: &Workspace, asked: &LoginProgram) -> Result<Login> {
        let mut logins = context.logins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = logins.iter().find(|(program, _)| program == asked) {
            return Ok(known.clone());
        }
        let login = kubeconfig_login::login(context, &self.allow, asked)?;
        logins.push((asked.clone(), login.clone()));
        Ok(login)
    }

    /// The kubeconfig with the credentials of its login program, where it has one; a call logs in once.
    async fn logged_in(&self, context: &Workspace) -> Result<cluster::Kubeconfig> {
        let kubeconfig = self.kubeconfig(context)?;
        let Some(asked) = kubeconfig.login_program() else { return Ok(kubeconfig) };
        let login = self.login(context, asked)?;
        kubeconfig.logged_in(login).await.map_err(|error| {
            let hint = hints::of_cluster(&error);
            let error = Error::from_source(ErrorKind::Denied, self.message("cannot be used"), error);
            hint.into_iter().fold(error, Error::hint)
        })
    }

    /// The kubeconfig, with nothing in it that a job should not follow. Its login program is there, and was not started.
    pub(crate) fn kubeconfig(&self, context: &Workspace) -> Result<cluster::Kubeconfig> {
        let bytes = match &self.namespace.kubeconfig {
            KubeconfigSource::Variable(name) => self.of_variable(context, name)?,
            KubeconfigSource::File(file) => {
                let superproject = kubeconfig_file::folders_of(&context.git);
                kubeconfig_file::read(file, context.surroundings.home.as_deref(), &superproject)
                    .map_err(|refusal| refusal.error(|what| self.message(what), file))?
            }
        };
        let context_name = self.namespace.context.as_deref();
        let kubeconfig = cluster::Kubeconfig::parse(&bytes, context_name, &allowed(&self.allow)).map_err(|error| {
            let hint = hint_of(&error, &self.namespace.kubeconfig);
            let error = Error::from_source(ErrorKind::Usage, self.message("cannot be used"), error);
            hint.into_iter().fold(error, Error::hint)
        })?;
        if let Some(asked) = kubeconfig.login_program() {
            kubeconfig_login::find(context, asked)?;
        }
        Ok(kubeconfig)
    }

    fn of_variable(&self, context: &Workspace, name: &EnvironmentVariable) -> Result<Vec<u8>> {
        let text = context.variable(name.as_str()).ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                self.message(
                    "is missing: the variable is not set, or empty, which is how a forge gives a secret that it lacks",
                ),
            )
            .hint(format!("set `{name}` in the job that runs this command"))
        })?;
        match self.encoding {
            KubeconfigEncoding::Text => Ok(text.into_bytes()),
            KubeconfigEncoding::Base64 => {
                let digits: String = text.split_whitespace().collect();
                BASE64.decode(digits).map_err(|_| {
                    let hint = "`base64 -w0 < KUBECONFIG` makes it; for the file itself, `encoding: text`";
                    Error::new(ErrorKind::Usage, self.message("is no base64")).hint(hint)
                })
            }
        }
    }

    fn message(&self, what: &str) -> String {
        let place = self.configured_at.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        format!("the kubeconfig of `{}` in `{}`{place} {what}", self.environment, self.namespace.kubeconfig)
    }
}

/// Where the configuration names the variable or the file, `orchestrator.yaml:12:25`.
pub(crate) fn kubeconfig_place(config: &Config, environment: &Environment) -> Option<String> {
    let key = match environment.kubeconfig.as_ref()?.source {
        KubeconfigSource::Variable(_) => "env",
        KubeconfigSource::File(_) => "file",
    };
    config.written_at(&environment.name, &["kubeconfig", key])
}

fn allowed(allow: &KubeconfigAllow) -> Allowed {
    Allowed {
        risks: allow.insecure.then_some(Risk::InsecureTls).into_iter().collect(),
        programs: allow.programs.iter().map(ToString::to_string).collect(),
        variables: allow.variables.iter().map(ToString::to_string).collect(),
        proxies: allow.proxies.clone(),
    }
}

fn described(holder: &LeaseHolder) -> String {
    let escaped = |text: &str| lock_model::escaping::escape_short(text, 200);
    if holder.repository.is_empty() {
        return format!("`{}`, which is no run of orchestrator", escaped(&holder.nonce));
    }
    format!("run {} of `{}`", escaped(&holder.run), escaped(&holder.repository))
}

/// When a deployment stops waiting, so that there is time left to ask the cluster why and to record it before the command
/// is cut off.
pub(crate) fn before(deadline: Instant, now: Instant) -> Instant {
    let left = deadline.saturating_duration_since(now);
    now + left.saturating_sub(REPORTING.min(left / 4))
}

/// How long that may take.
const REPORTING: Duration = Duration::from_secs(20);

fn required((kind, ready): (&GroupKind, &ReadyCondition)) -> ((String, String), RequiredCondition) {
    let (group, kind) = kind.parts();
    let condition = RequiredCondition { condition: ready.condition.clone(), value: ready.value.clone() };
    ((group.to_owned(), kind.to_owned()), condition)
}

/// Writes only while the lease is held, where there is one.
fn leased(namespace: EnvironmentNamespace, lease: Option<&Arc<LeaseKeeper>>) -> EnvironmentNamespace {
    match lease {
        Some(lease) => namespace.with_lease(Arc::clone(lease)),
        None => namespace,
    }
}

/// Where helm and kustomize are looked for.
pub(crate) fn program_search(context: &Workspace) -> ProgramSearch {
    let mut search = ProgramSearch::new(context.surroundings.search_path.clone());
    search.interrupt = context.surroundings.interrupt.clone();
    search.redactor = context.surroundings.redactor.clone();
    search.launcher.clone_from(&context.surroundings.launcher);
    search.versions = context.versions.clone();
    search
}

/// What to do about a kubeconfig that is refused.
fn hint_of(error: &ClusterError, source: &KubeconfigSource) -> Option<String> {
    match error.kind() {
        ClusterErrorKind::Risk { risks, program, .. } => Some(of_risks(risks, program.as_deref(), source)),
        _ => hints::of_cluster(error),
    }
}

fn of_risks(risks: &[Risk], program: Option<&str>, source: &KubeconfigSource) -> String {
    let of_one = |risk: &Risk| {
        match (risk, source) {
        (Risk::Files, KubeconfigSource::File(path)) => format!(
            "`kubectl --kubeconfig {path} config view --minify --flatten --raw` prints one that has the files in it: keep that \
             one in a file"
        ),
        (Risk::Files, KubeconfigSource::Variable(_)) => {
            "`kubectl config view --minify --flatten --raw` prints one that has the files in it: keep that one in the variable"
                .to_owned()
        }
        (Risk::PlainHttp, _) => "give it the address of the API server that begins with `https:`".to_owned(),
        (Risk::InsecureTls, _) => {
            "put the cluster's authority into `certificate-authority-data` in place of `insecure-skip-tls-verify`; \
             `kubeconfig.allow.insecure-skip-tls-verify: true` allows it"
                .to_owned()
        }
        (Risk::Proxy, _) => "take `proxy-url` out, and run this command where the API server is reached directly; \
             `kubeconfig.allow.proxy-url` names the proxies that are allowed"
            .to_owned(),
        (Risk::Variables, _) => "`kubeconfig.allow.variables` names those that its login program may be given".to_owned(),
        (Risk::Program, _) => format!(
            "use the token of a service account, or allow the program by name: `kubeconfig: {{ allow: {{ exec: [{}] }} }}`",
            program.unwrap_or("PROGRAM")
        ),
    }
    };
    risks.iter().map(of_one).collect::<Vec<_>>().join("; ")
}
