//! The manifests or the chart in a service's own repository, by the same rules as those in the superproject.

use config::SourceFiles;
use lock_gen::{ContentError, ListedEntry, ListedKind, SubmoduleContent};
use lock_model::escaping::escape_terminal;
use lock_model::{ErrorClass, ServiceName, TreePath};

use super::{GITLINK, LINK, NAME, TWICE};
use crate::error::{Problem, causes};

/// Why the manifests of a service cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    pub class: ErrorClass,
    /// The key below `target` that has to be corrected, and not the content.
    pub configured: Option<&'static str>,
    pub problem: Problem,
    /// What to do about it, where the class does not say it.
    pub hints: Vec<String>,
}

impl Unreadable {
    /// A service whose content is not as it has to be.
    pub(crate) fn invalid(problem: Problem) -> Self {
        Self { class: ErrorClass::Invalid, configured: None, problem, hints: Vec::new() }
    }

    /// A service whose content cannot be used as the configuration says.
    pub(crate) fn configured(key: &'static str, problem: Problem, hint: String) -> Self {
        Self { class: ErrorClass::Invalid, configured: Some(key), problem, hints: vec![hint] }
    }
}

/// The files that a target reads in a folder of a service's repository, or in all of it, at the locked commit. Nothing else is read. The
/// problem lists everything that is in the way.
pub(crate) fn files_of(
    name: &ServiceName,
    content: &SubmoduleContent,
    folder: Option<&TreePath>,
    files: SourceFiles,
) -> Result<Vec<(TreePath, Vec<u8>)>, Unreadable> {
    let failed = |error: ContentError| {
        let details = causes(std::error::Error::source(&error));
        let problem = Problem::new(name.to_string(), error.to_string()).details(details);
        Unreadable { class: error.class(), configured: None, problem, hints: Vec::new() }
    };
    let mut paths: Vec<TreePath> = Vec::new();
    let mut wanted = Vec::new();
    let mut unreadable = Vec::new();
    let entries = content.list(folder).map_err(failed)?;
    if let (Some(folder), true) = (folder, entries.is_empty()) {
        let commit = content.commit().id.short(12);
        let message = format!("its commit {commit} has no folder `{folder}`, where its manifests should be");
        return Err(Unreadable::invalid(Problem::new(name.to_string(), message)));
    }
    for entry in entries {
        let shown = String::from_utf8_lossy(&entry.path).into_owned();
        let wrong = match path_of_file(&entry, &shown, folder, files) {
            Ok(None) => None,
            Ok(Some(path)) if paths.last() == Some(&path) => Some(TWICE),
            Ok(Some(path)) => {
                paths.push(path);
                wanted.push(entry);
                None
            }
            Err(wrong) => Some(wrong),
        };
        unreadable.extend(wrong.map(|wrong| format!("`{}` {wrong}", escape_terminal(&shown))));
    }
    if !unreadable.is_empty() {
        let commit = content.commit().id.short(12);
        let message =
            format!("{} of the paths that a release reads in its commit {commit} are no files", unreadable.len());
        return Err(Unreadable::invalid(Problem::new(name.to_string(), message).details(unreadable)));
    }
    let contents = content.read(&wanted).map_err(failed)?;
    Ok(paths.into_iter().zip(contents).collect())
}

/// The path of a file that the target reads, none for an entry that it does not read, or why it cannot.
fn path_of_file(
    entry: &ListedEntry,
    shown: &str,
    folder: Option<&TreePath>,
    files: SourceFiles,
) -> Result<Option<TreePath>, &'static str> {
    let is_inside = folder.is_none_or(|folder| is_at_or_below(shown, folder.as_str()));
    let is_in_the_way = folder.is_some_and(|folder| is_at_or_below(folder.as_str(), shown));
    let is_read = is_inside && files.include(shown);
    match entry.kind {
        ListedKind::File | ListedKind::Executable if is_read => {
            let path = std::str::from_utf8(&entry.path).ok().and_then(|path| TreePath::try_from(path).ok());
            path.map(Some).ok_or(NAME)
        }
        ListedKind::Link if is_read || is_in_the_way => Err(LINK),
        ListedKind::Gitlink if is_inside || is_in_the_way => Err(GITLINK),
        ListedKind::File | ListedKind::Executable | ListedKind::Link | ListedKind::Gitlink => Ok(None),
    }
}

fn is_at_or_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
