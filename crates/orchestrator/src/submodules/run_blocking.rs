//! Blocking work with remotes, on a thread of its own: deadline and signals are heard meanwhile.

use std::time::{Duration, Instant};

use git::GitOptions;
use process::{EndOnDrop, Interrupt};

use crate::error::{Error, ErrorKind, Result};
use crate::workspace::Workspace;

/// Does work that starts `git`, with options of its own: programs end with the command's deadline, with a signal, and
/// when `patience` is over, each of which leaves the work with the answers that it has.
pub(crate) async fn run_blocking<T, W>(context: &Workspace, patience: Option<Duration>, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(GitOptions) -> T + Send + 'static,
{
    let stop = Interrupt::new();
    let left = context.deadline.saturating_duration_since(Instant::now());
    let mut options = context.submodule_git_options()?;
    options.deadline = options.deadline.min(left);
    options.interrupt = stop.clone();
    let _abandoned = EndOnDrop(stop.clone());
    let mut answer = tokio::task::spawn_blocking(move || work(options));
    let watch = async {
        match patience {
            Some(patience) => tokio::time::sleep(patience).await,
            None => std::future::pending().await,
        }
        stop.request();
    };
    let ended = tokio::select! {
        ended = &mut answer => ended,
        () = watch => answer.await,
    };
    ended.map_err(|error| Error::from_source(ErrorKind::Bug, "work with remotes ended early", error))
}
