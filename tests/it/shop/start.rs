//! What shops with the same submodules begin with, made once in a run of the tests: each shop is a copy.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Shop, copy_folder};

type Starts = BTreeMap<Vec<String>, Arc<OnceLock<PathBuf>>>;

/// The folder with everything of a shop but its configuration.
pub(super) fn without_configuration(services: &[&str]) -> PathBuf {
    static STARTS: Mutex<Starts> = Mutex::new(Starts::new());
    let mut starts = STARTS.lock().unwrap_or_else(PoisonError::into_inner);
    let number = starts.len();
    let start = Arc::clone(starts.entry(services.iter().map(|path| (*path).to_owned()).collect()).or_default());
    // Tests with other submodules need not wait.
    drop(starts);
    let make = || {
        let folder = folder_of_process().join(number.to_string());
        copy_folder(Shop::start(services).root(), &folder);
        folder
    };
    start.get_or_init(make).clone()
}

/// A folder below `target`: a static variable is never dropped, and a temporary folder would stay for ever. The first
/// shop of a later run removes it.
fn folder_of_process() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shops");
        for entry in fs::read_dir(&all).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(entry.file_name()).exists() {
                // Another run of the tests may remove it as well.
                drop(fs::remove_dir_all(entry.path()));
            }
        }
        let own = all.join(std::process::id().to_string());
        // Of a process with the same number that has ended.
        drop(fs::remove_dir_all(&own));
        own
    };
    FOLDER.get_or_init(make).clone()
}
