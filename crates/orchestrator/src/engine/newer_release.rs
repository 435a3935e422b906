//! Whether a newer release comes to the environment's branch while one is deployed.

use std::convert::Infallible;
use std::time::Duration;

use deployer::Superseding;
use lock_model::CommitId;
use promotion::attempts::Purpose;

use super::Engine;
use crate::revision::Revision;

/// How often the forge is asked.
const LOOK: Duration = Duration::from_secs(10);

impl Engine<'_> {
    /// The head of the branch that a run follows; what the forge does not answer is no news.
    pub(super) async fn branch_head(&self) -> Option<CommitId> {
        let branch = self.environment.branch.as_ref().filter(|_| self.purpose == Purpose::Run)?;
        self.context.find_branch_head(branch.as_str()).await.ok().flatten()
    }

    /// Looks at the branch of the environment, without an end, and says in `superseding` when it holds something newer than
    /// this release.
    pub(super) async fn watch_for_newer(&self, superseding: &Superseding) -> Infallible {
        let mut seen = self.head_before.clone();
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(head) = self.branch_head().await else { continue };
            if seen.as_ref() == Some(&head) {
                continue;
            }
            if let Some(newer) = self.newer_at(&head) {
                superseding.set(newer);
                return std::future::pending().await;
            }
            seen = Some(head);
        }
    }

    /// What the branch holds now that is newer than this release, and was not there when the deployment began.
    pub(super) async fn newer_on_branch(&self) -> Option<String> {
        let before = self.head_before.as_ref()?;
        let head = self.branch_head().await?;
        if head == *before { None } else { self.newer_at(&head) }
    }

    /// Another content on top of the commit of this release.
    fn newer_at(&self, head: &CommitId) -> Option<String> {
        let is_on_top = self.context.git.is_ancestor(self.revision.commit.as_str(), head.as_str()).unwrap_or(false);
        let newer = Revision::load(self.context, head).ok().filter(|_| is_on_top)?;
        self.newer(&newer)
    }

    /// How people read a revision that is another release than this one; `None` for the same release, also at a commit that
    /// only edits other files.
    fn newer(&self, newer: &Revision) -> Option<String> {
        let ours = &self.lock.lock;
        if newer.mismatches(ours).is_empty() && newer.release(ours) == self.release {
            return None;
        }
        let commit = newer.commit.short(12);
        let lock = newer.lock(self.context).ok().flatten().filter(|file| newer.mismatches(&file.lock).is_empty());
        Some(match lock {
            Some(file) => format!("release {} (commit {commit})", newer.release(&file.lock).id8()),
            None => format!("commit {commit}"),
        })
    }
}
