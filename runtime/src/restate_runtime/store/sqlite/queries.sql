-- Every statement the SQLite store runs, by name. `queries.py` reads this file once.
--
-- A commit is one INSERT into the temporary view `batch`; its triggers do the work. So the whole transaction,
-- fsync and all, is one call into SQLite, which holds Python's lock neither while it works nor while it waits.
-- Row by row it would ask for that lock back after every row, and wait each time for the busy event loop.
--
-- The first row is the batch; each further row is a journal entry, in columns of its own, because entries are what
-- commits hold most of and SQLite reads parameters faster than digits.
--
-- What a batch holds (`parts.py` writes it): `data` is the bytes of all texts and blobs, one after another. Each other
-- column is NULL or the rows for one statement. A row is slots of 19 digits: a number takes one; a text or a blob
-- takes two, where in `data` it begins and how long it is; an invocation id takes one, as its length is known.
-- A number has 10^18 added, so that all have 19 digits; NULL is 19 zeros, and a beginning of 0 for texts and blobs.
-- (Digits in a blob, because this is what SQLite reads fastest: JSON took five times as long.)
--
-- `@name(a, b)` stands for the text of the macro of that name, with its arguments filled in.

-- macro: rows(rows, slots)
(
    WITH RECURSIVE places(at) AS (
        SELECT 1 WHERE NEW.{rows} IS NOT NULL
        UNION ALL
        SELECT at + 19 * {slots} FROM places WHERE at + 19 * {slots} < length(NEW.{rows})
    )
    SELECT at FROM places
)

-- macro: int(rows, slot)
(CAST(substr(NEW.{rows}, at + (19 * ({slot})), 19) AS INTEGER) - 1000000000000000000)

-- macro: optional_int(rows, slot)
nullif(@int({rows}, {slot}), -1000000000000000000)

-- macro: id(rows, slot)
substr(NEW.data, @int({rows}, {slot}), 16)

-- macro: blob(rows, slot)
substr(NEW.data, @int({rows}, {slot}), @int({rows}, {slot} + 1))

-- macro: optional_blob(rows, slot)
substr(NEW.data, nullif(@int({rows}, {slot}), 0), @int({rows}, {slot} + 1))

-- macro: text(rows, slot)
CAST(@blob({rows}, {slot}) AS TEXT)

-- macro: optional_text(rows, slot)
CAST(@optional_blob({rows}, {slot}) AS TEXT)

-- macro: record()
id, service, handler, key, mode, created_ms, scheduled_for_ms, idempotency_key, parent_id, parent_command, reply,
traceparent, tracestate, retention_ms, request_digest, status, deployment_id, queue_seq, epoch, attempt_started_ms,
retry_count, next_retry_ms, awaiting, last_failure, completed_ms, result, expires_ms

-- name: create_batch
CREATE TEMP VIEW batch AS
SELECT
    NULL AS data, NULL AS creates, NULL AS saves, NULL AS attempts,
    NULL AS delete_timers, NULL AS put_timers, NULL AS clear_state, NULL AS delete_state, NULL AS put_state,
    NULL AS remove_waiters, NULL AS add_waiters,
    NULL AS invocation_id, NULL AS idx, NULL AS at_ms, NULL AS entry

-- Five triggers, so that what a commit does not touch costs nothing. They work on different tables: it does not matter
-- which SQLite runs first.

-- name: create_invocations_trigger
CREATE TEMP TRIGGER apply_invocations INSTEAD OF INSERT ON batch
WHEN NEW.creates IS NOT NULL OR NEW.saves IS NOT NULL OR NEW.attempts IS NOT NULL
BEGIN
    INSERT INTO invocations (
        id, service, handler,
        key, mode, created_ms,
        scheduled_for_ms, idempotency_key, parent_id,
        parent_command, reply, traceparent,
        tracestate, retention_ms, request_digest,
        status, deployment_id, queue_seq, epoch,
        attempt_started_ms, retry_count, next_retry_ms,
        awaiting, last_failure, completed_ms,
        result, expires_ms
    )
    SELECT
        @id(creates, 0), @text(creates, 1), @text(creates, 3),
        @optional_text(creates, 5), @text(creates, 7), @int(creates, 9),
        @optional_int(creates, 10), @optional_text(creates, 11), @optional_blob(creates, 13),
        @optional_int(creates, 15), @int(creates, 16), @text(creates, 17),
        @text(creates, 19), @int(creates, 21), @optional_blob(creates, 22),
        @text(creates, 24), @optional_text(creates, 26), @optional_int(creates, 28), @int(creates, 29),
        @optional_int(creates, 30), @int(creates, 31), @optional_int(creates, 32),
        @optional_blob(creates, 33), @optional_blob(creates, 35), @optional_int(creates, 37),
        @optional_blob(creates, 38), @optional_int(creates, 40)
    FROM @rows(creates, 41);

    UPDATE invocations SET
        status = @text(saves, 1),
        deployment_id = @optional_text(saves, 3),
        queue_seq = @optional_int(saves, 5),
        epoch = @int(saves, 6),
        attempt_started_ms = @optional_int(saves, 7),
        retry_count = @int(saves, 8),
        next_retry_ms = @optional_int(saves, 9),
        awaiting = @optional_blob(saves, 10),
        last_failure = @optional_blob(saves, 12),
        completed_ms = @optional_int(saves, 14),
        result = @optional_blob(saves, 15),
        expires_ms = @optional_int(saves, 17)
    FROM @rows(saves, 18)
    WHERE id = @id(saves, 0);

    SELECT RAISE(ABORT, 'unknown invocation saved') WHERE changes() <> length(NEW.saves) / (19 * 18);

    INSERT INTO attempts (invocation, epoch, started_ms, ended_ms, outcome, deployment_id, failure)
    SELECT
        (SELECT seq FROM invocations WHERE id = @id(attempts, 0)),
        @int(attempts, 1),
        @int(attempts, 2),
        @int(attempts, 3),
        @text(attempts, 4),
        @text(attempts, 6),
        @optional_blob(attempts, 8)
    FROM @rows(attempts, 10);
END

-- Rows are taken in order, so an invocation that the first row creates is there.

-- name: create_entries_trigger
CREATE TEMP TRIGGER apply_entries INSTEAD OF INSERT ON batch
WHEN NEW.entry IS NOT NULL
BEGIN
    INSERT INTO journal (invocation, idx, at_ms, entry)
    VALUES ((SELECT seq FROM invocations WHERE id = NEW.invocation_id), NEW.idx, NEW.at_ms, NEW.entry);
END

-- name: create_timers_trigger
CREATE TEMP TRIGGER apply_timers INSTEAD OF INSERT ON batch
WHEN NEW.delete_timers IS NOT NULL OR NEW.put_timers IS NOT NULL
BEGIN
    DELETE FROM timers WHERE (due_ms, invocation_id, command, kind) IN (
        SELECT @int(delete_timers, 0), @id(delete_timers, 1), @int(delete_timers, 2), @int(delete_timers, 3)
        FROM @rows(delete_timers, 4)
    );

    INSERT OR IGNORE INTO timers (due_ms, invocation_id, command, kind)
    SELECT @int(put_timers, 0), @id(put_timers, 1), @int(put_timers, 2), @int(put_timers, 3)
    FROM @rows(put_timers, 4);
END

-- name: create_state_trigger
CREATE TEMP TRIGGER apply_state INSTEAD OF INSERT ON batch
WHEN NEW.clear_state IS NOT NULL OR NEW.delete_state IS NOT NULL OR NEW.put_state IS NOT NULL
BEGIN
    DELETE FROM state WHERE (service, key) IN (
        SELECT @text(clear_state, 0), @text(clear_state, 2) FROM @rows(clear_state, 4)
    );

    DELETE FROM state WHERE (service, key, number) IN (
        SELECT @text(delete_state, 0), @text(delete_state, 2), @int(delete_state, 4) FROM @rows(delete_state, 5)
    );

    INSERT OR REPLACE INTO state (service, key, number, value)
    SELECT @text(put_state, 0), @text(put_state, 2), @int(put_state, 4), @blob(put_state, 5)
    FROM @rows(put_state, 7);
END

-- name: create_waiters_trigger
CREATE TEMP TRIGGER apply_waiters INSTEAD OF INSERT ON batch
WHEN NEW.remove_waiters IS NOT NULL OR NEW.add_waiters IS NOT NULL
BEGIN
    DELETE FROM waiters WHERE target IN (SELECT @id(remove_waiters, 0) FROM @rows(remove_waiters, 1));

    INSERT OR IGNORE INTO waiters (target, invocation_id, command)
    SELECT @id(add_waiters, 0), @id(add_waiters, 1), @int(add_waiters, 2)
    FROM @rows(add_waiters, 3);
END

-- name: apply_batch
INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL)

-- Follows apply_batch once for each entry. One of NULLs does nothing.

-- name: and_entry
, (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, ?, ?, ?, ?)

-- Purges come first in their transaction.

-- name: create_purge
CREATE TEMP VIEW purge AS SELECT NULL AS data, NULL AS ids

-- name: create_purge_trigger
CREATE TEMP TRIGGER apply_purge INSTEAD OF INSERT ON purge
BEGIN
    DELETE FROM state WHERE (service, key) IN (
        SELECT service, key FROM invocations
        WHERE id IN (SELECT @id(ids, 0) FROM @rows(ids, 1)) AND mode = 'run' AND key IS NOT NULL
    );

    DELETE FROM promises WHERE (service, key) IN (
        SELECT service, key FROM invocations
        WHERE id IN (SELECT @id(ids, 0) FROM @rows(ids, 1)) AND mode = 'run' AND key IS NOT NULL
    );

    DELETE FROM promise_waiters WHERE (service, key) IN (
        SELECT service, key FROM invocations
        WHERE id IN (SELECT @id(ids, 0) FROM @rows(ids, 1)) AND mode = 'run' AND key IS NOT NULL
    );

    DELETE FROM journal WHERE invocation IN (
        SELECT seq FROM invocations WHERE id IN (SELECT @id(ids, 0) FROM @rows(ids, 1))
    );

    DELETE FROM attempts WHERE invocation IN (
        SELECT seq FROM invocations WHERE id IN (SELECT @id(ids, 0) FROM @rows(ids, 1))
    );

    DELETE FROM waiters WHERE target IN (SELECT @id(ids, 0) FROM @rows(ids, 1));

    DELETE FROM invocations WHERE id IN (SELECT @id(ids, 0) FROM @rows(ids, 1));
END

-- name: apply_purge
INSERT INTO purge VALUES (?, ?)

-- name: purge_journal
DELETE FROM journal WHERE invocation = (SELECT seq FROM invocations WHERE id = ?)

-- The rest of what commits write is rare: one statement each, in one explicit transaction with the batch.

-- name: put_promise
INSERT INTO promises (service, key, number, result) VALUES (?, ?, ?, ?)

-- name: remove_promise_waiters
DELETE FROM promise_waiters WHERE service = ? AND key = ? AND number = ?

-- name: add_promise_waiter
INSERT OR IGNORE INTO promise_waiters (service, key, number, invocation_id, command) VALUES (?, ?, ?, ?, ?)

-- name: put_deployment
INSERT OR REPLACE INTO deployments (
    id, address, version_label, descriptor_hash, services, created_ms, revision, dev_name
) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: put_descriptor_set
INSERT OR REPLACE INTO descriptor_sets (hash, data) VALUES (?, ?)

-- Reads. Those on the path of every attempt give one row, for the same reason: the lock is asked for once.

-- name: invocation
SELECT @record() FROM invocations WHERE id = ?

-- name: journal
SELECT json_group_array(json_array(idx, at_ms, length(entry))), CAST(group_concat(entry, '') AS BLOB)
FROM (
    SELECT idx, at_ms, entry FROM journal
    WHERE invocation = (SELECT seq FROM invocations WHERE id = ?) AND idx >= ? AND idx < ?
    ORDER BY idx
)

-- name: state
SELECT json_group_array(json_array(number, length(value))), CAST(group_concat(value, '') AS BLOB)
FROM (SELECT number, value FROM state WHERE service = ? AND key = ? ORDER BY number)

-- name: state_entry
SELECT value FROM state WHERE service = ? AND key = ? AND number = ?

-- name: state_numbers
SELECT number FROM state WHERE service = ? AND key = ? ORDER BY number

-- name: attempts
SELECT :id, epoch, started_ms, ended_ms, outcome, deployment_id, failure
FROM attempts WHERE invocation = (SELECT seq FROM invocations WHERE id = :id) ORDER BY epoch

-- name: promises
SELECT number, result, NULL, NULL, 0 FROM promises WHERE service = :service AND key = :key
UNION ALL
SELECT number, NULL, invocation_id, command, seq FROM promise_waiters WHERE service = :service AND key = :key
ORDER BY 1, 5

-- name: waiters
SELECT invocation_id, command FROM waiters WHERE target = ? ORDER BY seq

-- name: first_timers
SELECT due_ms, invocation_id, command, kind FROM timers
ORDER BY due_ms, invocation_id, command, kind LIMIT ?

-- name: timers_after
SELECT due_ms, invocation_id, command, kind FROM timers
WHERE (due_ms, invocation_id, command, kind) > (?, ?, ?, ?)
ORDER BY due_ms, invocation_id, command, kind LIMIT ?

-- name: active_invocations
SELECT @record() FROM invocations WHERE status = 'active' AND id > ? ORDER BY id LIMIT ?

-- name: key_holders
SELECT service, key, id, status, place FROM (
    SELECT service, key, id, status, queue_seq AS place FROM invocations
    WHERE status = 'active' AND mode = 'exclusive' AND key IS NOT NULL AND queue_seq IS NOT NULL
    UNION ALL
    SELECT service, key, id, status, queue_seq AS place FROM invocations
    WHERE mode = 'exclusive' AND status IN ('queued', 'suspended', 'paused')
        AND key IS NOT NULL AND queue_seq IS NOT NULL
)
ORDER BY status = 'queued', place, id

-- name: expired
SELECT id FROM invocations
WHERE status = 'completed' AND expires_ms IS NOT NULL AND expires_ms <= ?
ORDER BY expires_ms, seq LIMIT ?

-- macro: chosen()
((:handler IS NULL OR handler = :handler) AND (:key IS NULL OR key = :key))

-- name: list_all
SELECT @record() FROM invocations WHERE @chosen() ORDER BY seq DESC LIMIT :limit

-- name: list_by_service
SELECT @record() FROM invocations WHERE service = :service AND @chosen() ORDER BY seq DESC LIMIT :limit

-- Few are active, and those the runtime has in memory too, so sorting them is cheap.

-- name: list_active
SELECT @record() FROM invocations INDEXED BY invocations_active
WHERE status = 'active' AND (:service IS NULL OR service = :service) AND @chosen() ORDER BY seq DESC LIMIT :limit

-- name: list_parked
SELECT @record() FROM invocations INDEXED BY invocations_parked
WHERE status = :status AND status IN ('scheduled', 'queued', 'suspended', 'paused')
    AND (:service IS NULL OR service = :service) AND @chosen()
ORDER BY seq DESC LIMIT :limit

-- Most invocations are completed, so walking from the newest finds them at once.

-- name: list_completed
SELECT @record() FROM invocations WHERE status = 'completed' AND @chosen() ORDER BY seq DESC LIMIT :limit

-- name: list_completed_by_service
SELECT @record() FROM invocations
WHERE service = :service AND status = 'completed' AND @chosen() ORDER BY seq DESC LIMIT :limit

-- name: counts
SELECT status, count(*) FROM invocations INDEXED BY invocations_parked
WHERE status IN ('scheduled', 'queued', 'suspended', 'paused') GROUP BY status
UNION ALL
SELECT 'active', count(*) FROM invocations INDEXED BY invocations_active WHERE status = 'active'

-- name: deployments
SELECT id, address, version_label, descriptor_hash, services, created_ms, revision, dev_name
FROM deployments ORDER BY revision, id

-- name: descriptor_set
SELECT data FROM descriptor_sets WHERE hash = ?

-- name: count_tables
SELECT count(*) FROM sqlite_schema
