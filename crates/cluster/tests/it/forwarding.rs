//! Connections to the pods of a Service, through a real API server and a real kubelet.

use std::time::Duration;

use cluster::{ClusterErrorKind, Connection, ServiceEndpoint};
use serde_json::json;
use test_support::{Cluster, Image};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::live::{connect, connection, deployment};

async fn endpoints(connection: &Connection, namespace: &str) -> Vec<ServiceEndpoint> {
    let end = Instant::now() + Duration::from_secs(90);
    loop {
        let found = connection.service_endpoints(namespace, "web", 80).await.unwrap();
        if !found.is_empty() || Instant::now() > end {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn service(cluster: &Cluster, namespace: &str) {
    cluster.apply(&format!(
        "{{ apiVersion: v1, kind: Service, metadata: {{ name: web, namespace: {namespace} }}, spec: {{ selector: {{ app: web }}, \
         ports: [{{ name: http, port: 80, targetPort: 8080 }}, {{ name: none, port: 81, targetPort: 9999 }}] }} }}"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_a_service_leads_to_a_pod() {
    let Some((cluster, connection)) = connection().await else { return };
    let Some(node) = cluster.node_or_skip() else { return };
    let shop = cluster.namespace("forward");
    service(cluster, &shop);
    assert_eq!(connection.service_endpoints(&shop, "web", 80).await.unwrap(), [], "nothing runs yet");
    let no_port = connection.service_endpoints(&shop, "web", 82).await.unwrap_err();
    assert!(no_port.to_string().contains("it has no port 82"), "{no_port}");
    let none = connection.service_endpoints(&shop, "gone", 80).await.unwrap_err();
    assert!(matches!(none.kind(), ClusterErrorKind::NotFound), "{none}");

    let busybox = Image { repository: "shop/web", tag: "1", command: &["httpd", "-f", "-p", "8080"], labels: &[] };
    let digest = node.push(&busybox);
    let image = format!("{}/shop/web:1@{digest}", node.registry());
    let web = deployment(
        &shop,
        "web",
        json!({ "image": image, "readinessProbe": { "tcpSocket": { "port": 8080 }, "periodSeconds": 1 } }),
    );
    connection.apply(&web, cluster::ApplyMode::default()).await.unwrap();
    let found = endpoints(&connection, &shop).await;
    let [endpoint] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((endpoint.port, endpoint.pod.containers[0].digest.as_ref().unwrap().as_str()), (8080, digest.as_str()));

    let mut stream = connection.forward(&endpoint.pod.key, endpoint.port).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1."), "{answer}");

    // The API server takes the connection all the same: what is wrong is said where it is read.
    let mut stream = connection.forward(&endpoint.pod.key, 9999).await.unwrap();
    let refused = stream.read(&mut [0; 16]).await;
    assert!(refused.as_ref().is_err_and(|error| error.to_string().contains("refused")), "{refused:?}");

    let stranger = connect(&cluster.kubeconfig_as(&format!("stranger-of-{shop}"), &[])).await;
    let denied = stranger.forward(&endpoint.pod.key, 8080).await.unwrap_err();
    assert!(matches!(denied.kind(), ClusterErrorKind::Forbidden { .. }), "{denied}");
}
