//! Whether the commits of submodules are pushed: asked of every remote, answered for every service.

use std::collections::{BTreeMap, BTreeSet};

use config::Submodules;
use lock_gen::{
    FindingKind, HistoryError, Publication, PublicationCheck, PublicationQuery, PublicationReport, Submodule,
};
use lock_model::{ErrorClass, ServiceName, TreePath};

use super::run_blocking::run_blocking;
use super::{Target, accepted_refs, submodule_access};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::hints::{of_remote, of_remote_cause};
use crate::report::v1::PushedRefs;
use crate::revision::Revision;
use crate::workspace::{Workspace, unused_setting};

#[derive(Debug)]
pub(crate) struct PushedAnswer {
    pub on: BTreeMap<ServiceName, PushedRefs>,
    pub nowhere: Vec<Problem>,
    unknown: Vec<(ErrorClass, Problem)>,
    of: usize,
    hints: Vec<String>,
    /// The classes of failures that have no hint of their own.
    unclear: BTreeSet<ErrorClass>,
}

impl PushedAnswer {
    /// An answer that could not be had is no yes.
    pub(crate) fn known(self) -> Result<Self> {
        if self.unknown.is_empty() { Ok(self) } else { Err(self.refusal()) }
    }

    /// The branches and tags, or everything that stands against the lock.
    pub(crate) fn all_pushed(self) -> Result<BTreeMap<ServiceName, PushedRefs>> {
        if self.nowhere.is_empty() && self.unknown.is_empty() { Ok(self.on) } else { Err(self.refusal()) }
    }

    fn refusal(self) -> Error {
        // What is known to be wrong is mended by no login and by no second attempt.
        let permanent = (!self.nowhere.is_empty()).then_some(ErrorClass::NotFound);
        let classes: Vec<ErrorClass> = self.unknown.iter().map(|(class, _)| *class).chain(permanent).collect();
        let class = registry::overall_class(classes).unwrap_or(ErrorClass::Temporary);
        let code = ErrorKind::of(class, ErrorKind::Repository, ErrorKind::Repository);
        let message = match (self.nowhere.len(), self.unknown.len()) {
            (0, unknown) => format!("whether {unknown} of {} commits are pushed is not known", self.of),
            (nowhere, 0) => format!("{nowhere} of {} commits are on no branch that counts", self.of),
            (nowhere, unknown) => format!(
                "{nowhere} of {} commits are on no branch that counts, and {unknown} are not known to be on one",
                self.of
            ),
        };
        let mut problems = self.nowhere;
        problems.extend(self.unknown.into_iter().map(|(_, problem)| problem));
        problems.sort_by(|a, b| a.subject.cmp(&b.subject));
        let error = Error::new(code, message).problems(problems);
        let error = self.hints.into_iter().fold(error, Error::hint);
        let general = of_remote(class).filter(|_| permanent.is_some() || self.unclear.contains(&class));
        general.into_iter().fold(error, Error::hint)
    }
}

/// Asks the remotes of all services, by the target's rules and by the tree's own.
pub(crate) async fn ask_pushed(
    context: &Workspace,
    revision: &Revision,
    target: &Target,
    services: &BTreeMap<ServiceName, &Submodule>,
) -> Result<PushedAnswer> {
    let remote = context.remote_location();
    let mut answer = PushedAnswer {
        on: BTreeMap::new(),
        nowhere: Vec::new(),
        unknown: Vec::new(),
        of: services.len(),
        hints: Vec::new(),
        unclear: BTreeSet::new(),
    };
    let mut questions = Vec::new();
    let mut names: BTreeMap<TreePath, &ServiceName> = BTreeMap::new();
    for (name, submodule) in services {
        names.insert(submodule.path.clone(), name);
        let question = match PublicationQuery::new(submodule, remote) {
            Ok(question) => question,
            Err(error) => {
                answer.unknown.push((ErrorClass::Invalid, problem(name, error.to_string(), &error)));
                continue;
            }
        };
        match submodule_access(context, &target.rules(&revision.config.submodules), &question.url) {
            Ok(_) => questions.push(question),
            Err(error) => {
                answer.hints.extend(
                    error.hints().iter().filter(|hint| !answer.hints.contains(hint)).cloned().collect::<Vec<_>>(),
                );
                answer.unknown.push((ErrorClass::Invalid, problem(name, error.to_string(), &error)));
            }
        }
    }
    context.note(format!("asking on which branches {} commits are", services.len()));
    let mut seen: Vec<&Submodules> = Vec::new();
    for rules in target.rules(&revision.config.submodules) {
        if seen.iter().any(|other| other.branches == rules.branches) {
            continue;
        }
        seen.push(rules);
        let accepted = accepted_refs(rules)?;
        let (program, cache, asked) = (context.git_program.clone(), context.cache.clone(), questions.clone());
        let report = run_blocking(context, None, move |options| {
            PublicationCheck::new(&program, options, &cache).accepting(accepted).check(&asked)
        })
        .await?;
        answer.take(&report, rules, &names);
    }
    if answer.unknown.iter().any(|(class, _)| *class == ErrorClass::Denied) {
        answer.hints.extend(context.transport()?.ignored().iter().map(|key| unused_setting(key)));
    }
    Ok(answer)
}

impl PushedAnswer {
    fn take(&mut self, report: &PublicationReport, rules: &Submodules, names: &BTreeMap<TreePath, &ServiceName>) {
        let counts: Vec<String> = rules.branches.iter().flatten().map(|pattern| format!("`{pattern}`")).collect();
        let findings: BTreeMap<String, lock_gen::Finding> = report
            .findings()
            .into_iter()
            .filter(|finding| finding.kind == FindingKind::NotPushed)
            .map(|finding| (finding.subject.clone(), finding))
            .collect();
        for (path, said) in &report.answers {
            let Some(name) = names.get(path) else { continue };
            match said {
                Ok(Publication::On { branches, tags }) => {
                    let refs = PushedRefs { branches: branches.clone(), tags: tags.clone() };
                    self.on.insert((*name).clone(), refs);
                }
                Ok(Publication::Nowhere { .. }) => {
                    let subject = name.to_string();
                    if self.nowhere.iter().any(|problem| problem.subject == subject) {
                        continue;
                    }
                    let Some(finding) = findings.get(path.as_str()) else { continue };
                    let mut details = Vec::new();
                    if !counts.is_empty() {
                        details.push(format!("branches that count: {}", counts.join(", ")));
                    }
                    self.nowhere.push(Problem { subject, message: finding.message.clone(), details });
                    if !self.hints.contains(&finding.hint) {
                        self.hints.push(finding.hint.clone());
                    }
                }
                Err(error) => {
                    let subject = name.to_string();
                    if !self.unknown.iter().any(|(_, problem)| problem.subject == subject) {
                        self.unknown.push((error.class(), problem(name, error.to_string(), error)));
                        match of_remote_cause(error) {
                            Some(hint) if self.hints.contains(&hint) => {}
                            Some(hint) => self.hints.push(hint),
                            None => drop(self.unclear.insert(error.class())),
                        }
                    }
                }
            }
        }
    }
}

fn problem(name: &ServiceName, message: String, error: &dyn std::error::Error) -> Problem {
    let mut details = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        details.push(cause.to_string());
        source = cause.source();
    }
    Problem { subject: name.to_string(), message, details }
}

/// Why a history is not known, in one line.
pub(super) fn reason(error: &HistoryError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {}", cause.to_string().lines().next().unwrap_or_default());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(nowhere: usize, unknown: &[ErrorClass]) -> PushedAnswer {
        let problem = |number: usize, what: &str| Problem::new(format!("{what}-{number}"), "is not known".to_owned());
        PushedAnswer {
            on: BTreeMap::new(),
            nowhere: (0..nowhere).map(|number| problem(number, "nowhere")).collect(),
            unknown: unknown.iter().enumerate().map(|(number, class)| (*class, problem(number, "unknown"))).collect(),
            of: 9,
            hints: Vec::new(),
            unclear: unknown.iter().copied().collect(),
        }
    }

    #[test]
    fn p19_what_is_permanent_decides_the_code_and_everything_is_listed() {
        use ErrorClass::{Bug, Denied, Invalid, NotFound, Temporary};
        let cases: &[(usize, &[ErrorClass], ErrorKind)] = &[
            (0, &[Temporary, Temporary], ErrorKind::Temporary),
            (0, &[Temporary, Denied], ErrorKind::Denied),
            (0, &[Denied, NotFound, Temporary], ErrorKind::Repository),
            (0, &[Invalid], ErrorKind::Repository),
            (0, &[Invalid, Bug], ErrorKind::Bug),
            (1, &[], ErrorKind::Repository),
            (1, &[Temporary, Denied], ErrorKind::Repository),
        ];
        for (nowhere, unknown, code) in cases {
            let refused = answer(*nowhere, unknown).all_pushed().unwrap_err();
            assert_eq!(refused.kind(), *code, "{nowhere} {unknown:?}");
            assert_eq!(refused.all_problems().len(), nowhere + unknown.len());
            assert_eq!(answer(*nowhere, unknown).known().is_err(), !unknown.is_empty(), "nowhere is an answer");
        }
        assert!(answer(0, &[]).all_pushed().unwrap().is_empty());
    }
}
