//! Programs that print secrets: a login of a kubeconfig, a source of settings.

use process::{EndOnDrop, Invocation, Output};

use crate::context::Surroundings;
use crate::error::causes;

/// Runs the program on a thread of its own; it ends with the future, which its caller drops at a deadline. The reason why it did
/// not end by itself holds nothing of its output or its arguments.
pub(crate) async fn run(surroundings: &Surroundings, invocation: Invocation) -> Result<Output, String> {
    let end = EndOnDrop(surroundings.interrupt.child());
    let invocation = invocation.hide_output().interrupt(&end.0).launched_by(surroundings.launcher.as_ref());
    match tokio::task::spawn_blocking(move || invocation.run()).await {
        // With the system's reason for a program that did not start.
        Ok(ended) => ended.map_err(|error| causes(Some(&error)).join(": ")),
        Err(_) => Err("it was not run to its end".to_owned()),
    }
}
