//! The JSON bodies of answers, with the descriptions of the OpenAPI document. Each is made from a plain type of the core.

pub mod blocker;
pub mod channel;
pub mod export;
pub mod export_summary;
pub mod fault;
pub mod progress;

/// Declares a body and its conversion from a type of the core. A field has the value of the field with the same name, unless
/// another value follows it.
macro_rules! body {
    ($(#[$attribute:meta])* $name:ident from $source:ident: $type:ty {
        $($(#[$field_attribute:meta])* $field:ident: $field_type:ty $(= $value:expr)?,)*
    }) => {
        #[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
        $(#[$attribute])*
        pub struct $name {
            $($(#[$field_attribute])* pub $field: $field_type,)*
        }

        impl From<$type> for $name {
            fn from($source: $type) -> Self {
                Self { $($field: $crate::wire::body!(@value $source $field $($value)?),)* }
            }
        }
    };
    (@value $source:ident $field:ident) => { $source.$field };
    (@value $source:ident $field:ident $value:expr) => { $value };
}
use body;

/// Converts a list.
pub fn all<T: Into<B>, B>(rows: Vec<T>) -> Vec<B> {
    rows.into_iter().map(Into::into).collect()
}
