//! What a merge would deploy, short: a line for each environment, and one for each thing that was found.

use std::collections::BTreeSet;

use lock_model::escaping::{code_span, escape_markdown};

use super::blocks::list;
use crate::labels::count;
use crate::report::v1::{MergePlan, PlanFinding, PlanVerdict};

/// How many problems are listed.
const LISTED: usize = 20;

/// The plans of all environments, and what was found.
pub(super) fn merge_plans(plans: &[MergePlan]) -> String {
    let environment = |plan: &MergePlan| {
        let what = match (plan.verdict, plan.decides) {
            (PlanVerdict::Deploys, _) => sentence(plan),
            (PlanVerdict::Refused, true) => "**would refuse it**, and so the status fails".to_owned(),
            (PlanVerdict::Refused, false) => "**will refuse it** when its turn comes".to_owned(),
        };
        format!("**{}** {what}", escape_markdown(plan.environment.as_str()))
    };
    let mut text = list(&plans.iter().map(environment).collect::<Vec<_>>());
    for plan in plans {
        let marks = plan.marks();
        if marks.is_empty() {
            continue;
        }
        let mut items: Vec<String> = marks.iter().take(LISTED).map(|mark| escape_markdown(mark)).collect();
        if let Some(more) = marks.len().checked_sub(LISTED).filter(|more| *more > 0) {
            items.push(format!("and {more} more"));
        }
        text = format!("{text}\nTo look at in {}:\n\n{}", escape_markdown(plan.environment.as_str()), list(&items));
    }
    for (is_problem, heading) in [(true, "Problems:"), (false, "Not checked:")] {
        let found: Vec<PlanFinding<'_>> =
            MergePlan::findings(plans).into_iter().filter(|one| one.is_problem == is_problem).collect();
        if found.is_empty() {
            continue;
        }
        let mut items: Vec<String> = found.iter().take(LISTED).map(item).collect();
        if let Some(more) = found.len().checked_sub(LISTED).filter(|more| *more > 0) {
            items.push(format!("and {more} more"));
        }
        let hints: BTreeSet<&String> = plans.iter().flat_map(|plan| &plan.hints).collect();
        if is_problem {
            items.extend(hints.into_iter().map(|hint| format!("hint: {}", escape_markdown(hint))));
        }
        text = format!("{text}\n{heading}\n\n{}", list(&items));
    }
    text
}

fn sentence(plan: &MergePlan) -> String {
    let services = match plan.services {
        1 => "deploys 1 service".to_owned(),
        services => format!("deploys {services} services"),
    };
    match plan.changes {
        Some(0) => format!("{services}; nothing changes"),
        Some(1) => format!("{services}; 1 {} changes", plan.writes.as_str()),
        Some(changes) => format!("{services}; {} change", count(changes, plan.writes.as_str())),
        None => services,
    }
}

fn item(found: &PlanFinding<'_>) -> String {
    let environments: Vec<String> = found.environments.iter().map(|name| escape_markdown(name.as_str())).collect();
    let environments = environments.join(", ");
    let who = match found.what.subjects.as_slice() {
        [] => environments,
        [_] => format!("{} ({environments})", code_span(&found.what.who())),
        _ => format!("{} ({environments})", escape_markdown(&found.what.who())),
    };
    let mut lines = vec![format!("{who}: {}", escape_markdown(&found.what.message))];
    lines.extend(found.what.details.iter().map(|detail| format!("  - {}", escape_markdown(detail))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use crate::report::v1::{MarkedObject, PlannedMigration, QuotaUse, WrittenThing};

    use super::*;

    #[test]
    fn what_to_look_at_is_listed_and_a_quota_that_is_too_small_comes_first() {
        let quota = |resource: &str, missing: Option<&str>| QuotaUse {
            quota: "small".to_owned(),
            resource: resource.to_owned(),
            hard: "1".to_owned(),
            used: "1".to_owned(),
            highest: "2".to_owned(),
            after: "1".to_owned(),
            missing: missing.map(str::to_owned),
        };
        let plan = MergePlan {
            environment: "staging".parse().unwrap(),
            decides: true,
            verdict: PlanVerdict::Deploys,
            services: 2,
            changes: Some(1),
            writes: WrittenThing::File,
            quotas: vec![quota("cpu", None), quota("pods", Some("1"))],
            migrations: vec![PlannedMigration { service: "shop-cart".parse().unwrap(), irreversible: true }],
            marked: vec![MarkedObject {
                service: "shop-pay".parse().unwrap(),
                object: "ConfigMap/pay".to_owned(),
                risks: vec![deployer::Risk::Deletion],
            }],
            problems: Vec::new(),
            hints: Vec::new(),
            not_checked: Vec::new(),
        };
        assert_eq!(
            merge_plans(std::slice::from_ref(&plan)),
            "- **staging** deploys 2 services; 1 file changes

To look at in staging:

- quota small: pods 1 of 1 used, at most 2 while it is deployed, 1 afterwards, 1 missing
- shop-cart migrates its data, which cannot be taken back
- shop-pay: ConfigMap/pay is deleted
- quota small: cpu 1 of 1 used, at most 2 while it is deployed, 1 afterwards
"
        );
        let nothing = MergePlan { quotas: Vec::new(), migrations: Vec::new(), marked: Vec::new(), ..plan };
        assert_eq!(merge_plans(std::slice::from_ref(&nothing)), "- **staging** deploys 2 services; 1 file changes\n");
        let objects = MergePlan { changes: Some(2), writes: WrittenThing::Object, ..nothing };
        assert_eq!(merge_plans(&[objects]), "- **staging** deploys 2 services; 2 objects change\n");
    }
}
