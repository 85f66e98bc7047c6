//! The address of a server as a connection URL.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::SOCKET_PORT;

#[derive(Clone)]
pub(super) enum Address {
    /// On a socket in this directory, which is closed to other users.
    Socket(PathBuf),
    /// On 127.0.0.1.
    Tcp { port: u16, password: String },
}

impl std::fmt::Debug for Address {
    /// Omits the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(directory) => write!(f, "Socket({})", directory.display()),
            Self::Tcp { port, .. } => write!(f, "Tcp({port})"),
        }
    }
}

impl Address {
    pub(super) fn url(&self, database: &str) -> String {
        let database = percent_encoded(database.as_bytes());
        match self {
            Self::Socket(directory) => {
                let host = percent_encoded(directory.as_os_str().as_bytes());
                format!("postgres://postgres@{host}:{SOCKET_PORT}/{database}")
            }
            Self::Tcp { port, password } => {
                format!("postgres://postgres:{password}@127.0.0.1:{port}/{database}")
            }
        }
    }
}

/// Encodes all but letters, digits and `-_.~` as `%XX`.
fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}"); // writing to a String cannot fail
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_directory_becomes_the_host() {
        let address = Address::Socket("/tmp/a b,ü".into());
        assert_eq!(address.url("x"), "postgres://postgres@%2Ftmp%2Fa%20b%2C%C3%BC:5432/x");
    }

    #[test]
    fn debug_output_hides_the_password() {
        let address = Address::Tcp { port: 1, password: "secret".into() };
        assert_eq!(address.url("x"), "postgres://postgres:secret@127.0.0.1:1/x");
        assert!(!format!("{address:?}").contains("secret"));
    }
}
