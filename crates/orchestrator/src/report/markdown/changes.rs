//! What a lock changes, one row a service.

use std::collections::BTreeSet;

use lock_model::{
    Content, CreatedFrom, Date, EnvironmentName, Lock, LockedChart, LockedImage, LockedManifests, Origin, Revision,
    Service, ThirdPartySource,
};

use super::blocks::{list, table};
use crate::labels::count;
use lock_model::escaping::{code_span, escape_markdown};

/// A service that is locked and not deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDeployedRow {
    /// Where.
    pub environment: EnvironmentName,
    /// The service's name.
    pub service: String,
    /// The reason that the configuration gives.
    pub reason: String,
    /// Who answers for it, where it is an exception with an end.
    pub owner: Option<String>,
    /// The last day of the exception.
    pub until: Option<Date>,
}

/// The first line for reviewers where rules are loosened; their list follows below the services.
pub(super) fn loosened(relaxations: &[String]) -> String {
    if relaxations.is_empty() {
        return String::new();
    }
    format!("**This loosens {}, see below.**\n\n", count(relaxations.len(), "rule"))
}

/// The table of changed services, and a line about the others.
pub(super) fn services(before: Option<&Lock>, after: &Lock) -> String {
    let mut rows = Vec::new();
    let mut unchanged = 0;
    let old_services = before.map(Lock::services);
    let names: BTreeSet<_> =
        after.services().keys().chain(old_services.into_iter().flat_map(|services| services.keys())).collect();
    for name in names {
        let old = old_services.and_then(|services| services.get(name));
        let new = after.services().get(name);
        match (old, new) {
            (None, None) => {}
            (Some(old), Some(new)) if !differs(old, new) => unchanged += 1,
            (old, new) => {
                rows.push(vec![code_span(name.as_str()), commits(old, new), images(old, new), notes(old, new)]);
            }
        }
    }
    let mut text = table(&["service", "commit", "image", ""], &rows);
    if rows.is_empty() {
        text.push_str("No service changes.\n");
    }
    if unchanged > 0 {
        text.push_str(&format_unchanged(unchanged));
    }
    let third_parties = third_parties(before, after);
    if !third_parties.is_empty() {
        text.push('\n');
        text.push_str(&third_parties);
    }
    text
}

/// The services that are locked and not deployed.
pub(super) fn not_deployed(rows: &[NotDeployedRow]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                code_span(&row.service),
                row.environment.to_string(),
                escape_markdown(&row.reason),
                row.owner.as_deref().map(escape_markdown).unwrap_or_default(),
                row.until.map(|until| until.to_string()).unwrap_or_default(),
            ]
        })
        .collect();
    table(&["service", "not in", "reason", "owner", "until"], &rows)
}

/// An image that an environment would deploy although the lock does not decide it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnpinnedRow {
    /// Where.
    pub environment: EnvironmentName,
    /// The service whose manifests name it; empty where they cannot be read.
    pub service: String,
    /// The image as it is written; empty where manifests cannot be read.
    pub image: String,
    /// What the environment does with it.
    pub standing: String,
    /// Whether the environment refuses it.
    pub is_refused: bool,
}

impl std::fmt::Display for UnpinnedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { environment, service, image, standing, is_refused: _ } = self;
        match image.as_str() {
            "" => write!(f, "{environment}: images that are not pinned: {standing}"),
            image => write!(f, "{environment}: `{image}` of {service} is not pinned: {standing}"),
        }
    }
}

/// The images that no lock decides.
pub(super) fn unpinned(rows: &[UnpinnedRow]) -> String {
    let span = |text: &str| if text.is_empty() { String::new() } else { code_span(text) };
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![span(&row.image), span(&row.service), row.environment.to_string(), escape_markdown(&row.standing)]
        })
        .collect();
    table(&["image", "of", "in", ""], &rows)
}

/// The declared exceptions of a lock.
pub(super) fn exceptions(lock: &Lock) -> String {
    let rows: Vec<Vec<String>> = lock
        .exceptions()
        .iter()
        .map(|exception| {
            vec![
                escape_markdown(exception.kind.as_str()),
                code_span(exception.subject.as_str()),
                escape_markdown(exception.reason.as_str()),
                escape_markdown(exception.owner.as_str()),
                exception.until.to_string(),
            ]
        })
        .collect();
    table(&["exception", "of", "reason", "owner", "until"], &rows)
}

/// Sentences of ours or of the configuration, as a list.
pub(super) fn sentences(sentences: &[String]) -> String {
    list(&sentences.iter().map(|sentence| escape_markdown(sentence)).collect::<Vec<_>>())
}

fn format_unchanged(unchanged: usize) -> String {
    if unchanged == 1 {
        "\n1 service is unchanged.\n".to_owned()
    } else {
        format!("\n{unchanged} services are unchanged.\n")
    }
}

/// Only what is deployed: a description that changed alone is no change.
fn differs(old: &Service, new: &Service) -> bool {
    old.path != new.path
        || old.git != new.git
        || match (&old.content, &new.content) {
            (Content::Configuration, Content::Configuration) => false,
            (Content::Image(old), Content::Image(new)) => {
                old.repository != new.repository || old.tag != new.tag || old.digest != new.digest
            }
            (Content::Image(_), Content::Configuration) | (Content::Configuration, Content::Image(_)) => true,
        }
}

fn commits(old: Option<&Service>, new: Option<&Service>) -> String {
    let short = |service: &Service| code_span(service.git.commit.short(7));
    match (old, new) {
        (Some(old), Some(new)) if old.git.commit == new.git.commit => short(new),
        (Some(old), Some(new)) => format!("{} → {}", short(old), short(new)),
        (None, Some(new)) => short(new),
        (Some(old), None) => short(old),
        (None, None) => String::new(),
    }
}

fn images(old: Option<&Service>, new: Option<&Service>) -> String {
    match (tag(old), tag(new)) {
        (Some(old), Some(new)) if old == new => code_span(new),
        (Some(old), Some(new)) => format!("{} → {}", code_span(old), code_span(new)),
        (None, Some(new)) => code_span(new),
        (Some(old), None) => code_span(old),
        (None, None) => "configuration only".to_owned(),
    }
}

fn tag(service: Option<&Service>) -> Option<&str> {
    service.and_then(|service| service.content.image()).map(|image| image.tag.as_str())
}

/// What a reviewer should look at.
fn notes(old: Option<&Service>, new: Option<&Service>) -> String {
    let mut notes: Vec<String> = Vec::new();
    let Some(new) = new else { return "**removed**".to_owned() };
    if let Some(old) = old {
        if old.path != new.path {
            notes.push(format!("moved from {}", code_span(old.path.as_str())));
        }
        if old.git.url != new.git.url {
            notes.push(format!(
                "**repository changed**: {} → {}",
                code_span(old.git.url.as_str()),
                code_span(new.git.url.as_str())
            ));
        }
        match (&old.content, &new.content) {
            (Content::Image(old), Content::Image(new)) => image_changes(&mut notes, old, new),
            (Content::Configuration, Content::Image(_)) => notes.push("has an image now".to_owned()),
            (Content::Image(_), Content::Configuration) => notes.push("**has no image any more**".to_owned()),
            (Content::Configuration, Content::Configuration) => {}
        }
    } else {
        notes.push("new".to_owned());
    }
    if let Content::Image(image) = &new.content {
        notes.push(revision(image.revision).to_owned());
        match image.created_from {
            CreatedFrom::Config | CreatedFrom::Annotation => {}
            CreatedFrom::Commit => notes.push("creation date is the commit's".to_owned()),
        }
    }
    match new.origin {
        Origin::Resolved => {}
        Origin::Migrated => notes.push("migrated".to_owned()),
    }
    notes.retain(|note| !note.is_empty());
    notes.join(", ")
}

fn image_changes(notes: &mut Vec<String>, old: &LockedImage, new: &LockedImage) {
    if old.repository != new.repository {
        notes.push(format!(
            "**image repository changed**: {} → {}",
            code_span(old.repository.as_str()),
            code_span(new.repository.as_str())
        ));
    } else if old.tag == new.tag && old.digest != new.digest {
        notes.push(format!(
            "**the tag moved**: {} → {}",
            code_span(old.digest.hex().get(..12).unwrap_or_default()),
            code_span(new.digest.hex().get(..12).unwrap_or_default())
        ));
    }
}

/// A label is the builder's claim, not a proof: the report says so every time.
fn revision(revision: Revision) -> &'static str {
    match revision {
        Revision::Proven => "",
        Revision::SelfAsserted => "self-asserted",
        Revision::Mismatch => "**its label names another commit**",
        Revision::Absent => "**no revision label**",
        Revision::Unchecked => "revision unchecked",
    }
}

fn third_parties(before: Option<&Lock>, after: &Lock) -> String {
    let old_parties = before.map(Lock::third_party);
    let shown = |source: &ThirdPartySource| match source {
        ThirdPartySource::Chart(LockedChart { version, digest, .. }) => {
            format!("{} ({})", code_span(version.as_str()), code_span(digest.hex().get(..12).unwrap_or_default()))
        }
        ThirdPartySource::Manifests(LockedManifests { path, digest, .. }) => {
            format!("{} ({})", code_span(path.as_str()), code_span(digest.hex().get(..12).unwrap_or_default()))
        }
    };
    let names: BTreeSet<_> =
        after.third_party().keys().chain(old_parties.into_iter().flat_map(|parties| parties.keys())).collect();
    let mut rows = Vec::new();
    for name in names {
        let old = old_parties.and_then(|parties| parties.get(name));
        let new = after.third_party().get(name);
        let change = match (old, new) {
            (None, None) => continue,
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) if old.source == new.source => "images changed".to_owned(),
            (Some(old), Some(new)) => format!("{} → {}", shown(&old.source), shown(&new.source)),
            (None, Some(new)) => format!("new: {}", shown(&new.source)),
            (Some(_), None) => "**removed**".to_owned(),
        };
        rows.push(vec![code_span(name.as_str()), change]);
    }
    table(&["third party", "change"], &rows)
}
