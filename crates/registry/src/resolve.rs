//! From candidates to a locked image.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use lock_model::{CommitId, Digest, ErrorClass, ImageReference, ImageRepository, Platform, Revision};

use crate::backend::{Backend, Tagged};
use crate::error::{RegistryError, RegistryErrorKind};
use crate::inspect::{Inspected, inspect};
use crate::registry::{Registry, Session};
use crate::remote::Context;
use crate::request::{
    Attempt, AttemptOutcome, Event, FoundRevision, ImageRequest, Resolution, ResolvedImage, RevisionPolicy, Unresolved,
    UnresolvedReason, Warning,
};
use crate::text::escaped;
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
        let mut resolved = BTreeMap::new();
        while !pending.is_empty() {
            let looked = self.look_until(pending, requests.len(), &mut polls, look_by, on_event).await;
            // What was there in an earlier command and is not now may come back like any other.
            let mut late = Vec::new();
            for (pending, seen, answer) in self.confirm_all(looked, deadline, on_event).await {
                let position = pending.position;
                if let (Some(Seen::Before { .. }), Err(unresolved)) = (seen, &answer)
                    && may_come(unresolved, &polls)
                {
                    late.push(pending);
                }
                resolved.insert(position, answer);
            }
            let hopeless =
                |answer: &Result<_, _>| answer.as_ref().is_err_and(|unresolved| !may_come(unresolved, &polls));
            pending = if resolved.values().any(hopeless) { Vec::new() } else { late };
        }
        self.tidy();
        let mut answers: Vec<_> = resolved.into_values().collect();
        self.tell_repositories(&mut answers, deadline).await;
        answers
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
            if backend.has_no_tags().await {
                for attempt in attempts {
                    attempt.outcome = AttemptOutcome::RepositoryMissing;
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

    /// The last look at every tag that was found.
    async fn confirm_all<'a>(
        &self,
        looked: Vec<(Pending<'a>, Answer)>,
        deadline: tokio::time::Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Vec<(Pending<'a>, Option<Seen>, Result<Resolution, Unresolved>)> {
        // Layout folders are read anew too: they can be changed like any registry.
        let session = &self.session();
        let confirmations: FuturesUnordered<_> = looked
            .into_iter()
            .map(|(pending, answer)| async move {
                match answer {
                    Ok((resolution, seen)) => {
                        let search = pending.search(session, deadline, on_event);
                        let answer = search.confirm(resolution, seen).await;
                        (pending, Some(seen), answer)
                    }
                    Err(unresolved) => (pending, None, Err(unresolved)),
                }
            })
            .collect();
        confirmations.collect().await
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
        let looks: FuturesUnordered<_> = pending
            .into_iter()
            .map(|mut pending| async move {
                let search = pending.search(session, deadline, on_event);
                let recalled = if pending.is_new { search.recall().await } else { None };
                pending.is_new = false;
                let found = match recalled {
                    Some((resolution, earlier)) => Ok((resolution, Seen::Before { earlier })),
                    None => search.look(&mut pending.sightings).await,
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

/// What a look comes to, before the last one.
type Answer = Result<(Resolution, Seen), Unresolved>;

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

/// An image that is there and may be the one.
struct Found<'a> {
    candidate: &'a ImageReference,
    digest: Digest,
    inspected: Inspected,
    revision: Revision,
    reported: Option<String>,
}

/// The search for the image of one request.
#[derive(Clone, Copy)]
struct Search<'a> {
    session: &'a Session<'a>,
    position: usize,
    request: &'a ImageRequest,
    deadline: tokio::time::Instant,
    on_event: &'a (dyn Fn(Event<'_>) + Sync),
}

/// Where a resolution comes from before its tag is looked at for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// From this command's own look.
    Now,
    /// The same, by a digest that the request names.
    Pinned,
    /// From the cache: the last look is the first one as well.
    Before {
        /// How many candidates come before it, of which nothing is remembered: they have to be missing.
        earlier: usize,
    },
}

impl<'a> Search<'a> {
    fn tell(&self, event: Event<'_>) {
        (self.on_event)(event);
    }

    fn asked_as(&self, repository: &ImageRepository) -> Option<String> {
        self.session.registry.authenticator().options().asked_as(repository)
    }

    fn attempt(&self, candidate: &ImageReference, outcome: AttemptOutcome) -> Attempt {
        Attempt { reference: candidate.clone(), asked: self.asked_as(&candidate.repository), outcome }
    }

    fn on_retry(self) -> impl Fn(Duration, &str) + Sync + 'a {
        move |wait, reason| self.tell(Event::Retrying { request: self.position, wait, reason })
    }

    /// What an earlier command found under the first candidate of which anything is remembered, if that is the image and
    /// everything about it is known; with the number of candidates before it.
    ///
    /// Whatever is doubtful is no answer: the tag may have moved since, and then the registry has another one.
    async fn recall(self) -> Option<(Resolution, usize)> {
        let candidates = &self.request.candidates;
        if !self.request.is_by_tag() {
            return None;
        }
        let on_retry = self.on_retry();
        let context = Context { deadline: self.deadline, on_retry: &on_retry };
        let (earlier, candidate, backend, digest) =
            candidates.iter().enumerate().find_map(|(position, candidate)| {
                let backend = self.session.backend(&candidate.repository, context).ok()?;
                let digest = backend.cache()?.tag(candidate.tag.as_ref()?)?;
                Some((position, candidate, backend, digest))
            })?;
        self.tell(Event::Asking { request: self.position, candidate });
        let found = self.examine(&backend, candidate, Tagged { digest, document: None }).await.ok()?;
        if !matches!(found.revision, Revision::SelfAsserted | Revision::Unchecked) {
            return None;
        }
        let missing = |candidate: &ImageReference| self.attempt(candidate, AttemptOutcome::Missing);
        let mut tried: Vec<Attempt> = candidates.iter().take(earlier).map(missing).collect();
        let outcome = AttemptOutcome::Found { digest: found.digest.clone() };
        let attempt = self.attempt(candidate, outcome);
        self.tell(Event::Asked { request: self.position, attempt: &attempt });
        tried.push(attempt);
        Some((self.resolution(found, &[], tried).0, earlier))
    }

    /// Asks the candidates in order.
    async fn look(self, sightings: &mut BTreeMap<usize, Digest>) -> Result<(Resolution, Seen), Unresolved> {
        let policy = self.request.built_from.as_ref().map_or(RevisionPolicy::Off, |(_, policy)| *policy);
        let mut tried = Vec::with_capacity(1);
        let mut passed_over: Vec<Found<'_>> = Vec::new();
        let on_retry = self.on_retry();
        let context = Context { deadline: self.deadline, on_retry: &on_retry };
        for (position, candidate) in self.request.candidates.iter().enumerate() {
            self.tell(Event::Asking { request: self.position, candidate });
            let mut sighted = None;
            let is_known = sightings.contains_key(&position);
            let mut answer = self.ask(candidate, is_known, &mut sighted, context).await;
            let before = match sighted {
                Some(digest) => sightings.insert(position, digest),
                None => sightings.get(&position).cloned(),
            };
            // A tag that was there and is gone is not one that is still to come.
            if let (Err(RegistryErrorKind::Missing), Some(before)) = (&answer, before) {
                answer = Err(RegistryErrorKind::Moved { before, after: None });
            }
            let outcome = match &answer {
                Ok(found) if is_taken(found, policy) => AttemptOutcome::Found { digest: found.digest.clone() },
                Ok(found) => {
                    AttemptOutcome::OtherRevision { digest: found.digest.clone(), revision: found.reported.clone() }
                }
                Err(RegistryErrorKind::Missing) => AttemptOutcome::Missing,
                Err(error) => failed(error),
            };
            let attempt = self.attempt(candidate, outcome);
            self.tell(Event::Asked { request: self.position, attempt: &attempt });
            tried.push(attempt);
            match answer {
                Ok(found) if is_taken(&found, policy) => return Ok(self.resolution(found, &passed_over, tried)),
                Ok(found) => passed_over.push(found),
                Err(RegistryErrorKind::Missing) => {}
                Err(kind) => {
                    let reason = UnresolvedReason::Failed(
                        RegistryError::new(candidate.to_string(), kind).asked_as(self.asked_as(&candidate.repository)),
                    );
                    return Err(Unresolved { tried, reason });
                }
            }
        }
        let reason = match &self.request.built_from {
            Some((_, RevisionPolicy::Warn)) if !passed_over.is_empty() => {
                let first = passed_over.remove(0);
                return Ok(self.resolution(first, &passed_over, tried));
            }
            Some((wanted, _)) if !passed_over.is_empty() => {
                let found = passed_over.iter().map(Found::revision).collect();
                UnresolvedReason::OtherRevision { wanted: wanted.clone(), found }
            }
            Some(_) | None if tried.is_empty() => UnresolvedReason::NoCandidates,
            Some(_) | None => UnresolvedReason::AllMissing,
        };
        Err(Unresolved { tried, reason })
    }

    /// Asks for one candidate, down to its configurations; `sighted` is the digest that its tag has, whatever comes of it.
    /// Where the tag `is_known` from an earlier look, so are the documents behind it.
    async fn ask(
        self,
        candidate: &'a ImageReference,
        is_known: bool,
        sighted: &mut Option<Digest>,
        context: Context<'_>,
    ) -> Result<Found<'a>, RegistryErrorKind> {
        let ImageReference { repository, tag, digest } = candidate;
        let backend = self.session.backend(repository, context)?;
        let tagged = match (digest, tag) {
            (Some(digest), _) => {
                let document = backend.pinned(digest).await?;
                Tagged { digest: digest.clone(), document: Some(document) }
            }
            (None, Some(tag)) => {
                let tagged = if is_known { backend.tag(tag).await? } else { backend.fetch(tag).await? };
                *sighted = Some(tagged.digest.clone());
                tagged
            }
            (None, None) => return Err(RegistryErrorKind::NoTagOrDigest),
        };
        self.examine(&backend, candidate, tagged).await
    }

    /// Reads what a candidate stands for, down to its configurations.
    async fn examine(
        self,
        backend: &Backend<'_>,
        candidate: &'a ImageReference,
        tagged: Tagged,
    ) -> Result<Found<'a>, RegistryErrorKind> {
        if let Some(cache) = backend.cache() {
            cache.open(&tagged.digest);
        }
        let inspected = async {
            let document = match (tagged.document, &candidate.tag) {
                (Some(document), _) => document,
                (None, Some(tag)) => backend.document(tag, &tagged.digest).await?,
                (None, None) => return Err(RegistryErrorKind::NoTagOrDigest),
            };
            inspect(backend, &tagged.digest, document, &self.request.platforms).await
        };
        let inspected = inspected.await;
        // Also where it failed: what there is of it stays what it is.
        if let Some(cache) = backend.cache() {
            cache.keep(&tagged.digest);
        }
        let inspected = inspected?;
        let (revision, reported) = match &self.request.built_from {
            None | Some((_, RevisionPolicy::Off)) => (Revision::Unchecked, None),
            Some((commit, RevisionPolicy::Require | RevisionPolicy::Warn)) => judge(&inspected.revisions, commit),
        };
        Ok(Found { candidate, digest: tagged.digest, inspected, revision, reported })
    }

    fn resolution(self, found: Found<'_>, passed_over: &[Found<'_>], tried: Vec<Attempt>) -> (Resolution, Seen) {
        let warning = |found: &Found<'_>, taken| {
            let (wanted, _) = self.request.built_from.as_ref()?;
            Some(Warning::OtherRevision { found: found.revision(), wanted: wanted.clone(), taken })
        };
        let mut warnings: Vec<Warning> = passed_over.iter().filter_map(|found| warning(found, false)).collect();
        if matches!(found.revision, Revision::Mismatch | Revision::Absent) {
            warnings.extend(warning(&found, true));
        }
        let Found { candidate, digest, inspected, revision, reported: _ } = found;
        let Inspected { platforms, created, revisions: _, warnings: of_the_image } = inspected;
        warnings.extend(of_the_image);
        let ImageReference { repository, tag, digest: pinned } = candidate.clone();
        let image = ResolvedImage { repository, tag, digest, platforms, created, revision };
        let seen = if pinned.is_some() { Seen::Pinned } else { Seen::Now };
        (Resolution { image, tried, warnings }, seen)
    }

    /// Looks at the tag once more.
    ///
    /// A guess that turns out to be wrong costs a whole look, and another last one.
    async fn confirm(self, resolution: Resolution, seen: Seen) -> Result<Resolution, Unresolved> {
        let Seen::Before { earlier } = seen else { return self.look_again(resolution, seen).await };
        let hit = resolution.image.repository.clone();
        let earlier = self.request.candidates.iter().take(earlier);
        let absences = join_all(earlier.map(|candidate| self.is_absent(candidate, &hit)));
        let (answer, absences) = tokio::join!(self.look_again(resolution, seen), absences);
        match answer {
            Ok(resolution) if absences.iter().all(|absent| *absent) => return Ok(resolution),
            Err(unresolved) if !matches!(unresolved.failure(), Some(RegistryErrorKind::Moved { .. })) => {
                return Err(unresolved);
            }
            Ok(_) | Err(_) => {}
        }
        let (resolution, seen) = self.look(&mut BTreeMap::new()).await?;
        self.look_again(resolution, seen).await
    }

    /// Whether a candidate that comes before a remembered one is still not there.
    ///
    /// A registry that answers a HEAD for the remembered one may say with a HEAD too that there is nothing; any other is
    /// asked as if for the first time.
    async fn is_absent(self, candidate: &ImageReference, hit: &ImageRepository) -> bool {
        let ImageReference { repository, tag: Some(tag), digest: None } = candidate else { return false };
        let on_retry = self.on_retry();
        let context = Context { deadline: self.deadline, on_retry: &on_retry };
        let Ok(backend) = self.session.backend(repository, context) else { return false };
        if repository.host() == hit.host() {
            return backend.head_finds_nothing(tag).await;
        }
        matches!(backend.tag(tag).await, Err(RegistryErrorKind::Missing))
    }

    async fn look_again(self, resolution: Resolution, seen: Seen) -> Result<Resolution, Unresolved> {
        let ResolvedImage { repository, tag, digest, .. } = &resolution.image;
        // A digest stands for the same image for ever.
        let (Some(tag), Seen::Now | Seen::Before { .. }) = (tag, seen) else { return Ok(resolution) };
        self.tell(Event::Confirming { request: self.position });
        let on_retry = self.on_retry();
        let context = Context { deadline: self.deadline, on_retry: &on_retry };
        let look = async {
            let backend = self.session.backend(repository, context)?;
            let now = match backend.tag(tag).await {
                Err(RegistryErrorKind::Missing) => None,
                Ok(Tagged { digest: named, document: None }) if seen == Seen::Now && named != *digest => {
                    // Such as an old answer to a HEAD at a proxy: the tag itself stays where it was.
                    let fetched = backend.fetch(tag).await?.digest;
                    if fetched == *digest {
                        return Err(RegistryErrorKind::DigestDiffers { reported: named, hashed: fetched });
                    }
                    Some(fetched)
                }
                now => Some(now?.digest),
            };
            match (backend.cache(), &now) {
                (None, _) => {}
                // Remembered already: this is where the resolution comes from.
                (_, Some(now)) if seen != Seen::Now && now == digest => {}
                (Some(cache), Some(now)) => cache.keep_tag(tag, now),
                (Some(cache), None) => cache.forget_tag(tag),
            }
            if now.as_ref() == Some(digest) {
                return Ok(());
            }
            Err(RegistryErrorKind::Moved { before: digest.clone(), after: now })
        };
        match look.await {
            Ok(()) => Ok(resolution),
            Err(kind) => {
                let mut tried = resolution.tried;
                // What was found is no answer any more.
                let is_it = |attempt: &&mut Attempt| {
                    attempt.reference.repository == *repository && attempt.reference.tag.as_ref() == Some(tag)
                };
                if let Some(attempt) = tried.iter_mut().rev().find(is_it) {
                    attempt.outcome = failed(&kind);
                }
                let error = RegistryError::new(format!("{repository}:{tag}"), kind).asked_as(self.asked_as(repository));
                Err(Unresolved { tried, reason: UnresolvedReason::Failed(error) })
            }
        }
    }
}

fn failed(kind: &RegistryErrorKind) -> AttemptOutcome {
    AttemptOutcome::Failed { class: kind.class(), message: kind.in_short() }
}

/// What the images of all platforms say together: the first one that disagrees, else whether all name the commit.
fn judge(revisions: &BTreeMap<Platform, Option<String>>, wanted: &CommitId) -> (Revision, Option<String>) {
    let other = revisions.values().flatten().find(|revision| !revision.eq_ignore_ascii_case(wanted.as_str()));
    if let Some(other) = other {
        (Revision::Mismatch, Some(escaped(other)))
    } else if revisions.values().all(Option::is_some) {
        (Revision::SelfAsserted, Some(wanted.to_string()))
    } else {
        (Revision::Absent, None)
    }
}

/// Whether an image is taken without a look at further candidates.
///
/// An image that names another commit never is: a short tag finds, it proves nothing, and the right image may be under
/// the next one. One that names no commit has nothing against it, so that `warn` takes it.
fn is_taken(found: &Found<'_>, policy: RevisionPolicy) -> bool {
    match (found.revision, policy) {
        (Revision::Proven | Revision::SelfAsserted | Revision::Unchecked, _) | (_, RevisionPolicy::Off) => true,
        (Revision::Absent, RevisionPolicy::Warn) => true,
        (Revision::Mismatch, _) | (Revision::Absent, RevisionPolicy::Require) => false,
    }
}

impl Found<'_> {
    fn revision(&self) -> FoundRevision {
        FoundRevision { reference: self.candidate.clone(), revision: self.reported.clone() }
    }
}
