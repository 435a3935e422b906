//! Pull requests as their authors, reviewers and mergers see and change them.

mod change;
mod name;
mod review;
mod view;

pub use change::{close_pull_request, merge_pull_request, open_pull_request, ready_pull_request};
pub use name::{PullRequestName, find_pull_request};
pub use review::{Ask, ReviewRequest, review_pull_request};
pub use view::{PullRequestFilter, check_pull_request, list_pull_requests, view_pull_request};
