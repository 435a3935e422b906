//! What a deployment would change, for people.

use orchestrator::report::v1::{
    Change, ChangeKind, FieldChange, NoisyField, ObjectChange, PlanReport, Risk, ServiceChanges,
};

use super::environment::verb;
use super::{Text, not_judged, short_image};
use crate::output::{Page, Table, Tone};

/// How much of a value is shown; `-o json` has all of it.
const VALUE_BYTES: usize = 160;
/// Both values of a field stand on its line where they are no longer together.
const SHORT: usize = 48;

impl Text for PlanReport {
    fn text(&self) -> Page {
        let (name, release, commit) = (&self.environment, self.release.id8(), self.commit.short(12));
        let mut text = Page::from(match self.pull_request {
            Some(number) => format!("{name}: merging pull request {number} makes release {release}\n"),
            None => format!("{name}: release {release} from commit {commit}\n"),
        });
        text += match &self.plan {
            Some(_) if self.services.is_empty() => changes(&self.changes),
            Some(_) => services(&self.services),
            None => "what would change there is not known\n".into(),
        };
        text += noise(&self.noise);
        for migration in &self.migrations {
            text += Page::item(0, Tone::Doubtful, migration.sentence());
        }
        for quota in &self.quotas {
            let tone = if quota.missing.is_some() { Tone::Bad } else { Tone::Quiet };
            text += Page::item(0, tone, quota.sentence());
        }
        for skipped in &self.not_deployed {
            text += format!("not deployed: {} ({})\n", skipped.service, skipped.reason);
        }
        for open in &self.not_checked {
            text += Page::toned(Tone::Doubtful, "not checked") + format!(": {open}\n");
            for detail in &open.details {
                text += format!("  {detail}\n");
            }
        }
        text += not_judged(&self.not_judged);
        if let Some(file) = &self.saved {
            text += format!("the plan is saved in {file}\n");
            text += Page::hint(format!("`orchestrator deploy {name} --plan {file}` deploys this, or nothing"));
        }
        text
    }
}

/// What would change, as a table.
pub(super) fn changes(changes: &[Change]) -> Page {
    if changes.is_empty() {
        return "nothing would change\n".into();
    }
    let mut table = Table::new(&["service", "change", "what", "image"]).dispensable(&["what"]);
    for change in changes {
        let service = change.service.as_ref().map_or("-", |service| service.as_str());
        let shown = |image: &Option<String>| image.as_deref().map_or_else(|| "none".to_owned(), short_image);
        let images: Vec<String> =
            change.images.iter().map(|image| format!("{} → {}", shown(&image.from), shown(&image.to))).collect();
        table
            .row([service, verb(change.kind), change.path.as_str(), images.join(", ").as_str()])
            .paint("change", tone(change.kind));
    }
    Page::from("\n") + table
}

/// What changes each service: objects with their fields, and hooks.
fn services(services: &[ServiceChanges]) -> Page {
    let (changing, others): (Vec<_>, Vec<_>) = services.iter().partition(|service| service.changes());
    let has_waves = services.iter().any(|service| service.wave > 1);
    let mut page = Page::default();
    for service in &changing {
        let reasons: Vec<&str> = service.reasons.iter().map(|reason| reason.word()).collect();
        let wave = if has_waves { format!(" (wave {})", service.wave) } else { String::new() };
        page += Page::from("\n");
        page += Page::item(0, Tone::Heading, format!("{}{wave}: {}", service.service, reasons.join(", ")));
        for hook in service.hooks.iter().filter(|hook| hook.before) {
            page += Page::item(1, Tone::Doubtful, format!("run {} before{}", hook.object, marks(&hook.risks)));
        }
        for object in &service.objects {
            page += Page::item(1, tone(object.kind), heading(object)) + fields(object);
        }
        for hook in service.hooks.iter().filter(|hook| !hook.before) {
            page += Page::item(1, Tone::Doubtful, format!("run {} after{}", hook.object, marks(&hook.risks)));
        }
    }
    if changing.is_empty() {
        return "nothing would change\n".into();
    }
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|service| service.service.as_str()).collect();
        page += "\n";
        page += Page::item(0, Tone::Quiet, format!("unchanged: {}", names.join(", ")));
    }
    page
}

/// The fields of objects that were edited since they were deployed: what is there, and what was deployed.
pub(super) fn edited(services: &[ServiceChanges]) -> Page {
    let objects = services.iter().flat_map(|service| &service.objects).filter(|object| !object.fields.is_empty());
    objects.fold(Page::default(), |page, object| page + Page::item(0, Tone::Plain, &object.object) + fields(object))
}

/// How many fields of one line are named.
const NAMED: usize = 5;

/// What is left out as noise, in a line.
pub(super) fn noise(fields: &[NoisyField]) -> Page {
    let differ = match fields {
        [] => return Page::default(),
        [_] => "1 field differs and is left out as noise".to_owned(),
        more => format!("{} fields differ and are left out as noise", more.len()),
    };
    let named = fields.iter().take(NAMED);
    let named: Vec<_> = named.map(|one| format!("{}: {} {}", one.service, one.object, one.field)).collect();
    let more = if fields.len() > NAMED { ", …" } else { "" };
    Page::item(0, Tone::Quiet, format!("{differ} ({}{more})", named.join(", ")))
}

fn heading(object: &ObjectChange) -> String {
    format!("{} {}{}", verb(object.kind), object.object, marks(&object.risks))
}

/// ` (is deleted, concerns a volume)`
fn marks<'a>(risks: impl IntoIterator<Item = &'a Risk>) -> String {
    let risks: Vec<&str> = risks.into_iter().map(|risk| risk.text()).collect();
    if risks.is_empty() { String::new() } else { format!(" ({})", risks.join(", ")) }
}

fn fields(object: &ObjectChange) -> Page {
    object.fields.iter().fold(Page::default(), |page, field| page + of_field(field))
}

/// On one line where both values are short.
fn of_field(field: &FieldChange) -> Page {
    let (before, after) = (field.before.as_ref().map(value), field.after.as_ref().map(value));
    let length = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    if length(&before) + length(&after) + field.path.chars().count() <= SHORT {
        let line = match (&before, &after) {
            (Some(before), Some(after)) => format!("{}: {before} → {after}", field.path),
            (None, Some(after)) => format!("{}: + {after}", field.path),
            (Some(before), None) => format!("{}: - {before}", field.path),
            (None, None) => field.path.clone(),
        };
        return Page::item(2, Tone::Plain, line);
    }
    let side = |sign: &str, tone, text: Option<String>| {
        text.map_or_else(Page::default, |text| Page::item(3, tone, format!("{sign} {text}")))
    };
    Page::item(2, Tone::Plain, field.path.as_str()) + side("-", Tone::Bad, before) + side("+", Tone::Good, after)
}

fn value(value: &serde_json::Value) -> String {
    let text = match value.as_str() {
        Some(text) if !text.is_empty() && !text.contains(char::is_control) => short_image(text),
        Some(_) | None => value.to_string(),
    };
    lock_model::escaping::shorten(&text, VALUE_BYTES)
}

fn tone(kind: ChangeKind) -> Tone {
    match kind {
        ChangeKind::Added => Tone::Good,
        ChangeKind::Removed => Tone::Bad,
        ChangeKind::Changed => Tone::Doubtful,
    }
}
