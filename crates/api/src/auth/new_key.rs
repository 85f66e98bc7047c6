//! `dce-api keys new`: makes a key, of which only the digest is kept.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, ValueEnum};
use dce_core::settings::{Mistakes, SettingsParser};
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::keys::{self, Scope};

/// What every key begins with, so that whoever finds one knows what it is.
const PREFIX: &str = "dce_";
/// Random bytes of a key: far more than can be guessed.
const KEY_BYTES: usize = 32;

/// Arguments of the command.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct NewKeyArguments {
    /// Whose key it is: shown with the exports that it creates; limits count by it
    name: String,
    /// What its holder may do
    #[arg(long, value_enum, default_value = "write")]
    scope: ScopeArgument,
}

/// The scopes on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeArgument {
    /// Look at exports and at the archive
    Read,
    /// That, and create, cancel and retry exports
    Write,
}

impl NewKeyArguments {
    /// Makes the key and writes it down, once. The key alone is on standard output's first line.
    pub fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        self.check()?;
        let mut bytes = [0; KEY_BYTES];
        OsRng.try_fill_bytes(&mut bytes)?;
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let scope = match self.scope {
            ScopeArgument::Read => Scope::Read,
            ScopeArgument::Write => Scope::Write,
        };
        writeln!(out, "{key}")?;
        writeln!(out)?;
        writeln!(
            out,
            "This is the only time the key is shown. Its holder sends: Authorization: Bearer <key>"
        )?;
        writeln!(
            out,
            "Add this to API_KEYS, behind a comma if something stands there, and start the API again:"
        )?;
        writeln!(out)?;
        writeln!(out, "{}:{}:{}", self.name, scope.as_str(), keys::digest(&key))?;
        Ok(())
    }

    fn check(&self) -> Result<(), Mistakes> {
        let mut reader = SettingsParser::default();
        if !keys::is_name(&self.name) {
            reader.mistake("NAME", "must be 1 to 64 of A-Z a-z 0-9 . _ -");
        }
        reader.finish(Some(()))
    }
}
