use orchestrator::report::v1::{ForgeInitReport, UpdateVerdictReport};

use super::Text;
use crate::output::Page;

impl Text for ForgeInitReport {
    fn text(&self) -> Page {
        let words = match (self.created, self.changes.as_slice()) {
            (true, _) => "is made",
            (false, []) => "is there already",
            (false, _) => "is changed",
        };
        let mut text = Page::from(format!("the forge {words}: {}\n", self.forge));
        for change in &self.changes {
            text += format!("  {change}\n");
        }
        text
    }
}

impl Text for UpdateVerdictReport {
    fn text(&self) -> Page {
        if self.allowed && !self.bypassed {
            Page::default()
        } else {
            format!("{}: {}\n", self.reference, self.verdict).into()
        }
    }
}
