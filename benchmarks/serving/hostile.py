"""Send thousands of hostile requests while a good client keeps asking.

    python -m benchmarks.serving.hostile --requests 10000

Each kind of attack (`benchmarks.serving.attacks`) has its right statuses. Any other is counted as wrong, and so is a
good request without an answer. Memory is measured after each tenth: a service that leaks memory grows in all of them.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import in_a_line
from benchmarks.serving.attacks import CROSS, KINDS, Attack, Maker
from benchmarks.serving.processes import Server, started

ANSWER_TIMEOUT_S = 60
"""Time for an answer or the end of the connection."""


@dataclass(kw_only=True)
class Outcome:
    """What happened to all requests."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: Counter[tuple[str, int]] = field(default_factory=Counter)
    good_s: list[float] = field(default_factory=list)
    num_good_failed: int = 0


async def send(server: Server, attack: Attack) -> int:
    """Send an attack; return its status, or 0 if the connection was closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            sending = asyncio.ensure_future(_send(writer, attack))
            try:
                answer = await reader.read(2**16)
            finally:
                sending.cancel()
        return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0
    except ConnectionError:
        return 0
    finally:
        writer.close()


async def _send(writer: asyncio.StreamWriter, attack: Attack) -> None:
    try:
        for piece in attack.pieces:
            if not piece:  # the client leaves
                writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(attack.pause_s)
    except ConnectionError:
        return  # the server closed the connection; its answer is read nevertheless


async def besiege(
    server: Server, *, num_requests: int, num_clients: int, seed: int, kinds: Mapping[Maker, int] = KINDS
) -> Outcome:
    """Send attacks, chosen from `kinds` by their weights, and good requests at the same time."""
    outcome = Outcome()
    numbers = iter(range(num_requests))

    async def attacker() -> None:
        for number in numbers:
            rng = random.Random(f"{seed}/{number}")
            attack = rng.choices(list(kinds), list(kinds.values()))[0](rng)
            status = await send(server, attack)
            outcome.statuses[attack.kind, status] += 1
            if status not in attack.statuses:
                outcome.wrong[attack.kind, status] += 1

    good = asyncio.ensure_future(_good_client(server, outcome))
    await asyncio.gather(*(attacker() for _ in range(num_clients)))
    good.cancel()
    await asyncio.wait({good})
    return outcome


async def _good_client(server: Server, outcome: Outcome) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    while True:
        started_s = time.perf_counter()
        if await ask(reader, writer, CROSS) == 200:
            outcome.good_s.append(time.perf_counter() - started_s)
        else:
            outcome.num_good_failed += 1
        await asyncio.sleep(0.05)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    """POST JSON on a connection that stays open; return the status."""
    head = (
        "POST /recognize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return int(answer.split(b" ", 2)[1])


def main() -> None:
    """Attack and print tables in Markdown; exit with 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="Model folder. Default: as latexify serve.")
    parser.add_argument("--workers", type=int, default=1, help="Models that read at the same time.")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=32)
    arguments = parser.parse_args()
    print(f"{in_a_line()}\n")
    options = ["--workers", str(arguments.workers), *(["--model", str(arguments.model)] if arguments.model else [])]
    with started(["latexify", "serve", *options], num_models=arguments.workers) as server:
        outcomes, memory_mib = [], []
        for tenth in range(10):
            outcomes.append(
                asyncio.run(
                    besiege(
                        server, num_requests=arguments.requests // 10, num_clients=arguments.clients, seed=1 + tenth
                    )
                )
            )
            memory_mib.append(server.memory_mib)
        peak_mib = server.peak_mib
    sys.exit(_print_results(outcomes, memory_mib, peak_mib))


def _print_results(outcomes: list[Outcome], memory_mib: list[float], peak_mib: float) -> bool:
    """Print the results; return whether anything was wrong."""
    statuses = sum((outcome.statuses for outcome in outcomes), Counter())
    wrong = sum((outcome.wrong for outcome in outcomes), Counter())
    good_s = sorted(seconds for outcome in outcomes for seconds in outcome.good_s)
    num_failed = sum(outcome.num_good_failed for outcome in outcomes)
    print("| attack | requests | statuses (0: connection closed) | wrong |\n|---|---:|---|---:|")
    for kind in sorted({kind for kind, _ in statuses}):
        mine = {status: count for (name, status), count in sorted(statuses.items()) if name == kind}
        counts = ", ".join(f"{status}: {count}" for status, count in mine.items())
        bad = sum(count for (name, _), count in wrong.items() if name == kind)
        print(f"| {kind} | {sum(mine.values())} | {counts} | {bad} |")
    median_ms, p95_ms = (1000 * good_s[len(good_s) * percent // 100] for percent in (50, 95))
    print(
        f"\n{len(good_s)} good requests meanwhile, {num_failed} failed; median {median_ms:.0f} ms, p95 {p95_ms:.0f} ms."
    )
    print(f"Memory after each tenth, MiB: {', '.join(f'{mib:.0f}' for mib in memory_mib)}; peak {peak_mib:.0f}.")
    return bool(wrong) or bool(num_failed)


if __name__ == "__main__":
    main()
