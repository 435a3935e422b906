//! Which values give a chart the locked image: found by rendering it.

use std::collections::BTreeMap;

use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::chart_causes::{self, ChartCause};
use super::chart_folder::ChartFolder;
use super::plan::chart_problems;
use super::program::{Capabilities, HelmProgram};
use super::render::{AT_ONCE, Answer, Operation, fail_with, in_parallel, run_blocking, template};
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::namespace::{ImageFault, image_faults};
use crate::program_search::ProgramSearch;
use crate::request::{DeployRequest, DeployService};

/// What rendering a chart with several values has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageValues {
    /// The chart runs the locked image with the values of the request.
    AsGiven,
    /// It does with the candidate of this index, the first that fits.
    Candidate(usize),
    /// It does with none of them.
    None,
    /// helm renders it with none of them; its words about the values of the request.
    NotRendered(String),
}

/// The answer, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundImageValues {
    /// Whether the chart runs the locked image of its service, and how.
    pub values: ImageValues,
    /// What is wrong with the values of the request; where it runs its image, what else in it is of the lock and not locked.
    pub causes: Vec<ChartCause>,
}

/// Renders the charts of services with the values of the request, then with one candidate after the other, until a container
/// runs the locked image by its digest and every label is valid. No cluster is asked.
///
/// Services without candidates are left out.
///
/// # Errors
///
/// [`DeployError::Program`] without helm, [`DeployError::Problems`] where the files of a service are no chart.
pub async fn find_image_values(
    search: &ProgramSearch,
    request: &DeployRequest,
    candidates: BTreeMap<ServiceName, Vec<Map<String, Value>>>,
) -> Result<BTreeMap<ServiceName, FoundImageValues>, DeployError> {
    let mut asked = request.clone();
    asked.services.retain(|service| candidates.contains_key(&service.name));
    let (search, pins) = (search.clone(), Pins::new(request.images()));
    run_blocking(move || {
        fail_with(chart_problems(&asked))?;
        let helm = HelmProgram::find(&search)?;
        let answers = in_parallel(AT_ONCE, &asked.services, |service| {
            let candidates = candidates.get(&service.name).map(Vec::as_slice).unwrap_or_default();
            find(&helm, &asked, service, candidates, &pins)
        });
        let names = asked.services.iter().map(|service| service.name.clone());
        names.zip(answers).map(|(name, answer)| Ok((name, answer?))).collect()
    })
    .await
}

fn find(
    helm: &HelmProgram,
    request: &DeployRequest,
    service: &DeployService,
    candidates: &[Map<String, Value>],
    pins: &Pins,
) -> Result<FoundImageValues, DeployError> {
    let render = |values: &Map<String, Value>| -> Result<Answer, DeployError> {
        let folder = ChartFolder::write(&service.files, values)?;
        template(helm, &folder, request, service, &Capabilities::default(), Operation::Install)
    };
    let of_others = |faults: &[ImageFault]| {
        let others: Vec<&ImageFault> = faults.iter().filter(|fault| !fault.is_own).collect();
        chart_causes::of_images(request, service, &others)
    };
    let (refusal, mut causes) = match render(&service.values)? {
        Ok(rendering) => {
            let faults = image_faults(service, pins, &rendering);
            if faults.is_carried() {
                return Ok(FoundImageValues { values: ImageValues::AsGiven, causes: of_others(&faults.images) });
            }
            (None, chart_causes::of_faults(request, service, &faults))
        }
        Err(problems) => {
            let words = problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; ");
            let causes = chart_causes::of_schema(service, &words);
            (Some(words), causes)
        }
    };
    let mut is_rendered = false;
    for (index, values) in candidates.iter().enumerate() {
        if let Ok(rendering) = render(values)? {
            let faults = image_faults(service, pins, &rendering);
            if faults.is_carried() {
                // The candidate is what to write.
                causes.retain(|cause| cause.is_about_own);
                for cause in &mut causes {
                    cause.style = None;
                }
                causes.extend(of_others(&faults.images));
                return Ok(FoundImageValues { values: ImageValues::Candidate(index), causes });
            }
            is_rendered = true;
        }
    }
    let values = match refusal {
        Some(words) if !is_rendered => ImageValues::NotRendered(words),
        Some(_) | None => ImageValues::None,
    };
    Ok(FoundImageValues { values, causes })
}
