//! Programs that lie in the superproject: what starts them, judged by their bytes.
//!
//! What the kernel does not start, the C library hands to a shell, line by line: an empty file would be a suite that passes.

use std::path::Path;

use lock_model::TreePath;
use lock_model::escaping::excerpt;

use super::needs::program;
use crate::context::Context;

/// A program that the kernel starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TreeProgram {
    /// A text with an interpreter in its first line.
    Script(Interpreter),
    /// Machine code.
    Binary,
}

/// What the first line of a script names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interpreter {
    /// A path.
    At(String),
    /// A program that `env` looks for.
    OnPath(String),
}

/// How a file begins in whose place git LFS keeps another one.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

impl TreeProgram {
    /// Judges a file by its bytes; the error says what is wrong with it and what to do.
    pub(super) fn read(path: &TreePath, bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err(format!("`./{path}` is empty: it would pass without having tested anything"));
        }
        if bytes.starts_with(LFS_POINTER) {
            return Err(format!("`./{path}` is a pointer of git LFS, and the program is not in git: keep it there"));
        }
        if let Some(rest) = bytes.strip_prefix(b"#!") {
            let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            return interpreter(line)
                .map(Self::Script)
                .map_err(|wrong| format!("the first line of `./{path}` {wrong}"));
        }
        match machine(bytes) {
            Machine::This | Machine::Unknown => Ok(Self::Binary),
            Machine::Other => Err(format!(
                "`./{path}` is a program for another processor than this machine's ({})",
                std::env::consts::ARCH
            )),
            Machine::None => Err(format!(
                "`./{path}` has no `#!` in its first line and is no machine code: begin it with its interpreter, such as \
                 `#!/bin/sh`"
            )),
        }
    }
}

impl Interpreter {
    pub(super) fn is_there(&self, context: &Context) -> bool {
        match self {
            Self::At(path) => Path::new(path).exists(),
            Self::OnPath(name) => program(context, name).is_ok(),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::At(name) | Self::OnPath(name) => excerpt(name),
        }
    }
}

/// The interpreter that a line behind `#!` names.
fn interpreter(line: &[u8]) -> Result<Interpreter, &'static str> {
    if line.ends_with(b"\r") {
        return Err(
            "ends with a carriage return, so that its interpreter is not found: end lines with a line feed alone \
                    (`* text eol=lf` in `.gitattributes`)",
        );
    }
    let line = std::str::from_utf8(line).map_err(|_| "is no text")?;
    let mut words = line.split_whitespace();
    let path = words.next().filter(|path| path.starts_with('/')).ok_or("names no interpreter by its whole path")?;
    if !path.ends_with("/env") {
        return Ok(Interpreter::At(path.to_owned()));
    }
    // Options and variables of `env` itself.
    let name = words.find(|word| !word.starts_with('-') && !word.contains('=')).ok_or("gives `env` no program")?;
    let is_path = name.contains('/');
    Ok(if is_path { Interpreter::At(name.to_owned()) } else { Interpreter::OnPath(name.to_owned()) })
}

/// Which processor machine code is for.
#[derive(Debug, PartialEq, Eq)]
enum Machine {
    /// This machine's.
    This,
    /// Another one's.
    Other,
    /// Not known here: another operating system's form.
    Unknown,
    /// It is no machine code.
    None,
}

/// Reads the head of an ELF file; of other forms only that they are one.
fn machine(bytes: &[u8]) -> Machine {
    /// Mach-O, for one processor and for several.
    const OTHERS: [[u8; 4]; 3] = [[0xcf, 0xfa, 0xed, 0xfe], [0xfe, 0xed, 0xfa, 0xcf], [0xca, 0xfe, 0xba, 0xbe]];
    if !bytes.starts_with(b"\x7fELF") {
        let is_known = cfg!(target_os = "macos") && OTHERS.iter().any(|magic| bytes.starts_with(magic));
        return if is_known { Machine::Unknown } else { Machine::None };
    }
    let (Some(order), Some(&[first, second])) = (bytes.get(5), bytes.get(18..20)) else { return Machine::None };
    let number = if *order == 2 { u16::from_be_bytes([first, second]) } else { u16::from_le_bytes([first, second]) };
    // The numbers of the ELF specification: x86-64 runs what is for x86, 64-bit Arm what is for Arm.
    let here: &[u16] = match std::env::consts::ARCH {
        "x86_64" => &[62, 3],
        "aarch64" => &[183, 40],
        _ => return Machine::Unknown,
    };
    if here.contains(&number) { Machine::This } else { Machine::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<TreeProgram, String> {
        TreeProgram::read(&TreePath::try_from("t/s").unwrap(), bytes)
    }

    #[test]
    fn a_script_names_its_interpreter() {
        let on_path = |name: &str| TreeProgram::Script(Interpreter::OnPath(name.to_owned()));
        let at = |name: &str| TreeProgram::Script(Interpreter::At(name.to_owned()));
        for (text, expected) in [
            ("#!/bin/sh\necho", at("/bin/sh")),
            ("#! /usr/bin/perl -w\n", at("/usr/bin/perl")),
            ("#!/usr/bin/env python3\n", on_path("python3")),
            ("#!/usr/bin/env -S PYTHONPATH=x python3 -u\n", on_path("python3")),
            ("#!/usr/bin/env /opt/k6\n", at("/opt/k6")),
            ("#!/bin/sh", at("/bin/sh")),
        ] {
            assert_eq!(read(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_a_shell_would_read_line_by_line_is_refused() {
        for (text, words) in [
            ("", "is empty"),
            ("\n", "has no `#!`"),
            ("echo\n", "has no `#!`"),
            ("\u{feff}#!/bin/sh\n", "has no `#!`"),
            ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git LFS"),
            ("#!/bin/sh\r\necho\r\n", "carriage return"),
            ("#!/usr/bin/env python3\r\n", "carriage return"),
            ("#!\n", "no interpreter"),
            ("#!relative\n", "no interpreter"),
            ("#!/usr/bin/env\n", "gives `env` no program"),
            ("\u{7f}ELF", "has no `#!`"),
        ] {
            let said = read(text.as_bytes()).unwrap_err();
            assert!(said.contains(words), "{text:?}: {said}");
        }
    }

    #[test]
    fn machine_code_is_for_this_processor() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(read(&own), Ok(TreeProgram::Binary));
        if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) && own.starts_with(b"\x7fELF") {
            let mut foreign = own[..64].to_vec();
            // s390x, which is big-endian as well.
            foreign[5] = 2;
            foreign[18..20].copy_from_slice(&[0, 22]);
            assert!(read(&foreign).unwrap_err().contains("another processor"));
        }
    }
}
