//! System tests: the built binary and its formats on real parts, and the rules of the workspace itself.

mod examples;
mod readers;
mod workspace;
