//! What a deployment is planned from: a run asks it of the commit that it deploys, and a pull request of what its merge
//! would deploy. Both ask here, so that what passes on the pull request passes in the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use config::{
    Deployment, Environment, FieldPart, Noise, Removed, ServiceSettings, SourceFiles, SourceFolder, TestHooks, Variable,
};
use deployer::RenderFolder;
use deployer::apply::ConflictRule;
use deployer::settings::{Part, config_name, secret_name};
use deployer::{
    AllowedSidecar, AwaitedJobs, DeployRequest, DeployService, ForeignNamespace, ImagePin, NamespaceRule, NoiseRule,
    NotDeployed, OccupiedPlace, PathPart, RemovedServiceRule, Superseding, UnpinnedImageRule, Wave,
};
use git::GitOptions;
use ledger::Ledger;
use lock_gen::{ContentError, Submodule, SubmoduleContent, SubmoduleStore, fetch_url};
use lock_model::{Content, Digest, ErrorClass, Lock, ReleaseId, Service, ServiceName, TreePath};
use promotion::places;

use super::Engine;
use super::deploy::{Deployable, Destination};
use super::image_styles::ImageStyle;
use crate::cluster_target::ClusterPlace;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result, causes};
use crate::hints;
use crate::inputs::{Unreadable, files_of};
use crate::places::place_facts;
use crate::revision::Revision;
use crate::submodules::{run_blocking, submodule_access};
use crate::workspace::Workspace;

/// One release in one environment, about to be planned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planning<'a> {
    pub context: &'a Workspace,
    pub ledger: &'a Ledger,
    pub revision: &'a Revision,
    pub environment: &'a Environment,
    pub lock: &'a Lock,
    pub release: &'a ReleaseId,
}

/// What helm is given for a chart.
type ChartValues = serde_json::Map<String, serde_json::Value>;

/// Services whose repositories were asked for and cannot be had.
pub(crate) type Missing = BTreeMap<ServiceName, Unreadable>;

impl Engine<'_> {
    pub(crate) fn planning(&self) -> Planning<'_> {
        Planning {
            context: self.context,
            ledger: self.store.ledger(),
            revision: &self.revision,
            environment: &self.environment,
            lock: &self.lock.lock,
            release: &self.release,
        }
    }
}

impl Planning<'_> {
    /// What the environment deploys of the lock: every manifest at its locked commit, every image by digest.
    pub(crate) fn deployable(&self) -> Result<Deployable> {
        let mut deployable = self.draft(&Missing::new())?;
        let is_configured = |unread: &Unreadable| unread.configured.is_some();
        let (configured, unread): (Vec<_>, _) = deployable.unread.into_iter().partition(is_configured);
        deployable.unread = unread;
        if let Some(key) = configured.iter().find_map(|unread| unread.configured) {
            let hints: BTreeSet<String> = configured.iter().flat_map(|unread| unread.hints.clone()).collect();
            let place = self.revision.config.written_at(&self.environment.name, &["target", key]);
            let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
            let message = format!("`target.{key}` of `{}`{place} does not fit these services", self.environment.name);
            let problems = configured.into_iter().map(|unread| unread.problem);
            return Err(hints.into_iter().fold(Error::new(ErrorKind::Usage, message).problems(problems), Error::hint));
        }
        if !deployable.unread.is_empty() {
            let classes = deployable.unread.iter().map(|unread| unread.class);
            let class = registry::overall_class(classes).unwrap_or(ErrorClass::Invalid);
            let kind = ErrorKind::of(class, ErrorKind::Repository, ErrorKind::Repository);
            let hints: BTreeSet<String> = deployable.unread.iter().flat_map(|unread| unread.hints.clone()).collect();
            let is_general = deployable.unread.iter().any(|unread| unread.class == class && unread.hints.is_empty());
            let general = hints::of_remote(class).filter(|_| is_general);
            let problems = deployable.unread.into_iter().map(|unread| unread.problem);
            let error = Error::new(kind, "manifests of locked services cannot be read").problems(problems);
            return Err(general.into_iter().chain(hints).fold(error, Error::hint));
        }
        let Some(config::Target::Render(target)) = &self.environment.target else { return Ok(deployable) };
        if target.folder.is_some() && self.context.git.work_tree().is_none() {
            let message = format!("`target.folder` of `{}` needs a clone", self.environment.name);
            return Err(Error::new(ErrorKind::Usage, message)
                .hint("run in a clone: a bare repository has no folder beside its files"));
        }
        let folder = target.folder.as_ref().map(|path| RenderFolder::new(&self.context.top, path.to_string()));
        deployable.destination = Destination::Render { branch: target.branch.clone(), folder };
        Ok(deployable)
    }

    /// The same without the folder, which belongs to the machine that deploys, and without services whose manifests
    /// cannot be read: they are named. A service that is known to be missing is not asked for again.
    pub(crate) fn draft(&self, missing: &Missing) -> Result<Deployable> {
        let environment = self.environment;
        let Some(target) = &environment.target else {
            return Err(Error::new(ErrorKind::Usage, format!("environment `{}` has no target", environment.name))
                .hint("give it a `target:` in orchestrator.yaml"));
        };
        let namespace = environment.namespace.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("environment `{}` has a target but no `namespace:`", environment.name))
        })?;
        let destination = match target {
            config::Target::Render(target) => Destination::Render { branch: target.branch.clone(), folder: None },
            config::Target::Helm(_) => Destination::Helm(self.cluster_place()?),
            config::Target::Apply(_) => {
                Destination::Apply(self.cluster_place()?, ConflictRule::new(environment.conflicts.clone()))
            }
        };
        let mut request = DeployRequest::new(
            environment.name.clone(),
            namespace.to_string(),
            self.release.clone(),
            self.lock.id().clone(),
            self.revision.commit.clone(),
        );
        request.namespace_rule = namespace_rule(&environment.namespaces);
        if places::has_given_place(self.ledger, environment) {
            request.occupied = OccupiedPlace::TakeOver;
        }
        request.platform_digests = platform_digests(self.lock);
        request.sidecars = environment.sidecars.iter().map(sidecar).collect();
        request.removed = match environment.removed {
            Removed::Keep => RemovedServiceRule::Keep,
            Removed::Delete => RemovedServiceRule::Delete,
        };
        request.test_hooks = match target {
            config::Target::Helm(target) if target.test_hooks == TestHooks::Refuse => UnpinnedImageRule::Refuse,
            config::Target::Helm(_) | config::Target::Render(_) | config::Target::Apply(_) => UnpinnedImageRule::List,
        };
        request.waves = environment.waves.iter().map(wave).collect();
        let today = self.context.now().date();
        let (mut unread, mut expired, mut styles) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut folders = BTreeMap::new();
        for (name, service) in self.lock.services() {
            let reason = match environment.decide(name, &service.path, today) {
                Deployment::Deploy(settings) => {
                    let ServiceSettings { source, namespaces, .. } = &settings;
                    let files = match missing.get(name) {
                        Some(unreadable) => Err(unreadable.clone()),
                        None => self.files(name, service, source, settings.files),
                    };
                    match files.and_then(|files| Ok((files, self.values(name, service, &settings)?))) {
                        Ok((files, (values, ways))) => {
                            let mut deployed = DeployService::new(name.clone());
                            deployed.values = values;
                            if target.has_charts() && !ways.is_empty() {
                                styles.insert(name.clone(), ways);
                            }
                            deployed.is_chart = target.has_charts();
                            deployed.image = pin(service);
                            deployed.files = files;
                            folders.extend(folder_of(source).map(|folder| (name.clone(), folder)));
                            deployed.await_jobs = settings.await_jobs.as_ref().map(awaited_jobs);
                            deployed.kustomization =
                                settings.kustomization.as_ref().map(|folder| folder.as_str().to_owned());
                            deployed.setting_parts = setting_parts(&settings);
                            deployed.wave = environment.wave_of(name, &service.path).unwrap_or_default();
                            deployed.noise = environment.noise_of(name, &service.path).map(noise_rule).collect();
                            deployed.namespace_rule = Some(namespace_rule(namespaces));
                            request.services.push(deployed);
                        }
                        Err(unreadable) => {
                            request.other_images.extend(pin(service));
                            request.paused.insert(name.clone());
                            unread.push(unreadable);
                        }
                    }
                    continue;
                }
                Deployment::NotDeployed { reason, owner, until, expired: passed } => {
                    if passed {
                        expired.push((name.clone(), until.to_string()));
                    }
                    request.paused.insert(name.clone());
                    format!("{reason} ({owner}, until {until})")
                }
                Deployment::LockedOnly { reason } => reason,
            };
            request.other_images.extend(pin(service));
            request.not_deployed.push(NotDeployed { name: name.clone(), reason });
        }
        let former = self.former_places()?;
        let superseding = Superseding::default();
        Ok(Deployable { request, folders, destination, expired, unread, styles, superseding, former })
    }

    fn cluster_place(&self) -> Result<ClusterPlace> {
        let environment = self.environment;
        ClusterPlace::of(self.context, &self.revision.config, environment).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("environment `{}` has no `kubeconfig:`", environment.name))
        })
    }

    /// What the chart of a service is given, and what it would be given in each known way to take an image.
    fn values(
        &self,
        name: &ServiceName,
        service: &Service,
        settings: &ServiceSettings,
    ) -> Result<(ChartValues, Vec<ImageStyle>), Unreadable> {
        let mut variables = self.environment.service_values(name, &service.path);
        for (other, service) in self.lock.services() {
            if let Some(image) = service.content.image() {
                variables = variables.with_image_of(other, image);
            }
        }
        if !settings.config.is_empty() {
            variables = variables.with(Variable::Config, config_name(name.as_str()));
        }
        if !settings.secret.is_empty() {
            variables = variables.with(Variable::Secret, secret_name(name.as_str()));
        }
        if let Some(pull) = &self.environment.pull_secret {
            variables = variables.with(Variable::PullSecret, pull.name.to_string());
        }
        let values = settings.values.clone();
        let (values, variables, styled) = match &service.content {
            Content::Image(image) => {
                let styled = values.in_known_styles();
                (values, variables.image(&image.repository, &image.tag, &image.digest), styled)
            }
            Content::Configuration => (values.without_image(), variables, Vec::new()),
        };
        let filled = values.fill(&variables).map_err(|error| {
            let message = format!("its chart cannot be given its values: {error}");
            let hint = format!(
                "`overrides` for these services take the value out, or give them what `{{{}}}` names",
                error.variable()
            );
            Unreadable::configured("values", Problem::new(name.to_string(), message), hint)
        })?;
        let styles = styled.into_iter().filter_map(|styled| {
            let values = styled.values.fill(&variables).ok()?;
            Some(ImageStyle { path: service.path.clone(), yaml: styled.to_yaml(), values })
        });
        Ok((filled, styles.collect()))
    }

    /// Refuses an environment whose places belong to others.
    pub(crate) async fn refuse_foreign_places(&self, context: &Context) -> Result<()> {
        let name = &self.environment.name;
        let facts = place_facts(context, self.ledger, &self.revision.config, self.environment).await?;
        crate::places::refuse(name, &places::refusals(self.ledger, name, &facts))
    }

    /// The files that the target reads of a service: from its own repository at the locked commit, or from the superproject's
    /// tree.
    fn files(
        &self,
        name: &ServiceName,
        service: &Service,
        source: &SourceFolder,
        wanted: SourceFiles,
    ) -> Result<Vec<(String, Vec<u8>)>, Unreadable> {
        let context = self.context;
        match source {
            SourceFolder::InService(folder) => {
                let (submodule, url) = origin(context, self.revision, name, service)?;
                let unread = |error: ContentError| unreadable(name, error.class(), &error);
                let content = if let Some(content) = at_hand(context, submodule, &url).map_err(unread)? {
                    content
                } else {
                    let options = access(context, self.revision, name, &url)?;
                    Arc::new(store(context, options).content(submodule, &url).map_err(unread)?)
                };
                let files = files_of(name, &content, folder.as_ref(), wanted)?;
                let prefix = folder.as_ref().map(|folder| format!("{folder}/")).unwrap_or_default();
                Ok(files.into_iter().map(|(path, bytes)| (within(&prefix, &path), bytes)).collect())
            }
            SourceFolder::InTree(folder) => {
                let files = self.revision.inputs.folder(context, folder);
                let files = files.map_err(|error| unreadable(name, ErrorClass::Invalid, &error))?;
                if files.is_empty() {
                    let is_chart = self.environment.target.as_ref().is_some_and(config::Target::has_charts);
                    let key = if is_chart { "chart" } else { "source" };
                    let message = format!("`{folder}` of the superproject holds no manifest of it");
                    let hint = format!(
                        "commit the manifests there, or correct `target.{key}`; `config check` lists such folders"
                    );
                    return Err(Unreadable::configured(key, Problem::new(name.to_string(), message), hint));
                }
                let prefix = format!("{folder}/");
                Ok(files.into_iter().map(|file| (within(&prefix, &file.path), file.bytes)).collect())
            }
        }
    }
}

/// The folder of a service's files in its repository, or in the superproject; none where they lie at the top.
fn folder_of(source: &SourceFolder) -> Option<String> {
    match source {
        SourceFolder::InService(folder) => folder.as_ref().map(ToString::to_string),
        SourceFolder::InTree(folder) => Some(folder.to_string()),
    }
}

/// Which settings a service is given.
fn setting_parts(settings: &ServiceSettings) -> BTreeSet<Part> {
    let parts = [(Part::Config, &settings.config), (Part::Secret, &settings.secret)];
    parts.into_iter().filter(|(_, sources)| !sources.is_empty()).map(|(part, _)| part).collect()
}

/// Brings what the environments deploy from the services' own repositories, several at once and no longer than
/// `patience`. Gives those that cannot be had.
pub(crate) async fn fetch_manifests(
    context: &Workspace,
    revision: &Revision,
    lock: &Lock,
    environments: &[&Environment],
    patience: Duration,
) -> Result<Missing> {
    let today = context.now().date();
    let (mut missing, mut names, mut wanted) = (Missing::new(), Vec::new(), Vec::new());
    for (name, service) in lock.services() {
        let is_read = environments.iter().any(|environment| match environment.decide(name, &service.path, today) {
            Deployment::Deploy(settings) => matches!(settings.source, SourceFolder::InService(_)),
            Deployment::NotDeployed { .. } | Deployment::LockedOnly { .. } => false,
        });
        if !is_read {
            continue;
        }
        match origin(context, revision, name, service) {
            Ok((submodule, url)) => match at_hand(context, submodule, &url) {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => match access(context, revision, name, &url) {
                    Ok(_) => {
                        names.push(name.clone());
                        wanted.push((submodule.clone(), url));
                    }
                    Err(unreadable) => {
                        missing.insert(name.clone(), unreadable);
                    }
                },
            },
            Err(unreadable) => {
                missing.insert(name.clone(), unreadable);
            }
        }
    }
    if wanted.is_empty() {
        return Ok(missing);
    }
    // What is only looked at is not worth what is left of the command's time.
    let left = context.deadline.saturating_duration_since(Instant::now());
    let (program, cache, clone) =
        (context.git_program.clone(), context.cache.clone(), context.git.common_dir().to_path_buf());
    let answers = run_blocking(context, Some(patience.min(left / 4)), move |options| {
        let answers = SubmoduleStore::new(&program, options, &cache, &clone).contents(&wanted);
        answers.into_iter().map(|answer| answer.map(drop)).collect::<Vec<_>>()
    })
    .await?;
    for (name, answer) in names.into_iter().zip(answers) {
        if let Err(error) = answer {
            let unreadable = unreadable(&name, error.class(), &error);
            missing.insert(name, unreadable);
        }
    }
    Ok(missing)
}

/// The submodule of a service in the revision's tree, and where git fetches it from.
fn origin<'a>(
    context: &Workspace,
    revision: &'a Revision,
    name: &ServiceName,
    service: &Service,
) -> Result<(&'a Submodule, String), Unreadable> {
    let is_it = |submodule: &&Submodule| submodule.path == service.path && submodule.commit == service.git.commit;
    let submodule = revision
        .scan
        .submodules
        .iter()
        .find(is_it)
        .ok_or_else(|| Unreadable::invalid(Problem::new(name.to_string(), "is not a submodule of this tree")))?;
    let url = fetch_url(&submodule.declared_url, context.remote_location())
        .map_err(|error| unreadable(name, ErrorClass::Invalid, &error))?;
    Ok((submodule, url))
}

/// How git fetches a service's repository, where it may go there.
fn access(context: &Workspace, revision: &Revision, name: &ServiceName, url: &str) -> Result<GitOptions, Unreadable> {
    submodule_access(context, &[&revision.config.submodules], url)
        .map_err(|error| Unreadable { hints: error.hints().to_vec(), ..unreadable(name, ErrorClass::Invalid, &error) })
}

/// The content of a submodule where no remote need be asked for it. Its repository is opened once.
fn at_hand(
    context: &Workspace,
    submodule: &Submodule,
    url: &str,
) -> Result<Option<Arc<SubmoduleContent>>, ContentError> {
    let key = (submodule.name.clone(), url.to_owned(), submodule.commit.clone());
    let mut known = context.contents.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(content) = known.get(&key) {
        return Ok(Some(Arc::clone(content)));
    }
    let found = store(context, context.git_options()).content_at_hand(submodule, url)?.map(Arc::new);
    known.extend(found.clone().map(|content| (key, content)));
    Ok(found)
}

fn store(context: &Workspace, options: GitOptions) -> SubmoduleStore {
    SubmoduleStore::new(&context.git_program, options, &context.cache, context.git.common_dir())
}

fn unreadable(name: &ServiceName, class: ErrorClass, error: &(dyn std::error::Error + 'static)) -> Unreadable {
    let problem = Problem::new(name.to_string(), error.to_string()).details(causes(error.source()));
    let hints = hints::of_remote_cause(error).into_iter().collect();
    Unreadable { class, configured: None, problem, hints }
}

/// A path in a folder, written from there.
fn within(prefix: &str, path: &TreePath) -> String {
    path.as_str().strip_prefix(prefix).unwrap_or(path.as_str()).to_owned()
}

/// The namespaces that objects may name, and which objects reach beyond them.
fn noise_rule(noise: &Noise) -> NoiseRule {
    let part = |part: &FieldPart| match part {
        FieldPart::Key(name) => PathPart::Key(name.clone()),
        FieldPart::Item(key, value) => PathPart::Item(key.clone(), value.clone()),
        FieldPart::Any => PathPart::Any,
    };
    let fields = noise.fields.iter().map(|field| field.parts().iter().map(part).collect());
    NoiseRule { object: noise.object.as_ref().map(ToString::to_string), fields: fields.collect() }
}

fn namespace_rule(rule: &config::NamespaceRule) -> NamespaceRule {
    NamespaceRule {
        allow: rule.allow.iter().map(ToString::to_string).collect(),
        foreign: if rule.rewrite { ForeignNamespace::Rewrite } else { ForeignNamespace::Refuse },
        cluster_scoped: rule.cluster_scoped.iter().map(ToString::to_string).collect(),
        privileged: rule.privileged.iter().map(ToString::to_string).collect(),
    }
}

/// The manifests of every platform of each locked index.
fn platform_digests(lock: &Lock) -> BTreeMap<Digest, BTreeSet<Digest>> {
    let images = lock.services().values().filter_map(|service| service.content.image());
    images.map(|image| (image.digest.clone(), image.platforms.values().cloned().collect())).collect()
}

fn sidecar(one: &config::Sidecar) -> AllowedSidecar {
    AllowedSidecar { name: one.name.clone(), image: one.image.clone() }
}

fn wave(wave: &config::Wave) -> Wave {
    Wave { at_once: usize::try_from(wave.at_once).unwrap_or(usize::MAX), pause: wave.pause }
}

fn awaited_jobs(jobs: &config::AwaitedJobs) -> AwaitedJobs {
    AwaitedJobs { label: jobs.label.to_string(), deadline: jobs.deadline }
}

fn pin(service: &Service) -> Option<ImagePin> {
    match &service.content {
        Content::Image(image) => Some(ImagePin::from(image)),
        Content::Configuration => None,
    }
}
