-- Sightings no more than five minutes apart are one visit.
INSERT INTO sessions (id, person_id, camera_id, entry_time, exit_time, detection_count, is_open)
SELECT {first_id}, person_id, camera_id, min(timestamp), max(timestamp), count(*), false FROM (
    SELECT id, person_id, camera_id, timestamp,
        sum(is_entry) OVER (PARTITION BY person_id, camera_id ORDER BY timestamp) AS visit
    FROM (
        SELECT id, person_id, camera_id, timestamp,
            CASE WHEN {seconds_since_last} <= 300 THEN 0 ELSE 1 END AS is_entry
        FROM detections WHERE person_id IS NOT NULL
        WINDOW track AS (PARTITION BY person_id, camera_id ORDER BY timestamp)
    ) AS marked
) AS numbered GROUP BY person_id, camera_id, visit;
