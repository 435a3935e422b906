use orchestrator::report::v1::{
    ForgeReviewReport, MergeReport, PullRequestChecks, PullRequestList, PullRequestReport, PullRequestSummary,
    PullRequestView, ShownStatus,
};

use super::Text;
use crate::output::{Page, Table, Tone, markdown};

/// Digits of a commit that people compare.
const DIGITS: usize = 12;

fn line(pull_request: &PullRequestSummary) -> String {
    let PullRequestSummary { head_branch, base_branch, head, title, .. } = pull_request;
    format!("  {head_branch} → {base_branch} at {}: {title}\n", head.short(DIGITS))
}

impl Text for PullRequestReport {
    fn text(&self) -> Page {
        format!("{}\n{}", self.summary, line(&self.pull_request)).into()
    }
}

impl Text for PullRequestView {
    fn text(&self) -> Page {
        let PullRequestSummary { number, state, author, created_at, updated_at, .. } = &self.pull_request;
        let mut text = Page::from(format!("pull request {number} is "));
        text += Page::toned(state_tone(state), state.as_str()) + format!(", opened by {author} at {created_at}");
        if let (Some(by), Some(commit)) = (&self.pull_request.merged_by, &self.pull_request.merge_commit) {
            text += format!(", merged by {by} at {updated_at} as {}", commit.short(DIGITS));
        }
        text += format!("\n{}", line(&self.pull_request));
        for rule in &self.bypassed {
            text += format!("  bypassed, and recorded: {rule}\n");
        }
        if !self.conflicts.is_empty() {
            text += format!("  conflicts: {}\n", self.conflicts.join(", "));
        }
        let body = markdown::to_page(&self.body);
        if !body.is_empty() {
            text += Page::from("\n") + body;
        }
        if !self.statuses.is_empty() {
            text += Page::from("\n") + statuses(&self.statuses);
        }
        let mut reviews = Table::new(&["review", "verdict", "commit", "at"]);
        for review in &self.reviews {
            let at = review.at.to_string();
            let cells = [review.user.as_str(), &review.state.replace('_', " "), review.commit.short(DIGITS), &at];
            reviews.row(cells).paint("verdict", state_tone(&review.state));
        }
        if !reviews.is_empty() {
            text += Page::from("\n") + reviews;
        }
        for review in self.reviews.iter().filter(|review| !review.body.trim().is_empty()) {
            text += said("review", &review.user, &review.at.to_string(), &review.body);
        }
        for comment in &self.comments {
            text += said("comment", &comment.user, &comment.updated_at.to_string(), &comment.body);
        }
        if let Some(command) = &self.approve {
            text += format!("\napprove this head: {command}\n");
        }
        text
    }
}

/// What a person or program wrote, under a line that says so.
fn said(kind: &str, user: &str, at: &str, body: &str) -> Page {
    Page::from(format!("\n--- {kind} by {user} at {at}\n")) + markdown::to_page(body)
}

/// What a state of a pull request, review or status means for its readers.
fn state_tone(state: &str) -> Tone {
    match state {
        "open" | "merged" | "approved" | "success" => Tone::Good,
        "changes_requested" | "failure" | "error" => Tone::Bad,
        "pending" | "missing" | "draft" => Tone::Doubtful,
        _ => Tone::Plain,
    }
}

fn statuses(statuses: &[ShownStatus]) -> Table {
    let mut table = Table::new(&["status", "state", "needed", "description"]).dispensable(&["needed"]);
    for status in statuses {
        let needed = if status.required { "yes" } else { "no" };
        let description = status.problem.as_ref().unwrap_or(&status.description);
        let cells = [status.context.as_str(), status.state.as_str(), needed, description.as_str()];
        table.row(cells).paint("state", state_tone(&status.state));
    }
    table
}

impl Text for PullRequestChecks {
    fn text(&self) -> Page {
        let Self { pull_request, head, base_branch, summary, .. } = self;
        let mut text = Page::from(format!(
            "pull request {pull_request}: {summary} (head {}, rules of `{base_branch}`)\n",
            head.short(DIGITS)
        ));
        if !self.checks.is_empty() {
            text += Page::from("\n") + statuses(&self.checks);
        }
        text
    }
}

impl Text for PullRequestList {
    fn text(&self) -> Page {
        if self.pull_requests.is_empty() {
            return "there are no such pull requests\n".into();
        }
        let mut table = Table::new(&["number", "state", "from", "to", "head", "author", "title"])
            .dispensable(&["head", "author", "from"]);
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
            table.paint("state", state_tone(&pull_request.state));
        }
        table.into()
    }
}

impl Text for ForgeReviewReport {
    fn text(&self) -> Page {
        let did = match self.state.as_str() {
            "changes_requested" => "requested changes on",
            "commented" => "commented on",
            "dismissed" => "took back the review of",
            state => state,
        };
        format!("{} {did} pull request {} at {}\n", self.user, self.pull_request, self.commit.short(DIGITS)).into()
    }
}

impl Text for MergeReport {
    fn text(&self) -> Page {
        let merged = format!("pull request {} is merged", self.pull_request);
        let mut text = Page::toned(Tone::Good, merged) + format!(": {} by {}\n", self.commit.short(DIGITS), self.by);
        for rule in &self.bypassed {
            text += format!("  bypassed, and recorded: {rule}\n");
        }
        text
    }
}
