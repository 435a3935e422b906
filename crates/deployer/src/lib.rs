//! Deployment targets: plan, apply, prove. Here: render, the pinned tree in a git branch and a folder.
