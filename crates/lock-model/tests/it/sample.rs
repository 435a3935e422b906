use std::collections::BTreeMap;

use lock_model::{
    ApiFile, Content, CreatedFrom, GitSource, Lock, LockParts, LockedImage, LockedMetadata, Origin, Revision, Service,
    Source, ThirdParty, ThirdPartySource,
};

/// The lock of the golden file, `fixtures/valid/golden.yaml`.
pub(crate) fn golden() -> Lock {
    Lock::new(golden_parts()).unwrap()
}

pub(crate) fn golden_parts() -> LockParts {
    let cart = Service {
        path: "services/cart".parse().unwrap(),
        git: GitSource {
            url: "https://github.com/shop/cart.git".parse().unwrap(),
            sha: "1".repeat(40).parse().unwrap(),
        },
        content: Content::Image(LockedImage {
            repository: "ghcr.io/shop/cart".parse().unwrap(),
            tag: "main-1111111".parse().unwrap(),
            digest: digest('2'),
            platforms: BTreeMap::from([
                ("linux/amd64".parse().unwrap(), digest('6')),
                ("linux/arm64".parse().unwrap(), digest('7')),
            ]),
            created: "2025-11-20T21:14:07Z".parse().unwrap(),
            created_from: CreatedFrom::Config,
            revision: Revision::SelfAsserted,
        }),
        metadata: Some(LockedMetadata {
            version: "1.4.0".parse().unwrap(),
            api: vec![ApiFile {
                kind: "openapi".parse().unwrap(),
                path: "openapi.yaml".parse().unwrap(),
                digest: digest('8'),
            }],
        }),
        origin: Origin::Resolved,
    };
    let grafana = Service {
        path: "infra/grafana".parse().unwrap(),
        git: GitSource {
            url: "https://github.com/shop/grafana.git".parse().unwrap(),
            sha: "3".repeat(40).parse().unwrap(),
        },
        content: Content::Configuration,
        metadata: None,
        origin: Origin::Resolved,
    };
    let redis = ThirdParty {
        source: ThirdPartySource::Chart {
            reference: "oci://ghcr.io/shop/charts/redis".parse().unwrap(),
            version: "24.0.0".parse().unwrap(),
            digest: digest('4'),
        },
        images: BTreeMap::from([("docker.io/bitnami/redis".parse().unwrap(), digest('5'))]),
    };
    LockParts {
        source: Source {
            repository: "https://github.com/shop/shop".parse().unwrap(),
            pull_request: Some(7),
            head: "a".repeat(40).parse().unwrap(),
            base: "b".repeat(40).parse().unwrap(),
            tree: "c".repeat(40).parse().unwrap(),
        },
        services: BTreeMap::from([("cart".parse().unwrap(), cart), ("grafana".parse().unwrap(), grafana)]),
        third_party: BTreeMap::from([("redis".parse().unwrap(), redis)]),
        exceptions: Vec::new(),
    }
}

pub(crate) fn digest(digit: char) -> lock_model::Digest {
    format!("sha256:{}", String::from(digit).repeat(64)).parse().unwrap()
}
