#!/bin/sh
# Makes what compose.prod.yaml needs and is not there yet, in docker/secrets: passwords, tokens, and a certificate signed by
# itself, to be replaced by a real one. What is there stays as it is. Needs openssl.
set -eu

folder=${1:-$(dirname "$0")/secrets}
command -v openssl >/dev/null || { echo "make-secrets.sh: openssl is not installed" >&2; exit 1; }

# Nobody else may enter the folder; the files themselves are read by the users of the containers.
mkdir -p "$folder"
chmod 700 "$folder"

for name in db_password redis_password jwt_secret vedette_key admin_password metrics_token worker_token \
    grafana_password; do
    file=$folder/$name
    [ ! -e "$file" ] || continue
    secret=$(openssl rand -hex 32)
    printf '%s' "$secret" >"$file.new"
    chmod 444 "$file.new"
    mv "$file.new" "$file"
    echo "made $file"
done

if [ ! -e "$folder/tls.crt" ] && [ ! -e "$folder/tls.key" ]; then
    name=${TLS_NAME:-$(hostname)}
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj "/CN=$name" \
        -addext "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1" \
        -keyout "$folder/tls.key.new" -out "$folder/tls.crt" 2>/dev/null
    chmod 444 "$folder/tls.key.new" "$folder/tls.crt"
    mv "$folder/tls.key.new" "$folder/tls.key"
    echo "made $folder/tls.crt for $name, signed by itself: browsers warn until a real one is in its place"
fi
