-- Everything the runtime keeps. docs/internals/store.md says why the tables look like this.
--
-- An invocation has an id of 16 bytes outside and a small number, `seq`, inside. `seq` grows with age, so rows that
-- change together lie together: an id that is a hash would scatter them over the file, a page for each.

PRAGMA application_id = 0x72737467;

CREATE TABLE invocations (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    service TEXT NOT NULL,
    handler TEXT NOT NULL,
    key TEXT,
    mode TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    scheduled_for_ms INTEGER,
    idempotency_key TEXT,
    parent_id BLOB,
    parent_command INTEGER,
    reply INTEGER NOT NULL,
    traceparent TEXT NOT NULL,
    tracestate TEXT NOT NULL,
    retention_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    deployment_id TEXT,
    queue_seq INTEGER,
    epoch INTEGER NOT NULL,
    attempt_started_ms INTEGER,
    retry_count INTEGER NOT NULL,
    next_retry_ms INTEGER,
    awaiting BLOB,
    last_failure BLOB,
    completed_ms INTEGER,
    result BLOB,
    expires_ms INTEGER
) STRICT;

-- Every unfinished invocation is in exactly one of the first two; what is asleep costs nothing while others run.
CREATE INDEX invocations_active ON invocations (id) WHERE status = 'active';
CREATE INDEX invocations_parked ON invocations (status)
    WHERE status IN ('scheduled', 'queued', 'suspended', 'paused');
CREATE INDEX invocations_parked_on_key ON invocations (queue_seq)
    WHERE mode = 'exclusive' AND status IN ('queued', 'suspended', 'paused');
CREATE INDEX invocations_expiring ON invocations (expires_ms) WHERE status = 'completed' AND expires_ms IS NOT NULL;
CREATE INDEX invocations_by_service ON invocations (service);

-- Entries lie in the order in which they were committed, whoever they belong to; the index finds them.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    invocation INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    entry BLOB NOT NULL,
    UNIQUE (invocation, idx)
) STRICT;

CREATE TRIGGER journal_is_dense BEFORE INSERT ON journal
WHEN NEW.idx <> 0 AND NOT EXISTS (SELECT 1 FROM journal WHERE invocation = NEW.invocation AND idx = NEW.idx - 1)
BEGIN
    SELECT RAISE(ABORT, 'journal gap');
END;

CREATE TABLE attempts (
    invocation INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    deployment_id TEXT NOT NULL,
    failure BLOB,
    PRIMARY KEY (invocation, epoch)
) STRICT, WITHOUT ROWID;

-- Who waits for a result. `seq` keeps the order in which they came.
CREATE TABLE waiters (
    seq INTEGER PRIMARY KEY,
    target BLOB NOT NULL,
    invocation_id BLOB NOT NULL,
    command INTEGER NOT NULL,
    UNIQUE (target, invocation_id, command)
) STRICT;

CREATE TABLE timers (
    due_ms INTEGER NOT NULL,
    invocation_id BLOB NOT NULL,
    command INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (due_ms, invocation_id, command, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE state (
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (service, key, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE promises (
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    result BLOB NOT NULL,
    PRIMARY KEY (service, key, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE promise_waiters (
    seq INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    invocation_id BLOB NOT NULL,
    command INTEGER NOT NULL,
    UNIQUE (service, key, number, invocation_id, command)
) STRICT;

CREATE TABLE deployments (
    id TEXT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    version_label TEXT NOT NULL,
    descriptor_hash TEXT NOT NULL,
    services TEXT NOT NULL, -- JSON array of full names
    created_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    dev_name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE descriptor_sets (
    hash TEXT NOT NULL PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;
