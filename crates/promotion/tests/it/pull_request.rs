use ledger::{Ledger, ProofLevel, Step};
use promotion::gates::ProvenIn;
use promotion::pull_request::{Due, due, marker};

use crate::builders::*;

#[test]
fn markers_are_hidden_and_plain() {
    assert_eq!(marker("lock"), "<!-- orchestrator:lock -->");
    assert_eq!(marker("a --> b"), "<!-- orchestrator:a----b -->".replace("a----b", "a--b"));
}

fn required() -> ProvenIn {
    ProvenIn {
        environment: staging(),
        level: ProofLevel::Stored,
        suites: std::collections::BTreeMap::from([(
            suite("system", "system").name,
            Some(suite("system", "system").digest),
        )]),
    }
}

#[test]
fn b36_a_promotion_is_due_when_the_release_is_proven_and_not_there_yet() {
    let a = freight("a");
    let ask = |ledger: &Ledger| due(ledger, &required(), &production(), &a.release, &a.lock);
    let mut ledger = Ledger::empty();
    assert!(matches!(ask(&ledger), Due::NotProven { reasons } if reasons.len() == 2));
    tell(&mut ledger, &staging(), &a, STAGED);
    assert_eq!(ask(&ledger), Due::Yes);
    append(&mut ledger, note(Step::Hold, Some(&production()), "fair"));
    assert!(matches!(ask(&ledger), Due::YesButHeld(_)));
    append(&mut ledger, note(Step::Unhold, Some(&production()), "over"));
    tell(&mut ledger, &production(), &a, RELEASED);
    assert!(matches!(ask(&ledger), Due::AlreadyThere { .. }));
    tell(&mut ledger, &production(), &freight("b"), "deploy:started");
    assert_eq!(ask(&ledger), Due::Yes, "production has something else now");
    tell(&mut ledger, &staging(), &a, "suite(system):started suite(system):failed proof:failed");
    assert!(matches!(ask(&ledger), Due::NotProven { .. }));
    append(&mut ledger, reject(&a, "bad"));
    assert!(matches!(ask(&ledger), Due::Rejected(_)));
}
