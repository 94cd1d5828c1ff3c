//! The compressed form of pages: each text keeps its own deflate run, and runs one behind the other make a gzip member.
//!
//! A run (RFC 1951) refers to nothing before it and ends on a byte boundary, so that it can stand behind any other. Runs
//! are made when somebody asks; who may make how many at a time is the caller's business.
//!
//! A run is one block. Its bits are those of segments, one behind the other, each of some whole entries; a segment refers
//! to itself and to the few entries before it. So a change of an entry outdates the segment that it is in, and the next if
//! that begins soon behind it; the bits of all others are copied to where they now belong.
//!
//! ```text
//! text: | entry | entry | entry || entry (changed) || entry | entry || entry | entry | ...
//! run:  head |     good          |    outdated      |   outdated     |    good        | ... end
//! ```

use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use super::checksum::Checksum;
use super::deflate::{self, Bits, Code, Counts, Matcher, WRITTEN_BYTES_MAX, Writer};
use super::text::PageText;
use crate::limits::{
    COPY_DISTANCE_MAX, DEFLATE_CODE_LIFE, DEFLATE_CODE_SLACK, DEFLATE_CODES_RECENT, DEFLATE_SAMPLED_PART, PAGE_BYTES,
    SEGMENT_BYTES, SEGMENT_HISTORY_BYTES,
};

/// An empty final block.
pub(super) const LAST_BLOCK: [u8; 2] = [3, 0];

/// A compressed text.
#[derive(Debug)]
pub struct Run {
    form: Form,
    /// Of the text.
    checksum: Checksum,
}

impl Run {
    /// What is sent.
    pub fn deflated(&self) -> &[u8] {
        &self.form.deflated
    }

    /// The checksum of the text.
    pub fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// Its parts.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The same, to outdate some.
    pub fn into_form(self) -> Form {
        self.form
    }

    /// Memory that it takes beside codes, which are shared.
    pub fn held_bytes(&self) -> usize {
        self.form.held_bytes()
    }

    /// Panics if it is not that of this text.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn verify(&self, text: &[u8]) {
        assert_eq!(self.checksum, Checksum::of(text), "a run outlived its text");
        let mut block = self.form.deflated.to_vec();
        block.extend_from_slice(&LAST_BLOCK);
        assert!(inflated(&block) == text, "a run is that of another text");
        let is_stored = self.form.deflated.len() == deflate::stored_bytes(text.len());
        assert!(is_stored || self.form.segments.iter().all(|segment| segment.checksum.is_some()));
    }
}

/// A compressed text in its parts, of which some may be outdated.
#[derive(Clone, Debug)]
pub struct Form {
    deflated: Vec<u8>,
    /// Where the bits of the first segment start.
    first_bit: usize,
    code: Rc<Code>,
    /// How long the text was when the code was chosen, and how much of it was compressed since, bytes.
    chosen_bytes: u32,
    remade_bytes: u32,
    /// Together as long as the text. If that is stored as it is, there is one, which is outdated from the beginning.
    segments: Vec<Segment>,
}

/// Some entries that are compressed together.
#[derive(Clone, Copy, Debug)]
struct Segment {
    text_bytes: u32,
    /// What it has of the deflated bits, good or not.
    bits: u32,
    /// The CRC-32 of the text; none if the bits are outdated.
    checksum: Option<u32>,
}

impl Form {
    /// Of no text yet, for one that is so long.
    fn of_nothing(code: Rc<Code>, text_bytes: usize) -> Self {
        let chosen_bytes = text_bytes as u32;
        Self { deflated: Vec::new(), first_bit: 0, code, chosen_bytes, remade_bytes: 0, segments: Vec::new() }
    }

    /// Memory that it takes beside its code, which is shared.
    pub fn held_bytes(&self) -> usize {
        self.deflated.capacity() + self.segments.capacity() * size_of::<Segment>()
    }

    /// Whether enough of a text of this length is good to be kept.
    fn is_worth_keeping(&self, text_bytes: usize) -> bool {
        let good = self.segments.iter().filter(|segment| segment.checksum.is_some());
        good.map(|segment| segment.text_bytes as usize).sum::<usize>() >= text_bytes / 2
    }

    /// Whether the code is still that of a text of this length.
    fn has_code_for(&self, text_bytes: usize) -> bool {
        self.chosen_bytes as usize * 2 >= text_bytes && self.remade_bytes / DEFLATE_CODE_LIFE <= text_bytes as u32
    }

    /// Whether any segment is good.
    pub fn is_useful(&self) -> bool {
        self.segments.iter().any(|segment| segment.checksum.is_some())
    }

    /// Takes note that an entry which was at `range`, or one that goes there, now has `bytes`; `starts` are those of
    /// entries before that.
    pub fn splice(&mut self, starts: &[u16], range: Range<usize>, bytes: usize) {
        let Range { start, end } = range;
        let (mut at, mut is_noted) = (0, false);
        for segment in &mut self.segments {
            let segment_end = at + segment.text_bytes as usize;
            if !is_noted && start < segment_end {
                segment.text_bytes = (segment_end - at - (end - start) + bytes) as u32;
                (segment.checksum, is_noted) = (None, true);
            } else if at >= end + COPY_DISTANCE_MAX {
                break;
            } else if at >= end && history(starts, at) < end {
                segment.checksum = None;
            }
            at = segment_end;
        }
        if !is_noted {
            self.append_text(bytes);
        }
    }

    /// Takes note of text behind what there is.
    pub fn append_text(&mut self, bytes: usize) {
        match self.segments.last_mut() {
            Some(last) if last.checksum.is_none() => last.text_bytes += bytes as u32,
            _ => self.segments.push(Segment { text_bytes: bytes as u32, bits: 0, checksum: None }),
        }
    }

    /// Parts with what belongs to the text from `cut` on, where an entry starts; none if no part of that is good.
    pub fn split_off(&mut self, starts: &[u16], cut: usize) -> Option<Self> {
        let (mut at, mut bit, mut index) = (0, self.first_bit, 0);
        while at < cut {
            at += self.segments[index].text_bytes as usize;
            bit += self.segments[index].bits as usize;
            index += 1;
        }
        let mut segments = Vec::with_capacity(self.segments.len() - index + 1);
        if at > cut {
            let straddling = &mut self.segments[index - 1];
            straddling.text_bytes -= (at - cut) as u32;
            straddling.checksum = None;
            segments.push(Segment { text_bytes: (at - cut) as u32, bits: 0, checksum: None });
        }
        for segment in &self.segments[index..] {
            let checksum = segment.checksum.filter(|_| history(starts, at) >= cut);
            segments.push(Segment { checksum, ..*segment });
            at += segment.text_bytes as usize;
        }
        self.segments.truncate(index);
        self.segments.shrink_to_fit();
        let deflated = self.deflated[bit / 8..].to_vec();
        self.deflated.truncate(bit.div_ceil(8));
        self.deflated.shrink_to_fit();
        let right = Self { deflated, first_bit: bit % 8, code: Rc::clone(&self.code), segments, ..*self };
        right.is_useful().then_some(right)
    }

    /// Adds the parts of a text of this length that comes behind this one.
    pub fn append(&mut self, other: &Self, text_bytes: usize) {
        if !Rc::ptr_eq(&self.code, &other.code) || !other.is_useful() {
            return self.append_text(text_bytes);
        }
        let used: usize = self.first_bit + self.segments.iter().map(|segment| segment.bits as usize).sum::<usize>();
        let gap = self.deflated.len() * 8 - used + other.first_bit;
        self.segments.push(Segment { text_bytes: 0, bits: gap as u32, checksum: None });
        self.segments.extend_from_slice(&other.segments);
        self.deflated.extend_from_slice(&other.deflated);
    }

    /// Panics if a good segment is not that of its text.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn verify(&self, text: &[u8]) {
        let (mut at, mut bit) = (0, self.first_bit);
        for segment in &self.segments {
            let (text_bytes, bits) = (segment.text_bytes as usize, segment.bits as usize);
            if let Some(checksum) = segment.checksum {
                let expected = &text[at..at + text_bytes];
                assert_eq!(checksum, Checksum::of(expected).sum(), "a segment outlived its text");
                // What it may refer to, stored, and then the segment as a block of its own.
                let history = &text[at.saturating_sub(COPY_DISTANCE_MAX)..at];
                let mut block = deflate::stored(history);
                let mut own = Bits::default();
                self.code.begin(&mut own);
                own.append(&self.deflated, bit, bits);
                self.code.end(&mut own);
                block.extend_from_slice(own.bytes());
                block.extend_from_slice(&LAST_BLOCK);
                assert!(inflated(&block)[history.len()..] == *expected, "a segment is that of another text");
            }
            (at, bit) = (at + text_bytes, bit + bits);
        }
        assert!(at == text.len() && bit <= self.deflated.len() * 8);
    }
}

/// What a deflate stream holds, by a library.
#[cfg(any(test, feature = "fuzz"))]
fn inflated(stream: &[u8]) -> Vec<u8> {
    use std::io::Read;

    let mut text = Vec::new();
    let mut decoder = flate2::bufread::DeflateDecoder::new(stream);
    decoder.read_to_end(&mut text).expect("it is deflate");
    assert!(decoder.into_inner().is_empty(), "it is one stream");
    text
}

/// Makes runs; its working memory is used again and again.
#[derive(Default)]
pub struct Deflater {
    matcher: Matcher,
    bits: Bits,
    /// The segments that a run is made of, planned and made.
    plan: Vec<Planned>,
    segments: Vec<Segment>,
    /// Codes that were made last.
    recent: Vec<Rc<Code>>,
}

/// A segment of a run in the making.
struct Planned {
    text: Range<usize>,
    /// Where its bits start in the form before, how many they are, and the checksum of its text, if that is good.
    made: Option<(usize, usize, u32)>,
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").finish_non_exhaustive()
    }
}

impl Deflater {
    /// Makes the run of a text, unless it has one; how much text was compressed for it, bytes.
    pub fn compress(&mut self, text: &PageText) -> usize {
        let mut compressed = 0;
        text.run.get_or_init(|| {
            let before = text.outdated.take().filter(|form| form.has_code_for(text.len()));
            self.plan.clear();
            match &before {
                Some(form) if form.is_worth_keeping(text.len()) => self.plan_changes(form, text),
                _ => cut(text, 0..text.len(), &mut self.plan),
            }
            let planned = self.plan.iter().filter(|planned| planned.made.is_none());
            compressed = planned.map(|planned| planned.text.len()).sum();
            self.run(text, before, compressed)
        });
        compressed
    }

    /// Keeps what is good, and cuts what lies between anew. What is good but short is made anew with it, as otherwise
    /// segments would become ever shorter.
    fn plan_changes(&mut self, form: &Form, text: &PageText) {
        let (mut at, mut bit, mut changed_from) = (0, form.first_bit, 0);
        for segment in &form.segments {
            let end = at + segment.text_bytes as usize;
            let is_short = changed_from < at && end - changed_from <= SEGMENT_BYTES;
            if let Some(checksum) = segment.checksum.filter(|_| !is_short) {
                self.plan_change(text, changed_from..at);
                self.plan.push(Planned { text: at..end, made: Some((bit, segment.bits as usize, checksum)) });
                changed_from = end;
            }
            (at, bit) = (end, bit + segment.bits as usize);
        }
        self.plan_change(text, changed_from..at);
    }

    fn plan_change(&mut self, text: &PageText, mut range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        if let Some(before) = self.plan.pop_if(|before| range.end - before.text.start <= SEGMENT_BYTES) {
            range.start = before.text.start;
        }
        cut(text, range, &mut self.plan);
    }

    fn run(&mut self, text: &PageText, before: Option<Form>, compressed: usize) -> Run {
        self.matcher.begin(text.len());
        let mut form = match before {
            Some(form) => Form { remade_bytes: form.remade_bytes + compressed as u32, ..form },
            None => Form::of_nothing(self.code_for(text), text.len()),
        };
        let (kept, kept_bits) = self.kept(&form);
        self.bits.clear();
        if kept == 0 {
            form.code.begin(&mut self.bits);
            form.first_bit = self.bits.count();
        } else {
            self.bits.append(&form.deflated, kept_bits & !7, kept_bits & 7);
        }
        self.write_segments(text, kept, &form);
        form.code.end(&mut self.bits);
        if kept_bits / 8 + self.bits.bytes().len() > deflate::stored_bytes(text.len()) {
            (form.deflated, form.first_bit) = (deflate::stored(text), 0);
            form.segments = vec![Segment { text_bytes: text.len() as u32, bits: 0, checksum: None }];
        } else {
            refill(&mut form.deflated, kept_bits / 8, self.bits.bytes());
            refill(&mut form.segments, kept, &self.segments);
        }
        self.bits.shrink_to(PAGE_BYTES * WRITTEN_BYTES_MAX);
        let parts = form.segments.iter().map(|segment| (segment.checksum, segment.text_bytes as usize));
        let checksum = Checksum::of_parts(parts).unwrap_or_else(|| Checksum::of(text));
        Run { form, checksum }
    }

    /// How many segments at the beginning stay where they are, and up to which bit that is.
    fn kept(&self, before: &Form) -> (usize, usize) {
        let (mut kept, mut bit) = (0, before.first_bit);
        for (from, bits, _) in self.plan.iter().map_while(|planned| planned.made) {
            if from != bit {
                break;
            }
            (kept, bit) = (kept + 1, bit + bits);
        }
        // The beginning may have been parted with.
        if kept > 0 && before.first_bit == before.code.head_bits() { (kept, bit) } else { (0, 0) }
    }

    /// Does as planned: compresses text, and copies what of the form before is good.
    fn write_segments(&mut self, text: &PageText, kept: usize, before: &Form) {
        self.segments.clear();
        // Good bits that are still to be copied, all of some segments at once, and the end of what the matcher has seen.
        let (mut good, mut seen) = (0..0, 0);
        for Planned { text: range, made } in &self.plan[kept..] {
            let (bits, sum) = if let Some((from, bits, sum)) = *made {
                if good.end != from {
                    self.bits.append(&before.deflated, good.start, good.len());
                    good = from..from;
                }
                good.end += bits;
                (bits, sum)
            } else {
                self.bits.append(&before.deflated, good.start, good.len());
                good = 0..0;
                let start_bit = self.bits.count();
                let floor = history(text.starts(), range.start);
                if seen < range.start {
                    self.matcher.learn(text, floor..range.start);
                }
                seen = range.end;
                self.bits.reserve(range.len() * WRITTEN_BYTES_MAX);
                self.matcher.tell(text, floor, range.clone(), &mut Writer { code: &before.code, bits: &mut self.bits });
                (self.bits.count() - start_bit, Checksum::of(&text[range.clone()]).sum())
            };
            self.segments.push(Segment { text_bytes: range.len() as u32, bits: bits as u32, checksum: Some(sum) });
        }
        self.bits.append(&before.deflated, good.start, good.len());
    }

    /// A code that suits a text, by a part of it.
    fn code_for(&mut self, text: &PageText) -> Rc<Code> {
        let mut counts = Counts::NONE;
        let mut seen = 0;
        let starts = (0..text.len()).step_by(SEGMENT_BYTES * DEFLATE_SAMPLED_PART);
        for start in starts.take(PAGE_BYTES / SEGMENT_BYTES / DEFLATE_SAMPLED_PART) {
            // As if the entry that is here were a segment.
            let floor = history(text.starts(), entry_at(text.starts(), start));
            self.matcher.learn(text, floor.max(seen)..start);
            seen = text.len().min(start + SEGMENT_BYTES);
            self.matcher.tell(text, floor, start..seen, &mut counts);
        }
        let code = Code::new(&counts);
        let bits_most = code.bits(&counts) / DEFLATE_CODE_SLACK * (DEFLATE_CODE_SLACK + 1);
        let recent = self.recent.iter().map(|code| (code.bits(&counts), code));
        if let Some((bits, code)) = recent.min_by_key(|(bits, _)| *bits)
            && bits <= bits_most
        {
            return Rc::clone(code);
        }
        if self.recent.len() == DEFLATE_CODES_RECENT {
            self.recent.remove(0);
        }
        let code = Rc::new(code);
        self.recent.push(Rc::clone(&code));
        code
    }
}

/// Puts `items` behind the first `kept` of a list. Its memory stays if they fit and it is not much too long: a change of a
/// page hardly changes how much it is.
fn refill<T: Copy>(list: &mut Vec<T>, kept: usize, items: &[T]) {
    let len = kept + items.len();
    let slack = len / 32 + 1;
    list.truncate(kept);
    if !(len..=len + 2 * slack).contains(&list.capacity()) {
        let before = std::mem::replace(list, Vec::with_capacity(len + slack));
        list.extend_from_slice(&before);
    }
    list.extend_from_slice(items);
}

/// From where on a segment that starts at `start` may refer to text: that of the entries before it as far as they are
/// near, and of one at least.
fn history(starts: &[u16], start: usize) -> usize {
    let index = starts.partition_point(|entry| usize::from(*entry) < start);
    let Some(before) = index.checked_sub(1) else { return start };
    let near = starts[..before].iter().rev().take_while(|entry| usize::from(**entry) + SEGMENT_HISTORY_BYTES >= start);
    usize::from(starts[before - near.count()]).max(start.saturating_sub(COPY_DISTANCE_MAX))
}

/// Where the entry that is at `at` starts.
fn entry_at(starts: &[u16], at: usize) -> usize {
    let index = starts.partition_point(|start| usize::from(*start) <= at);
    index.checked_sub(1).map_or(0, |index| usize::from(starts[index]))
}

/// Plans segments of whole entries for a part of a text.
fn cut(text: &PageText, range: Range<usize>, plan: &mut Vec<Planned>) {
    let Range { start: mut from, end } = range;
    if from == end {
        return;
    }
    let first = text.starts().partition_point(|start| usize::from(*start) <= from);
    let ends = text.starts()[first..].iter().map(|start| usize::from(*start)).take_while(|start| *start < end);
    let mut last = from;
    for entry_end in ends.chain([end]) {
        if entry_end - from > SEGMENT_BYTES && last > from {
            plan.push(Planned { text: from..last, made: None });
            from = last;
        }
        last = entry_end;
    }
    plan.push(Planned { text: from..end, made: None });
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::model::sample::Kind;
    use crate::model::time::Timestamp;
    use crate::store::{Mode, Snapshot, Staged, Store, naive};

    fn gunzip(member: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(member);
        decoder.read_to_end(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "it is one member and nothing else");
        text
    }

    #[test]
    fn runs_make_one_member() {
        let mut deflater = Deflater::default();
        let mut random = crate::random::Random::for_test(7);
        let noise: Vec<u8> = (0..300_000).map(|_| random.below(256) as u8).collect();
        let check = |texts: &[&[u8]], deflater: &mut Deflater| {
            let snapshot = Snapshot::of(texts);
            for text in snapshot.pieces() {
                assert_eq!((deflater.compress(text), deflater.compress(text)), (text.len(), 0));
                text.verify();
            }
            let member = naive::whole_member(&snapshot, |_| unreachable!("all texts were compressed"));
            assert!(gunzip(&member) == texts.concat(), "{:?}", texts.iter().map(|text| text.len()).collect::<Vec<_>>());
        };
        check(&[], &mut deflater);
        check(&[b"a 1\n"], &mut deflater);
        check(&[b"a 1\n", b"a 1\n", b"a 1\n"], &mut deflater);
        check(&[&[b'x'; 100_000], b"y"], &mut deflater);
        check(&[&noise, &noise[..PAGE_BYTES], b"\n", &noise[..1]], &mut deflater);
        for _ in 0..50 {
            let cut = random.below(3000) as usize;
            check(&[&noise[..cut], &noise[cut..cut + 1 + random.below(5000) as usize]], &mut deflater);
        }
    }

    /// A text of so many entries of three lines, and its run made.
    fn compressed(entries: u64, deflater: &mut Deflater) -> PageText {
        let mut text = PageText::new(entry(0, 0), false);
        (1..entries).for_each(|at| text.insert(at as usize, &entry(at, 0)));
        assert_eq!(deflater.compress(&text), text.len());
        text
    }

    fn entry(at: u64, value: u64) -> Vec<u8> {
        (0..3)
            .map(|part| format!("metric{{instance=\"i{at}\",job=\"j\",part=\"{part}\"}} {value}\n"))
            .collect::<String>()
            .into()
    }

    #[test]
    fn a_change_costs_the_segments_that_it_touches() {
        let mut deflater = Deflater::default();
        let mut check = |what: &str, change: fn(&mut PageText), most: usize| {
            let mut text = compressed(200, &mut deflater);
            change(&mut text);
            assert!(text.run().is_none(), "{what}");
            text.verify();
            let bytes = deflater.compress(&text);
            text.verify();
            assert!(bytes > 0 && bytes <= most, "{what}: {bytes} of {}", text.len());
        };
        let (one, two) = (SEGMENT_BYTES, 2 * SEGMENT_BYTES);
        check("the first entry", |text| text.replace(0, &entry(0, 7)), two);
        check("in the middle of a segment", |text| text.replace(102, &entry(100, 7)), two);
        check("a longer entry", |text| text.replace(150, &entry(150, 123_456)), two);
        check("a shorter entry", |text| text.replace(50, b"metric 1\n"), two);
        check("an entry that goes", |text| text.remove(70), two);
        check("the first entry goes", |text| text.remove(0), two);
        check("the last entry goes", |text| text.remove(199), two);
        check("an entry that comes", |text| text.insert(70, &entry(1000, 7)), two + one / 2);
        check("a first entry", |text| text.insert(0, &entry(1000, 7)), two + one / 2);
        check("a last entry", |text| text.insert(200, &entry(1000, 7)), two);
        check("a segment that goes", |text| (70..100).for_each(|_| text.remove(70)), two + one / 2);
        check("the end that goes", |text| drop(text.split_off(120)), two);
        check("the beginning that goes", |text| *text = text.split_off(60), two);
        check(
            "it is put together again",
            |text| {
                let right = text.split_off(90);
                text.append(&right);
            },
            two,
        );
    }

    #[test]
    fn an_entry_has_a_segment_to_itself_if_it_is_long() {
        let mut deflater = Deflater::default();
        let long = |value: u64| -> Vec<u8> { (0..9).flat_map(|at| entry(at, value)).collect() };
        assert!((SEGMENT_BYTES..2 * SEGMENT_BYTES).contains(&long(1).len()));
        let mut text = PageText::new(long(1), false);
        (0..9).for_each(|_| text.insert(0, &long(1)));
        deflater.compress(&text);
        text.replace(9, &long(2));
        assert_eq!(deflater.compress(&text), long(2).len());
        text.replace(4, &long(2));
        assert_eq!(deflater.compress(&text), 2 * long(2).len(), "the next refers to it");
        text.verify();
    }

    #[test]
    fn texts_that_change_a_lot_are_made_anew() {
        let mut deflater = Deflater::default();
        let mut text = compressed(200, &mut deflater);
        for at in (0..200).step_by(9) {
            text.replace(at, &entry(at as u64, 5));
        }
        assert_eq!(deflater.compress(&text), text.len());
        (0..199).for_each(|_| text.remove(0));
        assert!(text.outdated.borrow().is_none(), "nothing of it is good");
        assert_eq!(deflater.compress(&text), text.len());
        text.verify();
    }

    /// Codes that were made for one line are not those of a full page.
    #[test]
    fn codes_follow_the_text() {
        let mut deflater = Deflater::default();
        let mut text = PageText::new(b"# TYPE metric gauge\n".to_vec(), false);
        let (mut bytes, mut all) = (0, 0);
        for at in 0..250 {
            text.insert(at as usize + 1, &entry(at * 7919 % 1000, at * 104_729 % 99_991));
            bytes += deflater.compress(&text);
            all += text.len();
        }
        text.verify();
        assert!(bytes < all / 5, "{bytes} of {all}");
        let mut anew = PageText::new(Vec::new(), false);
        (0..text.starts().len()).for_each(|slot| anew.insert(slot, &text[text.range(slot)]));
        Deflater::default().compress(&anew);
        let (grown, anew) = (text.run().unwrap().len(), anew.run().unwrap().len());
        assert!(grown < anew + anew / 6, "{grown} {anew}");
    }

    #[test]
    fn what_does_not_compress_is_stored() {
        let mut random = crate::random::Random::for_test(8);
        let noise: Vec<u8> = (0..30_000).map(|_| random.below(256) as u8).collect();
        let mut deflater = Deflater::default();
        let mut text = PageText::new(noise.clone(), false);
        for _ in 0..2 {
            deflater.compress(&text);
            assert_eq!(text.run().unwrap().len(), text.len() + 5);
            text.verify();
            text.insert(1, &noise[..100]);
        }
        deflater.compress(&text);
        let mut lines = compressed(20, &mut deflater);
        lines.append(&text);
        lines.verify();
        deflater.compress(&lines);
        lines.verify();
        text.append(&lines);
        deflater.compress(&text);
        text.verify();
    }

    /// Neighbours share codes; texts of another kind get their own, and those that were let go are freed.
    #[test]
    fn codes_are_shared() {
        let mut deflater = Deflater::default();
        let texts: Vec<_> = (0..20).map(|_| compressed(200, &mut deflater)).collect();
        let code = |text: &PageText| Rc::downgrade(&text.run.get().unwrap().form().code);
        assert!(texts.iter().all(|text| code(text).ptr_eq(&code(&texts[0]))));
        let mut random = crate::random::Random::for_test(9);
        let others: Vec<_> = (0..DEFLATE_CODES_RECENT as u64)
            .map(|kind| {
                let bytes = (0..9000).map(|_| (b'A' + 8 * kind as u8) + random.below(8) as u8).collect();
                let text = PageText::new(bytes, false);
                deflater.compress(&text);
                assert!(text.run().unwrap().len() < 9000 / 2, "{kind}");
                text
            })
            .collect();
        assert!(others.iter().all(|text| !code(text).ptr_eq(&code(&texts[0]))));
        let first = code(&texts[0]);
        drop(texts);
        assert!(first.upgrade().is_none());
    }

    /// Changes of all kinds, one after the other, with scrapes and readers between them.
    #[test]
    fn random_changes_leave_nothing_behind() {
        let mut random = crate::random::Random::for_test(10);
        let mut deflater = Deflater::default();
        for round in 0..60 {
            let mut texts = vec![PageText::new(entry(0, 0), round % 5 == 0)];
            for _ in 0..80 {
                let at = random.below(texts.len() as u64) as usize;
                let text = &mut texts[at];
                let (len, count) = (text.len(), text.starts().len());
                let slot = random.below(count as u64) as usize;
                let pick = random.below(3) as usize;
                let (scale, lines) = ([3, 1000, 1_000_000][pick], [2, 4, 16][pick]);
                let lines = 1 + random.below(lines);
                let bytes: Vec<u8> = (0..lines).flat_map(|_| entry(random.below(99), random.below(scale))).collect();
                match random.below(12) {
                    0..5 if len < 25_000 => text.insert(slot + random.below(2) as usize, &bytes),
                    5..8 if len < 25_000 => text.replace(slot, &bytes),
                    8 if count > 1 => text.remove(slot),
                    9 if slot > 0 => {
                        let right = text.split_off(slot);
                        texts.insert(at + 1, right);
                    }
                    10 if at > 0 => {
                        let right = texts.remove(at);
                        match texts[at - 1].len() + len < 25_000 {
                            true => texts[at - 1].append(&right),
                            false => texts.insert(at, right),
                        }
                    }
                    11 => *text = text.copied(),
                    _ => _ = deflater.compress(text),
                }
                texts[at.min(texts.len() - 1)].verify();
            }
            for text in &texts {
                text.verify();
                deflater.compress(text);
                text.verify();
            }
        }
    }

    /// What a change of the gateway's own lines, and what a push costs a scraper that asks for gzip.
    #[test]
    fn only_changed_pages_lose_their_run() {
        let mut store = Store::new();
        let own = ["batch_b", "process_x"].map(|name| store.declare_own(name, Kind::Gauge, "Own.", false));
        let mut deflater = Deflater::default();
        let mut scrape = |store: &mut Store, value: &str| {
            for (id, name) in own.iter().zip(["batch_b", "process_x"]) {
                store.set_own(*id, format!("{name} {value}\n").as_bytes());
            }
            let mut snapshot = Snapshot::default();
            store.snapshot(&mut snapshot);
            store.verify();
            let made = snapshot.pieces().iter().filter(|text| deflater.compress(text) > 0);
            let (own, pushed): (Vec<_>, Vec<_>) = made.partition(|text| text.is_own());
            (own.len(), pushed.len())
        };
        for group in 0..400 {
            push(&mut store, group, 1);
        }
        let (own, pushed) = scrape(&mut store, "1");
        assert!(own == 2 && pushed > 6, "{own} {pushed}");
        assert_eq!(scrape(&mut store, "2"), (2, 0));
        assert_eq!(scrape(&mut store, "22"), (2, 0));
        push(&mut store, 17, 2); // A gauge and a time, on a page each.
        assert_eq!(scrape(&mut store, "3"), (2, 2));
        assert_eq!(scrape(&mut store, "3"), (0, 0));
    }

    fn push(store: &mut Store, group: u64, value: i64) {
        let metrics = vec![(vec![("pad".to_owned(), "p".repeat(200))], value)];
        let family = naive::PushedFamily { name: "batch_c".to_owned(), kind: Kind::Gauge, help: None, metrics };
        let push = naive::Push {
            labels: vec![("job".to_owned(), format!("{group:04}"))],
            is_replace: true,
            has_timestamp: false,
            is_interleaved: false,
            is_whole: false,
            families: vec![family],
        };
        let mut staged = Staged::default();
        naive::feed(&mut staged, &push);
        store.push(&mut staged, Mode::Merge, Timestamp(value)).unwrap();
    }
}
