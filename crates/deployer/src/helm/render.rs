//! Rendering charts: without a cluster, and with what the cluster says.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lock_model::ErrorClass;
use process::{Output, Priority, ProcessError};
use serde_json::{Map, Value};

use super::adoption::NOT_TAKEN_OVER;
use super::chart_folder::ChartFolder;
use super::fixed::is_fixed;
use super::plan::{Found, RenderedService, assemble, chart_problems};
use super::program::{Capabilities, HelmProgram, ReleaseName};
use super::revision::with_other_revision;
use super::schema_references::each_file;
use super::size::too_large;
use super::stored::rendering_of;
use crate::error::DeployError;
use crate::manifest::{self, ObjectId};
use crate::namespace::{Live, Rendering};
use crate::plan::Plan;
use crate::problem::{DeployProblem, DeployProblems, ProblemKind, escaped};
use crate::program_search::ProgramSearch;
use crate::request::{DeployRequest, DeployService};

/// How many charts helm works on at once.
pub(super) const AT_ONCE: usize = 4;

/// How many charts helm works on at once, where other programs go first: as few as can be, since a processor is shared by
/// sessions before priorities count.
fn at_once(priority: Priority) -> usize {
    match priority {
        Priority::Usual => AT_ONCE,
        Priority::Low => 1,
    }
}

/// What lies between two renderings of a chart that asks for the time: a little more than a second.
const ONE_SECOND: Duration = Duration::from_millis(1100);

/// A rendering, or what is wrong with the chart.
pub(super) type Answer = Result<Rendering, Vec<DeployProblem>>;

/// What services are rendered to, and the problems of those that are not.
pub(super) type Rendered<'a> = (Vec<(&'a DeployService, Rendering)>, Vec<DeployProblem>);

/// Plans as if nothing were deployed, without a cluster: each chart is rendered twice, and must be the same. Nothing is
/// deployed by this plan, so a chart whose functions all give the same answer each time is rendered once.
///
/// # Errors
///
/// [`DeployError::Problems`] with every problem of every service.
pub async fn plan_from_nothing(search: &ProgramSearch, request: &DeployRequest) -> Result<Plan, DeployError> {
    let (search, request) = (search.clone(), request.clone());
    run_blocking(move || {
        fail_with(chart_problems(&request))?;
        let helm = HelmProgram::find(&search)?;
        let answers = in_parallel(at_once(search.priority), &request.services, |service| {
            if is_fixed(&service.files) {
                render_once(&helm, &request, service, &Capabilities::default(), Operation::Install)
            } else {
                render_twice(&helm, &request, service)
            }
        });
        let (rendered, problems) = all_rendered(request.services.iter().zip(answers))?;
        let rendered = rendered.into_iter().map(|(service, rendering)| RenderedService {
            service,
            rendering,
            stored: None,
            live: Live::default(),
            replaced_hooks: BTreeSet::new(),
        });
        let found = Found { problems, ..Found::default() };
        Ok(assemble(&request, rendered.collect(), helm.version(), found)?)
    })
    .await
}

/// Renders services once as an upgrade would, without a cluster, in their order.
pub(crate) fn render_upgrades(search: &ProgramSearch, request: &DeployRequest) -> Result<Vec<Rendering>, DeployError> {
    let (helm, capabilities) = (HelmProgram::find(search)?, Capabilities::default());
    let render = |service: &DeployService| render_once(&helm, request, service, &capabilities, Operation::Upgrade);
    let answers = in_parallel(AT_ONCE, &request.services, render);
    let (rendered, problems) = all_rendered(request.services.iter().zip(answers))?;
    fail_with(problems)?;
    Ok(rendered.into_iter().map(|(_, rendering)| rendering).collect())
}

/// Renders services without a cluster, in their order: each twice, and the same way. Every problem of every service is in
/// the error.
pub(crate) fn render_stable(search: &ProgramSearch, request: &DeployRequest) -> Result<Vec<Rendering>, DeployError> {
    fail_with(chart_problems(request))?;
    let helm = HelmProgram::find(search)?;
    let answers = in_parallel(AT_ONCE, &request.services, |service| render_twice(&helm, request, service));
    let (rendered, problems) = all_rendered(request.services.iter().zip(answers))?;
    fail_with(problems)?;
    Ok(rendered.into_iter().map(|(_, rendering)| rendering).collect())
}

/// Parts answers into what was rendered and what is wrong.
pub(super) fn all_rendered<'a>(
    answers: impl IntoIterator<Item = (&'a DeployService, Result<Answer, DeployError>)>,
) -> Result<Rendered<'a>, DeployError> {
    let (mut problems, mut rendered) = (Vec::new(), Vec::new());
    for (service, answer) in answers {
        match answer? {
            Ok(rendering) => rendered.push((service, rendering)),
            Err(wrong) => problems.extend(wrong),
        }
    }
    Ok((rendered, problems))
}

/// Renders without the cluster, where that says all.
pub(super) fn render_once(
    helm: &HelmProgram,
    request: &DeployRequest,
    service: &DeployService,
    capabilities: &Capabilities,
    operation: Operation,
) -> Result<Answer, DeployError> {
    let folder = ChartFolder::write(&service.files, &service.values)?;
    template(helm, &folder, request, service, capabilities, operation)
}

/// What depends on time or chance differs.
fn render_twice(helm: &HelmProgram, request: &DeployRequest, service: &DeployService) -> Result<Answer, DeployError> {
    let folder = ChartFolder::write(&service.files, &service.values)?;
    let template = || template(helm, &folder, request, service, &Capabilities::default(), Operation::Install);
    let first = template()?;
    let_time_pass(service);
    Ok(same(service, first, template()?))
}

/// Renders without the cluster, and again with it.
pub(super) fn render_for_cluster(
    helm: &HelmProgram,
    request: &DeployRequest,
    service: &DeployService,
    capabilities: &Capabilities,
    operation: Operation,
    kubeconfig: &str,
) -> Result<Answer, DeployError> {
    let folder = ChartFolder::write(&service.files, &service.values)?.with_kubeconfig(kubeconfig)?;
    let without = template(helm, &folder, request, service, capabilities, operation)?;
    if without.is_err() {
        return Ok(without);
    }
    let release = ReleaseName { name: service.name.as_str(), namespace: &request.namespace };
    let_time_pass(service);
    let again = match operation {
        Operation::Install | Operation::Upgrade => dry_run(helm, &folder, service, release)?,
        Operation::Recover => template(helm, &folder, request, service, capabilities, operation)?,
    };
    // The comparison with the cluster names each object that is not taken over, and whose it is.
    let is_about_owners = |problem: &DeployProblem| problem.kind == ProblemKind::Adoption;
    if again.as_ref().is_err_and(|problems| problems.iter().all(is_about_owners)) {
        return Ok(without);
    }
    Ok(same(service, without, again))
}

/// A name with the time in it, down to the second, is the same twice within one second.
fn let_time_pass(service: &DeployService) {
    if asks_for_the_time(service) {
        std::thread::sleep(ONE_SECOND);
    }
}

/// Whether a template has the word `now` in an action.
fn asks_for_the_time(service: &DeployService) -> bool {
    let has_now =
        |action: &str| action.split(|sign: char| !(sign.is_alphanumeric() || sign == '_')).any(|word| word == "now");
    service.files.iter().filter(|(path, _)| path.contains("templates/")).any(|(_, bytes)| {
        let text = String::from_utf8_lossy(bytes);
        text.split("{{").skip(1).any(|rest| rest.split("}}").next().is_some_and(has_now))
    })
}

fn same(service: &DeployService, first: Answer, second: Answer) -> Answer {
    let (first, second) = match (first, second) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(wrong), _) | (_, Err(wrong)) => return Err(wrong),
    };
    match first.difference(&second) {
        None => Ok(first),
        Some(difference) => {
            let object = difference.object.as_str();
            let (kind, message) = if difference.to_string().contains("CustomResourceDefinition") {
                (ProblemKind::Definitions, format!("its chart brings definitions of kinds in `crds/`: {difference}"))
            } else if difference.field.is_empty() && lies_in_crds(service, object) {
                (
                    ProblemKind::Definitions,
                    format!("its chart brings an object in `crds/` that defines no kind: {object}"),
                )
            } else {
                (ProblemKind::Unstable, format!("its chart is rendered differently each time: {difference}"))
            };
            Err(vec![DeployProblem::new(kind, message).service(&service.name)])
        }
    }
}

/// Whether a file of a folder `crds/` has an object, given as `Kind/name`; also one in a packed chart in `charts/`.
fn lies_in_crds(service: &DeployService, object: &str) -> bool {
    let lies_in = |path: &str, bytes: &[u8]| {
        let is_there = path.starts_with("crds/") || path.contains("/crds/");
        let documents = is_there.then(|| manifest::parse(bytes).ok()).flatten().unwrap_or_default();
        let mut ids = documents.into_iter().filter_map(|document| ObjectId::of(&document.object).ok());
        ids.any(|id| id.to_string() == object)
    };
    let mut is_found = false;
    for (path, bytes) in &service.files {
        each_file(path, bytes, &mut |path, bytes| is_found |= lies_in(path, bytes));
    }
    is_found
}

/// The values of `helm.sh/hook` that helm does not know, as it names them: it leaves such objects out, and renders the rest.
fn unknown_hooks(stderr: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(stderr);
    let named = text.lines().filter_map(|line| {
        let (_, named) = line.split_once("skipping unknown hook")?;
        let named = named.split_once(": ").or_else(|| named.split_once("hookTypes="))?.1;
        Some(escaped(named.trim().trim_matches('"')))
    });
    named.collect()
}

/// What helm would do: charts can ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Install,
    Upgrade,
    /// As an upgrade. The newest revision is pending, and helm refuses to ask the cluster until it is called failed; right
    /// before the upgrade the cluster is asked all the same.
    Recover,
}

pub(super) fn template(
    helm: &HelmProgram,
    folder: &ChartFolder,
    request: &DeployRequest,
    service: &DeployService,
    capabilities: &Capabilities,
    operation: Operation,
) -> Result<Answer, DeployError> {
    let release = ReleaseName { name: service.name.as_str(), namespace: &request.namespace };
    let output = helm
        .template(folder, release, capabilities, operation != Operation::Install)
        .map_err(|error| failed(service.name.as_str(), "render its chart", error))?;
    let output = match output.checked() {
        Ok(output) => output,
        Err(error) => return Ok(Err(vec![refused_chart(service, "render its chart", &error)])),
    };
    let unknown = unknown_hooks(&output.stderr);
    if !unknown.is_empty() {
        let unknown = unknown.into_iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
        let message =
            format!("helm would leave out objects whose `helm.sh/hook` has a value that it does not know: {unknown}");
        return Ok(Err(vec![DeployProblem::new(ProblemKind::HookName, message).service(&service.name)]));
    }
    let rendering = match Rendering::parse([output.stdout.as_slice()], &request.namespace) {
        Ok(rendering) => rendering,
        Err(problems) => return Ok(Err(problems.into_iter().map(|problem| problem.service(&service.name)).collect())),
    };
    if let Some(files) = with_other_revision(&service.files) {
        let folder = ChartFolder::write(&files, &service.values)?;
        let output = helm.template(&folder, release, capabilities, operation != Operation::Install);
        let other = output.and_then(Output::checked).ok();
        let other = other.and_then(|output| Rendering::parse([output.stdout.as_slice()], &request.namespace).ok());
        if let Some(difference) = other.and_then(|other| rendering.difference(&other)) {
            let message =
                format!("its chart is rendered differently for each revision (`.Release.Revision`): {difference}");
            return Ok(Err(vec![DeployProblem::new(ProblemKind::Unstable, message).service(&service.name)]));
        }
    }
    Ok(Ok(rendering))
}

fn dry_run(
    helm: &HelmProgram,
    folder: &ChartFolder,
    service: &DeployService,
    release: ReleaseName<'_>,
) -> Result<Answer, DeployError> {
    const ACTION: &str = "render its chart with the cluster";
    let output = helm.dry_run(folder, release).map_err(|error| failed(release.name, ACTION, error))?;
    let output = match output.checked() {
        Ok(output) => output,
        Err(error) if is_about_the_cluster(&error) => return Err(failed(release.name, ACTION, error)),
        Err(error) => return Ok(Err(vec![refused_chart(service, ACTION, &error)])),
    };
    let problem = |kind, reason: String| vec![DeployProblem::new(kind, reason).service(&service.name)];
    let printed = match release_of(&output.stdout) {
        Ok(printed) => printed,
        Err(reason) => return Ok(Err(problem(ProblemKind::Chart, reason))),
    };
    if let Some(reason) = too_large(&output.stdout, &printed) {
        return Ok(Err(problem(ProblemKind::ChartSize, reason)));
    }
    Ok(rendering_of(&printed, release.namespace).map_err(|reason| problem(ProblemKind::Chart, reason)))
}

/// Renders with the cluster what was planned; what is wrong with it now was not when it was planned.
pub(super) fn render_again(
    helm: &HelmProgram,
    folder: &ChartFolder,
    release: ReleaseName<'_>,
) -> Result<Rendering, DeployError> {
    const ACTION: &str = "render its chart with the cluster";
    let output = helm.dry_run(folder, release).and_then(Output::checked);
    let output = output.map_err(|error| failed(release.name, ACTION, error))?;
    let read = release_of(&output.stdout).and_then(|printed| rendering_of(&printed, release.namespace));
    read.map_err(|reason| DeployError::Failed {
        subject: format!("helm release `{}`", release.name),
        action: ACTION.to_owned(),
        class: ErrorClass::Invalid,
        source: reason.into(),
    })
}

fn release_of(stdout: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(stdout).map_err(|error| format!("helm prints no JSON: {error}"))
}

/// Whether helm could not ask the cluster; our own client has asked it before.
fn is_about_the_cluster(error: &ProcessError) -> bool {
    const WORDS: [&str; 5] =
        ["cluster unreachable", "connection refused", "i/o timeout", "TLS handshake", "connection reset"];
    error.stderr().iter().any(|line| WORDS.iter().any(|word| line.contains(word)))
}

/// helm's own words about a chart that it does not take.
fn refused_chart(service: &DeployService, action: &str, error: &ProcessError) -> DeployProblem {
    let words = words_of(error);
    let kind = if words.contains(NOT_TAKEN_OVER) { ProblemKind::Adoption } else { ProblemKind::Chart };
    DeployProblem::new(kind, format!("helm does not {action}: {words}")).service(&service.name)
}

/// What helm wrote about a failure, in one line.
pub(crate) fn words_of(error: &ProcessError) -> String {
    let lines = error.stderr().iter().filter(|line| !line.starts_with("WARNING") && !line.trim().is_empty());
    let said = lines.flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ");
    lock_model::escaping::escape_short(said.strip_prefix("Error: ").unwrap_or(&said), 1000)
}

/// A helm that was not started, or was ended.
pub(super) fn failed(release: &str, action: &str, error: ProcessError) -> DeployError {
    DeployError::Failed {
        subject: format!("helm release `{release}`"),
        action: action.to_owned(),
        class: error.class(),
        source: Box::new(error),
    }
}

pub(super) fn fail_with(problems: Vec<DeployProblem>) -> Result<(), DeployProblems> {
    DeployProblems::new(problems).map_or(Ok(()), Err)
}

/// Runs work on every item, several at once; the answers are in the order of the items.
pub(crate) fn in_parallel<T: Sync, A: Send>(at_once: usize, items: &[T], work: impl Fn(&T) -> A + Sync) -> Vec<A> {
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, A)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while let Some((index, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, items.get(index)?)))
                {
                    let answer = work(item);
                    answers.lock().unwrap_or_else(PoisonError::into_inner).push((index, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Programs and files block: a thread that may block runs them.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeployError> + Send + 'static,
) -> Result<T, DeployError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive::archive_of;
    use super::*;

    #[test]
    fn t18_hooks_that_helm_leaves_out_are_read_from_what_it_says() {
        let of = |text: &str| unknown_hooks(text.as_bytes()).into_iter().collect::<Vec<_>>();
        let three = "manifest_sorter.go:199: info: skipping unknown hook: \"crd-install\"\nmanifest_sorter.go:199: info: skipping unknown hook: \"\"\n";
        let four = "level=INFO msg=\"skipping unknown hooks\" hookTypes=crd-install\nlevel=INFO msg=\"skipping unknown hooks\" hookTypes=\"\"\n";
        assert_eq!(of(three), ["", "crd-install"]);
        assert_eq!(of(four), ["", "crd-install"]);
        assert_eq!(of("level=WARN msg=other hookTypes=pre-install\n"), [""; 0]);
    }

    #[test]
    fn t18_an_object_of_the_folder_for_definitions_is_told_from_one_that_changes() {
        let mut service = DeployService::new("shop-cart".try_into().unwrap());
        let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\n");
        service.files = vec![
            ("charts/db/crds/a.yaml".to_owned(), map("a").into_bytes()),
            ("crds/b.yaml".to_owned(), map("b").into_bytes()),
            ("templates/c.yaml".to_owned(), map("c").into_bytes()),
        ];
        let (inner, outer, other) = (map("inner"), map("outer"), map("other"));
        let packed = archive_of(&[(b'0', "deep/crds/a.yaml", inner.as_bytes())]);
        let packed = archive_of(&[
            (b'0', "db/crds/a.yaml", outer.as_bytes()),
            (b'0', "db/templates/b.yaml", other.as_bytes()),
            (b'0', "db/charts/deep-1.0.0.tgz", packed.as_slice()),
        ]);
        service.files.push(("charts/db-1.0.0.tgz".to_owned(), packed.clone()));
        service
            .files
            .push(("files/db-1.0.0.tgz".to_owned(), archive_of(&[(b'0', "db/crds/x.yaml", map("x").as_bytes())])));
        for (object, told) in [
            ("ConfigMap/a", true),
            ("ConfigMap/b", true),
            ("ConfigMap/c", false),
            ("ConfigMap/outer", true),
            ("ConfigMap/inner", true),
            ("ConfigMap/other", false),
            ("ConfigMap/x", false),
        ] {
            assert_eq!(lies_in_crds(&service, object), told, "{object}");
        }
        let parse = |text: &str| Rendering::parse([text.as_bytes()], "shop").unwrap();
        let problem = same(&service, Ok(parse(&map("b"))), Ok(Rendering::default())).unwrap_err().remove(0);
        assert_eq!(problem.kind, ProblemKind::Definitions);
        assert!(problem.message.contains("ConfigMap/b"), "{problem}");
    }
}
