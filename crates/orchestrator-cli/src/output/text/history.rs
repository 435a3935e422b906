use ledger::StepResult;
use lock_model::EnvironmentName;
use lock_model::escaping::shorten;
use orchestrator::report::v1::{
    EvidenceReport, HistoryReport, HistoryRow, RecordReport, ReleaseRow, ReleasesReport, RollbackCheckReport,
};

use super::environment::dash;
use super::{Text, short_id};
use crate::output::{Page, Table, Tone};

/// How much of a note the table of the ledger shows, in bytes; `history show` and the JSON form have all of it.
const NOTE_BYTES: usize = 120;

impl Text for HistoryReport {
    fn text(&self) -> Page {
        match (self.records.len(), self.total) {
            (0, 0) => return "the ledger has no records yet\n".into(),
            (0, 1) => return "the ledger has 1 record, and it is none of these\n".into(),
            (0, total) => return format!("the ledger has {total} records, and none of these\n").into(),
            _ => {}
        }
        let mut table = Table::new(&["seq", "at", "environment", "step", "result", "release", "commit", "by", "note"])
            .dispensable(&["commit", "by", "at", "note", "seq"]);
        for row in &self.records {
            table.row(cells(row)).paint("result", tone(row.result));
        }
        table.into()
    }
}

fn tone(result: StepResult) -> Tone {
    match result {
        StepResult::Ok => Tone::Good,
        StepResult::Failed | StepResult::Refused => Tone::Bad,
        StepResult::Started => Tone::Doubtful,
        StepResult::Superseded => Tone::Quiet,
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

impl Text for RecordReport {
    fn text(&self) -> Page {
        let entry = &self.entry;
        let mut text = Page::from(format!("record {}: {} ", self.seq, entry.key()));
        text += Page::toned(tone(entry.result), entry.result.to_string()) + "\n";
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                text += format!("  {name:<12} {value}\n");
            }
        };
        line("environment", entry.environment.as_ref().map(ToString::to_string));
        line("release", entry.release.as_ref().map(ToString::to_string));
        line("tag", entry.tag.clone());
        line("lock", entry.lock.as_ref().map(ToString::to_string));
        line("lock file", self.lock_file.as_ref().map(ToString::to_string));
        line("config", entry.config.as_ref().map(ToString::to_string));
        line("commit", entry.commit.as_ref().map(ToString::to_string));
        line("tree", entry.tree.as_ref().map(ToString::to_string));
        line("suite", entry.suite.as_ref().map(|suite| format!("{} {}", suite.name, suite.digest)));
        line("started", Some(entry.started.to_string()));
        line("finished", entry.finished.map(|finished| finished.to_string()));
        line("by", Some(format!("{} (run {}, attempt {})", entry.run.actor, entry.run.id, entry.run.attempt)));
        line("lease", entry.lease_number.map(|number| format!("number {number}")));
        line("proof", entry.proof.map(|level| level.to_string()));
        line("unreviewed", entry.unreviewed.map(|unreviewed| unreviewed.as_str().to_owned()));
        line(
            "rules",
            entry.policy.as_ref().map(|policy| match &policy.commit {
                Some(commit) => format!("{} {commit}", policy.source.as_str()),
                None => policy.source.as_str().to_owned(),
            }),
        );
        let numbers: Vec<String> = entry.pulls.iter().map(|number| format!("#{number}")).collect();
        line("brings", (!numbers.is_empty()).then(|| numbers.join(", ")));
        line("owner", entry.owner.clone());
        line("reason", entry.reason.as_ref().map(|reason| reason.trim_end().replace('\n', "\n               ")));
        line("file", Some(self.file.clone()));
        for evidence in &entry.evidence {
            text += format!("  evidence     {}\n               {}\n", evidence.name, evidence.path());
        }
        if let Some(evidence) = entry.evidence.first() {
            text += format!("`orchestrator history evidence {} {}` shows it\n", self.seq, evidence.name);
        }
        text
    }
}

impl Text for EvidenceReport {
    fn text(&self) -> Page {
        Page::document(self.content.clone())
    }
}

impl Text for ReleasesReport {
    fn text(&self) -> Page {
        if self.releases.is_empty() {
            return "no environment has proven a release yet\n".into();
        }
        let mut table = Table::new(&["release", "date", "tag", "lock", "proven in", "deployed in", "rollback"])
            .dispensable(&["lock", "date"]);
        let mut refusals = String::new();
        for row in &self.releases {
            table.row(release_cells(row));
            if let Some(rejected) = &row.rejected {
                refusals.extend([row.release.id8(), " is never deployed again: ", rejected, "\n"]);
                continue;
            }
            for (choice, reason) in row.rollback.iter().filter_map(|choice| Some((choice, choice.reason.as_ref()?))) {
                let (name, id) = (choice.environment.as_str(), row.release.id8());
                refusals.extend([name, " cannot go back to ", id, ": ", reason, "\n"]);
            }
        }
        let unasked = "whether their images still exist is not asked here: `orchestrator rollback E --check` asks\n";
        Page::from(table) + refusals + unasked
    }
}

impl Text for RollbackCheckReport {
    fn text(&self) -> Page {
        let name = &self.environment;
        if self.releases.is_empty() {
            return format!("no release was proven in `{name}` yet\n").into();
        }
        let mut table = Table::new(&["release", "date", "tag", "rollback", "detail"]).dispensable(&["date"]);
        for row in &self.releases {
            let (word, tone) = match (row.is_deployed, row.possible) {
                (true, true) => ("deployed", Tone::Good),
                (false, true) => ("possible", Tone::Good),
                (true | false, false) => ("impossible", Tone::Bad),
            };
            let problems = row.problems.iter().map(|problem| format!("{}: {}", problem.subject, problem.message));
            let lines: Vec<String> = problems.chain(row.warnings.iter().cloned()).collect();
            let detail = if lines.is_empty() { dash() } else { lines.join("\n") };
            let tag = row.tag.clone().unwrap_or_else(dash);
            let date = row.since.date().to_string();
            table.row([row.release.id8(), &date, &tag, word, &detail]).paint("rollback", tone);
        }
        Page::from(table) + "asked of each: its images, its files, a plan of it, and the migrations since\n"
    }
}

fn release_cells(row: &ReleaseRow) -> [String; 7] {
    let list = |names: Vec<&str>| if names.is_empty() { dash() } else { names.join(", ") };
    [
        row.release.id8().to_owned(),
        row.at.date().to_string(),
        row.tag.clone().unwrap_or_else(dash),
        short_id(row.lock.as_str()).to_owned(),
        list(row.proven.iter().map(|proven| proven.environment.as_str()).collect()),
        list(row.deployed.iter().map(EnvironmentName::as_str).collect()),
        list(row.rollback.iter().filter(|one| one.possible).map(|one| one.environment.as_str()).collect()),
    ]
}
