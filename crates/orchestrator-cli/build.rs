//! Makes the program that the containers of `orchestrator demo --cluster` run, from `service/main.rs`.
//!
//! It needs nothing but the compiler that builds orchestrator. Where that cannot link a program without a C library, such
//! as on a system that is not Linux, the file stays empty, and the demo says so.
#![expect(clippy::disallowed_methods, reason = "what cargo tells a build script stands in variables; it starts rustc")]

use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "service/main.rs";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var_os(name).unwrap_or_default();
    let program = PathBuf::from(variable("OUT_DIR")).join("service");
    let is_possible = variable("CARGO_CFG_TARGET_OS") == "linux"
        && ["x86_64", "aarch64"].iter().any(|known| variable("CARGO_CFG_TARGET_ARCH") == *known);
    let mut command = Command::new(variable("RUSTC"));
    command.args(["--edition", "2024", "--crate-name", "service", "--crate-type", "bin", SOURCE, "--target"]);
    command.arg(variable("TARGET")).arg("-o").arg(&program);
    for option in [
        "panic=abort",
        "opt-level=s",
        "strip=symbols",
        "relocation-model=static",
        "link-arg=-nostartfiles",
        "link-arg=-nostdlib",
        "link-arg=-static",
        // The same bytes in every build: they are part of the images' digests.
        "link-arg=-Wl,--build-id=none",
    ] {
        command.args(["-C", option]);
    }
    let linker = variable("RUSTC_LINKER");
    if !linker.is_empty() {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        command.arg("-C").arg(option);
    }
    let is_made = is_possible && command.output().is_ok_and(|output| output.status.success());
    if !is_made {
        println!("cargo::warning=`orchestrator demo --cluster` of this build has no program for its containers");
        if let Err(error) = std::fs::write(&program, "") {
            println!("cargo::error={}: {error}", program.display());
        }
    }
}
