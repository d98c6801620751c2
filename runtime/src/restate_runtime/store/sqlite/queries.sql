-- Every statement the SQLite store runs, by name. `queries.py` reads this file once.
--
-- A commit is one INSERT into the temporary view `batch`; its trigger does the work. So the whole transaction,
-- fsync and all, is one call into SQLite, which holds Python's lock neither while it works nor while it waits.
-- Row by row it would ask for that lock back after every row, and wait each time for the busy event loop.
--
-- In `batch`, `data` is all byte strings of the commit one after another. The other columns are NULL or JSON arrays
-- of rows; a row holds numbers, names of enums, and for each byte string or text where it begins in `data` and how
-- long it is, or only where it begins if it is an invocation id, which has 16 bytes. (Text does not travel as JSON because SQLite ends JSON strings at U+0000.)

-- name: create_batch
CREATE TEMP VIEW batch AS
SELECT
    NULL AS data, NULL AS creates, NULL AS saves, NULL AS entries, NULL AS attempts,
    NULL AS delete_timers, NULL AS put_timers, NULL AS clear_state, NULL AS delete_state, NULL AS put_state,
    NULL AS remove_waiters, NULL AS add_waiters

-- name: create_batch_trigger
CREATE TEMP TRIGGER apply_batch INSTEAD OF INSERT ON batch
BEGIN
    INSERT INTO invocations (
        id, service, handler, key, mode, created_ms, scheduled_for_ms,
        idempotency_key, parent_id, parent_command, reply,
        traceparent, tracestate, retention_ms,
        status, deployment_id, queue_seq, epoch,
        attempt_started_ms, retry_count, next_retry_ms, awaiting,
        last_failure, completed_ms, result, expires_ms
    )
    SELECT
        substr(NEW.data, value ->> 0, 16),
        CAST(substr(NEW.data, value ->> 1, value ->> 2) AS TEXT),
        CAST(substr(NEW.data, value ->> 3, value ->> 4) AS TEXT),
        CAST(substr(NEW.data, value ->> 5, value ->> 6) AS TEXT),
        value ->> 7,
        value ->> 8,
        value ->> 9,
        CAST(substr(NEW.data, value ->> 10, value ->> 11) AS TEXT),
        substr(NEW.data, value ->> 12, value ->> 13),
        value ->> 14,
        value ->> 15,
        CAST(substr(NEW.data, value ->> 16, value ->> 17) AS TEXT),
        CAST(substr(NEW.data, value ->> 18, value ->> 19) AS TEXT),
        value ->> 20,
        value ->> 21,
        CAST(substr(NEW.data, value ->> 22, value ->> 23) AS TEXT),
        value ->> 24,
        value ->> 25,
        value ->> 26,
        value ->> 27,
        value ->> 28,
        substr(NEW.data, value ->> 29, value ->> 30),
        substr(NEW.data, value ->> 31, value ->> 32),
        value ->> 33,
        substr(NEW.data, value ->> 34, value ->> 35),
        value ->> 36
    FROM json_each(NEW.creates);

    UPDATE invocations SET
        status = row.value ->> 1,
        deployment_id = CAST(substr(NEW.data, row.value ->> 2, row.value ->> 3) AS TEXT),
        queue_seq = row.value ->> 4,
        epoch = row.value ->> 5,
        attempt_started_ms = row.value ->> 6,
        retry_count = row.value ->> 7,
        next_retry_ms = row.value ->> 8,
        awaiting = substr(NEW.data, row.value ->> 9, row.value ->> 10),
        last_failure = substr(NEW.data, row.value ->> 11, row.value ->> 12),
        completed_ms = row.value ->> 13,
        result = substr(NEW.data, row.value ->> 14, row.value ->> 15),
        expires_ms = row.value ->> 16
    FROM json_each(NEW.saves) AS row
    WHERE invocations.id = substr(NEW.data, row.value ->> 0, 16);

    SELECT RAISE(ABORT, 'unknown invocation saved') WHERE changes() <> json_array_length(NEW.saves);

    INSERT INTO journal (invocation, idx, at_ms, entry)
    SELECT
        (SELECT seq FROM invocations WHERE id = substr(NEW.data, value ->> 0, 16)),
        value ->> 1,
        value ->> 2,
        substr(NEW.data, value ->> 3, value ->> 4)
    FROM json_each(NEW.entries);

    INSERT INTO attempts (invocation, epoch, started_ms, ended_ms, outcome, deployment_id, failure)
    SELECT
        (SELECT seq FROM invocations WHERE id = substr(NEW.data, value ->> 0, 16)),
        value ->> 1,
        value ->> 2,
        value ->> 3,
        value ->> 4,
        CAST(substr(NEW.data, value ->> 5, value ->> 6) AS TEXT),
        substr(NEW.data, value ->> 7, value ->> 8)
    FROM json_each(NEW.attempts);

    DELETE FROM timers WHERE (due_ms, invocation_id, command, kind) IN (
        SELECT value ->> 0, substr(NEW.data, value ->> 1, 16), value ->> 2, value ->> 3
        FROM json_each(NEW.delete_timers)
    );

    INSERT OR IGNORE INTO timers (due_ms, invocation_id, command, kind)
    SELECT value ->> 0, substr(NEW.data, value ->> 1, 16), value ->> 2, value ->> 3
    FROM json_each(NEW.put_timers);

    DELETE FROM state WHERE (service, key) IN (
        SELECT
            CAST(substr(NEW.data, value ->> 0, value ->> 1) AS TEXT),
            CAST(substr(NEW.data, value ->> 2, value ->> 3) AS TEXT)
        FROM json_each(NEW.clear_state)
    );

    DELETE FROM state WHERE (service, key, number) IN (
        SELECT
            CAST(substr(NEW.data, value ->> 0, value ->> 1) AS TEXT),
            CAST(substr(NEW.data, value ->> 2, value ->> 3) AS TEXT),
            value ->> 4
        FROM json_each(NEW.delete_state)
    );

    INSERT OR REPLACE INTO state (service, key, number, value)
    SELECT
        CAST(substr(NEW.data, row.value ->> 0, row.value ->> 1) AS TEXT),
        CAST(substr(NEW.data, row.value ->> 2, row.value ->> 3) AS TEXT),
        row.value ->> 4,
        substr(NEW.data, row.value ->> 5, row.value ->> 6)
    FROM json_each(NEW.put_state) AS row;

    DELETE FROM waiters WHERE target IN (
        SELECT substr(NEW.data, value ->> 0, 16) FROM json_each(NEW.remove_waiters)
    );

    INSERT OR IGNORE INTO waiters (target, invocation_id, command)
    SELECT
        substr(NEW.data, value ->> 0, 16),
        substr(NEW.data, value ->> 1, 16),
        value ->> 2
    FROM json_each(NEW.add_waiters);
END

-- name: apply_batch
INSERT INTO batch VALUES (
    :data, :creates, :saves, :entries, :attempts, :delete_timers, :put_timers,
    :clear_state, :delete_state, :put_state, :remove_waiters, :add_waiters
)

-- Purges come first in their transaction. `ids` is a JSON array of where in `data` the ids begin.

-- name: create_purge
CREATE TEMP VIEW purge AS SELECT NULL AS data, NULL AS ids

-- name: create_purge_trigger
CREATE TEMP TRIGGER apply_purge INSTEAD OF INSERT ON purge
BEGIN
    DELETE FROM state WHERE (service, key) IN (
        SELECT service, key FROM invocations
        WHERE id IN (SELECT substr(NEW.data, value, 16) FROM json_each(NEW.ids)) AND mode = 'run' AND key IS NOT NULL
    );

    DELETE FROM promises WHERE (service, key) IN (
        SELECT service, key FROM invocations
        WHERE id IN (SELECT substr(NEW.data, value, 16) FROM json_each(NEW.ids)) AND mode = 'run' AND key IS NOT NULL
    );

    DELETE FROM promise_waiters WHERE (service, key) IN (
        SELECT service, key FROM invocations
        WHERE id IN (SELECT substr(NEW.data, value, 16) FROM json_each(NEW.ids)) AND mode = 'run' AND key IS NOT NULL
    );

    DELETE FROM journal WHERE invocation IN (
        SELECT seq FROM invocations WHERE id IN (SELECT substr(NEW.data, value, 16) FROM json_each(NEW.ids))
    );

    DELETE FROM attempts WHERE invocation IN (
        SELECT seq FROM invocations WHERE id IN (SELECT substr(NEW.data, value, 16) FROM json_each(NEW.ids))
    );

    DELETE FROM waiters WHERE target IN (SELECT substr(NEW.data, value, 16) FROM json_each(NEW.ids));

    DELETE FROM invocations WHERE id IN (SELECT substr(NEW.data, value, 16) FROM json_each(NEW.ids));
END

-- name: apply_purge
INSERT INTO purge VALUES (:data, :ids)

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

-- name: record
    id, service, handler, key, mode, created_ms, scheduled_for_ms, idempotency_key, parent_id, parent_command, reply,
    traceparent, tracestate, retention_ms, status, deployment_id, queue_seq, epoch, attempt_started_ms, retry_count,
    next_retry_ms, awaiting, last_failure, completed_ms, result, expires_ms

-- name: invocation
SELECT {record} FROM invocations WHERE id = ?

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
SELECT {record} FROM invocations WHERE status = 'active' AND id > ? ORDER BY id LIMIT ?

-- name: key_holders
SELECT service, key, id, status, place FROM (
    SELECT service, key, id, status, coalesce(queue_seq, 0) AS place FROM invocations
    WHERE status = 'active' AND mode = 'exclusive' AND key IS NOT NULL
    UNION ALL
    SELECT service, key, id, status, coalesce(queue_seq, 0) AS place FROM invocations
    WHERE mode = 'exclusive' AND status IN ('queued', 'suspended', 'paused') AND key IS NOT NULL
)
ORDER BY status = 'queued', place, id

-- name: expired
SELECT id FROM invocations
WHERE status = 'completed' AND expires_ms IS NOT NULL AND expires_ms <= ?
ORDER BY expires_ms, seq LIMIT ?

-- name: list_all
SELECT {record} FROM invocations ORDER BY seq DESC LIMIT :limit

-- name: list_by_service
SELECT {record} FROM invocations WHERE service = :service ORDER BY seq DESC LIMIT :limit

-- Few are active, and those the runtime has in memory too, so sorting them is cheap.

-- name: list_active
SELECT {record} FROM invocations INDEXED BY invocations_active
WHERE status = 'active' AND (:service IS NULL OR service = :service) ORDER BY seq DESC LIMIT :limit

-- name: list_parked
SELECT {record} FROM invocations INDEXED BY invocations_parked
WHERE status = :status AND status IN ('scheduled', 'queued', 'suspended', 'paused')
    AND (:service IS NULL OR service = :service)
ORDER BY seq DESC LIMIT :limit

-- Most invocations are completed, so walking from the newest finds them at once.

-- name: list_completed
SELECT {record} FROM invocations WHERE status = 'completed' ORDER BY seq DESC LIMIT :limit

-- name: list_completed_by_service
SELECT {record} FROM invocations WHERE service = :service AND status = 'completed' ORDER BY seq DESC LIMIT :limit

-- name: deployments
SELECT id, address, version_label, descriptor_hash, services, created_ms, revision, dev_name
FROM deployments ORDER BY revision, id

-- name: descriptor_set
SELECT data FROM descriptor_sets WHERE hash = ?
