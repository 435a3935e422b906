use orchestrator::report::v1::{
    ForgeReviewReport, MergeReport, PullRequestChecks, PullRequestList, PullRequestReport, PullRequestSummary,
    PullRequestView, ShownStatus,
};

use super::{Text, append};
use crate::output::{Table, markdown};

/// Digits of a commit that people compare.
const DIGITS: usize = 12;

fn line(pull_request: &PullRequestSummary) -> String {
    let PullRequestSummary { head_branch, base_branch, head, title, .. } = pull_request;
    format!(
        "  {head_branch} → {base_branch} at {}: {}\n",
        head.short(DIGITS),
        lock_model::escaping::escape_terminal(title)
    )
}

impl Text for PullRequestReport {
    fn text(&self) -> String {
        format!("{}\n{}", self.summary, line(&self.pull_request))
    }
}

impl Text for PullRequestView {
    fn text(&self) -> String {
        let PullRequestSummary { number, state, author, created_at, updated_at, .. } = &self.pull_request;
        let mut text = format!("pull request {number} is {state}, opened by {author} at {created_at}");
        if let (Some(by), Some(commit)) = (&self.pull_request.merged_by, &self.pull_request.merge_commit) {
            append(&mut text, format!(", merged by {by} at {updated_at} as {}", commit.short(DIGITS)));
        }
        append(&mut text, format!("\n{}", line(&self.pull_request)));
        for rule in &self.bypassed {
            append(&mut text, format!("  bypassed, and recorded: {rule}\n"));
        }
        if !self.conflicts.is_empty() {
            append(&mut text, format!("  conflicts: {}\n", self.conflicts.join(", ")));
        }
        let body = markdown::to_text(&self.body);
        if !body.is_empty() {
            append(&mut text, format!("\n{body}"));
        }
        if !self.statuses.is_empty() {
            append(&mut text, format!("\n{}", statuses(&self.statuses)));
        }
        let mut reviews = Table::new(&["review", "verdict", "commit", "at"]);
        for review in &self.reviews {
            let at = review.at.to_string();
            reviews.row([review.user.as_str(), &review.state.replace('_', " "), review.commit.short(DIGITS), &at]);
        }
        if !reviews.is_empty() {
            append(&mut text, format!("\n{}", reviews.render()));
        }
        for review in self.reviews.iter().filter(|review| !review.body.trim().is_empty()) {
            said(&mut text, "review", &review.user, &review.at.to_string(), &review.body);
        }
        for comment in &self.comments {
            said(&mut text, "comment", &comment.user, &comment.updated_at.to_string(), &comment.body);
        }
        if let Some(command) = &self.approve {
            append(&mut text, format!("\napprove this head: {command}\n"));
        }
        text
    }
}

/// What a person or program wrote, under a line that says so.
fn said(text: &mut String, kind: &str, user: &str, at: &str, body: &str) {
    append(text, format!("\n--- {kind} by {user} at {at}\n{}", markdown::to_text(body)));
}

fn statuses(statuses: &[ShownStatus]) -> String {
    let mut table = Table::new(&["status", "state", "needed", "description"]);
    for status in statuses {
        let needed = if status.required { "yes" } else { "no" };
        let description = status.problem.as_ref().unwrap_or(&status.description);
        table.row([status.context.as_str(), status.state.as_str(), needed, description.as_str()]);
    }
    table.render()
}

impl Text for PullRequestChecks {
    fn text(&self) -> String {
        let Self { pull_request, head, base_branch, summary, .. } = self;
        let mut text = format!("pull request {pull_request}: {summary} (head {}", head.short(DIGITS));
        append(&mut text, format!(", rules of `{base_branch}`)\n"));
        if !self.checks.is_empty() {
            append(&mut text, format!("\n{}", statuses(&self.checks)));
        }
        text
    }
}

impl Text for PullRequestList {
    fn text(&self) -> String {
        if self.pull_requests.is_empty() {
            return "there are no such pull requests\n".to_owned();
        }
        let mut table = Table::new(&["number", "state", "from", "to", "head", "author", "title"]);
        for pull_request in &self.pull_requests {
            table.row([
                pull_request.number.to_string().as_str(),
                &pull_request.state,
                &pull_request.head_branch,
                &pull_request.base_branch,
                pull_request.head.short(DIGITS),
                &pull_request.author,
                &pull_request.title,
            ]);
        }
        table.render()
    }
}

impl Text for ForgeReviewReport {
    fn text(&self) -> String {
        let did = match self.state.as_str() {
            "changes_requested" => "requested changes on",
            "commented" => "commented on",
            "dismissed" => "took back the review of",
            state => state,
        };
        format!("{} {did} pull request {} at {}\n", self.user, self.pull_request, self.commit.short(DIGITS))
    }
}

impl Text for MergeReport {
    fn text(&self) -> String {
        let mut text =
            format!("pull request {} is merged: {} by {}\n", self.pull_request, self.commit.short(DIGITS), self.by);
        for rule in &self.bypassed {
            append(&mut text, format!("  bypassed, and recorded: {rule}\n"));
        }
        text
    }
}
