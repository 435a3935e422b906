use std::path::Path;

/// Whether a path lies in a folder, however the folder is spelled.
pub(crate) fn is_inside(path: &Path, folder: &Path) -> bool {
    path.starts_with(folder) || folder.canonicalize().is_ok_and(|folder| path.starts_with(folder))
}
