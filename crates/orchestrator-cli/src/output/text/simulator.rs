use orchestrator::report::v1::{ForgeInitReport, UpdateVerdictReport};

use super::{Text, append};

impl Text for ForgeInitReport {
    fn text(&self) -> String {
        let words = match (self.created, self.changes.as_slice()) {
            (true, _) => "is made",
            (false, []) => "is there already",
            (false, _) => "is changed",
        };
        let mut text = format!("the forge {words}: {}\n", self.forge);
        for change in &self.changes {
            append(&mut text, format!("  {change}\n"));
        }
        text
    }
}

impl Text for UpdateVerdictReport {
    fn text(&self) -> String {
        if self.allowed && !self.bypassed { String::new() } else { format!("{}: {}\n", self.reference, self.verdict) }
    }
}
