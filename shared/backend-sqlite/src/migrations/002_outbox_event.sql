-- The event whose commit holds the envelope: a repeated delivery of it publishes what is left.
ALTER TABLE outbox ADD COLUMN event TEXT;
CREATE INDEX outbox_event ON outbox (event) WHERE event IS NOT NULL;
