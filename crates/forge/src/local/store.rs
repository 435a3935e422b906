//! The folder of files beside the repository: read without a lock, written under one, each file replaced whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ForgeError;

/// No file of ours is longer: a comment holds 64 Ki characters.
const JSON_LIMIT: u64 = 8 * 1024 * 1024;
/// Artefacts and release assets.
pub(crate) const BLOB_LIMIT: u64 = 64 * 1024 * 1024;
/// How long a writer waits for the others. Each holds the lock for some milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);
/// The version of every JSON file here.
const FORMAT_VERSION: u64 = 1;
/// File systems allow 255 bytes; a temporary name needs some of them.
const NAME_LIMIT: usize = 200;

/// The `forge/` folder.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    patience: Duration,
}

/// Proof that this thread may write. The system releases the lock when the process dies.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    store: &'a Store,
    _lock: File,
}

impl Store {
    /// The folder `forge/` in `root`; nothing is made yet.
    pub(crate) fn new(root: &Path) -> Self {
        Self { folder: root.join("forge"), patience: PATIENCE }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// Becomes the one writer.
    pub(crate) fn writer(&self) -> Result<Writer<'_>, ForgeError> {
        let path = self.path("lock");
        let file = open_lock_file(&path)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Writer { store: self, _lock: file }),
                Err(fs::TryLockError::WouldBlock) if started.elapsed() < self.patience => std::thread::sleep(PAUSE),
                Err(fs::TryLockError::WouldBlock) => return Err(ForgeError::busy(&path, started.elapsed())),
                Err(fs::TryLockError::Error(source)) => return Err(ForgeError::file("lock", &path, source)),
            }
        }
    }

    /// Reads a JSON file of version 1; absent when there is none.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, relative: &str) -> Result<Option<T>, ForgeError> {
        let path = self.path(relative);
        let Some(bytes) = read_capped(&path, JSON_LIMIT)? else { return Ok(None) };
        let damaged = |problem: &dyn std::fmt::Display| ForgeError::damaged(&path, problem);
        let mut value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
        let version = value.as_object_mut().and_then(|object| object.remove("version"));
        match version.and_then(|version| version.as_u64()) {
            Some(FORMAT_VERSION) => {}
            Some(version) => return Err(ForgeError::unknown_version(&path, version)),
            None => return Err(damaged(&"it has no version")),
        }
        serde_json::from_value(value).map(Some).map_err(|error| damaged(&error))
    }

    /// Reads a file as it is; absent when there is none.
    pub(crate) fn read_bytes(&self, relative: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        read_capped(&self.path(relative), BLOB_LIMIT)
    }

    /// Names in a folder, sorted; those that start with a dot are work in progress and left out.
    pub(crate) fn names(&self, relative: &str) -> Result<Vec<String>, ForgeError> {
        let path = self.path(relative);
        let failed = |source| ForgeError::file("list", &path, source);
        let Some(entries) = if_there(fs::read_dir(&path)).map_err(failed)? else { return Ok(Vec::new()) };
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
    pub(crate) fn numbers(&self, relative: &str) -> Result<Vec<u64>, ForgeError> {
        let names = self.names(relative)?;
        let mut numbers: Vec<u64> =
            names.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<u64>().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The number after the highest one, from 1.
    pub(crate) fn next_number(&self, relative: &str) -> Result<u64, ForgeError> {
        Ok(self.numbers(relative)?.last().map_or(1, |last| last + 1))
    }

    /// The contents of the files `N.json` in a folder, by number.
    pub(crate) fn read_numbered<T: DeserializeOwned>(&self, relative: &str) -> Result<Vec<T>, ForgeError> {
        let names = self.numbers(relative)?.into_iter().map(|number| format!("{number}.json"));
        self.read_all(relative, names)
    }

    /// The contents of all JSON files in a folder, by name.
    pub(crate) fn read_folder<T: DeserializeOwned>(&self, relative: &str) -> Result<Vec<T>, ForgeError> {
        self.read_all(relative, self.names(relative)?)
    }

    /// A file that goes away meanwhile is left out.
    pub(crate) fn read_all<T: DeserializeOwned>(
        &self,
        folder: &str,
        names: impl IntoIterator<Item = String>,
    ) -> Result<Vec<T>, ForgeError> {
        names.into_iter().filter_map(|name| self.read_json(&format!("{folder}/{name}")).transpose()).collect()
    }
}

impl Writer<'_> {
    /// Replaces a JSON file: afterwards, and after a crash at any moment, it is the old one or the new one.
    pub(crate) fn write_json<T: Serialize>(&self, relative: &str, value: &T) -> Result<(), ForgeError> {
        self.write_bytes(relative, &to_json(value))
    }

    /// Replaces a file in the same way.
    pub(crate) fn write_bytes(&self, relative: &str, bytes: &[u8]) -> Result<(), ForgeError> {
        let path = self.store.path(relative);
        make_folders(parent(&path))?;
        replace_file(&path, bytes)
    }

    /// Makes a whole folder appear at once; there must be none yet.
    pub(crate) fn write_folder(&self, relative: &str, files: &[(String, &[u8])]) -> Result<(), ForgeError> {
        let path = self.store.path(relative);
        make_folders(parent(&path))?;
        let temporary = temporary(&path);
        if_there(fs::remove_dir_all(&temporary)).map_err(|source| ForgeError::file("remove", &temporary, source))?;
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

/// The bytes of a JSON file: the version, then the value's own keys.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    #[derive(Serialize)]
    struct Versioned<'a, T> {
        version: u64,
        #[serde(flatten)]
        value: &'a T,
    }
    let file = Versioned { version: FORMAT_VERSION, value };
    let mut bytes = serde_json::to_vec_pretty(&file).expect("maps have text keys and nothing else can fail");
    bytes.push(b'\n');
    bytes
}

/// A file name for any text: what is neither letter, digit, `_`, `-` nor an inner dot is written as `%XX`.
pub(crate) fn file_name(what: &str, text: &str) -> Result<String, ForgeError> {
    let refuse = |problem: &str| {
        ForgeError::invalid(format!("{what} `{}`", lock_model::escaping::escape_short(text, 120)), problem)
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
pub(crate) fn plain_file_name(what: &str, text: &str) -> Result<(), ForgeError> {
    let name = file_name(what, text)?;
    if name == text && !text.starts_with('-') {
        return Ok(());
    }
    Err(ForgeError::invalid(
        format!("{what} `{}`", lock_model::escaping::escape_short(text, 120)),
        "only letters, digits, `.`, `_`, `-`, starting with a letter, digit or `_`",
    ))
}

/// Opens a file only to lock it. It is never removed: two processes could then lock two files of one name.
pub(crate) fn open_lock_file(path: &Path) -> Result<File, ForgeError> {
    make_folders(parent(path))?;
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|source| ForgeError::file("open", path, source))
}

/// Writes beside the file, flushes to the disk, renames, flushes the folder.
///
/// The temporary name is fixed: the writer of a file holds the lock for it, and what a killed writer left behind
/// is overwritten by the next.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), ForgeError> {
    let temporary = temporary(path);
    write_file(&temporary, bytes)?;
    rename(&temporary, path)
}

/// Removes a file that may be gone.
pub(crate) fn remove_file(path: &Path) -> Result<(), ForgeError> {
    if_there(fs::remove_file(path)).map(drop).map_err(|source| ForgeError::file("remove", path, source))
}

pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), ForgeError> {
    fs::rename(from, to).map_err(|source| ForgeError::file("replace", to, source))?;
    sync_folder(parent(to))
}

pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ForgeError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| ForgeError::file("write", path, source))
}

/// Makes missing folders, each flushed into its parent.
pub(crate) fn make_folders(path: &Path) -> Result<(), ForgeError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folders(above)?;
    }
    match fs::create_dir(path) {
        Ok(()) => sync_folder(parent(path)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(source) => Err(ForgeError::file("make the folder", path, source)),
    }
}

fn sync_folder(path: &Path) -> Result<(), ForgeError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|source| ForgeError::file("flush", path, source))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What was found; `None` where there is no such file or folder.
fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn read_capped(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ForgeError> {
    let failed = |source| ForgeError::file("read", path, source);
    let Some(file) = if_there(File::open(path)).map_err(failed)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(ForgeError::damaged(path, format!("it is larger than {limit} bytes")));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ForgeErrorKind;

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
            assert_eq!(file_name("context", &bad).unwrap_err().kind(), ForgeErrorKind::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn f5_a_second_writer_waits_and_then_says_where_it_was_stuck() {
        let folder = test_support::Sandbox::new();
        let one = Store::new(folder.path());
        let other = Store { patience: Duration::from_millis(20), ..Store::new(folder.path()) };
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
        let store = Store::new(folder.path());
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
        let store = Store::new(folder.path());
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
            assert_eq!(plain_file_name("artefact", bad).unwrap_err().kind(), ForgeErrorKind::Invalid, "{bad}");
        }
    }
}
