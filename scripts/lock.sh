#!/usr/bin/env bash
# Write requirements.lock anew from pyproject.toml: every package but torch, with the hashes of all its files.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pip-tools
# What torch itself needs is listed here, so that it is locked too.
"$work/venv/bin/python" - > "$work/requirements.in" <<'PY'
import tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"].values()
wanted = [*project["dependencies"], *(name for extra in extras for name in extra)]
wanted = [name for name in wanted if not name.startswith("torch")]
print("\n".join([*wanted, "filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions"]))
PY
"$work/venv/bin/pip-compile" --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --output-file requirements.lock "$work/requirements.in"
