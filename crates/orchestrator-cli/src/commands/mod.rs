//! The commands: each is a thin way from arguments to a report.

pub(crate) mod config;
pub(crate) mod deploy;
pub(crate) mod forge;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod hold;
pub(crate) mod images;
pub(crate) mod lock;
pub(crate) mod promotion;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod shell;
pub(crate) mod test;
