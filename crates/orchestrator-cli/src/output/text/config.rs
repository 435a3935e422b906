use lock_model::CONFIG_FILE;
use orchestrator::report::v1::{Approvers, ConfigCheckReport, ConfigInitReport, ConfigShowReport};

use super::{Text, append};
use crate::output::count;

impl Text for ConfigCheckReport {
    fn text(&self) -> String {
        let environments: Vec<&str> = self.environments.iter().map(AsRef::as_ref).collect();
        let environments = match environments.as_slice() {
            [] => "no environments".to_owned(),
            names => format!("environments {}", names.join(", ")),
        };
        let mut text = format!(
            "{CONFIG_FILE} is fine: {} for services, {}, {environments}\n",
            count(self.service_rules, "rule"),
            count(self.suites.len(), "suite"),
        );
        for Approvers { environment, needed, people, .. } in &self.approvers {
            let (people, needed) = (people.join(", "), usize::try_from(*needed).unwrap_or(usize::MAX));
            append(&mut text, format!("{environment} needs {} of: {people}\n", count(needed, "approval")));
        }
        if !self.environment_variables.is_empty() {
            append(
                &mut text,
                format!("it reads the environment variables {}\n", self.environment_variables.join(", ")),
            );
        }
        if !self.unreserved.is_empty() {
            append(
                &mut text,
                "anybody with write access can change these: `forge init --update` reserves them for bots\n",
            );
        }
        for line in &self.unreserved {
            append(&mut text, format!("  {line}\n"));
        }
        text
    }
}

impl Text for ConfigShowReport {
    fn text(&self) -> String {
        self.yaml().to_owned()
    }
}

impl Text for ConfigInitReport {
    fn text(&self) -> String {
        format!(
            "{CONFIG_FILE} for {}:\n\n{}\nlook at `images`, then `git add {CONFIG_FILE}`, `git commit`, `orchestrator lock generate`\n",
            count(self.services, "submodule"),
            self.yaml
        )
    }
}
