//! Waits for a batch of objects with one watch for each kind and namespace.
//!
//! Watches only fill a channel, and one loop reads it, keeps the objects and judges what changed: nothing in that loop asks
//! the API server, so that the verdict comes with the event that completes it, however many objects there are.

mod feed;
mod pulls;
mod silence;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::connection::{Connection, Selection};
use crate::error::ClusterError;
use crate::object::{Kind, Object, ObjectKey};
use crate::ready::{Rules, VolumeBinding, removes_itself};
use crate::verdict::Verdict;
use feed::{Feed, Update};
use silence::Silence;
use store::Store;

/// How often verdicts are looked at that change with time alone.
const TICK: Duration = Duration::from_secs(1);

/// The events that say what is wrong.
const WARNINGS: &str = "type=Warning";

/// The events of Jobs that have completed.
const COMPLETED: &str = "reason=Completed,involvedObject.kind=Job";

/// How long an object that has failed already waits for what the watches of pods and events report first: its cause.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// One object that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Awaited {
    /// Which object.
    pub key: ObjectKey,
    /// The generation that was applied; older ones say nothing.
    pub generation: Option<i64>,
    /// How the end of a Job is known that Kubernetes may have deleted before the first look.
    pub job: Option<EndingJob>,
}

/// A Job with `ttlSecondsAfterFinished`: the event that says that it has completed outlives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndingJob {
    /// It was seen complete.
    HasCompleted,
    /// The Job with this UID.
    Uid(String),
    /// A Job that is none of these UIDs, which [`completed_jobs`](Connection::completed_jobs) gave before it was made.
    NoneOf(BTreeSet<String>),
}

impl Awaited {
    /// An object as the API server returned it from the apply.
    pub fn applied(object: &Object) -> Self {
        let job = object.uid().filter(|_| removes_itself(object)).map(|uid| EndingJob::Uid(uid.to_owned()));
        Self { key: object.key().clone(), generation: object.generation(), job }
    }

    /// An object that another program applied.
    pub fn named(key: ObjectKey) -> Self {
        Self { key, generation: None, job: None }
    }
}

/// What ends a wait besides the objects.
#[derive(Clone, Debug, Default)]
pub struct WaitOptions {
    /// For the whole batch.
    pub time_limit: Duration,
    /// Whether the others may finish after one has failed.
    pub let_others_finish: bool,
    /// What is asked of kinds and pods beyond what Kubernetes defines.
    pub rules: Rules,
}

/// Something that happened during a wait.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum WaitEvent<'a> {
    /// The verdict on an object changed.
    Judged {
        /// Which object.
        object: &'a ObjectKey,
        /// What it is now.
        verdict: &'a Verdict,
    },
    /// A watch was cut or could not be started; it goes on.
    Disturbed {
        /// What happened.
        message: &'a str,
    },
}

/// How a wait ended, and what was the case then.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitOutcome {
    /// Why it ended.
    pub end: WaitEnd,
    /// The last verdict on each object, in the order of their keys.
    pub verdicts: BTreeMap<ObjectKey, Verdict>,
    /// Pods of these objects that are still being deleted, and may still work.
    pub terminating: Vec<ObjectKey>,
    /// Kinds that could not be watched, with the reason: causes that they show are missing.
    pub unseen: Vec<String>,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// Every object is ready, or has no readiness.
    Ready,
    /// At least one object does not become ready by itself.
    Failed,
    /// The time limit passed.
    Deadline,
    /// Nothing changed for as long as [`Tolerance::silence`](crate::ready::Tolerance::silence) says.
    Silent,
    /// The caller ended it.
    Stopped,
    /// There was no object to wait for: nothing is proven by that.
    Nothing,
}

impl Connection {
    /// Waits until every object is ready, one has failed, the time is over or `stop` is there.
    ///
    /// An API server that restarts, a cut watch and refusals for being busy only delay it. `Err` means that a kind that is
    /// waited for cannot be watched at all.
    pub async fn wait(
        &self,
        awaited: &[Awaited],
        options: &WaitOptions,
        stop: impl Future<Output = ()> + Send,
        events: &(dyn Fn(WaitEvent<'_>) + Sync),
    ) -> Result<WaitOutcome, ClusterError> {
        let start = Instant::now();
        let secrets = &self.transport.secrets;
        let feeds = feeds(awaited, options.rules.tolerance.silence.is_some());
        let mut store = Store::new(awaited, &feeds, self.bindings(awaited).await?);
        if awaited.is_empty() {
            return Ok(store.outcome(WaitEnd::Nothing, secrets));
        }
        let (sender, mut updates) = mpsc::unbounded_channel();
        // Dropping the set ends the watches.
        let mut watches = JoinSet::new();
        for feed in feeds {
            watches.spawn(feed.run(self.clone(), sender.clone()));
        }
        drop(sender);
        let deadline = tokio::time::sleep_until(start + options.time_limit);
        tokio::pin!(deadline, stop);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silence = Silence::default();
        loop {
            let mut is_disturbed = false;
            let end = tokio::select! {
                Some(update) = updates.recv() => {
                    is_disturbed |= take(&mut store, update, events)?;
                    // What came together is judged together.
                    while let Ok(update) = updates.try_recv() {
                        is_disturbed |= take(&mut store, update, events)?;
                    }
                    None
                }
                _ = tick.tick() => {
                    store.mark_counting();
                    None
                }
                () = &mut deadline => Some(WaitEnd::Deadline),
                () = &mut stop => Some(WaitEnd::Stopped),
            };
            let now = start.elapsed();
            store.judge(now, &options.rules, secrets, events);
            let limit = options.rules.tolerance.silence.map(|limit| limit.saturating_add(store.wanted_quiet()));
            let is_silent = silence.exceeds(limit, now);
            if store.take_news() || is_disturbed || is_silent && !store.silence_counts() {
                silence.broken(now);
            }
            let end = end.or_else(|| silence.exceeds(limit, now).then_some(WaitEnd::Silent));
            let is_explained =
                |end: &WaitEnd| *end != WaitEnd::Failed || store.has_seen_all() || start.elapsed() >= FIRST_LOOK;
            if let Some(end) = store.end(options.let_others_finish).filter(is_explained).or(end) {
                return Ok(store.outcome(end, secrets));
            }
        }
    }

    /// The UIDs of Jobs whose completion an event tells. Where events may not be read, there are none.
    pub async fn completed_jobs(&self, namespace: &str) -> Result<BTreeSet<String>, ClusterError> {
        let selection = Selection { fields: COMPLETED.to_owned(), ..Selection::default() };
        let events = match self.list(&Kind::new("v1", "Event"), Some(namespace), &selection).await {
            Ok(events) => events,
            Err(error) if error.class() == lock_model::ErrorClass::Denied => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        };
        Ok(events.iter().filter_map(|event| event.text("/involvedObject/uid")).map(str::to_owned).collect())
    }

    /// When the storage classes of the awaited claims bind. Where classes may not be read, nothing is known.
    async fn bindings(&self, awaited: &[Awaited]) -> Result<BTreeMap<String, VolumeBinding>, ClusterError> {
        if !awaited.iter().any(|awaited| awaited.key.kind.is("", "PersistentVolumeClaim")) {
            return Ok(BTreeMap::new());
        }
        let kind = Kind::new("storage.k8s.io/v1", "StorageClass");
        let classes = match self.list(&kind, None, &Selection::default()).await {
            Ok(classes) => classes,
            Err(error) if error.class() == lock_model::ErrorClass::Denied => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        };
        Ok(store::bindings(&classes))
    }
}

/// Gives whether the watch was disturbed, so that what happens there is not seen for a while.
fn take(store: &mut Store, update: Update, events: &(dyn Fn(WaitEvent<'_>) + Sync)) -> Result<bool, ClusterError> {
    match update {
        Update::Fatal(error) => return Err(error),
        Update::Disturbed(message) => {
            events(WaitEvent::Disturbed { message: &message });
            return Ok(true);
        }
        Update::Unseen(message) => {
            events(WaitEvent::Disturbed { message: &message });
            store.unseen.push(message);
        }
        Update::Restarted(feed) => store.restart(feed),
        Update::Listed(feed) => store.listed(feed),
        Update::Applied(feed, object) => store.apply(feed, *object),
        Update::Deleted(object) => store.delete(&object),
    }
    Ok(false)
}

/// One watch for each kind and namespace: of what is awaited, of what it owns, and of warnings. With `pulls`, events of image
/// pulls are watched as well.
fn feeds(awaited: &[Awaited], pulls: bool) -> Vec<Feed> {
    let mut required = BTreeSet::new();
    let mut others = BTreeSet::new();
    for Awaited { key, .. } in awaited {
        required.insert((key.kind.clone(), key.namespace.clone()));
        let children: &[(&str, &str)] = match (key.kind.group.as_str(), key.kind.kind.as_str()) {
            ("apps", "Deployment") => &[("apps/v1", "ReplicaSet"), ("v1", "Pod"), ("v1", "Event")],
            ("apps", "ReplicaSet" | "StatefulSet" | "DaemonSet") | ("batch", "Job") => {
                &[("v1", "Pod"), ("v1", "Event")]
            }
            ("", "Pod" | "PersistentVolumeClaim") => &[("v1", "Event")],
            ("", "Service") => &[("discovery.k8s.io/v1", "EndpointSlice")],
            _ => &[],
        };
        others.extend(children.iter().map(|(version, kind)| (Kind::new(version, kind), key.namespace.clone())));
    }
    let others = others.into_iter().filter(|feed| !required.contains(feed)).map(|feed| (feed, false));
    let required = required.iter().cloned().map(|feed| (feed, true));
    let completed = awaited.iter().any(|awaited| awaited.job.is_some()).then_some(COMPLETED);
    let feeds = required.chain(others).flat_map(|((kind, namespace), is_required)| {
        let selections: &[&'static str] = match (kind.is("", "Event"), pulls) {
            (true, true) => &[WARNINGS, "reason=Pulling", "reason=Pulled"],
            (true, false) => &[WARNINGS],
            (false, _) => &[""],
        };
        let selections = selections.iter().chain(completed.as_ref().filter(|_| kind.is("", "Event")));
        let of_one = |fields: &&'static str| (kind.clone(), namespace.clone(), is_required, *fields);
        selections.map(of_one).collect::<Vec<_>>()
    });
    feeds
        .enumerate()
        .map(|(id, (kind, namespace, is_required, fields))| Feed { id, kind, namespace, is_required, fields })
        .collect()
}
