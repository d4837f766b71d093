#!/bin/bash
# Backs up what Vedette keeps: the database, the photos of enrolled people and the snapshots of events.
set -euo pipefail

usage() {
    cat <<'END'
backup.sh --to FOLDER [--keep N] [--key-to FOLDER]

Makes FOLDER/vedette-TIME, while servers run. It appears whole or not at all.
  --keep N          then delete all but the last N backups in FOLDER
  --key-to FOLDER   also copy the key file there, which must be another place: whoever has both can read everything

From the environment, as the server has it: VEDETTE_DATA_DIR (default data), and for PostgreSQL DB_HOST, DB_PORT, DB_NAME,
DB_USER, DB_PASSWORD or DB_PASSWORD_FILE. Needs pg_dump of the server's version or newer; without DB_HOST, sqlite3.

Pictures in S3 (STORAGE_URL) are not copied: the bucket is to look after them itself. With its versions kept for longer than
backups are, whatever a backup's rows name can be brought back; without, pictures deleted since are missing, and nothing else
is. Deleted faces live on in versions: give those a lifetime, too.
END
}

fail() {
    echo "backup.sh: $*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is not installed; $2"
}

to='' keep=0 key_to=''
while [ $# -gt 0 ]; do
    case $1 in
        --to | --keep | --key-to)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in --to) to=$2 ;; --keep) keep=$2 ;; *) key_to=$2 ;; esac
            shift 2
            ;;
        -h | --help)
            usage
            exit
            ;;
        *) fail "\`$1\` is unknown; --help tells what is there" ;;
    esac
done
[ -n "$to" ] || fail "say where to, with --to FOLDER"
[[ $keep =~ ^[0-9]{1,6}$ ]] || fail "--keep needs a number"

data=$(cd "${VEDETTE_DATA_DIR:-data}" && pwd) || fail "the data folder is not there: set VEDETTE_DATA_DIR"
folders=(photos snapshots)
[ -z "${STORAGE_URL-}" ] || folders=()
for folder in "${folders[@]}"; do
    [ -d "$data/$folder" ] || fail "there is no folder $folder in $data: is it the data folder of a server that was started?"
done
umask 077
mkdir -p "$to"
to=$(cd "$to" && pwd)
[ -w "$to" ] || fail "$(id -un 2>/dev/null || id -u) may not write to $to"
if [ -n "$key_to" ]; then
    mkdir -p "$key_to"
    key_to=$(cd "$key_to" && pwd)
    [[ $key_to/ != "$to"/* ]] || fail "the key belongs somewhere else than the backups"
    [ -f "$data/vedette.key" ] ||
        fail "there is no key file in $data: the key is in VEDETTE_KEY then, and for you to keep"
fi

exec 9>"$to/.lock"
flock -n 9 || fail "another backup to $to is running"
# What a killed one left.
rm -rf "$to"/.partial-*

name=vedette-$(date -u +%Y%m%dT%H%M%SZ)
[ ! -e "$to/$name" ] || fail "$to/$name is there already"
partial=$(mktemp -d "$to/.partial-XXXXXX")
trap 'rm -rf "$partial"' EXIT
trap 'exit 130' INT TERM HUP

# The database first: a row is written after its picture, so every picture a row names is there to be copied, unless it
# was deleted in between. Pictures that come in meanwhile may be there without a row, which does no harm.
dump_postgres() {
    need pg_dump "install postgresql-client"
    export PGHOST=$DB_HOST PGPORT=${DB_PORT:-5432} PGDATABASE=${DB_NAME:-vedette} PGAPPNAME=vedette-backup
    export PGUSER=${DB_USER:?DB_HOST is set, so DB_USER is needed}
    [ -z "${DB_PASSWORD_FILE-}" ] || DB_PASSWORD=$(cat "$DB_PASSWORD_FILE")
    [ -z "${DB_PASSWORD-}" ] || export PGPASSWORD=$DB_PASSWORD
    pg_dump --format=custom --no-owner --no-privileges --file="$partial/database.dump"
    pg_restore --list "$partial/database.dump" >/dev/null
    migration=$(psql -XAtq -c 'SELECT max(version) FROM seaql_migrations')
}

dump_sqlite() {
    need sqlite3 "install it"
    [ -f "$data/vedette.db" ] || fail "there is no database in $data; for PostgreSQL set DB_HOST"
    # One reading of a moment, however much is written meanwhile; `.backup` would begin anew at each write.
    cd "$partial"
    sqlite3 -bail -cmd '.timeout 60000' "$data/vedette.db" "VACUUM INTO 'database.sqlite'"
    cd "$OLDPWD"
    [ "$(sqlite3 "$partial/database.sqlite" 'PRAGMA quick_check')" = ok ] || fail "the copy of the database is damaged"
    migration=$(sqlite3 "$partial/database.sqlite" 'SELECT max(version) FROM seaql_migrations')
}

# Pictures are renamed into place whole, so none is read half written; one that retention deletes while it is read about
# is nothing to stop for, and tar says so by 1.
pack() {
    local status=0
    tar --create --format=posix --warning=no-file-removed --warning=no-file-changed --directory="$data" \
        --file="$partial/$1.tar" "$1" || status=$?
    [ "$status" -le 1 ] || fail "the $1 could not be copied"
}

count() {
    tar --list --file="$partial/$1.tar" | grep -c '[^/]$' || true
}

started=$SECONDS
kind=sqlite
[ -z "${DB_HOST-}" ] || kind=postgresql
if [ "$kind" = postgresql ]; then dump_postgres; else dump_sqlite; fi
dumped=$SECONDS
for folder in "${folders[@]}"; do pack "$folder"; done
{
    echo "format: 1"
    echo "made: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    echo "database: $kind"
    echo "migration: $migration"
    echo "pictures: ${STORAGE_URL:-in this backup}"
    for folder in "${folders[@]}"; do echo "$folder: $(count "$folder")"; done
} >"$partial/manifest"
(cd "$partial" && sha256sum -- * >SHA256SUMS)

# On the disk before it bears a name that counts.
sync -f "$partial"
mv -T "$partial" "$to/$name"
trap - EXIT
sync -f "$to"
sed 's/^/  /' "$to/$name/manifest"
echo "$to/$name: $(du -sh "$to/$name" | cut -f1) in $((SECONDS - started)) s, of which the database $((dumped - started)) s"

if [ -n "$key_to" ]; then
    install -m 600 "$data/vedette.key" "$key_to/.vedette.key.new"
    mv -T "$key_to/.vedette.key.new" "$key_to/vedette.key"
    echo "$key_to/vedette.key: the key"
fi

if [ "$keep" -gt 0 ]; then
    mapfile -t backups < <(find "$to" -mindepth 1 -maxdepth 1 -type d -name 'vedette-*Z' | sort -r)
    for old in "${backups[@]:keep}"; do
        # Out of sight at once, whatever becomes of the deletion.
        mv -T "$old" "$to/.partial-${old##*/}"
        rm -rf "$to/.partial-${old##*/}"
        echo "$old: deleted"
    done
fi
