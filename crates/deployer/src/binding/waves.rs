//! The order in which the services of a plan are changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lock_model::ServiceName;
use serde::{Deserialize, Serialize};

use super::Moved;
use crate::request::Wave;

/// One wave of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BoundWave {
    /// Its services, also those that do not change.
    pub services: BTreeSet<ServiceName>,
    /// How many of them are changed at a time.
    pub at_once: usize,
    /// Milliseconds between it and the next one.
    pub pause_ms: u64,
}

/// The waves of a plan, with the services of each.
pub(super) fn bound(waves: &[Wave], services: &[(&ServiceName, usize)]) -> Vec<BoundWave> {
    let bound = |(place, wave): (usize, &Wave)| BoundWave {
        services: services.iter().filter(|(_, own)| *own == place).map(|(service, _)| (*service).clone()).collect(),
        at_once: wave.at_once,
        pause_ms: u64::try_from(wave.pause.as_millis()).unwrap_or(u64::MAX),
    };
    waves.iter().enumerate().map(bound).collect()
}

/// What moved of the order in which services are changed.
pub(super) fn moved(before: Option<&[BoundWave]>, after: Option<&[BoundWave]>) -> Vec<Moved> {
    let all = |message: String| Moved { service: None, message };
    let (before, after) = match (before, after) {
        (None, None) => return Vec::new(),
        (Some(before), Some(after)) => (before, after),
        (None, Some(_)) => return vec![all("the plan does not say in which waves it was planned".to_owned())],
        (Some(_), None) => return vec![all("it was planned in waves, and would be deployed without any".to_owned())],
    };
    let mut moved = Vec::new();
    if before.len() != after.len() {
        moved.push(all(format!("it was planned in {} waves, and would be deployed in {}", before.len(), after.len())));
    }
    for (number, (before, after)) in before.iter().zip(after).enumerate() {
        let number = number + 1;
        if before.at_once != after.at_once {
            moved.push(all(format!("`at-once` of wave {number} was {}, and is {}", before.at_once, after.at_once)));
        }
        if before.pause_ms != after.pause_ms {
            let pause = |milliseconds: u64| format!("{} s", Duration::from_millis(milliseconds).as_secs_f64());
            moved.push(all(format!(
                "the pause after wave {number} was {}, and is {}",
                pause(before.pause_ms),
                pause(after.pause_ms)
            )));
        }
    }
    let places = |waves: &[BoundWave]| -> BTreeMap<ServiceName, usize> {
        let services = waves.iter().enumerate();
        services
            .flat_map(|(place, wave)| wave.services.iter().map(move |service| (service.clone(), place + 1)))
            .collect()
    };
    let after = places(after);
    for (service, was) in places(before) {
        // A service that came or went is named by its objects.
        let Some(is) = after.get(&service).filter(|is| **is != was) else { continue };
        let message = format!("it was in wave {was}, and is in wave {is}");
        moved.push(Moved { service: Some(service), message });
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(waves: &[(&[&str], usize, u64)]) -> Vec<BoundWave> {
        let wave = |(services, at_once, pause_ms): &(&[&str], usize, u64)| BoundWave {
            services: services.iter().map(|name| (*name).try_into().unwrap()).collect(),
            at_once: *at_once,
            pause_ms: *pause_ms,
        };
        waves.iter().map(wave).collect()
    }

    #[test]
    fn b32_another_order_of_the_waves_is_another_plan() {
        let planned = || waves(&[(&["cart"], 4, 0), (&["web"], 1, 30_000)]);
        let moved = |after: Option<Vec<BoundWave>>| -> Vec<String> {
            moved(Some(&planned()), after.as_deref()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(moved(Some(planned())), [""; 0]);
        assert_eq!(
            moved(Some(waves(&[(&["web"], 1, 30_000), (&["cart"], 4, 0)]))),
            [
                "`at-once` of wave 1 was 4, and is 1",
                "the pause after wave 1 was 0 s, and is 30 s",
                "`at-once` of wave 2 was 1, and is 4",
                "the pause after wave 2 was 30 s, and is 0 s",
                "`cart`: it was in wave 1, and is in wave 2",
                "`web`: it was in wave 2, and is in wave 1",
            ]
        );
        assert_eq!(
            moved(Some(waves(&[(&["cart", "web"], 4, 0)]))),
            ["it was planned in 2 waves, and would be deployed in 1", "`web`: it was in wave 2, and is in wave 1"]
        );
        assert_eq!(moved(None), ["it was planned in waves, and would be deployed without any"]);
        let of_an_older_program = super::moved(None, Some(&planned()));
        assert_eq!(of_an_older_program[0].message, "the plan does not say in which waves it was planned");
        assert_eq!(super::moved(None, None), []);
    }
}
