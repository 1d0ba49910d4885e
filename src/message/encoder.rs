//! postcard's serializer, which refuses what would not come out as it went in.
//!
//! The encoding says neither which fields there are nor what they are called: the reader expects all of them. A field that
//! `#[serde(skip_serializing_if)]` leaves out would shift those behind it, mostly without anybody's noticing. postcard does
//! not look at [`SerializeStruct::skip_field`](ser::SerializeStruct::skip_field), and so all its calls go through here. Nor does it
//! keep what a type says when it refuses: [`said`].

use std::cell::Cell;
use std::fmt;

use postcard::Error;
use postcard::ser_flavors::Flavor;
use serde::ser::{self, Serialize};

/// What [`encode`] says of a field that was left out; the serializer itself never does.
pub(super) const LEFT_OUT: Error = Error::WontImplement;

/// Encodes `message` into `output`.
#[inline]
pub(super) fn encode<M: Serialize + ?Sized, F: Flavor>(message: &M, output: F) -> Result<F::Output, Error> {
    let mut serializer = postcard::Serializer { output };
    message.serialize(Encoder(&mut serializer)).map_err(|Refusal(error)| error)?;
    serializer.output.finalize()
}

thread_local! {
    /// What a type has said. Not in the error, which has to be returned from each call, and is a byte.
    static SAID: Cell<Option<String>> = const { Cell::new(None) };
}

/// What a type said when [`encode`] failed with [`SerdeSerCustom`](Error::SerdeSerCustom) a moment ago on this thread.
pub(super) fn said() -> Option<String> {
    SAID.try_with(Cell::take).ok().flatten() // a thread that ends has forgotten it
}

#[derive(Debug)]
struct Refusal(Error);

impl ser::Error for Refusal {
    #[cold]
    fn custom<T: fmt::Display>(said: T) -> Self {
        // Before anything is touched here: what is said may have been encoded, too.
        let said = said.to_string();
        let _ = SAID.try_with(|last| last.set(Some(said)));
        Refusal(Error::SerdeSerCustom)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

struct Encoder<'a, F: Flavor>(&'a mut postcard::Serializer<F>);

impl<F: Flavor> Encoder<'_, F> {
    /// For what lies inside.
    #[inline]
    fn again(&mut self) -> Encoder<'_, F> {
        Encoder(self.0)
    }
}

macro_rules! plain {
    ($($serialize:ident($($value:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $serialize(self $(, $value: $type)*) -> Result<(), Refusal> {
            self.0.$serialize($($value),*).map_err(Refusal)
        }
    )*};
}

macro_rules! compound {
    ($($serialize:ident($($value:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $serialize(self $(, $value: $type)*) -> Result<Self, Refusal> {
            self.0.$serialize($($value),*).map(Encoder).map_err(Refusal)
        }
    )*};
}

impl<F: Flavor> ser::Serializer for Encoder<'_, F> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    plain! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    compound! {
        serialize_seq(length: Option<usize>);
        serialize_tuple(length: usize);
        serialize_tuple_struct(name: &'static str, length: usize);
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize);
        serialize_map(length: Option<usize>);
        serialize_struct(name: &'static str, length: usize);
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize);
    }

    #[inline]
    fn serialize_some<V: Serialize + ?Sized>(mut self, value: &V) -> Result<(), Refusal> {
        // As postcard writes it: a byte in front of the value.
        self.again().serialize_u8(1)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_struct<V: Serialize + ?Sized>(self, _name: &'static str, value: &V) -> Result<(), Refusal> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<V: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &V,
    ) -> Result<(), Refusal> {
        self.again().serialize_unit_variant(name, index, variant)?;
        value.serialize(self)
    }

    #[inline]
    fn collect_str<V: fmt::Display + ?Sized>(self, value: &V) -> Result<(), Refusal> {
        self.0.collect_str(value).map_err(Refusal)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! parts {
    ($($compound:ident { $($serialize:ident($($key:ident)?)),* $(; $skip:ident())? })*) => {$(
        impl<F: Flavor> ser::$compound for Encoder<'_, F> {
            type Ok = ();
            type Error = Refusal;

            $(
                #[inline]
                fn $serialize<V: Serialize + ?Sized>(&mut self, $($key: &'static str,)? value: &V) -> Result<(), Refusal> {
                    value.serialize(self.again())
                }
            )*

            $(
                #[cold]
                fn $skip(&mut self, _name: &'static str) -> Result<(), Refusal> {
                    Err(Refusal(LEFT_OUT))
                }
            )?

            #[inline]
            fn end(self) -> Result<(), Refusal> {
                Ok(())
            }
        }
    )*};
}

parts! {
    SerializeSeq { serialize_element() }
    SerializeTuple { serialize_element() }
    SerializeTupleStruct { serialize_field() }
    SerializeTupleVariant { serialize_field() }
    SerializeMap { serialize_key(), serialize_value() }
    SerializeStruct { serialize_field(_name); skip_field() }
    SerializeStructVariant { serialize_field(_name); skip_field() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    enum Any {
        Unit,
        Newtype(Option<u64>),
        Tuple(i8, char, f32),
        Struct { text: String, map: BTreeMap<u16, (bool, i128)>, none: Option<()> },
    }

    #[derive(Serialize, Deserialize)]
    struct Newtype(f64);

    #[test]
    fn the_bytes_are_those_of_postcard() {
        let map = BTreeMap::from([(300, (true, -1 << 90)), (4, (false, 7))]);
        let each = [
            Any::Unit,
            Any::Newtype(Some(1 << 40)),
            Any::Tuple(-3, 'ß', 0.5),
            Any::Struct { text: "text".into(), map, none: None },
        ];
        let message = (&each[..], Newtype(1.5), [i64::MIN; 3], u128::MAX, format_args!("{}", 7));
        let ours = encode(&message, postcard::ser_flavors::StdVec::new()).unwrap();
        assert_eq!(ours, postcard::to_stdvec(&message).unwrap());
    }
}
