-- user_version 2
CREATE VIEW file AS
  SELECT models.name AS name, models.source AS source, models.commit_id AS "commit", files.path AS path,
         files.bytes AS bytes, files.sha256 AS sha256, files.git_sha1 AS git_sha1, files.verified_at AS verified,
         models.id AS model_id
  FROM files JOIN models ON models.id = files.model_id;
CREATE VIEW model AS
  SELECT name, source, endpoint, revision, commit_id AS "commit", path, bytes, num_files AS files, format, quantization,
         architecture, complete, pinned,
         coalesce((SELECT group_concat(alias, ',') FROM aliases WHERE model_id = models.id), '') AS aliases,
         card_json AS card, verified_at AS verified, created_at AS created, used_at AS used, in_store, id
  FROM models;
CREATE TABLE aliases (
  alias    TEXT PRIMARY KEY CHECK (alias <> ''),
  model_id INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE extents (
  sha256 TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64),
  hashes BLOB NOT NULL CHECK (length(hashes) % 8 = 0)
) STRICT;
CREATE TABLE facts (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
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
  created_at   TEXT NOT NULL, bytes INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0), num_files INTEGER NOT NULL DEFAULT 0 CHECK (num_files >= 0), verified_at TEXT NOT NULL DEFAULT '', pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)), used_at TEXT NOT NULL DEFAULT '',
  UNIQUE (name, source, commit_id, path)
) STRICT;
CREATE INDEX aliases_by_model ON aliases (model_id);
CREATE INDEX files_by_sha256 ON files (sha256);
CREATE INDEX models_by_path ON models (path);
CREATE INDEX models_in_order ON models (name, created_at DESC, id DESC);
