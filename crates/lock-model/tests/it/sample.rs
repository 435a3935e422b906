use lock_model::{
    ApiFile, Content, CreatedFrom, GitSource, Lock, LockParts, LockedChart, LockedImage, LockedMetadata, Revision,
    Service, Source, ThirdParty, ThirdPartySource,
};

/// The lock of the golden file, `fixtures/valid/golden.yaml`.
pub(crate) fn golden() -> Lock {
    Lock::new(golden_parts()).unwrap()
}

pub(crate) fn golden_parts() -> LockParts {
    let source = Source::new(
        "https://github.com/shop/shop".parse().unwrap(),
        "a".repeat(40).parse().unwrap(),
        "b".repeat(40).parse().unwrap(),
        "c".repeat(40).parse().unwrap(),
    );
    let git = |url: &str, digit: &str| GitSource::new(url.parse().unwrap(), digit.repeat(40).parse().unwrap());
    let image = LockedImage::new(
        "ghcr.io/shop/cart".parse().unwrap(),
        "main-1111111".parse().unwrap(),
        digest('2'),
        "2025-11-20T21:14:07Z".parse().unwrap(),
        CreatedFrom::Config,
    )
    .with_platforms([("linux/amd64".parse().unwrap(), digest('6')), ("linux/arm64".parse().unwrap(), digest('7'))])
    .with_revision(Revision::SelfAsserted);
    let mut metadata = LockedMetadata::new("1.4.0".parse().unwrap());
    metadata.api.push(ApiFile::new("openapi".parse().unwrap(), "openapi.yaml".parse().unwrap(), digest('8')));
    let mut cart = Service::new(
        "services/cart".parse().unwrap(),
        git("https://github.com/shop/cart.git", "1"),
        Content::Image(image),
    );
    cart.metadata = Some(metadata);
    let grafana = Service::new(
        "infra/grafana".parse().unwrap(),
        git("https://github.com/shop/grafana.git", "3"),
        Content::Configuration,
    );
    let chart =
        LockedChart::new("oci://ghcr.io/shop/charts/redis".parse().unwrap(), "24.0.0".parse().unwrap(), digest('4'));
    let mut redis = ThirdParty::new(ThirdPartySource::Chart(chart));
    redis.images.insert("docker.io/bitnami/redis".parse().unwrap(), digest('5'));
    let mut parts = LockParts::new(source.with_pull_request(7))
        .with_services([("cart".parse().unwrap(), cart), ("grafana".parse().unwrap(), grafana)]);
    parts.third_party.insert("redis".parse().unwrap(), redis);
    parts
}

pub(crate) fn digest(digit: char) -> lock_model::Digest {
    format!("sha256:{}", String::from(digit).repeat(64)).parse().unwrap()
}
