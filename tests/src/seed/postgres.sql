-- See sqlite.sql; OFFSET 0 keeps the random values of a row from being evaluated anew for each column.
INSERT INTO persons (id, name, department, is_active, created_at, updated_at)
SELECT ('0190000000007000800000' || lpad(to_hex(i), 10, '0'))::uuid, 'Person ' || lpad(i::text, 5, '0'),
       'Department ' || i % 20, true, '2026-01-01', '2026-01-01' FROM generate_series(0, {people} - 1) i;

INSERT INTO cameras (id, name, stored_url, enabled, looped, should_run, run, created_at, updated_at)
SELECT 'cam_' || lpad(i::text, 2, '0'), 'Camera ' || i, 'test://', false, false, false, 0, '2026-01-01', '2026-01-01'
FROM generate_series(0, {cameras} - 1) i;

INSERT INTO detections (id, event_id, kind, timestamp, stream_time_ms, camera_id, track_id, person_id, person_name,
    similarity, margin, confidence, quality, box_x, box_y, box_width, box_height, frame_width, frame_height,
    first_seen, last_seen, created_at)
WITH n AS (
    SELECT i, floor(random() * 1000000)::bigint a, floor(random() * 1000000)::bigint b,
        floor(random() * 1000000)::bigint c, floor(random() * 1000000)::bigint d
    FROM generate_series(0, {rows} - 1::bigint) i OFFSET 0
), seen AS (
    SELECT i, c, d, a % 10 < 4 AS is_stranger, {start_ms} + i * {period_ms} / {rows} AS ms,
        floor({people} * (b / 1e6::float8) * (0.3 + 0.7 * b / 1e6::float8))::bigint AS person,
        CASE WHEN a % 10 < 4 THEN c % {cameras}
             ELSE (b * 7 + floor({cameras} * (c / 1e6::float8) * (c / 1e6::float8))::bigint) % {cameras} END AS camera,
        CASE WHEN d % 20 < 9 THEN CASE WHEN a % 10 < 4 THEN 'unknown' ELSE 'recognized' END
             WHEN d % 20 < 11 THEN 'updated' ELSE 'left' END AS kind
    FROM n OFFSET 0
)
SELECT (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(i & 4095), 3, '0') || '8' || lpad(to_hex(i), 15, '0'))::uuid,
    (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(i & 4095), 3, '0') || '9' || lpad(to_hex(i), 15, '0'))::uuid, kind,
    to_timestamp(ms / 1000.0), ms - {start_ms}, 'cam_' || lpad(camera::text, 2, '0'), i / 3,
    CASE WHEN NOT is_stranger THEN ('0190000000007000800000' || lpad(to_hex(person), 10, '0'))::uuid END,
    CASE WHEN NOT is_stranger THEN 'Person ' || lpad(person::text, 5, '0') END,
    CASE WHEN NOT is_stranger THEN 0.4 + 0.5 * round(c / 1e6, 4) END,
    CASE WHEN NOT is_stranger THEN 0.2 END,
    round(1 - 0.5 * (d / 1e6) * (d / 1e6), 4), round(c / 1e6, 4), 300, 100, 120, 150, 1280, 720,
    CASE WHEN kind = 'left' THEN to_timestamp(ms / 1000.0 - 20) END,
    CASE WHEN kind = 'left' THEN to_timestamp(ms / 1000.0) END,
    to_timestamp(ms / 1000.0)
FROM seen;
