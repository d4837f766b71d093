#!/bin/sh
# Stands before `vedette` and `vedette-worker` in the images, under their names: a secret may be given as a file, named
# by its variable with _FILE behind it (JWT_SECRET_FILE=/run/secrets/jwt_secret), so that it shows neither in the
# container's settings nor in a compose file. `docker exec` passes here, too.
set -eu

for name in DB_PASSWORD REDIS_PASSWORD MQTT_PASSWORD JWT_SECRET VEDETTE_KEY VEDETTE_KEY_PREVIOUS ADMIN_PASSWORD API_KEY \
    METRICS_TOKEN VEDETTE_WORKER_TOKEN AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN; do
    eval "file=\${${name}_FILE-}"
    [ -n "$file" ] || continue
    unset "${name}_FILE"
    # An empty file is a mistake, where an empty variable would only count as not set.
    [ -s "$file" ] || { echo "${name}_FILE: \`$file\` is not there, may not be read, or is empty" >&2; exit 1; }
    value=$(cat "$file")
    export "$name=$value"
done
exec "/usr/bin/${0##*/}" "$@"
