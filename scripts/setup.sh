#!/usr/bin/env bash
# Make .venv hold exactly what requirements.lock says, and the system packages that pycairo compiles against.
# Run by `make`; needs nothing but python3 (3.11 or later) and git. Does nothing where nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=.venv
SYSTEM_PACKAGES=(build-essential pkg-config libcairo2-dev python3-dev python3-venv)

die() { echo "setup: $*" >&2; exit 1; }

has_system_packages() {
    command -v cc && command -v pkg-config && pkg-config --exists cairo \
        && "$PYTHON" -c 'import ensurepip, os, sysconfig; assert os.path.exists(sysconfig.get_path("include") + "/Python.h")'
} >/dev/null 2>&1

install_system_packages() {
    local command="apt-get update && apt-get install -y ${SYSTEM_PACKAGES[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || die "pycairo needs system packages; run: sudo sh -c '$command'"
        as_root=(sudo -n)
    fi
    command -v apt-get >/dev/null || die "no apt-get here: install cairo's headers, pkg-config, a C compiler and \
Python's headers and venv with your package manager, then run make again"
    echo "setup: installing ${SYSTEM_PACKAGES[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${SYSTEM_PACKAGES[@]}" >/dev/null
    has_system_packages || die "still cannot find cairo's headers, a C compiler or Python's headers after: $command"
}

install_locked() {
    # torch first and alone: which build it is (CPU, CUDA) is the machine's choice, so it cannot carry a hash.
    echo "setup: installing torch (large)"
    "$VENV/bin/pip" install -qq --disable-pip-version-check -r requirements-torch.lock
    echo "setup: installing the other locked packages"
    "$VENV/bin/pip" install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
    "$VENV/bin/pip" install -qq --disable-pip-version-check --no-deps --editable .
}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    || die "needs Python 3.11 or later, found $("$PYTHON" --version 2>&1); name another with PYTHON=python3.12 make …"
wanted=$(cat requirements-torch.lock requirements.lock pyproject.toml scripts/setup.sh | sha256sum | cut -c1-64)
if [ "$(cat "$VENV/.installed" 2>/dev/null)" = "$wanted" ]; then exit 0; fi
has_system_packages || install_system_packages
[ -x "$VENV/bin/pip" ] || "$PYTHON" -m venv "$VENV"
install_locked
echo "$wanted" > "$VENV/.installed"
echo "setup: done"
