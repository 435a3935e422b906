//! The workspace as its own tests see it.

use std::path::PathBuf;

use crate::environment;

/// The top folder of this workspace.
pub fn workspace() -> PathBuf {
    environment::workspace()
}

/// What `cargo metadata` says about this workspace with all features, for the machine's own platform: JSON.
pub fn cargo_metadata() -> Vec<u8> {
    let mut command = environment::command(environment::variable("CARGO").unwrap_or_else(|| "cargo".into()));
    // Where cargo and rustup find the packages and the toolchain that this test was built with.
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        command.envs(environment::variable(name).map(|value| (name, value)));
    }
    let system = if cfg!(target_os = "macos") { "apple-darwin" } else { "unknown-linux-gnu" };
    let platform = format!("{}-{system}", std::env::consts::ARCH);
    // One platform: for the others cargo would have to download what the build did not need.
    command.args(["metadata", "--format-version", "1", "--all-features", "--offline", "--filter-platform", &platform]);
    let output = command.current_dir(workspace()).output().expect("cargo starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
