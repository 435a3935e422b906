//! Giving an environment the places that belonged to another one.

use std::collections::BTreeSet;

use ledger::{Accepts, Hold, Ledger, RecordDraft, Step, StepResult};
use lock_model::EnvironmentName;
use promotion::places::{PlaceRefusal, RefusalReason, refusals};

use crate::context::Context;
use crate::environment_policy::{branch_of, commit_of, find_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_store::LedgerStore;
use crate::places::{place_facts, refuse};
use crate::policy::by_administrator;
use crate::report::v1::{TakeOverReport, TakenPlace};
use crate::revision::load_config;

/// Lets the next run of an environment write the places of its newest configuration that belong to another environment,
/// or hold something else. A hold of an environment that they belonged to comes with them.
///
/// # Errors
///
/// [`ErrorKind::Denied`] where the acting user is no administrator, [`ErrorKind::Refused`] for a protected branch.
pub async fn take_over(context: &Context, name: &EnvironmentName, reason: &str) -> Result<TakeOverReport> {
    context.needs_history()?;
    context.sync()?;
    by_administrator(context).await?;
    let environment = find_environment(context, name).await?;
    let commit = commit_of(context, &branch_of(&environment)?, None).await?;
    let mut store = LedgerStore::read(context).await?;
    let config = load_config(context, commit.as_str())?
        .ok_or_else(|| Error::new(ErrorKind::Usage, format!("commit {} has no configuration", commit.short(12))))?;
    let facts = place_facts(context, store.ledger(), &config, &environment).await?;
    let refusals = refusals(store.ledger(), name, &facts);
    let protected: Vec<PlaceRefusal> =
        refusals.iter().filter(|refusal| refusal.reason == RefusalReason::Protected).cloned().collect();
    refuse(name, &protected)?;

    let draft = |step, reason: &str| {
        let mut draft =
            RecordDraft::new(step, StepResult::Ok, context.run.clone(), context.now()).environment(name).reason(reason);
        draft.commit = Some(commit.clone());
        draft
    };
    let owners: BTreeSet<EnvironmentName> = refusals.iter().filter_map(PlaceRefusal::owner).collect();
    // The hold first: whatever happens between the two records, nothing is deployed to a held place.
    let mut held = None;
    if let Some((owner, hold)) = inherited(store.ledger(), name, &owners) {
        let reason = format!("taken over from `{owner}`, held since {} by {}: {}", hold.since, hold.by, hold.reason);
        let mut draft = draft(Step::Hold, &reason);
        draft.owner = hold.owner;
        held = store.append(context, draft, &[], |_| Ok(())).await?;
    }
    let mut places = Vec::new();
    let mut taken = BTreeSet::new();
    for refusal in &refusals {
        if !taken.insert(&refusal.place) {
            continue;
        }
        let mut draft = draft(Step::Policy, reason);
        draft.accepts = Some(Accepts::Place(refusal.place.to_string()));
        let still = |ledger: &Ledger| match inherited(ledger, name, &owners) {
            None => Ok(()),
            Some((owner, _)) => Err(Error::new(ErrorKind::Temporary, format!("`{owner}` was held meanwhile"))
                .hint("run the same command again: the hold comes with the place")),
        };
        let record = store.append(context, draft, &[], still).await?;
        let of_place = refusals.iter().filter(|other| other.place == refusal.place);
        places.push(TakenPlace {
            place: refusal.place.to_string(),
            reasons: of_place.map(PlaceRefusal::message).collect(),
            record,
        });
    }
    Ok(TakeOverReport { environment: name.clone(), places, hold: held })
}

/// The hold of an owner, where the environment is not held itself.
fn inherited<'a>(
    ledger: &Ledger,
    name: &EnvironmentName,
    owners: &'a BTreeSet<EnvironmentName>,
) -> Option<(&'a EnvironmentName, Hold)> {
    match ledger.held(name) {
        Some(_) => None,
        None => owners.iter().find_map(|owner| Some((owner, ledger.held(owner)?))),
    }
}
