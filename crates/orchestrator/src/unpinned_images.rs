//! Images that a deployment would pull although neither the lock nor a digest decides them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use config::{AllowedImage, Environment};
use deployer::{DeployError, DeployProblem, UnpinnedImage};
use lock_model::{Date, Digest, EnvironmentName, ErrorClass, ImageReference, Tag};
use process::Priority;
use registry::ImageRequest;

use crate::engine::{Planning, fetch_manifests};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::inputs::Unreadable;
use crate::registry_client;
use crate::report::markdown::UnpinnedRow;
use crate::report::v1::evidence::{PromotedImages, RenderedImages};
use crate::revision::Revision;
use crate::workspace::Workspace;

/// How long registries are asked for the digests that a refusal shows.
const DIGEST_DEADLINE: Duration = Duration::from_secs(10);

/// How long a remote is waited for where manifests are read only for the list that reviewers see.
const LIST_PATIENCE: Duration = Duration::from_secs(15);

/// What one environment's rules say.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnpinnedRules {
    /// Whether such an image is refused at all.
    refuses: bool,
    /// Whether approvals are required, so that what the change itself allows can be approved.
    approvals: bool,
    /// The exceptions of the rules that judge.
    pub(crate) reviewed: BTreeMap<ImageReference, AllowedImage>,
    /// The exceptions that the change itself brings.
    own: BTreeMap<ImageReference, AllowedImage>,
}

/// A line about an image, for everybody who deploys it all the same.
pub(crate) fn warning(image: &UnpinnedImage) -> String {
    format!("{} at {} is not pinned by the lock: {}", image.object, image.place, image.image)
}

/// An image that may not be deployed.
#[derive(Debug)]
pub(crate) struct Refused<'a> {
    image: &'a UnpinnedImage,
    why: String,
}

impl UnpinnedRules {
    /// The rules of the environments that judge, and of the change itself; the strictest counts.
    pub(crate) fn new<'a>(judges: impl Iterator<Item = &'a Environment>, own: Option<&'a Environment>) -> Self {
        let judges: Vec<&Environment> = judges.collect();
        let approvals = |environment: &Environment| environment.requires.approvals.as_ref().map(|asked| asked.count);
        Self {
            refuses: judges.iter().copied().chain(own).any(|environment| {
                let proven = environment.requires.proven_in.is_some();
                proven || approvals(environment).is_some() || environment.release.is_some()
            }),
            approvals: judges.iter().any(|environment| approvals(environment).is_some_and(|count| count > 0)),
            reviewed: BTreeMap::new(),
            own: own.map(|own| own.unpinned_images.clone()).unwrap_or_default(),
        }
    }

    /// What the change says by itself.
    pub(crate) fn of_change(own: &Environment) -> Self {
        Self { reviewed: own.unpinned_images.clone(), ..Self::new(std::iter::empty(), Some(own)) }
    }

    /// Whether there are images that these rules refuse at all.
    pub(crate) fn refuses(&self) -> bool {
        self.refuses
    }

    /// The images that these rules refuse. An exception of the change itself counts where approvals are required: without
    /// them the change is refused anyhow.
    pub(crate) fn refusals<'a>(&self, images: &'a [UnpinnedImage], today: Date) -> Vec<Refused<'a>> {
        let refused = |image| self.refusal(image, today).map(|why| Refused { image, why });
        images.iter().filter_map(refused).collect()
    }

    /// Why an image may not be deployed; `None` where it may.
    fn refusal(&self, image: &UnpinnedImage, today: Date) -> Option<String> {
        if !self.refuses {
            return None;
        }
        let undecided = "is neither locked nor written with a digest";
        let Some(reference) = image.reference() else { return Some(undecided.to_owned()) };
        if reference.digest.is_some() {
            return None;
        }
        let mut why = undecided.to_owned();
        for (exceptions, counts) in [(&self.reviewed, true), (&self.own, self.approvals)] {
            let Some(AllowedImage { owner, until, .. }) = exceptions.get(&reference) else { continue };
            why = if *until < today {
                format!("{undecided}, and the exception of {owner} ended on {until}")
            } else if counts {
                return None;
            } else {
                format!(
                    "{undecided}, and only the change itself allows it, which nobody has to approve: the exception comes \
                     first, in a change of its own"
                )
            };
        }
        Some(why)
    }

    /// What the environment does with an image, for reviewers.
    fn standing(&self, image: &UnpinnedImage, today: Date) -> String {
        if let Some(why) = self.refusal(image, today) {
            return format!("refused: it {why}");
        }
        let reference = image.reference();
        let found = reference.and_then(|one| self.reviewed.get(&one).or_else(|| self.own.get(&one)));
        match found {
            Some(AllowedImage { reason, owner, until, .. }) => format!("allowed: {reason} ({owner}, until {until})"),
            None => "deployed as it is written".to_owned(),
        }
    }
}

/// The refused images as problems, with the digests that the registries give now.
pub(crate) async fn problems(context: &Workspace, revision: &Revision, refused: &[Refused<'_>]) -> Vec<Problem> {
    let references: BTreeSet<ImageReference> = refused.iter().filter_map(|one| one.image.reference()).collect();
    if refused.is_empty() {
        return Vec::new();
    }
    let digests = present_digests(context, revision, references).await;
    let problem = |Refused { image, why }: &Refused<'_>| {
        let UnpinnedImage { service, object, place, .. } = image;
        let subject = service.as_ref().map_or_else(|| "release".to_owned(), ToString::to_string);
        let shown = image.reference().map_or_else(|| image.image.clone(), |reference| reference.to_string());
        let message = format!("`{shown}` of {object} at `{place}` {why}");
        let digest = image.reference().and_then(|reference| digests.get(&reference).cloned());
        Problem::new(subject, message).details(digest.map(|answer| match answer {
            Ok(pinned) => format!("write {pinned}"),
            Err(reason) => format!("the registry gives no digest to write: {reason}"),
        }))
    };
    refused.iter().map(problem).collect()
}

/// A problem in one line.
pub(crate) fn sentence(problem: &Problem) -> String {
    let details: Vec<&str> = problem.details.iter().flat_map(|detail| [": ", detail.as_str()]).collect();
    format!("{}: {}{}", problem.subject, problem.message, details.concat())
}

/// The error of a plan that is refused.
pub(crate) fn refusal(environment: &EnvironmentName, problems: &[Problem]) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!("`{environment}` deploys only images that the lock or a digest decides; nothing was deployed"),
    )
    .problems(problems.iter().cloned())
    .hint(format!(
        "write the digest, or let `environments.{environment}.unpinned-images` name the image with `owner`, `reason` and \
         `until`, in a change that is reviewed"
    ))
}

/// Each reference with the digest that its registry gives now, or why there is none. Where nothing can be found out,
/// the refusal stands all the same.
async fn present_digests(
    context: &Workspace,
    revision: &Revision,
    references: BTreeSet<ImageReference>,
) -> BTreeMap<ImageReference, Result<ImageReference, String>> {
    let registry = match registry_client::client(context, &revision.config, &revision.inputs) {
        Ok(registry) => registry,
        Err(error) => {
            let reason = error.message().to_owned();
            return references.into_iter().map(|reference| (reference, Err(reason.clone()))).collect();
        }
    };
    let deadline = context.deadline.min(Instant::now() + DIGEST_DEADLINE);
    // What is pulled where a manifest names no tag.
    let latest = Tag::try_from("latest").ok();
    let tagged: Vec<ImageReference> = references
        .iter()
        .map(|reference| ImageReference { tag: reference.tag.clone().or_else(|| latest.clone()), ..reference.clone() })
        .collect();
    let requests: Vec<ImageRequest> = tagged.iter().map(|reference| ImageRequest::new([reference.clone()])).collect();
    let answers = registry.resolve_all(&requests, deadline, &|_event| ()).await;
    let pinned = |reference: ImageReference, digest: &Digest| reference.with_digest(digest.clone());
    references
        .into_iter()
        .zip(tagged.into_iter().zip(answers))
        .map(|(reference, (tagged, answer))| {
            let answer =
                answer.map(|found| pinned(tagged, &found.image.digest)).map_err(|error| error.reason.to_string());
            (reference, answer)
        })
        .collect()
}

/// What an environment would deploy without that its lock decides it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    /// For reviewers; what cannot be rendered cannot be listed, and a row says so.
    pub rows: Vec<UnpinnedRow>,
    /// The images by service, and why the environment would refuse them; absent where neither is known.
    pub found: Option<PromotedImages>,
}

/// Lists the images that an environment would deploy of a revision without that its lock decides them. Services that are as
/// `known` says are not rendered again.
pub(crate) async fn listed(
    planning: &Planning<'_>,
    rules: &UnpinnedRules,
    known: Option<PromotedImages>,
    priority: Priority,
) -> Result<Listed> {
    let Planning { context, revision, environment, lock, .. } = *planning;
    if environment.target.is_none() {
        return Ok(Listed::default());
    }
    let unknown = |reason: String| {
        let said = reason.lines().next().unwrap_or_default().to_owned();
        let standing = format!("unknown: its manifests cannot be rendered: {said}");
        let row = UnpinnedRow {
            environment: environment.name.clone(),
            service: String::new(),
            image: String::new(),
            standing,
            is_refused: false,
        };
        Listed { rows: vec![row], found: None }
    };
    let refused = |problems: Vec<Problem>| {
        let refused = problems.iter().map(Problem::sentence).collect();
        let found = PromotedImages { environment: environment.name.clone(), services: BTreeMap::new(), refused };
        Listed { rows: Vec::new(), found: Some(found) }
    };
    let missing = fetch_manifests(context, revision, lock, &[environment], LIST_PATIENCE).await?;
    let mut draft = match planning.draft(&missing) {
        Ok(draft) => draft,
        Err(error) if error.kind() == ErrorKind::Usage => return Ok(refused(vec![Problem::new("", error.message())])),
        Err(error) => return Ok(unknown(error.message().to_owned())),
    };
    let invalid = |unread: &&Unreadable| unread.class == ErrorClass::Invalid;
    let wrong: Vec<Problem> = draft.unread.iter().filter(invalid).map(|unread| unread.problem.clone()).collect();
    if !wrong.is_empty() {
        return Ok(refused(wrong));
    }
    if let Some(Unreadable { problem, .. }) = draft.unread.first() {
        return Ok(unknown(format!("{}: {}", problem.subject, problem.message)));
    }
    let mut known = known.filter(|known| known.environment == environment.name).map(|known| known.services);
    let mut services = BTreeMap::new();
    let mut open = BTreeMap::new();
    for service in &draft.request.services {
        let inputs = deployer::image_inputs(&draft.request, service);
        let before = known.as_mut().and_then(|known| known.remove(&service.name));
        match before.filter(|before| before.inputs == inputs) {
            Some(before) => drop(services.insert(service.name.clone(), before)),
            None => drop(open.insert(service.name.clone(), inputs)),
        }
    }
    if !open.is_empty() {
        draft.leave_out(|service| !open.contains_key(service));
        let plan = match draft.render(context, priority).await {
            Ok(plan) => plan,
            Err(DeployError::Problems(problems)) => {
                return Ok(refused(problems.as_slice().iter().map(rendering).collect()));
            }
            Err(error) => return Ok(unknown(error.to_string())),
        };
        let rendered = open.into_iter().map(|(name, inputs)| {
            let own = plan.unpinned_images.iter().filter(|image| image.service.as_ref() == Some(&name));
            let images = RenderedImages { inputs, images: own.cloned().collect() };
            (name, images)
        });
        services.extend(rendered);
    }
    let images: Vec<UnpinnedImage> = services.values().flat_map(|service| service.images.clone()).collect();
    let today = context.now().date();
    let rows = rows_of(environment, &images, rules, today);
    let wrong = problems(context, revision, &rules.refusals(&images, today)).await;
    let refused = draft.expired_sentence().into_iter().chain(wrong.iter().map(Problem::sentence)).collect();
    Ok(Listed { rows, found: Some(PromotedImages { environment: environment.name.clone(), services, refused }) })
}

/// A problem of rendering, so that equal ones of several services are one.
pub(crate) fn rendering(problem: &DeployProblem) -> Problem {
    Problem::new(problem.service.as_ref().map(ToString::to_string).unwrap_or_default(), problem.text())
}

/// The images of a plan that its lock does not decide, each once.
pub(crate) fn rows_of(
    environment: &Environment,
    images: &[UnpinnedImage],
    rules: &UnpinnedRules,
    today: Date,
) -> Vec<UnpinnedRow> {
    let row = |image: &UnpinnedImage| UnpinnedRow {
        environment: environment.name.clone(),
        service: image.service.as_ref().map(ToString::to_string).unwrap_or_default(),
        image: image.image.clone(),
        standing: rules.standing(image, today),
        is_refused: rules.refusal(image, today).is_some(),
    };
    let rows: BTreeSet<UnpinnedRow> = images.iter().map(row).collect();
    rows.into_iter().collect()
}
