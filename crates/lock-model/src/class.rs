/// What kind of failure an error is: the only thing that retries and exit codes look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorClass {
    /// The thing that was asked for does not exist.
    NotFound,
    /// A remote refused: credentials or permission.
    Denied,
    /// A remote could not be reached or was busy: asking again can help.
    Temporary,
    /// The input, or an answer, is wrong and stays wrong.
    Invalid,
    /// A fault of this program.
    Bug,
}
