//! What long work says while it goes on.

use std::fmt;

use secrecy::SecretString;

/// Something that happened. The report does not depend on events.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step of a run began; [`Event::StepEnded`] follows.
    StepStarted {
        /// The step, such as `suite smoke`.
        step: &'a str,
    },
    /// A step of a run ended.
    StepEnded {
        /// The step, such as `suite smoke`.
        step: &'a str,
        /// How it ended, such as `ok`.
        result: &'a str,
        /// What it says, one line or more.
        detail: &'a str,
    },
    /// Work on a number of images began: [`Event::ImageResolved`] follows for each, [`Event::ResolvingEnded`] at last.
    ResolvingStarted {
        /// How many images are looked for.
        total: usize,
    },
    /// An image was looked at.
    ImageResolved {
        /// The service whose image it is. May come more than once.
        service: &'a str,
    },
    /// Images are waited for that are not there yet.
    WaitingForImages {
        /// The services whose images are missing.
        missing: &'a [&'a str],
        /// How many images are looked for.
        total: usize,
    },
    /// The work on images ended, well or not.
    ResolvingEnded,
    /// A secret that was read, and that nothing shows: a log that others write as well should mask it.
    Secret(&'a SecretString),
    /// Anything else that people should read while they wait, in one line.
    Note(&'a str),
}

/// Takes events as they happen; called from the thread that works, so it must not block for long.
pub trait Events: fmt::Debug + Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event<'_>);
}

/// Takes events and does nothing with them.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl Events for NoEvents {
    fn event(&self, _event: Event<'_>) {}
}
