//! `dce-api keys new`: makes a key. Only its digest is kept.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, ValueEnum};
use dce_core::settings::{Mistakes, SettingsParser};
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::keys::{self, Scope};

/// Prefix of every key, by which a leaked one is recognised.
const PREFIX: &str = "dce_";
/// Random bytes of a key: too many to guess.
const KEY_BYTES: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct NewKeyArguments {
    /// Name of the client that uses the key: 1 to 64 of the characters A-Z a-z 0-9 . _ -. Each export records the name
    /// of the client that created it; the rate limit applies per name
    name: String,
    /// Permissions of the key
    #[arg(long, value_enum, default_value = "write")]
    scope: ScopeArgument,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeArgument {
    /// Read exports and the archive
    Read,
    /// Read exports and the archive; create, cancel and retry exports
    Write,
}

impl NewKeyArguments {
    /// Makes a key and prints it, once. The first line of the output is the key alone.
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
        writeln!(out, "The key is shown only this once. The client sends: Authorization: Bearer <key>")?;
        writeln!(
            out,
            "Append this entry to API_KEYS, after a comma if there are other entries, and restart the API:"
        )?;
        writeln!(out)?;
        writeln!(out, "{}:{}:{}", self.name, scope.as_str(), keys::digest(&key))?;
        Ok(())
    }

    fn check(&self) -> Result<(), Mistakes> {
        let mut reader = SettingsParser::default();
        if !keys::is_name(&self.name) {
            reader.mistake("NAME", "must be 1 to 64 of the characters A-Z a-z 0-9 . _ -");
        }
        reader.finish(Some(()))
    }
}
