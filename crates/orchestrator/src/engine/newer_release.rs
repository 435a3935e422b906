//! Whether a newer release comes to the environment's branch while one is deployed.

use std::convert::Infallible;
use std::time::Duration;

use deployer::Superseding;
use promotion::attempts::Purpose;

use super::Engine;
use crate::revision::Revision;

/// How often the forge is asked.
const LOOK: Duration = Duration::from_secs(10);

impl Engine<'_> {
    /// Looks at the branch of the environment, without an end, and says in `superseding` when it holds something newer than
    /// this release: another content on top of its commit. What the forge does not answer is no news.
    pub(super) async fn watch_for_newer(&self, superseding: &Superseding) -> Infallible {
        let branch = self.environment.branch.as_ref().filter(|_| self.purpose == Purpose::Run);
        let Some(branch) = branch else { return std::future::pending().await };
        let mut seen = self.context.find_branch_head(branch.as_str()).await.ok().flatten();
        loop {
            tokio::time::sleep(LOOK).await;
            let Ok(Some(head)) = self.context.find_branch_head(branch.as_str()).await else { continue };
            if seen.as_ref() == Some(&head) {
                continue;
            }
            let ours = self.revision.commit.as_str();
            let is_on_top = self.context.git.is_ancestor(ours, head.as_str()).unwrap_or(false);
            if is_on_top
                && let Ok(newer) = Revision::load(self.context, &head)
                && let Some(newer) = self.newer(&newer)
            {
                superseding.set(newer);
                return std::future::pending().await;
            }
            seen = Some(head);
        }
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
