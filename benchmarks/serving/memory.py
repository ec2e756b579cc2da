"""Measure the peak memory of the service while clients send what takes most of it: large images and bodies.

    python -m benchmarks.serving.memory

Each attack begins with the peak reset (`/proc/PID/clear_refs`, Linux only).
"""

import argparse
import base64
import io
import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
from PIL import Image, ImageDraw

from benchmarks.machine import describe
from benchmarks.serving.processes import Server, started

TIMEOUT_S = 120


def picture(mode: str, side_px: int, kind: str, **options: object) -> bytes:
    """A cross on white paper as an image file, small in bytes."""
    white, black = (255,) * len(mode), (0,) * (3 if mode != "L" else 1) + (255,) * mode.endswith("A")
    image = Image.new(mode, (side_px, side_px), white if mode != "L" else 255)
    low, high = side_px // 4, 3 * side_px // 4
    draw = ImageDraw.Draw(image)
    for line in ([(low, low), (high, high)], [(high, low), (low, high)]):
        draw.line(line, fill=black if mode != "L" else 0, width=side_px // 60)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def item(image: bytes) -> dict[str, str]:
    """An image as a request in JSON."""
    return {"image": base64.b64encode(image).decode()}


ATTACKS: dict[str, tuple[int, Callable[[], bytes]]] = {
    "12 PNG, RGBA, 49 million pixels": (12, lambda: picture("RGBA", 7000, "PNG")),
    "4 WebP, RGB, 24 million": (4, lambda: picture("RGB", 4900, "WEBP", lossless=True, method=0)),
    "4 TIFF, RGBA, 24 million": (4, lambda: picture("RGBA", 4900, "TIFF", compression="tiff_lzw")),
    "4 progressive JPEG, 4:4:4, 30 million": (
        4,
        lambda: picture("RGB", 5500, "JPEG", progressive=True, subsampling=0),
    ),
    "4 JPEG, 49 million": (4, lambda: picture("RGB", 7000, "JPEG")),
    "16 PNG, RGBA, 10 million": (16, lambda: picture("RGBA", 3100, "PNG")),
    "2 lists of 30 PNG, RGBA, 9 million": (2, lambda: json.dumps([item(picture("RGBA", 3000, "PNG"))] * 30).encode()),
    "40 bodies of 8 MB of base64": (40, lambda: json.dumps(item(os.urandom(5_900_000))).encode()),
}
"""How many bodies are sent at the same time, and what makes one, by name."""


def attack(server: Server, name: str) -> Counter[str]:
    """Send all bodies of an attack at the same time; return the statuses, or the errors of closed connections."""
    count, make = ATTACKS[name]
    body = make()
    content_type = "application/json" if body[:1] in b"[{" else "application/octet-stream"
    statuses: Counter[str] = Counter()

    def send() -> None:
        headers = {"content-type": content_type}
        try:
            answer = httpx2.post(f"{server.url}/recognize", content=body, headers=headers, timeout=TIMEOUT_S)
            statuses[str(answer.status_code)] += 1
        except httpx2.TransportError as error:
            statuses[type(error).__name__] += 1

    threads = [threading.Thread(target=send) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="Model folder. Default: as latexify serve.")
    parser.add_argument("--workers", type=int, default=1, help="Models that read at the same time.")
    arguments = parser.parse_args()
    machine = describe()
    print(f"{machine['date']}, commit {machine['commit']}, {machine['cpus']} CPUs ({machine['cpu']})\n")
    print("| at the same time | statuses | peak, MiB | afterwards, MiB |\n|---|---|---:|---:|")
    options = ["--workers", str(arguments.workers), *(["--model", str(arguments.model)] if arguments.model else [])]
    with started(["latexify", "serve", *options], num_models=arguments.workers) as server:
        print(f"| nothing | | {server.peak_mib:.0f} | {server.memory_mib:.0f} |", flush=True)
        for name in ATTACKS:
            server.reset_peak()
            statuses = attack(server, name)
            seen = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
            print(f"| {name} | {seen} | {server.peak_mib:.0f} | {server.memory_mib:.0f} |", flush=True)


if __name__ == "__main__":
    main()
