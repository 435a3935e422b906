//! The project's own automation. `cargo xtask` alone prints what it can do.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for a terminal: it prints, starts cargo and apt-get, and reads CI itself"
)]

mod bench;
mod cases;
mod debian;
mod generate;
mod picture;
mod program;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
The project's own automation.

Usage: cargo xtask COMMAND

  test [--fast]       everything that CI checks; --fast leaves out what needs the bench and takes long
  bench-setup         brings the real programs that system tests use, under target/bench
  generate [--check]  writes the generated files, or lists those that are out of date
";

/// The result of a command; an error is text for the terminal.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["test"] => test::run(test::Extent::Everything),
        ["test", "--fast"] => test::run(test::Extent::Fast),
        ["bench-setup"] => bench::set_up(&workspace()),
        ["generate"] => generate::from_fresh_binary(generate::Mode::Write),
        ["generate", "--check"] => generate::from_fresh_binary(generate::Mode::Check),
        _ => {
            println!("unknown: `{}`\n\n{HELP}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("\nfailed: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// The top folder of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// Whether nothing may be skipped here.
fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}
