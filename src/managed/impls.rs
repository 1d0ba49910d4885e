//! What all managed handles can do.

/// For a handle with a field `held`, and a field `types` of its type parameters, whose object has this shape.
macro_rules! impl_managed {
    ($handle:ident $(<$($parameter:ident),*>)?, $shape:expr) => {
        impl $(<$($parameter),*>)? $handle $(<$($parameter),*>)? {
            /// A new object; `start`: its first item.
            pub(super) fn make(
                engine: &super::engine::Engine,
                start: Option<&super::kept::Stored>,
            ) -> crate::Result<Self> {
                Ok(Self::of(engine.make($shape, &Self::stamp(), start)?))
            }

            pub(super) fn of(held: std::sync::Arc<super::held::Held>) -> Self {
                $handle { held, types: std::marker::PhantomData }
            }

            /// What tells its objects from those of other types.
            pub(super) fn stamp() -> crate::TypeStamp {
                crate::segment::type_stamp::<Self>()
            }
        }

        /// The same object.
        impl $(<$($parameter),*>)? Clone for $handle $(<$($parameter),*>)? {
            fn clone(&self) -> Self {
                Self::of(std::sync::Arc::clone(&self.held))
            }
        }

        /// Within a transfer to another process, and into an object of the same manager.
        impl $(<$($parameter),*>)? serde::Serialize for $handle $(<$($parameter),*>)? {
            fn serialize<Z: serde::Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
                super::travel::serialize(&self.held, serializer)
            }
        }

        /// Within a transfer from another process, and out of an object of the same manager.
        impl<'de $(, $($parameter),*)?> serde::Deserialize<'de> for $handle $(<$($parameter),*>)? {
            fn deserialize<Z: serde::Deserializer<'de>>(deserializer: Z) -> Result<Self, Z::Error> {
                super::travel::deserialize(deserializer, $shape, &Self::stamp()).map(Self::of)
            }
        }

        impl $(<$($parameter),*>)? std::fmt::Debug for $handle $(<$($parameter),*>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($handle)).finish_non_exhaustive()
            }
        }
    };
}

pub(super) use impl_managed;
