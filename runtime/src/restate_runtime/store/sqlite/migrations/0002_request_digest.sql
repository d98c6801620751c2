-- Requests with one idempotency key are told apart by a digest of their values. Invocations from before have none.

ALTER TABLE invocations ADD COLUMN request_digest BLOB;
