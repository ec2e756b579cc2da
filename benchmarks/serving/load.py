"""Measure latency, throughput and errors with clients (wrk) that send a request after each answer.

    python -m benchmarks.serving.load --model data/model --seconds 60

wrk is a load generator (`apt-get install wrk`). The service and the plain server (`benchmarks.serving.plain`) are
measured one after the other, in processes of their own, with the same inks and clients.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench.inks import choose, synthetic_inks
from benchmarks.machine import describe
from benchmarks.serving.processes import Server, started
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
    """

    elapsed_s: float
    num_answers: int
    num_refused: int
    num_broken: int
    p50_ms: float
    p95_ms: float

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
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # as above
    return Load(**json.loads(done.stderr.splitlines()[-1]))


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--threads", type=int, default=1, help="Of torch, in both servers.")
    parser.add_argument("--without-plain", action="store_true")
    arguments = parser.parse_args()
    if shutil.which(WRK) is None:
        sys.exit("load: wrk is missing: apt-get install wrk")
    inks = bodies(NUM_INKS)
    options = ["--model", str(arguments.model), "--threads", str(arguments.threads)]
    servers = {"latexify serve": ["latexify", "serve", *options]}
    if not arguments.without_plain:
        servers["plain"] = ["benchmarks.serving.plain", *options]
    machine = describe()
    print(
        f"{machine['date']}, commit {machine['commit']}, {machine['cpus']} CPUs ({machine['cpu']}), {arguments.model}\n"
    )
    print("| server | clients | requests/s | p50, ms | p95, ms | answers | errors | memory, MiB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, command in servers.items():
        with started(command) as server:
            for num_clients in arguments.clients:
                result = load(server, inks, num_clients=num_clients, seconds=arguments.seconds)
                print(
                    f"| {name} | {num_clients} | {result.per_second:.1f} | {result.p50_ms:.0f} | "
                    f"{result.p95_ms:.0f} | {result.num_answers} | {result.num_errors} | "
                    f"{server.memory_mib:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
