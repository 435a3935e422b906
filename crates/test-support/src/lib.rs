//! What the tests of every crate share: git repositories made by script, a real registry, real `skopeo`,
//! the built `orchestrator` in a sandbox, and a `git` that kills its caller.
//!
//! Nothing here uses the crates under test: a fault in our own process or git code must not break
//! the tests in the same way and so stay hidden. Every function panics when its part does not work; only a part that
//! a machine *lacks* is a value ([`bench::Missing`]).

mod backing_server;
pub mod bench;
mod cluster;
mod environment;
mod filters;
mod git_server;
mod git_shim;
mod gitea;
mod hostile;
mod http;
pub mod measure;
mod nginx;
mod orchestrator;
mod peer;
mod referrers;
mod registry;
mod repository;
mod sandbox;
mod server;
mod test_times;
mod toxiproxy;
mod workspace;

pub use backing_server::{Backing, BackingServer, Wire};
pub use cluster::{Act, Cluster, Gate, Image, Node};
pub use environment::{output, search_path};
pub use filters::Filters;
pub use git_server::GitServer;
pub use git_shim::{GitShim, When};
pub use gitea::{Gitea, GiteaUser, Visibility};
pub use hostile::HOSTILE_TEXT;
pub use http::{HttpAnswer, base64};
pub use nginx::Nginx;
pub use orchestrator::{Finished, Invocation, Running, built_binary};
pub use peer::Peer;
pub use referrers::ReferrersRegistry;
pub use registry::{DockerRegistry, DoorSettings, RegistryRelease, Skopeo};
pub use repository::{GitAnswer, Repository, START};
pub use sandbox::Sandbox;
pub use toxiproxy::{Stream, ToxicDoor, Toxiproxy};
pub use workspace::{cargo_metadata, workspace};
