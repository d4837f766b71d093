#!/bin/bash
# Brings back what backup.sh saved. Servers and their workers must be stopped.
set -euo pipefail

usage() {
    cat <<'END'
restore.sh BACKUP [--yes] [--check]

Puts the backup in the folder BACKUP into the database and the data folder, after its checksums were found right.
  --yes     replace what is there; without it, nothing that is there is touched
  --check   look at the checksums, and do nothing else

From the environment, as for backup.sh: VEDETTE_DATA_DIR, DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD or DB_PASSWORD_FILE.
The database must be of the kind the backup was made of, and its user its owner. The key file is not part of a backup: put
it into the data folder, or set VEDETTE_KEY. A backup of a server with pictures in S3 holds none: they are where they were.
END
}

fail() {
    echo "restore.sh: $*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is not installed; $2"
}

backup='' yes='' check=''
while [ $# -gt 0 ]; do
    case $1 in
        --yes) yes=1 ;;
        --check) check=1 ;;
        -h | --help)
            usage
            exit
            ;;
        -*) fail "\`$1\` is unknown; --help tells what is there" ;;
        *)
            [ -z "$backup" ] || fail "one backup at a time"
            backup=$1
            ;;
    esac
    shift
done
[ -n "$backup" ] || fail "say which backup"
for file in manifest SHA256SUMS; do
    [ -f "$backup/$file" ] || fail "$backup is no backup: it has no file $file"
done
backup=$(cd "$backup" && pwd)

of_manifest() {
    sed -n "s/^$1: //p" "$backup/manifest"
}

[ "$(of_manifest format)" = 1 ] || fail "$backup was made by another version of backup.sh"
kind=$(of_manifest database)
case $kind in
    postgresql) database=database.dump ;;
    sqlite) database=database.sqlite ;;
    *) fail "the manifest of $backup names no database" ;;
esac
# Pictures are part of it, unless they were in S3.
folders=(photos snapshots)
[[ $(of_manifest pictures) != s3://* ]] || folders=()
(cd "$backup" && sha256sum --check --strict --quiet SHA256SUMS) ||
    fail "$backup is damaged; nothing was changed"
for file in manifest "$database" "${folders[@]/%/.tar}"; do
    grep -q "^[0-9a-f]\{64\}  $file\$" "$backup/SHA256SUMS" ||
        fail "$backup has no checksum of $file; nothing was changed"
done
if [ -n "$check" ]; then
    echo "$backup: whole"
    exit
fi

target=sqlite
[ -z "${DB_HOST-}" ] || target=postgresql
[ "$target" = "$kind" ] || fail "$backup holds $kind, but the environment names $target (DB_HOST)"
umask 077
mkdir -p "${VEDETTE_DATA_DIR:-data}"
data=$(cd "${VEDETTE_DATA_DIR:-data}" && pwd)
[ -w "$data" ] || fail "$(id -un 2>/dev/null || id -u) may not write to $data"
exec 9>"$data/.restore.lock"
flock -n 9 || fail "another restore is running"

# Whether a server is there, whether something would be lost, and how to put the database back, for each kind.
if [ "$kind" = postgresql ]; then
    need psql "install postgresql-client"
    need pg_restore "install postgresql-client"
    export PGHOST=$DB_HOST PGPORT=${DB_PORT:-5432} PGDATABASE=${DB_NAME:-vedette} PGAPPNAME=vedette-restore
    export PGUSER=${DB_USER:?DB_HOST is set, so DB_USER is needed}
    [ -z "${DB_PASSWORD_FILE-}" ] || DB_PASSWORD=$(cat "$DB_PASSWORD_FILE")
    [ -z "${DB_PASSWORD-}" ] || export PGPASSWORD=$DB_PASSWORD
    ask() { psql -XAtq -v ON_ERROR_STOP=1 -c "$1"; }

    servers=$(ask "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'vedette'")
    tables=$(ask "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    [ "$servers" = 0 ] || fail "servers are connected to the database ($servers connections): stop them first"
    has_database=''
    [ "$tables" = 0 ] || has_database=1

    # All in one transaction: COMMIT is sent only when everything before it was, and the first error ends it.
    put_database_back() {
        {
            echo 'BEGIN; DROP SCHEMA public CASCADE; CREATE SCHEMA public;'
            pg_restore --no-owner --no-privileges --file=- "$backup/$database" && echo 'COMMIT;'
        } | psql -Xq -v ON_ERROR_STOP=1 --output=/dev/null || fail "the database could not be put back; nothing was changed"
        ask ANALYZE
    }
else
    need sqlite3 "install it"
    has_database=''
    if [ -e "$data/vedette.db" ]; then
        has_database=1
        # In SQLite's WAL mode, every program that has the file open holds a lock that this one needs for itself.
        # A damaged file is no reason to stop: it is what a backup is for.
        error=$(sqlite3 -bail "$data/vedette.db" 'PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT' 2>&1 >/dev/null) ||
            [[ $error != *locked* ]] || fail "a server has the database open: stop it first"
    fi
    put_database_back() {
        cp "$backup/$database" "$staging/vedette.db"
        sync "$staging/vedette.db"
    }
fi

has_pictures=''
for folder in "${folders[@]}"; do
    [ -z "$(find "$data/$folder" -type f -print -quit 2>/dev/null)" ] || has_pictures=1
done
if [ -n "$has_database$has_pictures" ] && [ -z "$yes" ]; then
    fail "there is ${has_database:+a database}${has_database:+${has_pictures:+ and }}${has_pictures:+pictures} already:" \
        "--yes replaces what is there"
fi

staging=$(mktemp -d "$data/.restore-XXXXXX")
trap 'rm -rf "$staging"' EXIT
trap 'exit 130' INT TERM HUP
started=$SECONDS
for folder in "${folders[@]}"; do
    tar --extract --no-same-owner --file="$backup/$folder.tar" --directory="$staging"
done
# Pictures and folders; whatever else is no backup of ours.
stray=$(find "$staging" -mindepth 1 ! -type f ! -type d -print -quit)
[ -z "$stray" ] || fail "$backup holds what is neither a file nor a folder; nothing was changed"
put_database_back

# From here on only names change.
replaced=$staging/replaced
mkdir "$replaced"
if [ "$kind" = sqlite ]; then
    for file in vedette.db vedette.db-wal vedette.db-shm; do
        [ ! -e "$data/$file" ] || mv "$data/$file" "$replaced/"
    done
    mv "$staging/vedette.db" "$data/"
fi
for folder in "${folders[@]}"; do
    [ ! -e "$data/$folder" ] || mv "$data/$folder" "$replaced/"
    mv "$staging/$folder" "$data/"
done
# As root, what was made belongs to whoever the data folder belongs to.
if [ "$(id -u)" = 0 ]; then
    for folder in "${folders[@]}"; do chown -R --reference="$data" "$data/$folder"; done
    [ "$kind" != sqlite ] || chown --reference="$data" "$data/vedette.db"
fi
sync -f "$data"
sed 's/^/  /' "$backup/manifest"
echo "restored within $((SECONDS - started)) s; servers can be started, of the version of the backup or newer"
