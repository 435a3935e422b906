//! The same content in a real registry: the fake must not be the only one that agrees with us.

use lock_model::{Digest, ErrorClass, ImageReference, ImageRepository};
use registry::layout::{ImageContent, IndexContent, LayoutWriter};
use registry::{DigestRequest, Mirror, Registry};
use test_support::{DockerRegistry, DoorSettings, RegistryRelease, Skopeo, bench};

use crate::support::{
    HOST, THEIRS, commit, image, on_layout, options, platform, repository, request, resolve, soon, tag,
};

const TAGS: [&str; 3] = ["single", "index", "theirs"];

/// A layout folder with an image of each kind, and its copy in a registry, made by `skopeo`.
struct Copied {
    folder: tempfile::TempDir,
    server: DockerRegistry,
    skopeo: Skopeo,
}

impl Copied {
    fn make() -> Option<Self> {
        Self::make_in(RegistryRelease::V2)
    }

    fn make_in(release: RegistryRelease) -> Option<Self> {
        let server = bench::or_skip(DockerRegistry::start_release(release, &DoorSettings::default()))?;
        let skopeo = Skopeo::find_or_skip()?;
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LayoutWriter::create(folder.path()).unwrap();
        let index = IndexContent::new([image("linux/amd64").file("a", "a\n"), image("linux/arm64/v8")]).attestations();
        let theirs = ImageContent::new(platform("linux/amd64")).revision(&commit(THEIRS));
        writer.add_image(&repository(), &tag("single"), &image("linux/amd64")).unwrap();
        writer.add_index(&repository(), &tag("index"), &index).unwrap();
        writer.add_image(&repository(), &tag("theirs"), &theirs).unwrap();
        for name in TAGS {
            let reference = format!("{}:{name}", repository());
            skopeo.push_layout(folder.path(), &reference, &server, &format!("shop/cart:{name}"));
        }
        Some(Self { folder, server, skopeo })
    }

    fn mirrored(&self) -> Registry {
        Registry::new(options().mirror(HOST, Mirror::Http(self.server.url().parse().unwrap()))).unwrap()
    }
}

#[tokio::test]
async fn b1_a_real_registry_and_a_folder_give_the_same_lock_entry_as_skopeo_sees() {
    for release in [RegistryRelease::V2, RegistryRelease::V3] {
        let Some(copied) = Copied::make_in(release) else { return };
        same_entries(&copied).await;
    }
}

async fn same_entries(copied: &Copied) {
    let (wire, layout) = (copied.mirrored(), on_layout(copied.folder.path()));
    let mut wanted = request(&["missing", "index"]);
    wanted.platforms.push(platform("linux/arm64"));
    for wanted in [request(&["single"]), request(&["missing", "single"]), request(&["theirs", "index"]), wanted] {
        let one = resolve(&wire, &wanted).await.unwrap();
        let other = resolve(&layout, &wanted).await.unwrap();
        assert_eq!(one.image, other.image);
        assert_eq!(one.tried, other.tried);
        assert_eq!(one.warnings, other.warnings);
        let name = format!("shop/cart:{}", one.image.tag.unwrap());
        assert_eq!(one.image.digest.as_str(), copied.skopeo.digest(&copied.server, &name));
        for digest in one.image.platforms.values() {
            let name = format!("shop/cart@{digest}");
            assert_eq!(digest.as_str(), copied.skopeo.digest(&copied.server, &name));
        }
    }
    for (wanted, class) in [(request(&["missing"]), ErrorClass::NotFound), (request(&["theirs"]), ErrorClass::Invalid)]
    {
        let one = resolve(&wire, &wanted).await.unwrap_err();
        let other = resolve(&layout, &wanted).await.unwrap_err();
        assert_eq!(one.reason.to_string(), other.reason.to_string());
        assert_eq!([one.class(), other.class()], [class; 2]);
    }
}

#[tokio::test]
async fn b1_a_real_registry_is_a_mirror_below_a_path() {
    let Some(copied) = Copied::make() else { return };
    let reference = format!("{}:single", repository());
    let below = "hub-proxy/of-us/shop/cart:single";
    copied.skopeo.push_layout(copied.folder.path(), &reference, &copied.server, below);
    let mirror: url::Url = format!("{}/hub-proxy/of-us", copied.server.url()).parse().unwrap();
    let registry = Registry::new(options().mirror(HOST, Mirror::Http(mirror))).unwrap();
    let one = resolve(&registry, &request(&["single"])).await.unwrap();
    let other = resolve(&copied.mirrored(), &request(&["single"])).await.unwrap();
    assert_eq!(one.image, other.image, "the names in the lock are the real ones");
    let answer = registry.check_digests(&[DigestRequest::from(&one.image)], soon(), &|_| ()).await.remove(0);
    assert!(answer.unwrap().is_complete());
    let missing = resolve(&registry, &request(&["index"])).await.unwrap_err();
    assert_eq!(missing.class(), ErrorClass::NotFound, "only what is below the path is there: {missing}");
}

#[tokio::test]
async fn b1_a_registry_on_this_machine_needs_no_mirror() {
    let Some(copied) = Copied::make() else { return };
    let mut wanted = request(&[]);
    let repository = ImageRepository::try_from(format!("{}/shop/cart", copied.server.address())).unwrap();
    wanted.candidates = vec![ImageReference::new(repository.clone()).with_tag(tag("single"))];
    let found = resolve(&Registry::new(options()).unwrap(), &wanted).await.unwrap();
    assert_eq!(found.image.repository, repository);
}

#[tokio::test]
async fn b45_a_real_registry_that_lost_a_platform_is_found_out() {
    let Some(copied) = Copied::make() else { return };
    let mut wanted = request(&["index"]);
    wanted.platforms.push(platform("linux/arm64"));
    let registry = copied.mirrored();
    let image = resolve(&registry, &wanted).await.unwrap().image;
    let questions = [DigestRequest::from(&image)];
    let whole = registry.check_digests(&questions, soon(), &|_| ()).await.remove(0);
    assert!(whole.unwrap().is_complete());

    let arm64 = platform("linux/arm64");
    let lost: &Digest = &image.platforms[&arm64];
    let revisions =
        copied.server.storage().join("docker/registry/v2/repositories/shop/cart/_manifests/revisions/sha256");
    std::fs::remove_dir_all(revisions.join(lost.hex())).unwrap();
    let answer = registry.check_digests(&questions, soon(), &|_| ()).await.remove(0);
    assert_eq!(answer.unwrap().missing, [(Some(arm64), lost.clone())]);
    let unresolved = resolve(&registry, &wanted).await.unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::NotFound);
    assert!(unresolved.reason.to_string().contains("its manifest for `linux/arm64`"), "{}", unresolved.reason);
}
