//! The body of a promotion's pull request: what its approvers approve.

use lock_model::{EnvironmentName, Lock, ReleaseId};

use super::blocks::{MAX_COMMENT_CHARACTERS, limited, list, section};
use super::changes::{NotDeployedRow, UnpinnedRow, exceptions, loosened, not_deployed, sentences, services, unpinned};
use super::inputs::inputs;
use crate::report::v1::{InputChanges, UnreviewedLock};
use ledger::{Hold, ProvenRelease};
use lock_model::escaping::{code_span, escape_markdown};
use promotion::approvals::{Approvals, FallbackUse};
use promotion::pull_request::marker;

use crate::report::v1::PolicyReport;

/// What the body says.
#[derive(Clone, Copy, Debug)]
pub struct PromotionBody<'a> {
    /// What is promoted.
    pub release: &'a ReleaseId,
    /// Its lock.
    pub lock: &'a Lock,
    /// The lock that the next environment has; absent where it has none.
    pub before: Option<&'a Lock>,
    /// The environment that proved it.
    pub from: &'a EnvironmentName,
    /// The environment that it goes to.
    pub to: &'a EnvironmentName,
    /// The proof; absent while there is none.
    pub proof: Option<&'a ProvenRelease>,
    /// What changes of the files of the superproject that the release reads.
    pub inputs: &'a InputChanges,
    /// Why it is a draft; empty where it may be merged.
    pub obstacles: &'a [String],
    /// The hold of the next environment.
    pub hold: Option<&'a Hold>,
    /// Who could approve it and how many must; absent where no approvals are required.
    pub approvals: Option<&'a Approvals>,
    /// The pull requests that it carries.
    pub pull_requests: &'a [u64],
    /// Rules that it loosens.
    pub policy_relaxations: &'a [String],
    /// Why no pull request shows the lock; absent where one does.
    pub unreviewed: Option<&'a UnreviewedLock>,
    /// Where the rules of the next environment were read.
    pub rules: &'a PolicyReport,
    /// Images that are deployed although the lock does not decide them.
    pub unpinned: &'a [UnpinnedRow],
    /// What is locked and not deployed.
    pub not_deployed: &'a [NotDeployedRow],
}

/// The body, as Markdown.
pub fn promotion_body(facts: &PromotionBody<'_>) -> String {
    let mut text = format!(
        "{}\nRelease {} goes from {} to {}, with the lock unchanged.\n\n",
        marker("promotion"),
        code_span(facts.release.id8()),
        facts.from,
        facts.to
    );
    if !facts.obstacles.is_empty() {
        text.push_str("**Not to be merged:**\n\n");
        text.push_str(&sentences(facts.obstacles));
        text.push('\n');
    }
    text.push_str(&loosened(facts.policy_relaxations));
    text.push_str(&services(facts.before, facts.lock));
    text.push_str(&section("Changed files that the release reads", &inputs(facts.inputs)));
    text.push_str(&section("To look at", &attention(facts)));
    text.push_str(&section("Rules that it loosens", &sentences(facts.policy_relaxations)));
    text.push_str(&section("Approvals", &approvals(facts)));
    text.push_str(&section("Proof", &proof(facts)));
    text.push_str(&section("Images that the lock does not decide", &unpinned(facts.unpinned)));
    text.push_str(&section("Exceptions", &exceptions(facts.lock)));
    text.push_str(&section("Locked, not deployed", &not_deployed(facts.not_deployed)));
    let identity = [
        format!("release {}", code_span(facts.release.as_str())),
        format!("lock {}", code_span(facts.lock.id().as_str())),
    ];
    text.push_str(&section("Identity", &list(&identity)));
    limited(&text, MAX_COMMENT_CHARACTERS, "see `orchestrator lock show`")
}

fn attention(facts: &PromotionBody<'_>) -> String {
    let mut items = Vec::new();
    if let Some(unreviewed) = facts.unreviewed {
        items.push(format!("**The lock has no review**: {}", escape_markdown(&unreviewed.sentence())));
    }
    if let Some(hold) = facts.hold {
        items.push(format!(
            "**{} is held** since {} by {}: {}",
            facts.to,
            hold.since,
            escape_markdown(&hold.by),
            escape_markdown(&hold.reason)
        ));
    }
    if facts.rules.is_unusual() {
        items.push(escape_markdown(&facts.rules.sentence()));
    }
    list(&items)
}

fn approvals(facts: &PromotionBody<'_>) -> String {
    let Some(approvals) = facts.approvals else { return String::new() };
    let mut items = vec![format!("needs {} approvals of exactly this content", approvals.needed)];
    match &approvals.fallback {
        FallbackUse::Unused => {}
        FallbackUse::Applies(fallback) => items.push(format!("**{}**", escape_markdown(&fallback.to_string()))),
        FallbackUse::Ended(fallback) => items.push(format!("the fallback ended on {}", fallback.until)),
    }
    if !approvals.eligible.is_empty() {
        items.push(format!("could approve: {}", escape_markdown(&approvals.eligible.join(", "))));
    }
    items.extend(approvals.exclusions().iter().map(|person| format!("not {}", escape_markdown(person))));
    if !approvals.unknown_mails.is_empty() {
        let mails: Vec<String> = approvals.unknown_mails.iter().map(|mail| code_span(mail)).collect();
        items.push(format!("mail of commits that belongs to no user of the forge: {}", mails.join(", ")));
    }
    list(&items)
}

fn proof(facts: &PromotionBody<'_>) -> String {
    let mut items = Vec::new();
    if let Some(proof) = facts.proof {
        items.push(format!("proven in {} at {}, {} (record {})", facts.from, proof.at, proof.level, proof.seq));
        if !proof.suites.is_empty() {
            let suites: Vec<String> = proof.suites.keys().map(|name| code_span(name.as_str())).collect();
            items.push(format!("green: {}", suites.join(", ")));
        }
    }
    if !facts.rules.is_unusual() {
        items.push(escape_markdown(&facts.rules.sentence()));
    }
    if !facts.pull_requests.is_empty() {
        let numbers: Vec<String> = facts.pull_requests.iter().map(|number| format!("#{number}")).collect();
        items.push(format!("carries {}", numbers.join(", ")));
    }
    list(&items)
}
