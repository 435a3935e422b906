use std::collections::{BTreeMap, BTreeSet};

use lock_model::escaping::escape_short;
use lock_model::{EnvironmentName, LockId, ReleaseId, ServiceName};
use orchestrator::report::v1::{
    AppliedFallback, ApprovalsReport, CarriedReview, DriftReport, HealthReport, HoldReport, Next, NextRun,
    PolicyAcceptReport, ProofSummary, StatusReport, TakeOverReport, TestReport, VerifyReport,
};
use orchestrator::report::v1::{
    ChangeKind, CheckState, FindingKind, InputChanges, Proof, ProofLevel, RollbackPlanReport, Severity, Sidecar,
    SuiteVerdict,
};

use super::{Text, plan, short_id, short_image};
use crate::output::{Page, Table, Tone, count};

fn weight(severity: Severity) -> &'static str {
    match severity {
        Severity::Block => "block",
        Severity::Warn => "warn",
    }
}

pub(super) fn verb(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "add",
        ChangeKind::Removed => "remove",
        ChangeKind::Changed => "change",
    }
}

pub(super) fn dash() -> String {
    "-".to_owned()
}

impl Text for HealthReport {
    fn text(&self) -> Page {
        let mut table = Table::new(&["check", "state", "weight", "detail"]).dispensable(&["weight"]);
        for check in &self.report.checks {
            let tone = match check.state {
                CheckState::Healthy => Tone::Good,
                CheckState::Unknown => Tone::Doubtful,
                CheckState::Unhealthy => Tone::Bad,
            };
            let cells = [check.name.as_str(), check.state.word(), weight(check.severity), check.detail.as_str()];
            table.row(cells).paint("state", tone);
        }
        let verdict = if self.report.is_healthy() {
            Page::toned(Tone::Good, format!("{} can take a deployment", self.environment))
        } else {
            Page::toned(Tone::Bad, format!("{} must not be deployed to now", self.environment))
        };
        verdict + "\n\n" + table
    }
}

impl Text for RollbackPlanReport {
    fn text(&self) -> Page {
        let name = &self.environment;
        let tag = self.tag.as_ref().map(|tag| format!(" ({tag})")).unwrap_or_default();
        let mut text = Page::from(format!(
            "{name}: a rollback would go back to release {}{tag}\n  commit {}  lock {}  proven {}\n",
            self.release.id8(),
            self.commit.short(12),
            short_id(self.lock.as_str()),
            self.since
        ));
        if let Some(left) = &self.leaves {
            let lock = self.leaves_lock.as_ref().map_or("-", |lock| short_id(lock.as_str()));
            text += format!("it would leave release {}, lock {lock}\n", left.id8());
        }
        text += format!("the registry has its {}\n", count(self.images.len(), "image"));
        if self.is_done {
            text += "the rollback is done already\n";
        }
        text += plan::changes(&self.changes);
        text + "nothing was written; suites and probes were not asked\n"
    }
}

/// A reason of any length and any number of lines; `history` and JSON have all of it.
fn in_a_cell(reason: &str) -> String {
    escape_short(reason.lines().collect::<Vec<_>>().join("; "), 80)
}

/// Whether what is there is what the lock says.
fn verdict_of(name: &EnvironmentName, release: &ReleaseId, lock: &LockId, proof: &Proof) -> Page {
    let what = match proof.level {
        ProofLevel::Stored => "what is stored",
        ProofLevel::Running => "what runs",
    };
    let (tone, is) = if proof.is_proven() { (Tone::Good, "is") } else { (Tone::Bad, "is not") };
    Page::toned(tone, format!("{name}: {what} {is} what the lock says"))
        + format!(" (release {}, lock {})\n", release.id8(), short_id(lock.as_str()))
}

impl Text for DriftReport {
    fn text(&self) -> Page {
        let mut text = verdict_of(&self.environment, &self.release, &self.lock, &self.proof);
        for finding in &self.proof.findings {
            text += format!("  {finding}\n");
        }
        if self.changes.is_empty() && self.foreign_fields.is_empty() {
            let has_added = self.proof.findings.iter().any(|finding| finding.kind.is_added_container());
            if self.refused.is_empty() && !has_added {
                text += "nothing was edited, deleted or added since the deployment\n";
            }
        } else {
            let mut table = Table::new(&["service", "since the deployment", "what"]);
            for change in &self.changes {
                let service = change.service.as_ref().map_or("-", |service| service.as_str());
                let word = match change.kind {
                    ChangeKind::Added => "deleted",
                    ChangeKind::Changed => "edited",
                    ChangeKind::Removed => "added",
                };
                table.row([service, word, change.path.as_str()]).paint("since the deployment", Tone::Doubtful);
            }
            for foreign in &self.foreign_fields {
                let what = format!("{} by `{}`: {}", foreign.object, foreign.manager, foreign.fields_in_short());
                table.row([foreign.service.as_str(), "fields", &what]).paint("since the deployment", Tone::Doubtful);
            }
            text = text + "\n" + table;
            if self.services.iter().flat_map(|service| &service.objects).any(|object| !object.fields.is_empty()) {
                text += "what is there → what deploying it again sets:\n";
            }
            text += plan::edited(&self.services);
        }
        text += plan::noise(&self.noise);
        if let Some(moved) = &self.moved {
            text += format!("{moved}\n");
            text += Page::hint(format!("`orchestrator run {}` deploys them", self.environment));
        }
        if !self.refused.is_empty() {
            text += "deploying it again would be refused:\n";
            for refused in &self.refused {
                text += format!("  {refused}\n");
            }
            text += Page::hint(
                "undo with kubectl what was done to these objects: delete one that was replaced, and take back fields that others \
                 own, or name their managers in `conflicts`",
            );
        }
        if !self.foreign_fields.is_empty() {
            text += Page::hint(
                "fields that others wrote stay when it is deployed again: take them out, or put them into the service's files",
            );
        }
        if self.is_put_back() {
            text += Page::hint(format!(
                "`orchestrator deploy {} --again` puts back what was edited or deleted",
                self.environment
            ));
        }
        let left = self.not_put_back();
        if !left.is_empty() && self.refused.is_empty() {
            let left = left.into_iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
            text += Page::hint(format!(
                "deploying it again changes nothing about {left}: undo with kubectl what was done there, put the field into the \
                 service's files, or delete the old pods where their controller does not replace them (`OnDelete`, a partition, \
                 a ReplicaSet)"
            ));
        }
        text
    }
}

/// The services whose images came from another registry than the lock names, which proves as much.
fn mirrors(proof: &Proof) -> Page {
    let pulled = proof.detail.running().iter().filter_map(|one| Some((one.through.as_ref()?, one.service.as_str())));
    let mut hosts: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (host, service) in pulled {
        hosts.entry(host).or_default().insert(service);
    }
    hosts.into_iter().fold(Page::default(), |text, (host, services)| {
        let services = services.into_iter().collect::<Vec<_>>().join(", ");
        text + format!("pulled through {host}, with the digest of the lock: {services}\n")
    })
}

/// The images that no digest of the lock decides, hooks included.
fn unpinned(proof: &Proof) -> Page {
    if proof.unpinned_images.is_empty() {
        return Page::default();
    }
    let mut table = Table::new(&["service", "object", "image"]);
    for image in &proof.unpinned_images {
        let service = image.service.as_ref().map_or("-", |service| service.as_str());
        table.row([service, image.object.as_str(), image.image.as_str()]);
    }
    Page::from("\nnot pinned by the lock:\n") + table
}

/// The allowed containers, each with how many pods have it.
fn sidecars(proof: &Proof) -> Page {
    if proof.sidecars.is_empty() {
        return Page::default();
    }
    let mut pods: BTreeMap<_, usize> = BTreeMap::new();
    for Sidecar { service, container, image, digest, .. } in &proof.sidecars {
        *pods.entry((service, container, image, digest)).or_default() += 1;
    }
    let mut table = Table::new(&["service", "container", "image", "digest", "pods"]).dispensable(&["digest"]);
    for ((service, container, image, digest), count) in pods {
        let digest = digest.as_ref().map_or("-", |digest| digest.as_str());
        table.row([service.as_str(), container, image, digest, &count.to_string()]);
    }
    Page::from("\nadded by other programs, which `sidecars` allows:\n") + table
}

impl Text for VerifyReport {
    fn text(&self) -> Page {
        let name = &self.environment;
        let mut text = verdict_of(name, &self.release, &self.lock, &self.proof);
        if self.proof.is_proven() {
            let mut table = Table::new(&["service", "object", "image"]).dispensable(&["object"]);
            for image in &self.proof.images {
                let service = image.service.as_ref().map_or("-", |service| service.as_str());
                table.row([service, image.object.as_str(), short_image(&image.image).as_str()]);
            }
            return text + "\n" + table + unpinned(&self.proof) + mirrors(&self.proof) + sidecars(&self.proof);
        }
        for finding in &self.proof.findings {
            text += format!("  {finding}\n");
        }
        if self.proof.findings.iter().any(|finding| finding.kind == FindingKind::Foreign) {
            text += Page::hint("what another program added stays when it is deployed again: take it out");
        }
        if self.proof.findings.iter().all(|finding| finding.kind.is_added_container()) {
            return text;
        }
        // The whole tree of what is rendered is written again; of a cluster only a plan says what a deployment would change.
        text + match self.proof.level {
            ProofLevel::Stored => Page::hint(format!("`orchestrator deploy {name} --again` puts it back")),
            ProofLevel::Running => Page::hint(format!(
                "`orchestrator drift {name}` says what differs, and whether deploying it again puts that back"
            )),
        }
    }
}

impl Text for TestReport {
    fn text(&self) -> Page {
        let mut table = Table::new(&["suite", "verdict", "detail"]);
        for report in &self.suites {
            for (index, line) in report.summary().lines().enumerate() {
                let (suite, verdict) =
                    if index == 0 { (report.suite.as_str(), report.verdict.word()) } else { ("", "") };
                let tone = match report.verdict {
                    SuiteVerdict::Passed => Tone::Good,
                    SuiteVerdict::Skipped => Tone::Quiet,
                    SuiteVerdict::Unknown => Tone::Doubtful,
                    SuiteVerdict::Failed => Tone::Bad,
                };
                table.row([suite, verdict, line]).paint("verdict", tone);
            }
        }
        let (tone, verdict) =
            if self.is_passed() { (Tone::Good, "all suites passed") } else { (Tone::Bad, "not all suites passed") };
        Page::toned(tone, format!("{}: {verdict}", self.environment)) + "\n\n" + table
    }
}

impl Text for ApprovalsReport {
    fn text(&self) -> Page {
        if self.needed == 0 {
            return Page::from(format!("{}\n", self.summary)) + changed_inputs(&self.inputs);
        }
        let tone = if self.missing == 0 && self.obstacles.is_empty() { Tone::Good } else { Tone::Bad };
        let mut text = Page::toned(tone, format!("pull request {}: {}", self.pull_request, self.summary));
        text += format!(
            " (head {}, rules of `{}` at {})\n",
            self.head.short(12),
            self.branch,
            self.policy.commit.as_ref().map_or("the head itself", |commit| commit.short(12))
        );
        let mut table = Table::new(&["who", "counts", "why"]);
        for user in &self.counted {
            table.row([user.as_str(), "yes", "approved this content"]).paint("counts", Tone::Good);
        }
        for review in &self.not_counted {
            table.row([review.user.as_str(), "no", review.reason.as_str()]).paint("counts", Tone::Bad);
        }
        let waiting = self.eligible.iter().filter(|user| !self.counted.contains(user));
        let waiting: Vec<&str> =
            waiting.filter(|user| self.not_counted.iter().all(|one| one.user != **user)).map(String::as_str).collect();
        for person in self.excluded.iter().filter(|one| self.not_counted.iter().all(|known| known.user != one.user)) {
            table.row([person.user.as_str(), "never", person.reason.as_str()]).paint("counts", Tone::Quiet);
        }
        if !table.is_empty() {
            text += "\n";
            text += table;
        }
        if self.missing > 0 && !waiting.is_empty() {
            text += format!("\ncould approve: {}\n", waiting.join(", "));
        }
        if let Some(fallback) = &self.fallback {
            let AppliedFallback { count, owner, reason, until } = fallback;
            let enough = crate::output::count(usize::try_from(*count).unwrap_or(usize::MAX), "approval");
            text += format!("fallback until {until}: {enough} instead, decided by {owner}: {reason}\n");
        }
        if !self.carried.is_empty() {
            text += Page::from("\n") + carried(&self.carried);
        }
        text += changed_inputs(&self.inputs);
        for obstacle in &self.obstacles {
            text += format!("must not be merged: {obstacle}\n");
        }
        text
    }
}

/// The pull requests in a promotion, with those who looked at each.
fn carried(pull_requests: &[CarriedReview]) -> Table {
    let mut table =
        Table::new(&["carries", "opened by", "merged by", "approved by", "title"]).dispensable(&["title", "merged by"]);
    for one in pull_requests {
        let approved = if one.approved_by.is_empty() { "no review".to_owned() } else { one.approved_by.join(", ") };
        let number = format!("#{}", one.number);
        table.row([&number, &one.author, one.merged_by.as_ref().unwrap_or(&dash()), &approved, &one.title]);
        if one.approved_by.is_empty() {
            table.paint("approved by", Tone::Doubtful);
        }
    }
    table
}

/// The files that a release reads and a change changes, a line each.
fn changed_inputs(inputs: &InputChanges) -> Page {
    if inputs.files.is_empty() {
        return Page::default();
    }
    let mut text = Page::from("\nchanged files that the release reads:\n");
    for file in &inputs.files {
        let lines = file.lines.map(|lines| format!(" +{} -{}", lines.added, lines.removed)).unwrap_or_default();
        text += format!("  {} {}{lines}\n", verb(file.change), file.path);
    }
    match inputs.count.saturating_sub(inputs.files.len()) {
        0 => text,
        more => text + format!("  and {more} more\n"),
    }
}

impl Text for HoldReport {
    fn text(&self) -> Page {
        let (name, reason) = (&self.environment, &self.reason);
        let mut text = match (self.held, self.record) {
            (true, Some(record)) => {
                Page::toned(Tone::Doubtful, format!("{name} is held")) + format!(": {reason} (record {record})\n")
            }
            (true, None) => format!("{name} is held already for this reason\n").into(),
            (false, Some(record)) => {
                Page::toned(Tone::Good, format!("{name} is free again")) + format!(": {reason} (record {record})\n")
            }
            (false, None) => format!("{name} was not held\n").into(),
        };
        if let Some(release) = &self.accepted {
            text += format!("release {} may be deployed there again\n", release.id8());
        }
        if let Some(next) = &self.next {
            text += next_run(name, next);
        }
        text
    }
}

fn next_run(name: &EnvironmentName, next: &NextRun) -> Page {
    let commit = next.commit.short(12);
    let Some(release) = next.release.as_ref().map(ReleaseId::id8) else {
        return format!("the next run would take up commit {commit}, whose lock is not committed yet\n").into();
    };
    match &next.refused {
        Some(gone) => {
            Page::from(format!(
                "the next run would refuse release {release} of commit {commit}: a rollback took it out on {}, by {}: {}\n",
                gone.at, gone.by, gone.reason
            )) + Page::hint(format!(
                "`orchestrator unhold {name} --accept {release} --reason …` lets it be deployed again"
            ))
        }
        None if next.is_deployed => {
            format!("the next run would find release {release} of commit {commit} in place\n").into()
        }
        None => format!("the next run would deploy release {release} of commit {commit}\n").into(),
    }
}

impl Text for PolicyAcceptReport {
    fn text(&self) -> Page {
        let record = self.record.map(|record| format!(" (record {record})")).unwrap_or_default();
        format!(
            "{} is judged by the rules of {}, until a later commit of `{}` passes: {}{record}\n",
            self.environment,
            self.commit.short(12),
            self.branch,
            self.reason
        )
        .into()
    }
}

impl Text for TakeOverReport {
    fn text(&self) -> Page {
        let name = &self.environment;
        if self.places.is_empty() {
            return format!("every place that {name} writes is its own\n").into();
        }
        let mut text = Page::default();
        for taken in &self.places {
            let record = taken.record.map(|record| format!(" (record {record})")).unwrap_or_default();
            text += format!("{} belongs to {name} from now on{record}\n", taken.place);
            for reason in &taken.reasons {
                text += format!("  before: {reason}\n");
            }
        }
        if let Some(record) = self.hold {
            text += format!(
                "{name} is held, as the environment was that had the place (record {record}): \
                     `orchestrator unhold {name} --reason …` lets deployments go on\n"
            );
        }
        text
    }
}

impl Text for StatusReport {
    fn text(&self) -> Page {
        if self.environments.is_empty() {
            return "no environment with a branch is configured yet\n".into();
        }
        let mut table = Table::new(&["environment", "release", "commit", "proof", "tag", "hold", "next"])
            .dispensable(&["tag", "commit"]);
        for row in &self.environments {
            let deployed = row.deployed.as_ref();
            let commit = deployed.and_then(|deployed| deployed.commit.as_ref());
            table.row([
                row.environment.to_string(),
                deployed.map_or_else(dash, |deployed| deployed.release.id8().to_owned()),
                commit.map_or_else(dash, |commit| commit.short(12).to_owned()),
                match &row.proof {
                    ProofSummary::Proven { level, .. } => level.to_string(),
                    ProofSummary::Failed { .. } => "failed".to_owned(),
                    ProofSummary::Withdrawn { seq, .. } => format!("withdrawn (record {seq})"),
                    ProofSummary::None => dash(),
                },
                row.tag.clone().unwrap_or_else(dash),
                row.hold.as_ref().map_or_else(dash, |hold| format!("{}: {}", hold.by, in_a_cell(&hold.reason))),
                match &row.next {
                    Next::First => "the first run".to_owned(),
                    Next::Continue { step, attempt } => format!("{step} (attempt {attempt})"),
                    Next::ContinueRollback { release } => format!("rollback to {}", release.id8()),
                    Next::Run { release: Some(release) } => format!("run {}", release.id8()),
                    Next::Run { release: None } => "run of the newest merge".to_owned(),
                    Next::Unhold => "unhold".to_owned(),
                    Next::Nothing => "a new release".to_owned(),
                },
            ]);
        }
        let deployed = self.environments.iter().filter_map(|row| Some((&row.environment, row.deployed.as_ref()?)));
        let rejected = deployed.filter_map(|(name, deployed)| Some((name, deployed, deployed.rejected.as_ref()?)));
        let page = rejected.fold(table.into(), |page: Page, (name, deployed, reason)| {
            page + Page::toned(Tone::Bad, format!("{name} has release {}", deployed.release.id8()))
                + format!(": {reason}\n")
        });
        let blocked = self.environments.iter().filter_map(|row| Some((&row.environment, row.blocked.as_ref()?)));
        blocked.fold(page, |page, (name, blocked)| {
            let what = format!("{name} is blocked at {}", blocked.commit.short(12));
            page + Page::toned(Tone::Bad, what) + format!(": {}\n", blocked.reason)
        })
    }
}
