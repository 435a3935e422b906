//! A real registry that keeps a list of referrers, and another client's view of it.

use lock_model::Digest;
use registry::artifact::{Artifact, ReferrersBy};
use registry::layout::{Blob, LayoutWriter};
use registry::{Mirror, Registry};
use serde_json::Value;
use test_support::{Peer, ReferrersRegistry};

use crate::support::{HOST, image, options, repository, soon, tag};

const PROOF: &str = "application/vnd.shop.proof.v1+json";
const BILL: &str = "application/vnd.shop.bill.v1+json";

fn registry(server: &ReferrersRegistry) -> Registry {
    Registry::new(options().mirror(HOST, Mirror::Http(server.url().parse().unwrap()))).unwrap()
}

async fn push_image(registry: &Registry) -> Digest {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    writer.add_image(&repository(), &tag("a"), &image("linux/amd64")).unwrap();
    registry.push_layout(writer.reader(), &repository(), &tag("a"), soon()).await.unwrap().digest
}

async fn push(registry: &Registry, subject: &Digest, artifact_type: &str) -> Digest {
    let blob = Blob::new("application/json", br#"{"proof":1}"#.to_vec());
    // NOTE: this registry lists an artefact by the type of its configuration, and not by its own where it has one.
    let config = Blob::new(artifact_type, b"{}".to_vec());
    let mut artifact = Artifact::new(artifact_type).blob(blob).subject(subject.clone());
    artifact.config = Some(config);
    let pushed = registry.push_artifact(&repository(), None, &artifact, soon()).await.unwrap();
    assert_eq!(pushed.listed_by, Some(ReferrersBy::Registry), "the registry keeps the list, no tag is written");
    pushed.digest
}

#[tokio::test]
async fn a_registry_that_keeps_the_list_needs_no_tag_for_it() {
    let Some(server) = ReferrersRegistry::start_or_skip() else { return };
    let Some(crane) = Peer::find_or_skip("crane") else { return };
    let registry = registry(&server);
    let subject = push_image(&registry).await;
    assert!(registry.referrers(&repository(), &subject, None, soon()).await.unwrap().is_empty());
    let [proof, bill] = [push(&registry, &subject, PROOF).await, push(&registry, &subject, BILL).await];

    let listed = registry.referrers(&repository(), &subject, None, soon()).await.unwrap();
    assert_eq!(listed.iter().map(|referrer| &referrer.digest).collect::<Vec<_>>(), [&bill, &proof], "sorted by type");
    let proofs = registry.referrers(&repository(), &subject, Some(PROOF), soon()).await.unwrap();
    assert_eq!(proofs.iter().map(|referrer| &referrer.digest).collect::<Vec<_>>(), [&proof]);
    assert_eq!(proofs[0].artifact_type.as_deref(), Some(PROOF));
    let pulled = registry.pull_artifact(&repository(), &proof, soon()).await.unwrap();
    assert_eq!(pulled.subject.as_ref(), Some(&subject));

    let tags = crane.run(&["ls", &format!("{}/shop/cart", server.address())]);
    assert_eq!(tags, "a");
}

#[tokio::test]
async fn regctl_lists_our_referrers_and_we_list_those_of_regctl() {
    let Some(server) = ReferrersRegistry::start_or_skip() else { return };
    let Some(regctl) = Peer::find_or_skip("regctl") else { return };
    let host = format!("reg={},tls=disabled", server.address());
    let regctl = |args: &[&str]| regctl.run(&[args, &["--host", &host]].concat());
    let registry = registry(&server);
    let subject = push_image(&registry).await;
    let ours = push(&registry, &subject, PROOF).await;
    let name = format!("{}/shop/cart@{subject}", server.address());
    regctl(&["artifact", "put", "--artifact-type", BILL, "--subject", &name]);

    let theirs: Value = serde_json::from_str(&regctl(&["artifact", "list", "--format", "{{json .}}", &name])).unwrap();
    let mut theirs: Vec<(String, String)> = theirs["descriptors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["digest"].as_str().unwrap().to_owned(), entry["artifactType"].as_str().unwrap().to_owned()))
        .collect();
    theirs.sort();
    let listed = registry.referrers(&repository(), &subject, None, soon()).await.unwrap();
    let mut listed: Vec<(String, String)> = listed
        .into_iter()
        .map(|referrer| (referrer.digest.as_str().to_owned(), referrer.artifact_type.unwrap()))
        .collect();
    listed.sort();
    assert_eq!(listed, theirs);
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().any(|(digest, kind)| digest == ours.as_str() && kind == PROOF));
}
