//! The comment on a pull request: what merging it changes, before anything else.

use lock_model::{CommitId, Lock, ReleaseId};

use super::blocks::{MAX_COMMENT_CHARACTERS, limited, list, section};
use super::changes::{NotDeployedRow, UnpinnedRow, exceptions, loosened, not_deployed, sentences, services, unpinned};
use super::commits::{ServiceCommits, commits};
use super::inputs::inputs;
use super::merge_plan::merge_plans;
use super::risks::{ServiceRisk, risks};
use crate::labels::count;
use crate::report::v1::{InputChanges, MergePlan};
use lock_model::escaping::{code_span, escape_markdown};
use promotion::pull_request::marker;

/// What the comment of a lock says.
#[derive(Clone, Copy, Debug)]
pub struct LockComment<'a> {
    /// The lock of the merge result.
    pub lock: &'a Lock,
    /// The lock of the target branch; absent where it has none.
    pub before: Option<&'a Lock>,
    /// Lock and configuration together.
    pub release: &'a ReleaseId,
    /// The branch that it will be merged into.
    pub target_branch: &'a str,
    /// The commit of that branch that was merged to see the result.
    pub base: &'a CommitId,
    /// The head of the pull request.
    pub head: &'a CommitId,
    /// Where the rules of the target branch were read, a sentence for each environment.
    pub rules: &'a [String],
    /// What the merge would deploy, by environment.
    pub plans: &'a [MergePlan],
    /// What is unusual about the changes.
    pub risks: &'a [ServiceRisk],
    /// Rules that the pull request loosens.
    pub policy_relaxations: &'a [String],
    /// Images that are deployed although the lock does not decide them.
    pub unpinned: &'a [UnpinnedRow],
    /// What is locked and not deployed.
    pub not_deployed: &'a [NotDeployedRow],
    /// What else should be looked at.
    pub warnings: &'a [String],
    /// What changes of the files of the superproject that the release reads.
    pub inputs: &'a InputChanges,
    /// The commits of the services that moved.
    pub commits: &'a [ServiceCommits],
}

/// Why no lock could be made.
#[derive(Clone, Copy, Debug)]
pub struct LockFailure<'a> {
    /// The branch that it would be merged into.
    pub target_branch: &'a str,
    /// The head of the pull request.
    pub head: &'a CommitId,
    /// Every problem of every service.
    pub problems: &'a [LockProblemText],
    /// What to do about them.
    pub hints: &'a [String],
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockProblemText {
    /// The service, where it is about one.
    pub service: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What was tried.
    pub tried: Vec<String>,
    /// What else is known about it.
    pub details: Vec<String>,
}

/// The comment of a lock.
pub fn lock_comment(facts: &LockComment<'_>) -> String {
    let mut text = format!(
        "{}\n## Lock {}\n\nRelease {}: {} merged into `{}` at {}.\n\n",
        marker("lock"),
        code_span(facts.lock.id().hex().get(..12).unwrap_or_default()),
        code_span(facts.release.id8()),
        code_span(facts.head.short(7)),
        escape_markdown(facts.target_branch),
        code_span(facts.base.short(7)),
    );
    text.push_str(&loosened(facts.policy_relaxations));
    text.push_str(&services(facts.before, facts.lock));
    text.push_str(&section("What the merge deploys", &merge_plans(facts.plans)));
    text.push_str(&section("Changed files that the release reads", &inputs(facts.inputs)));
    text.push_str(&section("Look at these first", &risks(facts.risks)));
    text.push_str(&section("Rules that this pull request loosens", &sentences(facts.policy_relaxations)));
    text.push_str(&section("To look at", &sentences(facts.warnings)));
    text.push_str(&section("Images that the lock does not decide", &unpinned(facts.unpinned)));
    text.push_str(&section("Exceptions", &exceptions(facts.lock)));
    text.push_str(&section("Locked, not deployed", &not_deployed(facts.not_deployed)));
    text.push_str(&section("Rules", &sentences(facts.rules)));
    let identity = section("Identity", &list(&[code_span(facts.lock.id().as_str())]));
    let used = section("Commits", "\n").chars().count() + text.chars().count() + identity.chars().count();
    let room = MAX_COMMENT_CHARACTERS.saturating_sub(used);
    let listed = commits(facts.commits, room);
    let listed = listed.trim_end();
    if !listed.is_empty() {
        text.push_str(&section("Commits", &format!("{listed}\n")));
    }
    text.push_str(&identity);
    limited(&text, MAX_COMMENT_CHARACTERS, "see the artefact of this pull request")
}

/// The comment where no lock could be made: it takes the place of the lock's.
pub fn lock_failure_comment(facts: &LockFailure<'_>) -> String {
    let mut text = format!(
        "{}\n## No lock\n\n{} merged into `{}` cannot be locked: {}.\n\n",
        marker("lock"),
        code_span(facts.head.short(7)),
        escape_markdown(facts.target_branch),
        count(facts.problems.len(), "problem"),
    );
    for problem in facts.problems {
        let service = problem.service.as_deref().map(|service| format!("{}: ", code_span(service))).unwrap_or_default();
        text.push_str("- ");
        text.push_str(&service);
        text.push_str(&escape_markdown(&problem.message));
        text.push('\n');
        for tried in &problem.tried {
            text.push_str("  - tried ");
            // A reference has no `: `, and what came of it follows there.
            let (reference, outcome) = tried.split_once(": ").unwrap_or((tried, ""));
            text.push_str(&code_span(reference));
            if !outcome.is_empty() {
                text.push_str(": ");
                text.push_str(&escape_markdown(outcome));
            }
            text.push('\n');
        }
        for detail in &problem.details {
            text.push_str("  - ");
            text.push_str(&escape_markdown(detail));
            text.push('\n');
        }
    }
    text.push_str(&section("What to do", &sentences(facts.hints)));
    limited(&text, MAX_COMMENT_CHARACTERS, "run `orchestrator lock generate` to see all of it")
}
