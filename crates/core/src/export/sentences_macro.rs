//! The macro that declares codes with sentences for users: failures (`failure/sentences.rs`) and warnings (`warnings.rs`).

/// Declares an enum of codes, each with a message (one sentence about the finding) and an action (the remedy).
macro_rules! sentences {
    ($(#[$attribute:meta])* $kind:ident {
        $($(#[$doc:meta])* $name:ident = $code:literal, $message:literal, $action:literal;)*
    }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $kind { $($(#[$doc])* $name,)* }

        impl $kind {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }

            pub const fn action(self) -> &'static str {
                match self { $(Self::$name => $action,)* }
            }
        }
    };
}
pub(super) use sentences;
