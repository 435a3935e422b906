use lock_model::{ErrorClass, Lock, Problem};

use crate::sample::golden_parts;

#[test]
fn all_contradictions_are_one_error_that_displays_each_on_a_line() {
    let mut parts = golden_parts();
    parts.source.pull_request = Some(0);
    let grafana = parts.services.get_mut("grafana").unwrap();
    grafana.path = "services/cart".parse().unwrap();
    let error = Lock::new(parts).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`source.pull_request`: a number from 1 to 9007199254740991 is expected\n\
         `services.grafana.path`: `services/cart` is the path of `cart` as well"
    );
    assert_eq!(error.class(), ErrorClass::Invalid);
    let keys: Vec<&[String]> = error.problems().iter().map(Problem::keys).collect();
    assert_eq!(
        keys,
        [["source", "pull_request"].map(str::to_owned).as_slice(), &["services", "grafana", "path"].map(str::to_owned)]
    );
    assert!(error.problems().iter().all(|problem| problem.line().is_none() && problem.excerpt().is_empty()));
}
