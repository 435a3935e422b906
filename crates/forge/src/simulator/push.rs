use git::ABSENT;
use lock_model::{BranchName, CommitId, ReleaseTag};

use super::Simulator;
use crate::error::ForgeError;
use crate::local::branches::{Move, PushVerdict};
use crate::local::bypasses::BypassRecord;
use crate::model::Role;

impl Simulator<'_> {
    /// Judges one ref of a push, as git's `update` hook is asked: full ref name, old and new object, zeros for none.
    ///
    /// Nothing has moved yet. A push that bypasses a rule is recorded here: git asks no later hook that could refuse.
    pub fn judge_update(&self, reference: &str, old: &str, new: &str) -> Result<PushVerdict, ForgeError> {
        let forge = self.forge;
        let user = match forge.actor_with(Role::Write)? {
            Ok(user) => user,
            Err(reason) => return Ok(PushVerdict::Refused { reasons: vec![reason] }),
        };
        if new != ABSENT
            && let Some(reason) = no_place(reference)
        {
            return Ok(PushVerdict::Refused { reasons: vec![reason] });
        }
        if let Some(branch) = reference.strip_prefix("refs/heads/") {
            let branch = match BranchName::try_from(branch) {
                Ok(branch) => branch,
                Err(error) => return Ok(PushVerdict::Refused { reasons: vec![error.to_string()] }),
            };
            let (old, new) = (object(old)?, object(new)?);
            let movement = match (&old, &new) {
                (_, None) => Move::Delete,
                (None, Some(_)) => Move::Create,
                (Some(old), Some(new)) if forge.git.is_ancestor(old.as_str(), new.as_str())? => Move::FastForward,
                (Some(_), Some(_)) => Move::Force,
            };
            let verdict = forge.judge_move(&branch, &user, movement, old.as_ref(), new.as_ref())?;
            if let (PushVerdict::Bypassed { rules }, Some(after)) = (&verdict, new) {
                let record = BypassRecord::new(&branch, old, after, &user.name, forge.clock.now(), rules);
                forge.record_bypass(&forge.store.writer()?, record)?;
            }
            return Ok(verdict);
        }
        let mut reasons = Vec::new();
        if reference.starts_with("refs/pull/") {
            reasons.push(format!("`{reference}` is made by the forge alone"));
        } else if let Some(tag) = reference.strip_prefix("refs/tags/") {
            let reserved = forge.reserved_refs()?.iter().any(|pattern| pattern.covers_tag(tag));
            if reserved && !user.bot {
                reasons.push(format!("tag `{tag}` is reserved: only bots make it"));
            }
            match ReleaseTag::try_from(tag) {
                Ok(tag) if old != ABSENT && self.release(&tag)?.is_some() => {
                    reasons.push(format!("tag `{tag}` belongs to a release: it is neither moved nor deleted"));
                }
                Ok(tag) if old != ABSENT && reserved => {
                    reasons.push(format!("tag `{tag}` is reserved: it is neither moved nor deleted"));
                }
                Ok(_) => {}
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Ok(PushVerdict::refused_for(reasons))
    }
}

/// Why the hook refuses a ref of this name to every user; `None` where the rules of the user decide.
///
/// With `refs/heads/refs/heads/x`, or `refs/refs/heads/x`, beside `refs/heads/x`, every push to the latter ends with
/// "matches more than one"; with `refs/replace/…` git reads other objects than those that it names, or none.
fn no_place(reference: &str) -> Option<String> {
    // The forge's own: refused below, with its reason.
    if reference.starts_with("refs/pull/") {
        return None;
    }
    let name = ["refs/heads/", "refs/tags/", "refs/notes/"].iter().find_map(|kind| reference.strip_prefix(kind));
    match name {
        None => Some(format!("`{reference}` is no branch, tag or note: this forge takes no other refs")),
        Some(name) if name == "HEAD" || name.starts_with("refs/") => {
            Some(format!("git takes `{reference}` for another ref as well"))
        }
        Some(name) if CommitId::try_from(name).is_ok() => {
            Some(format!("`{reference}` is called like a commit, which git would take it for"))
        }
        Some(_) => None,
    }
}

/// An object id as git's hooks get it.
fn object(id: &str) -> Result<Option<CommitId>, ForgeError> {
    if !id.is_empty() && id.bytes().all(|byte| byte == b'0') {
        return Ok(None);
    }
    CommitId::try_from(id).map(Some).map_err(|error| ForgeError::invalid("the push", error))
}
