//! Kubernetes manifests: their text, and what an object says about itself.

mod object;
mod parse;

pub(crate) use object::ObjectId;
pub(crate) use parse::{Document, Node, first_words, parse, parse_map};
