//! Every public future can be spawned on a runtime with several threads.

use registry::artifact::{Artifact, Scope};
use registry::layout::LayoutReader;
use registry::{Registry, WaitPolicy};

use crate::support::{options, reference, repository, soon, tag};

fn is_send<T: Send>(future: T) {
    drop(future);
}

/// Compiled, never run.
#[expect(dead_code, reason = "the compiler is the test")]
fn every_future(registry: &Registry, layout: &LayoutReader, artifact: &Artifact) {
    let (repository, tag, deadline) = (repository(), tag("a"), soon());
    let digest = lock_model::Digest::of(b"");
    is_send(registry.resolve(&reference("a"), &[], deadline));
    is_send(registry.resolve_all(&[], deadline, &|_| ()));
    is_send(registry.resolve_all_waiting(&[], WaitPolicy::NONE, deadline, &|_| ()));
    is_send(registry.check_digests(&[], deadline, &|_| ()));
    is_send(registry.push_artifact(&repository, Some(&tag), artifact, deadline));
    is_send(registry.push_layout(layout, &repository, &tag, deadline));
    is_send(registry.pull_artifact(&repository, &digest, deadline));
    is_send(registry.referrers(&repository, &digest, None, deadline));
    is_send(registry.scoped_login(&repository, Scope::Pull, deadline));
}

#[test]
fn a_registry_is_shared_by_its_clones() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &T) {}

    is_shared(&Registry::new(options()).unwrap());
}
