//! Keeps the cache from growing for ever.
//!
//! ```text
//! DIR/v2/size    how many bytes lie there, as far as processes counted
//! DIR/v2/lock    held by the process that counts or deletes
//! DIR/v2/recount a process came while the lock was held: what it wrote is in no sum
//! ```
//!
//! Each command adds what it wrote to `size`, which costs nothing where nothing was written. The folder itself is looked
//! through only when the sum is beyond the limit: what was not used for longest goes, down to three quarters of the
//! limit, so that the next command does not do the same again. A file that is deleted while another process reads it
//! stays whole for that process; one that it would have read next is fetched again.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW};

/// What a disk gives to a file is a multiple of this.
const BLOCK: u64 = 4096;
const SIZE: &str = "size";
const LOCK: &str = "lock";
const RECOUNT: &str = "recount";

/// Adds what was written to the folder's size, and makes room where that is too much.
///
/// `false`: another process is at it, and the next one counts everything.
pub(crate) fn settle(folder: &Path, written: u64, limit: u64) -> io::Result<bool> {
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            File::create(folder.join(RECOUNT))?;
            return Ok(false);
        }
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    let size = folder.join(SIZE);
    let is_known = fs::remove_file(folder.join(RECOUNT)).is_err();
    let known = is_known.then(|| fs::read_to_string(&size).ok()).flatten();
    let known: Option<u64> = known.and_then(|text| text.trim().parse().ok());
    let mut total = match known {
        Some(known) => known.saturating_add(written),
        None => files(folder)?.iter().map(|file| file.size).sum(),
    };
    if total > limit {
        total = make_room(folder, limit / 4 * 3)?;
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{total}")?;
    file.persist(&size).map_err(|error| error.error)?;
    Ok(true)
}

/// What a file with so many bytes takes of a disk.
pub(crate) fn on_disk(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).max(1).div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// When the cache was counted last: what was used since needs no further mark.
pub(crate) fn last_settled(folder: &Path) -> Option<SystemTime> {
    fs::metadata(folder.join(SIZE)).ok()?.modified().ok()
}

/// Marks a file as used, once for each time that the cache was counted.
pub(crate) fn mark_used(file: &File, metadata: &Metadata, last_settled: Option<SystemTime>) {
    let Some(last_settled) = last_settled else { return };
    if metadata.modified().is_ok_and(|modified| modified > last_settled) {
        return;
    }
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    // The file of another user cannot be marked, and is deleted a little early.
    rustix::fs::futimens(file, &Timestamps { last_access: now, last_modification: now }).ok();
}

struct Entry {
    path: PathBuf,
    used: SystemTime,
    size: u64,
}

/// Everything in the folder but its own three files.
fn files(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        // A file that is renamed meanwhile is another one when it comes up again.
        let Ok(metadata) = file.metadata() else { continue };
        let is_own = [SIZE, LOCK, RECOUNT].iter().any(|own| file.file_name() == *own);
        if metadata.is_file() && !is_own {
            let size = metadata.len().max(1).div_ceil(BLOCK) * BLOCK;
            found.push(Entry { path: file.path(), used: metadata.modified()?, size });
        }
    }
    Ok(found)
}

/// Deletes what was not used for longest; gives the size that is left.
fn make_room(folder: &Path, limit: u64) -> io::Result<u64> {
    let mut files = files(folder)?;
    files.sort_by(|one, other| (one.used, &one.path).cmp(&(other.used, &other.path)));
    let mut total: u64 = files.iter().map(|file| file.size).sum();
    for file in files {
        if total <= limit {
            break;
        }
        match fs::remove_file(&file.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => total -= file.size,
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A folder with one file of a block for each name, used in this order.
    fn filled(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, seconds) in names.iter().zip(1..) {
            let path = folder.path().join(name);
            let mut file = File::create(path).unwrap();
            file.write_all(b"x").unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
        folder
    }

    fn left(folder: &Path) -> Vec<String> {
        let mut left: Vec<String> = files(folder)
            .unwrap()
            .iter()
            .map(|file| file.path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned())
            .collect();
        left.sort();
        left
    }

    fn size(folder: &Path) -> String {
        fs::read_to_string(folder.join("size")).unwrap()
    }

    #[test]
    fn f4_what_was_not_used_for_longest_goes() {
        let folder = filled(&["a1", "b1", "a2", "c1", "c2"]);
        let folder = folder.path();
        assert!(settle(folder, 0, 5 * BLOCK).unwrap());
        assert_eq!((left(folder).len(), size(folder).as_str()), (5, "20480\n"), "counted, and within the limit");
        // Another block was written: three quarters of four blocks are left.
        assert!(settle(folder, BLOCK, 4 * BLOCK).unwrap());
        assert_eq!(left(folder), ["a2", "c1", "c2"]);
        assert_eq!(size(folder), "12288\n");
    }

    #[test]
    fn f4_a_wrong_sum_is_found_out_and_a_lost_one_counted_again() {
        let folder = filled(&["a1", "a2"]);
        fs::write(folder.path().join("size"), "999999999").unwrap();
        assert!(settle(folder.path(), 0, 10 * BLOCK).unwrap());
        assert_eq!((left(folder.path()).len(), size(folder.path()).as_str()), (2, "8192\n"));
        fs::write(folder.path().join("size"), "many").unwrap();
        assert!(settle(folder.path(), BLOCK, 10 * BLOCK).unwrap());
        assert_eq!(size(folder.path()), "8192\n");
    }

    #[test]
    fn f5_whoever_comes_while_another_deletes_goes_on() {
        let folder = filled(&["a1", "a2"]);
        let lock = File::create(folder.path().join("lock")).unwrap();
        lock.lock().unwrap();
        assert!(!settle(folder.path(), 0, 0).unwrap());
        assert_eq!(left(folder.path()).len(), 2);
        drop(lock);
        // Whatever the sum says: it lacks what that one wrote.
        fs::write(folder.path().join("size"), "0").unwrap();
        assert!(settle(folder.path(), 0, 0).unwrap());
        assert!(left(folder.path()).is_empty());
    }

    #[test]
    fn f4_a_file_is_marked_once_for_each_count() {
        let folder = filled(&["a1"]);
        let path = folder.path().join("a1");
        let modified = || fs::metadata(&path).unwrap().modified().unwrap();
        let mark = |last_settled| {
            let file = File::open(&path).unwrap();
            mark_used(&file, &file.metadata().unwrap(), last_settled);
        };
        let old = modified();
        mark(None);
        assert_eq!(modified(), old, "nobody has ever counted");
        mark(Some(old));
        let marked = modified();
        assert!(marked > old);
        mark(Some(old));
        assert_eq!(modified(), marked);
    }
}
