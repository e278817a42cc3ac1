-- Times are INTEGER microseconds since 1970, documents are JSON text. Documents stand last in
-- their row, so that a scan that looks at the columns before them does not read them.
--
-- `seq` of tasks and messages is made of the creation time (see order.rs): the order of the
-- table is the order of creation, and every index ends in it without holding it twice.

-- What has had its effect.
CREATE TABLE events (
  id TEXT PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX events_at ON events (at);

CREATE TABLE conversations (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  revision INTEGER NOT NULL,
  connection TEXT NOT NULL,
  contact TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT;
CREATE INDEX conversations_updated ON conversations (updated_at);
CREATE INDEX conversations_connection ON conversations (connection, updated_at);
CREATE INDEX conversations_contact ON conversations (contact, updated_at);

CREATE TABLE tasks (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  sequence INTEGER NOT NULL,
  flow TEXT NOT NULL,
  status TEXT NOT NULL,
  waiting_for TEXT,
  contact TEXT NOT NULL,
  contact_name TEXT,
  conversation TEXT NOT NULL,
  queue TEXT,
  parent TEXT,
  awaited_type TEXT,
  awaited_key TEXT,
  updated_at INTEGER NOT NULL,
  -- Half-width and lower case, as it is searched; the document has it as it is.
  label_folded TEXT NOT NULL,
  document TEXT NOT NULL
) STRICT;
-- Written once per task: what never changes.
CREATE INDEX tasks_flow ON tasks (flow);
CREATE INDEX tasks_contact ON tasks (contact);
CREATE INDEX tasks_conversation ON tasks (conversation);
CREATE INDEX tasks_parent ON tasks (parent) WHERE parent IS NOT NULL;
-- Written when a task moves on.
CREATE INDEX tasks_status ON tasks (status);
CREATE INDEX tasks_flow_status ON tasks (flow, status);
CREATE INDEX tasks_waiting ON tasks (waiting_for) WHERE waiting_for IS NOT NULL;
CREATE INDEX tasks_queue ON tasks (queue) WHERE queue IS NOT NULL;
CREATE INDEX tasks_awaited ON tasks (awaited_type, awaited_key) WHERE awaited_type IS NOT NULL;
CREATE INDEX tasks_updated ON tasks (updated_at);
CREATE INDEX tasks_status_updated ON tasks (status, updated_at);
CREATE INDEX tasks_flow_updated ON tasks (flow, updated_at);
CREATE INDEX tasks_flow_status_updated ON tasks (flow, status, updated_at);
CREATE INDEX tasks_waiting_updated ON tasks (waiting_for, updated_at)
  WHERE waiting_for IS NOT NULL;
CREATE INDEX tasks_queue_updated ON tasks (queue, updated_at) WHERE queue IS NOT NULL;

-- Kept by the writer, so that a dashboard does not count a million rows.
CREATE TABLE task_counts (
  flow TEXT NOT NULL,
  status TEXT NOT NULL,
  tasks INTEGER NOT NULL,
  PRIMARY KEY (flow, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  revision INTEGER NOT NULL,
  task TEXT,
  conversation TEXT NOT NULL,
  connection TEXT NOT NULL,
  contact TEXT NOT NULL,
  direction TEXT NOT NULL,
  state TEXT NOT NULL,
  text_digest INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT;
CREATE INDEX messages_task ON messages (task) WHERE task IS NOT NULL;
CREATE INDEX messages_conversation ON messages (conversation);
CREATE INDEX messages_contact ON messages (contact);
CREATE INDEX messages_connection ON messages (connection);
-- Most messages have come to one of these states; a walk finds those at once.
CREATE INDEX messages_unfinished ON messages (state)
  WHERE state NOT IN ('processed', 'sent', 'delivered', 'read');

CREATE TABLE history (
  seq INTEGER PRIMARY KEY,
  task TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  document TEXT NOT NULL,
  UNIQUE (task, sequence)
) STRICT;

-- Words, made by search.rs. Its words hold letters, digits and marks only, so that the ASCII
-- tokenizer takes them as they are. rowid = seq.
CREATE VIRTUAL TABLE message_words USING fts5 (
  words, content = '', contentless_delete = 1, tokenize = 'ascii', prefix = '1 2'
);
CREATE VIRTUAL TABLE task_words USING fts5 (
  words, content = '', contentless_delete = 1, tokenize = 'ascii', prefix = '1 2'
);
-- Every character of the folded label and the one behind it, as numbers: parts of labels are
-- looked for, not words.
CREATE VIRTUAL TABLE task_labels USING fts5 (
  words, content = '', contentless_delete = 1, tokenize = 'ascii'
);

CREATE TABLE answers (
  key TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT;
CREATE INDEX answers_expires ON answers (expires_at);

-- Envelopes that wait for their function. Positions are never used again.
CREATE TABLE queue (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  topic TEXT NOT NULL,
  key TEXT NOT NULL,
  due INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0,
  published_at INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX queue_ready ON queue (position, topic) WHERE due IS NULL;
CREATE INDEX queue_due ON queue (due, position, topic) WHERE due IS NOT NULL;

-- Envelopes that were committed and not yet published (DeliveryMode::Published).
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  topic TEXT NOT NULL,
  key TEXT NOT NULL,
  due INTEGER,
  committed_at INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE drafts (
  flow TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT;

CREATE TABLE flow_versions (
  flow TEXT NOT NULL,
  version INTEGER NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (flow, version)
) STRICT;

CREATE TABLE live_flows (
  flow TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  published_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Connections, keys, queues, table schemas: few of each.
CREATE TABLE config (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE failures (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  at INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT;
CREATE INDEX failures_at ON failures (at);
CREATE INDEX failures_state ON failures (state, at);
CREATE INDEX failures_kind ON failures (kind, at);
CREATE INDEX failures_state_kind ON failures (state, kind, at);

-- The schemas that the warehouse's tables were made with. Their own names all begin with
-- "warehouse_", so that no other table's name does.
CREATE TABLE landed_tables (
  id TEXT PRIMARY KEY,
  document TEXT NOT NULL
) STRICT;

CREATE TABLE quarantine (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  landing TEXT NOT NULL,
  at INTEGER NOT NULL,
  document TEXT NOT NULL
) STRICT;
CREATE INDEX quarantine_landing ON quarantine (landing, at);

-- Guarded by the mode of the file, 0600.
CREATE TABLE secrets (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
