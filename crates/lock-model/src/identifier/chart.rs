use super::macros::is_host;

identifier!(
    /// Address of a published chart: `oci://HOST/PATH`, or `https://HOST/PATH` of an HTTP repository and the chart's
    /// name; never a version or credentials.
    ChartReference,
    "chart reference",
    "`oci://HOST/PATH` or `https://HOST/PATH`, without version, user, query or fragment",
    at most 2048 characters,
    pattern concat!(r"^(oci|https?)://", host_pattern!(), r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~+-]+)+$"),
    check is_chart_reference
);

identifier!(
    /// Version of a published chart.
    ChartVersion,
    "chart version",
    "letters, digits, `.`, `+`, `_`, `-`, starting with a letter or digit, at most 128",
    at most 128 characters,
    pattern r"^[A-Za-z0-9][A-Za-z0-9.+_-]*$",
    check |text| {
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'_' | b'-'))
    }
);

fn is_chart_reference(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let Some((host, path)) = rest.split_once('/') else { return false };
    matches!(scheme, "oci" | "https" | "http")
        && is_host(host)
        && path.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'+' | b'-'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_neither_version_nor_credentials() {
        for good in ["oci://ghcr.io/shop/charts/redis", "https://charts.example/redis", "oci://localhost:5000/x"] {
            assert!(ChartReference::try_from(good).is_ok(), "{good}");
        }
        for bad in
            ["oci://ghcr.io/redis:24.0.0", "oci://u:p@ghcr.io/redis", "redis", "oci://ghcr.io", "oci://ghcr.io/../x"]
        {
            assert!(ChartReference::try_from(bad).is_err(), "{bad}");
        }
    }
}
