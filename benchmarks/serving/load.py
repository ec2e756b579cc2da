"""Clients that ask again as soon as they are answered: latencies, throughput, errors.

    python -m benchmarks.serving.load --model data/model --seconds 60

The service and the plain server (`benchmarks.serving.plain`) take turns, each a process of its own, with the same inks
and clients. The clients are plain sockets in one process, so that they leave the cores to the servers.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.inks import choose, synthetic_inks
from benchmarks.machine import describe
from benchmarks.serving.processes import Server, started
from pipeline.inkml import parse_inkml

WARMING_S = 2.0
NUM_INKS = 200


@dataclass(kw_only=True)
class Load:
    """What clients saw. latencies_s: of all answers with status 200. num_errors: all else."""

    num_clients: int
    elapsed_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    num_errors: int = 0

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.elapsed_s

    def percentile_ms(self, percent: int) -> float:
        """Latency that so many percent of the answers do not exceed."""
        return 1000 * statistics.quantiles(self.latencies_s, n=100, method="inclusive")[percent - 1]


def bodies(num_inks: int) -> list[bytes]:
    """Inks as JSON strokes."""
    with tempfile.TemporaryDirectory() as folder:
        inks = choose(synthetic_inks(num_inks, folder=Path(folder)), num_inks=num_inks)
    parsed = [parse_inkml(ink.data, max_file_bytes=10**6, max_points=10**5).strokes for ink in inks]
    return [json.dumps({"strokes": [stroke.tolist() for stroke in strokes]}).encode() for strokes in parsed]


async def load(
    server: Server, inks: list[bytes], *, num_clients: int, seconds: float, warming_s: float = WARMING_S
) -> Load:
    """Ask for so long, after a warm-up that does not count."""
    found = Load(num_clients=num_clients)
    begin_s = time.perf_counter() + warming_s
    end_s = begin_s + seconds
    await asyncio.gather(*(_client(server, inks[i:] + inks[:i], found, begin_s, end_s) for i in range(num_clients)))
    found.elapsed_s = seconds
    return found


async def _client(server: Server, inks: Sequence[bytes], found: Load, begin_s: float, end_s: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    number = 0
    while (started_s := time.perf_counter()) < end_s:
        body = inks[number % len(inks)]
        number += 1
        status = await ask(reader, writer, body)
        ended_s = time.perf_counter()
        if begin_s <= ended_s < end_s:
            if status == 200:
                found.latencies_s.append(ended_s - started_s)
            else:
                found.num_errors += 1
    writer.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    """POST JSON on a connection that stays open; the status."""
    head = (
        f"POST /recognize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return int(answer.split(b" ", 2)[1])


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--threads", type=int, default=1, help="Of torch, in both servers.")
    parser.add_argument("--without-plain", action="store_true")
    arguments = parser.parse_args()
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
                seen = asyncio.run(load(server, inks, num_clients=num_clients, seconds=arguments.seconds))
                print(
                    f"| {name} | {num_clients} | {seen.per_second:.1f} | {seen.percentile_ms(50):.0f} | "
                    f"{seen.percentile_ms(95):.0f} | {len(seen.latencies_s)} | {seen.num_errors} | "
                    f"{server.memory_mib:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
