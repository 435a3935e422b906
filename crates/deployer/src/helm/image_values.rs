//! Which values give a chart the locked image: found by rendering it.

use std::collections::BTreeMap;

use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::chart_folder::ChartFolder;
use super::plan::chart_problems;
use super::program::{Capabilities, HelmProgram};
use super::render::{AT_ONCE, Answer, Operation, fail_with, in_parallel, run_blocking, template};
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::namespace::carries_its_image;
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
) -> Result<BTreeMap<ServiceName, ImageValues>, DeployError> {
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
) -> Result<ImageValues, DeployError> {
    let render = |values: &Map<String, Value>| -> Result<Answer, DeployError> {
        let folder = ChartFolder::write(&service.files, values)?;
        template(helm, &folder, request, service, &Capabilities::default(), Operation::Install)
    };
    let refusal = match render(&service.values)? {
        Ok(rendering) if carries_its_image(service, pins, &rendering) => return Ok(ImageValues::AsGiven),
        Ok(_) => None,
        Err(problems) => Some(problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; ")),
    };
    let mut is_rendered = false;
    for (index, values) in candidates.iter().enumerate() {
        if let Ok(rendering) = render(values)? {
            if carries_its_image(service, pins, &rendering) {
                return Ok(ImageValues::Candidate(index));
            }
            is_rendered = true;
        }
    }
    Ok(match refusal {
        Some(words) if !is_rendered => ImageValues::NotRendered(words),
        Some(_) | None => ImageValues::None,
    })
}
