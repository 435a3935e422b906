//! A repository with its forge or alone, for calls that work in any clone.

use std::sync::Arc;

use crate::clock::Clock;
use crate::context::{Context, Local, Settings, Surroundings};
use crate::error::Result;
use crate::events::Events;
use crate::forge_location::{locate_forge, no_forge};
use crate::report::v1::NotJudged;
use crate::workspace::Workspace;

/// A repository as it was found: with a forge, or alone.
#[derive(Debug)]
pub enum Opened {
    /// Its forge is at hand.
    WithForge(Box<Context>),
    /// There is none: what only a forge knows is not judged.
    Alone(Box<Workspace>),
}

impl Opened {
    /// Opens the repository, and its forge where one is named or found.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Repository`](crate::ErrorKind::Repository) where one of them cannot be opened. Where it is not known who acts, only calls that write
    /// end with an error.
    pub fn open(
        settings: Settings,
        surroundings: Surroundings,
        clock: Arc<dyn Clock>,
        events: Arc<dyn Events>,
    ) -> Result<Self> {
        let local = Local::open(&settings.repository, &surroundings)?;
        match locate_forge(settings.forge.as_deref(), &local) {
            Some(found) => {
                Context::with(local, found, settings, surroundings, clock, events).map(Box::new).map(Self::WithForge)
            }
            None => Workspace::open(local, &settings, surroundings, clock, events, None).map(Box::new).map(Self::Alone),
        }
    }
}

/// What a call about any clone is given: a [`Context`], a [`Workspace`] or what was [`Opened`].
#[derive(Clone, Copy, Debug)]
pub enum Site<'a> {
    /// With its forge.
    WithForge(&'a Context),
    /// Without one.
    Alone(&'a Workspace),
}

impl<'a> From<&'a Context> for Site<'a> {
    fn from(context: &'a Context) -> Self {
        Self::WithForge(context)
    }
}

impl<'a> From<&'a Workspace> for Site<'a> {
    fn from(workspace: &'a Workspace) -> Self {
        Self::Alone(workspace)
    }
}

impl<'a> From<&'a Opened> for Site<'a> {
    fn from(opened: &'a Opened) -> Self {
        match opened {
            Opened::WithForge(context) => Self::WithForge(context),
            Opened::Alone(workspace) => Self::Alone(workspace),
        }
    }
}

impl<'a> Site<'a> {
    /// The repository.
    pub(crate) fn workspace(self) -> &'a Workspace {
        match self {
            Self::WithForge(context) => context,
            Self::Alone(workspace) => workspace,
        }
    }

    /// The repository with its forge; `None` where there is none.
    pub(crate) fn context(self) -> Option<&'a Context> {
        match self {
            Self::WithForge(context) => Some(context),
            Self::Alone(_) => None,
        }
    }

    /// The repository with its forge, for what only a forge answers.
    pub(crate) fn forge(self) -> Result<&'a Context> {
        self.context().ok_or_else(no_forge)
    }

    /// Fetches what the forge has; nothing where there is none.
    pub(crate) fn sync(self) -> Result<()> {
        self.context().map_or(Ok(()), Context::sync)
    }

    /// What cannot be judged without a forge; empty where there is one.
    pub(crate) fn not_judged(self, questions: &[&str]) -> Vec<NotJudged> {
        if self.context().is_some() { Vec::new() } else { NotJudged::without_forge(questions) }
    }
}
