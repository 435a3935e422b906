//! Which `target.image-values` give a chart its locked image: found by rendering it in every known way.

use std::collections::{BTreeMap, BTreeSet};

use deployer::helm::{ChartCause, ImageValues, find_image_values};
use deployer::{DeployError, DeployProblems, ProblemKind};
use lock_model::{ServiceName, TreePath};
use serde_json::{Map, Value};

use super::deploy::Deployable;
use crate::cluster_target::program_search;
use crate::hints;
use crate::workspace::Workspace;

/// One known way to give a service's chart its image.
#[derive(Clone, Debug)]
pub(crate) struct ImageStyle {
    /// The path of the service's submodule, which an override matches.
    pub path: TreePath,
    /// `image-values` as YAML in one line.
    pub yaml: String,
    /// All values of the chart then.
    pub values: Map<String, Value>,
}

impl ImageStyle {
    /// The entry of `overrides` that says so.
    pub(crate) fn override_entry(&self) -> String {
        format!("- {{ match: \"{}\", target: {{ image-values: {} }} }}", self.path, self.yaml)
    }
}

/// What was found about the chart of a service.
#[derive(Clone, Debug)]
pub(crate) enum FoundStyle<'a> {
    AsGiven,
    Other(&'a ImageStyle),
    None,
    NotRendered(String),
}

/// The same with what is wrong with the values of the configuration.
pub(crate) type FoundChart<'a> = (FoundStyle<'a>, Vec<ChartCause>);

impl Deployable {
    /// Renders the charts of some services in the known ways.
    pub(crate) async fn find_styles(
        &self,
        context: &Workspace,
        services: impl Fn(&ServiceName) -> bool,
    ) -> Result<BTreeMap<ServiceName, FoundChart<'_>>, DeployError> {
        let asked = self.styles.iter().filter(|(name, _)| services(name));
        let values = |styles: &[ImageStyle]| styles.iter().map(|style| style.values.clone()).collect();
        let candidates: BTreeMap<ServiceName, Vec<Map<String, Value>>> =
            asked.map(|(name, styles)| (name.clone(), values(styles))).collect();
        if candidates.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = find_image_values(&program_search(context), &self.request, candidates).await?;
        let style = |name: &ServiceName, index: usize| self.styles.get(name).and_then(|styles| styles.get(index));
        let found = found.into_iter().map(|(name, answer)| {
            let style_found = match answer.values {
                ImageValues::AsGiven => FoundStyle::AsGiven,
                ImageValues::Candidate(index) => style(&name, index).map_or(FoundStyle::None, FoundStyle::Other),
                ImageValues::None => FoundStyle::None,
                ImageValues::NotRendered(words) => FoundStyle::NotRendered(words),
            };
            (name, (style_found, answer.causes))
        });
        Ok(found.collect())
    }

    /// What to do about problems of services: for a chart that does not get its image, the values that fit it.
    pub(crate) async fn hints_of(&self, context: &Workspace, problems: &DeployProblems) -> BTreeSet<String> {
        let is_about_values = |kind: ProblemKind| {
            matches!(
                kind,
                ProblemKind::ChartImage | ProblemKind::Label | ProblemKind::Chart | ProblemKind::UnpinnedImage
            )
        };
        let all = problems.as_slice();
        let asked: BTreeSet<&ServiceName> =
            all.iter().filter(|one| is_about_values(one.kind)).filter_map(|one| one.service.as_ref()).collect();
        // Without an answer the hint of the problem itself stands.
        let found = self.find_styles(context, |name| asked.contains(name)).await.unwrap_or_default();
        let mut hints = BTreeSet::new();
        for problem in all {
            let chart =
                problem.service.as_ref().filter(|_| is_about_values(problem.kind)).and_then(|name| found.get(name));
            let name = problem.service.as_ref().map(ServiceName::as_str).unwrap_or_default();
            hints.extend(chart.iter().flat_map(|(_, causes)| causes).filter_map(|cause| hint_of_cause(name, cause)));
            match chart.map(|(style, _)| style) {
                Some(FoundStyle::Other(style)) => {
                    hints.insert(format!(
                        "the chart of `{}` takes its digest with this entry of `environments.{}.overrides`, as rendering it in \
                         every known way has shown: {}",
                        name, self.request.environment,
                        style.override_entry(),
                    ));
                }
                Some(FoundStyle::AsGiven | FoundStyle::None | FoundStyle::NotRendered(_)) | None => {
                    hints.extend(hints::of_manifest(problem.kind, &self.request.environment));
                }
            }
        }
        hints
    }
}

/// What to write about a cause, with the line of the chart that it comes from.
fn hint_of_cause(service: &str, cause: &ChartCause) -> Option<String> {
    let style = cause.style.as_ref()?;
    let place = cause.line.as_ref().map(|line| format!(" ({line})")).unwrap_or_default();
    Some(format!("in the `target` of `{service}`, for its chart{place}: {style}"))
}
