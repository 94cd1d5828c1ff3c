//! The types that a stream of gob defines, and how values are skipped by them.
//!
//! A definition is itself a value of gob, of a struct that every reader knows: one field for each kind of type.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::error::GobError;
use crate::limits::{GOB_DEPTH_MAX, GOB_FIELDS_MAX, GOB_TYPES_MAX};

/// The name of a type within one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(pub i64);

impl TypeId {
    /// Strings, known to every reader.
    pub const STRING: Self = Self(6);
    /// Lower ones are for types that every reader knows.
    const FIRST_DEFINED: Self = Self(64);
}

/// Whether a message that begins with this number defines a type.
pub fn can_define(id: i64) -> bool {
    id <= -TypeId::FIRST_DEFINED.0 && id != i64::MIN
}

/// Whether a definition that begins with this field defines a kind of type.
pub fn is_kind(field: u64) -> bool {
    (ARRAY as u64..=TEXT as u64).contains(&field)
}

/// Fields of a definition, counted from 1: the kinds of types. Those from `GOB` to `TEXT` encode themselves.
const ARRAY: usize = 1;
const SLICE: usize = 2;
const STRUCT: usize = 3;
const MAP: usize = 4;
const GOB: usize = 5;
const TEXT: usize = 7;

/// A kind of type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// So many elements of one type.
    Array {
        /// The type of its elements.
        elem: TypeId,
        /// How many there are.
        len: u64,
    },
    /// Any number of elements of this type.
    Slice(TypeId),
    /// Fields, in the order of their numbers.
    Struct(Vec<Field<'a>>),
    /// Pairs.
    Map {
        /// The type of their keys.
        key: TypeId,
        /// The type of their values.
        elem: TypeId,
    },
    /// Bytes in a form of the type's own.
    Opaque,
}

/// A field of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its type.
    pub id: TypeId,
}

/// The definition of a type.
#[derive(Clone, Debug)]
pub struct Definition<'a> {
    /// Where it stands in the file.
    pub at: usize,
    /// What it says.
    pub kind: Kind<'a>,
}

/// The types that were defined.
#[derive(Debug, Default)]
pub struct Types<'a> {
    defined: HashMap<TypeId, Definition<'a>>,
}

impl<'a> Types<'a> {
    /// The definition of a type.
    pub fn find(&self, id: TypeId) -> Option<&Definition<'a>> {
        self.defined.get(&id)
    }

    /// Takes the definition of a type.
    pub fn define(&mut self, id: TypeId, cursor: &mut Cursor<'a>) -> Result<(), GobError> {
        let start = *cursor;
        if self.defined.len() == GOB_TYPES_MAX {
            return Err(start.error("a value, as there were so many types"));
        }
        let kind = read_kind(cursor)?;
        let is_new = self.defined.insert(id, Definition { at: start.at(), kind }).is_none();
        if is_new { Ok(()) } else { Err(start.error("a type that is not defined yet")) }
    }

    /// Takes a value of this type that nobody asks for. Every value has at least one byte, so that the time is bounded by
    /// the length of the input.
    pub fn skip(&self, id: TypeId, cursor: &mut Cursor<'a>) -> Result<(), GobError> {
        self.skip_at(id, cursor, 0)
    }

    fn skip_at(&self, id: TypeId, cursor: &mut Cursor<'a>, depth: usize) -> Result<(), GobError> {
        match id.0 {
            // Booleans, integers and floats.
            1..=4 => return cursor.uint("a number").map(drop),
            // Bytes and strings.
            5 | 6 => return cursor.bytes("bytes").map(drop),
            // Complex numbers.
            7 => return cursor.uint("a number").and_then(|_| cursor.uint("a number")).map(drop),
            // Interfaces, which may bring types of their own; the original's types have none.
            8 => {
                let start = *cursor;
                return if cursor.uint("an interface")? == 0 { Ok(()) } else { Err(start.error("an empty interface")) };
            }
            _ => {}
        }
        let definition = self.find(id).ok_or_else(|| cursor.error("a value of a type that was defined"))?;
        if depth == GOB_DEPTH_MAX {
            return Err(cursor.error("a value that is not so deep in others"));
        }
        let depth = depth + 1;
        match &definition.kind {
            Kind::Array { elem, len } => {
                let start = *cursor;
                if cursor.count(1, "the length of an array")? as u64 != *len {
                    return Err(start.error("the length of an array"));
                }
                (0..*len).try_for_each(|_| self.skip_at(*elem, cursor, depth))
            }
            Kind::Slice(elem) => {
                let len = cursor.count(1, "the length of a slice")?;
                (0..len).try_for_each(|_| self.skip_at(*elem, cursor, depth))
            }
            Kind::Map { key, elem } => {
                let len = cursor.count(2, "the length of a map")?;
                (0..len).try_for_each(|_| {
                    self.skip_at(*key, cursor, depth)?;
                    self.skip_at(*elem, cursor, depth)
                })
            }
            Kind::Struct(fields) => cursor.fields("a field of the struct", |number, cursor| {
                let Some(field) = fields.get(number) else { return Ok(false) };
                self.skip_at(field.id, cursor, depth)?;
                Ok(true)
            }),
            Kind::Opaque => cursor.bytes("bytes").map(drop),
        }
    }
}

fn read_kind<'a>(cursor: &mut Cursor<'a>) -> Result<Kind<'a>, GobError> {
    let start = *cursor;
    let mut kind = None;
    cursor.fields("the kind of a type", |number, cursor| {
        if kind.is_some() {
            return Ok(false);
        }
        kind = Some(match number + 1 {
            ARRAY => {
                let (elem, len) = read_parts(cursor)?;
                let len = u64::try_from(len.0).map_err(|_| start.error("the length of an array"))?;
                Kind::Array { elem, len }
            }
            SLICE => Kind::Slice(read_parts(cursor)?.0),
            STRUCT => Kind::Struct(read_struct(cursor)?),
            MAP => {
                let (key, elem) = read_parts(cursor)?;
                Kind::Map { key, elem }
            }
            GOB..=TEXT => {
                read_parts(cursor)?;
                Kind::Opaque
            }
            _ => return Ok(false),
        });
        Ok(true)
    })?;
    kind.ok_or_else(|| start.error("the kind of a type"))
}

/// Reads the definition of a type that has up to two numbers for its parts, most of them types.
fn read_parts(cursor: &mut Cursor<'_>) -> Result<(TypeId, TypeId), GobError> {
    let mut parts = (TypeId(0), TypeId(0));
    cursor.fields("a part of a type", |number, cursor| {
        match number {
            0 => skip_common(cursor)?,
            1 => parts.0 = TypeId(cursor.int("a type")?),
            2 => parts.1 = TypeId(cursor.int("a type")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(parts)
}

fn read_struct<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<Field<'a>>, GobError> {
    let mut fields = Vec::new();
    cursor.fields("a part of a struct type", |number, cursor| {
        match number {
            0 => skip_common(cursor)?,
            1 => {
                let start = *cursor;
                let count = cursor.count(1, "the number of fields")?;
                if count > GOB_FIELDS_MAX {
                    return Err(start.error("a struct with fewer fields"));
                }
                for _ in 0..count {
                    fields.push(read_field(cursor)?);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(fields)
}

fn read_field<'a>(cursor: &mut Cursor<'a>) -> Result<Field<'a>, GobError> {
    let mut field = Field { name: b"", id: TypeId(0) };
    cursor.fields("a part of a field", |number, cursor| {
        match number {
            0 => field.name = cursor.bytes("the name of a field")?,
            1 => field.id = TypeId(cursor.int("a type")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(field)
}

/// Skips what all definitions have: a name, which says nothing, and a number, which is not always that of the type.
fn skip_common(cursor: &mut Cursor<'_>) -> Result<(), GobError> {
    cursor.fields("the name of a type", |number, cursor| {
        match number {
            0 => drop(cursor.bytes("the name of a type")?),
            1 => drop(cursor.int("the number of a type")?),
            _ => return Ok(false),
        }
        Ok(true)
    })
}
