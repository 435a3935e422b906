use orchestrator::report::v1::ImagesExplainReport;

use super::{Text, append};
use crate::output::Table;

impl Text for ImagesExplainReport {
    fn text(&self) -> String {
        let name = &self.service;
        if !self.has_image {
            return format!("{name} has no image: it is configuration only\n");
        }
        let verdict = match &self.taken {
            Some(image) => {
                format!("{} is taken (revision {}, created {})", image.reference, image.revision, image.created)
            }
            None => format!("none is taken: {}", self.reason.as_deref().unwrap_or_default()),
        };
        let mut table = Table::new(&["candidate", "answer"]);
        for attempt in &self.tried {
            table.row([&attempt.reference, &attempt.answer]);
        }
        let mut text = format!("{name}: {verdict}\n\n{}", table.render());
        for login in &self.logins {
            append(&mut text, format!("login at {login}\n"));
        }
        text
    }
}
