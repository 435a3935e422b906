//! Kustomizations as a source of plain manifests: rendered from files of git alone, before anything is read of them.

mod program;
mod sources;

use std::borrow::Cow;
use std::path::Path;

use lock_model::ErrorClass;

use self::program::KustomizeProgram;
use self::sources::source_problems;
use crate::error::DeployError;
use crate::helm::{in_parallel, run_blocking, words_of};
use crate::problem::{DeployProblem, DeployProblems, ProblemKind, escaped};
use crate::program_folder::ProgramFolder;
use crate::program_search::ProgramSearch;
use crate::request::{DeployRequest, DeployService};

/// How many are rendered at once.
const AT_ONCE: usize = 4;

/// The folder below which the files of a service are written.
const FILES: &str = "files";

/// The name of the one file that a service has afterwards.
const RENDERED: &str = "kustomization.rendered.yaml";

/// The request with plain manifests in place of kustomizations. Without any, no program is needed.
pub(crate) async fn rendered<'a>(
    search: &ProgramSearch,
    request: &'a DeployRequest,
) -> Result<Cow<'a, DeployRequest>, DeployError> {
    let kustomized: Vec<DeployService> =
        request.services.iter().filter(|service| service.kustomization.is_some()).cloned().collect();
    if kustomized.is_empty() {
        return Ok(Cow::Borrowed(request));
    }
    let problems: Vec<DeployProblem> = kustomized.iter().flat_map(problems_of).collect();
    if let Some(problems) = DeployProblems::new(problems) {
        return Err(problems.into());
    }
    let search = search.clone();
    let texts = run_blocking(move || {
        let program = KustomizeProgram::find(&search)?;
        let answers = in_parallel(AT_ONCE, &kustomized, |service| render(&program, service));
        Ok(kustomized.into_iter().map(|service| service.name).zip(answers).collect::<Vec<_>>())
    })
    .await?;
    let (mut problems, mut request) = (Vec::new(), request.clone());
    for (name, answer) in texts {
        match answer? {
            Ok(text) => {
                for service in request.services.iter_mut().filter(|service| service.name == name) {
                    service.files = vec![(RENDERED.to_owned(), text.clone())];
                    service.kustomization = None;
                }
            }
            Err(message) => problems.push(DeployProblem::new(ProblemKind::Kustomization, message).service(&name)),
        }
    }
    match DeployProblems::new(problems) {
        Some(problems) => Err(problems.into()),
        None => Ok(Cow::Owned(request)),
    }
}

/// What keeps a kustomization from being rendered, without a program.
fn problems_of(service: &DeployService) -> Vec<DeployProblem> {
    let folder = service.kustomization.as_deref().unwrap_or_default();
    let mut problems: Vec<DeployProblem> = service
        .files
        .iter()
        .filter_map(|(file, _)| {
            let reason = crate::pinned_manifests::check_path(file).err()?;
            Some(DeployProblem::new(ProblemKind::Path, reason).file(file))
        })
        .collect();
    problems.extend(source_problems(&service.files, folder));
    problems.into_iter().map(|problem| problem.service(&service.name)).collect()
}

/// The rendered text, or what the program says about the kustomization.
fn render(program: &KustomizeProgram, service: &DeployService) -> Result<Result<Vec<u8>, String>, DeployError> {
    let folder = ProgramFolder::empty()?;
    for (path, bytes) in &service.files {
        folder.put(&Path::new(FILES).join(path), bytes)?;
    }
    let place = Path::new(FILES).join(service.kustomization.as_deref().unwrap_or_default());
    let output = program.build(&folder, &place).map_err(|error| DeployError::Failed {
        subject: format!("the kustomization of `{}`", service.name),
        action: "render it".to_owned(),
        class: error.class(),
        source: Box::new(error),
    })?;
    Ok(match output.checked() {
        Ok(output) => Ok(output.stdout),
        Err(error) if error.class() == ErrorClass::Temporary => {
            return Err(DeployError::Failed {
                subject: format!("the kustomization of `{}`", service.name),
                action: "render it".to_owned(),
                class: error.class(),
                source: Box::new(error),
            });
        }
        Err(error) => {
            let shown = words_of(&error).replace(&folder.path().display().to_string(), "");
            Err(format!("`{}` does not render its kustomization: {}", program.name(), escaped(&shown)))
        }
    })
}
