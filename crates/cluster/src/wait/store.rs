use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use process::Redactor;
use serde_json::Value;

use crate::object::{Object, ObjectKey};
use crate::ready::{self, Facts, Memory, Rules, VolumeBinding, Warning};
use crate::verdict::Verdict;
use crate::wait::feed::Feed;
use crate::wait::pulls::Pulls;
use crate::wait::silence;
use crate::wait::{Awaited, EndingJob, WaitEnd, WaitEvent, WaitOutcome};

/// The name under which the binding of the default storage class is kept.
const DEFAULT_CLASS: &str = "";

/// The objects as the watches report them, and the verdicts on those that are waited for.
pub(super) struct Store {
    entries: BTreeMap<ObjectKey, Entry>,
    /// By UID.
    objects: BTreeMap<String, Stored>,
    keys: BTreeMap<ObjectKey, String>,
    /// UID of a controller → UIDs of what it owns.
    owned: BTreeMap<String, BTreeSet<String>>,
    /// UID of the object → reason → the last warning.
    warnings: BTreeMap<String, BTreeMap<String, Warning>>,
    /// Namespace and name of a Job → UIDs of those of that name whose completion an event tells.
    completed: BTreeMap<(String, String), BTreeSet<String>>,
    /// UID of the pod → its pulls.
    pulls: BTreeMap<String, Pulls>,
    bindings: BTreeMap<String, VolumeBinding>,
    /// What a watch that lists again has not reported yet.
    stale: BTreeMap<usize, BTreeSet<String>>,
    /// Watches that have reported everything once.
    listed: BTreeSet<usize>,
    /// How many watches there are.
    feeds: usize,
    /// Whether a workload came or was scaled, so that Services can have pods now.
    has_new_backends: bool,
    dirty: BTreeSet<ObjectKey>,
    /// Whether something changed about what is awaited since this was asked last.
    has_news: bool,
    pub(super) unseen: Vec<String>,
}

struct Stored {
    feed: usize,
    object: Object,
}

struct Entry {
    generation: Option<i64>,
    job: Option<EndingJob>,
    memory: Memory,
    verdict: Verdict,
    /// The watch of its kind.
    feed: usize,
    /// Whether it is a Job that has completed and is deleted some time after that.
    has_completed: bool,
}

impl Store {
    pub(super) fn new(awaited: &[Awaited], feeds: &[Feed], bindings: BTreeMap<String, VolumeBinding>) -> Self {
        let entry = |awaited: &Awaited| Entry {
            generation: awaited.generation,
            job: awaited.job.clone(),
            memory: Memory::default(),
            verdict: Verdict::waiting("has not been read yet"),
            has_completed: false,
            feed: feeds.iter().find(|feed| feed.reports(&awaited.key)).map_or(0, |feed| feed.id),
        };
        Self {
            entries: awaited.iter().map(|awaited| (awaited.key.clone(), entry(awaited))).collect(),
            objects: BTreeMap::new(),
            keys: BTreeMap::new(),
            owned: BTreeMap::new(),
            warnings: BTreeMap::new(),
            completed: BTreeMap::new(),
            pulls: BTreeMap::new(),
            bindings,
            stale: BTreeMap::new(),
            listed: BTreeSet::new(),
            feeds: feeds.len(),
            has_new_backends: false,
            dirty: BTreeSet::new(),
            has_news: false,
            unseen: Vec::new(),
        }
    }

    /// Everything that this watch reported may be gone.
    pub(super) fn restart(&mut self, feed: usize) {
        let known = self.objects.iter().filter(|(_, stored)| stored.feed == feed).map(|(uid, _)| uid.clone()).collect();
        self.stale.insert(feed, known);
    }

    pub(super) fn listed(&mut self, feed: usize) {
        for uid in self.stale.remove(&feed).unwrap_or_default() {
            self.remove(&uid);
        }
        self.listed.insert(feed);
        let absent = self.entries.iter().filter(|(key, entry)| entry.feed == feed && !self.keys.contains_key(*key));
        self.dirty.extend(absent.map(|(key, _)| key.clone()));
    }

    pub(super) fn apply(&mut self, feed: usize, object: Object) {
        if object.key().kind.is("", "Event") {
            self.pull(&object);
            self.complete(&object);
            if object.text("/type") == Some("Warning") {
                self.warn(&object);
            }
            return;
        }
        let Some(uid) = object.uid().map(str::to_owned) else { return };
        if let Some(stale) = self.stale.get_mut(&feed) {
            stale.remove(&uid);
        }
        if let Some(owner) = object.controller() {
            self.owned.entry(owner.to_owned()).or_default().insert(uid.clone());
        }
        let before = self.objects.get(&uid).map(|stored| stored.object.at("/spec/replicas").cloned());
        if before.is_none_or(|replicas| replicas.as_ref() != object.at("/spec/replicas")) {
            self.has_new_backends |= self.entries.contains_key(object.key());
        }
        let is_news = silence::is_news(self.objects.get(&uid).map(|stored| &stored.object), &object);
        self.keys.insert(object.key().clone(), uid.clone());
        self.objects.insert(uid.clone(), Stored { feed, object });
        let is_ours = self.mark(&uid);
        self.has_news |= is_news && is_ours;
    }

    pub(super) fn delete(&mut self, object: &Object) {
        if ready::removes_itself(object)
            && let Some(entry) = self.entries.get_mut(object.key())
        {
            // The last state comes with the deletion; there may have been no look at it before.
            entry.has_completed |= object.true_condition("Complete").is_some();
        }
        if let Some(uid) = object.uid() {
            self.remove(uid);
        }
    }

    fn remove(&mut self, uid: &str) {
        self.has_news |= self.mark(uid);
        let Some(stored) = self.objects.remove(uid) else { return };
        if self.keys.get(stored.object.key()).is_some_and(|known| known == uid) {
            self.keys.remove(stored.object.key());
        }
        if let Some(siblings) = stored.object.controller().and_then(|owner| self.owned.get_mut(owner)) {
            siblings.remove(uid);
        }
        self.warnings.remove(uid);
        self.pulls.remove(uid);
    }

    fn pull(&mut self, event: &Object) {
        let Some(uid) = event.text("/involvedObject/uid") else { return };
        if self.pulls.entry(uid.to_owned()).or_default().take(event) {
            self.has_news |= self.mark(uid);
        }
    }

    fn complete(&mut self, event: &Object) {
        let text = |pointer: &str| event.text(pointer).map(str::to_owned);
        let is_told = event.text("/reason") == Some("Completed") && event.text("/involvedObject/kind") == Some("Job");
        let (Some(namespace), Some(name), Some(uid)) =
            (text("/involvedObject/namespace"), text("/involvedObject/name"), text("/involvedObject/uid"))
        else {
            return;
        };
        if is_told {
            let is_meant = |key: &&ObjectKey| {
                key.kind.is("batch", "Job") && key.name == name && key.namespace.as_ref() == Some(&namespace)
            };
            self.dirty.extend(self.entries.keys().filter(is_meant).cloned());
            self.completed.entry((namespace, name)).or_default().insert(uid);
        }
    }

    /// Whether a Job that is gone had completed.
    fn had_completed(&self, key: &ObjectKey, job: &EndingJob) -> bool {
        let told = self.completed.get(&(key.namespace.clone().unwrap_or_default(), key.name.clone()));
        let mut told = told.into_iter().flatten();
        match job {
            EndingJob::HasCompleted => true,
            EndingJob::Uid(meant) => told.any(|uid| uid == meant),
            EndingJob::NoneOf(earlier) => told.any(|uid| !earlier.contains(uid)),
        }
    }

    fn warn(&mut self, event: &Object) {
        let Some(uid) = event.text("/involvedObject/uid").map(str::to_owned) else { return };
        let text = |pointer: &str| event.text(pointer).unwrap_or_default().to_owned();
        let warning = Warning { uid: uid.clone(), reason: text("/reason"), message: text("/message") };
        let known = self.warnings.entry(uid.clone()).or_default();
        let is_new = known.get(&warning.reason) != Some(&warning);
        known.insert(warning.reason.clone(), warning);
        let is_ours = self.mark(&uid);
        self.has_news |= is_new && is_ours;
    }

    /// The awaited object above this one is to be judged again, where there is one.
    fn mark(&mut self, uid: &str) -> bool {
        let mut is_ours = false;
        let mut next = Some(uid);
        while let Some(object) = next.and_then(|uid| self.objects.get(uid)).map(|stored| &stored.object) {
            if self.entries.contains_key(object.key()) {
                self.dirty.insert(object.key().clone());
                is_ours = true;
            }
            next = object.controller();
        }
        is_ours
    }

    /// Verdicts that depend on time.
    pub(super) fn mark_counting(&mut self) {
        let counting =
            self.entries.iter().filter(|(_, entry)| !entry.verdict.is_settled() && entry.memory.is_counting());
        self.dirty.extend(counting.map(|(key, _)| key.clone()));
    }

    pub(super) fn judge(
        &mut self,
        now: Duration,
        rules: &Rules,
        secrets: &Redactor,
        events: &(dyn Fn(WaitEvent<'_>) + Sync),
    ) {
        if std::mem::take(&mut self.has_new_backends) {
            self.dirty.extend(self.entries.keys().filter(|key| key.kind.is("", "Service")).cloned());
        }
        for key in std::mem::take(&mut self.dirty) {
            let Some(mut entry) = self.entries.remove(&key) else { continue };
            entry.memory.set_now(now);
            let verdict = self.verdict(&key, &mut entry, rules);
            if verdict != entry.verdict {
                events(WaitEvent::Judged { object: &key, verdict: &verdict.shown(secrets) });
                entry.verdict = verdict;
            }
            self.entries.insert(key, entry);
        }
    }

    fn verdict(&self, key: &ObjectKey, entry: &mut Entry, rules: &Rules) -> Verdict {
        let Some(stored) = self.keys.get(key).and_then(|uid| self.objects.get(uid)) else {
            let had_completed =
                entry.has_completed || entry.job.as_ref().is_some_and(|job| self.had_completed(key, job));
            return match (self.listed.contains(&entry.feed), had_completed) {
                (true, true) => {
                    Verdict::ready("has completed, and was deleted after its end (`ttlSecondsAfterFinished`)")
                }
                (true, false) => ready::absent(key, entry.job.is_some(), rules, &mut entry.memory),
                (false, _) => entry.verdict.clone(),
            };
        };
        let object = &stored.object;
        entry.has_completed = ready::removes_itself(object) && object.true_condition("Complete").is_some();
        let mut children = Vec::new();
        let mut warnings: Vec<&Warning> = Vec::new();
        let mut waiting: Vec<&str> = object.uid().into_iter().collect();
        while let Some(uid) = waiting.pop() {
            warnings.extend(self.warnings.get(uid).into_iter().flat_map(BTreeMap::values));
            for child in self.owned.get(uid).into_iter().flatten() {
                if let Some(stored) = self.objects.get(child) {
                    children.push(&stored.object);
                    waiting.push(child);
                }
            }
        }
        let mut facts = Facts::of(object);
        facts.children = &children;
        facts.warnings = &warnings;
        facts.generation = entry.generation;
        facts.binding = self.binding(object);
        facts.has_backend = object.key().kind.is("", "Service") && self.has_backend(object);
        ready::judge(&facts, rules, &mut entry.memory)
    }

    fn binding(&self, claim: &Object) -> Option<VolumeBinding> {
        let class = claim.text("/spec/storageClassName").unwrap_or(DEFAULT_CLASS);
        self.bindings.get(class).copied()
    }

    /// Whether a workload that is waited for makes pods that a Service selects.
    fn has_backend(&self, service: &Object) -> bool {
        let selector = service.at("/spec/selector").and_then(Value::as_object);
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return false };
        self.entries.keys().any(|key| {
            let workload = self.keys.get(key).and_then(|uid| self.objects.get(uid)).map(|stored| &stored.object);
            workload.filter(|workload| workload.key().namespace == service.key().namespace).is_some_and(|workload| {
                let labels = if workload.key().kind.is("", "Pod") {
                    "/metadata/labels"
                } else {
                    "/spec/template/metadata/labels"
                };
                let runs =
                    workload.integer("/spec/replicas").unwrap_or(1) > 0 && !workload.key().kind.is("batch", "Job");
                runs && workload
                    .at(labels)
                    .is_some_and(|labels| selector.iter().all(|(name, value)| labels.get(name) == Some(value)))
            })
        })
    }

    /// Whether something changed since the last call.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Whether silence says anything: everything can be seen, and nothing does work that ends by itself.
    pub(super) fn silence_counts(&self) -> bool {
        let is_at_work = |stored: &Stored| {
            let owner = stored.object.controller().and_then(|uid| self.objects.get(uid)).map(|stored| &stored.object);
            let is_of_job = owner.is_some_and(|owner| owner.key().kind.is("batch", "Job"));
            let is_pulling = || {
                let pulls = stored.object.uid().and_then(|uid| self.pulls.get(uid));
                pulls.is_some_and(|pulls| pulls.are_open(&stored.object))
            };
            (silence::is_at_work(&stored.object, is_of_job) || is_pulling()) && self.is_ours(&stored.object)
        };
        self.unseen.is_empty() && self.has_seen_all() && !self.objects.values().any(is_at_work)
    }

    /// The longest quiet that what is waited for asks for itself.
    pub(super) fn wanted_quiet(&self) -> Duration {
        let waiting = self.entries.iter().filter(|(_, entry)| !matches!(entry.verdict, Verdict::Ready { .. }));
        let objects = waiting.filter_map(|(key, _)| self.objects.get(self.keys.get(key)?));
        objects.map(|stored| silence::wanted_quiet(&stored.object)).max().unwrap_or_default()
    }

    /// Whether it is awaited, or belongs to something that is.
    fn is_ours(&self, object: &Object) -> bool {
        let mut next = Some(object);
        std::iter::from_fn(|| {
            let object = next?;
            next = object.controller().and_then(|uid| self.objects.get(uid)).map(|stored| &stored.object);
            Some(object)
        })
        .any(|object| self.entries.contains_key(object.key()))
    }

    /// Whether every watch has reported everything once.
    pub(super) fn has_seen_all(&self) -> bool {
        self.listed.len() == self.feeds
    }

    /// Whether everything is decided.
    pub(super) fn end(&self, let_others_finish: bool) -> Option<WaitEnd> {
        let verdicts = || self.entries.values().map(|entry| &entry.verdict);
        let has_failed = verdicts().any(Verdict::is_failed);
        if has_failed && (!let_others_finish || verdicts().all(|verdict| verdict.is_failed() || verdict.is_settled())) {
            Some(WaitEnd::Failed)
        } else if verdicts().all(Verdict::is_settled) {
            Some(WaitEnd::Ready)
        } else {
            None
        }
    }

    pub(super) fn outcome(self, end: WaitEnd, secrets: &Redactor) -> WaitOutcome {
        let mut terminating = Vec::new();
        for stored in self.objects.values().filter(|stored| stored.object.key().kind.is("", "Pod")) {
            if stored.object.is_terminating() && self.is_ours(&stored.object) {
                terminating.push(stored.object.key().clone());
            }
        }
        terminating.sort();
        let verdicts = self.entries.into_iter().map(|(key, entry)| (key, entry.verdict.shown(secrets))).collect();
        WaitOutcome { end, verdicts, terminating, unseen: self.unseen }
    }
}

/// By name, and the default one.
pub(super) fn bindings(classes: &[Object]) -> BTreeMap<String, VolumeBinding> {
    let mut bindings = BTreeMap::new();
    for class in classes {
        let binding = match class.text("/volumeBindingMode") {
            Some("WaitForFirstConsumer") => VolumeBinding::WaitForFirstConsumer,
            Some(_) | None => VolumeBinding::Immediate,
        };
        bindings.insert(class.key().name.clone(), binding);
        if class.annotation("storageclass.kubernetes.io/is-default-class") == Some("true") {
            bindings.insert(DEFAULT_CLASS.to_owned(), binding);
        }
    }
    bindings
}
