//! Settings that would only fail after the deployment has begun: at the API server, or at the start of a container.

use std::collections::BTreeMap;

/// As many bytes as the values of one `ConfigMap` or `Secret` have together.
const LARGEST_OBJECT: usize = 1 << 20;

/// Why the settings of a list make no object; without any value. `merged` has each key with its source in the list.
pub(super) fn problems(list: &str, merged: &BTreeMap<String, (usize, String)>) -> Vec<String> {
    let holds_nul = merged.iter().filter(|(_, (_, value))| value.contains('\0'));
    let mut problems: Vec<String> = holds_nul
        .map(|(key, (index, _))| {
            format!("`{list}[{index}]`: the value of `{key}` holds a NUL byte, which no environment variable can")
        })
        .collect();
    let total: usize = merged.values().map(|(_, value)| value.len()).sum();
    let largest = merged.iter().max_by_key(|(_, (_, value))| value.len());
    if let Some((key, (index, value))) = largest.filter(|_| total > LARGEST_OBJECT) {
        problems.push(format!(
            "`{list}` has values of {total} bytes, and an object of Kubernetes holds {LARGEST_OBJECT}: `{key}` of \
             `{list}[{index}]` alone has {}",
            value.len()
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_object_can_hold_is_named_without_its_value() {
        let merged = |entries: &[(&str, usize, String)]| -> BTreeMap<String, (usize, String)> {
            entries.iter().map(|(key, index, value)| ((*key).to_owned(), (*index, value.clone()))).collect()
        };
        let half = "x".repeat(LARGEST_OBJECT / 2);
        assert_eq!(problems("config", &merged(&[])), [""; 0]);
        assert_eq!(problems("config", &merged(&[("A", 0, half.clone()), ("B", 1, half.clone())])), [""; 0]);
        let more = merged(&[("A", 0, half.clone()), ("B", 1, format!("{half}hunter2"))]);
        let told = "`secret` has values of 1048583 bytes, and an object of Kubernetes holds 1048576: `B` of `secret[1]` alone \
                    has 524295";
        assert_eq!(problems("secret", &more), [told]);
        let nul = merged(&[("A", 0, "fine".to_owned()), ("B", 2, "hunter\u{0}2".to_owned())]);
        let told = "`config[2]`: the value of `B` holds a NUL byte, which no environment variable can";
        assert_eq!(problems("config", &nul), [told]);
    }
}
