//! Charts as they lie in `tests/charts` and `tests/first-user`.

use std::fs;
use std::path::{Path, PathBuf};

use test_support::{Repository, workspace};

/// Writes every file of a folder of `tests` into a folder of a repository.
pub(crate) fn write_folder(repository: &Repository, from: &str, to: &str) {
    let root = workspace().join("tests").join(from);
    let files = files_below(&root);
    assert!(!files.is_empty(), "{}: no file", root.display());
    for file in files {
        let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
        repository.write(&format!("{to}/{path}"), fs::read(&file).unwrap());
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
