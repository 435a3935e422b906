//! From candidates to a locked image.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lock_model::{CommitId, CreatedFrom, Digest, LockedImage, Platform, Revision, ServiceName};

use crate::error::{RegistryError, RegistryErrorKind};
use crate::inspect::{Inspected, inspect};
use crate::registry::{Registry, Session};
use crate::request::{
    Attempt, AttemptOutcome, Candidate, Event, FoundRevision, ImageRequest, Resolution, RevisionPolicy, Unresolved,
    UnresolvedReason, Warning,
};
use crate::source::{Context, Source, Tagged};
use crate::text::{shown, with_causes};

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
        on_event: &dyn Fn(Event<'_>),
    ) -> BTreeMap<ServiceName, Result<Resolution, Unresolved>> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let session = self.session();
        let mut looks: FuturesUnordered<_> = requests
            .iter()
            .map(|request| (request, &session))
            .map(|(request, session)| async move {
                let found = match recall(session, request, deadline, on_event).await {
                    Some(resolution) => Ok((resolution, Seen::Before)),
                    None => look(session, request, deadline, on_event).await.map(|found| (found, Seen::Now)),
                };
                on_event(Event::Looked { service: &request.service, found: found.is_ok() });
                (request, found)
            })
            .collect();
        let mut answers = Vec::with_capacity(requests.len());
        while let Some(answer) = looks.next().await {
            answers.push(answer);
        }
        drop(looks);

        // Layout folders are read anew too: they can be changed like any registry.
        let session = self.session();
        let confirmations: FuturesUnordered<_> = answers
            .into_iter()
            .map(|(request, found)| {
                let session = &session;
                async move {
                    let confirmed = match found {
                        Ok((resolution, seen)) => confirm(session, request, resolution, seen, deadline, on_event).await,
                        Err(unresolved) => Err(unresolved),
                    };
                    (request.service.clone(), confirmed)
                }
            })
            .collect();
        confirmations.collect().await
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
    Before,
}

/// What an earlier command found under the first candidate, if that is the image and everything about it is known.
///
/// Whatever is doubtful is no answer: the tag may have moved since, and then the registry has another one.
async fn recall(
    session: &Session<'_>,
    request: &ImageRequest,
    deadline: tokio::time::Instant,
    on_event: &dyn Fn(Event<'_>),
) -> Option<Resolution> {
    let service = &request.service;
    let candidate = request.candidates.first()?;
    let source = session.source(&candidate.repository).ok()?;
    let digest = source.remembered(&candidate.tag)?;
    on_event(Event::Asking { service, candidate });
    let on_retry = |wait, reason: &str| on_event(Event::Retrying { service, wait, reason });
    let context = Context { deadline, on_retry: &on_retry };
    let tagged = Tagged { digest, document: None };
    let found = examine(&source, request, candidate, tagged, context).await.ok()?;
    if !matches!(found.revision, Revision::SelfAsserted | Revision::Unchecked) {
        return None;
    }
    let outcome = AttemptOutcome::Found { digest: found.digest.clone() };
    let attempt = Attempt { reference: candidate.to_string(), outcome };
    on_event(Event::Asked { service, attempt: &attempt });
    Some(lock(request, found, &[], vec![attempt]))
}

/// Asks the candidates in order.
async fn look(
    session: &Session<'_>,
    request: &ImageRequest,
    deadline: tokio::time::Instant,
    on_event: &dyn Fn(Event<'_>),
) -> Result<Resolution, Unresolved> {
    let service = &request.service;
    let mut tried = Vec::with_capacity(1);
    let mut passed_over: Vec<Found<'_>> = Vec::new();
    for candidate in &request.candidates {
        on_event(Event::Asking { service, candidate });
        let on_retry = |wait, reason: &str| on_event(Event::Retrying { service, wait, reason });
        let answer = ask(session, request, candidate, Context { deadline, on_retry: &on_retry }).await;
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

/// Asks for one candidate, down to its configurations.
async fn ask<'a>(
    session: &Session<'_>,
    request: &ImageRequest,
    candidate: &'a Candidate,
    context: Context<'_>,
) -> Result<Found<'a>, RegistryErrorKind> {
    let Candidate { repository, tag } = candidate;
    let source = session.source(repository)?;
    let tagged = source.tag(repository, tag, context).await?;
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
    let document = match tagged.document {
        Some(document) => document,
        None => source.document(repository, tag, &tagged.digest, context).await?,
    };
    let inspected = inspect(source, repository, &tagged.digest, document, &request.platforms, context).await?;
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
    let image = LockedImage { repository, tag, digest, platforms, created, created_from, revision };
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
    on_event: &dyn Fn(Event<'_>),
) -> Result<Resolution, Unresolved> {
    match look_again(session, request, resolution, deadline, on_event).await {
        Err(Unresolved { reason: UnresolvedReason::Failed(error), .. })
            if seen == Seen::Before && matches!(error.kind(), RegistryErrorKind::Moved { .. }) =>
        {
            let resolution = look(session, request, deadline, on_event).await?;
            look_again(session, request, resolution, deadline, on_event).await
        }
        answer => answer,
    }
}

async fn look_again(
    session: &Session<'_>,
    request: &ImageRequest,
    resolution: Resolution,
    deadline: tokio::time::Instant,
    on_event: &dyn Fn(Event<'_>),
) -> Result<Resolution, Unresolved> {
    let service = &request.service;
    on_event(Event::Confirming { service });
    let LockedImage { repository, tag, digest, .. } = &resolution.image;
    let on_retry = |wait, reason: &str| on_event(Event::Retrying { service, wait, reason });
    let now = match session.source(repository) {
        Ok(source) => {
            let now = source.tag(repository, tag, Context { deadline, on_retry: &on_retry }).await;
            if let Ok(now) = &now {
                source.remember(tag, &now.digest);
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
