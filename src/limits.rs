//! Every bound of the program, with its unit and its reason; asserted against each other at compile time.
//! Owns no behaviour: a module that enforces a bound names it from here. Those that the command line changes are listed
//! in `flags`; what stands here is their default.

mod flags;

use std::time::Duration;

pub use flags::{LIMITS, LIMITS_COUNT, Limit, LimitRule, Limits, Reached, Unit};

// ---- exposition ----

/// Longest line of a text body, bytes. A line is the only part of a body that has to stand in memory whole.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Bytes that each of a parser's buffers (names of the body, unfinished line) may keep for the next body. Enough for
/// usual bodies to be parsed without an allocation; the rest of an unusually large one is given back.
pub const PARSER_RETAINED_BYTES_MAX: usize = 256 << 10;

/// Longest body whose shape is kept for those that repeat it, bytes. What a longer one costs is in its lines, which are
/// written anew anyway.
pub const SHAPE_BYTES_MAX: usize = 8 << 10;

/// How many shapes a parser keeps. Each takes up to some forty kilobytes.
pub const SHAPES_KEPT: usize = 4;

/// How many shapes are kept in vain before that is tried less often: at one body in [`SHAPES_MISSED_PER_TRY`].
pub const SHAPES_TRIED_MAX: u64 = 8;

/// See [`SHAPES_TRIED_MAX`].
pub const SHAPES_MISSED_PER_TRY: u64 = 32;

/// Longest message of a protobuf body, bytes: one family. Only an unfinished message has to stand in memory whole;
/// this is a family of about a million series.
pub const MESSAGE_BYTES_MAX: usize = 128 << 20;

/// Groups inside each other in a protobuf field that nobody knows, as the original's reader bounds them.
pub const MESSAGE_DEPTH_MAX: usize = 10_000;

/// Memory that the buffer for an unfinished message may keep for the next body, bytes: a family of usual size that is
/// cut by the end of a read.
pub const MESSAGE_KEPT_BYTES_MAX: usize = 256 << 10;

/// The value of a metric in protobuf that says more than lines can, bytes: it is read and written again as a whole, in a
/// millisecond. More than 50,000 native buckets fit; clients have some hundreds.
pub const DETAIL_BYTES_MAX: usize = 256 << 10;

/// Finished text that is converted to another format in one step, bytes: some hundred microseconds of work, and what a
/// session then sends at once.
pub const CONVERTED_BYTES_PER_STEP: usize = 64 << 10;

/// Finished text whose headers are looked through in one step, for each byte that is converted in one: what stands between
/// headers is skipped at memory speed.
pub const HEADER_BYTES_PER_CONVERTED: usize = 8;

/// Bounds of a histogram or summary that are kept while it is converted; one that has more is read twice.
pub const METRIC_BOUNDS_KEPT_MAX: usize = 1024;

/// Start of a family's protobuf message that is kept until its length is known, bytes. Nearly every family is shorter;
/// a longer one is read twice, which costs time instead of memory.
pub const FAMILY_BUFFERED_BYTES_MAX: usize = 256 << 10;

// ---- messages ----

/// Input that one quote in a message shows, bytes before they are escaped: more than any name or value that somebody
/// wants to read there. Escapes make up to four times as much of them.
pub const QUOTE_BYTES_MAX: usize = 1 << 10;

/// Text of a metric's label set that a message shows, bytes: the labels of some dozens of usual metrics. Its names and
/// values are quotes of their own.
pub const LABELS_QUOTED_BYTES_MAX: usize = 4 << 10;

/// Longest text of an answer to a request that cannot be served, bytes. A client need not read its answer, so it must
/// not be able to make one that is much larger than what it sends.
pub const ERROR_BYTES_MAX: usize = 64 << 10;

/// Errors spelled out in the answer to an inconsistent push; the rest is only counted.
pub const ERRORS_LISTED_MAX: usize = 20;

/// Text of the errors that are spelled out in one answer, bytes: those that come later are only counted. The rest of
/// the answer is for the sentence that introduces them.
pub const ERRORS_LISTED_BYTES_MAX: usize = ERROR_BYTES_MAX - (1 << 10);

// ---- store ----

/// Capacity of one page, bytes: large enough that a scrape hands few pieces to the kernel, small enough that
/// moving half a page on a change of length costs less than a system call.
pub const PAGE_BYTES: usize = 32 << 10;

/// Steps in which the memory of a page grows, bytes: a page has a fifteenth more than its text on average. Half the step
/// would save a percent of the whole, and make pages move twice as often while they are filled.
pub const PAGE_STEP_BYTES: usize = 2 << 10;

/// Slots by which the directory of a page grows, beside an eighth of what it has.
pub const SLOTS_STEP: usize = 4;

/// An entry longer than this, bytes, gets pages of its own; shorter ones share pages.
pub const ENTRY_SHARED_BYTES_MAX: usize = PAGE_BYTES / 2;

/// Room in a copied page of the gateway's own lines, bytes: their numbers get longer.
pub const OWN_SPARE_BYTES: usize = 256;

/// A shared page with less text than this, bytes, is joined with a neighbour.
pub const PAGE_SPARSE_BYTES: usize = PAGE_BYTES / 4;

/// Families of groups whose details stand on one shelf, at most: a shelf that a reader has is copied when one of them
/// changes.
pub const DETAIL_BLOCKS_PER_SHELF_MAX: usize = 64;

/// What the details of one family in one group are counted with beside their text, bytes: their block and its places.
pub const DETAIL_BLOCK_BYTES: u64 = 192;

/// Families of a large group that are looked at in one step while its record is written.
pub const RECORD_FAMILIES_PER_STEP: usize = 256;

/// Most text of two pages that are joined, bytes: leaves room, so that the next push does not split them again.
pub const PAGE_MERGE_BYTES_MAX: usize = PAGE_BYTES / 4 * 3;

/// Text of a page that is compressed by itself, bytes, but for entries that are longer: half of what a changed entry costs
/// the next scrape. Each such segment takes 16 bytes beside the page.
pub const SEGMENT_BYTES: usize = 1 << 10;

/// Entries before a segment that it may refer to, bytes, beside the one right before it: what changes in them outdates it.
/// With half as many, texts that are not very regular take a tenth more.
pub const SEGMENT_HISTORY_BYTES: usize = 1 << 10;

/// How far back a compressed page refers to its text, bytes, even within a long entry: farther, lines are not more alike and
/// their distances take more bits.
pub const COPY_DISTANCE_MAX: usize = 4 << 10;

/// Longest code of a symbol in compressed pages, bits, so that code and length fit in two bytes. Deflate allows 15.
pub const DEFLATE_CODE_BITS_MAX: usize = 12;

/// Codes of other pages that are tried on a new one: neighbours hold much the same, and a code takes 700 bytes.
pub const DEFLATE_CODES_RECENT: usize = 4;

/// What more the codes of another page may take than codes made for a page, one part of so many, before a page gets its own.
pub const DEFLATE_CODE_SLACK: u64 = 32;

/// How often the length of a page is compressed in parts before it is made anew, all of it in codes for what it has become.
pub const DEFLATE_CODE_LIFE: u32 = 8;

/// The part of a page that codes are made for, one of so many bytes.
pub const DEFLATE_SAMPLED_PART: usize = 4;

/// Reason that a group keeps of its last refused push, bytes: the first sentences. With its group, which a refused push
/// creates as well, that is a kilobyte for a request.
pub const FAILURE_REASON_BYTES_MAX: usize = 512;

/// Families of a long push or deletion that are dealt with in one step, a page of text counted as one: well below a
/// millisecond.
pub const CHANGED_FAMILIES_PER_STEP: usize = 256;

/// Most text of a push that is applied in one step, bytes, beside its families: taking its pages into the store is some
/// hundred microseconds.
pub const SHORT_PUSH_BYTES_MAX: usize = 2 << 20;

/// Most series of such a push, lines: their hashes are sorted at once, a fraction of a millisecond.
pub const SHORT_PUSH_SERIES_MAX: u64 = 16 << 10;

/// Lines of histograms and summaries that are written out in one step once a push is complete: well below a millisecond.
pub const SEALED_LINES_PER_STEP: usize = 2048;

/// Working memory that a finished push may keep for the next one, bytes.
pub const STAGING_KEPT_BYTES_MAX: usize = 1 << 20;

/// Hashes of series that are sorted at once when a push is complete: a fraction of a millisecond.
pub const HASHES_SORTED_MAX: usize = 32 << 10;

/// Groups, families and pages of a wiped store that are freed in one turn of the loop: well below a millisecond, and
/// more than one connection can add in a turn, so that wipes cannot pile up faster than they are cleared away.
pub const DISCARDS_PER_TURN_MAX: usize = 2048;

/// Wiped stores that wait to be freed; with one more, the oldest is freed at once.
pub const WIPES_PENDING_MAX: usize = 8;

/// What an audit of an unchecked store looks at in one step, bytes: a fraction of a millisecond.
pub const AUDITED_BYTES_PER_STEP: usize = 256 << 10;

/// What a family counts of those beside its lines, and for every sixteen pages: its names are looked up.
pub const AUDITED_BYTES_PER_FAMILY: usize = 2 << 10;

/// What a group counts of them that is asked what it holds of a family.
pub const AUDITED_BYTES_PER_GROUP: usize = 128;

/// What a line counts of them beside its length.
pub const AUDITED_BYTES_PER_LINE: usize = 32;

/// How often an audit that found nothing waits for changes that came meanwhile, before it is taken to be right.
pub const AUDIT_ROUNDS_MAX: u32 = 4;

/// Default of the groups that are stored. The original, whose pushes take as long as there are groups, stands still far
/// below; a group of a few series takes about a kilobyte.
pub const GROUPS_DEFAULT: u64 = 1_000_000;

/// Default of the series that are stored, lines of the exposition: a gigabyte or two, which no Prometheus wants from one
/// target.
pub const SERIES_DEFAULT: u64 = 10_000_000;

/// Default of what is stored, bytes: some hundred bytes for each of those series.
pub const STORE_BYTES_DEFAULT: u64 = 4 << 30;

/// Default of the different sets of label names that groups have; a fleet has a handful of them. A push may have to be
/// compared with a group of each.
pub const GROUPING_NAMES_DEFAULT: u64 = 1000;

/// What a label name in such a set is counted with, bytes.
pub const SHAPE_NAME_BYTES: u64 = 64;

/// What a beginning of groups' keys is counted with, bytes: its place in a table that is half full.
pub const PREFIX_BYTES: u64 = 64;

/// The part of a store's bytes that is too little room for anything new: a sixteenth, or a page if that is less.
pub const STORE_SLACK: u64 = 16;

/// What a group is counted with beside its labels and its text, bytes: its place in the tables.
pub const GROUP_BYTES: u64 = 192;

/// What a family of a group is counted with beside its text and its help, bytes: its place in the group's list, and in the
/// page. Families without series have no text, and are not for free.
pub const HOLDING_BYTES: u64 = 80;

/// Families of a group up to which it shares the list of them with groups that hold the same: a change of the list copies
/// it, which must cost less than the push that brings the change.
pub const OUTLINE_SHARED_FAMILIES_MAX: usize = 256;

/// What a family is counted with beside its name, bytes: its place in the tables.
pub const FAMILY_BYTES: u64 = 256;

/// Default of the series of one push, lines: as many as may be stored.
pub const PUSH_SERIES_DEFAULT: u64 = SERIES_DEFAULT;

/// Look-ups of groups with other label names that a push has for free for each of its series: beside a handful of sets of
/// label names a series takes a few, if any.
pub const LOOKUPS_PER_SERIES: u64 = 16;

/// Default of the look-ups of one push beyond those: about a second of work, in steps. Only a push whose labels somebody
/// has made groups of, in hundreds of sets, takes more than a few.
pub const PUSH_LOOKUPS_DEFAULT: u64 = 10_000_000;

/// What of the check of a push is done at once, in look-ups, each of which takes up to a tenth of a microsecond: below a
/// millisecond. Only a line that is longer than a page takes longer.
pub const CHECKED_PER_STEP_MAX: usize = 8 << 10;

/// Series of a push up to which those of another group are searched for them as text, which is faster than to take lines
/// apart: so many that each is searched for by itself.
pub const SERIES_SEARCHED_MAX: usize = 4;

/// Least text that is searched so, bytes: getting ready for a search takes as long as taking a few dozen lines apart.
pub const PIECE_SEARCHED_BYTES_MIN: usize = 4 << 10;

/// Series of a family of a push from which on their places are kept in many small tables: none of those takes longer to
/// grow than a step may.
pub const SERIES_INDEXED_MAX: usize = 4 << 10;

/// Default of the labels of one series. Nobody has a tenth of them; they are sorted, and looked for one by one.
pub const SERIES_LABELS_DEFAULT: u64 = 1024;

/// Default of the length of a label's name, bytes. Every series carries them.
pub const LABEL_NAME_BYTES_DEFAULT: u64 = 64 << 10;

/// Default of the length of a label's value, bytes: more than the longest message that somebody puts into one.
pub const LABEL_VALUE_BYTES_DEFAULT: u64 = 1 << 20;

// ---- persistence ----

/// What is compressed at once in the record of a group, bytes: all of a usual group, and a length that fits in three
/// bytes.
pub const RECORD_BLOCK_BYTES: usize = 64 << 10;

/// What of a record is one value of the database, bytes: with its key and the database's own notes a little less than
/// the next power of two, which it takes in the file.
pub const RECORD_PART_BYTES: usize = 60 << 10;

/// Records that are committed at once, bytes, but for the last one: enough that the sync is a small part of the time,
/// and little beside what the pages take.
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// Groups that change in one commit.
pub const BATCH_GROUPS_MAX: usize = 16 << 10;

/// Memory that a finished batch may keep for the next one, bytes: that of a few hundred usual groups.
pub const BATCH_KEPT_BYTES_MAX: usize = 256 << 10;

/// What is encoded for the disk in one turn of the loop, bytes before compression: well below a millisecond.
pub const ENCODED_BYTES_PER_TURN_MAX: usize = 256 << 10;

/// What a group counts of those beside its text, bytes: finding it and taking it out costs as much as that to encode.
pub const ENCODED_BYTES_PER_GROUP: usize = 512;

/// Time for which a commit is waited for; then pushes are told that the disk does not answer.
pub const COMMIT_TIME_MAX: Duration = Duration::from_secs(10);

/// Time between a commit that failed and the next try.
pub const COMMIT_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Memory that the database may use for pages of its file, bytes. The store is in memory already: what is read is the
/// way to a group's old record.
pub const DATABASE_CACHE_BYTES: usize = 1 << 20;

/// What the helper reads of the file before it hands it over, bytes: some turns of work for the loop.
pub const LOADED_BYTES_PER_REPORT: usize = 1 << 20;

/// Groups that it hands over at once.
pub const LOADED_GROUPS_PER_REPORT_MAX: usize = 4 << 10;

/// What is put into the store in one turn of the loop, bytes: well below a hundredth of a second.
pub const LOADED_BYTES_PER_TURN_MAX: usize = 1 << 20;

/// What such a group counts beside its text, bytes.
pub const LOADED_BYTES_PER_GROUP: usize = 512;

/// Files of the original that are kept beside a persistence file, each under a name of its own.
pub const KEPT_FILES_MAX: usize = 100;

/// Symbolic links that are followed from the name of the persistence file: as many as Linux follows.
pub const LINKS_FOLLOWED_MAX: usize = 40;

/// Reports of the helper that the loop has not taken yet.
pub const REPORTS_PENDING_MAX: usize = 2;

// ---- http ----

/// Request line and headers together, bytes (SPEC 1.6: 1 MiB + 4 KiB, then 431).
pub const HEAD_BYTES_MAX: usize = (1 << 20) + 4096;

/// Least and most that `--limit.head-bytes` may be: no client gets by with less, and a head has to stand in memory.
pub const HEAD_BYTES_LEAST: usize = 1 << 10;
/// See there.
pub const HEAD_BYTES_MOST: usize = 64 << 20;

/// Default of the body of a push as sent, bytes: what a compressed one may become, too.
pub const BODY_BYTES_DEFAULT: u64 = DECODED_BYTES_MAX;

/// Unread request body that is drained after an early answer so that the connection can be kept, bytes (SPEC 1.6).
pub const DRAIN_BYTES_MAX: u64 = 256 << 10;

/// Headers of one request; above it 431. Real clients send fewer than twenty; with names of one letter `HEAD_BYTES_MAX`
/// alone would allow a quarter of a million, each of which is looked at.
pub const HEADERS_MAX: usize = 1024;

/// What may stand behind the size on a chunk's first line, bytes: blanks and extensions, which nobody reads.
pub const CHUNK_EXTENSION_BYTES_MAX: u32 = 4096;

/// Trailer section behind the last chunk, bytes: no larger than the head, whose continuation it is.
pub const TRAILER_BYTES_MAX: u32 = HEAD_BYTES_MAX as u32;

// ---- content codings ----

/// What a compressed body may become, bytes; above it 413. A thousand times what a large push has, and still parsed in
/// seconds: a body of one megabyte can claim to be a thousand.
pub const DECODED_BYTES_MAX: u64 = 1 << 30;

/// What a decoder holds of a body, bytes: the window of deflate and its tables.
pub const DECODER_BYTES: usize = 64 << 10;

/// The buffer that bodies are decompressed into, bytes: what is decoded of one before it is parsed. A block of framed
/// snappy has to fit, which is checked as a whole.
pub const DECODED_PIECE_BYTES: usize = 64 << 10;

/// Compressed bytes that are decoded before the share of the turn is looked at: deflate makes at most 1032 times as much of
/// them, so about a megabyte.
pub const CODED_PIECE_BYTES: usize = 1 << 10;

/// Bytes decompressed for one connection in one turn of the loop, but for the last piece. More than are read, as text
/// shrinks to a tenth, and a turn must not be spent on calls.
pub const DECODED_BYTES_PER_TURN_MAX: usize = 256 << 10;

/// Memory that each part of a copied request head may keep for the next one, bytes; heads of clients are far smaller.
pub const HELD_KEPT_BYTES_MAX: usize = 16 << 10;

// ---- net and server ----

/// Connections open at once; above it the listeners are not asked for more.
pub const CONNECTIONS_MAX: usize = 16 << 10;

/// Descriptors that connections leave to others: listeners, the persistence file and its copies, readings of the process.
pub const DESCRIPTORS_RESERVED: u64 = 64;

/// When there are too many connections, the part of them that is closed once a second if they are idle: one of so many.
pub const CROWD_PART: usize = 8;

/// Default of what requests on their way in may hold, bytes: two of the longest bodies that are taken.
pub const RECEIVED_BYTES_DEFAULT: u64 = 2 << 30;

/// Default of what answers on their way out may hold of text that was replaced since, bytes: more than a usual store. It
/// is never less than twice the store, so that two scrapes of any length can go on while everything is pushed anew.
pub const ANSWERED_BYTES_DEFAULT: u64 = 256 << 20;

/// What the encoder of a converted scrape takes beside the text, bytes.
pub const GZIP_ENCODER_BYTES: usize = 256 << 10;

/// Time that a turn of the loop is to take, but for its last steps, each of which takes about a millisecond at most: how
/// long a client with a small push waits while others ask for much. Waiting for events takes a thousandth of it.
pub const TURN_TIME_MAX: Duration = Duration::from_millis(2);

/// Time for which a session works in a turn before others have theirs, but for its last step, if it used little time
/// lately: many small pushes, or a long one of some thousand lines.
pub const LIGHT_SLICE_TIME_MAX: Duration = Duration::from_micros(250);

/// The same of one that used more: one request that costs much, or some that are small. Many times what looking for
/// events between two slices takes.
pub const HEAVY_SLICE_TIME_MAX: Duration = Duration::from_micros(100);

/// Time that a session used lately below which it goes before others: some ten small pushes at once.
pub const CHARGED_TIME_LIGHT_MAX: Duration = Duration::from_micros(250);

/// Most time that a session is charged: after a quarter of a second without work it is as good as new.
pub const CHARGED_TIME_MAX: Duration = Duration::from_millis(16);

/// The part of the time in which a session has nothing to do that it is forgiven, one of so many: whoever keeps the loop
/// busy for less than that part of the time goes first.
pub const CHARGE_FORGIVEN_PART: u32 = 16;

/// Bytes that are dealt with before the clock is read: that takes some twenty nanoseconds, and so many bytes a hundred
/// times as long.
pub const METERED_BYTES: usize = 16 << 10;

/// What an answer that waited for the disk counts of those, as it takes some microseconds.
pub const SETTLED_BYTES: usize = 1 << 10;

/// Sessions that are given up at once in a turn, for lateness or for memory: telling a client takes some microseconds.
pub const GIVEN_UP_PER_TURN_MAX: usize = 64;

/// Connections accepted in one turn of the loop.
pub const ACCEPTS_PER_TURN_MAX: usize = 64;

/// The shared read buffer, bytes: what is read from one connection at a time.
pub const READ_BYTES: usize = 64 << 10;

/// Bytes written to one connection in one turn of the loop.
pub const WRITE_BYTES_PER_TURN_MAX: usize = 1 << 20;

/// Bytes read from one connection in one turn of the loop: what bounds the lines parsed in a turn, too.
pub const READ_BYTES_PER_TURN_MAX: usize = READ_BYTES;

/// Bytes taken out of a socket at once for TLS: a record.
pub const TLS_READ_BYTES: usize = 16 << 10;

/// Longest record of TLS, bytes (RFC 8446 5.2, RFC 5246 6.2.3), rounded up: what may be held of one that is incomplete.
pub const TLS_RECORD_BYTES_MAX: usize = 18 << 10;

/// Text that is encrypted ahead of the socket, bytes: a record. More would only cost memory for slow readers.
pub const TLS_OUTPUT_BYTES_MAX: usize = 16 << 10;

/// Steps of TLS handshakes in one turn of the loop. A step signs or agrees on a key, which takes up to a millisecond;
/// pushes must not wait for a crowd that says hello.
pub const HANDSHAKES_PER_TURN_MAX: usize = 4;

/// Requests of one connection that are answered in one turn of the loop.
pub const REQUESTS_PER_TURN_MAX: usize = 64;

/// Pieces of a scrape handed to the kernel in one call: as many as it takes. Compressed pages are short.
pub const WRITE_PIECES_MAX: usize = 1024;

/// Readiness events taken in one turn of the loop.
pub const EVENTS_PER_TURN_MAX: usize = 1024;

/// Response memory that a connection keeps between requests, bytes.
pub const OUTPUT_KEPT_BYTES_MAX: usize = 64 << 10;

/// Text compressed in one turn of the loop, bytes: some pages, so that a large store that is compressed for the first
/// time holds up pushes for well below a millisecond. Only a page that is one long line may exceed it.
pub const DEFLATE_BYTES_PER_TURN_MAX: usize = 4 * PAGE_BYTES;

/// JSON that is written ahead of a slow reader, bytes.
pub const JSON_AHEAD_BYTES: usize = 64 << 10;

/// Groups in one page of `/api/v1/groups` unless the client asks for another number.
pub const GROUPS_LISTED_DEFAULT: usize = 100;

/// Most groups in one page of `/api/v1/groups`: a page is chosen in one go, and other clients wait for that.
pub const GROUPS_LISTED_MAX: usize = 10_000;

/// Most groups that one request of `/api/v1/groups/delete` deletes: other clients wait for that, so whoever deletes more
/// asks again.
pub const GROUPS_DELETED_MAX: usize = 1000;

/// Families of groups that such a request deletes, but for those of the last group: each is an entry in the pages.
pub const FAMILIES_DELETED_MAX: usize = 8 << 10;

/// Terms of one search: each is tried on every group.
pub const SEARCH_TERMS_MAX: usize = 16;

/// Query of `/api/v1/groups` as sent, bytes: enough for any search that somebody types.
pub const QUERY_BYTES_MAX: usize = 8 << 10;

/// Pushes that are kept, with their working memory, for the next ones.
pub const IDLE_PUSHES_MAX: usize = 16;

/// Time in which a request's head has to arrive.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(60);

/// Longest pause within a request's body.
pub const BODY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Longest time in which a client that is being answered reads nothing.
pub const RESPONSE_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Over how long the least rates of bodies and answers are measured: what is finished by then may be as slow as it likes.
pub const RATE_WINDOW: Duration = Duration::from_secs(300);

/// Default of the least rate of a body, bytes per second: a client with a modem has fifty times as much, one that only
/// wants to hold on to its connection has not.
pub const BODY_RATE_DEFAULT: u64 = 100;

/// Default of the least rate at which an answer is read, bytes per second; the same thought.
pub const RESPONSE_RATE_DEFAULT: u64 = 100;

/// Time for which a connection stays open between requests. The original never closes one; this is longer than any
/// client keeps one that it does not use.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(15 * 60);

/// Time for which input is discarded after a last answer, so that a client that is still sending gets to read it.
pub const LINGER_TIME_MAX: Duration = Duration::from_secs(5);

/// How often deadlines are looked at: their precision.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Time that requests in flight have to finish after a signal to terminate.
pub const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(10);

// ---- command line ----

/// Arguments files (`@FILE`) read for one command line; a file may name others, and itself.
pub const ARGUMENT_FILES_MAX: usize = 64;

// ---- persistence ----

/// Types that a persistence file of the original may define; it has some thirty, most of them for parts of families.
pub const GOB_TYPES_MAX: usize = 1 << 10;

/// Fields of one of these types; the original's have up to twenty.
pub const GOB_FIELDS_MAX: usize = 1 << 10;

/// How deep values that are skipped in such a file may be inside each other, so that none exhausts the stack.
pub const GOB_DEPTH_MAX: usize = 64;

// ---- web configuration ----

/// The web configuration and each file that it names, bytes: some thousand users, or as many certificates.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// Lists and maps inside each other in the web configuration; its keys need three.
pub const CONFIG_DEPTH_MAX: usize = 16;

/// How often the files of the web configuration are looked at while requests come: a few system calls, which are not
/// worth having for each request.
pub const CONFIG_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How much longer it may take while nothing comes.
pub const CONFIG_IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Age from which a file's time of change is trusted: a younger file may be changed again without getting a new one, as
/// file systems count in steps of up to two seconds, and may not have been written to its end.
pub const CONFIG_SETTLE_TIME: Duration = Duration::from_secs(2);

// ---- authentication ----

/// Passwords that wait to be compared with hashes; with one more, the answer is 503. At the usual cost they take some
/// seconds; who would wait longer does better to come again.
pub const COMPARISONS_QUEUED_MAX: usize = 64;

/// Heads of requests that wait for a comparison, all together, bytes; with one more, the answer is 503. Enough for a
/// heavy crowd of clients that all come with the same password for the first time.
pub const UNPROVEN_BYTES_MAX: usize = 32 << 20;

/// Right credentials that are remembered, more than a gateway has users.
pub const GRANTS_CACHED_MAX: usize = 1024;

/// Wrong credentials that are remembered, so that a client that keeps coming with a wrong password costs nothing.
pub const DENIALS_CACHED_MAX: usize = 256;

// ---- log ----

/// Longest value in a log line, bytes before they are escaped: a message with some quotes.
pub const LOG_VALUE_BYTES_MAX: usize = 4 << 10;

/// Bytes of log lines that may come at once: enough for a start-up at debug level and a short storm of bad pushes.
pub const LOG_BURST_BYTES_MAX: u64 = 1 << 20;

/// Bytes of log lines per second in the long run: a day of nothing but bad pushes stays below 1.5 GB.
pub const LOG_BYTES_PER_SECOND_MAX: u64 = 16 << 10;

// ---- telemetry ----

/// How far back the quantiles of the own summaries look, seconds (SPEC 7.8).
pub const SUMMARY_WINDOW_SECONDS: u64 = 600;

/// Time for which a look at the process is good. The kernel takes longer to write those files out than a scrape of
/// some MiB to be sent, and nobody who scrapes more often can tell.
pub const PROCESS_READINGS_TIME_MAX: Duration = Duration::from_millis(100);

/// Steps in which old observations leave that window (SPEC 7.8).
pub const SUMMARY_WINDOW_STEPS: usize = 5;

const _: () = {
    assert!(LOG_VALUE_BYTES_MAX as u64 * 16 <= LOG_BURST_BYTES_MAX, "no single line exceeds the whole budget");
    assert!(SUMMARY_WINDOW_SECONDS.is_multiple_of(SUMMARY_WINDOW_STEPS as u64), "steps are whole seconds");
    assert!(UNPROVEN_BYTES_MAX > 2 * HEAD_BYTES_MAX, "the longest head can wait");
    assert!(16 * CHARGED_TIME_LIGHT_MAX.as_nanos() < CHARGED_TIME_MAX.as_nanos(), "a session can reach all levels");
    assert!(LIGHT_SLICE_TIME_MAX.as_nanos() < TURN_TIME_MAX.as_nanos(), "several have their turn");
    assert!(HEAD_BYTES_MAX < u32::MAX as usize, "positions inside a head are kept in 32 bits");
    assert!(GROUPS_LISTED_DEFAULT <= GROUPS_LISTED_MAX, "the default can be asked for, too");
    assert!(PARSER_RETAINED_BYTES_MAX < LINE_BYTES_MAX, "the longest line is unusual");
    assert!(ENTRY_SHARED_BYTES_MAX * 2 <= PAGE_BYTES, "a split page must have room for the entry that split it");
    assert!(FAILURE_REASON_BYTES_MAX <= QUOTE_BYTES_MAX, "a reason that is kept is a quote at most");
    // An empty label of five bytes is shown in 25, and a byte of a quote in four at most; an error has three quotes.
    assert!(
        LABELS_QUOTED_BYTES_MAX * 5 + QUOTE_BYTES_MAX * 4 * 3 + QUOTE_BYTES_MAX <= ERRORS_LISTED_BYTES_MAX,
        "one error always fits"
    );
    assert!(RECORD_BLOCK_BYTES < 1 << 23, "snappy adds a sixth at most, and lengths are kept in three bytes");
    assert!(
        HEAD_BYTES_MOST < u32::MAX as usize && HEAD_BYTES_LEAST <= HEAD_BYTES_MAX,
        "positions in heads are 32 bits"
    );
    assert!(RECEIVED_BYTES_DEFAULT >= 2 * BODY_BYTES_DEFAULT, "a body that is allowed can be received");
    assert!(COPY_DISTANCE_MAX <= 32 << 10, "deflate can tell the distance");
    assert!(SEGMENT_HISTORY_BYTES <= COPY_DISTANCE_MAX, "all of the history can be referred to");
    assert!(PAGE_BYTES <= 1 << 16, "offsets inside a page fit in 16 bits and one");
};
