//! Shows the submodules of a commit, whatever is checked out: `cargo run -p lock-gen --example submodules -- . HEAD`.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::path::PathBuf;

use lock_gen::Superproject;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let revision = arguments.next().unwrap_or_else(|| "HEAD".to_owned());
    // What relative URLs are relative to.
    let repository = arguments.next().unwrap_or_else(|| "https://forge.example/owner/repository".to_owned());

    let superproject = Superproject::open(&folder)?;
    let commit = superproject.commit(&revision)?;
    let scan = superproject.scan(&commit.tree, &repository.parse()?)?;
    println!("{} of {}", commit.id, commit.time);
    for submodule in &scan.submodules {
        println!("{} {} {}", submodule.commit, submodule.path, submodule.url);
    }
    for finding in scan.problems.iter().chain(&scan.warnings) {
        println!("{}: {finding}\n  {}", finding.kind, finding.hint);
    }
    Ok(())
}
