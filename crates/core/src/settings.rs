//! Settings come from the environment as text; here they are read so that all mistakes are reported at once, each with
//! its remedy, and without the value: it may be a secret.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Every mistake in the settings, one line each.
#[derive(Debug, thiserror::Error)]
pub struct Mistakes(Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the settings are not usable:")?;
        self.0.iter().try_for_each(|mistake| writeln!(f, "  {mistake}"))?;
        write!(f, "--help explains every setting.")
    }
}

/// Reads settings one by one and collects what is wrong with them.
#[derive(Debug, Default)]
pub struct Reader {
    mistakes: Vec<String>,
}

impl Reader {
    /// Notes a mistake: "NAME remedy".
    pub fn mistake(&mut self, name: &str, remedy: impl fmt::Display) {
        self.mistakes.push(format!("{name} {remedy}"));
    }

    /// A setting without a default. Set but empty counts as not set.
    pub fn required(&mut self, name: &str, value: Option<String>, what: &str) -> Option<String> {
        let value = value.filter(|value| !value.trim().is_empty());
        if value.is_none() {
            self.mistake(name, format_args!("is not set: {what}"));
        }
        value
    }

    /// A setting that its type can read; the type's error is the remedy.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, value: &str) -> Option<T> {
        value.trim().parse().map_err(|error| self.mistake(name, error)).ok()
    }

    /// A whole number within bounds.
    pub fn number(&mut self, name: &str, value: &str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let number = value.trim().parse().ok().filter(|number| bounds.contains(number));
        if number.is_none() {
            self.mistake(
                name,
                format_args!("must be a whole number from {} to {}", bounds.start(), bounds.end()),
            );
        }
        number
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str, value: &str) -> Option<bool> {
        match value.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => {
                self.mistake(name, "must be true or false");
                None
            }
        }
    }

    /// A time span such as `25s`, `10m`, `2h`; not zero.
    pub fn duration(&mut self, name: &str, value: &str) -> Option<Duration> {
        let duration = humantime::parse_duration(value.trim()).ok().filter(|duration| !duration.is_zero());
        if duration.is_none() {
            self.mistake(name, "must be a time span such as 25s, 10m or 2h");
        }
        duration
    }

    /// The settings, or everything that is wrong. A reading that failed has noted why.
    pub fn finish<T>(self, settings: Option<T>) -> Result<T, Mistakes> {
        match settings {
            Some(settings) if self.mistakes.is_empty() => Ok(settings),
            _ => Err(Mistakes(self.mistakes)),
        }
    }
}

/// Reads `.env` of the working directory, for running by hand; what the environment has already wins. Not on Render,
/// where the platform's settings are the only ones.
pub fn load_dotenv() -> Result<(), Mistakes> {
    if std::env::var_os("RENDER").is_some() {
        return Ok(());
    }
    match dotenvy::from_path(".env") {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // The error's own text would quote the line, which may hold a secret.
        Err(dotenvy::Error::LineParse(_, index)) => Err(Mistakes(vec![format!(
            ".env cannot be read: a line is no NAME=value (near character {index} of it)"
        )])),
        Err(_) => {
            Err(Mistakes(vec![".env cannot be read: check that it is a readable UTF-8 file".to_owned()]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_reported_and_no_value() {
        let mut reader = Reader::default();
        reader.required("A", Some(String::new()), "the address");
        reader.number("B", "hunter2", 1..=9);
        reader.duration("C", "hunter2");
        reader.flag("D", "hunter2");
        let text = reader.finish(Some(())).unwrap_err().to_string();
        for name in ["A is not set", "B must", "C must", "D must"] {
            assert!(text.contains(name), "{text}");
        }
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn good_values_are_read() {
        let mut reader = Reader::default();
        assert_eq!(reader.duration("C", "10m"), Some(Duration::from_mins(10)));
        assert_eq!(reader.number("B", " 9 ", 1..=9), Some(9));
        assert_eq!(reader.flag("D", "TRUE"), Some(true));
        assert!(reader.finish(Some(())).is_ok());
    }
}
