//! The one value that the original's file holds, by its types: a map of groups.

use super::cursor::Cursor;
use super::error::GobError;
use super::time;
use super::types::{Field, Kind, TypeId, Types};
use super::{ForeignFamily, ForeignGroup, ForeignLabel};
use crate::model::order;
use crate::model::time::Timestamp;

/// Least bytes of an element of each map: what bounds the memory that a count can ask for.
const GROUP_BYTES_MIN: usize = 2;
const LABEL_BYTES_MIN: usize = 3;
const FAMILY_BYTES_MIN: usize = 2;

/// What the field of a sent struct means here.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// The first of the fields that are wanted.
    First,
    /// The second of them.
    Second,
    /// None of them: a value of this type, to be skipped.
    Other(TypeId),
}

/// What the fields of the sent structs mean, and the type of keys that are not looked at.
#[derive(Debug)]
struct Layout {
    group_key: TypeId,
    group: Vec<Role>,
    family: Vec<Role>,
}

/// Reads the groups out of a value of this type: all of the message behind the type.
pub fn read<'a>(types: &Types<'a>, id: TypeId, mut message: Cursor<'a>) -> Result<Vec<ForeignGroup<'a>>, GobError> {
    let start = message;
    let layout = Layout::find(types, id, message.at())?;
    // What is no struct stands behind a zero, as if it were in one.
    if message.uint("a zero in front of the groups")? != 0 {
        return Err(start.error("a zero in front of the groups"));
    }
    let count = message.count(GROUP_BYTES_MIN, "the number of groups")?;
    let mut groups = Vec::with_capacity(count);
    for _ in 0..count {
        types.skip(layout.group_key, &mut message)?;
        groups.push(layout.read_group(types, &mut message)?);
    }
    message.end("the end of the groups")?;
    order::sort_by(&mut groups, |left, right| left.labels.cmp(&right.labels));
    Ok(groups)
}

impl Layout {
    /// How a map of groups of this type is sent. The value stands `at` there.
    fn find(types: &Types<'_>, id: TypeId, at: usize) -> Result<Self, GobError> {
        let (group_key, group) = map(types, id, at, "a map of groups")?;
        let (at, fields) = structure(types, group, at)?;
        let (roles, [labels, metrics]) = roles(fields, ["Labels", "Metrics"]);
        let no_group = GobError { offset: at, expected: "a struct with Labels and Metrics" };
        let (labels, metrics) = (labels.ok_or(no_group)?, metrics.ok_or(no_group)?);
        if map(types, labels, at, "a map of labels")? != (TypeId::STRING, TypeId::STRING) {
            return Err(GobError { offset: at, expected: "labels that are strings" });
        }
        let (name, family) = map(types, metrics, at, "a map of families")?;
        if name != TypeId::STRING {
            return Err(GobError { offset: at, expected: "families by names that are strings" });
        }
        let (at, fields) = structure(types, family, at)?;
        let (family, found) = self::roles(fields, ["Timestamp", "GobbableMetricFamily"]);
        let is_opaque = |id| types.find(id).is_some_and(|definition| definition.kind == Kind::Opaque);
        if !found.iter().all(|id| id.is_some_and(is_opaque)) {
            return Err(GobError { offset: at, expected: "a struct with Timestamp and GobbableMetricFamily as bytes" });
        }
        Ok(Self { group_key, group: roles, family })
    }

    fn read_group<'a>(&self, types: &Types<'a>, cursor: &mut Cursor<'a>) -> Result<ForeignGroup<'a>, GobError> {
        let (mut labels, mut families) = (Vec::new(), Vec::new());
        let start = *cursor;
        read_fields(&self.group, types, cursor, |is_first, cursor| {
            if is_first {
                labels = read_labels(cursor)?;
            } else {
                families = self.read_families(types, cursor)?;
            }
            Ok(())
        })?;
        if labels.is_empty() {
            return Err(start.error("a group with labels"));
        }
        Ok(ForeignGroup { labels, families })
    }

    fn read_families<'a>(
        &self,
        types: &Types<'a>,
        cursor: &mut Cursor<'a>,
    ) -> Result<Vec<ForeignFamily<'a>>, GobError> {
        let start = *cursor;
        let count = cursor.count(FAMILY_BYTES_MIN, "the number of families")?;
        let mut families = Vec::with_capacity(count);
        for _ in 0..count {
            let name = cursor.bytes("the name of a family")?;
            let mut family = ForeignFamily { name, written: Timestamp::default(), message: b"" };
            read_fields(&self.family, types, cursor, |is_first, cursor| {
                let at = cursor.at();
                let bytes = cursor.bytes(if is_first { "a time" } else { "a family" })?;
                if is_first {
                    family.written = time::read(bytes, at)?;
                } else {
                    family.message = bytes;
                }
                Ok(())
            })?;
            families.push(family);
        }
        order::sort_by_key(&mut families, |family| family.name);
        if families.windows(2).any(|pair| pair[0].name == pair[1].name) {
            return Err(start.error("families with distinct names"));
        }
        Ok(families)
    }
}

/// Reads a struct; `read` takes the values that are wanted, being told whether it is the first of the two fields.
fn read_fields<'a>(
    roles: &[Role],
    types: &Types<'a>,
    cursor: &mut Cursor<'a>,
    mut read: impl FnMut(bool, &mut Cursor<'a>) -> Result<(), GobError>,
) -> Result<(), GobError> {
    cursor.fields("a field of the struct", |number, cursor| {
        match roles.get(number) {
            Some(Role::First) => read(true, cursor)?,
            Some(Role::Second) => read(false, cursor)?,
            Some(Role::Other(id)) => types.skip(*id, cursor)?,
            None => return Ok(false),
        }
        Ok(true)
    })
}

fn read_labels<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<ForeignLabel<'a>>, GobError> {
    let start = *cursor;
    let count = cursor.count(LABEL_BYTES_MIN, "the number of labels")?;
    let mut labels = Vec::with_capacity(count);
    for _ in 0..count {
        let before = *cursor;
        let name = cursor.bytes("the name of a label")?;
        if name.is_empty() {
            return Err(before.error("the name of a label"));
        }
        labels.push((name, cursor.bytes("the value of a label")?));
    }
    labels.sort_unstable();
    if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(start.error("labels with distinct names"));
    }
    Ok(labels)
}

/// The types of keys and values of a map type that is used `at` there.
fn map(types: &Types<'_>, id: TypeId, at: usize, expected: &'static str) -> Result<(TypeId, TypeId), GobError> {
    match types.find(id).map(|definition| &definition.kind) {
        Some(Kind::Map { key, elem }) => Ok((*key, *elem)),
        _ => Err(GobError { offset: at, expected }),
    }
}

/// Where the definition of a struct type that is used `at` there stands, and its fields.
fn structure<'t, 'a>(types: &'t Types<'a>, id: TypeId, at: usize) -> Result<(usize, &'t [Field<'a>]), GobError> {
    let definition = types.find(id);
    match definition.map(|definition| (definition.at, &definition.kind)) {
        Some((at, Kind::Struct(fields))) => Ok((at, fields)),
        _ => Err(GobError { offset: at, expected: "a map of structs" }),
    }
}

/// What each field means if these two are wanted, and their types as far as they are there.
fn roles(fields: &[Field<'_>], wanted: [&str; 2]) -> (Vec<Role>, [Option<TypeId>; 2]) {
    let mut found = [None, None];
    let roles = fields.iter().map(|field| match wanted.iter().position(|name| name.as_bytes() == field.name) {
        Some(at) if found[at].is_none() => {
            found[at] = Some(field.id);
            if at == 0 { Role::First } else { Role::Second }
        }
        _ => Role::Other(field.id),
    });
    (roles.collect(), found)
}
