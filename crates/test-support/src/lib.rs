//! Parts that tests share: repositories made by script, images, registries, the sandboxed binary.
