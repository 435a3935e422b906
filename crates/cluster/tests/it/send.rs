//! Every public future can be spawned on a runtime with several threads.

use std::collections::BTreeSet;
use std::future::ready;

use cluster::lock_model::Timestamp;
use cluster::{
    ApplyMode, Connection, HeldLease, Kind, Kubeconfig, LeaseHolder, LeaseKeeper, LeasePlace, LeaseRequest, LogTail,
    Object, Patience, Propagation, Selection, WaitOptions,
};

fn is_send<T: Send>(future: T) {
    drop(future);
}

/// Compiled, never run.
#[expect(dead_code, reason = "the compiler is the test")]
fn every_future(
    connection: &Connection,
    kubeconfig: &Kubeconfig,
    object: &Object,
    lease: &mut HeldLease,
    keeper: &LeaseKeeper,
) {
    let kind = Kind::new("v1", "Pod");
    is_send(Connection::new(kubeconfig, Patience::default()));
    is_send(connection.server_version());
    is_send(connection.ready());
    is_send(connection.discovery());
    is_send(connection.refresh_discovery());
    is_send(connection.resource(&kind));
    is_send(connection.find(object.key()));
    is_send(connection.get(object.key()));
    is_send(connection.list(&kind, None, &Selection::default()));
    is_send(connection.apply(object, ApplyMode::default()));
    is_send(connection.create(object));
    is_send(connection.replace(object));
    is_send(connection.wait(&[], &WaitOptions::default(), ready(()), &|_| ()));
    let place = LeasePlace { namespace: String::new(), environment: String::new() };
    let holder =
        LeaseHolder { repository: String::new(), run: String::new(), attempt: 1, nonce: String::new(), link: None };
    let now = || Timestamp::from_unix_seconds(0);
    is_send(connection.acquire_lease(&place, &holder, &LeaseRequest::default(), &now, &|_| ()));
    is_send(connection.ask_to_yield(&place, ""));
    is_send(connection.lease_holder(&place));
    is_send(lease.clone().release());
    is_send(lease.renew(now()));
    is_send(keeper.ended());
    is_send(connection.namespace_state(""));
    is_send(connection.missing_references(&[]));
    is_send(connection.running("", &Selection::default(), &BTreeSet::new()));
    is_send(connection.ready_endpoints(""));
    is_send(connection.events(object.key(), ""));
    is_send(connection.logs(object.key(), "", LogTail { previous: false, lines: 1, bytes: 1 }));
    is_send(connection.api_health());
    is_send(connection.namespace_health(""));
    is_send(connection.nodes_health(100));
    is_send(connection.clock_health(now));
    is_send(connection.permissions_health(&[], &[]));
    is_send(connection.quota_health("", &[]));
    is_send(connection.capacity_health("", &[]));
    is_send(connection.delete(object.key(), "", Propagation::Background));
}

#[test]
fn a_connection_is_shared_by_its_clones() {
    fn is_shared<T: Clone + Send + Sync + 'static>() {}

    is_shared::<Connection>();
}
