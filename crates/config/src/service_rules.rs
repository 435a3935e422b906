//! Which submodule is which service, and what an environment does with it.

use lock_model::{CommitId, Date, IdentifierError, ImageRepository, Platform, ServiceName, Tag, TreePath};

use super::chart_values::ChartValues;
use super::decode::longest_commit;
use super::environment::{
    Deployment, Environment, KustomizationFolder, NamespaceRule, NotDeployed, Override, ServiceSettings, SourceFiles,
    SourceFolder, Target,
};
use super::problem::{ConfigErrors, Problems};
use super::readiness::AwaitedJobs;
use super::release_inputs::named_folder;
use super::settings::SettingSource;
use super::tree::{Node, Origin};
use super::types::{Config, ImageRule, RevisionPolicy, ServiceKind, ServiceRule};
use crate::patterns::Pattern;
use crate::variables::{Template, Values, Variable};

/// What the rules make of one submodule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAssignment {
    /// The service's name.
    pub name: ServiceName,
    /// The submodule's path.
    pub path: TreePath,
    /// What it consists of.
    pub kind: AssignedKind,
    /// The rule that decided.
    pub rule: Origin,
    /// What `{short}` leaves out.
    prefix: String,
}

impl ServiceAssignment {
    /// The name as `{short}` gives it.
    pub fn short_name(&self) -> &str {
        super::variables::short(self.name.as_str(), &self.prefix)
    }
}

/// What a service consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssignedKind {
    /// An image.
    Image(ImageAssignment),
    /// Files only.
    Configuration,
}

impl AssignedKind {
    fn of(kind: &ServiceKind) -> Self {
        match kind {
            ServiceKind::Configuration => Self::Configuration,
            ServiceKind::Image(rule) => Self::Image(ImageAssignment {
                platforms: rule.platforms.clone(),
                revision: rule.revision,
                rule: rule.clone(),
            }),
        }
    }
}

/// How a service's image is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageAssignment {
    /// The platforms that it must have.
    pub platforms: Vec<Platform>,
    /// What is asked of its revision label.
    pub revision: RevisionPolicy,
    rule: ImageRule,
}

impl ServiceAssignment {
    /// The images that a commit of this service may have been built into, the first that exists counts. Empty where
    /// the service has no image.
    pub fn candidates(&self, commit: &CommitId) -> Vec<(ImageRepository, Tag)> {
        match &self.kind {
            AssignedKind::Image(image) => self
                .expand(&image.rule, commit)
                .expect("`Config::assign_services` has filled the templates in for the longest commit id"),
            AssignedKind::Configuration => Vec::new(),
        }
    }

    /// The same by any rule, for a commit that stands for all of them; empty where the rule cannot be filled in.
    pub(super) fn sample_candidates(&self, rule: &ImageRule) -> Vec<(ImageRepository, Tag)> {
        self.expand(rule, &longest_commit()).unwrap_or_default()
    }

    fn expand(&self, rule: &ImageRule, commit: &CommitId) -> Result<Vec<(ImageRepository, Tag)>, String> {
        let values = Values::new().service(&self.name, &self.path, &self.prefix).commit(commit);
        let repository = rule.repository.as_ref().ok_or("no `repository`")?;
        let repository = repository.expand(&values).map_err(|error| error.to_string())?;
        let repository = ImageRepository::try_from(repository).map_err(|error| error.to_string())?;
        let mut all: Vec<(ImageRepository, Tag)> = Vec::new();
        for template in &rule.tags {
            let tag = template.expand(&values).map_err(|error| error.to_string())?;
            let tag = Tag::try_from(tag).map_err(|error| error.to_string())?;
            let candidate = (repository.clone(), tag);
            if !all.contains(&candidate) {
                all.push(candidate);
            }
        }
        Ok(all)
    }
}

impl Config {
    /// Says which service each submodule is: the first rule that matches its path decides.
    ///
    /// Paths that no rule matches, equal names, patterns anywhere in the configuration that match nothing, names of
    /// services that do not exist, and services that an environment neither deploys nor explains are errors.
    pub fn assign_services(&self, paths: &[TreePath]) -> Result<Vec<ServiceAssignment>, ConfigErrors> {
        let mut problems = Problems::new(self.source.clone());
        let services = self.assign_all(paths, &mut problems);
        if problems.is_empty() { Ok(services) } else { Err(problems.into_errors()) }
    }

    /// The same for a tree of the past, which today's rules may not fit: what matches nothing there is a warning, a sentence
    /// each, and environments are not compared with it.
    pub fn assign_services_of_past(
        &self,
        paths: &[TreePath],
    ) -> Result<(Vec<ServiceAssignment>, Vec<String>), ConfigErrors> {
        let mut problems = Problems::new(self.source.clone());
        let services = self.assign_paths(paths, &mut problems);
        if !problems.is_empty() {
            return Err(problems.into_errors());
        }
        let unmatched = self.services.iter().filter(|rule| !paths.iter().any(|path| rule.pattern.matches_path(path)));
        let warnings = unmatched.map(|rule| format!("pattern `{}` matches no submodule of this tree", rule.pattern));
        Ok((services, warnings.collect()))
    }

    /// The same with what is wrong beside it.
    pub(super) fn assign_all(&self, paths: &[TreePath], problems: &mut Problems) -> Vec<ServiceAssignment> {
        let services = self.assign(paths, problems);
        for environment in self.environments.values() {
            self.check_environment(environment, &services, problems);
        }
        services
    }

    /// What a rule makes of a path; `None` where the service has no name.
    pub(super) fn assignment(&self, rule: &ServiceRule, path: &TreePath) -> Option<ServiceAssignment> {
        let own = || ServiceName::try_from(path.file_name()).ok();
        Some(ServiceAssignment {
            name: rule.name.clone().or_else(own)?,
            path: path.clone(),
            kind: AssignedKind::of(&rule.kind),
            rule: rule.origin.clone(),
            prefix: self.project.prefix.clone(),
        })
    }

    fn assign(&self, paths: &[TreePath], problems: &mut Problems) -> Vec<ServiceAssignment> {
        let services = self.assign_paths(paths, problems);
        for rule in &self.services {
            let origin = &rule.match_origin;
            let decides = |path: &TreePath| {
                let first = self.services.iter().find(|other| other.pattern.matches_path(path));
                first.is_some_and(|first| std::ptr::eq(first, rule))
            };
            if !paths.iter().any(|path| rule.pattern.matches_path(path)) {
                matches_nothing(problems, origin, &rule.pattern, "submodule", paths.iter().map(|path| (None, path)));
            } else if rule.pattern.as_str() != "**" && !paths.iter().any(decides) {
                problems.add(
                    origin,
                    format!("rule `{}` never decides: rules before it match all that it matches", rule.pattern),
                );
            }
        }
        services
    }

    /// What the rules make of each path.
    fn assign_paths(&self, paths: &[TreePath], problems: &mut Problems) -> Vec<ServiceAssignment> {
        let mut services: Vec<ServiceAssignment> = Vec::new();
        for path in paths {
            let found = self.services.iter().find(|rule| rule.pattern.matches_path(path));
            let Some(rule) = found else {
                problems
                    .add_at(None, format!("no rule of `services` matches the submodule at `{path}`"))
                    .with_hint("a rule `- match: \"**\"` at the end is for all that is left");
                continue;
            };
            let name = match rule.name_of(path) {
                Ok(name) => name,
                Err(error) => {
                    problems
                        .add(&rule.origin, format!("submodule `{path}`: {error}"))
                        .with_hint("a rule with `name:` gives it another");
                    continue;
                }
            };
            if let Some(other) = services.iter().find(|service| service.name == name) {
                problems
                    .add(&rule.origin, format!("`{}` and `{path}` are both named `{name}`", other.path))
                    .with_hint("a rule with `name:` gives one of them another");
                continue;
            }
            let kind = AssignedKind::of(&rule.kind);
            let prefix = self.project.prefix.clone();
            let service = ServiceAssignment { name, path: path.clone(), kind, rule: rule.origin.clone(), prefix };
            if let ServiceKind::Image(image) = &rule.kind
                && let Err(error) = service.expand(image, &longest_commit())
            {
                problems.add(&rule.origin, format!("service `{}`: {error}", service.name));
            }
            services.push(service);
        }
        services
    }

    /// The name of the service at a path; `None` where no rule gives it one.
    pub(super) fn service_name(&self, path: &TreePath) -> Option<ServiceName> {
        self.services.iter().find(|rule| rule.pattern.matches_path(path))?.name_of(path).ok()
    }

    fn check_environment(&self, environment: &Environment, services: &[ServiceAssignment], problems: &mut Problems) {
        let matched = |pattern: &Pattern| services.iter().any(|service| pattern.matches(&service.name, &service.path));
        let tree = self.tree.get("environments").and_then(|node| node.get(environment.name.as_str()));
        let origin_in = |keys: &[&str]| {
            let node = keys.iter().try_fold(tree?, |node, key| node.get(key));
            node.map(|node| node.origin.clone())
        };
        let items = tree.and_then(|tree| tree.get("deploy")).and_then(Node::list).unwrap_or_default();
        let mut no_service = |origin: &Origin, pattern: &Pattern| {
            let all = services.iter().map(|service| (Some(&service.name), &service.path));
            matches_nothing(problems, origin, pattern, "service", all);
        };
        let idle: Vec<_> = environment.deploy.iter().zip(items).filter(|(pattern, _)| !matched(pattern)).collect();
        for (pattern, node) in &idle {
            no_service(&node.origin, pattern);
        }
        let overrides = environment.overrides.iter().map(|entry| (&entry.pattern, &entry.match_origin));
        let migrations = environment.migrations.iter().map(|entry| (&entry.pattern, &entry.match_origin));
        let waves = environment.waves.iter().map(|entry| (&entry.pattern, &entry.match_origin));
        let noise = environment.noise.iter().map(|entry| (&entry.pattern, &entry.match_origin));
        for (pattern, origin) in overrides.chain(migrations).chain(waves).chain(noise) {
            if !matched(pattern) {
                no_service(origin, pattern);
            }
        }
        for name in environment.not_deployed.keys() {
            if !services.iter().any(|service| &service.name == name) {
                let origin = origin_in(&["not-deployed", name.as_str()]).unwrap_or(Origin::Default);
                let by_short = services.iter().find(|service| service.short_name() == name.as_str());
                let wanted = by_short.map_or(name.as_str(), |service| service.name.as_str());
                problems
                    .add(&origin, format!("no service is named `{name}`"))
                    .suggest(wanted, services.iter().map(|service| service.name.as_str()));
            }
        }
        for service in services {
            let deployed = environment.deploys(&service.name, &service.path);
            if let (Some(target), true) = (&environment.target, deployed)
                && let Err(error) =
                    source_folder(&environment.source(target, &service.name, &service.path), &service.path)
            {
                let origin = environment.source_origin(target, &service.name, &service.path);
                problems.add(origin, format!("service `{}`: {error}", service.name));
            }
            if let (Some(target), true) = (&environment.target, deployed) {
                for conflict in environment.chart_values(target, &service.name, &service.path).conflicts() {
                    let origin = origin_in(&["overrides"]).unwrap_or_else(|| environment.origin.clone());
                    problems.add(&origin, format!("service `{}`: {conflict}", service.name));
                }
            }
        }
        if !environment.waves.is_empty() {
            let waves = origin_in(&["waves"]).unwrap_or_else(|| environment.origin.clone());
            if matches!(environment.target, Some(Target::Render(_))) {
                problems
                    .add(&waves, "target `render` writes all services at once: it has no waves")
                    .with_hint("what follows the branch decides on the order");
            }
            let in_none = services
                .iter()
                .filter(|service| environment.deploys(&service.name, &service.path))
                .filter(|service| environment.wave_of(&service.name, &service.path).is_none())
                .map(|service| format!("`{}`", service.name))
                .collect::<Vec<_>>();
            let deployed = || services.iter().filter(|one| environment.deploys(&one.name, &one.path));
            for (index, wave) in environment.waves.iter().enumerate() {
                let mut named = deployed().filter(|one| wave.pattern.matches(&one.name, &one.path)).peekable();
                if named.peek().is_some() && named.all(|one| environment.wave_of(&one.name, &one.path) != Some(index)) {
                    problems
                        .add(
                            &wave.match_origin,
                            format!("wave `{}` has no service: later waves name all of them", wave.pattern),
                        )
                        .with_hint(
                            "the last wave that names a service decides: `\"**\"` belongs before those that name some",
                        );
                }
            }
            if !in_none.is_empty() {
                problems
                    .add(&waves, format!("no wave of `{}` has {}", environment.name, in_none.join(", ")))
                    .with_hint("a first wave `\"**\"` has every service that no later wave names");
            }
        }
        // What a pattern that matches nothing was to name would only be listed once more.
        if environment.target.is_some() && environment.locked_only.is_none() && idle.is_empty() {
            let unexplained: Vec<String> = services
                .iter()
                .filter(|service| !environment.not_deployed.contains_key(&service.name))
                .filter(|service| !environment.deploys(&service.name, &service.path))
                .map(|service| format!("`{}`", service.name))
                .collect();
            if !unexplained.is_empty() {
                let origin = origin_in(&["deploy"]).unwrap_or_else(|| environment.origin.clone());
                problems
                    .add(
                        &origin,
                        format!(
                            "{} would be locked and not deployed{}, without a reason",
                            unexplained.join(", "),
                            if origin.is_base() { String::new() } else { format!(" to `{}`", environment.name) }
                        ),
                    )
                    .with_hint("`locked-only: { reason: … }` says why");
            }
        }
    }
}

/// Where the settings of one service come from.
pub(super) struct SettingSources<'a> {
    pub(super) config: &'a [SettingSource],
    pub(super) secret: &'a [SettingSource],
}

impl ServiceRule {
    fn name_of(&self, path: &TreePath) -> Result<ServiceName, IdentifierError> {
        self.name.clone().map_or_else(|| ServiceName::try_from(path.file_name()), Ok)
    }
}

impl Environment {
    /// In which wave a service is deployed, counted from 0: the last one that names it. `None` where no wave does, or there
    /// are none.
    pub fn wave_of(&self, name: &ServiceName, path: &TreePath) -> Option<usize> {
        self.waves.iter().rposition(|wave| wave.pattern.matches(name, path))
    }

    /// What becomes of a locked service here, on a day.
    pub fn decide(&self, name: &ServiceName, path: &TreePath, today: Date) -> Deployment {
        if let Some(NotDeployed { reason, owner, until }) = self.not_deployed.get(name) {
            return Deployment::NotDeployed {
                reason: reason.clone(),
                owner: owner.clone(),
                until: *until,
                expired: *until < today,
            };
        }
        match &self.target {
            Some(target) if self.deploys(name, path) => Deployment::Deploy(self.settings(target, name, path)),
            Some(_) | None => Deployment::LockedOnly { reason: self.locked_only.clone().unwrap_or_default() },
        }
    }

    pub(super) fn deploys(&self, name: &ServiceName, path: &TreePath) -> bool {
        self.deploy.iter().any(|pattern| pattern.matches(name, path))
    }

    /// All overrides that match are laid over the environment's own settings, in their order.
    fn settings(&self, target: &Target, name: &ServiceName, path: &TreePath) -> ServiceSettings {
        let source = source_folder(&self.source(target, name, path), path)
            .expect("`Config::release_inputs` has checked the folder of every deployed service");
        let (namespaces, values) = (Box::new(self.namespaces_of(name, path)), self.chart_values(target, name, path));
        let SettingSources { config, secret } = self.setting_sources(name, path);
        let await_jobs = self.await_jobs_of(name, path).cloned();
        let (files, kustomization) = (self.source_files(target, name, path), self.kustomization(target, name, path));
        let (config, secret) = (config.to_vec(), secret.to_vec());
        ServiceSettings { source, files, kustomization, namespaces, values, config, secret, await_jobs }
    }

    /// Which files are read in the folder of a service.
    pub(super) fn source_files(&self, target: &Target, name: &ServiceName, path: &TreePath) -> SourceFiles {
        // Charts and kustomizations read files of any name.
        if target.has_charts() || self.kustomization(target, name, path).is_some() {
            SourceFiles::All
        } else {
            SourceFiles::Manifests
        }
    }

    /// Whether a kustomization makes the manifests of a service that it deploys.
    pub fn has_kustomizations(&self, services: &[ServiceAssignment]) -> bool {
        let Some(target) = &self.target else { return false };
        let mut deployed = services.iter().filter(|one| self.deploys(&one.name, &one.path));
        deployed.any(|one| self.kustomization(target, &one.name, &one.path).is_some())
    }

    /// The folder of the kustomization that makes a service's manifests, as the last override that matches says it.
    pub(super) fn kustomization(
        &self,
        target: &Target,
        name: &ServiceName,
        path: &TreePath,
    ) -> Option<KustomizationFolder> {
        let Target::Apply(target) = target else { return None };
        let mut matching = self.overrides.iter().rev().filter(|entry| entry.pattern.matches(name, path));
        let said = matching.find_map(|entry| entry.kustomization.as_ref()).or(target.kustomization.as_ref())?;
        let filled = said.expand(&self.service_values(name, path)).expect("`Config::parse` has filled the template in");
        Some(KustomizationFolder::parse(&filled).expect("`Config::parse` has checked the folder with a service's name"))
    }

    /// Where the settings of a service come from: the last override that says it replaces the environment's list.
    pub(super) fn setting_sources(&self, name: &ServiceName, path: &TreePath) -> SettingSources<'_> {
        let matching = || self.overrides.iter().rev().filter(|entry| entry.pattern.matches(name, path));
        SettingSources {
            config: matching().find_map(|entry| entry.config.as_deref()).unwrap_or(&self.config),
            secret: matching().find_map(|entry| entry.secret.as_deref()).unwrap_or(&self.secret),
        }
    }

    /// The Jobs of controllers that are waited for after a service.
    pub(super) fn await_jobs_of(&self, name: &ServiceName, path: &TreePath) -> Option<&AwaitedJobs> {
        let mut matching = self.overrides.iter().rev().filter(|entry| entry.pattern.matches(name, path));
        matching.find_map(|entry| entry.await_jobs.as_ref()).or(self.await_jobs.as_ref())
    }

    /// What the chart of a service is given.
    pub(super) fn chart_values(&self, target: &Target, name: &ServiceName, path: &TreePath) -> ChartValues {
        let Some(values) = target.charts() else { return ChartValues::default() };
        let mut values = values.clone();
        for entry in self.overrides.iter().filter(|entry| entry.pattern.matches(name, path)) {
            values.lay_over(&entry.values);
        }
        values
    }

    /// The namespaces that objects of a service may name.
    pub(super) fn namespaces_of(&self, name: &ServiceName, path: &TreePath) -> NamespaceRule {
        let mut namespaces: NamespaceRule = self.namespaces.clone();
        for entry in self.overrides.iter().filter(|entry| entry.pattern.matches(name, path)) {
            // A setting that is new here is compared in `service_relaxation` as well.
            let Override {
                pattern: _,
                source: _,
                kustomization: _,
                values: _,
                config: _,
                secret: _,
                await_jobs: _,
                allow,
                rewrite,
                cluster_scoped,
                privileged,
                match_origin: _,
            } = entry;
            if let Some(allow) = allow {
                namespaces.allow.clone_from(allow);
            }
            namespaces.rewrite = rewrite.unwrap_or(namespaces.rewrite);
            if let Some(cluster_scoped) = cluster_scoped {
                namespaces.cluster_scoped.clone_from(cluster_scoped);
            }
            if let Some(privileged) = privileged {
                namespaces.privileged.clone_from(privileged);
            }
        }
        namespaces
    }

    /// The folder of a service's manifests, as the last override that matches says it.
    pub(super) fn source(&self, target: &Target, name: &ServiceName, path: &TreePath) -> String {
        let (source, _) = self.source_template(target, name, path);
        source.expand(&self.service_values(name, path)).expect("`Config::parse` has filled the template in")
    }

    /// The variables of a service in this environment.
    pub fn service_values(&self, name: &ServiceName, path: &TreePath) -> Values {
        Values::new().service(name, path, &self.prefix).with(Variable::Mode, self.mode.as_str())
    }

    /// Where the folder of a service's manifests is said.
    pub(super) fn source_origin<'a>(&'a self, target: &'a Target, name: &ServiceName, path: &TreePath) -> &'a Origin {
        self.source_template(target, name, path).1
    }

    fn source_template<'a>(
        &'a self,
        target: &'a Target,
        name: &ServiceName,
        path: &TreePath,
    ) -> (&'a Template, &'a Origin) {
        let mut matching = self.overrides.iter().rev().filter(|entry| entry.pattern.matches(name, path));
        let said = matching.find_map(|entry| entry.source.as_ref().map(|(source, origin)| (source, origin)));
        said.unwrap_or_else(|| target.source())
    }
}

pub(super) fn source_folder(filled: &str, path: &TreePath) -> Result<SourceFolder, String> {
    let folder = named_folder(filled)?;
    Ok(match filled.strip_prefix(path.as_str()) {
        Some("") => SourceFolder::InService(None),
        Some(rest) if rest.starts_with('/') => {
            let within = TreePath::try_from(rest.trim_start_matches('/')).map_err(|error| error.to_string())?;
            SourceFolder::InService(Some(within))
        }
        _ => SourceFolder::InTree(folder),
    })
}

/// A pattern that fits nothing, with the name, path or folder that it may mean.
fn matches_nothing<'a>(
    problems: &mut Problems,
    origin: &Origin,
    pattern: &Pattern,
    what: &str,
    all: impl Iterator<Item = (Option<&'a ServiceName>, &'a TreePath)>,
) {
    let mut known = Vec::new();
    for (name, path) in all {
        known.push(name.map_or_else(|| path.file_name(), ServiceName::as_str).to_owned());
        known.push(path.to_string());
        if let Some((folder, _)) = path.as_str().rsplit_once('/') {
            known.extend([format!("{folder}/*"), format!("{folder}/**")]);
        }
    }
    let message = format!("pattern `{pattern}` matches no {what}");
    problems.add(origin, message).suggest(pattern.as_str(), known.iter().map(String::as_str));
}
