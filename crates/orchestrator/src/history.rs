//! What the ledger says happened, and the releases that came of it.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Ledger, ProofVerdict, Step, StepResult};
use lock_model::escaping::escape_short;
use lock_model::{EnvironmentName, ReleaseId, Timestamp};
use promotion::rollback::{RollbackTarget, known_good, migrated};

use crate::context::Context;
use crate::environment_policy::{known_environment, needs_superproject};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::other_names;
use crate::ledger_store::LedgerStore;
use crate::report::v1::{
    self, EvidenceReport, HistoryReport, ProvenIn, RecordReport, ReleaseRow, ReleasesReport, RollbackChoice,
};
use crate::rollback::RollbackGround;

/// Which records to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HistoryRequest {
    /// Those of this environment, and those that concern all of them.
    pub environment: Option<EnvironmentName>,
    /// Those from this time on.
    pub since: Option<Timestamp>,
    /// Those of the release with this tag, or whose id begins with these digits, eight at least.
    pub release: Option<String>,
    /// At most this many, the newest.
    pub limit: Option<usize>,
}

/// The records that a request asks for, oldest first.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where the ledger has no such release, or several, where neither the ledger nor a configuration has
/// the environment, and in a repository that is no superproject; where the ledger cannot be read.
pub async fn history(context: &Context, request: &HistoryRequest) -> Result<HistoryReport> {
    let store = LedgerStore::read_in_time(context).await?;
    needs_superproject(context, store.ledger()).await?;
    if let Some(name) = &request.environment {
        let of_record = |error: Error| match name.as_str().parse::<u64>() {
            Ok(seq) => error.hint(format!("a record is shown by its number: `orchestrator history show {seq}`")),
            Err(_) => error,
        };
        known_environment(context, store.ledger(), name).await.map_err(of_record)?;
    }
    let release = request.release.as_deref().map(|name| named_release(store.ledger(), name)).transpose()?;
    let mut records = v1::history(store.ledger(), request.environment.as_ref());
    records.retain(|row| {
        request.since.is_none_or(|since| row.at >= since)
            && release.as_ref().is_none_or(|release| row.release.as_ref() == Some(release))
    });
    if let Some(limit) = request.limit {
        records = records.split_off(records.len().saturating_sub(limit));
    }
    Ok(HistoryReport { records, total: store.ledger().records().len() })
}

/// One record with everything that it says.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where the ledger has no such record; where the ledger cannot be read.
pub async fn show_record(context: &Context, seq: u64) -> Result<RecordReport> {
    record(&LedgerStore::read_in_time(context).await?, seq)
}

fn record(store: &LedgerStore, seq: u64) -> Result<RecordReport> {
    let records = store.ledger().records();
    store.ledger().record(seq).map(RecordReport::from).ok_or_else(|| {
        let known = match records.last() {
            Some(last) => format!("the ledger has records 1 to {}", last.seq),
            None => "the ledger has no records yet".to_owned(),
        };
        Error::new(ErrorKind::Usage, format!("there is no record {seq}")).hint(known)
    })
}

/// A document that a record names, as it was checked against its digest.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where the ledger has no such record, or the record no such document; [`ErrorKind::Refused`] where
/// its content is not what the record names; where the ledger cannot be read.
pub async fn show_evidence(context: &Context, seq: u64, name: &str) -> Result<EvidenceReport> {
    let store = LedgerStore::read_in_time(context).await?;
    let record = record(&store, seq)?;
    let Some(evidence) = record.entry.evidence.iter().find(|evidence| evidence.name == name) else {
        let names = record.entry.evidence.iter().map(|evidence| evidence.name.as_str());
        let message = format!("record {seq} has no document `{}`", escape_short(name.as_bytes(), 80));
        return Err(Error::new(ErrorKind::Usage, message).hint(match record.entry.evidence.as_slice() {
            [] => "it names none".to_owned(),
            _ => other_names(name, "the record", names),
        }));
    };
    let bytes = store.document(context, &evidence.sha256).await?;
    let content = String::from_utf8_lossy(&bytes).into_owned();
    Ok(EvidenceReport { seq, name: evidence.name.clone(), sha256: evidence.sha256.clone(), content })
}

/// The release that has this tag, or whose id begins with these digits.
fn named_release(ledger: &Ledger, name: &str) -> Result<ReleaseId> {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let named: BTreeSet<&ReleaseId> = ledger
        .records()
        .iter()
        .filter_map(|record| Some((record.entry.release.as_ref()?, record.entry.tag.as_deref())))
        .filter(|(id, tag)| *tag == Some(name) || (digits.len() >= 8 && id.hex().starts_with(digits)))
        .map(|(id, _)| id)
        .collect();
    let shown = escape_short(name.as_bytes(), 80);
    let wrong = |message: String| {
        let hint = "a release is named by its tag, or by at least eight digits of its id: `orchestrator releases`";
        Error::new(ErrorKind::Usage, message).hint(hint)
    };
    match named.iter().collect::<Vec<_>>().as_slice() {
        [one] => Ok((**one).clone()),
        [] => {
            let tags = ledger.records().iter().filter_map(|record| record.entry.tag.as_deref());
            let near = config::nearest(name, tags).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            Err(wrong(format!("`{shown}` names no release of the ledger{near}")))
        }
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(wrong(format!("`{shown}` names several releases: {}", ids.join(", "))))
        }
    }
}

/// The releases that were proven or archived, newest first: of one environment or of all, at most `limit`.
///
/// Whether the images of a release still exist is not asked here: a rollback asks, with or without `--dry-run`.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where neither the ledger nor a configuration has the environment, and in a repository that is no
/// superproject; where repository, forge or ledger cannot be read.
pub async fn releases(
    context: &Context,
    only: Option<&EnvironmentName>,
    limit: Option<usize>,
) -> Result<ReleasesReport> {
    context.sync()?;
    let store = LedgerStore::read_in_time(context).await?;
    let ledger = store.ledger();
    needs_superproject(context, ledger).await?;
    if let Some(name) = only {
        known_environment(context, ledger, name).await?;
    }
    let mut rows: BTreeMap<ReleaseId, ReleaseRow> = BTreeMap::new();
    let known = ledger.records().iter().filter_map(|record| record.entry.environment.as_ref());
    let names: BTreeSet<&EnvironmentName> = known.filter(|name| only.is_none_or(|only| only == *name)).collect();
    for name in names {
        add_releases(context, ledger, name, &mut rows).await?;
    }
    let mut releases: Vec<ReleaseRow> = rows.into_values().collect();
    for row in &mut releases {
        row.rejected = v1::rejected(ledger, &row.lock);
    }
    releases.sort_by(|one, other| (other.at, &other.release).cmp(&(one.at, &one.release)));
    releases.truncate(limit.unwrap_or(usize::MAX));
    Ok(ReleasesReport { releases })
}

/// Adds what one environment says about its releases.
async fn add_releases(
    context: &Context,
    ledger: &Ledger,
    name: &EnvironmentName,
    rows: &mut BTreeMap<ReleaseId, ReleaseRow>,
) -> Result<()> {
    let ground = match RollbackGround::of(context, name, ledger).await {
        Ok(ground) => Some(ground),
        // No configuration has the environment any more.
        Err(error) if error.kind() == ErrorKind::Usage => None,
        Err(error) => return Err(error),
    };
    let stands = |target: &RollbackTarget| ground.as_ref().is_some_and(|ground| ground.holds(target));
    let all = |stands: &dyn Fn(&RollbackTarget) -> bool| {
        let mut good = known_good(ledger, name, stands);
        good.extend(migrated(ledger, name, &good).into_iter().filter(stands));
        good
    };
    let reachable: BTreeSet<ReleaseId> = all(&stands).into_iter().map(|target| target.release).collect();
    let present = ledger.occupant(name).and_then(|record| record.entry.release.as_ref());
    let proofs = ledger.proofs(name);
    let mut first: BTreeMap<&ReleaseId, Timestamp> = BTreeMap::new();
    for record in ledger.of(name).filter(|record| record.is(Step::Proof, StepResult::Ok)) {
        if let Some(release) = &record.entry.release {
            first.entry(release).or_insert_with(|| record.recorded_at());
        }
    }
    for target in all(&|_| true) {
        let row = rows.entry(target.release.clone()).or_insert_with(|| ReleaseRow::new(&target));
        row.at = row.at.min(first.get(&target.release).copied().unwrap_or(target.since));
        if row.tag.is_none() {
            row.tag.clone_from(&target.tag);
        }
        if let Some(ProofVerdict::Proven(proven)) = proofs.get(&target.release) {
            let (level, at, seq) = (proven.level, proven.at, proven.seq);
            row.proven.push(ProvenIn { environment: name.clone(), level, at, seq });
        }
        if present == Some(&target.release) {
            row.deployed.push(name.clone());
            continue;
        }
        let reason = match v1::rejected(ledger, &target.lock) {
            Some(rejected) => Some(rejected),
            None if ground.is_none() => Some("no configuration has the environment any more".to_owned()),
            None if !reachable.contains(&target.release) => {
                Some(format!("the branch of the environment never had its commit {}", target.commit.short(12)))
            }
            None => None,
        };
        row.rollback.push(RollbackChoice { environment: name.clone(), possible: reason.is_none(), reason });
    }
    // A tag stays, also where the proof was withdrawn.
    for record in ledger.releases(name) {
        let entry = &record.entry;
        let Some(release) = &entry.release else { continue };
        if let Some(row) = rows.get_mut(release) {
            row.tag.clone_from(&entry.tag);
            row.at = record.recorded_at();
        } else if let Some(row) = ReleaseRow::archived(record) {
            rows.insert(release.clone(), row);
        }
    }
    Ok(())
}
