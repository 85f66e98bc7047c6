//! JSON bodies of responses, with their descriptions in the OpenAPI document. Each is converted from a type of the core.

pub mod blocker;
pub mod channel;
pub mod export;
pub mod export_summary;
pub mod fault;
pub mod progress;

/// Declares a body and its conversion from a type of the core. A field without a value gets the value of the field with the
/// same name from the source, or from the row after `else`.
macro_rules! body {
    ($(#[$attribute:meta])* $name:ident from $source:ident: $type:ty {
        $($(#[$field_attribute:meta])* $field:ident: $field_type:ty $(= $value:expr)?,)*
    } else $row:expr) => {
        #[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
        $(#[$attribute])*
        pub struct $name {
            $($(#[$field_attribute])* pub $field: $field_type,)*
        }

        impl From<$type> for $name {
            fn from($source: $type) -> Self {
                Self { $($field: $crate::wire::body!(@value ($row) $field $($value)?),)* }
            }
        }
    };
    (@value ($row:expr) $field:ident) => { $row.$field };
    (@value ($row:expr) $field:ident $value:expr) => { $value };
    ($(#[$attribute:meta])* $name:ident from $source:ident: $type:ty { $($fields:tt)* }) => {
        $crate::wire::body! { $(#[$attribute])* $name from $source: $type { $($fields)* } else $source }
    };
}
use body;

/// Converts a list of rows to bodies.
pub fn all<T: Into<B>, B>(rows: Vec<T>) -> Vec<B> {
    rows.into_iter().map(Into::into).collect()
}
