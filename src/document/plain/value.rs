//! Values that stand after a key or in a list.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_spanned::de::{SpannedDeserializer, is_spanned};

use super::scan::Reader;
use super::{Ascending, NotPlain};

/// The value that the reader stands at.
pub(super) struct Value<'r, 't>(pub &'r mut Reader<'t>);

impl<'t> IntoDeserializer<'t, NotPlain> for Value<'_, 't> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'t> Deserializer<'t> for Value<'_, 't> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.0.peek() {
            Some(b'"') => visitor.visit_borrowed_str(self.0.string()?),
            Some(b'[') => {
                self.0.expect(b'[')?;
                visitor.visit_seq(List(self.0))
            }
            Some(b'{') => {
                self.0.expect(b'{')?;
                visitor.visit_map(Braces { reader: self.0, begun: false, names: None })
            }
            Some(b't' | b'f') => visitor.visit_bool(self.0.truth()?),
            Some(_) => visitor.visit_i64(self.0.number()?),
            None => Err(NotPlain),
        }
    }

    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        self.0.expect(b'{')?;
        visitor.visit_map(Braces { reader: self.0, begun: false, names: Some(Ascending::default()) })
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        if is_spanned(name) {
            let span = self.0.at()..self.0.end_of_value()?;
            return visitor.visit_map(SpannedDeserializer::new(self, span));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(self, _: &'static str, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0.string()?))
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, _: V) -> Result<V::Value, NotPlain> {
        Err(NotPlain)
    }

    forward_to_deserialize_any! {
        <W: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct identifier
    }
}

/// `[a, b]`, after its bracket.
struct List<'r, 't>(&'r mut Reader<'t>);

impl<'t> SeqAccess<'t> for List<'_, 't> {
    type Error = NotPlain;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, NotPlain> {
        self.0.blank();
        if self.0.take(b']') {
            return Ok(None);
        }
        let element = seed.deserialize(Value(self.0))?;
        self.0.blank();
        if !self.0.take(b',') && self.0.peek() != Some(b']') {
            return Err(NotPlain);
        }
        Ok(Some(element))
    }
}

/// `{ a = 1, b = 2 }`, after its brace; on one line.
struct Braces<'r, 't> {
    reader: &'r mut Reader<'t>,
    begun: bool,
    /// Of a table whose keys are free.
    names: Option<Ascending<'t>>,
}

impl<'t> MapAccess<'t> for Braces<'_, 't> {
    type Error = NotPlain;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, NotPlain> {
        self.reader.spaces();
        if self.reader.take(b'}') {
            return Ok(None);
        }
        if std::mem::replace(&mut self.begun, true) {
            self.reader.expect(b',')?;
            self.reader.spaces();
        }
        let key = self.reader.key()?;
        if let Some(names) = &mut self.names {
            names.accept(key)?;
        }
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, NotPlain> {
        seed.deserialize(Value(self.reader))
    }
}
