//! Whether what is to be deployed fits into the quotas of its namespace, at its highest moment.
//!
//! Pure: the used amounts are those that each quota counts by its own rule (`pods` leaves finished pods out, `count/pods`
//! does not), and the model adds what the deployment needs beyond them, wave by wave.

mod admission;
mod affinity;
mod autoscaled;
mod classes;
mod placement;
mod pods;
mod quantity;
mod quota;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use crate::discovery::{Resource, defined_resources};
use crate::object::Object;
pub use placement::{Unplaced, placement};
pub use quantity::{Amount, QuantityError};

/// One object that is to be deployed, with the one that is there now.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The service that it belongs to.
    pub service: &'a str,
    /// The wave in which it is deployed; waves run one after another.
    pub wave: usize,
    /// As it is to be.
    pub wanted: &'a Object,
    /// As it is; absent where it is new.
    pub live: Option<&'a Object>,
    /// Whether it is gone once its wave is over, as the Job of a suite is.
    pub ends_with_wave: bool,
}

/// What a namespace sets bounds by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds<'a> {
    /// Its resource quotas, with their status.
    pub quotas: &'a [Object],
    /// Its limit ranges: they give containers what those do not name.
    pub limit_ranges: &'a [Object],
    /// How many nodes a new `DaemonSet` runs on.
    pub nodes: i64,
    /// What the API server serves: a quota counts objects by the plural of their kind.
    pub resources: &'a [Resource],
    /// The storage classes of the cluster; absent where they may not be read.
    pub storage_classes: Option<&'a [Object]>,
    /// The priority classes of the cluster; absent where they may not be read.
    pub priority_classes: Option<&'a [Object]>,
}

/// An amount that a quota does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortage {
    /// The name of the quota.
    pub quota: String,
    /// As the quota names it: `limits.memory`.
    pub resource: String,
    /// The wave in which it is missing.
    pub wave: usize,
    /// What the deployment needs beyond what is used now.
    pub needed: Amount,
    /// What the quota has left now.
    pub free: Amount,
    /// What the quota allows.
    pub hard: Amount,
    /// What is needed beyond what is used now, once the wave is done and replaced pods are gone.
    pub lasting: Amount,
    /// What each service needs: those of that wave at their highest moment, those before it in the end.
    pub services: BTreeMap<String, Amount>,
    /// Whether Deployments of the wave replace pods, and need room for old and new ones at once.
    pub is_rolling: bool,
}

impl Shortage {
    /// By how much the quota is too small.
    pub fn missing(&self) -> Amount {
        self.needed - self.free
    }
}

/// What a deployment does to one resource of a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaEffect {
    /// The name of the quota.
    pub quota: String,
    /// As the quota names it: `limits.memory`.
    pub resource: String,
    /// What the quota allows.
    pub hard: Amount,
    /// What is used now.
    pub used: Amount,
    /// What is used at the highest moment of the deployment.
    pub highest: Amount,
    /// What is used once all waves are done and replaced pods are gone.
    pub after: Amount,
}

/// What is known of the room for a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Headroom {
    /// What becomes of each resource that the deployment needs for a time or lets go, by quota.
    pub effects: Vec<QuotaEffect>,
    /// What does not fit, by quota, resource and wave.
    pub shortages: Vec<Shortage>,
    /// Pods and claims that the API server would refuse, and why.
    pub refused: BTreeSet<String>,
    /// What could not be computed, so that it does not count as fitting.
    pub unknown: BTreeSet<String>,
    /// Custom resources that make pods which their shape does not let count.
    pub uncounted: BTreeSet<String>,
}

impl Headroom {
    /// Whether everything is known to fit.
    pub fn is_enough(&self) -> bool {
        self.shortages.is_empty() && self.refused.is_empty() && self.unknown.is_empty()
    }
}

/// Amounts by the name of the resource, as a quota names it.
pub(crate) type Amounts = BTreeMap<String, Amount>;

/// What one object adds to the use of a quota.
#[derive(Clone, Debug, Default)]
struct Growth {
    /// At the highest moment of its rollout.
    peak: Amounts,
    /// Once it is done; negative where it becomes smaller.
    settled: Amounts,
}

/// Compares what a deployment needs with what the quotas have left.
pub fn headroom(demands: &[Demand<'_>], bounds: &Bounds<'_>) -> Headroom {
    let mut report = Headroom::default();
    let replaced = workloads::replaced(demands);
    let demands = workloads::with(demands, &replaced);
    report.uncounted = workloads::uncounted(&demands);
    let defaults = pods::Defaults::of(bounds, &mut report.unknown);
    let quotas: Vec<_> = bounds.quotas.iter().map(|quota| quota::Quota::of(quota, &mut report.unknown)).collect();
    report.unknown.extend(classes::unreadable(&demands, &quotas, bounds));
    let mut resources = bounds.resources.to_vec();
    resources.extend(defined_resources(demands.iter().map(|demand| demand.wanted)));
    for demand in &demands {
        let refused = admission::refusals(demand, &quotas, bounds.limit_ranges, &defaults, &mut report.unknown);
        report.refused.extend(refused);
    }
    for quota in &quotas {
        let (mut settled, mut settled_of) = (Amounts::new(), BTreeMap::<String, Amounts>::new());
        let waves: BTreeSet<_> = demands.iter().map(|demand| demand.wave).collect();
        let mut short: BTreeSet<&str> = BTreeSet::new();
        let mut highest = Amounts::new();
        for wave in waves {
            let mut services: BTreeMap<String, Amounts> = BTreeMap::new();
            let mut after = BTreeMap::<String, Amounts>::new();
            let mut rolling: BTreeSet<String> = BTreeSet::new();
            for demand in demands.iter().filter(|demand| demand.wave == wave) {
                let growth = quota.growth(demand, &defaults, bounds.nodes, &resources, &mut report.unknown);
                add(services.entry(demand.service.to_owned()).or_default(), &growth.peak);
                if !demand.ends_with_wave {
                    add(after.entry(demand.service.to_owned()).or_default(), &growth.settled);
                }
                if demand.live.is_some() && demand.wanted.key().kind.is("apps", "Deployment") {
                    let more =
                        growth.peak.iter().filter(|(resource, peak)| growth.settled.get(*resource) < Some(*peak));
                    rolling.extend(more.map(|(resource, _)| resource.clone()));
                }
            }
            for (resource, free) in &quota.free {
                let amount = |amounts: &Amounts| amounts.get(resource).copied().unwrap_or_default();
                let of_services: BTreeMap<_, _> = services
                    .iter()
                    .map(|(service, amounts)| (service.clone(), amount(amounts)))
                    .filter(|(_, amount)| *amount > Amount::default())
                    .collect();
                let lasting = after.values().fold(amount(&settled), |sum, amounts| sum + amount(amounts));
                let hard = quota.hard.get(resource).copied().unwrap_or_default();
                let needed = of_services.values().fold(amount(&settled), |sum, amount| sum + *amount);
                let moment = highest.entry(resource.clone()).or_default();
                *moment = needed.max(*moment);
                // The first wave that does not fit is the one to look at.
                if !of_services.is_empty() && needed > *free && short.insert(resource) {
                    let mut services = of_services;
                    for (service, amounts) in &settled_of {
                        let entry = services.entry(service.clone()).or_default();
                        *entry = *entry + amount(amounts);
                    }
                    services.retain(|_, amount| *amount > Amount::default());
                    let (quota, resource) = (quota.name.clone(), resource.clone());
                    let (free, is_rolling) = (*free, rolling.contains(&resource));
                    report.shortages.push(Shortage {
                        quota,
                        resource,
                        wave,
                        needed,
                        free,
                        hard,
                        lasting,
                        services,
                        is_rolling,
                    });
                }
            }
            for (service, amounts) in after {
                add(&mut settled, &amounts);
                add(settled_of.entry(service).or_default(), &amounts);
            }
        }
        for (resource, needed) in highest {
            let amount = |amounts: &Amounts| amounts.get(&resource).copied().unwrap_or_default();
            let (hard, lasting) = (amount(&quota.hard), amount(&settled));
            let used = hard - amount(&quota.free);
            if needed > Amount::default() || lasting != Amount::default() {
                let quota = quota.name.clone();
                let (highest, after) = (used + needed, used + lasting);
                report.effects.push(QuotaEffect { quota, resource, hard, used, highest, after });
            }
        }
    }
    report
}

/// Sentences about custom resources whose pods are not counted.
pub fn uncounted(demands: &[Demand<'_>]) -> BTreeSet<String> {
    workloads::uncounted(&workloads::with(demands, &workloads::replaced(demands)))
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        let entry = sum.entry(resource.clone()).or_default();
        *entry = *entry + *amount;
    }
}
