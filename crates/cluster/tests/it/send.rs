//! Every public future can be spawned on a runtime with several threads.

use std::future::ready;

use cluster::{ApplyMode, Connection, Kind, Kubeconfig, Object, Patience, Propagation, Selection, WaitOptions};

fn is_send<T: Send>(future: T) {
    drop(future);
}

/// Compiled, never run.
#[expect(dead_code, reason = "the compiler is the test")]
fn every_future(connection: &Connection, kubeconfig: &Kubeconfig, object: &Object) {
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
    is_send(connection.delete(object.key(), "", Propagation::Background));
}

#[test]
fn a_connection_is_shared_by_its_clones() {
    fn is_shared<T: Clone + Send + Sync + 'static>() {}

    is_shared::<Connection>();
}
