//! From candidates to a locked image.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use lock_model::{
    CommitId, CreatedFrom, Digest, ErrorClass, ImageRepository, LockedImage, Platform, Revision, ServiceName,
};

use crate::error::{RegistryError, RegistryErrorKind};
use crate::inspect::{Inspected, inspect};
use crate::patience::{Patience, Polls};
use crate::registry::{Registry, Session};
use crate::request::{
    Attempt, AttemptOutcome, Candidate, Event, FoundRevision, ImageRequest, Resolution, RevisionPolicy, Unresolved,
    UnresolvedReason, Warning,
};
use crate::source::{Context, Source, Tagged};
use crate::text::{shown, with_causes};

/// Enough for the last look at thousands of tags.
const LONGEST_CONFIRMING_TIME: Duration = Duration::from_secs(10);

impl Registry {
    /// Finds the image of every service, all services at once, and looks at each tag a second time when all have been
    /// found: a tag that moved meanwhile, or a registry that answers differently each time, is refused.
    ///
    /// Every service gets its answer, whatever happens to the others. Only an image that does not exist leads to the
    /// next candidate; after any other failure it is unknown which one would be the first, and the service has none.
    pub async fn resolve_all(
        &self,
        requests: &[ImageRequest],
        deadline: Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> BTreeMap<ServiceName, Result<Resolution, Unresolved>> {
        self.resolve_all_patiently(requests, Patience::NONE, deadline, on_event).await
    }

    /// As [`resolve_all`](Self::resolve_all), and waits for images that may still come: those that do not exist, whose
    /// index lacks a platform, or whose registry is busy.
    ///
    /// What cannot come right by waiting ends it for all: another failure of any service, a registry that asks for more
    /// time than there is, an image that was there and is gone.
    pub async fn resolve_all_patiently(
        &self,
        requests: &[ImageRequest],
        patience: Patience,
        deadline: Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> BTreeMap<ServiceName, Result<Resolution, Unresolved>> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let look_by = deadline - confirming_time(deadline);
        let mut polls = patience.polls(tokio::time::Instant::now(), look_by);
        let mut pending: Vec<Pending<'_>> = requests.iter().map(Pending::new).collect();
        let mut resolved = BTreeMap::new();
        while !pending.is_empty() {
            let looked = self.look_until(pending, requests.len(), &mut polls, look_by, on_event).await;
            // What was there in an earlier command and is not now may come back like any other.
            let mut late = Vec::new();
            for (pending, seen, answer) in self.confirm_all(looked, deadline, on_event).await {
                let service = pending.request.service.clone();
                if let (Some(Seen::Before { .. }), Err(unresolved)) = (seen, &answer)
                    && may_come(unresolved, &polls)
                {
                    late.push(pending);
                }
                resolved.insert(service, answer);
            }
            let hopeless =
                |answer: &Result<_, _>| answer.as_ref().is_err_and(|unresolved| !may_come(unresolved, &polls));
            pending = if resolved.values().any(hopeless) { Vec::new() } else { late };
        }
        self.tidy();
        resolved
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
            let missing: Vec<&ServiceName> = failed.iter().map(|(pending, _)| &pending.request.service).collect();
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
        let session = self.session();
        let confirmations: FuturesUnordered<_> = looked
            .into_iter()
            .map(|looked| (looked, &session))
            .map(|((pending, answer), session)| async move {
                match answer {
                    Ok((resolution, seen)) => {
                        let answer = confirm(session, pending.request, resolution, seen, deadline, on_event).await;
                        (pending, Some(seen), answer)
                    }
                    Err(unresolved) => (pending, None, Err(unresolved)),
                }
            })
            .collect();
        confirmations.collect().await
    }

    /// One look for each of these services, all at once.
    async fn look_at_all<'a>(
        &self,
        pending: Vec<Pending<'a>>,
        deadline: tokio::time::Instant,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Vec<(Pending<'a>, Answer)> {
        // Layout folders are read anew with each look.
        let session = self.session();
        let looks: FuturesUnordered<_> = pending
            .into_iter()
            .map(|pending| (pending, &session))
            .map(|(mut pending, session)| async move {
                let request = pending.request;
                let recalled = if pending.is_new { recall(session, request, deadline, on_event).await } else { None };
                pending.is_new = false;
                let found = match recalled {
                    Some((resolution, earlier)) => Ok((resolution, Seen::Before { earlier })),
                    None => look(session, request, &mut pending.sightings, deadline, on_event)
                        .await
                        .map(|found| (found, Seen::Now)),
                };
                on_event(Event::Looked { service: &request.service, found: found.is_ok() });
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

/// A service that is looked for.
struct Pending<'a> {
    request: &'a ImageRequest,
    /// What each candidate had when it was last there, by its place in the list.
    sightings: BTreeMap<usize, Digest>,
    /// Nobody has looked so far.
    is_new: bool,
}

impl<'a> Pending<'a> {
    fn new(request: &'a ImageRequest) -> Self {
        Self { request, sightings: BTreeMap::new(), is_new: true }
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

/// Whether waiting can help, within the patience that is left.
fn may_come(unresolved: &Unresolved, polls: &Polls) -> bool {
    let Some(left) = polls.left(tokio::time::Instant::now()).filter(|left| !left.is_zero()) else { return false };
    match unresolved.class() {
        ErrorClass::NotFound => true,
        ErrorClass::Temporary => unresolved.retry_after().is_none_or(|wait| wait <= left),
        ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::Bug => false,
    }
}

/// An image that is there and may be the one.
struct Found<'a> {
    candidate: &'a Candidate,
    digest: Digest,
    inspected: Inspected,
    revision: Revision,
    said: Option<String>,
}

/// Where a resolution comes from before its tag is looked at for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// From this command's own look.
    Now,
    /// From the cache: the last look is the first one as well.
    Before {
        /// How many candidates come before it, of which nothing is remembered: they have to be missing.
        earlier: usize,
    },
}

/// What an earlier command found under the first candidate of which anything is remembered, if that is the image and
/// everything about it is known; with the number of candidates before it.
///
/// Whatever is doubtful is no answer: the tag may have moved since, and then the registry has another one.
async fn recall(
    session: &Session<'_>,
    request: &ImageRequest,
    deadline: tokio::time::Instant,
    on_event: &(dyn Fn(Event<'_>) + Sync),
) -> Option<(Resolution, usize)> {
    let service = &request.service;
    let (earlier, candidate, source, digest) =
        request.candidates.iter().enumerate().find_map(|(position, candidate)| {
            let source = session.source(&candidate.repository).ok()?;
            let digest = source.remembered(&candidate.tag)?;
            Some((position, candidate, source, digest))
        })?;
    on_event(Event::Asking { service, candidate });
    let on_retry = |wait, reason: &str| on_event(Event::Retrying { service, wait, reason });
    let context = Context { deadline, on_retry: &on_retry };
    let tagged = Tagged { digest, document: None };
    let found = examine(&source, request, candidate, tagged, context).await.ok()?;
    if !matches!(found.revision, Revision::SelfAsserted | Revision::Unchecked) {
        return None;
    }
    let missing =
        |candidate: &Candidate| Attempt { reference: candidate.to_string(), outcome: AttemptOutcome::Missing };
    let mut tried: Vec<Attempt> = request.candidates.iter().take(earlier).map(missing).collect();
    let outcome = AttemptOutcome::Found { digest: found.digest.clone() };
    let attempt = Attempt { reference: candidate.to_string(), outcome };
    on_event(Event::Asked { service, attempt: &attempt });
    tried.push(attempt);
    Some((lock(request, found, &[], tried), earlier))
}

/// Asks the candidates in order.
async fn look(
    session: &Session<'_>,
    request: &ImageRequest,
    sightings: &mut BTreeMap<usize, Digest>,
    deadline: tokio::time::Instant,
    on_event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Resolution, Unresolved> {
    let service = &request.service;
    let mut tried = Vec::with_capacity(1);
    let mut passed_over: Vec<Found<'_>> = Vec::new();
    for (position, candidate) in request.candidates.iter().enumerate() {
        on_event(Event::Asking { service, candidate });
        let on_retry = |wait, reason: &str| on_event(Event::Retrying { service, wait, reason });
        let context = Context { deadline, on_retry: &on_retry };
        let mut sighted = None;
        let mut answer = ask(session, request, candidate, &mut sighted, context).await;
        let before = match sighted {
            Some(digest) => sightings.insert(position, digest),
            None => sightings.get(&position).cloned(),
        };
        // A tag that was there and is gone is not one that is still to come.
        if let (Err(RegistryErrorKind::Missing), Some(before)) = (&answer, before) {
            answer = Err(RegistryErrorKind::Moved { before, after: None });
        }
        let outcome = match &answer {
            Ok(found) if is_taken(found, request.revision) => AttemptOutcome::Found { digest: found.digest.clone() },
            Ok(found) => AttemptOutcome::OtherRevision { digest: found.digest.clone(), revision: found.said.clone() },
            Err(RegistryErrorKind::Missing) => AttemptOutcome::Missing,
            Err(error) => AttemptOutcome::Failed { class: error.class(), message: with_causes(error) },
        };
        let attempt = Attempt { reference: candidate.to_string(), outcome };
        on_event(Event::Asked { service, attempt: &attempt });
        tried.push(attempt);
        match answer {
            Ok(found) if is_taken(&found, request.revision) => return Ok(lock(request, found, &passed_over, tried)),
            Ok(found) => passed_over.push(found),
            Err(RegistryErrorKind::Missing) => {}
            Err(kind) => {
                let reason = UnresolvedReason::Failed(RegistryError::new(candidate.to_string(), kind));
                return Err(Unresolved { tried, reason });
            }
        }
    }
    let reason = if passed_over.is_empty() {
        if tried.is_empty() { UnresolvedReason::NoCandidates } else { UnresolvedReason::AllMissing }
    } else if request.revision == RevisionPolicy::Warn {
        let first = passed_over.remove(0);
        return Ok(lock(request, first, &passed_over, tried));
    } else {
        let found = passed_over.iter().map(Found::revision).collect();
        UnresolvedReason::OtherRevision { wanted: request.commit.clone(), found }
    };
    Err(Unresolved { tried, reason })
}

/// Asks for one candidate, down to its configurations; `sighted` is the digest that its tag has, whatever comes of it.
async fn ask<'a>(
    session: &Session<'_>,
    request: &ImageRequest,
    candidate: &'a Candidate,
    sighted: &mut Option<Digest>,
    context: Context<'_>,
) -> Result<Found<'a>, RegistryErrorKind> {
    let Candidate { repository, tag } = candidate;
    let source = session.source(repository)?;
    let tagged = source.tag(repository, tag, context).await?;
    *sighted = Some(tagged.digest.clone());
    examine(&source, request, candidate, tagged, context).await
}

/// Reads what a tag points at, down to its configurations.
async fn examine<'a>(
    source: &Source<'_>,
    request: &ImageRequest,
    candidate: &'a Candidate,
    tagged: Tagged,
    context: Context<'_>,
) -> Result<Found<'a>, RegistryErrorKind> {
    let Candidate { repository, tag } = candidate;
    source.open(&tagged.digest);
    let inspected = async {
        let document = match tagged.document {
            Some(document) => document,
            None => source.document(repository, tag, &tagged.digest, context).await?,
        };
        inspect(source, repository, &tagged.digest, document, &request.platforms, context).await
    };
    let inspected = inspected.await;
    // Also where it failed: what there is of it stays what it is.
    source.keep(&tagged.digest);
    let inspected = inspected?;
    let (revision, said) = match request.revision {
        RevisionPolicy::Off => (Revision::Unchecked, None),
        RevisionPolicy::Require | RevisionPolicy::Warn => judge(&inspected.revisions, &request.commit),
    };
    Ok(Found { candidate, digest: tagged.digest, inspected, revision, said })
}

/// What the images of all platforms say together: the first one that disagrees, else whether all name the commit.
fn judge(revisions: &BTreeMap<Platform, Option<String>>, wanted: &CommitId) -> (Revision, Option<String>) {
    let other = revisions.values().flatten().find(|revision| *revision != wanted.as_str());
    if let Some(other) = other {
        (Revision::Mismatch, Some(shown(other)))
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

fn lock(request: &ImageRequest, found: Found<'_>, passed_over: &[Found<'_>], tried: Vec<Attempt>) -> Resolution {
    let warning = |found: &Found<'_>, taken| Warning::OtherRevision {
        found: found.revision(),
        wanted: request.commit.clone(),
        taken,
    };
    let mut warnings: Vec<Warning> = passed_over.iter().map(|found| warning(found, false)).collect();
    if matches!(found.revision, Revision::Mismatch | Revision::Absent) {
        warnings.push(warning(&found, true));
    }
    let Found { candidate, digest, inspected, revision, said: _ } = found;
    let Inspected { platforms, created, revisions: _, warnings: of_the_image } = inspected;
    warnings.extend(of_the_image);
    let (created, created_from) = created.unwrap_or((request.commit_time, CreatedFrom::Commit));
    let Candidate { repository, tag } = candidate.clone();
    let image = LockedImage::new(repository, tag, digest, created, created_from)
        .with_platforms(platforms)
        .with_revision(revision);
    Resolution { image, tried, warnings }
}

/// Looks at the tag once more.
///
/// A guess that turns out to be wrong costs a whole look, and another last one.
async fn confirm(
    session: &Session<'_>,
    request: &ImageRequest,
    resolution: Resolution,
    seen: Seen,
    deadline: tokio::time::Instant,
    on_event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Resolution, Unresolved> {
    let Seen::Before { earlier } = seen else {
        return look_again(session, request, resolution, seen, deadline, on_event).await;
    };
    let hit = resolution.image.repository.clone();
    let earlier = request.candidates.iter().take(earlier);
    let absences = join_all(earlier.map(|candidate| is_absent(session, request, candidate, &hit, deadline, on_event)));
    let (answer, absences) = tokio::join!(look_again(session, request, resolution, seen, deadline, on_event), absences);
    let moved = |unresolved: &Unresolved| match &unresolved.reason {
        UnresolvedReason::Failed(error) => matches!(error.kind(), RegistryErrorKind::Moved { .. }),
        _ => false,
    };
    match answer {
        Ok(resolution) if absences.iter().all(|absent| *absent) => return Ok(resolution),
        Err(unresolved) if !moved(&unresolved) => return Err(unresolved),
        Ok(_) | Err(_) => {}
    }
    let resolution = look(session, request, &mut BTreeMap::new(), deadline, on_event).await?;
    look_again(session, request, resolution, Seen::Now, deadline, on_event).await
}

/// Whether a candidate that comes before a remembered one is still not there.
///
/// A registry that answers a HEAD for the remembered one may say with a HEAD too that there is nothing; any other is
/// asked as if for the first time.
async fn is_absent(
    session: &Session<'_>,
    request: &ImageRequest,
    candidate: &Candidate,
    hit: &ImageRepository,
    deadline: tokio::time::Instant,
    on_event: &(dyn Fn(Event<'_>) + Sync),
) -> bool {
    let service = &request.service;
    let Candidate { repository, tag } = candidate;
    let on_retry = |wait, reason: &str| on_event(Event::Retrying { service, wait, reason });
    let context = Context { deadline, on_retry: &on_retry };
    let Ok(source) = session.source(repository) else { return false };
    if repository.host() == hit.host() {
        return source.head_finds_nothing(repository, tag, context).await;
    }
    matches!(source.tag(repository, tag, context).await, Err(RegistryErrorKind::Missing))
}

async fn look_again(
    session: &Session<'_>,
    request: &ImageRequest,
    resolution: Resolution,
    seen: Seen,
    deadline: tokio::time::Instant,
    on_event: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Resolution, Unresolved> {
    let service = &request.service;
    on_event(Event::Confirming { service });
    let LockedImage { repository, tag, digest, .. } = &resolution.image;
    let on_retry = |wait, reason: &str| on_event(Event::Retrying { service, wait, reason });
    let now = match session.source(repository) {
        Ok(source) => {
            let now = source.tag(repository, tag, Context { deadline, on_retry: &on_retry }).await;
            match &now {
                // Remembered already: this is where the resolution comes from.
                Ok(now) if seen != Seen::Now && now.digest == *digest => {}
                Ok(now) => source.remember(tag, &now.digest),
                Err(RegistryErrorKind::Missing) => source.forget(tag),
                Err(_) => {}
            }
            now
        }
        Err(error) => Err(error),
    };
    let moved = |after| RegistryErrorKind::Moved { before: digest.clone(), after };
    let kind = match now {
        Ok(now) if now.digest == *digest => return Ok(resolution),
        Ok(now) => moved(Some(now.digest)),
        Err(RegistryErrorKind::Missing) => moved(None),
        Err(other) => other,
    };
    let reason = UnresolvedReason::Failed(RegistryError::new(format!("{repository}:{tag}"), kind));
    Err(Unresolved { tried: resolution.tried, reason })
}

impl Found<'_> {
    fn revision(&self) -> FoundRevision {
        FoundRevision { reference: self.candidate.to_string(), revision: self.said.clone() }
    }
}
