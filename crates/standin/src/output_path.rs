//! `--output`: file or folder, template tokens, DCE's own file names.

use std::path::{Path, PathBuf};

use dce_standin::header::Header;
use dce_standin::snowflake::Snowflake;

/// The parts of a file's name.
pub(crate) struct Naming<'a> {
    pub(crate) header: &'a Header,
    pub(crate) after: Option<Snowflake>,
    pub(crate) before: Option<Snowflake>,
    /// `yyyy-MM-dd`
    pub(crate) today: &'a str,
}

/// The file for a channel. A path that is a folder, has no extension or ends with a slash is a folder, in which DCE
/// chooses the name.
pub(crate) fn resolve(output: &str, current_dir: &Path, naming: &Naming<'_>) -> PathBuf {
    let path = naming.fill_in(output);
    let full = current_dir.join(&path);
    if is_folder(&path) || full.is_dir() { full.join(naming.default_file_name()) } else { full }
}

/// Whether all channels would be written to the same file.
pub(crate) fn is_single_file(output: &str, current_dir: &Path) -> bool {
    !(output.contains('%') || is_folder(output) || current_dir.join(output).is_dir())
}

/// The path of part `number`, from 1: `part.json`, `part [part 2].json`, …
pub(crate) fn part(base: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return base.to_path_buf();
    }
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let extension =
        base.extension().map_or(String::new(), |extension| format!(".{}", extension.to_string_lossy()));
    base.with_file_name(format!("{stem} [part {number}]{extension}"))
}

/// .NET counts `.json` alone as an extension, and `x.` as none.
fn is_folder(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.rsplit_once('.').is_none_or(|(_, extension)| extension.trim().is_empty())
}

fn escape(name: &str) -> String {
    let forbidden = |letter| matches!(letter, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '\0');
    name.chars().map(|letter| if forbidden(letter) { '_' } else { letter }).collect()
}

impl Naming<'_> {
    fn default_file_name(&self) -> String {
        let Header { guild, channel, .. } = self.header;
        let parent = channel.category.as_ref().map_or(String::new(), |category| format!(" - {category}"));
        let range = match (day(self.after), day(self.before)) {
            (None, None) => String::new(),
            (Some(after), None) => format!(" (after {after})"),
            (None, Some(before)) => format!(" (before {before})"),
            (Some(after), Some(before)) => format!(" ({after} to {before})"),
        };
        escape(&format!("{}{parent} - {} [{}]{range}.json", guild.name, channel.name, channel.id))
    }

    fn fill_in(&self, template: &str) -> String {
        let mut path = String::with_capacity(template.len());
        let mut letters = template.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                path.push(letter);
                continue;
            }
            match letters.next() {
                Some(token) => match self.token(token) {
                    Some(value) => path.push_str(&escape(&value)),
                    None => path.extend(['%', token]),
                },
                None => path.push('%'),
            }
        }
        path
    }

    fn token(&self, token: char) -> Option<String> {
        let Header { guild, channel, .. } = self.header;
        Some(match token {
            'g' => guild.id.clone(),
            'G' => guild.name.clone(),
            't' => channel.category_id.clone().unwrap_or_default(),
            'T' => channel.category.clone().unwrap_or_default(),
            'c' => channel.id.clone(),
            'C' => channel.name.clone(),
            // Positions are not in the document.
            'p' | 'P' => "0".into(),
            'a' => day(self.after).unwrap_or_default(),
            'b' => day(self.before).unwrap_or_default(),
            'd' => self.today.into(),
            '%' => "%".into(),
            _ => return None,
        })
    }
}

fn day(bound: Option<Snowflake>) -> Option<String> {
    bound.map(|bound| bound.date().format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Naming, part, resolve};
    use dce_standin::header::Header;
    use dce_standin::snowflake::Snowflake;

    fn resolved(output: &str, after: Option<Snowflake>) -> PathBuf {
        let head = r#"{ "guild": {"id": "1", "name": "A | B"},
            "channel": {"id": "3", "name": "c", "category": "cat", "categoryId": "2"}, "#;
        let header = Header::from_bytes(head.into()).unwrap();
        let naming = Naming { header: &header, after, before: None, today: "2026-11-22" };
        resolve(output, Path::new("/nowhere"), &naming)
    }

    #[test]
    fn a_path_with_an_extension_is_a_file_and_tokens_are_filled_in() {
        assert_eq!(resolved("x.json", None), Path::new("/nowhere/x.json"));
        assert_eq!(resolved("/o/100%done%c.json", None), Path::new("/o/1002026-11-22one3.json"));
        assert_eq!(resolved("/o/%G-%t-%%-%z%.json", None), Path::new("/o/A _ B-2-%-%z%.json"));
    }

    #[test]
    fn other_paths_are_folders() {
        for output in ["/o", "/o/", "/o.d/plain"] {
            let file = resolved(output, None);
            assert_eq!(file, Path::new(output).join("A _ B - cat - c [3].json"));
        }
        let after = Snowflake::parse("2024-07-03T09:50:40Z", true).ok();
        assert!(resolved("/o", after).ends_with("A _ B - cat - c [3] (after 2024-07-03).json"));
    }

    #[test]
    fn parts_are_numbered_from_the_second() {
        let base = Path::new("/o/part.json");
        assert_eq!(
            [part(base, 1), part(base, 2)],
            ["/o/part.json", "/o/part [part 2].json"].map(PathBuf::from)
        );
    }
}
