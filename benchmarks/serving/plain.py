"""The baseline: a typical server for a model, with one call of `generate` for each request.

It loads the same model folder with transformers alone, and draws alike, so that only the serving differs. FastAPI runs
the handler in its thread pool. A lock allows one `generate` at a time, since several would share the same cores.
"""

import argparse
import threading
from pathlib import Path
from typing import Annotated

import torch
import uvicorn
from fastapi import Body, FastAPI
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel

from latexify.serve.recognizer import MAX_TOKENS, Recognizer


def make_plain_app(model: Path) -> FastAPI:
    """Make a server with POST /recognize (`{"strokes": …}`, as in the service) and GET /ready."""
    canvas = Recognizer(model, device="cpu")
    network = VisionEncoderDecoderModel.from_pretrained(model).eval()
    processor = AutoImageProcessor.from_pretrained(model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    lock = threading.Lock()
    app = FastAPI()

    @app.post("/recognize")
    def recognize(strokes: Annotated[list[list[list[float]]], Body(embed=True)]) -> dict[str, str]:
        picture = Image.fromarray(canvas.draw(strokes)).convert("RGB")
        pixels = processor(picture, return_tensors="pt").pixel_values
        with lock, torch.inference_mode():
            ids = network.generate(pixels, max_length=MAX_TOKENS, num_beams=1)
        return {"latex": tokenizer.batch_decode(ids, skip_special_tokens=True)[0]}

    @app.get("/ready")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    uvicorn.run(make_plain_app(arguments.model), port=arguments.port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
