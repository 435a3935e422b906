use std::collections::{BTreeMap, BTreeSet};

use lock_model::ServiceName;
use lock_model::escaping::escape_terminal;
use orchestrator::report::v1::{
    CommitLines, LockCheckReport, LockCommitReport, LockComposeReport, LockDiffReport, LockGenerateReport,
    LockMigrateReport, LockPublishReport, LockRejectReport, LockShowReport, LockSource, LockedService, MergePlan,
    PlanVerdict, PublishedLock, PushedRefs, SubmoduleCommits,
};

use super::{Text, not_judged, short_id, superseded};
use crate::output::{Page, Table, Tone, count};

/// A lock with its services.
fn lock(id: &str, source: &LockSource, services: &BTreeMap<ServiceName, LockedService>) -> Page {
    let from = source.pull_request.map_or_else(String::new, |number| format!(" of pull request {number}"));
    let mut table = Table::new(&["service", "commit", "image", "digest", "created", "revision"])
        .dispensable(&["created", "revision", "commit"]);
    for (name, service) in services {
        let commit = service.commit.short(12);
        match &service.image {
            Some(image) => {
                let reference = format!("{}:{}", image.repository, image.tag);
                let (digest, created) = (short_id(image.digest.as_str()), image.created.to_string());
                table.row([name.as_str(), commit, &reference, digest, &created, &image.revision]);
            }
            None => {
                table.row([name.as_str(), commit, "configuration only", "-", "-", "-"]);
            }
        }
    }
    let origin = format!(
        "lock {id}\nfrom {}{from}, head {}, base {}, tree {}\n\n",
        source.repository,
        source.head.short(12),
        source.base.short(12),
        source.tree.short(12)
    );
    Page::from(origin) + table
}

/// The branches and tags that commits are on.
fn pushed(on: &BTreeMap<ServiceName, PushedRefs>) -> Table {
    let mut table = Table::new(&["service", "branches", "tags"]);
    for (name, refs) in on {
        let list = |names: &[String]| if names.is_empty() { "-".to_owned() } else { names.join(", ") };
        table.row([name.as_str(), &list(&refs.branches), &list(&refs.tags)]);
    }
    table
}

impl Text for LockShowReport {
    fn text(&self) -> Page {
        lock(self.lock.as_str(), &self.source, &self.services)
    }
}

impl Text for LockGenerateReport {
    fn text(&self) -> Page {
        // Without a folder, stdout is the lock and nothing else.
        let Some(folder) = &self.folder else { return Page::document(self.file.as_str()) };
        let (id, services) = (short_id(self.lock.as_str()), count(self.services.len(), "service"));
        let mut text = Page::from(format!("lock {id} of {services} is in {folder}\n"));
        if let Some(on) = &self.pushed {
            text += Page::from("\n") + pushed(on);
        }
        text + not_judged(&self.not_judged)
    }

    fn notes(&self) -> Option<Page> {
        let pushed: Page = self.pushed.as_ref().map(|on| pushed(on).into()).unwrap_or_default();
        self.folder.is_none().then(|| pushed + not_judged(&self.not_judged))
    }
}

impl Text for LockMigrateReport {
    fn text(&self) -> Page {
        if self.folder.is_none() && self.adopted.is_none() {
            return Page::document(self.file.as_str());
        }
        let mut text = lock(self.lock.as_str(), &self.source, &self.services);
        if let Some(folder) = &self.folder {
            text += format!("\nit is in {folder}\n");
        }
        if let Some(adopted) = &self.adopted {
            let (name, tag) = (&adopted.environment, &adopted.tag);
            text += format!(
                "\n{name} takes it over as `{tag}`: `orchestrator rollback {name} --to {tag} --reason …` goes there\n"
            );
        }
        text
    }
}

impl Text for LockComposeReport {
    fn text(&self) -> Page {
        let Some(output) = &self.written else { return Page::document(self.file.as_str()) };
        let images = count(self.services.len(), "image");
        let id = short_id(self.lock.as_str());
        format!(
            "{images} of lock {id} in {output}: `docker compose -f {} -f {output} up` runs them\n",
            self.compose_file
        )
        .into()
    }
}

impl Text for LockCheckReport {
    fn text(&self) -> Page {
        let mut table = Table::new(&["question", "answer", "detail"]);
        for one in &self.answers {
            if one.answer {
                table.row([one.question.as_str(), "yes", one.detail.as_str()]).paint("answer", Tone::Good);
            }
            for (index, finding) in one.findings.iter().enumerate() {
                let (question, answer) = if index == 0 { (one.question.as_str(), "no") } else { ("", "") };
                table.row([question, answer, finding.as_str()]).paint("answer", Tone::Bad);
            }
        }
        let (tone, verdict) = match (self.usable, self.not_judged.is_empty()) {
            (true, true) => (Tone::Good, "can be used"),
            (true, false) => (Tone::Good, "can be used, as far as it was judged"),
            (false, _) => (Tone::Bad, "cannot be used"),
        };
        Page::toned(tone, format!("the lock {verdict}")) + "\n\n" + table + not_judged(&self.not_judged)
    }
}

impl Text for LockDiffReport {
    fn text(&self) -> Page {
        let mut text = Page::from(format!("{} → {}\n", short_id(self.before.as_str()), short_id(self.after.as_str())));
        if self.changes.is_empty() {
            text += "nothing changes\n";
        } else {
            let mut table = Table::new(&["service", "what changes"]);
            for problem in &self.changes {
                table.row([problem.subject.as_str(), problem.message.as_str()]);
                for detail in &problem.details {
                    table.row(["", detail.as_str()]);
                }
            }
            text += "\n";
            text += table;
        }
        for (service, commits) in self.commits.iter().flatten() {
            text += commits_of(service, commits);
        }
        text
    }
}

/// The commits of a service, a block.
fn commits_of(service: &ServiceName, commits: &SubmoduleCommits) -> String {
    let mut lines = vec![String::new(), format!("{service}: {}", commits.summary())];
    if let SubmoduleCommits::Known { added, removed, .. } = commits {
        lines.extend(listed('+', added));
        lines.extend(listed('-', removed));
    }
    lines.iter().map(|line| escape_terminal(line) + "\n").collect()
}

fn listed(sign: char, commits: &CommitLines) -> impl Iterator<Item = String> {
    let shown = commits
        .newest
        .iter()
        .map(move |commit| format!("  {sign} {} {} ({})", commit.commit.short(12), commit.subject, commit.author));
    let more = commits.count.saturating_sub(commits.newest.len());
    shown.chain((more > 0).then(|| format!("  {sign} and {more} more")))
}

impl Text for LockPublishReport {
    fn text(&self) -> Page {
        let number = self.pull_request;
        match (&self.published, &self.superseded) {
            (Some(published), _) => published_text(number, published),
            (None, note) => superseded(&format!(
                "{}; `lock publish` again makes the lock of what it is now",
                note.as_deref().unwrap_or_default()
            )),
        }
    }
}

fn published_text(number: u64, published: &PublishedLock) -> Page {
    let refused = published.plans.iter().any(|plan| plan.decides && plan.verdict == PlanVerdict::Refused);
    let (tone, status) = if refused { (Tone::Bad, "published; the status fails") } else { (Tone::Good, "published") };
    let mut text = Page::toned(tone, format!("pull request {number}")) + format!(": {}\n\n", published.summary);
    text += lock(published.lock.as_str(), &published.source, &published.services);
    if let Some(on) = &published.pushed {
        text += Page::from("\n") + pushed(on);
    }
    text += plans(&published.plans);
    text + format!("\nartefact, comment and status `orchestrator/lock` are {status}\n")
}

/// What the merge would deploy: a row for each environment, and one for each thing that was found.
fn plans(plans: &[MergePlan]) -> Page {
    let mut table = Table::new(&["environment", "plan", "detail"]);
    for plan in plans {
        let services = count(plan.services, "service");
        let changed = plan
            .changes
            .map_or_else(String::new, |changes| format!(", {} changed", count(changes, plan.writes.as_str())));
        let (tone, verdict) = match plan.verdict {
            PlanVerdict::Deploys => (Tone::Good, "deploys"),
            PlanVerdict::Refused => (Tone::Bad, "refuses"),
        };
        table.row([plan.environment.as_str(), verdict, &format!("{services}{changed}")]).paint("plan", tone);
    }
    for found in MergePlan::findings(plans) {
        let environments: Vec<&str> = found.environments.iter().map(|name| name.as_str()).collect();
        let (tone, kind) = if found.is_problem { (Tone::Bad, "problem") } else { (Tone::Doubtful, "not checked") };
        table.row([&environments.join(", "), kind, &found.what.to_string()]).paint("plan", tone);
        for detail in &found.what.details {
            table.row(["", "", detail]);
        }
    }
    if table.is_empty() {
        return Page::default();
    }
    let hints: BTreeSet<&String> = plans.iter().flat_map(|plan| &plan.hints).collect();
    hints.into_iter().fold(Page::from("\n") + table, |text, hint| text + Page::hint(hint))
}

impl Text for LockCommitReport {
    fn text(&self) -> Page {
        match &self.superseded {
            Some(note) => superseded(note),
            None => format!("{}\n", self.note.as_deref().unwrap_or_default()).into(),
        }
    }
}

impl Text for LockRejectReport {
    fn text(&self) -> Page {
        let id = short_id(self.lock.as_str());
        match self.record {
            Some(record) => format!("lock {id} is rejected for ever: {} (record {record})\n", self.reason).into(),
            None => format!("lock {id} was rejected before\n").into(),
        }
    }
}
