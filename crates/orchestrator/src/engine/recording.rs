//! The records of a run: what is written of a step, and whether a run may still go on.

use ::promotion::attempts::Purpose;
use ::promotion::interruption::{Underway, interruption, lease_broken, older_lease};
use ledger::{Ledger, RecordDraft, Step, StepKey, StepResult};

use super::{Engine, interrupted};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::ledger_store::Document;

impl Engine<'_> {
    /// Records that the release cannot be deployed as it is, so that `status` can say why its branch gets no further; once for
    /// each reason.
    pub(super) async fn record_refusal(&mut self, key: &StepKey, error: &Error) {
        let is_before_changes = matches!(key.step(), Step::Health | Step::Deploy) && error.kind() == ErrorKind::Refused;
        if !is_before_changes || self.purpose != Purpose::Run {
            return;
        }
        let problems = error.all_problems().iter().map(Problem::sentence);
        let reason = std::iter::once(error.message().to_owned()).chain(problems).collect::<Vec<_>>().join("; ");
        let refused = self.draft(&Step::Health.into(), StepResult::Refused).reason(&reason);
        let last = self.store.ledger().of(&self.environment.name).rfind(|record| record.entry.reason.is_some());
        let is_known = last.is_some_and(|last| {
            last.is(Step::Health, StepResult::Refused)
                && (&last.entry.commit, &last.entry.reason) == (&refused.commit, &refused.reason)
        });
        if !is_known {
            // The caller gets the step's own error.
            let _unrecorded = self.append(refused, &[]).await;
        }
    }

    /// The draft of a record of this release.
    pub(super) fn draft(&self, key: &StepKey, result: StepResult) -> RecordDraft {
        let mut draft = self.revision.record(self.context, &self.environment.name, key.step(), result, &self.lock);
        if let Some(started) = self.started.filter(|_| result != StepResult::Started) {
            draft = draft.started(started);
        }
        draft.suite = key.suite().cloned();
        draft.lease_number = self.lease_number.filter(|_| key.step() == Step::Deploy);
        match &self.taken_for {
            Some(reason) if key.step() == Step::Deploy => draft.reason(reason),
            Some(_) | None => draft,
        }
    }

    /// Appends a record. `started`, which precedes an effect, is appended only while the gates still pass: they are asked
    /// again before the append, and each time that a record of another writer lands first (a hold, a rejection, a proof that
    /// was taken back). Results of what happened are always recorded; only a run whose lease was broken records
    /// nothing more, since what it found is no longer about what is there.
    pub(super) async fn append(&mut self, draft: RecordDraft, documents: &[Document]) -> Result<Option<u64>> {
        let mut store = std::mem::take(&mut self.store);
        let before_effect = draft.result == StepResult::Started;
        let number = draft.lease_number;
        if before_effect && let Err(error) = self.may_go_on(store.ledger(), number) {
            self.store = store;
            return Err(error);
        }
        let still = |ledger: &Ledger| {
            if before_effect {
                return self.may_go_on(ledger, number);
            }
            let broken = lease_broken(ledger, &self.environment.name, &self.context.run, self.leased);
            broken.map_or(Ok(()), |broken| Err(interrupted(&self.environment.name, &broken)))
        };
        let appended = store.append(self.context, draft, documents, still).await;
        self.store = store;
        appended
    }

    /// Refuses to go on where records that landed after the gates were asked forbid it.
    fn may_go_on(&self, ledger: &Ledger, lease_number: Option<u64>) -> Result<()> {
        let older = || lease_number.and_then(|number| older_lease(ledger, &self.environment.name, number));
        if let Some(interruption) = interruption(ledger, &self.underway()).or_else(older) {
            return Err(interrupted(&self.environment.name, &interruption));
        }
        let Some(findings) = &self.findings else { return Ok(()) };
        match self.judge(ledger, findings).reason() {
            None => Ok(()),
            Some(reason) => Err(Error::new(
                ErrorKind::Refused,
                format!("another record landed first, and now a gate refuses: {reason}"),
            )),
        }
    }

    fn underway(&self) -> Underway<'_> {
        Underway {
            environment: &self.environment.name,
            lock: self.lock.lock.id(),
            run: &self.context.run,
            since: self.leased,
            purpose: self.purpose,
        }
    }

    pub(crate) fn now(&self) -> lock_model::Timestamp {
        self.context.now()
    }

    /// Records the beginning of a rollback, which holds the environment.
    pub(crate) async fn begin_rollback(&mut self, reason: &str, tag: Option<String>) -> Result<()> {
        let mut draft = self.draft(&Step::Rollback.into(), StepResult::Started).reason(reason);
        draft.tag = tag;
        self.append(draft, &[]).await?;
        Ok(())
    }
}
