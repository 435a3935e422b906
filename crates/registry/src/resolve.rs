//! From candidates to a locked image.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use lock_model::{Digest, ErrorClass, ImageReference, ImageRepository, Platform};

use crate::error::RegistryErrorKind;
use crate::first_looks::FirstLooks;
use crate::registry::{Registry, Session};
use crate::remote::Context;
use crate::request::{Attempt, Event, ImageRequest, Resolution, Unresolved, UnresolvedReason};
use crate::search::{Answer, Search, Seen};
use crate::wait_policy::{Polls, WaitPolicy};

/// Enough for the last look at thousands of tags.
const LONGEST_CONFIRMING_TIME: Duration = Duration::from_secs(10);

impl Registry {
    /// Finds one image by tag or by digest, for these platforms, or for all its platforms when none is named.
    ///
    /// As [`resolve_all`](Self::resolve_all) with one request that has one candidate.
    pub async fn resolve(
        &self,
        reference: &ImageReference,
        platforms: &[Platform],
        deadline: Instant,
    ) -> Result<Resolution, Unresolved> {
        let request = ImageRequest::new([reference.clone()]).platforms(platforms.iter().cloned());
        let mut answers = self.resolve_all(&[request], deadline, &|_| ()).await;
        answers.pop().expect("one request has one answer")
    }

    /// Finds the image of every request, all at once, and looks at each tag a second time when all have been found: a tag
    /// that moved meanwhile, or a registry that answers differently each time, is refused.
    ///
    /// Every request gets its answer, whatever happens to the others; the answers are in the order of the requests. Only
    /// an image that does not exist leads to the next candidate; after any other failure it is unknown which candidate
    /// would be the first, and the request has no image.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled, unless a layout folder answers for every candidate.
    pub async fn resolve_all(
        &self,
        requests: &[ImageRequest],
        deadline: Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Vec<Result<Resolution, Unresolved>> {
        self.resolve_all_waiting(requests, WaitPolicy::NONE, deadline, on_event).await
    }

    /// As [`resolve_all`](Self::resolve_all), and waits for images that may still come: those that do not exist, whose
    /// index lacks a platform, or whose registry is busy.
    ///
    /// What cannot come right by waiting ends it for all: another failure of any request, a registry that asks for more
    /// time than there is, an image that was there and is gone.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled.
    pub async fn resolve_all_waiting(
        &self,
        requests: &[ImageRequest],
        wait: WaitPolicy,
        deadline: Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Vec<Result<Resolution, Unresolved>> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let look_by = deadline - confirming_time(deadline);
        let mut polls = wait.polls(tokio::time::Instant::now(), look_by);
        let mut pending: Vec<Pending<'_>> = requests.iter().enumerate().map(Pending::new).collect();
        let mut answers: Answers<'_> = BTreeMap::new();
        while !pending.is_empty() {
            let looked = self.look_until(pending, requests.len(), &mut polls, look_by, on_event).await;
            answers.extend(looked.into_iter().map(|(pending, answer)| (pending.position, (pending, answer))));
            // What was there in an earlier command and is not now may come back like any other.
            let mut late = self.confirm_all(&mut answers, deadline, on_event).await;
            let may_come = |unresolved: &Unresolved| may_come(unresolved, &polls);
            let hopeless = answers.values().any(|(_, answer)| answer.as_ref().is_err_and(|error| !may_come(error)));
            late.retain(|position| {
                !hopeless && answers.get(position).is_some_and(|(_, answer)| answer.as_ref().is_err_and(may_come))
            });
            pending = late.iter().filter_map(|position| answers.remove(position)).map(|(pending, _)| pending).collect();
        }
        self.tidy();
        let mut found = Vec::with_capacity(answers.len());
        for (_, answer) in answers.into_values() {
            found.push(match answer {
                Ok((resolution, _)) => Ok(resolution),
                Err(unresolved) => Err(unresolved),
            });
        }
        self.tell_repositories(&mut found, deadline).await;
        found
    }

    /// Of images that do not exist, says where not even their repository does: that is asked once for each repository.
    async fn tell_repositories(&self, answers: &mut [Result<Resolution, Unresolved>], deadline: tokio::time::Instant) {
        let session = &self.session();
        let mut attempts: BTreeMap<ImageRepository, Vec<&mut Attempt>> = BTreeMap::new();
        let unresolved = answers.iter_mut().filter_map(|answer| answer.as_mut().err());
        for unresolved in unresolved.filter(|unresolved| matches!(unresolved.reason, UnresolvedReason::AllMissing)) {
            for attempt in &mut unresolved.tried {
                attempts.entry(attempt.reference.repository.clone()).or_default().push(attempt);
            }
        }
        let asked = attempts.into_iter().map(|(repository, attempts)| async move {
            let context = Context { deadline, on_retry: &|_: Duration, _: &str| () };
            let Ok(backend) = session.backend(&repository, context) else { return };
            if let Some(outcome) = backend.missing_as_well().await {
                for attempt in attempts {
                    attempt.outcome = outcome.clone();
                }
            }
        });
        join_all(asked).await;
    }

    /// Looks until everything is found, or nothing more can come.
    async fn look_until<'a>(
        &self,
        pending: Vec<Pending<'a>>,
        of: usize,
        polls: &mut Polls,
        deadline: tokio::time::Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Vec<(Pending<'a>, Answer)> {
        let mut done = Vec::with_capacity(pending.len());
        let mut looked = self.look_at_all(pending, deadline, on_event).await;
        loop {
            let (found, failed): (Vec<_>, Vec<_>) = looked.into_iter().partition(|(_, answer)| answer.is_ok());
            done.extend(found);
            let Some(wait) = next_wait(&failed, polls) else {
                done.extend(failed);
                return done;
            };
            let missing: Vec<usize> = failed.iter().map(|(pending, _)| pending.position).collect();
            on_event(Event::Waiting { missing: &missing, of, wait });
            tokio::time::sleep(wait).await;
            let pending = failed.into_iter().map(|(pending, _)| pending).collect();
            looked = self.look_at_all(pending, deadline, on_event).await;
        }
    }

    /// The last look at every tag that was found and has none yet, or one from before another tag was first looked at: all
    /// tags stood for their digests at one instant only if that lies between the two looks at each of them.
    ///
    /// Gives the positions of the images that an earlier command found and that are not there now.
    async fn confirm_all(
        &self,
        answers: &mut Answers<'_>,
        deadline: tokio::time::Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Vec<usize> {
        // Layout folders are read anew too: they can be changed like any registry.
        let session = &self.session();
        let mut gone = Vec::new();
        loop {
            let found = answers.values().filter_map(|(_, answer)| answer.as_ref().ok());
            let last_answer = found.filter_map(|(_, seen)| seen.first_answer()).max();
            let is_open = |answer: &Answer| answer.as_ref().is_ok_and(|(_, seen)| !seen.is_confirmed(last_answer));
            let open: Vec<usize> =
                answers.iter().filter(|(_, (_, answer))| is_open(answer)).map(|(position, _)| *position).collect();
            let confirmations: FuturesUnordered<_> = open
                .into_iter()
                .filter_map(|position| answers.remove_entry(&position))
                .map(|(position, (pending, answer))| async move {
                    let Ok((resolution, seen)) = answer else { return (position, (pending, answer), false) };
                    let answer = pending.search(session, deadline, on_event).confirm(resolution, seen).await;
                    let is_gone = matches!(seen, Seen::Before { .. }) && answer.is_err();
                    (position, (pending, answer), is_gone)
                })
                .collect();
            if confirmations.is_empty() {
                return gone;
            }
            for (position, answer, is_gone) in confirmations.collect::<Vec<_>>().await {
                gone.extend(is_gone.then_some(position));
                answers.insert(position, answer);
            }
        }
    }

    /// One look for each of these requests, all at once.
    async fn look_at_all<'a>(
        &self,
        pending: Vec<Pending<'a>>,
        deadline: tokio::time::Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Vec<(Pending<'a>, Answer)> {
        // Layout folders are read anew with each look.
        let session = &self.session();
        let first_looks = &FirstLooks::new(pending.len());
        let looks: FuturesUnordered<_> = pending
            .into_iter()
            .map(|mut pending| async move {
                let mut first = first_looks.of_one();
                let search = pending.search(session, deadline, on_event);
                let recalled = if pending.is_new { search.recall().await } else { None };
                pending.is_new = false;
                let found = match recalled {
                    Some((resolution, earlier)) => {
                        first.answer();
                        Ok((resolution, Seen::Before { earlier }))
                    }
                    None => search.look(first, &mut pending.sightings).await,
                };
                on_event(Event::Looked { request: pending.position, found: found.is_ok() });
                (pending, found)
            })
            .collect();
        looks.collect().await
    }
}

/// What is kept of the time for the last look at every tag: a host that never answers must not make others fail that
/// did.
fn confirming_time(deadline: tokio::time::Instant) -> Duration {
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    (left / 8).min(LONGEST_CONFIRMING_TIME)
}

/// The answers so far, by the positions of their requests.
type Answers<'a> = BTreeMap<usize, (Pending<'a>, Answer)>;

/// A request that has no answer yet.
struct Pending<'a> {
    position: usize,
    request: &'a ImageRequest,
    /// What each candidate had when it was last there, by its position in the list.
    sightings: BTreeMap<usize, Digest>,
    /// It was not looked for so far.
    is_new: bool,
}

impl<'a> Pending<'a> {
    fn new((position, request): (usize, &'a ImageRequest)) -> Self {
        Self { position, request, sightings: BTreeMap::new(), is_new: true }
    }

    fn search<'b>(
        &self,
        session: &'b Session<'b>,
        deadline: tokio::time::Instant,
        on_event: &'b (dyn Fn(Event<'_>) + Sync),
    ) -> Search<'b>
    where
        'a: 'b,
    {
        Search { session, position: self.position, request: self.request, deadline, on_event }
    }
}

/// How long to wait before another look at what failed; `None` when none can help.
fn next_wait(failed: &[(Pending<'_>, Answer)], polls: &mut Polls) -> Option<Duration> {
    let mut failures = failed.iter().filter_map(|(_, answer)| answer.as_ref().err());
    if failed.is_empty() || !failures.all(|unresolved| may_come(unresolved, polls)) {
        return None;
    }
    polls.next(tokio::time::Instant::now())
}

/// Whether waiting can help, within the wait that is left.
fn may_come(unresolved: &Unresolved, polls: &Polls) -> bool {
    let Some(left) = polls.left(tokio::time::Instant::now()).filter(|left| !left.is_zero()) else { return false };
    match unresolved.class() {
        ErrorClass::NotFound => true,
        ErrorClass::Temporary => {
            unresolved.failure().and_then(RegistryErrorKind::retry_after).is_none_or(|wait| wait <= left)
        }
        ErrorClass::Denied | ErrorClass::Storage | ErrorClass::Invalid | ErrorClass::Bug => false,
    }
}
