//! Three other clients of the same real registry: what a lock names is what they name.

use lock_model::{Digest, Platform};
use registry::layout::{IndexContent, LayoutWriter};
use registry::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use registry::{Mirror, Registry};
use serde_json::Value;
use test_support::{DockerRegistry, Peer, Skopeo};

use crate::support::{HOST, image, options, platform, repository, request, resolve, tag};

/// As the index names them; a lock leaves out the variant that every `arm64` has.
const ALL: [&str; 4] = ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8"];
const LOCKED: [&str; 4] = ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64"];

/// A real registry, and three clients for it.
struct Ground {
    server: DockerRegistry,
    skopeo: Skopeo,
    crane: Peer,
    regctl: Peer,
}

impl Ground {
    /// With an image and an index in both families of media types: ours, and what `skopeo` makes of them.
    fn filled() -> Option<Self> {
        let ground = Self {
            server: DockerRegistry::start_or_skip()?,
            skopeo: Skopeo::find_or_skip()?,
            crane: Peer::find_or_skip("crane")?,
            regctl: Peer::find_or_skip("regctl")?,
        };
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LayoutWriter::create(folder.path()).unwrap();
        let images = || ALL.map(|name| image(name).file("platform", name));
        writer.add_image(&repository(), &tag("image"), &image("linux/amd64")).unwrap();
        writer.add_index(&repository(), &tag("index"), &IndexContent::new(images()).attestations()).unwrap();
        writer.add_index(&repository(), &tag("plain"), &IndexContent::new(images())).unwrap();
        for name in ["image", "index"] {
            let reference = format!("{}:{name}", repository());
            ground.skopeo.push_layout(folder.path(), &reference, &ground.server, &format!("shop/cart:{name}"));
        }
        for name in ["image", "plain"] {
            let from = format!("oci:{}:{}:{name}", folder.path().display(), repository());
            let to = format!("docker://{}", ground.name(&format!("docker-{name}")));
            ground.skopeo.run(&["copy", "--all", "--format", "v2s2", "--dest-tls-verify=false", &from, &to]);
        }
        Some(ground)
    }

    fn name(&self, tag: &str) -> String {
        format!("{}/shop/cart:{tag}", self.server.address())
    }

    fn registry(&self) -> Registry {
        Registry::new(options().mirror(HOST, Mirror::Http(self.server.url().parse().unwrap()))).unwrap()
    }

    fn regctl(&self, args: &[&str]) -> String {
        let host = format!("reg={},tls=disabled", self.server.address());
        self.regctl.run(&[args, &["--host", &host]].concat())
    }

    fn assert_all_say(&self, tag: &str, digest: &Digest) {
        let (name, short) = (self.name(tag), format!("shop/cart:{tag}"));
        assert_eq!(self.skopeo.digest(&self.server, &short), digest.as_str(), "{tag}: the hash of what skopeo gets");
        let inspected = self.skopeo.run(&["inspect", "--no-tags", "--tls-verify=false", &format!("docker://{name}")]);
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        assert_eq!(inspected["Digest"], digest.as_str(), "{tag}: skopeo inspect");
        assert_eq!(self.crane.run(&["digest", &name]), digest.as_str(), "{tag}: crane");
        assert_eq!(self.regctl(&["image", "digest", &name]), digest.as_str(), "{tag}: regctl");
    }

    fn assert_all_say_for(&self, tag: &str, platform: &Platform, digest: &Digest) {
        let (name, platform) = (self.name(tag), platform.as_str());
        assert_eq!(
            self.crane.run(&["digest", "--platform", platform, &name]),
            digest.as_str(),
            "{tag} {platform}: crane"
        );
        let regctl = self.regctl(&["image", "digest", "--platform", platform, &name]);
        assert_eq!(regctl, digest.as_str(), "{tag} {platform}: regctl");
    }
}

#[tokio::test]
async fn b1_b46_skopeo_crane_and_regctl_name_the_digests_that_a_lock_names() {
    let Some(ground) = Ground::filled() else { return };
    let registry = ground.registry();
    for (name, media_type, platforms) in [
        ("image", OCI_MANIFEST, &LOCKED[..1]),
        ("docker-image", DOCKER_MANIFEST, &LOCKED[..1]),
        ("index", OCI_INDEX, &LOCKED[..]),
        ("docker-plain", DOCKER_LIST, &LOCKED[..]),
    ] {
        let raw = ground.skopeo.manifest(&ground.server, &format!("shop/cart:{name}"));
        let raw: Value = serde_json::from_slice(&raw).unwrap();
        assert_eq!(raw["mediaType"], media_type, "{name}: what the test is about");

        let mut wanted = request(&[name]);
        wanted.platforms.clear();
        let found = resolve(&registry, &wanted).await.unwrap().image;
        ground.assert_all_say(name, &found.digest);
        let seen: Vec<&str> = found.platforms.keys().map(Platform::as_str).collect();
        assert_eq!(seen, platforms, "{name}");
        for (platform, digest) in &found.platforms {
            ground.assert_all_say_for(name, platform, digest);
        }
    }
}

#[tokio::test]
async fn t34_crane_and_regctl_choose_the_same_variant() {
    let Some(ground) = Ground::filled() else { return };
    let mut wanted = request(&["index"]);
    wanted.platforms = vec![platform("linux/arm64"), platform("linux/arm/v6")];
    let found = resolve(&ground.registry(), &wanted).await.unwrap().image;
    assert_eq!(found.platforms.len(), 2);
    for (platform, digest) in &found.platforms {
        ground.assert_all_say_for("index", platform, digest);
    }
}

#[tokio::test]
async fn p2_what_we_do_not_find_nobody_finds() {
    let Some(ground) = Ground::filled() else { return };
    let mut wanted = request(&["index"]);
    wanted.platforms = vec![platform("linux/s390x")];
    resolve(&ground.registry(), &wanted).await.unwrap_err();
    let name = ground.name("index");
    ground.crane.try_run(&["digest", "--platform", "linux/s390x", &name]).unwrap_err();

    resolve(&ground.registry(), &request(&["missing"])).await.unwrap_err();
    let missing = ground.name("missing");
    ground.crane.try_run(&["digest", &missing]).unwrap_err();
    let host = format!("reg={},tls=disabled", ground.server.address());
    ground.regctl.try_run(&["image", "digest", &missing, "--host", &host]).unwrap_err();
}
