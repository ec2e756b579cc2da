#!/usr/bin/env bash
# Regenerate the locks from pyproject.toml, with the hashes of all files of every package except torch.
# requirements.lock holds the packages of all extras, requirements-image.lock those of the container.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pip-tools

# Print the packages to lock, of all extras or of those in the container, with the requirements of torch itself.
requirements() {
    "$work/venv/bin/python" - "$1" <<'PY'
import os
import sys
import tomllib

# extras. mlflow-skinny needs an older importlib-metadata than others do, wandb brings 20 MB
NOT_LOCKED = {"mlflow", "wandb"}
NOT_IN_IMAGE = {"cluster", "s3", "dvc", "tensorboard", "dvclive", "dev"}

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
is_image = sys.argv[1] == "image"
names = set(project["dependencies"])
for extra, packages in project["optional-dependencies"].items():
    if extra not in NOT_LOCKED and not (is_image and extra in NOT_IN_IMAGE):
        names.update(packages)
print(*sorted(name for name in names if not name.startswith("torch>")), sep="\n")
print("filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions", sep="\n")
if is_image:
    print("-c", os.path.abspath("requirements.lock"))
PY
}

lock() {
    requirements "$1" > "$work/$1.in"
    "$work/venv/bin/pip-compile" --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --output-file "$2" "$work/$1.in"
}

lock all requirements.lock
lock image requirements-image.lock
