#!/bin/sh
# Runs a command with a PostgreSQL and a Redis of its own, both gone when it ends: with-servers.sh COMMAND [ARGUMENT…]
#
# They listen on free ports of this host only and keep everything in a temporary folder. The command finds them in
# TEST_DB_HOST, TEST_DB_PORT, TEST_DB_USER, TEST_DB_PASSWORD and TEST_REDIS_HOST, TEST_REDIS_PORT.
set -eu

folder=$(mktemp -d)
redis=''
stop() {
    # Whatever is not there any more need not be stopped.
    [ -z "$redis" ] || kill "$redis" 2>/dev/null || true
    [ ! -e "$folder/postgres/postmaster.pid" ] ||
        as_postgres pg_ctl -D "$folder/postgres" -m immediate stop >/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

# Debian keeps PostgreSQL's programs off the path, one folder for each version.
for bin in /usr/lib/postgresql/*/bin; do PATH="$bin:$PATH"; done
for program in initdb postgres redis-server; do
    command -v "$program" >/dev/null ||
        { echo "with-servers.sh: $program is not installed; \`make test\` installs it" >&2; exit 1; }
done

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# PostgreSQL refuses to run as root.
as_postgres() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$folder"
    as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; }
fi

export TEST_DB_HOST=127.0.0.1 TEST_DB_PORT="$(free_port)" TEST_DB_USER=vedette TEST_DB_PASSWORD=vedette
export TEST_REDIS_HOST=127.0.0.1 TEST_REDIS_PORT="$(free_port)"

echo "$TEST_DB_PASSWORD" >"$folder/password"
chmod 644 "$folder/password"
as_postgres env LC_ALL=C initdb --pgdata "$folder/postgres" --username "$TEST_DB_USER" --pwfile "$folder/password" \
    --auth scram-sha-256 --encoding UTF8 --no-sync >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 1; }
# Nothing here has to outlive a power cut.
as_postgres pg_ctl -D "$folder/postgres" -l "$folder/postgres/log" -w -t 60 start -o "-h $TEST_DB_HOST -p $TEST_DB_PORT \
    -c unix_socket_directories= -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400" \
    >/dev/null || { cat "$folder/postgres/log" >&2; exit 1; }
redis-server --bind "$TEST_REDIS_HOST" --port "$TEST_REDIS_PORT" --save '' --appendonly no --dir "$folder" \
    >"$folder/redis.log" 2>&1 &
redis=$!

tries=0
until redis-cli -p "$TEST_REDIS_PORT" ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 150 ] || { cat "$folder/redis.log" >&2; exit 1; }
    sleep 0.2
done

status=0
"$@" || status=$?
exit "$status"
