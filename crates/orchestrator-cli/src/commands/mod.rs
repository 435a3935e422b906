//! The commands: each is a thin way from arguments to a report.

pub mod config;
pub mod deploy;
pub mod forge;
pub mod health;
pub mod history;
pub mod hold;
pub mod lock;
pub mod promotion;
pub mod run;
pub mod schema;
pub mod test;
