//! The search for the image of one request.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use lock_model::{CommitId, Digest, ImageReference, ImageRepository, Platform, Revision, Tag};
use tokio::time::Instant;

use crate::backend::{Backend, Tagged};
use crate::error::{RegistryError, RegistryErrorKind};
use crate::first_looks::{FirstLook, FirstLooks, LookTimes};
use crate::inspect::{Inspected, inspect};
use crate::registry::Session;
use crate::remote::Context;
use crate::request::{
    Attempt, AttemptOutcome, Event, FoundRevision, ImageRequest, Resolution, ResolvedImage, RevisionPolicy, Unresolved,
    UnresolvedReason, Warning,
};
use crate::text::escaped;

/// What a look comes to, and where the image comes from.
pub(crate) type Answer = Result<(Resolution, Seen), Unresolved>;

/// An image that is there and may be the one.
struct Found<'a> {
    candidate: &'a ImageReference,
    times: LookTimes,
    digest: Digest,
    inspected: Inspected,
    revision: Revision,
    reported: Option<String>,
}

/// The search for the image of one request.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) position: usize,
    pub(crate) request: &'a ImageRequest,
    pub(crate) deadline: Instant,
    pub(crate) on_event: &'a (dyn Fn(Event<'_>) + Sync),
}

/// Where a resolution comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// From this command's own looks at the tag.
    Now(LookTimes),
    /// The same, by a digest that the request names.
    Pinned,
    /// From the cache: the last look is the first one as well.
    Before {
        /// How many candidates come before it, of which nothing is remembered: they have to be missing.
        earlier: usize,
    },
}

impl Seen {
    /// When this command had its first answer about the tag.
    pub(crate) fn first_answer(self) -> Option<Instant> {
        match self {
            Self::Now(times) => times.first,
            Self::Pinned | Self::Before { .. } => None,
        }
    }

    /// Whether nothing is left to be looked at, where the last first answer about any tag came at this time.
    pub(crate) fn is_confirmed(self, last_answer: Option<Instant>) -> bool {
        match self {
            Self::Now(times) => times.confirm(last_answer),
            // A digest stands for the same image for ever.
            Self::Pinned => true,
            Self::Before { .. } => false,
        }
    }
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
    pub(crate) async fn recall(self) -> Option<(Resolution, usize)> {
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
        let times = LookTimes { first: None, second: None };
        let found = self.examine(&backend, candidate, Tagged { digest, document: None }, times).await.ok()?;
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

    fn revision_policy(self) -> RevisionPolicy {
        self.request.built_from.as_ref().map_or(RevisionPolicy::Off, |(_, policy)| *policy)
    }

    /// Asks the candidates in order.
    pub(crate) async fn look(self, mut first: FirstLook<'_>, sightings: &mut BTreeMap<usize, Digest>) -> Answer {
        let policy = self.revision_policy();
        let mut tried = Vec::with_capacity(1);
        let mut passed_over: Vec<Found<'_>> = Vec::new();
        let on_retry = self.on_retry();
        let context = Context { deadline: self.deadline, on_retry: &on_retry };
        for (position, candidate) in self.request.candidates.iter().enumerate() {
            self.tell(Event::Asking { request: self.position, candidate });
            let mut sighted = None;
            let is_known = sightings.contains_key(&position);
            let mut answer = self.ask(candidate, is_known, &mut first, &mut sighted, context).await;
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
        first: &mut FirstLook<'_>,
        sighted: &mut Option<Digest>,
        context: Context<'_>,
    ) -> Result<Found<'a>, RegistryErrorKind> {
        let ImageReference { repository, tag, digest } = candidate;
        let backend = self.session.backend(repository, context)?;
        match (digest, tag) {
            (Some(digest), _) => {
                let document = Some(backend.pinned(digest).await?);
                first.answer();
                let times = LookTimes { first: None, second: None };
                self.examine(&backend, candidate, Tagged { digest: digest.clone(), document }, times).await
            }
            (None, Some(tag)) => {
                let tagged = if is_known { backend.tag(tag).await? } else { backend.fetch(tag).await? };
                *sighted = Some(tagged.digest.clone());
                self.examine_and_look_again(&backend, candidate, tag, tagged, first.answer()).await
            }
            (None, None) => Err(RegistryErrorKind::NoTagOrDigest),
        }
    }

    /// Reads what a tag stands for and, once all requests have their first answers, looks at the tag again meanwhile.
    ///
    /// That other requests still wait for their first answers delays nothing: the second look comes later then.
    async fn examine_and_look_again(
        self,
        backend: &Backend<'_>,
        candidate: &'a ImageReference,
        tag: &Tag,
        tagged: Tagged,
        first_looks: &FirstLooks,
    ) -> Result<Found<'a>, RegistryErrorKind> {
        let times = LookTimes { first: Some(Instant::now()), second: None };
        let digest = tagged.digest.clone();
        let examined = pin!(self.examine(backend, candidate, tagged, times));
        // A layout folder is read once for all looks of a round.
        if !backend.is_remote() {
            return examined.await;
        }
        let again = pin!(async {
            first_looks.answered().await;
            let begun = Instant::now();
            (begun, self.digest_now(backend, tag, &digest, true).await)
        });
        let (found, again) = match select(examined, again).await {
            Either::Left((found, again)) if found.is_ok() && first_looks.are_answered() => (found?, again.await),
            Either::Left((found, _)) => return found,
            Either::Right((again, examined)) => (examined.await?, again),
        };
        let policy = self.revision_policy();
        match again {
            // What is passed over needs no second look.
            _ if !is_taken(&found, policy) => Ok(found),
            (begun, Ok(Some(now))) if now == digest => {
                if let Some(cache) = backend.cache() {
                    cache.keep_tag(tag, &now);
                }
                Ok(Found { times: LookTimes { second: Some(begun), ..times }, ..found })
            }
            (_, Ok(after)) => {
                remember(backend, tag, after.as_ref());
                Err(RegistryErrorKind::Moved { before: digest.clone(), after })
            }
            (_, Err(error @ RegistryErrorKind::DigestDiffers { .. })) => Err(error),
            // The last look has its own time, and may succeed.
            (_, Err(_)) => Ok(found),
        }
    }

    /// Reads what a candidate stands for, down to its configurations.
    async fn examine(
        self,
        backend: &Backend<'_>,
        candidate: &'a ImageReference,
        tagged: Tagged,
        times: LookTimes,
    ) -> Result<Found<'a>, RegistryErrorKind> {
        let document = match (tagged.document, &candidate.tag) {
            (Some(document), _) => document,
            (None, Some(tag)) => backend.document(tag, &tagged.digest).await?,
            (None, None) => return Err(RegistryErrorKind::NoTagOrDigest),
        };
        let inspected = inspect(backend, &tagged.digest, document, &self.request.platforms).await?;
        let (revision, reported) = match &self.request.built_from {
            None | Some((_, RevisionPolicy::Off)) => (Revision::Unchecked, None),
            Some((commit, RevisionPolicy::Require | RevisionPolicy::Warn)) => judge(&inspected.revisions, commit),
        };
        Ok(Found { candidate, times, digest: tagged.digest, inspected, revision, reported })
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
        let Found { candidate, times, digest, inspected, revision, reported: _ } = found;
        let Inspected { platforms, created, revisions: _, warnings: of_the_image } = inspected;
        warnings.extend(of_the_image);
        let ImageReference { repository, tag, digest: pinned } = candidate.clone();
        let image = ResolvedImage { repository, tag, digest, platforms, created, revision };
        let seen = if pinned.is_some() { Seen::Pinned } else { Seen::Now(times) };
        (Resolution { image, tried, warnings }, seen)
    }

    /// Looks at the tag once more.
    ///
    /// A guess that turns out to be wrong costs a whole look, and another last one.
    pub(crate) async fn confirm(self, resolution: Resolution, seen: Seen) -> Answer {
        let Seen::Before { earlier } = seen else { return self.look_again(resolution, seen).await };
        let hit = resolution.image.repository.clone();
        let earlier = self.request.candidates.iter().take(earlier);
        let absences = join_all(earlier.map(|candidate| self.is_absent(candidate, &hit)));
        let (answer, absences) = tokio::join!(self.look_again(resolution, seen), absences);
        match answer {
            Ok(found) if absences.iter().all(|absent| *absent) => return Ok(found),
            Err(unresolved) if !matches!(unresolved.failure(), Some(RegistryErrorKind::Moved { .. })) => {
                return Err(unresolved);
            }
            Ok(_) | Err(_) => {}
        }
        let (resolution, seen) = self.look(FirstLooks::new(1).of_one(), &mut BTreeMap::new()).await?;
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

    async fn look_again(self, resolution: Resolution, seen: Seen) -> Answer {
        let ResolvedImage { repository, tag, digest, .. } = &resolution.image;
        let (Some(tag), Seen::Now(_) | Seen::Before { .. }) = (tag, seen) else { return Ok((resolution, seen)) };
        let on_retry = self.on_retry();
        let context = Context { deadline: self.deadline, on_retry: &on_retry };
        let is_own = matches!(seen, Seen::Now(_));
        let second = Some(Instant::now());
        let look = async {
            let backend = self.session.backend(repository, context)?;
            let now = self.digest_now(&backend, tag, digest, is_own).await?;
            let is_same = now.as_ref() == Some(digest);
            // What an earlier command found is remembered already.
            if is_own || !is_same {
                remember(&backend, tag, now.as_ref());
            }
            if is_same { Ok(()) } else { Err(RegistryErrorKind::Moved { before: digest.clone(), after: now }) }
        };
        match look.await {
            Ok(()) => {
                let times = LookTimes { first: seen.first_answer(), second };
                Ok((resolution, Seen::Now(times)))
            }
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

    /// The digest that a tag has now, after it had this one; `None` where it is gone. With `hash`, a HEAD that names
    /// another digest is compared with the document.
    async fn digest_now(
        self,
        backend: &Backend<'_>,
        tag: &Tag,
        before: &Digest,
        hash: bool,
    ) -> Result<Option<Digest>, RegistryErrorKind> {
        self.tell(Event::Confirming { request: self.position });
        match backend.tag(tag).await {
            Err(RegistryErrorKind::Missing) => Ok(None),
            Ok(Tagged { digest: named, document: None }) if hash && named != *before => {
                // Such as an old answer to a HEAD at a proxy: the tag itself stays where it was.
                let fetched = backend.fetch(tag).await?.digest;
                if fetched == *before {
                    return Err(RegistryErrorKind::DigestDiffers { reported: named, hashed: fetched });
                }
                Ok(Some(fetched))
            }
            now => Ok(Some(now?.digest)),
        }
    }
}

/// Keeps what a tag stands for now in the cache, or that it is gone.
fn remember(backend: &Backend<'_>, tag: &Tag, now: Option<&Digest>) {
    match (backend.cache(), now) {
        (None, _) => {}
        (Some(cache), Some(now)) => cache.keep_tag(tag, now),
        (Some(cache), None) => cache.forget_tag(tag),
    }
}

fn failed(kind: &RegistryErrorKind) -> AttemptOutcome {
    AttemptOutcome::Failed { class: kind.class(), message: kind.in_short() }
}

/// What the images of all platforms say together: the first one that disagrees, else whether all name the commit.
fn judge(revisions: &BTreeMap<Platform, Option<String>>, wanted: &CommitId) -> (Revision, Option<String>) {
    let other = revisions.values().flatten().find(|revision| !revision.eq_ignore_ascii_case(wanted.as_str()));
    if let Some(other) = other {
        // White space would not be seen.
        let shown = if other.trim() == other { escaped(other) } else { escaped(format!("{other:?}")) };
        (Revision::Mismatch, Some(shown))
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
