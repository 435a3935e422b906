//! Who owns a place.

use config::TargetPlace;
use ledger::{Accepts, Ledger, Step};
use lock_model::EnvironmentName;
use promotion::places::{
    Claim, PlaceContent, PlaceFacts, PlaceFound, PlaceRefusal, Protection, RefusalReason, Standing, is_given, refusals,
};

use crate::builders::*;

pub(crate) fn place(text: &str) -> TargetPlace {
    text.parse().unwrap()
}

fn found(text: &str) -> PlaceFound {
    PlaceFound { place: place(text), protection: Protection::Open, content: PlaceContent::Own }
}

fn claim(environment: &EnvironmentName, text: &str, standing: Standing) -> Claim {
    Claim {
        environment: environment.clone(),
        place: place(text),
        branch: "main".try_into().unwrap(),
        commit: commit("main"),
        standing,
    }
}

/// An environment that writes one branch, which is its own and empty.
pub(crate) fn own(environment: &EnvironmentName) -> PlaceFacts {
    let text = format!("branch deploy/{environment}");
    PlaceFacts { claims: vec![claim(environment, &text, Standing::Passed)], places: vec![found(&text)] }
}

/// The words of each refusal of production.
fn refused(ledger: &Ledger, facts: &PlaceFacts) -> Vec<String> {
    refusals(ledger, &production(), facts).iter().map(PlaceRefusal::message).collect()
}

fn give(ledger: &mut Ledger, environment: &EnvironmentName, text: &str) -> u64 {
    let mut draft = note(Step::Policy, Some(environment), "it was renamed");
    draft.accepts = Some(Accepts::Place(text.to_owned()));
    append(ledger, draft)
}

#[test]
fn t60_a_place_that_nobody_else_claims_and_that_is_empty_or_ones_own_is_free() {
    assert!(refused(&Ledger::empty(), &own(&production())).is_empty());
    let mut unknown = own(&production());
    unknown.claims = vec![claim(&staging(), "branch deploy/staging", Standing::Passed)];
    assert!(refused(&Ledger::empty(), &unknown).is_empty());
}

#[test]
fn t60_a_protected_branch_is_nobodys_place_also_after_a_decision() {
    let mut ledger = Ledger::empty();
    give(&mut ledger, &production(), "branch deploy/production");
    let mut facts = own(&production());
    facts.places[0].protection = Protection::Protected;
    let told = refused(&ledger, &facts);
    assert_eq!(told, ["branch `deploy/production` is protected: what lies there arrives by pull requests"]);
}

#[test]
fn t60_a_claim_that_passed_goes_before_one_that_is_only_declared() {
    use Standing::{Accepted, Declared, Passed};
    // own standing, the other's, whether the other's counts
    for (own_standing, theirs, counts) in [
        (None, Declared, true),
        (None, Passed, true),
        (Some(Declared), Declared, true),
        (Some(Declared), Passed, true),
        (Some(Declared), Accepted, true),
        (Some(Accepted), Declared, false),
        (Some(Accepted), Accepted, false),
        (Some(Accepted), Passed, true),
        (Some(Passed), Declared, false),
        (Some(Passed), Accepted, false),
        (Some(Passed), Passed, true),
    ] {
        for text in
            ["branch deploy/production", "branch deploy", "branch deploy/production/eu", "branch Deploy/Production"]
        {
            let mut facts = own(&production());
            facts.claims = own_standing
                .map(|standing| claim(&production(), "branch deploy/production", standing))
                .into_iter()
                .chain([claim(&staging(), text, theirs), claim(&staging(), "folder deploy/production", Passed)])
                .collect();
            let told = refused(&Ledger::empty(), &facts);
            assert_eq!(!told.is_empty(), counts, "{own_standing:?} {theirs:?} {text}: {told:?}");
            assert!(told.iter().all(|one| one.contains("belongs to `staging`")), "{told:?}");
        }
    }
}

#[test]
fn t60_what_lies_in_a_place_names_its_owner() {
    let mut facts = own(&production());
    facts.places.push(found("folder out"));
    facts.places[0].content = PlaceContent::Environment("qa\u{1b}[31m".to_owned());
    facts.places[1].content = PlaceContent::Foreign;
    let told = refused(&Ledger::empty(), &facts);
    assert_eq!(
        told,
        [
            "branch `deploy/production` holds the tree of `qa\\u{1b}[31m`",
            "folder `out` holds files that were not rendered: it has no readable `release.yaml`",
        ]
    );
    for refusal in refusals(&Ledger::empty(), &production(), &facts) {
        let hint = refusal.hint(&production());
        assert!(hint.contains("`orchestrator policy take-over production --reason …`"), "{hint}");
        assert_eq!(refusal.owner(), None, "no environment can have that name");
    }
}

#[test]
fn t60_a_decision_gives_a_place_to_one_environment_until_the_next() {
    let (old, new) = (environment("live"), production());
    let mut facts = own(&new);
    facts.claims = vec![claim(&old, "branch deploy/production", Standing::Passed)];
    facts.places[0].content = PlaceContent::Environment("live".to_owned());
    let mut ledger = Ledger::empty();
    assert_eq!(refused(&ledger, &facts).len(), 2, "the claim, and what lies there");

    let seq = give(&mut ledger, &new, "branch deploy/production");
    assert!(refused(&ledger, &facts).is_empty());
    assert!(is_given(&ledger, &new, &place("branch deploy/production")));
    assert!(!is_given(&ledger, &old, &place("branch deploy/production")));
    let refusal = refusals(&ledger, &old, &facts).remove(0);
    assert_eq!(refusal.reason, RefusalReason::TakenOver { by: new.clone(), seq });

    // An attempt that does not end well leaves it given; the first deployment uses the decision up.
    tell(&mut ledger, &new, &freight("a"), "gates:ok deploy:started deploy:failed");
    assert!(is_given(&ledger, &new, &place("branch deploy/production")));
    tell(&mut ledger, &new, &freight("a"), "deploy:started deploy:ok");
    assert!(!is_given(&ledger, &new, &place("branch deploy/production")));
    assert_eq!(refused(&ledger, &facts), ["branch `deploy/production` holds the tree of `live`"]);
    facts.places[0].content = PlaceContent::Own;
    assert!(refused(&ledger, &facts).is_empty(), "the old name's claim does not count any more");

    let seq = give(&mut ledger, &old, "branch deploy");
    assert_eq!(
        refused(&ledger, &facts),
        [format!("branch `deploy/production` belongs to `live`, which took it over (record {seq})")],
        "a branch that overlaps"
    );
}

#[test]
fn t60_only_a_positive_decision_about_a_place_counts() {
    let mut ledger = Ledger::empty();
    for text in ["deploy/production", "branch deploy/other", "folder deploy/production", "branch ../x"] {
        give(&mut ledger, &staging(), text);
    }
    let mut accepted = note(Step::Policy, Some(&staging()), "the team shrank");
    accepted.accepts = Some(Accepts::Commit(commit("main")));
    append(&mut ledger, accepted);
    assert!(refused(&ledger, &own(&production())).is_empty());
}
