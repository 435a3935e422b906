use lock_model::CONFIG_FILE;
use orchestrator::report::v1::{
    Approvers, ChartFault, ChartImage, ChartImageValues, ConfigCheckReport, ConfigInitReport, ConfigShowReport,
};

use super::{Text, not_judged};
use crate::output::{Page, Tone, count};

impl Text for ConfigCheckReport {
    fn text(&self) -> Page {
        let environments: Vec<&str> = self.environments.iter().map(AsRef::as_ref).collect();
        let environments = match environments.as_slice() {
            [] => "no environments".to_owned(),
            names => format!("environments {}", names.join(", ")),
        };
        let mut text = Page::toned(Tone::Good, format!("{CONFIG_FILE} is fine"));
        text += format!(
            ": {} for services, {}, {environments}\n",
            count(self.service_rules, "rule"),
            count(self.suites.len(), "suite"),
        );
        for Approvers { environment, needed, people, .. } in &self.approvers {
            let (people, needed) = (people.join(", "), usize::try_from(*needed).unwrap_or(usize::MAX));
            text += format!("{environment} needs {} of: {people}\n", count(needed, "approval"));
        }
        if !self.environment_variables.is_empty() {
            text += format!("it reads the environment variables {}\n", self.environment_variables.join(", "));
        }
        if !self.unreserved.is_empty() {
            text += "anybody with write access can change these: `forge init --update` reserves them for bots\n";
        }
        for line in &self.unreserved {
            text += format!("  {line}\n");
        }
        if let Some(charts) = &self.chart_images {
            text += chart_images(charts);
        }
        text + not_judged(&self.not_judged)
    }
}

/// Which charts get their images, and what the others need: YAML that can be pasted.
fn chart_images(charts: &[ChartImageValues]) -> Page {
    let of = |image: ChartImage| charts.iter().filter(move |chart| chart.image == image);
    let mut text = Page::from(format!(
        "{} of {} get the locked image as they are configured\n",
        of(ChartImage::Locked).count(),
        count(charts.len(), "chart"),
    ));
    let mut environment = None;
    for chart in of(ChartImage::OtherValues) {
        if environment.is_none() {
            text += "others get it with these overrides, as rendering them in every known way has shown:\n\nenvironments:\n";
        }
        if environment != Some(&chart.environment) {
            environment = Some(&chart.environment);
            text += format!("  {}:\n    overrides:\n", chart.environment);
        }
        text += format!("    {}\n", chart.overrides.as_deref().unwrap_or_default());
    }
    if environment.is_some() {
        text += "\n";
    }
    for chart in of(ChartImage::OtherContainer) {
        text += format!(
            "{} in {}: another container of its chart has an image of the lock without its digest\n",
            chart.service, chart.environment
        );
        text += causes(chart);
    }
    for chart in of(ChartImage::OtherValues).filter(|chart| !chart.causes.is_empty()) {
        text += format!("{} in {}: why it needs its override\n", chart.service, chart.environment);
        text += causes(chart);
    }
    for chart in of(ChartImage::NoneFits) {
        text += format!(
            "{} in {} takes the locked image in no known way: name the values that it comes from in `target.image-values`\n",
            chart.service, chart.environment
        );
        text += causes(chart);
    }
    for chart in of(ChartImage::NotRendered) {
        let reason = chart.reason.as_deref().unwrap_or_default();
        text += format!("{} in {} is not rendered: {reason}\n", chart.service, chart.environment);
        text += causes(chart);
    }
    text
}

/// What is wrong with a chart: the line of it, and what to write.
fn causes(chart: &ChartImageValues) -> Page {
    let mut text = Page::default();
    for ChartFault { message, line, style, .. } in &chart.causes {
        let line = line.as_ref().map(|line| format!("{line}: ")).unwrap_or_default();
        text += format!("  {line}{message}\n");
        if let Some(style) = style {
            let is_key = style.starts_with("values: ") || style.starts_with("image-values: ");
            text += format!("    hint: {}{style}\n", if is_key { "in its `target`: " } else { "" });
        }
    }
    text
}

impl Text for ConfigShowReport {
    fn text(&self) -> Page {
        Page::document(self.yaml())
    }
}

impl Text for ConfigInitReport {
    fn text(&self) -> Page {
        let mut text = Page::from(format!("{CONFIG_FILE} for {}:\n\n", count(self.services, "submodule")))
            + Page::document(self.yaml.as_str())
            + "\nnext:\n";
        for step in &self.next {
            text += format!("- {step}\n");
        }
        if let Some(environment) = &self.environment {
            text += format!("\n{}; later, an environment for them:\n\n", environment.found);
            text += Page::document(environment.yaml.as_str());
            text += format!("\n{}\n", environment.next);
        }
        text
    }
}
