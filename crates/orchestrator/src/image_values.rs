//! `config check --suggest`: which `image-values` give the charts of the environments their locked images.

use std::collections::BTreeSet;

use ledger::Ledger;

use crate::engine::{FoundStyle, ImageStyle, Missing, Planning};
use crate::error::Result;
use crate::hints::of_uncommitted_configuration;
use crate::lock_builder::{self, Scope};
use crate::report::v1::{ChartFault, ChartImage, ChartImageValues, ConfigCheckReport, NotJudged};
use crate::revision::Revision;
use crate::site::Site;

/// Renders the charts of every environment of a commit, or of `HEAD`, and adds to the report of
/// [`check_config`](crate::check_config) which of them get the locked image, and which other `image-values` fit the rest. The
/// lock is the one in the tree where that belongs to it, else the one that `lock generate` makes. No cluster is asked.
///
/// # Errors
///
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) without helm, and as [`generate_lock`](crate::lock::generate_lock) where there
/// is no lock.
pub async fn suggest_image_values<'a>(
    site: impl Into<Site<'a>>,
    revision: Option<&str>,
    mut report: ConfigCheckReport,
) -> Result<ConfigCheckReport> {
    let workspace = site.into().workspace();
    let commit = workspace.resolve(revision.unwrap_or("HEAD"))?;
    if revision.is_none() {
        report.warnings.extend(of_uncommitted_configuration(&workspace.git, &commit));
    }
    let revision = Revision::load(workspace, &commit)?;
    let in_tree = revision.lock(workspace)?.filter(|file| revision.mismatches(&file.lock).is_empty());
    let lock = match in_tree {
        Some(file) => file.lock,
        None => lock_builder::generate(workspace, &revision, revision.source(), Scope::default()).await?.lock,
    };
    let release = revision.release(&lock);
    let nothing = Ledger::empty();
    let (lock, release) = (&lock, &release);
    let mut charts = Vec::new();
    for environment in revision.config.environments.values() {
        if !environment.target.as_ref().is_some_and(config::Target::has_charts) {
            continue;
        }
        let planning =
            Planning { context: workspace, ledger: &nothing, revision: &revision, environment, lock, release };
        let deployable = planning.draft(&Missing::new())?;
        for unread in &deployable.unread {
            let (environment, reason) = (environment.name.clone(), Some(unread.problem.message.clone()));
            match unread.problem.subject.parse() {
                Ok(service) => {
                    let image = ChartImage::NotRendered;
                    let (overrides, causes) = (None, Vec::new());
                    charts.push(ChartImageValues { environment, service, image, reason, overrides, causes });
                }
                Err(_) => report.not_judged.push(NotJudged {
                    question: format!("the chart of `{}` in `{environment}`", unread.problem.subject),
                    reason: unread.problem.message.clone(),
                }),
            }
        }
        let found = deployable.find_styles(workspace, |_| true).await;
        let found = found.map_err(|error| deployable.without_plan(error, BTreeSet::new()))?;
        charts.extend(found.into_iter().map(|(service, (found, causes))| {
            let (image, reason, style) = match found {
                FoundStyle::AsGiven if causes.is_empty() => (ChartImage::Locked, None, None),
                FoundStyle::AsGiven => (ChartImage::OtherContainer, None, None),
                FoundStyle::Other(style) => (ChartImage::OtherValues, None, Some(style)),
                FoundStyle::None => (ChartImage::NoneFits, None, None),
                FoundStyle::NotRendered(words) => (ChartImage::NotRendered, Some(words), None),
            };
            let overrides = style.map(ImageStyle::override_entry);
            let causes = causes.into_iter().map(|cause| ChartFault {
                message: cause.message,
                line: cause.line,
                style: cause.style,
            });
            let (environment, causes) = (environment.name.clone(), causes.collect());
            ChartImageValues { environment, service, image, reason, overrides, causes }
        }));
    }
    report.chart_images = Some(charts);
    Ok(report)
}
