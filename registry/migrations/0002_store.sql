-- SPDX-License-Identifier: Apache-2.0
-- Totals, so that a list need not read files; pins and use, for gc; extent hashes, for repair; views, for `mhub query`.
ALTER TABLE models ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0);
ALTER TABLE models ADD COLUMN num_files INTEGER NOT NULL DEFAULT 0 CHECK (num_files >= 0);
ALTER TABLE models ADD COLUMN verified_at TEXT NOT NULL DEFAULT '';
ALTER TABLE models ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1));
ALTER TABLE models ADD COLUMN used_at TEXT NOT NULL DEFAULT '';
UPDATE models SET
  bytes = coalesce((SELECT sum(bytes) FROM files WHERE model_id = models.id), 0),
  num_files = (SELECT count(*) FROM files WHERE model_id = models.id),
  verified_at = coalesce((SELECT min(verified_at) FROM files WHERE model_id = models.id), '');

CREATE INDEX models_in_order ON models (name, created_at DESC, id DESC);
CREATE INDEX models_by_path ON models (path);
CREATE INDEX files_by_sha256 ON files (sha256);

-- 8 bytes (XXH64, little-endian) for every 4 MiB of the content that has this sha256
CREATE TABLE extents (
  sha256 TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64),
  hashes BLOB NOT NULL CHECK (length(hashes) % 8 = 0)
) STRICT;

-- knows_store_since: directories of models/ that are older may belong to an earlier registry, so gc leaves them
CREATE TABLE facts (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO facts VALUES ('knows_store_since',
  CASE WHEN EXISTS (SELECT 1 FROM models) THEN '' ELSE strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END);

CREATE VIEW model AS
  SELECT name, source, endpoint, revision, commit_id AS "commit", path, bytes, num_files AS files, format, quantization,
         architecture, complete, pinned,
         coalesce((SELECT group_concat(alias, ',') FROM aliases WHERE model_id = models.id), '') AS aliases,
         card_json AS card, verified_at AS verified, created_at AS created, used_at AS used, in_store, id
  FROM models;
CREATE VIEW file AS
  SELECT models.name AS name, models.source AS source, models.commit_id AS "commit", files.path AS path,
         files.bytes AS bytes, files.sha256 AS sha256, files.git_sha1 AS git_sha1, files.verified_at AS verified,
         models.id AS model_id
  FROM files JOIN models ON models.id = files.model_id;
