//! The reader as plainly as it can be written: the whole value first, of whatever types, as a tree; then the groups out
//! of the tree. The oracle of the tests and of the `gob_reader` fuzz target; never part of the product.

use std::collections::BTreeMap;

use super::{ForeignGroup, GobError};

/// A group: its labels and its families, each with its time and message.
pub type Group = (BTreeMap<Vec<u8>, Vec<u8>>, BTreeMap<Vec<u8>, (i64, Vec<u8>)>);

/// Deeper values are not read, so that the stack is large enough.
const DEPTH_MAX: usize = 500;

#[derive(Clone, Debug)]
enum Type {
    Array(i64, u64),
    Slice(i64),
    Struct(Vec<(Vec<u8>, i64)>),
    Map(i64, i64),
    Opaque,
}

#[derive(Clone, Debug)]
enum Tree {
    Number,
    Bytes(Vec<u8>),
    List,
    Map(Vec<(Tree, Tree)>),
    Struct(Vec<(Vec<u8>, Tree)>),
}

type Types = BTreeMap<i64, Type>;

/// The groups of a file in the order of their labels; nothing if it cannot be read.
pub fn read(file: &[u8]) -> Option<Vec<Group>> {
    let mut rest = file;
    let mut types = Types::new();
    loop {
        let mut message = bytes(&mut rest)?;
        let id = int(&mut message)?;
        if id < 0 {
            let id = id.checked_neg().filter(|id| *id >= 64 && !types.contains_key(id))?;
            let kind = define(&mut message)?;
            types.insert(id, kind);
        } else {
            has_wanted_types(&types, id)?;
            (uint(&mut message)? == 0).then_some(())?;
            let tree = value(&types, id, &mut message, 0)?;
            let mut groups: Vec<Group> =
                entries(&tree)?.iter().map(|(_, group)| read_group(group)).collect::<Option<_>>()?;
            groups.sort();
            return (message.is_empty() && rest.is_empty()).then_some(groups);
        }
        message.is_empty().then_some(())?;
    }
}

fn uint(rest: &mut &[u8]) -> Option<u64> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    if *first < 128 {
        return Some(u64::from(*first));
    }
    let len = 256 - usize::from(*first);
    let digits = rest.get(..len).filter(|_| len <= 8)?;
    *rest = &rest[len..];
    Some(digits.iter().fold(0, |value, digit| value * 256 + u64::from(*digit)))
}

fn int(rest: &mut &[u8]) -> Option<i64> {
    let bits = uint(rest)?;
    Some(if bits % 2 == 1 { -1 - (bits / 2) as i64 } else { (bits / 2) as i64 })
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(uint(rest)?).ok()?;
    let (taken, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(taken)
}

/// Reads the fields of a struct with their numbers from 0.
fn each_field(rest: &mut &[u8], mut read: impl FnMut(u64, &mut &[u8]) -> Option<()>) -> Option<()> {
    let mut next = 0_u64;
    loop {
        let step = uint(rest)?;
        if step == 0 {
            return Some(());
        }
        next = next.checked_add(step)?;
        read(next - 1, rest)?;
    }
}

fn define(rest: &mut &[u8]) -> Option<Type> {
    let mut kind = None;
    each_field(rest, |number, rest| {
        let (mut numbers, mut fields) = ([0, 0], Vec::new());
        each_field(rest, |part, rest| match part {
            0 => each_field(rest, |word, rest| match word {
                0 => bytes(rest).map(drop),
                1 => int(rest).map(drop),
                _ => None,
            }),
            1 if number == 2 => {
                for _ in 0..uint(rest)? {
                    fields.push(define_field(rest)?);
                }
                Some(())
            }
            // The reader takes a second number for any kind but a struct, whether it has a use or not.
            1 | 2 if number != 2 => {
                numbers[part as usize - 1] = int(rest)?;
                (number != 0 || numbers[1] >= 0).then_some(())
            }
            _ => None,
        })?;
        let new = match number {
            0 => Type::Array(numbers[0], numbers[1] as u64),
            1 => Type::Slice(numbers[0]),
            2 => Type::Struct(fields),
            3 => Type::Map(numbers[0], numbers[1]),
            4..=6 => Type::Opaque,
            _ => return None,
        };
        kind.replace(new).is_none().then_some(())
    })?;
    kind
}

fn define_field(rest: &mut &[u8]) -> Option<(Vec<u8>, i64)> {
    let mut field = (Vec::new(), 0);
    each_field(rest, |part, rest| {
        match part {
            0 => field.0 = bytes(rest)?.to_vec(),
            1 => field.1 = int(rest)?,
            _ => return None,
        }
        Some(())
    })?;
    Some(field)
}

fn value(types: &Types, id: i64, rest: &mut &[u8], depth: usize) -> Option<Tree> {
    (depth < DEPTH_MAX).then_some(())?;
    let inner = |id: i64, rest: &mut &[u8]| value(types, id, rest, depth + 1);
    Some(match (id, types.get(&id)) {
        (1..=4, _) => uint(rest).map(|_| Tree::Number)?,
        (7, _) => uint(rest).and_then(|_| uint(rest)).map(|_| Tree::Number)?,
        (8, _) => uint(rest).filter(|len| *len == 0).map(|_| Tree::Number)?,
        (5 | 6, _) | (_, Some(Type::Opaque)) => Tree::Bytes(bytes(rest)?.to_vec()),
        (_, Some(Type::Array(elem, len))) => {
            (uint(rest)? == *len).then_some(())?;
            for _ in 0..*len {
                inner(*elem, rest)?;
            }
            Tree::List
        }
        (_, Some(Type::Slice(elem))) => {
            for _ in 0..uint(rest)? {
                inner(*elem, rest)?;
            }
            Tree::List
        }
        (_, Some(Type::Map(key, elem))) => {
            let mut pairs = Vec::new();
            for _ in 0..uint(rest)? {
                pairs.push((inner(*key, rest)?, inner(*elem, rest)?));
            }
            Tree::Map(pairs)
        }
        (_, Some(Type::Struct(fields))) => {
            let mut found = Vec::new();
            each_field(rest, |number, rest| {
                let (name, id) = fields.get(usize::try_from(number).ok()?)?;
                let is_first = fields.iter().position(|(other, _)| other == name) == Some(number as usize);
                let tree = inner(*id, rest)?;
                if is_first {
                    found.push((name.clone(), tree));
                }
                Some(())
            })?;
            Tree::Struct(found)
        }
        (_, None) => return None,
    })
}

/// Whether the value has the types of the original's, whatever is in it.
fn has_wanted_types(types: &Types, id: i64) -> Option<()> {
    let map = |id: i64| if let Some(Type::Map(key, elem)) = types.get(&id) { Some((*key, *elem)) } else { None };
    let field = |id: i64, name: &str| {
        let Some(Type::Struct(fields)) = types.get(&id) else { return None };
        fields.iter().find(|(found, _)| found == name.as_bytes()).map(|(_, id)| *id)
    };
    let (_, group) = map(id)?;
    (map(field(group, "Labels")?)? == (6, 6)).then_some(())?;
    let (name, family) = map(field(group, "Metrics")?)?;
    let is_opaque = |name| Some(matches!(types.get(&field(family, name)?), Some(Type::Opaque)));
    (name == 6 && is_opaque("Timestamp")? && is_opaque("GobbableMetricFamily")?).then_some(())
}

fn entries(tree: &Tree) -> Option<&[(Tree, Tree)]> {
    if let Tree::Map(pairs) = tree { Some(pairs) } else { None }
}

fn find<'t>(tree: &'t Tree, name: &str) -> Option<&'t Tree> {
    let Tree::Struct(fields) = tree else { return None };
    fields.iter().find(|(found, _)| found == name.as_bytes()).map(|(_, tree)| tree)
}

fn plain(tree: &Tree) -> Option<Vec<u8>> {
    if let Tree::Bytes(bytes) = tree { Some(bytes.clone()) } else { None }
}

fn read_group(tree: &Tree) -> Option<Group> {
    let mut group = Group::default();
    for (name, value) in entries(find(tree, "Labels")?)? {
        let name = plain(name).filter(|name| !name.is_empty())?;
        group.0.insert(name, plain(value)?).is_none().then_some(())?;
    }
    for (name, family) in find(tree, "Metrics").map_or(Some(&[][..]), entries)? {
        let written = find(family, "Timestamp").map_or(Some(0), |time| read_time(&plain(time)?))?;
        let message = find(family, "GobbableMetricFamily").map_or(Some(Vec::new()), plain)?;
        group.1.insert(plain(name)?, (written, message)).is_none().then_some(())?;
    }
    (!group.0.is_empty()).then_some(group)
}

fn read_time(bytes: &[u8]) -> Option<i64> {
    (matches!((bytes.first(), bytes.len()), (Some(1), 15) | (Some(2), 16))).then_some(())?;
    let seconds = bytes[1..9].iter().fold(0, |value, byte| value << 8 | i64::from(*byte));
    let nanos = bytes[9..13].iter().fold(0, |value, byte| value << 8 | i128::from(*byte));
    let total = (i128::from(seconds) - 62_135_596_800) * 1_000_000_000 + nanos;
    (nanos < 1_000_000_000).then(|| total.clamp(0, i128::from(i64::MAX)) as i64)
}

/// Compares what the reader made of a file with what is made of it here; only the reader has bounds.
///
/// # Panics
/// If they differ.
pub fn compare(file: &[u8], found: &Result<Vec<ForeignGroup<'_>>, GobError>) {
    let wanted = read(file);
    let shown = file.escape_ascii();
    match found {
        Ok(groups) => {
            let mut groups: Vec<Group> = groups.iter().map(owned).collect();
            groups.sort();
            assert_eq!(Some(groups), wanted, "{shown}");
        }
        Err(error) => {
            assert!(error.offset <= file.len(), "{error}: {shown}");
            let is_bound = ["so deep", "so many", "fewer"].iter().any(|word| error.expected.contains(word));
            assert!(wanted.is_none() || is_bound, "{error}: {shown}");
        }
    }
}

fn owned(group: &ForeignGroup<'_>) -> Group {
    let labels = group.labels.iter().map(|(name, value)| (name.to_vec(), value.to_vec()));
    let families =
        group.families.iter().map(|family| (family.name.to_vec(), (family.written.0, family.message.to_vec())));
    (labels.collect(), families.collect())
}
