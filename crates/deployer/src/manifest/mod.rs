//! Kubernetes manifests: their text, and what an object says about itself.

mod fault;
mod object;
mod parse;

pub(crate) use fault::Fault;
pub(crate) use object::ObjectId;
pub(crate) use parse::{Document, Node, parse, parse_map};
