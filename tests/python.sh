#!/bin/sh
# Prints the Python of an environment with packages of its own: python.sh REQUIREMENTS_FILE
#
# It is made when it is first asked for, outside the checkout, and anew when the file changes. Nothing of this machine's own
# Python changes.
set -eu

packages="${XDG_CACHE_HOME:-$HOME/.cache}/vedette/python"
folder="$packages/$(sha256sum "$1" | cut -c1-16)"
mkdir -p "$packages"
# Whoever comes second waits and finds it made; the lock goes with this process.
exec 9>"$folder.lock"
flock 9
if [ ! -e "$folder/complete" ]; then
    rm -rf "$folder"
    python3 -m venv "$folder" >&2 ||
        { echo "python.sh: python3 cannot make an environment; on Debian: apt install python3-venv" >&2; exit 1; }
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$1" >&2
    touch "$folder/complete"
fi
echo "$folder/bin/python"
