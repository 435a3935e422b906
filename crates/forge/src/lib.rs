//! Forges: pull requests, reviews, statuses, comments, commits, releases. Here: the local file forge.
