use ledger::{Ledger, StepResult};
use orchestrator::report::v1::{HistoryRow, Next, ProofSummary, history, status};

use crate::builders::*;

#[test]
fn the_status_says_what_comes_next() {
    let plan = promotion::attempts::plan(&promotion::attempts::PlanShape {
        locks: promotion::attempts::Locks::InTree,
        suites: vec![suite("smoke", "smoke")],
        then: promotion::attempts::AfterProof::Release,
    });
    let (a, b, production) = (freight("a"), freight("b"), production());
    let mut ledger = Ledger::empty();
    let empty = status(&ledger, &production, &plan);
    assert_eq!((empty.next, empty.proof, empty.deployed), (Next::First, ProofSummary::None, None));
    tell(&mut ledger, &production, &a, "gates:ok health:ok deploy:started");
    let begun = status(&ledger, &production, &plan);
    assert_eq!(begun.next, Next::Continue { step: "deploy".to_owned(), attempt: 2 });
    assert_eq!(begun.deployed.unwrap().result, StepResult::Started);
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &production, &a, RELEASED);
    let done = status(&ledger, &production, &plan);
    assert_eq!(done.next, Next::Nothing);
    assert!(matches!(done.proof, ProofSummary::Proven { seq: 8, .. }));
    assert_eq!(done.tag, Some(format!("release-2025-11-24-{}", a.release.id8())));
    assert_eq!(done.last.unwrap().step, "release");
    tell(&mut ledger, &production, &b, RELEASED);
    tell(&mut ledger, &production, &a, "rollback:started");
    assert_eq!(status(&ledger, &production, &plan).next, Next::ContinueRollback { release: a.release.clone() });
    tell(&mut ledger, &production, &a, "deploy:started deploy:ok proof:ok rollback:ok");
    let back = status(&ledger, &production, &plan);
    assert_eq!(back.next, Next::Unhold);
    assert_eq!(back.deployed.unwrap().release, a.release);
    assert_eq!(back.hold.unwrap().reason, "production is broken");
}

/// What the table of the ledger shows of a row.
fn cells(row: &HistoryRow) -> String {
    let dash = || "-".to_owned();
    [
        row.seq.to_string(),
        row.at.to_string(),
        row.environment.as_ref().map_or_else(dash, ToString::to_string),
        row.step.clone(),
        row.result.to_string(),
        row.release.as_ref().map_or_else(dash, |release| release.id8().to_owned()),
        row.commit.as_ref().map_or_else(dash, |commit| commit.short(7).to_owned()),
        row.by.clone(),
        row.note.clone().unwrap_or_default(),
    ]
    .join(" | ")
}

#[test]
fn the_history_is_the_ledger_as_a_table() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &a, "deploy:started deploy:failed suite(system):ok proof:ok");
    append(&mut ledger, reject(&a, "leaks"));
    tell(&mut ledger, &production(), &a, "release:ok");
    let rows = |environment: Option<&lock_model::EnvironmentName>| -> Vec<String> {
        history(&ledger, environment).iter().map(cells).collect()
    };
    let (id8, short) = (a.release.id8(), a.commit.short(7));
    let at = "2025-11-24T16:00:00Z";
    assert_eq!(
        rows(None),
        [
            format!("1 | {at} | staging | deploy | started | {id8} | {short} | robot | "),
            format!("2 | {at} | staging | deploy | failed | {id8} | {short} | robot | it did not work"),
            format!("3 | {at} | staging | suite system | ok | {id8} | {short} | robot | "),
            format!("4 | {at} | staging | proof | ok | {id8} | {short} | robot | stored"),
            format!("5 | {at} | - | reject | ok | - | - | robot | leaks"),
            format!("6 | {at} | production | release | ok | {id8} | {short} | robot | release-2025-11-24-{id8}"),
        ]
    );
    assert_eq!(rows(Some(&production())).len(), 2, "with what concerns all");
    assert_eq!(history(&ledger, None)[1].seconds, Some(0));
}
