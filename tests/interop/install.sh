#!/bin/sh
# Installs the clients that we did not write, and the toolchains that they need, into .tools/interop: Go and Node.js
# from PyPI, grpcurl built from the Go module proxy, the rest from the npm registry, all pinned. Nothing outside that
# folder is changed, but in CI: there Debian's package of Chromium is installed where there is no Chromium. Elsewhere the
# tests in a browser are skipped without one. `make test` runs this; it does nothing where all is there.
#
# Where a registry cannot be reached it says why in .tools/interop/missing, and the tests that need the tools are
# skipped with that reason. With CI=true it fails instead.
set -u
cd "$(dirname "$0")/../.."
here=tests/interop
tools=$PWD/.tools/interop
stamp=$(cat "$here/install.sh" "$here/requirements.txt" "$here/node/package-lock.json" | cksum)

mkdir -p "$tools"

missing() {
    echo "$1" > "$tools/missing"
    echo "interop tools: $1" >&2
    tail -n 20 "$tools"/*log >&2
    [ "${CI:-}" = true ] && exit 1
    exit 0
}

# A browser comes with the system, and only CI installs one.
has_browser() {
    for name in chromium-headless-shell chromium chromium-browser google-chrome; do
        command -v "$name" > /dev/null && return
    done
    return 1
}

browser() {
    if has_browser; then
        rm -f "$tools/missing-browser"
    elif [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q && apt-get install -y -q --no-install-recommends chromium-headless-shell ||
            apt-get install -y -q --no-install-recommends chromium
    else
        echo "there is no Chromium: install one to run the tests in a browser" > "$tools/missing-browser"
    fi
}

browser > "$tools/browser.log" 2>&1 || missing "Chromium could not be installed from Debian's packages"
[ "$(cat "$tools/done" 2>/dev/null)" = "$stamp" ] && exit 0
rm -f "$tools/done" "$tools/missing"

python() {
    .tools/bin/uv venv --quiet --allow-existing "$tools" &&
        .tools/bin/uv pip install --quiet --python "$tools/bin/python" --require-hashes -r "$here/requirements.txt"
}

grpcurl() {
    GOBIN="$tools/bin" GOFLAGS=-trimpath GOTOOLCHAIN=local \
        "$tools/bin/go" install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
}

node() {
    mkdir -p "$tools/node" &&
        cp "$here/node/package.json" "$here/node/package-lock.json" "$tools/node" &&
        (cd "$tools/node" && PATH="$tools/bin:$PATH" npm ci --no-audit --no-fund --ignore-scripts)
}

echo "installing the clients for the interop tests; the first time takes about a minute" >&2
python > "$tools/log" 2>&1 || missing "Go and Node.js could not be installed from PyPI"
grpcurl >> "$tools/log" 2>&1 || missing "grpcurl could not be built from the Go module proxy"
node >> "$tools/log" 2>&1 || missing "the packages of $here/node could not be installed from the npm registry"
echo "$stamp" > "$tools/done"
