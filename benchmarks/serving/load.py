"""Measure latency, throughput and errors with clients (wrk) that send a request after each answer.

    python -m benchmarks.serving.load --seconds 60 --workers 1 2 --against d06e7da d0264c3

wrk is a load generator (`apt-get install wrk`). Servers run in processes of their own: this version with each number of
`--workers`, earlier commits, and with `--plain` a plain server (`benchmarks.serving.plain`). All are started first, and
take turns at each number of clients, so that disturbances hit all; who has no turn takes no time. They get the same
inks. Without `--model`, each version reads by the model that it comes with, which was another one in older commits.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.bench.inks import choose, synthetic_inks
from benchmarks.machine import in_a_line
from benchmarks.serving.processes import Server, checked_out, started
from latexify.common.package_data import MODELS, default_model
from latexify.pipeline.inkml.document import parse_inkml

WRK = "wrk"
SCRIPT = Path(__file__).with_name("post.lua")
WARMING_S = 2
TIMEOUT_S = 30
NUM_INKS = 200


@dataclass(frozen=True, kw_only=True)
class Load:
    """Results of the clients.

    Attributes:
        elapsed_s: Duration.
        num_answers: All answers, including rejections.
        num_refused: Answers with a status of 400 or more.
        num_broken: Connections that failed or timed out.
        p50_ms: Median latency.
        p95_ms: 95th percentile of the latency.
        cpu_s: Seconds of the CPU that the server took.
    """

    elapsed_s: float
    num_answers: int
    num_refused: int
    num_broken: int
    p50_ms: float
    p95_ms: float
    cpu_s: float

    @property
    def num_errors(self) -> int:
        """Requests without a good answer."""
        return self.num_refused + self.num_broken

    @property
    def per_second(self) -> float:
        """Good answers per second."""
        return (self.num_answers - self.num_refused) / self.elapsed_s


def bodies(num_inks: int) -> list[bytes]:
    """Make inks as JSON strokes."""
    with tempfile.TemporaryDirectory() as folder:
        inks = choose(synthetic_inks(num_inks, folder=Path(folder)), num_inks=num_inks)
    parsed = [parse_inkml(ink.data, max_file_bytes=10**6, max_points=10**5).strokes for ink in inks]
    return [json.dumps({"strokes": [stroke.tolist() for stroke in strokes]}).encode() for strokes in parsed]


def load(server: Server, inks: list[bytes], *, num_clients: int, seconds: int, warming_s: int = WARMING_S) -> Load:
    """Send inks (JSON without line breaks) in turn for `seconds`, after a warm-up that does not count."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(b"\n".join(inks) + b"\n")
        file.flush()
        for duration_s in (warming_s, seconds):
            command = [WRK, "--threads", "1", "--connections", str(num_clients), "--duration", f"{duration_s}s"]
            command += ["--timeout", f"{TIMEOUT_S}s", "--script", str(SCRIPT), server.url, "--", file.name]
            before_s = server.cpu_s
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # as above
    return Load(**json.loads(done.stderr.splitlines()[-1]), cpu_s=server.cpu_s - before_s)


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, help="Model folder of all. Default: the one that each version comes with."
    )
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--threads", type=int, default=1, help="Of each model, in all servers.")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="Models that read at the same time.")
    parser.add_argument("--against", nargs="*", default=[], metavar="COMMIT", help="Earlier commits.")
    parser.add_argument("--plain", action="store_true", help="Measure the plain server as well.")
    arguments = parser.parse_args()
    if shutil.which(WRK) is None:
        sys.exit("load: wrk is missing: apt-get install wrk")
    inks = bodies(NUM_INKS)
    print(f"{in_a_line()}, load average {psutil.getloadavg()[0]:.1f}, {arguments.seconds} s\n")
    columns = ["clients", "server", "requests/s", "times the first", "p50, ms", "p95, ms", "answers", "errors"]
    columns += ["CPU, ms an answer", "memory, MiB"]
    print(f"| {' | '.join(columns)} |\n|---:|---|{'---:|' * (len(columns) - 2)}")
    with ExitStack() as stack:
        servers = _start_all(stack, arguments)
        for num_clients in arguments.clients:
            first_per_second = 0.0
            for name, server in servers.items():
                result = load(server, inks, num_clients=num_clients, seconds=arguments.seconds)
                first_per_second = first_per_second or result.per_second
                ratio = result.per_second / first_per_second if first_per_second else float("nan")
                print(
                    f"| {num_clients} | {name} | {result.per_second:.1f} | {ratio:.2f} | "
                    f"{result.p50_ms:.0f} | {result.p95_ms:.0f} | {result.num_answers} | {result.num_errors} | "
                    f"{1000 * result.cpu_s / max(result.num_answers, 1):.0f} | {server.memory_mib:.0f} |",
                    flush=True,
                )


def _start_all(stack: ExitStack, arguments: argparse.Namespace) -> dict[str, Server]:
    """Start all servers until the end of the stack; return them by the names in the table."""

    def options(models: Path = MODELS) -> list[str]:
        model = arguments.model.resolve() if arguments.model else default_model(installed=models)
        return ["--threads", str(arguments.threads), "--model", str(model)]

    servers = {}
    for number in arguments.workers:
        command = ["latexify", "serve", *options(), "--workers", str(number)]
        servers[f"workers {number}"] = stack.enter_context(started(command, num_models=number))
    for commit in arguments.against:
        version = stack.enter_context(checked_out(commit))
        command = ["latexify", "serve", *options(version / "models")]
        servers[commit] = stack.enter_context(started(command, version=version))
    if arguments.plain:
        servers["plain"] = stack.enter_context(started(["benchmarks.serving.plain", *options()]))
    return servers


if __name__ == "__main__":
    main()
