-- Numbered rows with a fixed set of random values each: evaluated once, unlike random() in a row's columns.
INSERT INTO persons (id, name, department, is_active, created_at, updated_at)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {people})
SELECT unhex(printf('0190000000007000800000%010x', i)), printf('Person %05d', i), printf('Department %d', i % 20), 1,
       '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00' FROM n;

INSERT INTO cameras (id, name, stored_url, enabled, looped, should_run, run, created_at, updated_at)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {cameras})
SELECT printf('cam_%02d', i), printf('Camera %d', i), 'test://', 0, 0, 0, 0,
       '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00' FROM n;

-- The more often someone comes, the lower their number; everyone has cameras they pass more often than others.
INSERT INTO detections (id, event_id, kind, timestamp, stream_time_ms, camera_id, track_id, person_id, person_name,
    similarity, margin, confidence, quality, box_x, box_y, box_width, box_height, frame_width, frame_height,
    first_seen, last_seen, created_at)
WITH RECURSIVE n(i, a, b, c, d) AS (
    SELECT 0, abs(random() % 1000000), abs(random() % 1000000), abs(random() % 1000000), abs(random() % 1000000)
    UNION ALL
    SELECT i + 1, abs(random() % 1000000), abs(random() % 1000000), abs(random() % 1000000), abs(random() % 1000000)
    FROM n WHERE i + 1 < {rows}
), seen AS (
    SELECT i, c, d, a % 10 < 4 AS is_stranger, {start_ms} + i * {period_ms} / {rows} AS ms,
        CAST({people} * (b / 1e6) * (0.3 + 0.7 * b / 1e6) AS integer) AS person,
        CASE WHEN a % 10 < 4 THEN c % {cameras}
             ELSE (b * 7 + CAST({cameras} * (c / 1e6) * (c / 1e6) AS integer)) % {cameras} END AS camera,
        CASE WHEN d % 20 < 9 THEN CASE WHEN a % 10 < 4 THEN 'unknown' ELSE 'recognized' END
             WHEN d % 20 < 11 THEN 'updated' ELSE 'left' END AS kind
    FROM n
)
SELECT unhex(printf('%012x7%03x8%015x', ms, i & 4095, i)), unhex(printf('%012x7%03x9%015x', ms, i & 4095, i)), kind,
    strftime('%Y-%m-%dT%H:%M:%S', ms / 1000, 'unixepoch') || printf('.%03d+00:00', ms % 1000), ms - {start_ms},
    printf('cam_%02d', camera), i / 3,
    CASE WHEN NOT is_stranger THEN unhex(printf('0190000000007000800000%010x', person)) END,
    CASE WHEN NOT is_stranger THEN printf('Person %05d', person) END,
    CASE WHEN NOT is_stranger THEN 0.4 + 0.5 * round(c / 1e6, 4) END,
    CASE WHEN NOT is_stranger THEN 0.2 END,
    round(1 - 0.5 * (d / 1e6) * (d / 1e6), 4), round(c / 1e6, 4), 300, 100, 120, 150, 1280, 720,
    CASE WHEN kind = 'left' THEN
        strftime('%Y-%m-%dT%H:%M:%S', ms / 1000 - 20, 'unixepoch') || '+00:00' END,
    CASE WHEN kind = 'left' THEN
        strftime('%Y-%m-%dT%H:%M:%S', ms / 1000, 'unixepoch') || printf('.%03d+00:00', ms % 1000) END,
    strftime('%Y-%m-%dT%H:%M:%S', ms / 1000, 'unixepoch') || '+00:00'
FROM seen;
