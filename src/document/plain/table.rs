//! Tables with headers: what stands below `[a]` up to the next header, and then the tables whose headers begin with `a.`.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_spanned::de::{SpannedDeserializer, is_spanned};

use super::scan::{Header, Reader};
use super::value::Value;
use super::{Ascending, NotPlain};

/// A table; the reader stands after its header, or, where only parts of it have one, before the first of theirs.
pub(super) struct Table<'r, 't> {
    reader: &'r mut Reader<'t>,
    /// As in its header; empty: the document.
    path: &'t str,
    /// The place of its header.
    span: std::ops::Range<usize>,
    next: Next<'t>,
    names: Option<Ascending<'t>>,
}

#[derive(Clone, Copy)]
enum Next<'t> {
    /// Keys with their values.
    Keys,
    /// Tables below it; with a header, that of the one whose key was given last.
    Tables(Option<(&'t str, Header<'t>)>),
}

impl<'r, 't> Table<'r, 't> {
    pub fn root(reader: &'r mut Reader<'t>) -> Self {
        Self { reader, path: "", span: 0..0, next: Next::Keys, names: None }
    }

    fn below(reader: &'r mut Reader<'t>, header: &Header<'t>) -> Result<Self, NotPlain> {
        reader.enter(header)?;
        Ok(Self { reader, path: header.path, span: header.start..header.end, next: Next::Keys, names: None })
    }

    /// The header that comes next, if it is of a table below this one, and the path to the part of it that is next.
    fn part(&mut self) -> Result<Option<(&'t str, &'t str, Header<'t>)>, NotPlain> {
        let Some(header) = self.reader.header()? else { return Ok(None) };
        let rest = match self.path.is_empty() {
            true => Some(header.path),
            false => header.path.strip_prefix(self.path).and_then(|rest| rest.strip_prefix('.')),
        };
        let Some(rest) = rest else { return Ok(None) };
        let key = rest.split('.').next().unwrap_or(rest);
        let path = header.path.get(..header.path.len() - rest.len() + key.len()).ok_or(NotPlain)?;
        Ok(Some((key, path, header)))
    }
}

impl<'t> MapAccess<'t> for Table<'_, 't> {
    type Error = NotPlain;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, NotPlain> {
        if let Next::Keys = self.next {
            self.reader.blank();
            if matches!(self.reader.peek(), None | Some(b'[')) {
                self.next = Next::Tables(None);
            }
        }
        let key = match self.next {
            Next::Keys => self.reader.key()?,
            Next::Tables(_) => {
                let Some((key, path, header)) = self.part()? else { return Ok(None) };
                self.next = Next::Tables(Some((path, header)));
                key
            }
        };
        if let Some(names) = &mut self.names {
            names.accept(key)?;
        }
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, NotPlain> {
        match self.next {
            Next::Keys => {
                let value = seed.deserialize(Value(self.reader))?;
                self.reader.line_ends()?;
                Ok(value)
            }
            Next::Tables(None) => Err(NotPlain),
            Next::Tables(Some((path, header))) if path == header.path && header.is_list => {
                seed.deserialize(Tables { reader: self.reader, first: header })
            }
            Next::Tables(Some((path, header))) if path == header.path => seed.deserialize(Table::below(self.reader, &header)?),
            // Only tables below it have headers: its place is its name in theirs.
            Next::Tables(Some((path, header))) => {
                let name = path.rsplit('.').next().unwrap_or(path);
                let end = header.start + 1 + usize::from(header.is_list) + path.len();
                let (span, next) = (end - name.len()..end, Next::Tables(None));
                seed.deserialize(Table { reader: self.reader, path, span, next, names: None })
            }
        }
    }
}

impl<'t> IntoDeserializer<'t, NotPlain> for Table<'_, 't> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'t> Deserializer<'t> for Table<'_, 't> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_map(self)
    }

    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_map(Self { names: Some(Ascending::default()), ..self })
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        if is_spanned(name) {
            let span = self.span.clone();
            return visitor.visit_map(SpannedDeserializer::new(self, span));
        }
        visitor.visit_map(self)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(self, _: &'static str, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, _: V) -> Result<V::Value, NotPlain> {
        Err(NotPlain)
    }

    forward_to_deserialize_any! {
        <W: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct identifier enum
    }
}

/// `[[a]]` and those that follow it; the reader stands before the first.
struct Tables<'r, 't> {
    reader: &'r mut Reader<'t>,
    first: Header<'t>,
}

impl<'t> IntoDeserializer<'t, NotPlain> for Tables<'_, 't> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'t> Deserializer<'t> for Tables<'_, 't> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_seq(self)
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        if is_spanned(name) {
            let span = self.first.start..self.first.end;
            return visitor.visit_map(SpannedDeserializer::new(self, span));
        }
        Err(NotPlain)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_some(self)
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, _: V) -> Result<V::Value, NotPlain> {
        Err(NotPlain)
    }

    forward_to_deserialize_any! {
        <W: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct identifier enum map newtype_struct
    }
}

impl<'t> SeqAccess<'t> for Tables<'_, 't> {
    type Error = NotPlain;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, NotPlain> {
        match self.reader.header()? {
            Some(header) if header.is_list && header.path == self.first.path => {
                seed.deserialize(Table::below(self.reader, &header)?).map(Some)
            }
            _ => Ok(None),
        }
    }
}
