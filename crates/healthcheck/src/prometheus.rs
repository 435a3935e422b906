//! Values that Prometheus computes: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::fmt;
use std::str::FromStr;

use http_client::HttpClient;
use lock_model::ErrorClass;
use lock_model::escaping::excerpt;
use serde_json::Value;

use crate::check::HttpProbe;
use crate::connection::{unhealthy, unknown};
use crate::probe::Found;
use crate::report::CheckState;

/// One query of Prometheus: healthy where there is a value, and all of them keep a bound.
#[derive(Clone, Debug)]
pub struct PrometheusProbe {
    pub(crate) http: HttpProbe,
    bound: Bound,
}

impl PrometheusProbe {
    /// `http` asks the server's base address; path and query are added.
    pub fn new(mut http: HttpProbe, query: &str, bound: Bound) -> Self {
        let path = format!("{}/api/v1/query", http.url.path().trim_end_matches('/'));
        http.url.set_path(&path);
        http.url.query_pairs_mut().clear().append_pair("query", query);
        Self { http, bound }
    }

    pub(crate) async fn run(&self, client: &HttpClient) -> Found {
        match self.http.body(client).await {
            Ok(body) => judge(&body, self.bound, |text| excerpt(self.http.redactor.redact(text))),
            Err(found) => found,
        }
    }
}

/// What values have to be, such as `<= 0.05`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    comparison: Comparison,
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl Comparison {
    const ALL: [(&'static str, Self); 5] =
        [("<=", Self::AtMost), (">=", Self::AtLeast), ("==", Self::Equal), ("<", Self::Less), (">", Self::More)];
}

/// A text that is no bound.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no bound, such as `< 0.05` or `>= 2`")]
pub struct BoundError(String);

impl BoundError {
    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl FromStr for Bound {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        let wrong = || BoundError(excerpt(text));
        let (sign, comparison) =
            Comparison::ALL.into_iter().find(|(sign, _)| text.starts_with(sign)).ok_or_else(wrong)?;
        let limit: f64 = text.strip_prefix(sign).unwrap_or_default().trim().parse().map_err(|_| wrong())?;
        if limit.is_finite() { Ok(Self { comparison, limit }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Comparison::ALL.into_iter().find(|(_, comparison)| *comparison == self.comparison);
        write!(f, "{} {}", sign.map_or("", |(sign, _)| sign), self.limit)
    }
}

impl Bound {
    /// Not a number keeps no bound.
    #[expect(clippy::float_cmp, reason = "the configuration asks for `==`, which is meant for counts")]
    fn is_kept(self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.limit,
            Comparison::AtMost => value <= self.limit,
            Comparison::Equal => value == self.limit,
            Comparison::AtLeast => value >= self.limit,
            Comparison::More => value > self.limit,
        }
    }
}

/// Judges the answer to a query. No value is no answer.
fn judge(body: &[u8], bound: Bound, masked: impl Fn(&str) -> String) -> Found {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return unknown("the answer is not Prometheus's: it is not JSON");
    };
    if answer.get("status").and_then(Value::as_str) != Some("success") {
        return match answer.get("error").and_then(Value::as_str) {
            Some(error) => unknown(format!("the query fails: {}", masked(error))),
            None => unknown("the answer is not Prometheus's"),
        };
    }
    let samples = match (answer.pointer("/data/resultType").and_then(Value::as_str), answer.pointer("/data/result")) {
        (Some("vector"), Some(Value::Array(samples))) => {
            samples.iter().map(|sample| sample.pointer("/value/1")).collect()
        }
        (Some("scalar"), Some(sample)) => vec![sample.get(1)],
        _ => return unknown("the query gives no value: a number, or a vector of them, is expected"),
    };
    if samples.is_empty() {
        return unknown("the query gives no value");
    }
    let values: Option<Vec<f64>> = samples.into_iter().map(|value| value?.as_str()?.parse().ok()).collect();
    let Some(values) = values else { return unknown("the query gives a value that is no number") };
    let broken = values.iter().filter(|value| !bound.is_kept(**value)).count();
    if broken == 0 {
        (CheckState::Healthy, format!("the value is {bound}"))
    } else {
        unhealthy(format!("{broken} of {} values are not {bound}", values.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_compare_and_nothing_else_is_one() {
        for (text, kept, broken) in
            [("< 2", 1.9, 2.0), ("<= 0.05", 0.05, 0.06), (">=2", 2.0, 1.0), ("> -1", 0.0, -1.0), ("== 3", 3.0, 3.1)]
        {
            let bound: Bound = text.parse().unwrap();
            assert!(bound.is_kept(kept) && !bound.is_kept(broken) && !bound.is_kept(f64::NAN), "{text}");
        }
        for text in ["", "2", "< ", "< x", "= 2", "< NaN", "< inf", "=> 2"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_without_a_value_is_unknown() {
        let answer = |data: &str| format!(r#"{{"status":"success","data":{data}}}"#);
        let vector = |values: &[&str]| {
            let samples = values.iter().map(|value| format!(r#"{{"metric":{{}},"value":[1,"{value}"]}}"#));
            answer(&format!(r#"{{"resultType":"vector","result":[{}]}}"#, samples.collect::<Vec<_>>().join(",")))
        };
        for (body, state) in [
            (vector(&["0.01"]), CheckState::Healthy),
            (vector(&["0.01", "0.02"]), CheckState::Healthy),
            (vector(&["0.01", "0.2"]), CheckState::Unhealthy),
            (vector(&["NaN"]), CheckState::Unhealthy),
            (vector(&[]), CheckState::Unknown),
            (vector(&["x"]), CheckState::Unknown),
            (answer(r#"{"resultType":"scalar","result":[1,"0.01"]}"#), CheckState::Healthy),
            (answer(r#"{"resultType":"scalar","result":[1,"1"]}"#), CheckState::Unhealthy),
            (answer(r#"{"resultType":"matrix","result":[]}"#), CheckState::Unknown),
            (answer(r#"{"resultType":"string","result":[1,"a"]}"#), CheckState::Unknown),
            (r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.to_owned(), CheckState::Unknown),
            (r#"{"ok":true}"#.to_owned(), CheckState::Unknown),
            ("<html>".to_owned(), CheckState::Unknown),
        ] {
            let found = judge(body.as_bytes(), "<= 0.05".parse().unwrap(), str::to_owned);
            assert_eq!(found.0, state, "{body}: {}", found.1);
        }
    }
}
