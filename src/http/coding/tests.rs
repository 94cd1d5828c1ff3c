//! Bodies of both codings: sound, damaged, cut short and cut into pieces.

use std::io::{Read, Write};

use super::replay::{Outcome, play};
use super::*;
use crate::random::Random;

const TEXT: &[u8] = b"# TYPE m gauge\nm{a=\"b\"} 1\nm{a=\"c\"} 2\n";

/// A member with exactly this header behind the method, and these data.
fn member(flags: u8, fields: &[u8], data: &[u8]) -> Vec<u8> {
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflate.write_all(data).unwrap();
    let mut body = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
    body.extend_from_slice(fields);
    body.extend(deflate.finish().unwrap());
    let mut crc = flate2::Crc::new();
    crc.update(data);
    body.extend(crc.sum().to_le_bytes());
    body.extend((data.len() as u32).to_le_bytes());
    body
}

/// A header with all optional fields; the checksum is that of the bytes before it.
fn full_header_member(data: &[u8]) -> Vec<u8> {
    let fields = [b"\x05\0extra".as_slice(), b"name\0", b"a comment\0"].concat();
    let mut crc = flate2::Crc::new();
    crc.update(&[0x1f, 0x8b, 8, 0x1f, 1, 2, 3, 4, 0, 255]);
    crc.update(&fields);
    let checksum = (crc.sum() as u16).to_le_bytes();
    member(0x1f, &[fields.as_slice(), &checksum].concat(), data)
}

fn gzip(data: &[u8]) -> Vec<u8> {
    member(0, b"", data)
}

fn snappy_chunk(kind: u8, data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u32).to_le_bytes();
    [&[kind, len[0], len[1], len[2]], data].concat()
}

fn snappy_data(kind: u8, data: &[u8]) -> Vec<u8> {
    let checksum = crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let block = if kind == 0 { snap::raw::Encoder::new().compress_vec(data).unwrap() } else { data.to_vec() };
    snappy_chunk(kind, &[&checksum, block.as_slice()].concat())
}

const SNAPPY_START: &[u8] = b"\xff\x06\0\0sNaPpY";

fn snappy(chunks: &[Vec<u8>]) -> Vec<u8> {
    [SNAPPY_START, &chunks.concat()].concat()
}

/// Bytes that no coding makes smaller.
fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(len as u64);
    (0..len).map(|_| random.below(256) as u8).collect()
}

fn whole(coding: Coding, body: &[u8]) -> Outcome {
    play(&mut Decoder::default(), coding, body, [], usize::MAX)
}

fn outcome(data: &[u8], error: Option<CodingError>) -> Outcome {
    Outcome { data: data.to_vec(), error }
}

#[test]
fn codings_by_name() {
    for (value, expected) in [
        ("gzip", Some(Coding::Gzip)),
        ("GZip", Some(Coding::Gzip)),
        ("snappy", Some(Coding::Snappy)),
        ("Snappy", Some(Coding::Snappy)),
        ("x-gzip", None),
        ("gzip, identity", None),
        ("identity", None),
        ("br", None),
        ("", None),
    ] {
        assert_eq!(Coding::of(value.as_bytes()), expected, "{value}");
    }
}

/// A title, a body, the data in front of the first error, and that error.
type Case<D> = (&'static str, Vec<u8>, D, Option<&'static str>);

/// Sound and damaged gzip bodies, with what comes of them.
fn gzip_cases() -> Vec<Case<&'static [u8]>> {
    let header = |flags: u8, fields: &[u8]| [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255], fields].concat();
    let spoiled = |at_end: usize| {
        let mut body = gzip(TEXT);
        let at = body.len() - at_end;
        body[at] ^= 1;
        body
    };
    let mut reserved_flags = gzip(TEXT);
    reserved_flags[3] = 0xe0;
    let long_name = |len: usize| member(8, &[vec![b'n'; len], vec![0]].concat(), TEXT);
    let mut bad_header_checksum = full_header_member(TEXT);
    bad_header_checksum[32] ^= 1;
    // The second block has the type that does not exist.
    let stored = |data: &[u8]| [&[0, data.len() as u8, 0, !(data.len() as u8), 255], data].concat();
    let broken = [header(0, b""), stored(b"m 1\n"), vec![0b111]].concat();
    vec![
        ("one member", gzip(TEXT), TEXT, None),
        ("all header fields", full_header_member(TEXT), TEXT, None),
        ("an empty extra field", member(4, b"\0\0", TEXT), TEXT, None),
        ("an empty name", member(8, b"\0", TEXT), TEXT, None),
        ("the longest name", long_name(511), TEXT, None),
        ("a longer name", long_name(512), b"", Some("gzip: invalid header")),
        ("reserved flags", reserved_flags, TEXT, None),
        ("three members", [gzip(&TEXT[..9]), gzip(b""), gzip(&TEXT[9..])].concat(), TEXT, None),
        ("an empty member", gzip(b""), b"", None),
        ("nothing", Vec::new(), b"", Some("EOF")),
        ("too short for a header", b"m 1\n".to_vec(), b"", Some("unexpected EOF")),
        ("text", TEXT.to_vec(), b"", Some("gzip: invalid header")),
        ("another method", vec![0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0], b"", Some("gzip: invalid header")),
        ("a header's checksum", bad_header_checksum, b"", Some("gzip: invalid header")),
        ("a header only", header(0, b""), b"", Some("unexpected EOF")),
        ("a name without end", header(8, b"na"), b"", Some("unexpected EOF")),
        ("half an extra length", header(4, b"\x05"), b"", Some("unexpected EOF")),
        ("the length", spoiled(1), TEXT, Some("gzip: invalid checksum")),
        ("the checksum", spoiled(8), TEXT, Some("gzip: invalid checksum")),
        ("no trailer", gzip(TEXT)[..gzip(TEXT).len() - 8].to_vec(), TEXT, Some("unexpected EOF")),
        ("half a trailer", gzip(TEXT)[..gzip(TEXT).len() - 3].to_vec(), TEXT, Some("unexpected EOF")),
        ("a short rest", [gzip(TEXT), b"rest".to_vec()].concat(), TEXT, Some("unexpected EOF")),
        ("a rest", [gzip(TEXT), TEXT.to_vec()].concat(), TEXT, Some("gzip: invalid header")),
        ("damaged data", broken, b"m 1\n", Some("flate: corrupt input before offset 10")),
    ]
}

#[test]
fn gzip_bodies() {
    for (title, body, data, error) in gzip_cases() {
        let outcome = whole(Coding::Gzip, &body);
        assert_eq!(outcome.error.map(|error| error.to_string()).as_deref(), error, "{title}");
        assert_eq!(outcome.data, data, "{title}");
    }
}

/// Sound and damaged snappy bodies, with what comes of them.
fn snappy_cases() -> Vec<Case<Vec<u8>>> {
    let corrupt = Some("snappy: corrupt input");
    let unsupported = Some("snappy: unsupported input");
    let text = TEXT.to_vec();
    let plain = || snappy_data(1, TEXT);
    let mut bad_checksum = plain();
    bad_checksum[4] ^= 1;
    let one_too_many = noise((64 << 10) + 1);
    let mut long_claim = snappy_data(0, TEXT);
    long_claim[8..11].copy_from_slice(&[0x81, 0x80, 0x04]); // 65537 as a varint.
    vec![
        ("nothing", Vec::new(), vec![], None),
        ("an identifier only", snappy(&[]), vec![], None),
        ("compressed", snappy(&[snappy_data(0, TEXT)]), text.clone(), None),
        ("uncompressed", snappy(&[plain()]), text.clone(), None),
        ("both", snappy(&[snappy_data(0, &TEXT[..7]), snappy_data(1, &TEXT[7..])]), text.clone(), None),
        ("a full block", snappy(&[snappy_data(0, &noise(64 << 10))]), noise(64 << 10), None),
        ("a full plain block", snappy(&[snappy_data(1, &noise(64 << 10))]), noise(64 << 10), None),
        ("empty blocks", snappy(&[snappy_data(0, b""), snappy_data(1, b""), plain()]), text.clone(), None),
        ("identifiers", snappy(&[SNAPPY_START.to_vec(), plain(), SNAPPY_START.to_vec()]), text.clone(), None),
        ("padding", snappy(&[snappy_chunk(0xfe, &[0; 999]), plain()]), text.clone(), None),
        ("skippable", snappy(&[snappy_chunk(0x80, b""), snappy_chunk(0xfd, b"x"), plain()]), text.clone(), None),
        ("much padding", snappy(&[snappy_chunk(0xfe, &vec![0; 200_000]), plain()]), text.clone(), None),
        ("no identifier", plain(), vec![], corrupt),
        ("padding first", snappy_chunk(0xfe, b"x"), vec![], corrupt),
        ("a raw block", snap::raw::Encoder::new().compress_vec(TEXT).unwrap(), vec![], corrupt),
        ("text", text.clone(), vec![], corrupt),
        ("another identifier", b"\xff\x06\0\0sNaPpy".to_vec(), vec![], corrupt),
        ("a long identifier", b"\xff\x07\0\0sNaPpYs".to_vec(), vec![], corrupt),
        ("unskippable", snappy(&[plain(), snappy_chunk(2, b"")]), text.clone(), unsupported),
        ("the last unskippable", snappy(&[snappy_chunk(0x7f, b"x")]), vec![], unsupported),
        ("a wrong checksum", snappy(&[bad_checksum]), vec![], corrupt),
        ("no checksum", snappy(&[snappy_chunk(1, b"abc")]), vec![], corrupt),
        ("no length", snappy(&[snappy_chunk(0, b"abcd")]), vec![], corrupt),
        ("a long block", snappy(&[snappy_data(1, &one_too_many)]), vec![], corrupt),
        ("a long compressed block", snappy(&[snappy_data(0, &one_too_many)]), vec![], corrupt),
        ("a block that says it is long", snappy(&[long_claim]), vec![], corrupt),
        ("a long chunk", snappy(&[snappy_chunk(0, &noise(77_000))]), vec![], unsupported),
        ("half a head", snappy(&[plain(), vec![0, 1]]), text, corrupt),
    ]
}

#[test]
fn snappy_bodies() {
    for (title, body, data, error) in snappy_cases() {
        let outcome = whole(Coding::Snappy, &body);
        assert_eq!(outcome.error.map(|error| error.to_string()).as_deref(), error, "{title}");
        assert!(outcome.data == data, "{title}");
    }
}

/// All the cases, as bodies with their coding.
fn bodies() -> Vec<(&'static str, Coding, Vec<u8>)> {
    let gzip = gzip_cases().into_iter().map(|(title, body, ..)| (title, Coding::Gzip, body));
    let snappy = snappy_cases().into_iter().map(|(title, body, ..)| (title, Coding::Snappy, body));
    gzip.chain(snappy).collect()
}

#[test]
fn pieces_make_no_difference() {
    // One decoder for all of it: nothing of a body is left for the next one.
    let mut decoder = Decoder::default();
    for (title, coding, body) in bodies() {
        let expected = whole(coding, &body);
        let step = body.len() / 100 + 1;
        for cut in (0..=body.len()).step_by(step) {
            assert!(play(&mut decoder, coding, &body, [cut], usize::MAX) == expected, "{title}, cut at {cut}");
        }
        for step in [1, 2, 7, 1024] {
            let cuts = (0..body.len()).step_by(step);
            assert!(play(&mut decoder, coding, &body, cuts, usize::MAX) == expected, "{title}, by {step}");
        }
    }
}

#[test]
fn a_body_cut_short_is_refused() {
    let first = gzip(TEXT);
    let body = [first.clone(), full_header_member(TEXT)].concat();
    for end in 0..body.len() {
        let Outcome { data, error } = whole(Coding::Gzip, &body[..end]);
        let expected = match end {
            0 => Some(CodingError::Empty),
            end if end == first.len() => None,
            _ => Some(CodingError::UnexpectedEof),
        };
        assert_eq!(error, expected, "gzip up to {end}");
        assert!([TEXT, TEXT].concat().starts_with(&data), "gzip up to {end}");
    }
    let chunks = [SNAPPY_START.to_vec(), snappy_data(0, TEXT), snappy_chunk(0xfe, b"padding"), snappy_data(1, TEXT)];
    let ends: Vec<usize> = (0..=4).map(|count| chunks[..count].concat().len()).collect();
    let body = chunks.concat();
    for end in 0..body.len() {
        let error = whole(Coding::Snappy, &body[..end]).error;
        assert_eq!(error, (!ends.contains(&end)).then_some(CodingError::SnappyCorrupt), "snappy up to {end}");
    }
}

#[test]
fn no_bit_goes_wrong_unnoticed() {
    for (coding, body) in [(Coding::Gzip, full_header_member(TEXT)), (Coding::Snappy, snappy(&[snappy_data(0, TEXT)]))]
    {
        for bit in 0..body.len() * 8 {
            let mut damaged = body.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let outcome = whole(coding, &damaged);
            // The highest bit of a chunk's type makes it one that may be skipped.
            let is_skipped = coding == Coding::Snappy && bit == SNAPPY_START.len() * 8 + 7;
            assert_eq!(outcome.error.is_none(), is_skipped, "{coding:?}: bit {bit}");
        }
    }
}

#[test]
fn what_other_encoders_write() {
    let text: Vec<u8> = (0..20_000).flat_map(|i| format!("m{{i=\"{i}\"}} {i}\n").into_bytes()).collect();
    for data in [&text[..], &noise(200_000), b"", &[b'\n'; 1_000_000]] {
        let mut encoder =
            flate2::GzBuilder::new().filename("f").comment("c").write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        assert!(whole(Coding::Gzip, &encoder.finish().unwrap()) == outcome(data, None));
        let mut encoder = snap::write::FrameEncoder::new(Vec::new());
        encoder.write_all(data).unwrap();
        let body = encoder.into_inner().unwrap();
        assert!(whole(Coding::Snappy, &body) == outcome(data, None));
        let mut expected = Vec::new();
        snap::read::FrameDecoder::new(&body[..]).read_to_end(&mut expected).unwrap();
        assert!(expected == data);
    }
}

/// Whatever a body claims, a step stays within the caller's buffer, and a short input makes a bounded number of steps.
#[test]
fn a_bomb_comes_in_small_pieces() {
    let body = gzip(&vec![0; 10 << 20]);
    let piece = &body[..crate::limits::CODED_PIECE_BYTES];
    let mut buffer = vec![0; DECODED_PIECE_BYTES];
    let mut decoder = Decoder::default();
    decoder.begin(Coding::Gzip);
    let (mut used, mut produced, mut steps) = (0, 0, 0);
    while used < piece.len() {
        let step = decoder.decode(&piece[used..], &mut buffer).unwrap();
        (used, produced, steps) = (used + step.used, produced + step.produced, steps + 1);
    }
    assert!(produced <= piece.len() * 1032, "{produced} of {used}");
    assert!(steps <= 20, "{steps}");
}

#[test]
fn a_warm_decoder_allocates_nothing() {
    let bodies = [
        (Coding::Gzip, [gzip(TEXT), full_header_member(TEXT)].concat()),
        (Coding::Snappy, snappy(&[snappy_data(0, &noise(64 << 10)), snappy_data(1, TEXT)])),
    ];
    let mut buffer = vec![0; DECODED_PIECE_BYTES];
    let mut decoder = Decoder::default();
    let mut decode = || {
        for (coding, body) in &bodies {
            decoder.begin(*coding);
            for piece in body.chunks(1024) {
                let mut rest = piece;
                while !rest.is_empty() {
                    rest = &rest[decoder.decode(rest, &mut buffer).unwrap().used..];
                }
            }
            decoder.finish().unwrap();
        }
    };
    decode();
    let counted = allocation_counter::measure(decode);
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
