//! Starting the programs that the automation is made of.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, is_ci, workspace};

/// The cargo that runs us.
///
/// In CI without what incremental builds keep: gigabytes that only a second build in the same folder would read.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    if is_ci() {
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// The bytes that a folder's file system has left for this user, as `df` counts them.
pub(crate) fn free_space(folder: &Path) -> Result<u64, String> {
    let listing = text(program("df").args(["-P", "-k"]).arg(folder))?;
    free_in(&listing).ok_or_else(|| format!("`df` writes no number of free blocks for {}", folder.display()))
}

/// The fourth column of the last line, in units of 1,024 bytes.
fn free_in(listing: &str) -> Option<u64> {
    let kibibytes: u64 = listing.lines().next_back()?.split_whitespace().nth(3)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// A program that is not ours, with no standard input.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.stdin(Stdio::null());
    command
}

/// Finds a program on PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs a command whose output goes where ours goes.
pub(crate) fn show(command: &mut Command) -> Outcome {
    let line = line(command);
    println!("$ {line}");
    let status = command.status().map_err(|error| format!("`{line}` does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}`: {status}")) }
}

/// Runs a command silently and gives its standard output; the error holds the last lines that it wrote to the other.
pub(crate) fn text(command: &mut Command) -> Result<String, String> {
    let line = line(command);
    let output = command.output().map_err(|error| format!("`{line}` does not start: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.split_at(lines.len().saturating_sub(3)).1.join("; ");
    Err(format!("`{line}`: {}: {last}", output.status))
}

/// The command as a person would type it, the program by its name alone.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::free_in;

    #[test]
    fn free_space_is_the_fourth_column() {
        let listing =
            "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 264000000 32000000 60000000 35% /\n";
        assert_eq!(free_in(listing), Some(60_000_000 * 1024));
        assert_eq!(free_in("Filesystem 1024-blocks\n"), None);
    }
}
