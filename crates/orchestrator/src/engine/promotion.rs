//! The pull request that carries proven content to the next environment.

use std::collections::BTreeMap;

use crate::report::markdown::{NotDeployedRow, PromotionBody, UnpinnedRow, promotion_body};
use crate::report::v1::evidence::{Evidence, PromotedImages};
use ::promotion::approvals::Approvals;
use ::promotion::pull_request;
use config::Deployment;
use forge::{NewPullRequest, OpenOutcome, PullRequest, PullRequestEdit, Readiness, StatusState, WriteOutcome};
use ledger::{ProofVerdict, ProvenRelease, Record, Step};
use lock_model::{CommitId, EnvironmentName, LOCK_FILE, Lock};
use process::Priority;

use super::Engine;
use super::needs::{Probes, needs};
use super::people::{carried, promotion_obstacles, prospect};
use super::planning::Planning;
use super::preflight::taken_tag;
use super::step_outcome::StepOutcome;
use crate::context::{Context, branch_name};
use crate::environment_policy::branch_of;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::inputs::{Inputs, changes};
use crate::ledger_store::LedgerStore;
use crate::policy_found::PolicyFound;
use crate::refs_in_the_way::Branches;
use crate::relaxed_rules::relaxed_rules;
use crate::revision::LockFile;
use crate::unpinned_images::{self, Listed, UnpinnedRules};
use crate::unreviewed_lock::unreviewed_lock;

/// Status of a promotion's approvals.
pub(crate) const APPROVALS_STATUS: &str = "orchestrator/approvals";

/// The document beside the step's record that has the images which the lock does not decide.
const IMAGES_DOCUMENT: &str = "unpinned-images.json";

impl Engine<'_> {
    /// Opens the promotion, or brings the open one up to date.
    pub(super) async fn promote(&mut self) -> Result<StepOutcome> {
        let promotion = self.ensure_promotion().await?;
        let mut answer = if promotion.obstacles.is_empty() {
            StepOutcome::ok(promotion.text)
        } else {
            let mut answer = StepOutcome::refused(ErrorKind::Refused, promotion.refusal());
            answer.reason = Some(promotion.obstacles.join("; "));
            answer
        };
        if let Some(images) = &promotion.images {
            answer = answer.document(IMAGES_DOCUMENT, images);
        }
        Ok(answer)
    }

    /// The open pull request from this environment's branch to the next one's.
    pub(crate) async fn open_promotion(&self) -> Result<Option<PullRequest>> {
        let Some((_, from, to)) = self.way()? else { return Ok(None) };
        Ok(self.context.forge.find_open(&branch_name(&from)?, &branch_name(&to)?).await?)
    }

    /// The next environment, this one's branch and that one's.
    fn way(&self) -> Result<Option<(EnvironmentName, String, String)>> {
        let Some(promote) = &self.environment.promote else { return Ok(None) };
        let next = self.revision.environment(&promote.to)?;
        Ok(Some((promote.to.clone(), branch_of(&self.environment)?, branch_of(next)?)))
    }

    pub(super) async fn ensure_promotion(&mut self) -> Result<Promotion> {
        let Some((to, from_branch, to_branch)) = self.way()? else {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("environment `{}` promotes to nowhere", self.environment.name),
            )
            .hint("give it `promote: { to: … }`"));
        };
        let (head, base) = (branch_name(&from_branch)?, branch_name(&to_branch)?);
        let tip = self.context.branch_head(&from_branch).await?;
        if tip != self.revision.commit {
            // The pull request would carry the newer commit, which this proof is not about.
            return Ok(Promotion::unchanged(format!(
                "`{from_branch}` went on to {}: its own run promotes",
                tip.short(12)
            )));
        }
        let target = self.context.branch_head(&to_branch).await?;
        let merged = self.context.is_ancestor(self.revision.commit.as_str(), target.as_str())?;
        if merged {
            let text = format!("`{to_branch}` holds {} already", self.revision.commit.short(12));
            return Ok(Promotion::unchanged(text));
        }
        let found = PolicyFound::of_next(self.context, self.store.ledger(), &to, &to_branch).await?;
        let since = found.passed().unwrap_or_else(|| target.clone());
        let commits = [&self.revision.commit];
        let approvers = match found.approvals(&self.revision.config)? {
            Some(policy) => Some(prospect(self.context, &policy, &since, &commits, None).await?),
            None => None,
        };
        let mut obstacles = match &approvers {
            Some(approvers) => {
                let (into, from) = ((to_branch.as_str(), &target), (from_branch.as_str(), &self.revision.commit));
                promotion_obstacles(self.context, approvers, into, from)?
            }
            None => Vec::new(),
        };
        let mut unpinned = self.promoted_images(&to, &found).await?;
        let refused = self.refused_by(&to, &mut unpinned).await?;
        obstacles.extend(refused.iter().map(|reason| would_refuse(&to, reason)));
        let text = PromotionText { to: &to, target: &target, found: &found, unpinned: &unpinned.rows };
        let body = self.promotion_text(&text, approvers.as_ref(), &obstacles).await?;
        let title = pull_request::title(&self.release, &to);
        let open = self.context.forge.find_open(&head, &base).await?;
        let (pull_request, verb, changed) = if let Some(open) = open {
            let edit = PullRequestEdit::default().title(title).body(body).readiness(Readiness::Ready);
            let written = self.context.forge.edit_pull_request(open.number, &edit).await?;
            match written {
                WriteOutcome::Created | WriteOutcome::Updated => (open, "refreshed", true),
                WriteOutcome::Unchanged => (open, "is up to date", false),
            }
        } else {
            let new = NewPullRequest::new(head, base, title).body(body);
            match self.context.forge.open_pull_request(&new).await? {
                OpenOutcome::Created(made) => (made, "opened", true),
                OpenOutcome::Exists(other) => (other, "exists", true),
            }
        };
        if !obstacles.is_empty() {
            let said = lock_model::escaping::shorten(&obstacles.join("; "), 140);
            let forge = &self.context.forge;
            forge.set_status(&self.revision.commit, None, APPROVALS_STATUS, StatusState::Failure, &said).await?;
        }
        let text = format!("pull request {} {verb}: {from_branch} → {to_branch}", pull_request.number);
        Ok(Promotion { text, changed, obstacles, images: unpinned.found })
    }

    /// The images of the promotion that the steps lead to, as far as they can be found out before; what is missing is found
    /// out when it is opened.
    pub(super) async fn images_of_next(&self) -> Option<PromotedImages> {
        let (to, ..) = self.way().ok()?.filter(|_| self.promotes)?;
        // The pods that start meanwhile come first.
        self.images_listed(&to, &UnpinnedRules::default(), Priority::Low).await.ok()?.found
    }

    /// Why the next environment would refuse to deploy the release, as far as its content says it. Goes into the document of
    /// the promotion's record, by which approvals are counted.
    async fn refused_by(&self, to: &EnvironmentName, unpinned: &mut Listed) -> Result<Vec<String>> {
        let (context, ledger) = (self.context, self.store.ledger());
        let environment = self.revision.environment(to)?;
        let needs = needs(context, &self.revision, environment, &environment.suites, Probes::Asked)?;
        let mut problems: Vec<Problem> = needs.problems.into_iter().map(|(problem, _)| problem).collect();
        problems.extend(Branches::read(context).await?.in_the_way_of(environment));
        problems.extend(taken_tag(context, ledger, environment, &self.release).await?);
        let mut refused: Vec<String> = problems.iter().map(Problem::sentence).collect();
        match &mut unpinned.found {
            Some(found) => {
                refused.splice(0..0, std::mem::take(&mut found.refused));
                found.refused.clone_from(&refused);
            }
            None if refused.is_empty() => {}
            None => {
                let (environment, services) = (to.clone(), BTreeMap::new());
                unpinned.found = Some(PromotedImages { environment, services, refused: refused.clone() });
            }
        }
        Ok(refused)
    }

    /// The images that the next environment would deploy without that the lock decides them.
    async fn promoted_images(&self, to: &EnvironmentName, found: &PolicyFound) -> Result<Listed> {
        self.images_listed(to, &found.unpinned(&self.revision.config), Priority::Usual).await
    }

    /// What was rendered for the same promotion, or for an earlier one, is not rendered again where it would be rendered from
    /// the same: an earlier one's record has the images.
    async fn images_listed(&self, to: &EnvironmentName, rules: &UnpinnedRules, priority: Priority) -> Result<Listed> {
        let planning = Planning { environment: self.revision.environment(to)?, ..self.planning() };
        if self.promoted.is_some() {
            return unpinned_images::listed(&planning, rules, self.promoted.clone(), priority).await;
        }
        let evidence = |record: &Record| record.entry.evidence.iter().find(|one| one.name == IMAGES_DOCUMENT).cloned();
        let promotions = self.store.ledger().of(&self.environment.name).rev();
        let known = match promotions.filter(|record| record.entry.step == Step::Promote).find_map(evidence) {
            Some(evidence) => Evidence::parse(&self.store.document(self.context, &evidence.sha256).await?),
            None => None,
        };
        unpinned_images::listed(&planning, rules, known, priority).await
    }

    async fn promotion_text(
        &self,
        text: &PromotionText<'_>,
        approvers: Option<&Approvals>,
        obstacles: &[String],
    ) -> Result<String> {
        let PromotionText { to, target, found, unpinned } = *text;
        let (base, target) = (target, target.as_str());
        let ledger = self.store.ledger();
        let proof: Option<ProvenRelease> = match ledger.proof_of(&self.environment.name, &self.release) {
            ProofVerdict::Proven(proven) => Some(proven),
            ProofVerdict::Failed { .. } | ProofVerdict::Absent => None,
        };
        let before = self.lock_at(target)?;
        let inputs_before = Inputs::before(self.context, base)?;
        let changed = changes(self.context, inputs_before.as_ref(), &self.revision.inputs)?;
        let loosened = relaxed_rules(self.context, std::slice::from_ref(found), &self.revision)?;
        let rules = found.report();
        let unreviewed = unreviewed_lock(ledger, &self.lock.digest);
        let hold = ledger.held(to);
        let rows = not_deployed(self, to)?;
        let carried = carried(self.context, base, &[&self.revision.commit], None).await?;
        let pull_requests: Vec<u64> = carried.pull_requests.iter().map(|one| one.number).collect();
        Ok(promotion_body(&PromotionBody {
            release: &self.release,
            lock: &self.lock.lock,
            before: before.as_ref(),
            inputs: &changed,
            from: &self.environment.name,
            to,
            proof: proof.as_ref(),
            obstacles,
            hold: hold.as_ref(),
            approvals: approvers,
            pull_requests: &pull_requests,
            policy_relaxations: &loosened,
            unreviewed: unreviewed.as_ref(),
            rules: &rules,
            unpinned,
            not_deployed: &rows,
        }))
    }

    /// The lock of a revision; `None` also where it cannot be read, since the promotion may be what repairs it.
    fn lock_at(&self, revision: &str) -> Result<Option<Lock>> {
        let bytes = Inputs::lock(&self.context.git, revision)
            .map_err(|error| crate::context::git_error("the target's lock cannot be read", error))?;
        Ok(bytes.and_then(|bytes| LockFile::parse(bytes, LOCK_FILE).ok()).map(|file| file.lock))
    }
}

/// An obstacle that the content of a promotion is.
fn would_refuse(environment: &EnvironmentName, reason: &str) -> String {
    format!("`{environment}` would refuse it: {reason}")
}

/// What the run that promoted a commit found out that the next environment would refuse.
pub(crate) async fn refused_by_next(
    context: &Context,
    store: &LedgerStore,
    commit: &CommitId,
    environment: &EnvironmentName,
) -> Result<Vec<String>> {
    let is_promotion =
        |record: &&Record| record.entry.step == Step::Promote && record.entry.commit.as_ref() == Some(commit);
    let Some(record) = store.ledger().records().iter().rev().find(is_promotion) else { return Ok(Vec::new()) };
    let Some(document) = record.entry.evidence.iter().find(|one| one.name == IMAGES_DOCUMENT) else {
        return Ok(Vec::new());
    };
    let found: Option<PromotedImages> = Evidence::parse(&store.document(context, &document.sha256).await?);
    let refused =
        found.filter(|found| found.environment == *environment).map(|found| found.refused).unwrap_or_default();
    Ok(refused.iter().map(|reason| would_refuse(environment, reason)).collect())
}

/// The pull request to the next environment, as it stands now.
pub(super) struct Promotion {
    /// What was done, in one line.
    pub text: String,
    /// Whether anything had to be changed.
    pub changed: bool,
    /// Why the next environment must refuse it, whoever approves.
    pub obstacles: Vec<String>,
    /// What it would deploy without that the lock decides it; absent where nothing was looked at, or it is not known.
    pub images: Option<PromotedImages>,
}

/// What the text of a promotion is about.
#[derive(Clone, Copy)]
struct PromotionText<'a> {
    to: &'a EnvironmentName,
    /// The commit of the next environment's branch.
    target: &'a CommitId,
    found: &'a PolicyFound,
    unpinned: &'a [UnpinnedRow],
}

impl Promotion {
    fn unchanged(text: String) -> Self {
        Self { text, changed: false, obstacles: Vec::new(), images: None }
    }

    /// What a refusal says: what was done, and each obstacle on a line of its own.
    pub(super) fn refusal(&self) -> String {
        let obstacles = self.obstacles.iter().map(|obstacle| format!("\n  {obstacle}"));
        format!("{}, and must not be merged:{}", self.text, obstacles.collect::<String>())
    }
}

/// What the next environment locks and does not deploy.
fn not_deployed(engine: &Engine<'_>, environment: &EnvironmentName) -> Result<Vec<NotDeployedRow>> {
    rows_of(&engine.revision, environment, &engine.lock.lock, engine.now())
}

/// The services of a lock that an environment does not deploy, with the declared reason.
pub(crate) fn rows_of(
    revision: &crate::revision::Revision,
    name: &EnvironmentName,
    lock: &Lock,
    now: lock_model::Timestamp,
) -> Result<Vec<NotDeployedRow>> {
    let environment = revision.environment(name)?;
    let today = now.date();
    let mut rows = Vec::new();
    for (service, locked) in lock.services() {
        let row = match environment.decide(service, &locked.path, today) {
            Deployment::Deploy(_) => continue,
            Deployment::NotDeployed { reason, owner, until, .. } => NotDeployedRow {
                environment: name.clone(),
                service: service.to_string(),
                reason,
                owner: Some(owner),
                until: Some(until.to_string().parse().map_err(|error| {
                    Error::from_source(ErrorKind::Bug, "a day of the configuration is no day", error)
                })?),
            },
            Deployment::LockedOnly { reason } => NotDeployedRow {
                environment: name.clone(),
                service: service.to_string(),
                reason,
                owner: None,
                until: None,
            },
        };
        rows.push(row);
    }
    Ok(rows)
}
