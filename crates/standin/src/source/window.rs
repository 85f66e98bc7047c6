//! The messages that `--after` and `--before` select.

use crate::snowflake::Snowflake;

pub struct Window {
    after: Option<Snowflake>,
    before: Option<Snowflake>,
    /// The millisecond of the newest message seen so far below `before`.
    newest_below: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum WindowPosition {
    Below,
    Inside,
    Above,
}

impl Window {
    pub fn new(after: Option<Snowflake>, before: Option<Snowflake>) -> Self {
        Self { after, before, newest_below: None }
    }

    /// The position of the next message; messages must come in order. `after` is exact. `before` is not: DCE requests the
    /// newest message below it and then stops at the first message of a later millisecond, so those of the same one pass.
    pub fn position(&mut self, id: Snowflake) -> WindowPosition {
        match self.before {
            Some(before) if id >= before && self.newest_below != Some(id.millisecond()) => {
                return WindowPosition::Above;
            }
            Some(before) if id < before => self.newest_below = Some(id.millisecond()),
            _ => {}
        }
        if self.after.is_some_and(|after| id <= after) {
            WindowPosition::Below
        } else {
            WindowPosition::Inside
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Window, WindowPosition};
    use crate::snowflake::Snowflake;

    fn inside(after: Option<u64>, before: Option<u64>, ids: &[u64]) -> Vec<u64> {
        let mut window = Window::new(after.map(Snowflake), before.map(Snowflake));
        ids.iter().copied().filter(|&id| window.position(Snowflake(id)) == WindowPosition::Inside).collect()
    }

    #[test]
    fn after_is_exact_and_before_admits_its_own_millisecond() {
        let ms = |ms: u64, low: u64| (ms << 22) + low;
        let ids = [ms(1, 0), ms(2, 0), ms(2, 1), ms(2, 2), ms(3, 0)];
        assert_eq!(inside(Some(ms(2, 0)), None, &ids), ids[2..]);
        assert_eq!(inside(None, Some(ms(2, 1)), &ids), ids[..4]);
        assert_eq!(inside(None, Some(ms(2, 0)), &ids), ids[..1]);
        assert_eq!(inside(Some(ms(2, 0)), Some(ms(2, 1)), &ids), ids[2..4]);
    }
}
