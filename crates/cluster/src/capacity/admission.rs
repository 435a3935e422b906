//! Pods and claims that the API server would not let a controller make: without an amount that a quota bounds, or outside of
//! what a limit range allows.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::capacity::pods::{Defaults, amounts, container, list, pod_amounts};
use crate::capacity::quota::{Counts, Quota, claims, ephemeral_claims};
use crate::capacity::workloads::pod_spec;
use crate::capacity::{Amounts, Demand};
use crate::object::{Object, ObjectKey};

/// What a quota that bounds it demands of each container.
const DEMANDED: [(&str, &str, &str); 6] = [
    ("cpu", "requests", "cpu"),
    ("memory", "requests", "memory"),
    ("requests.cpu", "requests", "cpu"),
    ("requests.memory", "requests", "memory"),
    ("limits.cpu", "limits", "cpu"),
    ("limits.memory", "limits", "memory"),
];

/// A sentence for each pod or claim that would be refused.
pub(super) fn refusals(
    demand: &Demand<'_>,
    quotas: &[Quota],
    limit_ranges: &[Object],
    defaults: &Defaults,
    unknown: &mut BTreeSet<String>,
) -> BTreeSet<String> {
    let mut refusing = Refusing { demand, defaults, unknown, sentences: BTreeSet::new() };
    if let Some(spec) = pod_spec(demand.wanted).filter(|spec| makes_pods(demand, spec)) {
        for quota in quotas {
            refusing.unnamed(quota, spec);
        }
        for range in limit_ranges {
            refusing.pods(range, spec);
        }
    }
    let wanted = demand.wanted;
    let mut claims: Vec<&Value> = claims(wanted).filter(|_| demand.live.is_none()).collect();
    claims.extend(pod_spec(wanted).filter(|spec| makes_pods(demand, spec)).into_iter().flat_map(ephemeral_claims));
    for range in limit_ranges {
        refusing.claims(range, &claims);
    }
    refusing.sentences
}

/// Whether there will be pods that are not there yet.
fn makes_pods(demand: &Demand<'_>, spec: &Value) -> bool {
    let counts = Counts::of(demand, 1);
    let is_same = demand.live.and_then(pod_spec) == Some(spec);
    (!is_same || counts.new > counts.old) && (counts.new > 0 || demand.wanted.key().kind.is("batch", "CronJob"))
}

struct Refusing<'a> {
    demand: &'a Demand<'a>,
    defaults: &'a Defaults,
    unknown: &'a mut BTreeSet<String>,
    sentences: BTreeSet<String>,
}

impl Refusing<'_> {
    fn key(&self) -> &ObjectKey {
        self.demand.wanted.key()
    }

    fn say(&mut self, sentence: &str) {
        let sentence = format!("{}: {sentence}", self.demand.service);
        self.sentences.insert(sentence);
    }

    /// A quota over an amount refuses containers that name none.
    fn unnamed(&mut self, quota: &Quota, spec: &Value) {
        if quota.pod(self.demand.wanted, self.defaults, self.unknown).is_empty() {
            return;
        }
        for (resource, part, name) in DEMANDED {
            let of_pod = spec.pointer(&format!("/resources/{part}/{name}"));
            if !quota.hard.contains_key(resource) || of_pod.is_some() {
                continue;
            }
            for one in containers(spec) {
                if container(one, part, self.defaults, self.unknown).contains_key(name) {
                    continue;
                }
                let (quota, key) = (&quota.name, self.key());
                let sentence = format!(
                    "quota `{quota}` bounds `{resource}`, and {} of {key} names none: give it `resources.{part}.{name}`, or the \
                     namespace a LimitRange with a default",
                    named(one)
                );
                self.say(&sentence);
            }
        }
    }

    fn pods(&mut self, range: &Object, spec: &Value) {
        for item in range.list("/spec/limits") {
            match item.get("type").and_then(Value::as_str) {
                Some("Container") => {
                    for one in containers(spec) {
                        let requests = container(one, "requests", self.defaults, self.unknown);
                        let limits = container(one, "limits", self.defaults, self.unknown);
                        let subject = format!("{} of {}", named(one), self.key());
                        self.bounded(range, item, &subject, &requests, &limits);
                        self.contradiction(&subject, &requests, &limits);
                    }
                }
                Some("Pod") => {
                    let all = pod_amounts(spec, self.defaults, self.unknown);
                    let of = |part: &str| -> Amounts {
                        let own = all
                            .iter()
                            .filter_map(|(name, amount)| Some((name.strip_prefix(part)?.to_owned(), *amount)));
                        own.collect()
                    };
                    let subject = format!("a pod of {}", self.key());
                    self.bounded(range, item, &subject, &of("requests."), &of("limits."));
                }
                Some(_) | None => {}
            }
        }
    }

    fn bounded(&mut self, range: &Object, item: &Value, subject: &str, requests: &Amounts, limits: &Amounts) {
        let name = range.key().name.clone();
        for (resource, least) in amounts(item.get("min"), self.unknown) {
            let found = requests.get(&resource).into_iter().chain(limits.get(&resource)).min();
            let said = match (requests.get(&resource), found) {
                (Some(_), Some(found)) if *found >= least => continue,
                (Some(_), Some(found)) => format!("has {found}"),
                (None, _) | (_, None) => "requests none".to_owned(),
            };
            self.say(&format!("LimitRange `{name}` asks for at least {least} of `{resource}`, and {subject} {said}"));
        }
        for (resource, most) in amounts(item.get("max"), self.unknown) {
            let found = requests.get(&resource).into_iter().chain(limits.get(&resource)).max();
            let said = match (limits.get(&resource), found) {
                (Some(_), Some(found)) if *found <= most => continue,
                (Some(_), Some(found)) => format!("has {found}"),
                (None, _) | (_, None) => "has no limit".to_owned(),
            };
            self.say(&format!("LimitRange `{name}` allows at most {most} of `{resource}`, and {subject} {said}"));
        }
        for (resource, ratio) in amounts(item.get("maxLimitRequestRatio"), self.unknown) {
            let said = match (requests.get(&resource), limits.get(&resource)) {
                (Some(request), Some(limit)) => {
                    let allowed = request.thousandths().saturating_mul(ratio.thousandths());
                    if request.thousandths() > 0 && limit.thousandths().saturating_mul(1000) <= allowed {
                        continue;
                    }
                    format!("has {limit} for {request}")
                }
                (None, _) | (_, None) => "does not name both".to_owned(),
            };
            self.say(&format!(
                "LimitRange `{name}` allows a limit of `{resource}` of at most {ratio} times the request, and {subject} {said}"
            ));
        }
    }

    /// A default of the namespace can be less than what a container requests.
    fn contradiction(&mut self, subject: &str, requests: &Amounts, limits: &Amounts) {
        for (resource, request) in requests {
            if let Some(limit) = limits.get(resource).filter(|limit| *limit < request) {
                self.say(&format!(
                    "{subject} requests {request} of `{resource}`, and its limit, which a LimitRange gives where it names none, is \
                     {limit}"
                ));
            }
        }
    }

    fn claims(&mut self, range: &Object, specs: &[&Value]) {
        for spec in specs {
            let requests = amounts(spec.pointer("/resources/requests"), self.unknown);
            let of_claims = |item: &&Value| item.get("type").and_then(Value::as_str) == Some("PersistentVolumeClaim");
            for item in range.list("/spec/limits").iter().filter(of_claims) {
                let subject = format!("a claim of {}", self.key());
                self.bounded(range, item, &subject, &requests, &requests);
            }
        }
    }
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    list(spec, "initContainers").iter().chain(list(spec, "containers"))
}

fn named(container: &Value) -> String {
    format!("container `{}`", container.get("name").and_then(Value::as_str).unwrap_or_default())
}
