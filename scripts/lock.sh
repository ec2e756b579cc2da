#!/usr/bin/env bash
# Write the locks anew from pyproject.toml, with the hashes of all files of every package but torch:
# requirements.lock holds all that developers need, requirements-image.lock the part of it that the container holds.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pip-tools

# Print what is to be locked: all extras, or those of the container. What torch itself needs is listed here, too.
wanted() {
    "$work/venv/bin/python" - "$1" <<'PY'
import os
import sys
import tomllib

IN_IMAGE = {"serve", "demo", "onnx"}  # extras; those that the project does not have are none
NOT_IN_IMAGE = {"dvc"}  # DVC runs stages in a checkout, and the container has none

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
is_image = sys.argv[1] == "image"
extras = project["optional-dependencies"].items()
names = [*project["dependencies"], *(name for extra, part in extras if not is_image or extra in IN_IMAGE for name in part)]
left_out = ("torch", *NOT_IN_IMAGE) if is_image else ("torch",)
print(*(name for name in names if not name.startswith(left_out)), sep="\n")
print("filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions", sep="\n")
if is_image:
    print("-c", os.path.abspath("requirements.lock"))
PY
}

lock() {
    wanted "$1" > "$work/$1.in"
    "$work/venv/bin/pip-compile" --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --output-file "$2" "$work/$1.in"
}

lock all requirements.lock
lock image requirements-image.lock
