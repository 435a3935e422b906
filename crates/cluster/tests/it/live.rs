//! The client and the wait against a real control plane and a real node.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cluster::lock_model::Timestamp;
use cluster::ready::{Rules, Tolerance};
use cluster::{
    Access, Allowed, ApplyMode, Awaited, ClusterErrorKind, Connection, Deleted, DeployedRelease, FailureClass,
    FieldConflict, HeldLease, Kind, Kubeconfig, LEASE_PROOF, LeaseAnswer, LeaseCheck, LeaseHolder, LeaseLoss,
    LeasePlace, LeaseRequest, LeaseState, LogTail, NamespaceOwner, Object, ObjectKey, Patience, Propagation, Selection,
    StateKey, Verdict, WaitEnd, WaitEvent, WaitOptions, WaitOutcome,
};
use serde_json::{Value, json};
use test_support::{Cluster, Image};

/// The one cluster of this process, and a connection of an administrator.
pub(crate) async fn connection() -> Option<(&'static Cluster, Connection)> {
    let cluster = Cluster::shared_or_skip()?;
    Some((cluster, connect(cluster.kubeconfig()).await))
}

pub(crate) async fn connect(kubeconfig: &str) -> Connection {
    let kubeconfig = Kubeconfig::parse(kubeconfig.as_bytes(), None, &Allowed::default()).unwrap();
    Connection::new(&kubeconfig, Patience::default()).await.unwrap()
}

pub(crate) fn deployment(namespace: &str, name: &str, container: Value) -> Object {
    let mut container = container;
    container["name"] = json!("app");
    Object::new(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "terminationGracePeriodSeconds": 0, "containers": [container] },
            },
        },
    }))
    .unwrap()
}

async fn applied(connection: &Connection, object: &Object) -> Awaited {
    let mode = ApplyMode { take_over: true, ..ApplyMode::default() };
    Awaited::applied(&connection.apply(object, mode).await.unwrap())
}

fn fake(namespace: &str, name: &str) -> Object {
    deployment(namespace, name, json!({ "image": "r.io/a:1" }))
}

async fn wait(connection: &Connection, awaited: &[Awaited], seconds: u64, others: bool) -> WaitOutcome {
    let options = WaitOptions {
        time_limit: Duration::from_secs(seconds),
        let_others_finish: others,
        rules: Rules {
            tolerance: Tolerance {
                restarts: 1,
                settling: Duration::from_secs(5),
                room: Duration::from_secs(10),
                silence: None,
            },
            ..Rules::default()
        },
    };
    connection.wait(awaited, &options, pending(), &|_| ()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_applied_listed_and_deleted_by_what_they_are() {
    let Some((cluster, connection)) = connection().await else { return };
    connection.ready().await.unwrap();
    assert!(connection.server_version().await.unwrap().minor >= 33);
    let shop = cluster.namespace("objects");
    let config = |name: &str, data: Value| {
        let value = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": shop }, "data": data });
        Object::new(value).unwrap()
    };
    let dry = ApplyMode { dry_run: true, ..ApplyMode::default() };
    let object = config("a", json!({ "k": "1" }));
    assert_eq!(connection.apply(&object, dry).await.unwrap().text("/data/k"), Some("1"));
    assert_eq!(connection.find(object.key()).await.unwrap(), None);

    // Another writer comes in between.
    connection.create(&object).await.unwrap();
    let stored = connection.get(object.key()).await.unwrap();
    let mut foreign = stored.clone().into_value();
    foreign["metadata"].as_object_mut().unwrap().remove("managedFields");
    foreign["data"]["k"] = json!("2");
    let changed = connection.replace(&Object::new(foreign.clone()).unwrap()).await.unwrap();
    let stale = connection.replace(&Object::new(foreign).unwrap()).await.unwrap_err();
    assert!(matches!(stale.kind(), ClusterErrorKind::Conflict { .. }), "{stale}");
    assert_ne!(changed.resource_version(), stored.resource_version());

    // Another manager owns a field: refused with both names, then taken over.
    cluster.kubectl(&[
        "patch",
        "configmap",
        "a",
        "--namespace",
        &shop,
        "--patch",
        r#"{"data":{"k":"3"}}"#,
        "--field-manager",
        "by-hand",
    ]);
    let error = connection.apply(&object, dry).await.unwrap_err();
    let ClusterErrorKind::FieldConflicts { conflicts } = error.kind() else { panic!("{error:?}") };
    assert_eq!(
        conflicts,
        &[FieldConflict { manager: "by-hand".to_owned(), subresource: None, field: ".data.k".to_owned() }]
    );
    assert!(error.hint().unwrap().contains("take: [by-hand]"));
    let taken = connection.apply(&object, ApplyMode { take_over: true, ..ApplyMode::default() }).await.unwrap();
    assert_eq!(taken.text("/data/k"), Some("1"));

    let wrong = Object::new(
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": shop }, "data": { "k": {} } }),
    );
    let error = connection.apply(&wrong.unwrap(), dry).await.unwrap_err();
    assert!(matches!(error.kind(), ClusterErrorKind::Rejected { .. }), "{error:?}");

    for number in 0..3 {
        connection.apply(&config(&format!("many-{number}"), json!({})), ApplyMode::default()).await.unwrap();
    }
    let kind = Kind::new("v1", "ConfigMap");
    let listed = connection.list(&kind, Some(&shop), &Selection::default()).await.unwrap();
    assert!(listed.len() >= 4 && listed.iter().all(|object| object.key().kind == kind));
    let one = Selection { fields: "metadata.name=many-1".to_owned(), ..Selection::default() };
    assert_eq!(connection.list(&kind, Some(&shop), &one).await.unwrap().len(), 1);

    let uid = changed.uid().unwrap();
    let key = object.key();
    assert_eq!(connection.delete(key, "another", Propagation::Background).await.unwrap(), Deleted::WasAnother);
    assert_eq!(connection.delete(key, uid, Propagation::Background).await.unwrap(), Deleted::Accepted);
    assert_eq!(connection.delete(key, uid, Propagation::Background).await.unwrap(), Deleted::WasGone);

    let unknown = ObjectKey::namespaced(Kind::new("ex.io/v1", "Widget"), &shop, "w");
    let error = connection.find(&unknown).await.unwrap_err();
    assert!(matches!(error.kind(), ClusterErrorKind::UnknownKind), "{error}");
    let discovery = connection.discovery().await.unwrap();
    let versions = discovery.api_versions();
    assert!(
        ["v1", "apps/v1", "apps/v1/Deployment", "batch/v1/CronJob"]
            .iter()
            .all(|wanted| versions.contains(&(*wanted).to_owned()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn b21_b25_the_wait_ends_with_the_truth_about_real_pods() {
    let Some((cluster, connection)) = connection().await else { return };
    let shop = cluster.namespace("wait");
    let Some(node) = cluster.node_or_skip() else { return };
    let busybox = Image { repository: "shop/busybox", tag: "1", command: &["sh"], labels: &[] };
    let digest = node.push(&busybox);
    let image = format!("{}/shop/busybox:1@{digest}", node.registry());
    let good = deployment(&shop, "good", json!({ "image": image, "command": ["sleep", "1000"] }));
    let good = applied(&connection, &good).await;
    let outcome = wait(&connection, std::slice::from_ref(&good), 60, false).await;
    assert_eq!(outcome.end, WaitEnd::Ready, "{outcome:?}");

    let table = [
        ("missing", json!({ "image": format!("{}/shop/gone:1", node.registry()) }), FailureClass::PullMissing),
        (
            "secret",
            json!({ "image": image, "command": ["sleep", "1"], "envFrom": [{ "secretRef": { "name": "gone" } }] }),
            FailureClass::Config,
        ),
        ("crash", json!({ "image": image, "command": ["sh", "-c", "echo no database; exit 3"] }), FailureClass::Crash),
        (
            "memory",
            json!({ "image": image, "command": ["sh", "-c", "tail /dev/zero"], "resources": { "limits": { "memory": "20Mi" } } }),
            FailureClass::OutOfMemory,
        ),
        (
            "homeless",
            json!({ "image": image, "resources": { "requests": { "cpu": "900" } } }),
            FailureClass::Scheduling,
        ),
    ];
    let mut awaited = vec![good];
    for (name, container, _) in &table {
        awaited.push(applied(&connection, &deployment(&shop, name, container.clone())).await);
    }
    let outcome = wait(&connection, &awaited, 180, true).await;
    assert_eq!(outcome.end, WaitEnd::Failed);
    for (key, verdict) in &outcome.verdicts {
        match table.iter().find(|(name, ..)| *name == key.name) {
            Some((_, _, class)) => {
                assert!(matches!(verdict, Verdict::Failed { .. }), "{key}: {verdict:?}");
                assert_eq!(verdict.causes()[0].class, *class, "{key}: {verdict:?}");
            }
            None => assert!(verdict.is_settled(), "{key}: {verdict:?}"),
        }
    }

    // What is left to read of it.
    let pods = connection
        .running(&shop, &Selection::default(), &BTreeSet::from([Kind::new("apps/v1", "ReplicaSet")]))
        .await
        .unwrap();
    let of = |name: &str| pods.iter().find(|pod| pod.owner.as_ref().unwrap().name == name).unwrap();
    assert!(pods.iter().all(|pod| pod.owner.as_ref().unwrap().kind.is("apps", "Deployment")));
    assert!(
        of("good").is_ready
            && of("good").containers[0].digest.as_ref().unwrap().as_str() == digest
            && of("missing").containers[0].digest.is_none()
    );
    let tail = |previous| LogTail { previous, lines: 20, bytes: 4096 };
    let crash = of("crash");
    let logs = connection.logs(&crash.key, "app", tail(true)).await.unwrap();
    // The kubelet keeps only the log of the last container: the present one, where it has ended.
    let logs = match logs {
        Some(logs) => Some(logs),
        None => connection.logs(&crash.key, "app", tail(false)).await.unwrap(),
    };
    assert_eq!(logs.as_deref(), Some("no database\n"));
    assert_eq!(connection.logs(&of("homeless").key, "app", tail(false)).await.unwrap(), None);
    let seen = connection.events(&crash.key, &crash.uid).await.unwrap();
    assert!(seen.iter().any(|event| event.is_warning && event.reason == "BackOff"), "{seen:?}");
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_700_000_000)
}

fn holder(repository: &str, nonce: &str) -> LeaseHolder {
    LeaseHolder {
        repository: repository.to_owned(),
        run: "1".to_owned(),
        attempt: 1,
        nonce: nonce.to_owned(),
        link: None,
    }
}

async fn acquire(
    connection: &Connection,
    place: &LeasePlace,
    holder: &LeaseHolder,
    request: &LeaseRequest,
) -> LeaseAnswer {
    connection.acquire_lease(place, holder, request, &now, &|_| ()).await.unwrap()
}

async fn held(connection: &Connection, place: &LeasePlace, nonce: &str, request: &LeaseRequest) -> HeldLease {
    match acquire(connection, place, &holder("shop", nonce), request).await {
        LeaseAnswer::Held(lease) => *lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_one_run_holds_the_lease_and_each_holder_has_a_larger_number() {
    let Some((cluster, connection)) = connection().await else { return };
    let namespace = cluster.namespace("lease");
    let place = LeasePlace { namespace, environment: "staging".to_owned() };
    let plain = LeaseRequest::default();
    let first = held(&connection, &place, "a", &LeaseRequest { above: 4, ..plain.clone() }).await;
    assert_eq!(first.number(), 5);
    // An answer that was lost: the same process asks again.
    assert_eq!(held(&connection, &place, "a", &plain).await.number(), 5);
    let busy = acquire(&connection, &place, &holder("shop", "b"), &plain).await;
    assert!(matches!(&busy, LeaseAnswer::Busy(holder) if holder.nonce == "a"), "{busy:?}");
    let foreign = acquire(&connection, &place, &holder("other", "c"), &plain).await;
    assert!(matches!(foreign, LeaseAnswer::Foreign(_)), "{foreign:?}");

    // A rollback asks; the holder hears it, also with its next renewal.
    let mut first = first;
    assert!(connection.ask_to_yield(&place, "rollback of run 7").await.unwrap());
    assert_eq!(first.check().await.unwrap(), LeaseCheck::YieldTo("rollback of run 7".to_owned()));
    assert_eq!(first.renew(now()).await.unwrap(), LeaseCheck::YieldTo("rollback of run 7".to_owned()));
    first.clone().release().await.unwrap();
    assert_eq!(connection.lease_holder(&place).await.unwrap(), None);
    assert!(!connection.ask_to_yield(&place, "x").await.unwrap());

    let second = held(&connection, &place, "b", &plain).await;
    assert_eq!(second.number(), 6);
    assert_eq!(second.check().await.unwrap(), LeaseCheck::Ours);
    assert_eq!(first.check().await.unwrap(), LeaseCheck::Lost(LeaseLoss::Taken));
    assert_eq!(first.renew(now()).await.unwrap(), LeaseCheck::Lost(LeaseLoss::Taken));
    first.release().await.unwrap();
    assert_eq!(connection.lease_holder(&place).await.unwrap().unwrap().nonce, "b");

    // A holder that is known to have ended, or that a person breaks, is not waited for; its keeper ends the run.
    let keeper = second.keep(Arc::new(now));
    assert_eq!(keeper.state(), LeaseState::Held);
    let third = held(&connection, &place, "c", &LeaseRequest { ended: Some("b".to_owned()), ..plain }).await;
    assert_eq!(third.number(), 7);
    let lost = tokio::time::timeout(Duration::from_secs(10), keeper.ended()).await.unwrap();
    assert!(matches!(lost, LeaseState::Lost(_)), "{lost:?}");
    keeper.release().await.unwrap();
    assert_eq!(third.check().await.unwrap(), LeaseCheck::Ours);
}

/// An earlier version recorded what was written by hand: the API server has no room for a number above it.
#[tokio::test(flavor = "multi_thread")]
async fn f6_an_environment_goes_on_above_the_largest_number_that_the_api_server_counts() {
    let Some((cluster, connection)) = connection().await else { return };
    let place = LeasePlace { namespace: cluster.namespace("room"), environment: "staging".to_owned() };
    let plain = LeaseRequest::default();
    let largest = u64::from(i32::MAX.cast_unsigned());
    let by_hand = |mut live: Value, number: u64| {
        live["spec"]["leaseTransitions"] = json!(number);
        cluster::Object::new(live).unwrap()
    };
    let read = async || connection.get(&place.key()).await.unwrap().into_value();

    // What is written by hand is neither taken nor kept by the run that has the Lease.
    assert_eq!(held(&connection, &place, "a", &plain).await.number(), 1);
    connection.replace(&by_hand(read().await, largest - 1)).await.unwrap();
    assert_eq!(held(&connection, &place, "a", &LeaseRequest { above: 1, ..plain.clone() }).await.number(), 2);

    // Recorded all the same, it is no end.
    let mut used = largest - 1;
    for nonce in ["b", "c", "d"] {
        let ended = connection.lease_holder(&place).await.unwrap().map(|holder| holder.nonce);
        let mut lease = held(&connection, &place, nonce, &LeaseRequest { above: used, ended, ..plain.clone() }).await;
        assert_eq!(lease.number(), used + 1);
        assert_eq!(lease.check().await.unwrap(), LeaseCheck::Ours);
        assert_eq!(lease.renew(now()).await.unwrap(), LeaseCheck::Ours);
        used = lease.number();
        assert_eq!(read().await["spec"]["leaseTransitions"], json!(largest));
        lease.release().await.unwrap();
    }
    // The Lease counts on by itself, also where nothing was recorded of the last holder.
    assert_eq!(held(&connection, &place, "e", &LeaseRequest { above: used - 1, ..plain }).await.number(), used + 1);
}

/// A proof serves for a while; then the live Lease is asked, whether or not the keeper has looked since.
#[tokio::test(flavor = "multi_thread")]
async fn f6_what_is_written_rests_on_a_young_answer() {
    let Some((cluster, connection)) = connection().await else { return };
    let place = LeasePlace { namespace: cluster.namespace("proof"), environment: "staging".to_owned() };
    let plain = LeaseRequest::default();
    let keeper = held(&connection, &place, "a", &plain).await.keep(Arc::new(now));
    assert_eq!(keeper.prove().await.unwrap(), LeaseState::Held);
    let taken = held(&connection, &place, "b", &LeaseRequest { ended: Some("a".to_owned()), ..plain.clone() }).await;
    tokio::time::sleep(LEASE_PROOF).await;
    let lost = LeaseState::Lost(LeaseLoss::Taken);
    assert_eq!(keeper.prove().await.unwrap(), lost);
    assert_eq!(keeper.ended().await, lost);

    // Written by hand, and deleted, it is lost as well, also where the next one has it again; the number goes on above the
    // recorded ones.
    let live = connection.get(&place.key()).await.unwrap();
    let mut edited = live.value().clone();
    edited["spec"]["holderIdentity"] = json!("by hand");
    connection.replace(&Object::new(edited).unwrap()).await.unwrap();
    assert_eq!(taken.check().await.unwrap(), LeaseCheck::Lost(LeaseLoss::Edited));
    connection.delete(&place.key(), live.uid().unwrap(), Propagation::Background).await.unwrap();
    assert_eq!(taken.check().await.unwrap(), LeaseCheck::Lost(LeaseLoss::Deleted));
    let keeper = taken.keep(Arc::new(now));
    let next = held(&connection, &place, "c", &LeaseRequest { above: keeper.number(), ..plain }).await;
    assert_eq!((keeper.number(), next.number()), (2, 3));
    tokio::time::sleep(LEASE_PROOF).await;
    assert_eq!(keeper.prove().await.unwrap(), lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn f7_a_dead_holder_is_replaced_after_one_duration_that_the_waiter_saw() {
    let Some((cluster, connection)) = connection().await else { return };
    let namespace = cluster.namespace("expiry");
    let place = LeasePlace { namespace, environment: "staging".to_owned() };
    held(&connection, &place, "dead", &LeaseRequest::default()).await;
    // Another duration than ours, as another version would write it: the waiter believes the Lease.
    let mut live = connection.get(&place.key()).await.unwrap().into_value();
    live["spec"]["leaseDurationSeconds"] = json!(6);
    live["metadata"].as_object_mut().unwrap().remove("managedFields");
    connection.replace(&Object::new(live).unwrap()).await.unwrap();
    let start = Instant::now();
    let request = LeaseRequest { wait: Duration::from_secs(30), ..LeaseRequest::default() };
    let next = held(&connection, &place, "next", &request).await;
    assert!((6..16).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(next.number(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_claimed_once() {
    let Some((cluster, connection)) = connection().await else { return };
    let namespace = cluster.namespace("state");
    assert!(connection.namespace_state(&namespace).await.unwrap().is_none());
    let owner = |repository: &str, environment: &str| NamespaceOwner {
        repository: repository.to_owned(),
        environment: environment.to_owned(),
    };
    let (shop, other) = (owner("shop", "staging"), owner("other", "production"));
    let first = connection.claim_namespace(&namespace, &shop, &StateKey::new([1; 32])).await.unwrap();
    let second = connection.claim_namespace(&namespace, &other, &StateKey::new([2; 32])).await.unwrap();
    for state in [&first, &second] {
        assert_eq!((&state.owner, &state.deployed), (&shop, &None));
        assert_eq!(state.key.expose(), &[1; 32]);
        let shown = format!("{state:?}");
        assert!(!shown.contains("1, 1") && !shown.contains("AQEB"), "{shown}");
    }

    // What was deployed, and to whom the namespace is given; what was read before is no ground to write any more.
    let text = str::to_owned;
    let of = |release: &str, config: &str| DeployedRelease {
        release: text(release),
        lock: text("l"),
        commit: text("c"),
        inputs: format!("digest of {config}"),
        secrets: BTreeMap::new(),
        configurations: BTreeMap::from([(text("cart"), text(config))]),
        revisions: BTreeMap::from([(text("cart"), 7)]),
    };
    let deployed = of("r", "cart-config-2");
    let before = connection.record_deployed(&first, &of("r", "cart-config-1")).await.unwrap();
    let done = connection.record_deployed(&before, &deployed).await.unwrap();
    // What it was given before is remembered; the same again is no other deployment.
    assert_eq!(done.history, [deployed.clone(), of("r", "cart-config-1")]);
    assert_eq!(connection.record_deployed(&done, &deployed).await.unwrap().history.len(), 2);
    let given = connection.give_namespace(&done, &other).await.unwrap();
    assert_eq!((&given.owner, &given.deployed, given.key.expose()), (&other, &Some(deployed), &[1; 32]));
    let stale = connection.give_namespace(&first, &other).await.unwrap_err();
    assert!(matches!(stale.kind(), ClusterErrorKind::Conflict { .. }), "{stale}");
    let access = |verb: &str, name: Option<&str>| Access {
        verb: verb.to_owned(),
        group: "apps".to_owned(),
        resource: "deployments".to_owned(),
        namespace: Some(namespace.clone()),
        name: name.map(str::to_owned),
    };
    assert!(connection.may(&access("create", None)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_an_api_server_that_restarts_changes_no_verdict() {
    let Some(cluster) = Cluster::start_or_skip() else { return };
    if cluster.fake_nodes_or_skip(2).is_none() {
        return;
    }
    let connection = connect(cluster.kubeconfig()).await;
    let shop = cluster.fake_namespace("shop");
    let mut awaited = Vec::new();
    for number in 0..20 {
        awaited.push(applied(&connection, &fake(&shop, &format!("s{number}"))).await);
    }
    // One more, which appears only after the restart: it is not the old list that is believed.
    let late = fake(&shop, "late");
    awaited.push(Awaited::named(late.key().clone()));
    let disturbed = AtomicBool::new(false);
    let options = WaitOptions { time_limit: Duration::from_secs(90), ..WaitOptions::default() };
    let events = |event: WaitEvent<'_>| {
        if matches!(event, WaitEvent::Disturbed { .. }) {
            disturbed.store(true, Ordering::Relaxed);
        }
    };
    let waiting = connection.wait(&awaited, &options, pending(), &events);
    let restarting = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::task::block_in_place(|| cluster.stop_api_server());
        tokio::time::sleep(Duration::from_secs(2)).await;
        tokio::task::block_in_place(|| cluster.start_api_server());
        applied(&connection, &late).await;
        Instant::now()
    };
    let (outcome, applied_at) = tokio::join!(waiting, restarting);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.end, WaitEnd::Ready, "{:?}", outcome.verdicts);
    assert!(disturbed.load(Ordering::Relaxed));
    assert!(applied_at.elapsed() < Duration::from_secs(25), "{:?}", applied_at.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_rights_is_told_so_and_unknown_is_not_missing() {
    let Some((cluster, admin)) = connection().await else { return };
    let shop = cluster.namespace("rights");
    cluster.kubectl(&[
        "create",
        "role",
        "deployer",
        "--namespace",
        &shop,
        "--verb=get,list,watch,create,patch",
        "--resource=deployments.apps",
    ]);
    cluster.kubectl(&["create", "rolebinding", "deployer", "--namespace", &shop, "--role=deployer", "--user=bot"]);
    let bot = connect(&cluster.kubeconfig_as("bot", &[])).await;
    let object =
        deployment(&shop, "cart", json!({ "image": "r.io/a:1", "envFrom": [{ "secretRef": { "name": "gone" } }] }));
    let access = |verb: &str, resource: &str| Access {
        verb: verb.to_owned(),
        group: if resource == "secrets" { String::new() } else { "apps".to_owned() },
        resource: resource.to_owned(),
        namespace: Some(shop.clone()),
        name: None,
    };
    assert!(bot.may(&access("patch", "deployments")).await.unwrap());
    assert!(!bot.may(&access("delete", "deployments")).await.unwrap());
    assert!(!bot.may(&access("get", "secrets")).await.unwrap());
    let report = bot.missing_references(std::slice::from_ref(&object)).await.unwrap();
    assert!(report.missing.is_empty() && report.unknown.len() == 1, "{report:?}");
    let report = admin.missing_references(std::slice::from_ref(&object)).await.unwrap();
    assert_eq!(report.missing.len(), 1, "{report:?}");
    // Kinds that may not be watched are named; the object itself is still waited for.
    let awaited = applied(&bot, &object).await;
    let outcome = wait(&bot, &[awaited], 13, false).await;
    assert_eq!(outcome.end, WaitEnd::Deadline);
    assert_eq!(outcome.unseen.len(), 3, "{:?}", outcome.unseen);
    let nothing = wait(&bot, &[], 30, false).await;
    assert_eq!(nothing.end, WaitEnd::Nothing);
    let foreign = Awaited::named(ObjectKey::namespaced(Kind::new("v1", "ConfigMap"), &shop, "a"));
    let options = WaitOptions { time_limit: Duration::from_secs(40), ..WaitOptions::default() };
    let error = bot.wait(&[foreign], &options, pending(), &|_| ()).await.unwrap_err();
    assert!(matches!(error.kind(), ClusterErrorKind::Forbidden { .. }), "{error}");
}
