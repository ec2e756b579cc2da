#!/usr/bin/env python3
"""Build the container's cpu target where no Docker engine runs, and run what is in it: `make container-check`.

buildah builds the Dockerfile as it stands, each RUN in a chroot of its own; the base image, which it cannot fetch
here, is made by mmdebstrap of the same Debian release. Both are Debian packages, and both want root. Then every
program of the image runs in it, as its user and without a network beyond the loopback interface: a small training job,
then the service and the demo with its model. The result goes into docs/guide/container.md with date and commit.

Needs 8 GB of disk and, the first time, a quarter of an hour.
"""

import argparse
import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGE = "localhost/latexify:cpu"
PLACE = Path("/var/tmp/latexify-container")  # noqa: S108  # root's, and gigabytes large
PACKAGES = "buildah mmdebstrap"
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
TRUST = Path("/etc/ssl/certs/ca-certificates.crt")
OTHER_USER = "20002:20002"
"""Has no entry in the image's passwd file, and no home."""
DEMO_HEALTH = ["env", "LATEXIFY_HEALTH_URL=http://127.0.0.1:8501/_stcore/health", "healthy"]
"""The health check as compose.yaml sets it for the demo."""
SMALL_JOB = {
    "synthetic.num_train": "40",
    "synthetic.num_valid": "10",
    "synthetic.num_test": "10",
    "synthetic.num_writers": "6",
    "train.max_steps": "2",
    "train.warmup_steps": "0",
}
"""Hyperparameters of a training job that makes its own data."""
MARKS = ("<!-- container-check -->", "<!-- /container-check -->")


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that was run. output: its last line."""

    name: str
    passed: bool
    seconds: float
    output: str


class Builder:
    """buildah with images, containers and scratch space in a folder of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._base = ["buildah", "--root", str(place / "storage"), "--runroot", str(place / "run")]
        self._environment = os.environ | {"TMPDIR": str(place), "BUILDAH_ISOLATION": "chroot"}

    def __call__(self, *arguments: str) -> str:
        """Run a command of buildah and return what it prints."""
        command = [*self._base, *arguments]
        done = subprocess.run(command, env=self._environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def build(self, *arguments: str) -> None:
        """Build an image, and say which step is being done."""
        subprocess.run([*self._base, "build", *arguments], env=self._environment, stdout=sys.stderr, check=True)

    def inside(self, container: str, *command: str, alone: bool = True, user: str | None = None) -> list[str]:
        """The command line that runs `command` in a container.

        alone: with a loopback interface of its own only. user: instead of the image's, without capabilities.
        """
        other = [] if user is None else ["--user", user, "--cap-drop", "all"]
        run = [*self._base, "run", "--isolation", "chroot", *other, container, "--", *command]
        return ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *run] if alone else run


def make_base(builder: Builder, name: str) -> None:
    """Make the Debian that the Dockerfile starts from, under the name that it gives it."""
    if builder("images", "--quiet", "--filter", f"reference={name}"):
        return
    release = re.match(r"debian:([a-z]+)", name)
    if release is None:
        sys.exit(f"container-check: the base {name} is no Debian release that mmdebstrap could make")
    archive = builder.place / "base.tar"
    # as in the image that it stands for: no documentation, and packages are not kept once they are installed
    slim = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")]
    slim += [
        '--aptopt=Dir::Cache::pkgcache "";',
        '--aptopt=Dir::Cache::srcpkgcache "";',
        '--aptopt=DPkg::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb || true";};',
    ]
    bootstrap = ["mmdebstrap", "--variant=apt", *slim, release[1], str(archive), str(SOURCES)]
    subprocess.run(bootstrap, check=True)
    container = builder("from", "scratch")
    builder("add", container, str(archive), "/")
    builder("config", "--cmd", "bash", container)
    builder("commit", container, f"docker.io/library/{name}")
    builder("rm", container)


def build(builder: Builder, *, wheels: Path | None) -> Step:
    """Build the target. wheels: a folder that holds torch's file, for where its index cannot be reached."""
    settings = builder.place / "pip.conf"
    found = f"find-links = {wheels}\n" if wheels else ""
    settings.write_text(f"[global]\ncert = /run/trust.crt\ntimeout = 180\n{found}", encoding="utf-8")
    mounts = [f"{settings}:/etc/pip.conf:ro", f"{TRUST}:/run/trust.crt:ro"]
    offline = ["--build-arg", f"TORCH_INDEX=file://{wheels}"] if wheels else []
    mounts += [f"{wheels}:{wheels}:ro"] if wheels else []
    volumes = [argument for mount in mounts for argument in ("--volume", mount)]
    started = time.monotonic()
    options = ["--format", "docker", "--pull=never", "--layers", "--target", "cpu", "--tag", IMAGE]
    builder.build(*options, *volumes, *offline, str(REPOSITORY))
    return Step(
        name="build", passed=True, seconds=time.monotonic() - started, output="every RUN and COPY of the target"
    )


def try_in(
    builder: Builder, container: str, name: str, *command: str, expect: int = 0, user: str | None = None
) -> Step:
    """Run a command in the image, as its user or another."""
    started = time.monotonic()
    inside = builder.inside(container, *command, user=user)
    done = subprocess.run(inside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    output = done.stdout.strip().splitlines()
    # buildah adds its own words on a command that ended with another code than 0
    own = ("subprocess exited", "error running", "Error: ")
    said = next((line for line in reversed(output) if not line.startswith(own)), "")
    passed = expect == (done.returncode if done.returncode in {0, expect} else -1)
    return Step(name=name, passed=passed, seconds=time.monotonic() - started, output=said)


def try_service(builder: Builder, container: str, *, command: Sequence[str], check: Sequence[str]) -> Step:
    """Start what the image starts, ask its health check until it says yes, and stop it by SIGTERM."""
    program = (
        f"{' '.join(command)} & server=$!; "
        f"for try in $(seq 120); do {' '.join(check)} && break; kill -0 $server || exit 3; sleep 1; done 2>/dev/null; "
        f"{' '.join(check)} || exit 4; kill -TERM $server; wait $server; echo healthy, then stopped with code $?"
    )
    return try_in(
        builder, container, f"`{' '.join(command)}` until `{' '.join(check)}`, then SIGTERM", "sh", "-c", program
    )


def layers(builder: Builder) -> list[tuple[str, int]]:
    """What made each layer of the image, and its size in bytes, uncompressed, lowest first."""
    archive = builder.place / "image.tar"
    builder("push", "--quiet", IMAGE, f"docker-archive:{archive}")
    with tarfile.open(archive) as tar:
        sizes = {member.name: member.size for member in tar.getmembers()}
        names = json.load(tar.extractfile("manifest.json"))[0]  # type: ignore[arg-type]  # a file, not a folder
        config = json.load(tar.extractfile(names["Config"]))  # type: ignore[arg-type]
    archive.unlink()
    copied = iter(re.findall(r"^COPY .*", (REPOSITORY / "Dockerfile").read_text().split(" AS cpu\n")[1], re.MULTILINE))
    made = [
        entry["created_by"].removeprefix("/bin/sh -c ") for entry in config["history"] if not entry.get("empty_layer")
    ]
    made = [next(copied) if text.startswith("#(nop) COPY") else text for text in made]
    made[0] = "the base"
    return [(text, sizes[layer]) for text, layer in zip(made, names["Layers"], strict=True)]


def describe(steps: Sequence[Step], parts: Sequence[tuple[str, int]]) -> str:
    """The result as Markdown."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    day = dt.datetime.now(tz=dt.UTC).date()
    lines = [f"{day}, commit {commit.stdout.strip()}, {os.cpu_count()} CPUs, by `make container-check`:", ""]
    lines += ["| ran | result | seconds | last line |", "|---|---|---:|---|"]
    lines += [
        f"| {s.name} | {'passed' if s.passed else '**failed**'} | {s.seconds:.0f} | {s.output[:90].replace('|', ' ')} |"
        for s in steps
    ]
    lines += ["", "| layer | MB, uncompressed |", "|---|---:|"]
    lines += [f"| `{' '.join(text.split())[:80].replace('|', ' ')}` | {size / 1e6:.1f} |" for text, size in parts]
    lines += [f"| all | {sum(size for _, size in parts) / 1e6:.0f} |"]
    return "\n".join(lines)


def main() -> None:
    """Build, run, write down; exit code 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", type=Path, default=PLACE, help="Where images are kept from check to check.")
    parser.add_argument("--wheels", type=Path, help="A folder with torch's wheel, where its index cannot be reached.")
    parser.add_argument("--without-service", action="store_true", help="Try neither the service nor the demo.")
    parser.add_argument("--record", action="store_true", help="Write the result into docs/guide/container.md.")
    arguments = parser.parse_args()
    missing = [name for name in PACKAGES.split() if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        sys.exit(f"container-check: needs root and `apt-get install {PACKAGES}`")
    arguments.place.mkdir(parents=True, exist_ok=True)
    builder = Builder(arguments.place)
    base = re.search(r"^ARG BASE=(\S+)", (REPOSITORY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert base is not None
    make_base(builder, base[1])
    steps = [build(builder, wheels=arguments.wheels)]
    steps += run_all(builder, with_service=not arguments.without_service)
    text = describe(steps, layers(builder))
    print(text)
    if arguments.record:
        record(text)
    sys.exit(not all(step.passed for step in steps))


def run_all(builder: Builder, *, with_service: bool) -> list[Step]:
    """Every program of the image; `train` makes the model that the service then serves."""
    config = json.loads(builder("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    hyperparameters = builder.place / "hyperparameters.json"
    hyperparameters.write_text(json.dumps(SMALL_JOB), encoding="utf-8")
    container = builder("from", "--pull=never", IMAGE)
    try:
        builder("copy", "--chown", "latexify", container, str(hyperparameters), "/opt/ml/input/config/")
        steps = [
            try_in(builder, container, "`id -un`: not root", "sh", "-c", 'id -un; test "$(id -u)" -ne 0'),
            try_in(builder, container, "write into the code: refused", "touch", "/opt/latexify/app/x", expect=1),
            try_in(builder, container, "`latexify recipe`", "latexify", "recipe"),
            try_in(builder, container, "`healthy` without a service: exit code 1", "healthy", expect=1),
            try_in(builder, container, "`train`: 60 inks, 2 steps, all stages", "train"),
            try_in(
                builder, container, "what it left", "sh", "-c", "cd /opt/ml && ls -d model/*.safetensors */*/*.json"
            ),
        ]
        first = "tar -xf /tmp/latexify/data/source/test.tar -C /tmp && set -- $(find /tmp -name '*.inkml' | sort)"
        read = f'{first} && latexify recognize --model /opt/ml/model "$1"'
        steps.append(try_in(builder, container, "`latexify recognize` of an ink, by that model", "sh", "-c", read))
        # who trains on a machine is seldom the user of the service that mounts the model
        name = "the same as another user, without capabilities"
        steps.append(try_in(builder, container, name, "sh", "-c", as_stranger(read), user=OTHER_USER))
        if with_service:
            check = config["Healthcheck"]["Test"][1:]
            steps.append(try_service(builder, container, command=config["Cmd"], check=check))
            steps.append(try_service(builder, container, command=["demo"], check=DEMO_HEALTH))
    finally:
        builder("rm", container)
    return steps


def as_stranger(command: str) -> str:
    """A command of the shell for a user who owns nothing: files that another one has unpacked are not its own."""
    return f"mkdir /tmp/other && cd /tmp/other && {command.replace('-C /tmp', '-C .').replace('find /tmp', 'find .')}"


def record(text: str) -> None:
    """Put the result between its marks in docs/guide/container.md."""
    path = REPOSITORY / "docs/guide/container.md"
    before, rest = path.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    path.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
