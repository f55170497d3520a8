//! What can be wrong with BTF: bytes that do not parse, or a request that BTF cannot express.

use std::fmt;

/// Why bytes are not BTF, or why BTF cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The fact, in lower case without a full stop.
    pub message: String,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Error {
        Error { message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What reading and writing BTF returns.
pub type Result<T> = std::result::Result<T, Error>;
