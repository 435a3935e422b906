use std::collections::{BTreeMap, BTreeSet};

use ledger::{
    Accepts, Ledger, Policy, PolicySource, ProofLevel, RecordDraft, RunIdentity, Step, StepResult, TestedMerge,
};
use lock_model::{Date, Digest, EnvironmentName, Lock, Origin, ReleaseId, TreeId};
use promotion::attempts::Purpose;
use promotion::gates::{
    Ancestry, DeployFacts, Gate, GateCode, GatePolicy, GateReport, GateVerdict, ProvenIn, PullRequestFound,
    PullRequestSuites, judge,
};

use promotion::places::PlaceFacts;

use crate::builders::*;
use crate::days::*;
use crate::people::{FOUR, policy, pull_request};

/// Everything that production's gates look at, set so that they all pass.
struct Scene {
    ledger: Ledger,
    purpose: Purpose,
    environment: EnvironmentName,
    lock: Lock,
    freight: Freight,
    tree: TreeId,
    today: Date,
    mismatches: Vec<String>,
    head_in_history: Ancestry,
    older_than_newest: Ancestry,
    places: PlaceFacts,
    unpinned_images: Option<Vec<String>>,
    policy: GatePolicy,
    tested: Option<PullRequestSuites>,
    pull_request: Option<promotion::approvals::PullRequestFacts>,
}

fn parent() -> Policy {
    Policy { source: PolicySource::Parent, commit: Some(commit("before")) }
}

fn scene() -> Scene {
    let freight = freight("a");
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &freight, STAGED);
    append(&mut ledger, evidence(&tested(), "robot", StepResult::Ok));
    Scene {
        ledger,
        purpose: Purpose::Run,
        environment: production(),
        lock: lock("a"),
        freight,
        tree: tree("content"),
        today: day("2025-11-24"),
        mismatches: Vec::new(),
        head_in_history: Ancestry::Ancestor,
        older_than_newest: Ancestry::Unrelated,
        places: crate::places::own(&production()),
        unpinned_images: Some(Vec::new()),
        policy: GatePolicy {
            policy: Some(parent()),
            proven_in: vec![ProvenIn {
                environment: staging(),
                level: ProofLevel::Stored,
                suites: BTreeMap::from([(suite("system", "system").name, Some(suite("system", "system").digest))]),
            }],
            approvals: Some(policy(4)),
        },
        tested: Some(PullRequestSuites {
            tested: tested(),
            suites: BTreeMap::from([(suite("lint", "lint").name, Some(suite("lint", "lint").digest))]),
            bots: BTreeSet::from(["robot".to_owned()]),
            merges: vec![(7, commit("merge"))],
        }),
        pull_request: Some(pull_request(&FOUR)),
    }
}

/// What the suites of a pull request ran on.
pub(crate) fn tested() -> TestedMerge {
    TestedMerge {
        environment: "pull-request".parse().unwrap(),
        base: "staging".parse().unwrap(),
        tree: tree("merge without lock"),
    }
}

/// A record of the suite `lint`.
pub(crate) fn evidence(tested: &TestedMerge, actor: &str, result: StepResult) -> RecordDraft {
    let mut draft = RecordDraft::new(Step::Suite, result, RunIdentity::new("run-1", actor), now(0))
        .environment(&tested.environment)
        .reason("two of three cases failed");
    draft.base = Some(tested.base.clone());
    draft.merge_tree = Some(tested.tree.clone());
    draft.commit = Some(commit("test merge"));
    draft.suite = Some(suite("lint", "lint"));
    draft
}

impl Scene {
    fn judge(&self) -> GateReport {
        judge(
            &self.ledger,
            &DeployFacts {
                purpose: self.purpose,
                environment: &self.environment,
                release: &self.freight.release,
                lock: &self.lock,
                lock_file: &self.freight.lock_file,
                commit: &self.freight.commit,
                tree: &self.tree,
                today: self.today,
                mismatches: &self.mismatches,
                head_in_history: self.head_in_history,
                older_than_newest: self.older_than_newest,
                places: &self.places,
                unpinned_images: self.unpinned_images.as_deref(),
                policy: &self.policy,
                pull_request_suites: &self.tested.iter().collect::<Vec<_>>(),
                pull_request: match &self.pull_request {
                    Some(facts) => PullRequestFound::Found(facts),
                    None => PullRequestFound::Absent,
                },
            },
        )
    }

    /// Exactly these gates refuse, and the reason contains the text.
    #[track_caller]
    fn refused_by(&self, gates: &[Gate], code: GateCode, text: &str) {
        let report = self.judge();
        let refused: Vec<Gate> = report.refusals().map(|finding| finding.gate).collect();
        assert_eq!(refused, gates, "{:?}", report.reason());
        assert_eq!(report.code(), Some(code));
        assert!(!report.lets_pass());
        let reason = report.reason().unwrap();
        assert!(reason.contains(text), "{reason}");
        assert!(report.refusals().all(|finding| finding.hint.is_some()), "every refusal says what to do");
    }

    fn hint_of(&self, gate: Gate) -> String {
        let report = self.judge();
        let hint = report.refusals().find(|finding| finding.gate == gate).and_then(|finding| finding.hint.clone());
        hint.unwrap_or_default()
    }

    #[track_caller]
    fn passes(&self) {
        let report = self.judge();
        assert_eq!(report.reason(), None);
        assert_eq!(report.code(), None);
        assert!(report.lets_pass());
        assert_eq!(report.findings.iter().map(|finding| finding.gate).collect::<Vec<_>>(), Gate::ALL);
    }
}

#[test]
fn everything_in_order_passes() {
    scene().passes();
    let mut staged = scene();
    staged.environment = staging();
    staged.places = crate::places::own(&staging());
    staged.policy = GatePolicy::new(Policy { source: PolicySource::Bootstrap, commit: None });
    staged.pull_request = None;
    staged.passes();
    assert_eq!(staged.judge().policy, staged.policy.policy);
}

#[test]
fn t60_the_place_of_another_environment_is_refused_to_a_run_and_to_a_rollback() {
    for purpose in [Purpose::Run, Purpose::Rollback] {
        let mut scene = scene();
        scene.purpose = purpose;
        scene.places.claims = crate::places::own(&environment("live")).claims;
        scene.passes();
        scene.places.places = crate::places::own(&environment("live")).places;
        scene.refused_by(&[Gate::OwnPlace], GateCode::Refused, "branch `deploy/live` belongs to `live`");
        scene.places = PlaceFacts::default();
        scene.passes();
    }
}

#[test]
fn no_answers_let_nothing_pass() {
    let report = GateReport { findings: Vec::new(), policy: None };
    assert!(!report.lets_pass());
    assert_eq!(report.verdict(), GateVerdict::Unknown);
}

#[test]
fn p10_a_lock_of_another_tree_is_refused() {
    let mut scene = scene();
    scene.mismatches = vec!["`cart` is locked at 1111111 and the tree has 2222222".to_owned()];
    scene.refused_by(&[Gate::BelongsToTree], GateCode::NotBelonging, "`cart` is locked at 1111111");
    append(&mut scene.ledger, note(Step::Hold, Some(&production()), "fair"));
    scene.refused_by(&[Gate::BelongsToTree, Gate::NotHeld], GateCode::NotBelonging, "fair");
}

#[test]
fn f17_a_squashed_or_rebased_head_is_refused() {
    let mut scene = scene();
    scene.head_in_history = Ancestry::Unrelated;
    scene.refused_by(&[Gate::ReviewedHead], GateCode::NotBelonging, "is not an ancestor of");
    scene.head_in_history = Ancestry::Unknown;
    scene.refused_by(&[Gate::ReviewedHead], GateCode::NotBelonging, "is not in this clone");
}

#[test]
fn p3_a_file_that_nobody_committed_is_refused() {
    let mut scene = scene();
    scene.freight.lock_file = Digest::of(b"edited by hand, with the id computed anew");
    scene.refused_by(&[Gate::RecordedLock], GateCode::Refused, "no lock commit in the ledger wrote this file");
}

#[test]
fn a_rejected_lock_stays_rejected() {
    let mut scene = scene();
    append(&mut scene.ledger, reject(&freight("a"), "leaks memory"));
    scene.refused_by(&[Gate::NotRejected], GateCode::Refused, "leaks memory");
    append(&mut scene.ledger, note(Step::Unhold, Some(&production()), "please"));
    scene.refused_by(&[Gate::NotRejected], GateCode::Refused, "leaks memory");
    scene.purpose = Purpose::Rollback;
    scene.refused_by(&[Gate::NotRejected], GateCode::Refused, "leaks memory");
}

#[test]
fn f9_an_exception_ends_with_its_last_day_utc() {
    let mut scene = scene();
    scene.lock = lock_of(&[("cart", "a")], vec![exception("2025-11-24")]);
    scene.passes();
    scene.today = day("2025-11-25");
    scene.refused_by(
        &[Gate::Exceptions],
        GateCode::Refused,
        "left-out services/chat ended on 2025-11-24 (owner team-ai)",
    );
    scene.purpose = Purpose::Rollback;
    scene.passes();
}

#[test]
fn p1_what_was_migrated_is_somewhere_to_go_back_to_and_no_promotion() {
    let mut scene = scene();
    let mut parts = scene.lock.clone().into_parts();
    parts.services.values_mut().for_each(|service| service.origin = Origin::Migrated);
    scene.lock = Lock::new(parts).unwrap();
    scene.refused_by(&[Gate::Resolved], GateCode::Refused, "taken over from an older pipeline: cart");
    scene.purpose = Purpose::Rollback;
    scene.passes();
}

#[test]
fn a_hold_stops_a_run_until_it_is_lifted() {
    let mut scene = scene();
    append(&mut scene.ledger, note(Step::Hold, Some(&staging()), "elsewhere"));
    scene.passes();
    append(&mut scene.ledger, note(Step::Hold, Some(&production()), "fair"));
    scene.refused_by(&[Gate::NotHeld], GateCode::Refused, "by robot: fair");
    append(&mut scene.ledger, note(Step::Unhold, Some(&production()), "over"));
    scene.passes();
}

#[test]
fn b37_a_rollback_holds_from_its_first_record_on() {
    let mut scene = scene();
    tell(&mut scene.ledger, &production(), &freight("old"), RELEASED);
    tell(&mut scene.ledger, &production(), &freight("old"), "rollback:refused");
    scene.passes();
    tell(&mut scene.ledger, &production(), &freight("old"), "rollback:started");
    scene.refused_by(&[Gate::NotHeld], GateCode::Refused, "held by a rollback");
    tell(&mut scene.ledger, &production(), &freight("old"), "deploy:started deploy:ok rollback:ok");
    scene.refused_by(&[Gate::NotHeld], GateCode::Refused, "production is broken");
    append(&mut scene.ledger, note(Step::Unhold, Some(&production()), "fixed"));
    scene.passes();
}

#[test]
fn t14_an_old_run_that_is_started_again_takes_nothing_back() {
    let mut scene = scene();
    let newer = freight("newer");
    tell(&mut scene.ledger, &production(), &newer, RELEASED);
    scene.older_than_newest = Ancestry::Ancestor;
    scene.refused_by(&[Gate::NoDowngrade], GateCode::Refused, "is older than release");
    assert!(scene.judge().refusals().next().unwrap().hint.as_ref().unwrap().contains("orchestrator rollback"));
    scene.older_than_newest = Ancestry::Unknown;
    scene.refused_by(&[Gate::NoDowngrade], GateCode::NotBelonging, "history is missing");
    scene.purpose = Purpose::Rollback;
    scene.passes();
}

#[test]
fn t14_a_deployment_that_was_only_begun_counts_too() {
    let mut scene = scene();
    tell(&mut scene.ledger, &production(), &freight("newer"), "deploy:started");
    scene.older_than_newest = Ancestry::Ancestor;
    scene.refused_by(&[Gate::NoDowngrade], GateCode::Refused, "is older than release");
}

#[test]
fn t14_the_same_release_again_is_no_downgrade() {
    let mut scene = scene();
    tell(&mut scene.ledger, &production(), &freight("a"), RELEASED);
    scene.older_than_newest = Ancestry::Ancestor;
    scene.passes();
}

#[test]
fn p9_only_a_release_that_staging_proved_goes_on() {
    let both = [Gate::StagingProof, Gate::Suites];
    let mut never = scene();
    (never.ledger, never.tested) = (Ledger::empty(), None);
    tell(&mut never.ledger, &staging(), &freight("a"), "lock-commit:started lock-commit:ok deploy:started deploy:ok");
    never.refused_by(&both, GateCode::Refused, "was never proven in `staging`");
    tell(&mut never.ledger, &production(), &freight("a"), "proof:ok");
    never.refused_by(&both, GateCode::Refused, "was never proven in `staging`");

    let mut other_configuration = scene();
    other_configuration.freight.release =
        ReleaseId::try_from(Digest::of(b"the same lock, other rules").as_str()).unwrap();
    other_configuration.refused_by(&both, GateCode::Refused, "was never proven in `staging`");

    let mut weaker = scene();
    weaker.policy.proven_in[0].level = ProofLevel::Running;
    weaker.refused_by(&[Gate::StagingProof], GateCode::Refused, "is `stored`, required is `running`");
}

#[test]
fn a_proof_is_taken_back_by_what_fails_later() {
    let both = [Gate::StagingProof, Gate::Suites];
    for story in ["proof:failed", "suite(system):started suite(system):failed"] {
        let mut scene = scene();
        tell(&mut scene.ledger, &staging(), &freight("a"), story);
        scene.refused_by(&both, GateCode::Refused, "it did not work");
        tell(&mut scene.ledger, &staging(), &freight("a"), "suite(system):started suite(system):ok proof:ok");
        scene.passes();
    }
    let mut scene = scene();
    tell(&mut scene.ledger, &staging(), &freight("b"), STAGED);
    tell(&mut scene.ledger, &staging(), &freight("b"), "proof:failed");
    scene.passes();
}

#[test]
fn suites_must_be_green_with_the_same_content() {
    let set = |scene: &mut Scene, name: &str, content: Option<&str>| {
        let digest = content.map(|content| suite(name, content).digest);
        scene.policy.proven_in[0].suites.insert(suite(name, "").name, digest);
    };
    let mut changed = scene();
    set(&mut changed, "system", Some("changed"));
    changed.refused_by(&[Gate::Suites], GateCode::Refused, "`system` was green with other content");
    let mut missing = scene();
    set(&mut missing, "load", Some("load"));
    missing.refused_by(&[Gate::Suites], GateCode::Refused, "`load` is not green");

    // Green in an earlier stay of the release only.
    let mut earlier = scene();
    tell(&mut earlier.ledger, &staging(), &freight("b"), "deploy:started deploy:ok");
    tell(&mut earlier.ledger, &staging(), &freight("a"), "deploy:started deploy:ok proof:ok");
    earlier.refused_by(&[Gate::Suites], GateCode::Refused, "`system` is not green");
}

#[test]
fn t1_a_suite_that_the_change_leaves_out_needs_the_approvals_of_the_target() {
    let mut scene = scene();
    scene.policy.proven_in[0].suites.insert(suite("load", "").name, None);
    scene.passes();
    let message = scene.judge().findings.iter().find(|finding| finding.gate == Gate::Suites).unwrap().message.clone();
    assert_eq!(
        message,
        "1 required suites are green in `staging`; left out by this release, under the eyes of its approvers: `load`"
    );
    scene.policy.approvals = None;
    scene.refused_by(&[Gate::Suites], GateCode::Refused, "`load` is required and the release left it out");
    assert!(scene.hint_of(Gate::Suites).contains("list these suites again in `environments.staging.suites`"));
}

#[test]
fn t1_one_approval_is_not_enough_where_the_target_says_four() {
    let mut scene = scene();
    scene.pull_request = Some(pull_request(FOUR.get(..1).unwrap()));
    scene.refused_by(&[Gate::Approvals], GateCode::Refused, "#9: 1 of 4 approvals, 3 missing");
}

#[test]
fn t13_a_merge_that_went_round_the_button_changes_nothing() {
    let mut pushed = scene();
    pushed.pull_request = None;
    pushed.refused_by(&[Gate::Approvals, Gate::MergedTree], GateCode::Refused, "no merged pull request made");
    let mut open = scene();
    open.pull_request.as_mut().unwrap().merged = None;
    open.refused_by(&[Gate::MergedTree], GateCode::Refused, "#9 is not merged");
    let mut impossible = scene();
    impossible.policy.approvals = Some(policy(40));
    impossible.refused_by(&[Gate::Approvals], GateCode::Refused, "40 approvals are required and only 5 people");
}

#[test]
fn t13_a_hotfix_on_main_is_seen_in_the_merged_tree() {
    let mut scene = scene();
    scene.pull_request.as_mut().unwrap().merged.as_mut().unwrap().tree = tree("content and a hotfix");
    scene.tree = tree("content and a hotfix");
    scene.refused_by(&[Gate::MergedTree], GateCode::Refused, "the target branch held something that nobody saw");
}

#[test]
fn t13_what_is_deployed_is_what_was_merged() {
    let mut scene = scene();
    scene.tree = tree("pushed to main afterwards");
    scene.refused_by(&[Gate::MergedTree], GateCode::Refused, "has another content than the merge of #9");
}

#[test]
fn b38_a_rollback_skips_people_and_keeps_the_lock_questions() {
    let mut scene = scene();
    tell(&mut scene.ledger, &production(), &freight("newer"), RELEASED);
    scene.purpose = Purpose::Rollback;
    scene.pull_request = None;
    scene.older_than_newest = Ancestry::Ancestor;
    scene.passes();
    scene.mismatches = vec!["`cart` differs".to_owned()];
    scene.freight.lock_file = Digest::of(b"edited");
    scene.refused_by(&[Gate::BelongsToTree, Gate::RecordedLock], GateCode::NotBelonging, "`cart` differs");
}

#[test]
fn gates_and_verdicts_have_words() {
    let words: Vec<&str> = Gate::ALL.iter().map(|gate| gate.as_str()).collect();
    assert_eq!(
        words,
        [
            "belongs-to-tree",
            "reviewed-head",
            "recorded-lock",
            "not-rejected",
            "resolved",
            "exceptions",
            "not-held",
            "no-downgrade",
            "not-rolled-back",
            "pinned-images",
            "own-place",
            "pull-request-suites",
            "staging-proof",
            "suites",
            "approvals",
            "merged-tree",
        ]
    );
    for gate in Gate::ALL {
        assert_eq!(serde_json::to_value(gate).unwrap(), gate.as_str());
        assert_eq!(gate.to_string(), gate.as_str());
    }
    let verdicts = [GateVerdict::NotAsked, GateVerdict::Passed, GateVerdict::Unknown, GateVerdict::Refused];
    assert_eq!(verdicts.map(|verdict| verdict.to_string()), ["not asked", "passed", "unknown", "refused"]);
    assert_eq!(verdicts.map(GateVerdict::lets_pass), [true, true, false, false]);
}

#[test]
fn a_report_is_as_good_as_its_worst_answer() {
    let mut scene = scene();
    assert_eq!(scene.judge().verdict(), GateVerdict::Passed);
    scene.head_in_history = Ancestry::Unknown;
    assert_eq!(scene.judge().verdict(), GateVerdict::Unknown);
    scene.refused_by(&[Gate::ReviewedHead], GateCode::NotBelonging, "is not in this clone");
    scene.policy.approvals = Some(policy(5));
    assert_eq!(scene.judge().verdict(), GateVerdict::Refused);
    let codes: Vec<GateCode> = scene.judge().refusals().map(|finding| finding.code).collect();
    assert_eq!(codes, [GateCode::NotBelonging, GateCode::Refused]);
    assert_eq!(scene.judge().reason().unwrap().matches("; ").count(), 1);
}

#[test]
fn a_policy_is_made_of_what_it_requires() {
    let proven_in = ProvenIn { environment: staging(), level: ProofLevel::Running, suites: BTreeMap::new() };
    let mut made = GatePolicy::new(parent());
    made.proven_in = vec![proven_in.clone()];
    made.approvals = Some(policy(2));
    let written = GatePolicy { policy: Some(parent()), proven_in: vec![proven_in], approvals: Some(policy(2)) };
    assert_eq!(made, written);
    let none = GatePolicy { policy: None, proven_in: Vec::new(), approvals: None };
    assert_eq!(GatePolicy::default(), none);
    assert_eq!(promotion::approvals::ApprovalPolicy::new(3), policy(3));
}

#[test]
fn a_stored_proof_is_not_enough_where_a_running_one_is_required() {
    let mut scene = scene();
    if let [proven_in] = scene.policy.proven_in.as_mut_slice() {
        proven_in.level = ProofLevel::Running;
    }
    scene.refused_by(&[Gate::StagingProof], GateCode::Refused, "is `stored`, required is `running`");
    assert!(scene.hint_of(Gate::StagingProof).contains("ask for `proof: stored`"));
}

#[test]
fn what_is_not_required_is_not_asked() {
    let not_asked = |scene: &Scene| -> Vec<Gate> {
        let findings = scene.judge().findings.into_iter();
        findings.filter(|finding| finding.verdict == GateVerdict::NotAsked).map(|finding| finding.gate).collect()
    };
    let mut scene = scene();
    assert_eq!(not_asked(&scene), []);
    scene.policy = GatePolicy::new(parent());
    scene.tested = None;
    scene.unpinned_images = None;
    let of_policy = [
        Gate::PinnedImages,
        Gate::PullRequestSuites,
        Gate::StagingProof,
        Gate::Suites,
        Gate::Approvals,
        Gate::MergedTree,
    ];
    assert_eq!(not_asked(&scene), of_policy);
    scene.policy = self::scene().policy;
    scene.tested = self::scene().tested;
    scene.unpinned_images = self::scene().unpinned_images;
    scene.purpose = Purpose::Rollback;
    assert_eq!(not_asked(&scene), of_policy, "a rollback goes to what was proven and approved before");
    append(&mut scene.ledger, note(Step::Hold, Some(&production()), "fair"));
    tell(&mut scene.ledger, &production(), &crate::builders::freight("b"), "deploy:started");
    assert_eq!(not_asked(&scene), [&[Gate::NotHeld, Gate::NoDowngrade][..], &of_policy].concat());
}

#[test]
fn t57_evidence_is_of_this_content_for_this_branch_by_a_bot() {
    let only = |tested: &TestedMerge, actor: &str, result: StepResult| {
        let mut scene = scene();
        scene.ledger = Ledger::empty();
        tell(&mut scene.ledger, &staging(), &freight("a"), STAGED);
        append(&mut scene.ledger, evidence(tested, actor, result));
        scene
    };
    only(&tested(), "robot", StepResult::Ok).passes();
    let none = "no bot recorded `lint` for this tree";
    let refused = |scene: &Scene, text: &str| scene.refused_by(&[Gate::PullRequestSuites], GateCode::Refused, text);
    refused(&only(&TestedMerge { tree: tree("another"), ..tested() }, "robot", StepResult::Ok), none);
    refused(&only(&TestedMerge { base: "play".parse().unwrap(), ..tested() }, "robot", StepResult::Ok), none);
    refused(&only(&TestedMerge { environment: production(), ..tested() }, "robot", StepResult::Ok), none);
    refused(&only(&tested(), "ana", StepResult::Ok), none);
    refused(&only(&tested(), "robot", StepResult::Superseded), none);
    refused(&only(&tested(), "robot", StepResult::Failed), "`lint` failed (record 13): two of three cases failed");

    // The newest counts; another version of the suite is another suite.
    let mut scene = scene();
    append(&mut scene.ledger, evidence(&tested(), "robot", StepResult::Failed));
    refused(&scene, "`lint` failed");
    assert!(scene.judge().is_refused_only_by(Gate::PullRequestSuites));
    append(&mut scene.ledger, evidence(&tested(), "robot", StepResult::Ok));
    scene.passes();
    assert!(!scene.judge().is_refused_only_by(Gate::PullRequestSuites));
    let suites = |scene: &mut Scene, name: &str, digest| {
        scene.tested.as_mut().unwrap().suites.insert(suite(name, "").name, digest);
    };
    suites(&mut scene, "lint", Some(suite("lint", "changed").digest));
    refused(&scene, none);
    suites(&mut scene, "lint", None);
    refused(&scene, "the change removes what `pull-request` requires: `lint`");
}

#[test]
fn t57_the_way_out_names_what_was_merged() {
    let hint = |merges: Vec<(u64, lock_model::CommitId)>| {
        let mut scene = scene();
        append(&mut scene.ledger, evidence(&tested(), "robot", StepResult::Failed));
        scene.tested.as_mut().unwrap().merges = merges;
        scene.judge().refusals().next().unwrap().hint.clone().unwrap()
    };
    let (one, two) = (commit("one"), commit("two"));
    assert_eq!(
        hint(vec![(7, one.clone())]),
        format!(
            "revert pull request 7 (`git revert -m 1 {}`) with a pull request into `staging`, or repair it with one",
            one.short(12)
        )
    );
    let both = hint(vec![(8, two), (7, one)]);
    assert!(
        both.starts_with("each was tested without the others") && both.contains("8 (`git") && both.contains("7 (`git")
    );
    assert!(hint(Vec::new()).starts_with("take back what was pushed"));
}

#[test]
fn t1_a_policy_of_no_approvals_covers_no_suite_that_is_left_out() {
    let mut scene = scene();
    if let [proven_in] = scene.policy.proven_in.as_mut_slice() {
        proven_in.suites.insert(suite("load", "load").name, None);
    }
    scene.passes();
    scene.policy.approvals = Some(policy(0));
    scene.refused_by(&[Gate::Suites], GateCode::Refused, "`load` is required and the release left it out");
}

#[test]
fn the_approvals_gate_names_the_reviews_that_do_not_count() {
    let message = |reviews: &[_]| {
        let mut scene = scene();
        scene.pull_request = Some(pull_request(reviews));
        let finding = scene.judge().findings.into_iter().find(|finding| finding.gate == Gate::Approvals);
        finding.unwrap().message
    };
    assert_eq!(message(&FOUR), "#9: 4 of 4 approvals");
    let with_author = [&FOUR[..], &[("ana", promotion::approvals::ReviewState::Approved, "content")]].concat();
    assert_eq!(message(&with_author), "#9: 4 of 4 approvals (not counted: ana opened the pull request)");
}

#[test]
fn t56_what_a_rollback_took_out_comes_back_only_where_somebody_accepts_it() {
    let mut scene = scene();
    tell(&mut scene.ledger, &production(), &freight("old"), RELEASED);
    tell(&mut scene.ledger, &production(), &freight("a"), RELEASED);
    scene.passes();
    tell(&mut scene.ledger, &production(), &freight("old"), "rollback:started deploy:started deploy:ok rollback:ok");
    append(&mut scene.ledger, note(Step::Unhold, Some(&production()), "on we go"));
    scene.refused_by(&[Gate::NotRolledBack], GateCode::Refused, "by robot: production is broken (record");
    let hint = scene.judge().refusals().next().unwrap().hint.clone().unwrap();
    assert!(hint.contains(&format!("--accept {}", scene.freight.release.id8())), "{hint}");
    // The same release from another commit is the same release; accepting another one changes nothing.
    scene.freight.commit = commit("merged again");
    let mut other = note(Step::Unhold, Some(&production()), "the other one");
    other.accepts = Some(Accepts::Release(freight("old").release));
    append(&mut scene.ledger, other);
    scene.refused_by(&[Gate::NotRolledBack], GateCode::Refused, "a rollback took release");
    let mut accepts = note(Step::Unhold, Some(&production()), "it was the network");
    accepts.accepts = Some(Accepts::Release(scene.freight.release.clone()));
    append(&mut scene.ledger, accepts);
    scene.passes();
    // Taken out once more, it has to be accepted once more; a rollback to it is a decision, too.
    tell(&mut scene.ledger, &production(), &scene.freight.clone(), "deploy:started deploy:ok");
    tell(&mut scene.ledger, &production(), &freight("old"), "rollback:started");
    append(&mut scene.ledger, note(Step::Unhold, Some(&production()), "on we go"));
    scene.refused_by(&[Gate::NotRolledBack], GateCode::Refused, "a rollback took release");
    tell(
        &mut scene.ledger,
        &production(),
        &scene.freight.clone(),
        "rollback:started deploy:started deploy:ok rollback:ok",
    );
    append(&mut scene.ledger, note(Step::Unhold, Some(&production()), "on we go"));
    scene.passes();
    assert_eq!(scene.ledger.rolled_back(&production()).len(), 1, "the old one was left for it");
    assert!(scene.ledger.rolled_back(&staging()).is_empty());
}

#[test]
fn t55_an_image_that_nothing_decides_is_refused_where_the_rules_ask() {
    let mut scene = scene();
    scene.unpinned_images = Some(vec!["web: `a:1` is not locked".to_owned(), "web: `b:1` is not locked".to_owned()]);
    let both = "web: `a:1` is not locked; web: `b:1` is not locked";
    scene.refused_by(&[Gate::PinnedImages], GateCode::Refused, both);
    scene.unpinned_images = None;
    let report = scene.judge();
    assert!(report.lets_pass());
    let finding = report.findings.iter().find(|finding| finding.gate == Gate::PinnedImages).unwrap();
    assert_eq!(finding.verdict, GateVerdict::NotAsked);
}
