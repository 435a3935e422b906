words! {
    /// What kind of failure an error is: the only thing that retries and exit codes look at.
    ///
    /// Every error type of the workspace has a method `class`.
    ErrorClass, "class of an error" {
        /// The thing that was asked for does not exist: a tag, a platform of an index, a commit. Asking again helps only
        /// where it may still come, such as an image that is being built.
        NotFound = "not found",
        /// A remote refused for lack of a login or a permission. Asking again without another login does not help.
        Denied = "denied",
        /// A remote could not be reached, was busy, or did not answer in time. Asking again can help.
        Temporary = "temporary",
        /// A file cannot be read or written here: the disk is full, read-only, or permission is missing.
        Storage = "storage",
        /// An input, a setting or an answer is wrong and stays wrong: a file, a certificate that is not trusted, a digest
        /// that does not fit. Asking again does not help.
        Invalid = "invalid",
        /// A fault of this program.
        Bug = "bug",
    }
}

impl ErrorClass {
    /// Whether the same request can succeed later without any change.
    pub fn is_temporary(self) -> bool {
        self == Self::Temporary
    }

    /// [`Storage`](Self::Storage) where the disk is full or read-only or a permission is missing, else `otherwise`.
    pub fn of_io(error: &std::io::Error, otherwise: Self) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied => Self::Storage,
            _ => otherwise,
        }
    }
}
