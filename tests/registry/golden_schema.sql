-- user_version 1
CREATE TABLE aliases (
  alias    TEXT PRIMARY KEY CHECK (alias <> ''),
  model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE files (
  model_id    INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
  path        TEXT NOT NULL CHECK (path <> ''),
  bytes       INTEGER NOT NULL CHECK (bytes >= 0),
  sha256      TEXT NOT NULL CHECK (length(sha256) = 64),
  git_sha1    TEXT NOT NULL,
  verified_at TEXT NOT NULL,
  -- stat() when verified; inode is the unsigned number's bits
  inode       INTEGER NOT NULL,
  mtime_ns    INTEGER NOT NULL,
  ctime_ns    INTEGER NOT NULL,
  PRIMARY KEY (model_id, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE models (
  id           INTEGER PRIMARY KEY,
  name         TEXT NOT NULL CHECK (name <> ''),
  source       TEXT NOT NULL CHECK (source <> ''),
  endpoint     TEXT NOT NULL,
  revision     TEXT NOT NULL,
  commit_id    TEXT NOT NULL,
  path         TEXT NOT NULL CHECK (path <> ''),
  in_store     INTEGER NOT NULL CHECK (in_store IN (0, 1)),
  format       TEXT NOT NULL,
  quantization TEXT NOT NULL,
  architecture TEXT NOT NULL,
  complete     INTEGER NOT NULL CHECK (complete IN (0, 1)),
  card_json    TEXT NOT NULL,
  created_at   TEXT NOT NULL,
  UNIQUE (name, source, commit_id, path)
) STRICT;
CREATE INDEX aliases_by_model ON aliases (model_id);
