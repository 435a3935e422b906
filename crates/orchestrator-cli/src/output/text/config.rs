use lock_model::CONFIG_FILE;
use orchestrator::report::v1::{Approvers, ConfigCheckReport, ConfigInitReport, ConfigShowReport};

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
        text + not_judged(&self.not_judged)
    }
}

impl Text for ConfigShowReport {
    fn text(&self) -> Page {
        Page::document(self.yaml())
    }
}

impl Text for ConfigInitReport {
    fn text(&self) -> Page {
        Page::from(format!("{CONFIG_FILE} for {}:\n\n", count(self.services, "submodule")))
            + Page::document(self.yaml.as_str())
            + format!("\nlook at `images`, then `git add {CONFIG_FILE}`, `git commit`, `orchestrator lock generate`\n")
    }
}
