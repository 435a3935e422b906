//! Rules on tables of objects, and the client against a real control plane.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

mod capacity;
mod forwarding;
mod health;
mod kubeconfig;
mod live;
mod objects;
mod quota_counts;
mod readiness;
mod references;
mod running;
mod send;
mod wire;
