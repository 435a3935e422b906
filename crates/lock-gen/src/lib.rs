//! Reads the submodules of any git tree: gitlinks, .gitmodules, and files of a submodule at its locked commit.
