use orchestrator::report::v1::{NamespaceRole, PermissionsReport, Rule};

use super::Text;
use crate::output::{Page, Table};

impl Text for PermissionsReport {
    fn text(&self) -> Page {
        let mut page = Page::from(format!("what deployments of {} need in their cluster\n", self.environment));
        for NamespaceRole { namespace, rules, .. } in &self.roles {
            page += format!("\nin namespace {namespace}\n\n");
            page += table(rules);
        }
        page += "\noutside of namespaces: kinds of the plan, and the room on nodes, which is optional\n\n";
        page + table(&self.cluster_role)
    }
}

fn table(rules: &[Rule]) -> Table {
    let mut table = Table::new(&["resources", "verbs", "group", "names"]).dispensable(&["names"]);
    for rule in rules {
        let (resources, verbs) = (rule.resources.join(", "), rule.verbs.join(", "));
        let names = rule.resource_names.join(", ");
        table.row([resources.as_str(), verbs.as_str(), rule.api_group.as_str(), names.as_str()]);
    }
    table
}
