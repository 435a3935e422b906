use lock_model::escaping::shorten;
use lock_model::{EnvironmentName, ReleaseId};
use orchestrator::report::v1::{
    AppliedFallback, ApprovalsReport, CarriedReview, HealthReport, HistoryReport, HistoryRow, HoldReport, Next,
    NextRun, PlanReport, PolicyAcceptReport, ProofSummary, StatusReport, TakeOverReport, TestReport, VerifyReport,
};
use orchestrator::report::v1::{Change, ChangeKind, InputChanges, RollbackPlanReport, Severity};

use super::{Text, append, not_judged, short_id, short_image};
use crate::output::Table;

/// How much of a note the table of the ledger shows, in bytes; the JSON form has all of it.
const NOTE_BYTES: usize = 120;

fn weight(severity: Severity) -> &'static str {
    match severity {
        Severity::Block => "block",
        Severity::Warn => "warn",
    }
}

fn verb(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "add",
        ChangeKind::Removed => "remove",
        ChangeKind::Changed => "change",
    }
}

fn dash() -> String {
    "-".to_owned()
}

impl Text for HealthReport {
    fn text(&self) -> String {
        let mut table = Table::new(&["check", "state", "weight", "detail"]);
        for check in &self.report.checks {
            table.row([check.name.as_str(), check.state.word(), weight(check.severity), check.detail.as_str()]);
        }
        let verdict = if self.report.is_healthy() { "can take a deployment" } else { "must not be deployed to now" };
        format!("{} {verdict}\n\n{}", self.environment, table.render())
    }
}

impl Text for PlanReport {
    fn text(&self) -> String {
        let (name, release, commit) = (&self.environment, self.release.id8(), self.commit.short(12));
        let mut text = match self.pull_request {
            Some(number) => format!("{name}: merging pull request {number} makes release {release}\n"),
            None => format!("{name}: release {release} from commit {commit}\n"),
        };
        text += &match &self.plan {
            Some(_) => changes(&self.changes),
            None => "what would change there is not known\n".to_owned(),
        };
        for skipped in &self.not_deployed {
            append(&mut text, format!("not deployed: {} ({})\n", skipped.service, skipped.reason));
        }
        for open in &self.not_checked {
            append(&mut text, format!("not checked: {open}\n"));
            for detail in &open.details {
                append(&mut text, format!("  {detail}\n"));
            }
        }
        text + &not_judged(&self.not_judged)
    }
}

/// What would change, as a table.
fn changes(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing would change\n".to_owned();
    }
    let mut table = Table::new(&["service", "change", "file", "image"]);
    for change in changes {
        let service = change.service.as_ref().map_or("-", |service| service.as_str());
        let shown = |image: &Option<String>| image.as_deref().map_or_else(|| "none".to_owned(), short_image);
        let images: Vec<String> =
            change.images.iter().map(|image| format!("{} → {}", shown(&image.from), shown(&image.to))).collect();
        table.row([service, verb(change.kind), change.path.as_str(), images.join(", ").as_str()]);
    }
    format!("\n{}", table.render())
}

impl Text for RollbackPlanReport {
    fn text(&self) -> String {
        let name = &self.environment;
        let tag = self.tag.as_ref().map(|tag| format!(" ({tag})")).unwrap_or_default();
        let mut text = format!(
            "{name}: a rollback would go back to release {}{tag}\n  commit {}  lock {}  proven {}\n",
            self.release.id8(),
            self.commit.short(12),
            short_id(self.lock.as_str()),
            self.since
        );
        if let Some(left) = &self.leaves {
            let lock = self.leaves_lock.as_ref().map_or("-", |lock| short_id(lock.as_str()));
            append(&mut text, format!("it would leave release {}, lock {lock}\n", left.id8()));
        }
        append(&mut text, format!("the registry has its {} images\n", self.images.len()));
        if self.is_done {
            text += "the rollback is done already\n";
        }
        text += &changes(&self.changes);
        text + "nothing was written; suites and probes were not asked\n"
    }
}

impl Text for VerifyReport {
    fn text(&self) -> String {
        let name = &self.environment;
        let verdict = if self.proof.is_proven() { "is what the lock says" } else { "is not what the lock says" };
        let mut text = format!(
            "{name}: what is stored {verdict} (release {}, lock {})\n",
            self.release.id8(),
            short_id(self.lock.as_str())
        );
        if self.proof.is_proven() {
            let mut table = Table::new(&["service", "object", "image"]);
            for image in &self.proof.images {
                let service = image.service.as_ref().map_or("-", |service| service.as_str());
                table.row([service, image.object.as_str(), short_image(&image.image).as_str()]);
            }
            return text + "\n" + &table.render();
        }
        for finding in &self.proof.findings {
            append(&mut text, format!("  {finding}\n"));
        }
        text + &format!("hint: `orchestrator deploy {name} --again` puts it back\n")
    }
}

impl Text for TestReport {
    fn text(&self) -> String {
        let mut table = Table::new(&["suite", "verdict", "detail"]);
        for report in &self.suites {
            for (index, line) in report.summary().lines().enumerate() {
                let (suite, verdict) =
                    if index == 0 { (report.suite.as_str(), report.verdict.word()) } else { ("", "") };
                table.row([suite, verdict, line]);
            }
        }
        let verdict = if self.is_passed() { "all suites passed" } else { "not all suites passed" };
        format!("{}: {verdict}\n\n{}", self.environment, table.render())
    }
}

impl Text for ApprovalsReport {
    fn text(&self) -> String {
        if self.needed == 0 {
            return format!("{}\n{}", self.summary, changed_inputs(&self.inputs));
        }
        let mut text = format!(
            "pull request {}: {} (head {}, rules of `{}` at {})\n",
            self.pull_request,
            self.summary,
            self.head.short(12),
            self.branch,
            self.policy.commit.as_ref().map_or("the head itself", |commit| commit.short(12))
        );
        let mut table = Table::new(&["who", "counts", "why"]);
        for user in &self.counted {
            table.row([user.as_str(), "yes", "approved this content"]);
        }
        for review in &self.not_counted {
            table.row([review.user.as_str(), "no", review.reason.as_str()]);
        }
        let waiting = self.eligible.iter().filter(|user| !self.counted.contains(user));
        let waiting: Vec<&str> =
            waiting.filter(|user| self.not_counted.iter().all(|one| one.user != **user)).map(String::as_str).collect();
        for person in self.excluded.iter().filter(|one| self.not_counted.iter().all(|known| known.user != one.user)) {
            table.row([person.user.as_str(), "never", person.reason.as_str()]);
        }
        if !table.is_empty() {
            text += "\n";
            text += &table.render();
        }
        if self.missing > 0 && !waiting.is_empty() {
            append(&mut text, format!("\ncould approve: {}\n", waiting.join(", ")));
        }
        if let Some(fallback) = &self.fallback {
            let AppliedFallback { count, owner, reason, until } = fallback;
            let enough = crate::output::count(usize::try_from(*count).unwrap_or(usize::MAX), "approval");
            append(&mut text, format!("fallback until {until}: {enough} instead, decided by {owner}: {reason}\n"));
        }
        if !self.carried.is_empty() {
            append(&mut text, format!("\n{}", carried(&self.carried)));
        }
        text += &changed_inputs(&self.inputs);
        for obstacle in &self.obstacles {
            append(&mut text, format!("must not be merged: {obstacle}\n"));
        }
        text
    }
}

/// The pull requests in a promotion, with those who looked at each.
fn carried(pull_requests: &[CarriedReview]) -> String {
    let mut table = Table::new(&["carries", "opened by", "merged by", "approved by", "title"]);
    for one in pull_requests {
        let approved = if one.approved_by.is_empty() { "no review".to_owned() } else { one.approved_by.join(", ") };
        let number = format!("#{}", one.number);
        table.row([&number, &one.author, one.merged_by.as_ref().unwrap_or(&dash()), &approved, &one.title]);
    }
    table.render()
}

/// The files that a release reads and a change changes, a line each.
fn changed_inputs(inputs: &InputChanges) -> String {
    if inputs.files.is_empty() {
        return String::new();
    }
    let mut text = "\nchanged files that the release reads:\n".to_owned();
    for file in &inputs.files {
        let lines = file.lines.map(|lines| format!(" +{} -{}", lines.added, lines.removed)).unwrap_or_default();
        append(&mut text, format!("  {} {}{lines}\n", verb(file.change), file.path));
    }
    match inputs.count.saturating_sub(inputs.files.len()) {
        0 => text,
        more => text + &format!("  and {more} more\n"),
    }
}

impl Text for HoldReport {
    fn text(&self) -> String {
        let (name, reason) = (&self.environment, &self.reason);
        let mut text = match (self.held, self.record) {
            (true, Some(record)) => format!("{name} is held: {reason} (record {record})\n"),
            (true, None) => format!("{name} is held already for this reason\n"),
            (false, Some(record)) => format!("{name} is free again: {reason} (record {record})\n"),
            (false, None) => format!("{name} was not held\n"),
        };
        if let Some(release) = &self.accepted {
            append(&mut text, format!("release {} may be deployed there again\n", release.id8()));
        }
        if let Some(next) = &self.next {
            append(&mut text, next_run(name, next));
        }
        text
    }
}

fn next_run(name: &EnvironmentName, next: &NextRun) -> String {
    let commit = next.commit.short(12);
    let Some(release) = next.release.as_ref().map(ReleaseId::id8) else {
        return format!("the next run would take up commit {commit}, whose lock is not committed yet\n");
    };
    match &next.refused {
        Some(gone) => format!(
            "the next run would refuse release {release} of commit {commit}: a rollback took it out on {}, by {}: {}\n\
             hint: `orchestrator unhold {name} --accept {release} --reason …` lets it be deployed again\n",
            gone.at, gone.by, gone.reason
        ),
        None if next.is_deployed => format!("the next run would find release {release} of commit {commit} in place\n"),
        None => format!("the next run would deploy release {release} of commit {commit}\n"),
    }
}

impl Text for PolicyAcceptReport {
    fn text(&self) -> String {
        let record = self.record.map(|record| format!(" (record {record})")).unwrap_or_default();
        format!(
            "{} is judged by the rules of {}, until a later commit of `{}` passes: {}{record}\n",
            self.environment,
            self.commit.short(12),
            self.branch,
            self.reason
        )
    }
}

impl Text for TakeOverReport {
    fn text(&self) -> String {
        let name = &self.environment;
        if self.places.is_empty() {
            return format!("every place that {name} writes is its own\n");
        }
        let mut text = String::new();
        for taken in &self.places {
            let record = taken.record.map(|record| format!(" (record {record})")).unwrap_or_default();
            append(&mut text, format!("{} belongs to {name} from now on{record}\n", taken.place));
            for reason in &taken.reasons {
                append(&mut text, format!("  before: {reason}\n"));
            }
        }
        if let Some(record) = self.hold {
            append(
                &mut text,
                format!(
                    "{name} is held, as the environment was that had the place (record {record}): \
                     `orchestrator unhold {name} --reason …` lets deployments go on\n"
                ),
            );
        }
        text
    }
}

impl Text for HistoryReport {
    fn text(&self) -> String {
        if self.records.is_empty() {
            return "the ledger has no records yet\n".to_owned();
        }
        let mut table = Table::new(&["seq", "at", "environment", "step", "result", "release", "commit", "by", "note"]);
        for row in &self.records {
            table.row(cells(row));
        }
        table.render()
    }
}

fn cells(row: &HistoryRow) -> [String; 9] {
    let note = row.note.as_deref().and_then(|note| note.lines().next()).unwrap_or_default();
    [
        row.seq.to_string(),
        row.at.to_string(),
        row.environment.as_ref().map_or_else(dash, ToString::to_string),
        row.step.clone(),
        row.result.to_string(),
        row.release.as_ref().map_or_else(dash, |release| release.id8().to_owned()),
        row.commit.as_ref().map_or_else(dash, |commit| commit.short(7).to_owned()),
        row.by.clone(),
        shorten(note, NOTE_BYTES),
    ]
}

impl Text for StatusReport {
    fn text(&self) -> String {
        if self.environments.is_empty() {
            return "no environment with a branch is configured yet\n".to_owned();
        }
        let mut table = Table::new(&["environment", "release", "commit", "proof", "tag", "hold", "next"]);
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
                row.hold.as_ref().map_or_else(dash, |hold| format!("{}: {}", hold.by, hold.reason)),
                match &row.next {
                    Next::First => "the first run".to_owned(),
                    Next::Continue { step, attempt } => format!("{step} (attempt {attempt})"),
                    Next::ContinueRollback { release } => format!("rollback to {}", release.id8()),
                    Next::Unhold => "unhold".to_owned(),
                    Next::Nothing => "a new release".to_owned(),
                },
            ]);
        }
        table.render()
    }
}
