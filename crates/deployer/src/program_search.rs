//! Where programs are looked for, and what each of them gets.

use std::ffi::OsString;

use process::{Interrupt, Launcher, Redactor};

/// Where a program such as helm or kustomize is looked for, and how it is started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProgramSearch {
    /// The folders, as `PATH` lists them.
    pub search_path: OsString,
    /// Ends a program when it is requested.
    pub interrupt: Interrupt,
    /// Masks secrets in what programs print.
    pub redactor: Redactor,
    /// Starts helm where it changes a cluster, so that helm ends with this process also when that is killed. `None`: it goes on
    /// alone then.
    pub launcher: Option<Launcher>,
}

impl ProgramSearch {
    /// Looks on a search path; nothing ends a program before its deadline, and nothing is masked.
    pub fn new(search_path: impl Into<OsString>) -> Self {
        Self { search_path: search_path.into(), interrupt: Interrupt::new(), redactor: Redactor::new(), launcher: None }
    }
}
