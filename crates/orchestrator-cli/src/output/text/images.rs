use orchestrator::report::v1::ImagesExplainReport;

use super::Text;
use crate::output::{Page, Table, Tone};

impl Text for ImagesExplainReport {
    fn text(&self) -> Page {
        let name = &self.service;
        if !self.has_image {
            return format!("{name} has no image: it is configuration only\n").into();
        }
        let verdict = match &self.taken {
            Some(image) => Page::toned(
                Tone::Good,
                format!("{} is taken (revision {}, created {})", image.reference, image.revision, image.created),
            ),
            None => Page::toned(Tone::Bad, format!("none is taken: {}", self.reason.as_deref().unwrap_or_default())),
        };
        let mut table = Table::new(&["candidate", "answer"]);
        for attempt in &self.tried {
            table.row([&attempt.reference, &attempt.answer]);
        }
        let mut text = Page::from(format!("{name}: ")) + verdict + "\n\n" + table;
        for login in &self.logins {
            text += format!("login at {login}\n");
        }
        for hint in &self.hints {
            text += Page::hint(hint);
        }
        text
    }
}
