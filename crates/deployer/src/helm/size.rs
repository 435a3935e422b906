//! How large a release is where helm stores it: all of it in one Secret, for which the API server has a limit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use super::stored::pack_once;
use crate::problem::escaped;

/// Bytes that a Secret can hold.
const SECRET_LIMIT: usize = 1024 * 1024;
/// helm packs with another program: what it stores is a little larger or smaller than what is measured here.
const LIMIT: usize = SECRET_LIMIT + SECRET_LIMIT / 50;
/// How many files are named.
const NAMED: usize = 3;

/// Whether all files of a chart together may be too large for what helm stores: only then it is measured.
pub(super) fn may_be_too_large(files: &[(String, Vec<u8>)]) -> bool {
    files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > SECRET_LIMIT / 2
}

/// Why helm could not store a release, where it would be too large: `printed` is the release as helm prints it, with the files of
/// its chart that helm does not ignore.
pub(super) fn too_large(printed: &[u8], release: &Map<String, Value>) -> Option<String> {
    // What is packed is no larger, and what is written of it has a third more.
    if printed.len() / 3 * 4 <= LIMIT {
        return None;
    }
    let size = pack_once(release).len();
    (size > LIMIT).then(|| {
        let files = largest(release).into_iter().map(|(name, size)| format!("`{}` ({size} bytes)", escaped(&name)));
        format!(
            "helm would store its release in one Secret, as about {size} bytes, and a Secret holds {SECRET_LIMIT}; the largest \
             files of its chart: {}",
            files.collect::<Vec<_>>().join(", ")
        )
    })
}

/// The largest files of a chart, the largest first.
fn largest(release: &Map<String, Value>) -> Vec<(String, usize)> {
    let lists = ["templates", "files"].into_iter().filter_map(|list| release.get("chart")?.get(list)?.as_array());
    let mut files: Vec<(String, usize)> = lists
        .flatten()
        .filter_map(|file| {
            let data = BASE64.decode(file.get("data")?.as_str()?).ok()?;
            Some((file.get("name")?.as_str()?.to_owned(), data.len()))
        })
        .collect();
    files.sort_by(|one, other| (other.1, &one.0).cmp(&(one.1, &other.0)));
    files.truncate(NAMED);
    files
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Bytes that no packing makes smaller.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    fn judged(files: &[(&str, Vec<u8>)]) -> Option<String> {
        let list = |folder: &str| {
            let files = files.iter().filter(|(name, _)| name.starts_with("templates/") == (folder == "templates"));
            files.map(|(name, bytes)| json!({ "name": name, "data": BASE64.encode(bytes) })).collect::<Vec<_>>()
        };
        let release =
            json!({ "chart": { "templates": list("templates"), "files": list("files") }, "manifest": "a: b\n" });
        too_large(&serde_json::to_vec(&release).unwrap(), release.as_object().unwrap())
    }

    #[test]
    fn a_release_that_no_secret_holds_is_known_with_its_largest_files() {
        assert_eq!(judged(&[("templates/a.yaml", b"a: b\n".to_vec())]), None);
        // Much that says the same is packed well.
        assert_eq!(judged(&[("files/zeros", vec![0; 8 << 20])]), None);
        assert_eq!(judged(&[("files/noise", noise(760_000))]), None);
        let files = [
            ("files/a", noise(300_000)),
            ("files/b", noise(500_000)),
            ("files/c", noise(10)),
            ("templates/d", noise(20)),
        ];
        let said = judged(&files).unwrap();
        assert!(
            said.ends_with("chart: `files/b` (500000 bytes), `files/a` (300000 bytes), `templates/d` (20 bytes)"),
            "{said}"
        );
    }
}
