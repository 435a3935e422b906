use std::collections::BTreeMap;

use lock_model::{EnvironmentName, ServiceName, SuiteName};
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{NotJudged, Report, Verdict};
use crate::error::Place;

/// `config check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ConfigCheckReport {
    /// How many rules for services there are.
    pub service_rules: usize,
    /// Names of the environments, sorted.
    pub environments: Vec<EnvironmentName>,
    /// Names of the suites, sorted.
    pub suites: Vec<SuiteName>,
    /// The environment variables that a run reads, sorted.
    pub environment_variables: Vec<String>,
    /// Who could approve what goes to an environment that asks for approvals; empty where no forge is found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<Approvers>,
    /// Rules that the forge's users cannot meet, and what is worth a look although nothing is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Where the fault of a warning is, by its text; absent for those without a place in a file.
    #[serde(skip)]
    pub places: BTreeMap<String, Place>,
    /// What could not be judged here, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<NotJudged>,
    /// Render branches and tags that the forge does not reserve for bots, with the argument of `forge init` that does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreserved: Vec<String>,
    /// With `--suggest`: whether the charts of the environments get their locked images; absent without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart_images: Option<Vec<ChartImageValues>>,
}

/// What rendering the chart of a service has shown about its image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ChartImageValues {
    /// The environment.
    pub environment: EnvironmentName,
    /// The service.
    pub service: ServiceName,
    /// What was found.
    pub image: ChartImage,
    /// Why helm does not render it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The entry of the environment's `overrides` that gives the chart its image, as YAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<String>,
    /// What is wrong with what the chart is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<ChartFault>,
}

/// One thing that keeps a chart from running what is locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ChartFault {
    /// What helm renders, or refuses.
    pub message: String,
    /// Where the chart says so, as in `templates/app.yaml:14`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// What to write: keys of `target`, or a change of the chart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<String>,
}

/// Whether a chart gets the locked image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChartImage {
    /// With the values that the configuration gives it.
    Locked,
    /// It does, and another container of the chart has an image of the lock without its locked digest.
    OtherContainer,
    /// With other `image-values`.
    OtherValues,
    /// With none of the known ways to take an image.
    NoneFits,
    /// helm renders it in none of the known ways.
    NotRendered,
}

/// Who could approve what goes to an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Approvers {
    /// The environment.
    pub environment: EnvironmentName,
    /// How many approvals it asks for.
    pub needed: u32,
    /// The people with write access, sorted.
    pub people: Vec<String>,
    /// How many of them are left at most: who opens a change does not count.
    pub left: u32,
    /// How many approvals are enough where fewer are left; absent where no fallback is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<u32>,
}

impl Report for ConfigCheckReport {
    fn verdict(&self) -> Verdict {
        let mut charts = self.chart_images.iter().flatten();
        Verdict::of(charts.all(|chart| chart.image == ChartImage::Locked))
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn place_of(&self, warning: &str) -> Option<&Place> {
        self.places.get(warning)
    }
}

/// `config show`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ConfigShowReport {
    /// The configuration after merging; with origins, each value is an object of value and place.
    pub config: serde_json::Value,
    /// The same as YAML.
    #[serde(skip)]
    pub(crate) yaml: String,
}

impl ConfigShowReport {
    /// The configuration after merging, as YAML.
    pub fn yaml(&self) -> &str {
        &self.yaml
    }
}

impl Report for ConfigShowReport {}

/// `config init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ConfigInitReport {
    /// The file that was written, from the superproject's top folder.
    pub file: String,
    /// Its content.
    pub yaml: String,
    /// How many submodules it makes services of.
    pub services: usize,
    /// What is left to do until the first lock, in this order.
    pub next: Vec<String>,
    /// An environment for what the submodules bring; absent where neither charts nor manifests were found in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<SuggestedEnvironment>,
    /// What has to be mended before a lock can be made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// An environment that could be added to a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct SuggestedEnvironment {
    /// How many submodules have a chart or manifests, and where.
    pub found: String,
    /// The key `environments`, as YAML.
    pub yaml: String,
    /// What to put into it, and the command that judges it.
    pub next: String,
}

impl Report for ConfigInitReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
