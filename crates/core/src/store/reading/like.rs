//! Patterns of ILIKE.

/// The pattern of all texts that contain this one literally.
pub(super) fn contains_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for char in text.chars() {
        if matches!(char, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_match_literally() {
        assert_eq!(contains_pattern("100%_\\길"), "%100\\%\\_\\\\길%");
    }
}
