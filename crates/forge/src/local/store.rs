//! The folder of files beside the repository: read without a lock, written under one, each file replaced whole.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::FORMAT_VERSION;
use crate::error::ForgeError;

/// No file of ours is longer: a comment holds 64 Ki characters.
const JSON_LIMIT: u64 = 8 * 1024 * 1024;
/// Artefacts and release assets.
pub(super) const BLOB_LIMIT: u64 = 64 * 1024 * 1024;
/// How long a writer waits for the others. Each holds the lock for some milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);
/// File systems allow 255 bytes; a temporary name needs some of them.
const NAME_LIMIT: usize = 200;

/// The `forge/` folder.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    patience: Duration,
}

/// Proof that this thread may write. The system releases the lock when the process dies.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    store: &'a Store,
    _lock: File,
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, patience: PATIENCE }
    }

    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// Becomes the one writer.
    pub(super) fn writer(&self) -> Result<Writer<'_>, ForgeError> {
        let path = self.path("lock");
        let file = open_lock_file(&path)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Writer { store: self, _lock: file }),
                Err(fs::TryLockError::WouldBlock) if started.elapsed() < self.patience => std::thread::sleep(PAUSE),
                Err(fs::TryLockError::WouldBlock) => return Err(ForgeError::Busy { path, waited: started.elapsed() }),
                Err(fs::TryLockError::Error(source)) => return Err(ForgeError::File { action: "lock", path, source }),
            }
        }
    }

    /// Reads a JSON file of version 1; absent when there is none.
    pub(super) fn read_json<T: DeserializeOwned>(&self, relative: &str) -> Result<Option<T>, ForgeError> {
        let path = self.path(relative);
        let Some(bytes) = read_capped(&path, JSON_LIMIT)? else { return Ok(None) };
        let damaged = |problem: String| ForgeError::Damaged { path: path.clone(), problem };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(FORMAT_VERSION) => {}
            Some(version) => return Err(ForgeError::UnknownVersion { path, version }),
            None => return Err(damaged("it has no version".to_owned())),
        }
        serde_json::from_value(value).map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Reads a file as it is; absent when there is none.
    pub(super) fn read_bytes(&self, relative: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        read_capped(&self.path(relative), BLOB_LIMIT)
    }

    /// Names in a folder, sorted; those that start with a dot are work in progress and left out.
    pub(super) fn names(&self, relative: &str) -> Result<Vec<String>, ForgeError> {
        let path = self.path(relative);
        let failed = |source| ForgeError::File { action: "list", path: path.clone(), source };
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry.map_err(failed)?.file_name().into_string()
                && !name.starts_with('.')
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The numbers `N` of the files `N.json` in a folder, in order.
    pub(super) fn numbers(&self, relative: &str) -> Result<Vec<u64>, ForgeError> {
        let names = self.names(relative)?;
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<u64>().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

impl Writer<'_> {
    /// Replaces a JSON file: afterwards, and after a crash at any moment, it is the old one or the new one.
    pub(super) fn write_json<T: Serialize>(&self, relative: &str, value: &T) -> Result<(), ForgeError> {
        let mut bytes = serde_json::to_vec_pretty(value).expect("maps have text keys and nothing else can fail");
        bytes.push(b'\n');
        self.write_bytes(relative, &bytes)
    }

    /// Replaces a file in the same way.
    pub(super) fn write_bytes(&self, relative: &str, bytes: &[u8]) -> Result<(), ForgeError> {
        let path = self.store.path(relative);
        make_folders(parent(&path))?;
        replace_file(&path, bytes)
    }

    /// Makes a whole folder appear at once; there must be none yet.
    pub(super) fn write_folder(&self, relative: &str, files: &[(String, &[u8])]) -> Result<(), ForgeError> {
        let path = self.store.path(relative);
        make_folders(parent(&path))?;
        let temporary = temporary(&path);
        match fs::remove_dir_all(&temporary) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(ForgeError::File { action: "remove", path: temporary, source }),
        }
        make_folders(&temporary)?;
        for (name, bytes) in files {
            let file = temporary.join(name);
            make_folders(parent(&file))?;
            write_file(&file, bytes)?;
            sync_folder(parent(&file))?;
        }
        sync_folder(&temporary)?;
        rename(&temporary, &path)
    }
}

/// A file name for any text: what is neither letter, digit, `_`, `-` nor an inner dot is written as `%XX`.
pub(super) fn file_name(what: &str, text: &str) -> Result<String, ForgeError> {
    let refuse = |problem: &str| ForgeError::Invalid {
        what: format!("{what} `{}`", lock_model::escaping::escape_short(text, 120)),
        problem: problem.to_owned(),
    };
    if text.is_empty() {
        return Err(refuse("it is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(refuse("it has control characters"));
    }
    let mut name = String::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && index > 0) {
            name.push(char::from(byte));
        } else {
            name.push('%');
            for half in [byte >> 4, byte & 15] {
                name.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
            }
        }
    }
    if name.len() > NAME_LIMIT { Err(refuse("it is too long")) } else { Ok(name) }
}

/// Checks the name of a file that people will look at: no folder, no leading dot or hyphen.
pub(super) fn plain_file_name(what: &str, text: &str) -> Result<(), ForgeError> {
    let name = file_name(what, text)?;
    if name == text && !text.starts_with('-') {
        return Ok(());
    }
    Err(ForgeError::Invalid {
        what: format!("{what} `{}`", lock_model::escaping::escape_short(text, 120)),
        problem: "only letters, digits, `.`, `_`, `-`, starting with a letter, digit or `_`".to_owned(),
    })
}

/// Opens a file only to lock it. It is never removed: two processes could then lock two files of one name.
pub(super) fn open_lock_file(path: &Path) -> Result<File, ForgeError> {
    make_folders(parent(path))?;
    File::options().create(true).truncate(false).write(true).open(path).map_err(|source| ForgeError::File {
        action: "open",
        path: path.to_owned(),
        source,
    })
}

/// Writes beside the file, flushes to the disk, renames, flushes the folder.
///
/// The temporary name is fixed: whoever writes a file holds the lock for it, and what a killed writer left behind
/// is overwritten by the next.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), ForgeError> {
    let temporary = temporary(path);
    write_file(&temporary, bytes)?;
    rename(&temporary, path)
}

/// Removes a file that may be gone.
pub(super) fn remove_file(path: &Path) -> Result<(), ForgeError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(ForgeError::File { action: "remove", path: path.to_owned(), source }),
    }
}

pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), ForgeError> {
    fs::rename(from, to).map_err(|source| ForgeError::File { action: "replace", path: to.to_owned(), source })?;
    sync_folder(parent(to))
}

pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ForgeError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| ForgeError::File { action: "write", path: path.to_owned(), source })
}

/// Makes missing folders, each flushed into its parent.
pub(super) fn make_folders(path: &Path) -> Result<(), ForgeError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folders(above)?;
    }
    match fs::create_dir(path) {
        Ok(()) => sync_folder(parent(path)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(source) => Err(ForgeError::File { action: "make the folder", path: path.to_owned(), source }),
    }
}

fn sync_folder(path: &Path) -> Result<(), ForgeError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|source| ForgeError::File {
        action: "flush",
        path: path.to_owned(),
        source,
    })
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn read_capped(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ForgeError> {
    let failed = |source| ForgeError::File { action: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(ForgeError::Damaged { path: path.to_owned(), problem: format!("it is larger than {limit} bytes") });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_one_file_name() {
        for (text, name) in [
            ("orchestrator/lock", "orchestrator%2Flock"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
            ("a.b-c_D", "a.b-c_D"),
            ("é %", "%C3%A9%20%25"),
        ] {
            assert_eq!(file_name("context", text).unwrap(), name);
        }
        for bad in [String::new(), "a\nb".to_owned(), "x".repeat(201), "/".repeat(67)] {
            assert!(matches!(file_name("context", &bad), Err(ForgeError::Invalid { .. })), "{bad:?}");
        }
    }

    #[test]
    fn f5_a_second_writer_waits_and_then_says_where_it_was_stuck() {
        let folder = test_support::Sandbox::new();
        let one = Store::new(folder.join("forge"));
        let other = Store { patience: Duration::from_millis(20), ..Store::new(folder.join("forge")) };
        let writer = one.writer().unwrap();
        let error = other.writer().unwrap_err();
        assert_eq!(error.class(), lock_model::ErrorClass::Temporary);
        assert!(error.to_string().contains("forge/lock"), "{error}");
        drop(writer);
        other.writer().unwrap().write_bytes("a/b/file", b"x").unwrap();
        assert_eq!(other.names("a/b").unwrap(), ["file"]);
    }

    #[test]
    fn f4_a_file_that_cannot_be_written_is_named_and_the_old_one_stays() {
        let folder = test_support::Sandbox::new();
        let store = Store::new(folder.join("forge"));
        let writer = store.writer().unwrap();
        writer.write_bytes("users.json", b"old").unwrap();
        // Where the temporary file would be lies a folder.
        fs::create_dir(folder.join("forge/.users.json.tmp")).unwrap();
        let error = writer.write_bytes("users.json", b"new").unwrap_err();
        assert!(error.to_string().contains(".users.json.tmp"), "{error}");
        assert_eq!(store.read_bytes("users.json").unwrap().unwrap(), b"old");
    }

    #[test]
    fn f3_what_a_killed_writer_left_behind_is_no_hindrance() {
        let folder = test_support::Sandbox::new();
        let store = Store::new(folder.join("forge"));
        let writer = store.writer().unwrap();
        fs::create_dir_all(folder.join("forge/releases/.v1.tmp/assets")).unwrap();
        fs::write(folder.join("forge/releases/.v1.tmp/assets/half"), "ha").unwrap();
        fs::write(folder.join("forge/.users.json.tmp"), "half").unwrap();
        assert_eq!(store.names("releases").unwrap(), [] as [&str; 0]);
        writer.write_bytes("users.json", b"new").unwrap();
        writer.write_folder("releases/v1", &[("assets/whole".to_owned(), b"whole")]).unwrap();
        assert_eq!(store.names("releases/v1/assets").unwrap(), ["whole"]);
        assert!(!folder.join("forge/.users.json.tmp").exists());
    }

    #[test]
    fn t29_file_names_are_plain() {
        plain_file_name("artefact", "lock.yaml").unwrap();
        for bad in ["../lock.yaml", "a/b", ".git", "-x", "a b", "$(id)", ""] {
            assert!(matches!(plain_file_name("artefact", bad), Err(ForgeError::Invalid { .. })), "{bad}");
        }
    }
}
