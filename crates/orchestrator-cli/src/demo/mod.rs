//! `demo`: the whole flow on a shop that is made on the spot.
//!
//! Nothing is staged: the repositories, submodules, images, hooks and refusals are real, and every command is this very
//! binary, started as a user would start it.

mod cluster;
mod files;
mod scenes;
mod server;
mod shop;
mod stage;
mod tamper;

use std::path::PathBuf;

use lock_model::Timestamp;
use process::Program;

use crate::arguments::{DemoArgs, GlobalArgs};
use crate::environment;
use crate::output::{Format, Shown};
use orchestrator::{Error, ErrorKind, Result};

/// When the demo's story begins: a fixed day, so that every run of it is the same.
const START: &str = "2026-01-05T09:00:00Z";

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs, global: &GlobalArgs) -> Result<Shown> {
    if args.cluster {
        return cluster::run(args, global);
    }
    let program = find_git()?;
    let root = empty_folder(args.dir.clone())?;
    let start: Timestamp =
        START.parse().map_err(|error| Error::from_source(ErrorKind::Bug, "the demo's clock is wrong", error))?;
    let (shop, _) = shop::Shop::create(&root, program, start, files::plot(), shop::Built::Yes)?;
    let live = global.format != Format::Json;
    let mut stage = stage::Stage::with_server(root.clone(), shop, START, live, args.pause)?;
    scenes::play(&mut stage)?;
    let map = scenes::map(&root, stage.binary());
    let result = serde_json::json!({ "folder": root.display().to_string(), "scenes": stage.into_scenes() });
    Ok(Shown::with_result(map, result))
}

fn find_git() -> Result<Program> {
    Program::find("git", &environment::search_path()).map_err(|error| {
        Error::from_source(ErrorKind::Usage, "`git` is not on the search path", error).hint("install git 2.38 or newer")
    })
}

/// The named folder, or a new one below the temporary folder; never one with something in it.
fn empty_folder(named: Option<PathBuf>) -> Result<PathBuf> {
    let failed = |path: &std::path::Path, error: std::io::Error| {
        Error::from_source(ErrorKind::Usage, format!("the demo cannot use `{}`", path.display()), error)
    };
    let Some(path) = named else {
        let made = tempfile::Builder::new().prefix("orchestrator-demo-").tempdir();
        return made.map(tempfile::TempDir::keep).map_err(|error| failed(&std::env::temp_dir(), error));
    };
    std::fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
    let path = path.canonicalize().map_err(|error| failed(&path, error))?;
    let mut entries = std::fs::read_dir(&path).map_err(|error| failed(&path, error))?;
    if entries.next().is_some() {
        return Err(Error::new(ErrorKind::Usage, format!("`{}` is not empty", path.display()))
            .hint("name a new folder: the demo never writes over anything"));
    }
    Ok(path)
}
