//! What is asked of submodules besides their images: where they come from, whether their commits are pushed, and what
//! happened between two of them.

mod changes;
mod pushed;
mod run_blocking;
mod sources;

use config::Submodules;
use lock_gen::{AllowedSources, RefPolicy};

use crate::error::{Error, ErrorKind, Result};

pub(crate) use changes::{Changes, Declared, changes};
pub(crate) use pushed::ask_pushed;
pub(crate) use run_blocking::run_blocking;
pub(crate) use sources::{Target, check_sources, foreign_sources, submodule_access};

/// The list of allowed sources, where there is one.
fn allowed_sources(rules: &Submodules) -> Result<Option<AllowedSources>> {
    let Some(entries) = &rules.allow else { return Ok(None) };
    let allowed = AllowedSources::new(entries)
        .map_err(|error| Error::from_source(ErrorKind::Usage, "`submodules.allow` cannot be used", error))?;
    Ok(Some(allowed))
}

/// The branches and tags that count.
fn accepted_refs(rules: &Submodules) -> Result<RefPolicy> {
    let Some(patterns) = &rules.branches else { return Ok(RefPolicy::default()) };
    RefPolicy::new(patterns)
        .map_err(|error| Error::from_source(ErrorKind::Usage, "`submodules.branches` cannot be used", error))
}

#[cfg(test)]
mod tests {
    use config::{AcceptedRef, AllowedSource};

    use super::*;

    /// What the configuration takes, the library takes: `config check` has said everything that is wrong.
    #[test]
    fn t8_what_the_configuration_takes_can_be_used() {
        let words = [
            "a",
            "A.b-c",
            "h:443",
            "[::1]",
            "[::1]:80",
            "~me",
            "+main",
            "_x",
            "*",
            "refs/heads/main",
            "refs/tags/v*",
            "refs/pull/1",
            "release/*",
            "a.b",
            "a..b",
            ".a",
            "a.",
            "-a",
            "@",
            "@{",
            "x.lock",
            "x.git",
            "é",
            "a b",
            "a%",
            "",
            ":",
            "a:b",
            "http:",
            "a\n",
        ];
        let mut taken = 0;
        for first in words {
            for second in words {
                for text in [first.to_owned(), format!("{first}/{second}"), format!("{first}{second}")] {
                    if let Ok(source) = AllowedSource::try_from(text.as_str()) {
                        AllowedSources::new([&source]).unwrap_or_else(|error| panic!("{error}"));
                        taken += 1;
                    }
                    if let Ok(pattern) = AcceptedRef::try_from(text.as_str()) {
                        RefPolicy::new([&pattern]).unwrap_or_else(|error| panic!("{error}"));
                        taken += 1;
                    }
                }
            }
        }
        assert!(taken > 300, "{taken} are not enough to say anything");
    }
}
