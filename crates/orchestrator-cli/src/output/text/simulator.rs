use orchestrator::report::v1::{
    ForgeInitReport, ForgeReviewReport, MergeReport, PullRequestList, PullRequestReport, UpdateVerdictReport,
};

use super::{Text, append};
use crate::output::Table;

impl Text for ForgeInitReport {
    fn text(&self) -> String {
        let words = match (self.created, self.changes.as_slice()) {
            (true, _) => "is made",
            (false, []) => "is there already",
            (false, _) => "is changed",
        };
        let mut text = format!("the forge {words}: {}\n", self.forge);
        for change in &self.changes {
            append(&mut text, format!("  {change}\n"));
        }
        text
    }
}

impl Text for UpdateVerdictReport {
    fn text(&self) -> String {
        if self.allowed && !self.bypassed { String::new() } else { format!("{}: {}\n", self.reference, self.verdict) }
    }
}

impl Text for PullRequestReport {
    fn text(&self) -> String {
        let pull_request = &self.pull_request;
        let mut text = format!(
            "{}\n  {} → {} at {}: {}\n",
            self.summary,
            pull_request.head_branch,
            pull_request.base_branch,
            pull_request.head.short(12),
            lock_model::escaping::escape_terminal(&pull_request.title)
        );
        if !self.conflicts.is_empty() {
            append(&mut text, format!("  conflicts: {}\n", self.conflicts.join(", ")));
        }
        let mut statuses = Table::new(&["status", "state", "says"]);
        for status in &self.statuses {
            statuses.row([&status.context, &status.state, &status.description]);
        }
        let mut reviews = Table::new(&["review", "stance", "commit"]);
        for review in &self.reviews {
            reviews.row([review.user.as_str(), review.state.as_str(), review.commit.short(12)]);
        }
        for table in [statuses, reviews] {
            if !table.is_empty() {
                text += "\n";
                text += &table.render();
            }
        }
        if let Some(command) = &self.approve {
            append(&mut text, format!("\napprove this head: {command}\n"));
        }
        for comment in &self.comments {
            append(&mut text, format!("\n--- comment by {}\n{}\n", comment.user, comment.body.trim_end()));
        }
        text
    }
}

impl Text for PullRequestList {
    fn text(&self) -> String {
        if self.pull_requests.is_empty() {
            return "there are no pull requests\n".to_owned();
        }
        let mut table = Table::new(&["number", "state", "from", "to", "head", "title"]);
        for pull_request in &self.pull_requests {
            table.row([
                pull_request.number.to_string().as_str(),
                &pull_request.state,
                &pull_request.head_branch,
                &pull_request.base_branch,
                pull_request.head.short(12),
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
        format!("{} {did} pull request {} at {}\n", self.user, self.pull_request, self.commit.short(12))
    }
}

impl Text for MergeReport {
    fn text(&self) -> String {
        let mut text =
            format!("pull request {} is merged: {} by {}\n", self.pull_request, self.commit.short(12), self.by);
        for rule in &self.bypassed {
            append(&mut text, format!("  bypassed, and recorded: {rule}\n"));
        }
        text
    }
}
