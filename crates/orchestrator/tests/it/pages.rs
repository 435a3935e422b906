use ledger::{Ledger, PolicySource, ProofVerdict, Step, Unreviewed};
use orchestrator::report::markdown::{
    LockComment, LockFailure, LockProblemText, NotDeployedRow, PromotionBody, lock_comment, lock_failure_comment,
    promotion_body,
};
use orchestrator::report::v1::{InputChanges, PolicyReport, UnreviewedLock};
use promotion::approvals::{
    Access, ApprovalPolicy, Approvals, CarriedPullRequest, Person, PersonKind, PullRequestFacts, count,
};
use promotion::pull_request::title;

use crate::builders::*;
use crate::days::*;

fn not_deployed() -> Vec<NotDeployedRow> {
    vec![NotDeployedRow {
        environment: staging(),
        service: "chat".to_owned(),
        reason: "not ready, ask @team".to_owned(),
        owner: Some("team-ai".to_owned()),
        until: Some(day("2026-12-31")),
    }]
}

#[test]
fn p12_the_comment_shows_the_difference_first() {
    let before = lock_of(&[("cart", "old"), ("gone", "x"), ("same", "s")], Vec::new());
    let after = lock_of(&[("cart", "new"), ("fresh", "f"), ("same", "s")], vec![exception("2026-01-31")]);
    let text = lock_comment(&LockComment {
        lock: &after,
        before: Some(&before),
        release: &freight("new").release,
        target_branch: "staging",
        base: &commit("base"),
        head: &commit("head"),
        rules: &["the rules of `staging` are those of 1111111".to_owned()],
        risks: &[],
        policy_relaxations: &["production: `approvals.count` 4 → 1".to_owned()],
        unpinned: &[],
        not_deployed: &not_deployed(),
        warnings: &[],
        plans: &[],
        inputs: &InputChanges::default(),
        commits: &[],
    });
    let short = |word: &str| commit(word).short(7).to_owned();
    let expected = format!(
        "<!-- orchestrator:lock -->\n\
         ## Lock `{lock}`\n\
         \n\
         Release `{release}`: `{head}` merged into `staging` at `{base}`.\n\
         \n\
         **This loosens 1 rule, see below.**\n\
         \n\
         | service | commit | image |  |\n\
         | --- | --- | --- | --- |\n\
         | `cart` | `{old}` → `{new}` | `main-{old}` → `main-{new}` | self-asserted |\n\
         | `fresh` | `{fresh}` | `main-{fresh}` | new, self-asserted |\n\
         | `gone` | `{gone}` | `main-{gone}` | **removed** |\n\
         \n\
         1 service is unchanged.\n\
         \n\
         ### Rules that this pull request loosens\n\
         \n\
         - production: \\`approvals.count\\` 4 → 1\n\
         \n\
         ### Exceptions\n\
         \n\
         | exception | of | reason | owner | until |\n\
         | --- | --- | --- | --- | --- |\n\
         | left-out | `services/chat` | not ready | team-ai | 2026-01-31 |\n\
         \n\
         ### Locked, not deployed\n\
         \n\
         | service | not in | reason | owner | until |\n\
         | --- | --- | --- | --- | --- |\n\
         | `chat` | staging | not ready, ask @\u{200b}team | team-ai | 2026-12-31 |\n\
         \n\
         ### Rules\n\
         \n\
         - the rules of \\`staging\\` are those of 1111111\n\
         \n\
         ### Identity\n\
         \n\
         - `{id}`\n",
        lock = after.id().hex().get(..12).unwrap(),
        release = freight("new").release.id8(),
        head = short("head"),
        base = short("base"),
        old = short("old"),
        new = short("new"),
        fresh = short("f"),
        gone = short("x"),
        id = after.id(),
    );
    assert_eq!(text, expected);
}

#[test]
fn t7_a_tag_that_moved_is_said() {
    let before = lock("a");
    let mut parts = before.parts().clone();
    let service = parts.services.values_mut().next().unwrap();
    let mut image = image("cart", "a");
    image.digest = lock_model::Digest::of(b"another image");
    image.revision = lock_model::Revision::Absent;
    service.content = lock_model::Content::Image(image);
    service.git.url = "https://look-alike.example/shop/cart.git".try_into().unwrap();
    let after = lock_model::Lock::new(parts).unwrap();
    let text = promotion_body(&body(&after, Some(&before)));
    assert!(text.contains("**the tag moved**: `"), "{text}");
    assert!(text.contains("**no revision label**"), "{text}");
    assert!(
        text.contains("**repository changed**: `https://forge.example/shop/cart.git` → `https://look-alike"),
        "{text}"
    );
}

fn rules(source: PolicySource) -> PolicyReport {
    PolicyReport {
        environment: production(),
        branch: "main".to_owned(),
        source,
        commit: Some(commit("passed")),
        accepted: None,
        together_with: Vec::new(),
    }
}

/// Two people are left: who opened a carried pull request does not count.
fn four_approvals() -> Approvals {
    let person = |name: &str| Person {
        name: name.to_owned(),
        kind: PersonKind::Human,
        access: Access::Write,
        mails: Vec::new(),
    };
    let facts = PullRequestFacts {
        number: 9,
        author: "robot".to_owned(),
        head: commit("head"),
        head_tree: tree("content"),
        merged: None,
        carried: vec![CarriedPullRequest { number: 7, author: "_dana".to_owned(), merged_by: None }],
        commits: Vec::new(),
        reviews: Vec::new(),
        people: ["_dana", "ben", "eve"].map(person).to_vec(),
        passed: None,
    };
    count(&ApprovalPolicy::new(4), &facts, "2025-11-24".parse().unwrap())
}

fn body<'a>(lock: &'a lock_model::Lock, before: Option<&'a lock_model::Lock>) -> PromotionBody<'a> {
    // Leaked, so that the tests can borrow without ceremony.
    let leak = |name: &str| -> &'static lock_model::EnvironmentName { Box::leak(Box::new(environment(name))) };
    PromotionBody {
        release: Box::leak(Box::new(freight("a").release)),
        lock,
        before,
        inputs: Box::leak(Box::default()),
        from: leak("staging"),
        to: leak("production"),
        proof: None,
        obstacles: &[],
        hold: None,
        approvals: Some(Box::leak(Box::new(four_approvals()))),
        pull_requests: &[7, 8],
        policy_relaxations: &[],
        unreviewed: None,
        rules: Box::leak(Box::new(rules(PolicySource::Passed))),
        unpinned: &[],
        not_deployed: &[],
    }
}

#[test]
fn a_promotion_says_what_its_approvers_approve() {
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &freight("a"), STAGED);
    append(&mut ledger, note(Step::Hold, Some(&production()), "fair <b>"));
    let ProofVerdict::Proven(proof) = ledger.proof_of(&staging(), &freight("a").release) else { panic!("not proven") };
    let hold = ledger.held(&production());
    let lock = lock("a");
    let unreviewed = UnreviewedLock {
        kind: Unreviewed::DirectPush,
        reason: "hurry".to_owned(),
        pull_requests: vec![7],
        by: "robot".to_owned(),
        record: 3,
    };
    let text = promotion_body(&PromotionBody {
        proof: Some(&proof),
        hold: hold.as_ref(),
        obstacles: &["`system` failed".to_owned()],
        unreviewed: Some(&unreviewed),
        ..body(&lock, Some(&lock))
    });
    for expected in [
        "<!-- orchestrator:promotion -->\nRelease `",
        "goes from staging to production, with the lock unchanged.",
        "**Not to be merged:**\n\n- \\`system\\` failed\n",
        "No service changes.\n\n1 service is unchanged.\n",
        "- **The lock has no review**: the reviewers of #\u{200b}7 did not see this lock: a push brought it past the pull requests: hurry \\(record 3\\)\n",
        "- **production is held** since 2025-11-24T16:00:00Z by robot: fair &lt;b&gt;\n",
        "- proven in staging at 2025-11-24T16:00:00Z, stored (record 10)\n- green: `system`\n",
        "### Approvals\n\n- needs 4 approvals of exactly this content\n- could approve: ben, eve\n- not \\_dana, who opened #\u{200b}7, which is carried\n",
        "- green: `system`\n- the rules of \\`production\\` are those of ",
        ", the newest commit whose gates passed\n- carries #7, #8\n",
    ] {
        assert!(text.contains(expected), "{expected}\n--\n{text}");
    }
    assert_eq!(
        title(&freight("a").release, &production()),
        format!("Promote release {} to production", freight("a").release.id8())
    );
}

#[test]
fn p2_a_lock_that_cannot_be_made_says_what_was_tried() {
    let problems = [LockProblemText {
        service: Some("cart".to_owned()),
        message: "no image was found".to_owned(),
        tried: vec!["registry.example/shop/cart:main-1111111: not found".to_owned()],
        details: vec!["asked as @nobody".to_owned()],
    }];
    let hints = ["push the branch; ask @team".to_owned()];
    let comment = |problems: &[LockProblemText]| {
        let head = commit("head");
        lock_failure_comment(&LockFailure { target_branch: "staging", head: &head, problems, hints: &hints })
    };
    let text = comment(&problems);
    assert!(text.starts_with("<!-- orchestrator:lock -->\n## No lock\n"));
    assert!(text.contains("cannot be locked: 1 problem.\n"), "{text}");
    assert!(
        text.ends_with(
            "- `cart`: no image was found\n  - tried `registry.example/shop/cart:main-1111111`: not found\n  - asked as \
             @\u{200b}nobody\n\n### What to do\n\n- push the branch; ask @\u{200b}team\n"
        ),
        "{text}"
    );
    let many: Vec<LockProblemText> = std::iter::repeat_n(problems[0].clone(), 5000).collect();
    let text = comment(&many);
    assert!(text.chars().count() <= 65_000);
    assert!(text.starts_with("<!-- orchestrator:lock -->\n## No lock\n"));
}
