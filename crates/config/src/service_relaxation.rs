//! What becomes of each service, for the list of policy relaxations: results are compared, so that it does not matter by
//! which rule, pattern or override they change.

use std::collections::BTreeMap;

use lock_model::{EnvironmentName, Platform, ServiceName, TreePath};

use super::chart_values::ChartValues;
use super::environment::{Environment, KustomizationFolder, NamespaceRule};
use super::policy_relaxation::{ComparedTree, Found, RelaxationKind, quoted, shown};
use super::readiness::Label;
use super::service_rules::{ServiceAssignment, SettingSources};
use super::settings::SettingSource;
use super::types::{Config, ImageRule, RevisionPolicy, ServiceKind};

/// How many services a message names.
const NAMED: usize = 6;

/// Messages about services, each with those that it concerns.
type Messages = BTreeMap<(Option<EnvironmentName>, RelaxationKind, String), Vec<ServiceName>>;

/// Compares how the services of a tree are found and deployed.
pub(super) fn compare_services(old: &Config, new: &Config, tree: ComparedTree<'_>, found: &mut Found) {
    let mut messages = Messages::new();
    for path in tree.services {
        let (before, after) = (service(old, path), service(new, path));
        let Some(after) = after else { continue };
        let name = after.assignment.name.clone();
        let mut add = |environment: Option<&EnvironmentName>, kind, message: String| {
            messages.entry((environment.cloned(), kind, message)).or_default().push(name.clone());
        };
        for message in compare_images(before.as_ref(), &old.images, &after) {
            add(None, RelaxationKind::Images, message);
        }
        let earlier = before.as_ref().map_or(&name, |before| &before.assignment.name);
        if *earlier != name {
            add(None, RelaxationKind::Images, format!("it was named `{earlier}`"));
        }
        for (environment, before) in &old.environments {
            let Some(after) = new.environments.get(environment) else { continue };
            let (was, is) = (Deployed::of(before, earlier, path), Deployed::of(after, &name, path));
            for (kind, message) in compare_deployed(was, is) {
                add(Some(environment), kind, message);
            }
        }
    }
    for ((environment, kind, message), names) in messages {
        found.environment = environment;
        found.add(kind, format!("{}: {message}", list(&names, tree.services.len())));
    }
    found.environment = None;
}

/// The services that a message concerns.
fn list(names: &[ServiceName], all: usize) -> String {
    if names.len() == all && all > NAMED {
        return format!("all {all} services");
    }
    let named = quoted(names.iter().take(NAMED)).unwrap_or_default();
    match names.len().checked_sub(NAMED) {
        None | Some(0) => named,
        Some(more) => format!("{named} and {more} more"),
    }
}

/// What the rules make of a submodule.
struct Assigned<'a> {
    assignment: ServiceAssignment,
    kind: &'a ServiceKind,
}

fn service<'a>(config: &'a Config, path: &TreePath) -> Option<Assigned<'a>> {
    let rule = config.services.iter().find(|rule| rule.pattern.matches_path(path))?;
    Some(Assigned { assignment: config.assignment(rule, path)?, kind: &rule.kind })
}

/// How an image is found, as it comes out for one service.
struct Image<'a> {
    rule: &'a ImageRule,
    repository: Option<String>,
    tags: Vec<String>,
}

impl<'a> Image<'a> {
    fn of(service: &ServiceAssignment, rule: &'a ImageRule) -> Self {
        let candidates = service.sample_candidates(rule);
        let repository = candidates.first().map(|(repository, _)| repository.to_string());
        Self { rule, repository, tags: candidates.into_iter().map(|(_, tag)| tag.to_string()).collect() }
    }
}

fn compare_images(before: Option<&Assigned<'_>>, default: &ImageRule, after: &Assigned<'_>) -> Vec<String> {
    let rule = match after.kind {
        ServiceKind::Configuration => {
            return match before.map(|before| before.kind) {
                Some(ServiceKind::Configuration) => Vec::new(),
                Some(ServiceKind::Image(_)) => vec!["no image is locked any more".to_owned()],
                None => vec!["no image is locked".to_owned()],
            };
        }
        ServiceKind::Image(rule) => rule,
    };
    let before = match before.map(|before| (&before.assignment, before.kind)) {
        // Nothing was asked of an image before.
        Some((_, ServiceKind::Configuration)) => return Vec::new(),
        Some((assignment, ServiceKind::Image(rule))) => Image::of(assignment, rule),
        None => Image::of(&after.assignment, default),
    };
    let after = Image::of(&after.assignment, rule);
    let ImageRule { repository, tags, platforms, revision } = after.rule;
    let mut messages = Vec::new();
    if before.repository != after.repository {
        let (now, was) = (shown(repository.as_ref()), shown(before.rule.repository.as_ref()));
        messages.push(if now == was {
            // Only what the variables stand for is another.
            let (now, was) = (shown(after.repository.as_ref()), shown(before.repository.as_ref()));
            format!("images come from {now}, it was {was}")
        } else {
            format!("images come from {now}, it was {was}")
        });
    }
    if !is_part_in_order(&after.tags, &before.tags) {
        let list = |tags: &[crate::Template]| quoted(tags).unwrap_or_else(|| "nothing".to_owned());
        messages.push(format!("images are looked for under {}, it was {}", list(tags), list(&before.rule.tags)));
    }
    let gone: Vec<&Platform> = before.rule.platforms.iter().filter(|platform| !platforms.contains(platform)).collect();
    if let Some(gone) = quoted(gone) {
        messages.push(format!("{gone} is not required any more"));
    }
    let asked: RevisionPolicy = before.rule.revision;
    if *revision > asked {
        messages.push(format!("`revision` is `{revision}`, it was `{asked}`"));
    }
    messages
}

/// Whether every value stands in the other list, in the same order: what was looked for is looked for less.
fn is_part_in_order(part: &[String], whole: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|value| rest.any(|other| other == value))
}

/// What an environment does with a service, apart from leaving it out for a time.
struct Deployed {
    source: String,
    kustomization: Option<KustomizationFolder>,
    namespaces: NamespaceRule,
    values: ChartValues,
    config: Vec<SettingSource>,
    secret: Vec<SettingSource>,
    /// The label of Jobs that are waited for.
    await_jobs: Option<Label>,
}

impl Deployed {
    /// `None` where it is only locked.
    fn of(environment: &Environment, name: &ServiceName, path: &TreePath) -> Option<Self> {
        let target = environment.target.as_ref()?;
        let SettingSources { config, secret } = environment.setting_sources(name, path);
        environment.deploys(name, path).then(|| Self {
            config: config.to_vec(),
            secret: secret.to_vec(),
            await_jobs: environment.await_jobs_of(name, path).map(|jobs| jobs.label.clone()),
            source: environment.source(target, name, path),
            kustomization: environment.kustomization(target, name, path),
            namespaces: environment.namespaces_of(name, path),
            values: environment.chart_values(target, name, path),
        })
    }
}

fn compare_deployed(before: Option<Deployed>, after: Option<Deployed>) -> Vec<(RelaxationKind, String)> {
    let (before, after) = match (before, after) {
        (None, None) => return Vec::new(),
        (Some(_), None) => return vec![(RelaxationKind::Deployment, "not deployed any more".to_owned())],
        (None, Some(_)) => return vec![(RelaxationKind::Deployment, "deployed now, and was not".to_owned())],
        (Some(before), Some(after)) => (before, after),
    };
    let Deployed { source, kustomization, namespaces, values, config, secret, await_jobs } = before;
    let NamespaceRule { allow, rewrite, cluster_scoped, privileged } = namespaces;
    let mut messages = Vec::new();
    if source != after.source {
        messages
            .push((RelaxationKind::Deployment, format!("manifests come from `{}`, it was `{source}`", after.source)));
    }
    if kustomization != after.kustomization {
        let shown = |folder: Option<&KustomizationFolder>| match folder {
            None => "plain manifests".to_owned(),
            Some(KustomizationFolder::Top) => "the kustomization `.`".to_owned(),
            Some(KustomizationFolder::Below(folder)) => format!("the kustomization `{folder}`"),
        };
        let (now, was) = (shown(after.kustomization.as_ref()), shown(kustomization.as_ref()));
        messages.push((RelaxationKind::Deployment, format!("manifests are {now}, it was {was}")));
    }
    if values != after.values {
        messages.push((RelaxationKind::Deployment, "the values of its chart are others".to_owned()));
    }
    for (what, was, is) in [("configuration comes", config, after.config), ("secrets come", secret, after.secret)] {
        if was != is {
            messages.push((RelaxationKind::Deployment, format!("the list of where its {what} from is another one")));
        }
    }
    if let Some(label) = await_jobs.filter(|label| after.await_jobs.as_ref() != Some(label)) {
        messages.push((RelaxationKind::Deployment, format!("Jobs with label `{label}` are not waited for any more")));
    }
    if let Some(wider) = quoted(after.namespaces.allow.difference(&allow)) {
        messages.push((RelaxationKind::Namespaces, format!("objects may lie in namespace {wider}")));
    }
    if let Some(wider) = quoted(after.namespaces.cluster_scoped.difference(&cluster_scoped)) {
        messages.push((RelaxationKind::Namespaces, format!("objects without a namespace may be deployed: {wider}")));
    }
    if let Some(wider) = quoted(after.namespaces.privileged.difference(&privileged)) {
        messages.push((RelaxationKind::Namespaces, format!("privileges are allowed for {wider}")));
    }
    if after.namespaces.rewrite && !rewrite {
        let message = "foreign namespaces are rewritten, they were refused".to_owned();
        messages.push((RelaxationKind::Namespaces, message));
    }
    messages
}
