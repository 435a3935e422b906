//! Logging in: the challenge of a registry, the rules for the token service that it names, and the tokens.
//!
//! A token is fetched once for each repository, however many requests wait for it, used until it is about to expire,
//! and renewed once when the registry refuses it. It is sent to the registry that it was fetched for, and nowhere else.

mod account;
mod authenticator;
mod challenge;
mod realm;
mod token;

pub(crate) use account::{Account, Need};
pub(crate) use authenticator::Authenticator;
#[cfg(feature = "fuzzing")]
pub(crate) use challenge::{Challenge, challenges};
pub(crate) use realm::{NOT_PUBLIC, NotPublic, PublicOnly, Reach};
