"""Every bound in one place.

What a city tunes is configuration; what it must not tune stands here.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# --- the log --------------------------------------------------------------------------------------
COMMIT_BYTES_MAX = 1 * MIB  # one commit never fills an envelope, so nobody starves behind it
ENVELOPE_BYTES_MAX = (
    4 * MIB
)  # half of what a Kafka topic is made to take (8 MiB), with room for framing
ENVELOPE_COMMITS_MAX = 2_000  # bounds the time that one judging holds the loop
NUMBER_MAX = 2**53  # of versions and tracking positions: SQLite and JSON keep these exactly
COMMIT_EVENTS_MAX = 4_096  # the library's suites insert 1,000 at once
STREAM_NAME_CHARS_MAX = 400
STORED_STATE_DEPTH_MAX = (
    100  # JSON of others that nests deeper is kept as base64: every reader gets through
)
WAITING_COMMITS_MAX = 50_000  # beyond it a proposer is told to come back: memory stays bounded
APPEND_NOW_S_MAX = (
    0.001  # so long the loop may wait for the disk itself; a slower one gets a thread
)
ANSWER_S_MAX = 8.0  # after it whoever proposed is told that the outcome is not known
ISLAND_AFTER_S = 2.0  # a fact that the log has not taken by then is kept on this node
LAG_SAMPLE_S = 1.0  # so often a shared log is asked how long it is
LAG_IDLE_S = 5.0  # and so often one where nothing has moved for as long
LAG_SAMPLES_MAX = 600  # ends that a node has not reached yet: memory stays bounded in a long lag
LAG_TOLD_S = 5.0  # a node that is behind the log for so long says so
LOG_END_S_MAX = 2.5  # a log that has not told its end by then is asked again
LOG_START_S_MAX = 1.3  # a node that has an index does not wait longer for its log to begin
LOG_RETRY_S = 0.25  # between attempts at a log that does not answer
ISLAND_NOTICE_S = 10.0  # a shorter island is a change of leader, and nobody's business
ISLAND_RETURN_PER_S = 2_000  # commits of a journal proposed per second: others use the log as well
ISLAND_RETURN_BATCH = 500  # of them under way at once
JOURNAL_ROWS_MAX = 5_000_000  # kept on a node: days of a surge; beyond it facts are refused
JOURNAL_ATTEMPTS_MAX = 8  # another fact has the id: the next of its chain is tried so many times
BOOKS_LOOK_S = 5.0  # between looks at which books others have made
INDEX_DELAY_S = 0.01  # how long judged commits may wait for their index rows
INDEX_STEADY_S = 0.03  # the least time between two writes, where commits come one after another
INDEX_BUSY_COMMITS = 100  # where so many wait after it, more than 10,000 come in a second:
INDEX_DELAY_BUSY_S = 0.04  # so much longer they wait then, for company
INDEX_CACHE_KIB = 16 * KIB  # of the one connection that writes a shard's index
INDEX_WAL_PAGES = 8_000  # 32 MB: so much is read again where a node was killed
BULK_BATCH_COMMITS = 500_000  # judged before their index rows are written, in a bulk load: 400 MB
HEADS_CACHED_MAX = 200_000  # streams whose head is kept in memory; a miss asks the index
VERDICTS_CACHED_MAX = 200_000
READ_RECORDS_MAX = 256  # envelopes for one read of the log
DECISION_ATTEMPTS_MAX = 8  # `Stale` is decided again so many times, then the caller is told
COMMAND_ITEMS_MAX = 200  # groups or levels named in one command; no city has so many for one agent
CONTRADICTIONS_KEPT_MAX = 100  # in one stream's state; the log holds them all
SNAPSHOT_EVERY_VERSIONS = 50  # a decision reads at most so many events of its stream
SNAPSHOTS_KEPT_MAX = 10_000  # streams with a snapshot in memory
LOOKS_PER_COMMIT_MAX = 250  # a look is 3 KiB at most, so that a commit of them always fits
LOOKS_WAITING_MAX = 10_000  # beyond it whoever wants to look is told to come back
FORMAT = 1  # the format of envelopes that this program writes

assert COMMIT_BYTES_MAX * 4 <= ENVELOPE_BYTES_MAX
assert COMMIT_EVENTS_MAX <= BULK_BATCH_COMMITS
assert LOOKS_PER_COMMIT_MAX * 3 * KIB <= COMMIT_BYTES_MAX

# --- Kafka ----------------------------------------------------------------------------------------
KAFKA_PACKED_BYTES_MIN = 4 * KIB  # a shorter record is not worth packing
KAFKA_RECORD_BYTES_MAX = 8 * MIB - 64 * KIB  # a topic is made to take 8 MiB with all its framing
KAFKA_APPEND_S_MAX = 5.0  # an append is answered by then, if only with Unknown
KAFKA_DELIVERY_S_MAX = 4.0  # so long a client tries by itself
KAFKA_END_S_MAX = 2.0  # where the log ends is told by then, or Unavailable
KAFKA_READ_GRACE_S = 2.0  # a read may take so much longer than it was told to wait
KAFKA_CONNECT_S_MAX = 2.0  # to find a broker
KAFKA_REQUEST_S_MAX = 1.5  # a broker that takes longer for one answer is taken for dead
KAFKA_CLOSE_S_MAX = 3.0
KAFKA_CREATE_S_MAX = 20.0  # a topic is made, and known everywhere
KAFKA_FETCH_WAIT_S = 1.0  # a broker holds a fetch so long when it has nothing
KAFKA_FETCH_BYTES_MAX = 4 * MIB  # for one answer; a larger record comes alone
KAFKA_READ_BYTES_MAX = 32 * MIB  # one read gives no more, whatever it was allowed
KAFKA_SILENCE_S = 3.0  # nothing new for so long: is the broker there at all?
KAFKA_FLOW_S = 0.01  # own records so close together: nobody else's lie between, or it shows
KAFKA_IDENTITY_S = 15.0  # a topic that was made again is noticed by then
KAFKA_BROKEN_S = 20.0  # a client that has only failed for so long is replaced

assert ENVELOPE_BYTES_MAX * 1.5 <= KAFKA_RECORD_BYTES_MAX
assert KAFKA_REQUEST_S_MAX < KAFKA_DELIVERY_S_MAX < KAFKA_APPEND_S_MAX < ANSWER_S_MAX
assert KAFKA_FETCH_WAIT_S < KAFKA_REQUEST_S_MAX
assert KAFKA_FETCH_BYTES_MAX < KAFKA_READ_BYTES_MAX

# --- read models ----------------------------------------------------------------------------------
PROJECTION_BATCH_COMMITS = 1_000
REVIEW_STATES_MAX = 10_000  # streams kept folded, while they may still grow
PROJECTION_PARKED_MAX = 10_000  # more poison than this is a fault of the program, not of an event

# --- what comes in --------------------------------------------------------------------------------
LINE_CHARS_MAX = 4 * KIB  # a row of queue_log; a longer one is malformed
FACTS_BATCH_MAX = 1_000
BODY_BYTES_MAX = 4 * MIB
TEXT_CHARS_MAX = 20_000  # free text of a person
NAME_CHARS_MAX = 200
CALLBACK_AHEAD_DAYS_MAX = 366  # a promise further off is a slip of the hand, and no clock counts it
IMPORT_IN_FLIGHT_MAX = 2_000  # commits proposed and not yet judged
IMPORT_BATCH_LINES = 1_000  # a batch is read while the one before it is judged
IMPORT_STREAMS_MAX = 100_000  # streams that an import remembers; beyond it the log is asked again
IMPORT_ROWS_MAX = 1_000_000  # likewise rows, by which one that stands there twice counts once
IMPORT_CALLS_COUNTED_MAX = 5_000_000  # beyond it a call may count again: memory stays bounded
IMPORT_MALFORMED_MAX = 100_000  # more is not a damaged queue_log but another file
IMPORT_ATTEMPTS_MAX = 8  # a node that asks for patience is asked again so many times
EXCHANGE_SAME_FACT_S = 2.0  # a row so close to a recorded fact of the same key is that fact

# --- sign-in --------------------------------------------------------------------------------------
ACCOUNT_TOKENS_MAX = 20  # of one program: more are forgotten ones
TOKEN_DAYS_MAX = 400  # a token that nobody renews ends
PASSWORD_CHARS_MIN = 12
PASSWORD_CHARS_MAX = 200  # a longer one only costs time
SIGN_IN_FAILURES_KEPT_MAX = 10_000  # names and addresses that are counted; the oldest go first
SIGN_IN_CHECKS_MAX = 2  # passwords that are checked at once: each takes 64 MiB and a core
SIGN_IN_WAITING_MAX = 50  # and so many may wait for their turn
SESSIONS_MAX = 20_000  # kept on the server; the one used longest ago goes first
SIGN_ON_UNDER_WAY_MAX = 5_000  # people at the sign-on service's page at once

# --- web ------------------------------------------------------------------------------------------
STREAM_CLIENTS_MAX = 500
HEARTBEAT_S = 15.0
STALE_AFTER_S = 10.0  # a tile older than this is grey
EVEN_TIME_S = 0.05  # what found nothing leaves on this grid: longer than looking takes

# --- the command line -----------------------------------------------------------------------------
LOCAL_ANSWER_BYTES_MAX = (
    64 * MIB
)  # one answer over a node's local socket: a year of quarter-hours fits
LOCAL_CLIENTS_MAX = 16  # commands that work in a running node at once

# --- the reserve terminal -------------------------------------------------------------------------
RESERVE_NUMBERS_MAX = 9_999  # four digits; a device that runs out is leased another device number
RESERVE_NOTE_CHARS_MAX = 4_000
RESERVE_ENTRY_BYTES_MAX = 64 * KIB  # one entry is one commit, and many go in one upload

assert (
    RESERVE_NOTE_CHARS_MAX * 4 * 2 <= RESERVE_ENTRY_BYTES_MAX
)  # UTF-8, sealed and as base64, with its frame
assert RESERVE_ENTRY_BYTES_MAX <= COMMIT_BYTES_MAX
assert IMPORT_BATCH_LINES * 2 <= IMPORT_IN_FLIGHT_MAX

# --- files that belong to cases -------------------------------------------------------------------
ATTACHMENT_BYTES_MAX = 20 * MIB  # a scanned decision with its plans; more belongs in an archive
ATTACHMENT_CHUNK_BYTES = 64 * KIB  # sealed at once: memory stays small whatever is sent
ATTACHMENTS_PER_CASE_MAX = 200
ATTACHMENT_ORPHAN_S = 24 * 3600.0  # so old is a file that no case names before it is removed
ARCHIVE_LINE_BYTES_MAX = 4 * MIB  # one record of an archive: a commit, opened

assert ATTACHMENT_CHUNK_BYTES <= ATTACHMENT_BYTES_MAX
assert COMMIT_BYTES_MAX * 4 <= ARCHIVE_LINE_BYTES_MAX
