use orchestrator::ErrorKind;
use orchestrator::report::v1::{Operation, RunReport, StepResult};

use super::{Text, short_id, superseded};
use crate::output::{Page, Table, Tone};

impl Text for RunReport {
    fn text(&self) -> Page {
        if let Some(note) = &self.superseded {
            return superseded(note);
        }
        let mut table = Table::new(&["step", "result", "detail"]);
        for line in &self.steps {
            for (index, detail) in line.detail.lines().enumerate() {
                let (step, result) = if index == 0 { (line.step.as_str(), line.result.as_str()) } else { ("", "") };
                table.row([step, result, detail]).paint("result", tone(line.result));
            }
        }
        let name = &self.environment;
        let mut text = verdict(self);
        text += format!(
            "\n  commit {}  lock {}\n\n",
            self.commit.as_ref().map_or("-", |commit| commit.short(12)),
            self.lock.as_ref().map_or("-", |lock| short_id(lock.as_str())),
        );
        text += Page::told(table);
        if self.stopped.is_some() && !self.rolled_back {
            let revision = self.revision.as_ref().map(|revision| format!(" --rev {revision}")).unwrap_or_default();
            let again = if self.again { " --again" } else { "" };
            let reason = if self.operation == Operation::Rollback { " --reason …" } else { "" };
            text += format!(
                "Once the cause is gone: `orchestrator {} {name}{revision}{again}{reason}` goes on from here.\n",
                command(self.operation)
            );
        }
        if self.operation == Operation::Rollback {
            text += format!("\n`{name}` is held: `orchestrator unhold {name} --reason …` lets deployments go on.\n");
        }
        if let Some(lock) = &self.left {
            text +=
                format!("`orchestrator lock reject {lock} --reason …` keeps what it left out of every environment.\n");
        }
        text
    }
}

fn tone(result: StepResult) -> Tone {
    match result {
        StepResult::Ok => Tone::Good,
        StepResult::Failed | StepResult::Refused => Tone::Bad,
        StepResult::Done => Tone::Quiet,
    }
}

fn command(operation: Operation) -> &'static str {
    match operation {
        Operation::Run => "run",
        Operation::Deploy => "deploy",
        Operation::Promote => "promote",
        Operation::Release => "release",
        Operation::Rollback => "rollback",
    }
}

/// The first line.
fn verdict(report: &RunReport) -> Page {
    let ended = |result: StepResult| report.steps.iter().any(move |line| line.result == result);
    let deployed = report.steps.iter().any(|line| line.step == "deploy" && line.result == StepResult::Ok);
    let release =
        format!("{}: release {}", report.environment, report.release.as_ref().map_or("-", |release| release.id8()));
    let words = match (report.stopped, report.operation) {
        (None, Operation::Run) => "is through",
        (None, Operation::Deploy) => "is deployed",
        (None, Operation::Rollback) => "is back",
        (None, Operation::Promote) if !ended(StepResult::Ok) => "was promoted before: nothing is left to do",
        (None, Operation::Release) if !ended(StepResult::Ok) => "was released before: nothing is left to do",
        (None, Operation::Promote) => "is promoted",
        (None, Operation::Release) => "is released",
        (Some(ErrorKind::Refused | ErrorKind::Repository), _) if !deployed => "was refused, nothing was deployed",
        (Some(_), _) => "did not come through",
    };
    let tone = if report.stopped.is_none() { Tone::Good } else { Tone::Bad };
    Page::toned(tone, format!("{release} {words}"))
}
