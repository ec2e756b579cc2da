"""Evaluate a model on inks that it has not seen: the baseline's evaluation and this project's, the same model, in turn.

The baseline's, as described: InkML is parsed point by point and drawn when its turn comes, goes through Hugging Face's
image processor, in batches of 8 in the order of the files, and is read by `generate`, greedily; then the character
error rate of all. It is granted that it draws as this project does, which takes less time than its own drawing: so both
read the same pictures with the same weights, and their answers can be compared.

Ours: the stage `predict`, from shards, and the same rate of what it wrote. Both begin with loading the model. Answers
that go round in circles, which a model has the fewer of the longer it was trained, cost the baseline more: it waits for
their last token.
"""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.baselines.baseline import BATCH, parse_ink
from benchmarks.bench.cores import Pools
from benchmarks.bench.measured import Job, Measured, Target, ratios, take_turns
from benchmarks.bench.stages import timed
from benchmarks.studies.exam import Amount, Exam, geometry_of, prepare
from latexify.artifacts.names import PREDICTIONS_NAME
from latexify.eval.config import PredictParams
from latexify.eval.metrics.edits import count_edits
from latexify.eval.predict import stage as predict
from latexify.pipeline.drawing.draw import Canvas, draw_ink

MAX_TOKENS = 256
AT_LEAST = 3.0


class Inks(Dataset[torch.Tensor]):
    """Items: pixels float32 [3, height, width], drawn when they are asked for."""

    def __init__(self, files: Sequence[Path], *, canvas: Canvas, processor: Any) -> None:
        self._files, self._canvas, self._processor = files, canvas, processor

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> torch.Tensor:
        strokes, _ = parse_ink(self._files[number].read_bytes())
        picture = Image.fromarray(draw_ink([np.array(stroke, np.float32) for stroke in strokes], self._canvas))
        pixels: torch.Tensor = self._processor(picture.convert("RGB"), return_tensors="pt").pixel_values[0]
        return pixels


def time_baseline(exam: Exam, *, workers: int, answers: Path) -> dict[str, float]:
    """Inks per second, and the character error rate in percent. answers: a JSON file of texts by key."""
    # where the other is timed, they need not be
    from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel  # noqa: PLC0415

    started = time.perf_counter()
    model = VisionEncoderDecoderModel.from_pretrained(exam.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(exam.model)
    canvas = Canvas(**geometry_of(exam.model).to_dict())
    inks = Inks(exam.files, canvas=canvas, processor=AutoImageProcessor.from_pretrained(exam.model))
    texts: list[str] = []
    with torch.inference_mode():
        for pixels in DataLoader(inks, batch_size=BATCH, num_workers=workers):
            ids = model.generate(pixels, max_length=MAX_TOKENS, num_beams=1, do_sample=False)
            texts += tokenizer.batch_decode(ids, skip_special_tokens=True)
    cer = _error_rate(exam.references, texts)
    elapsed_s = time.perf_counter() - started
    answers.write_text(json.dumps(dict(zip(exam.keys, texts, strict=True))), encoding="utf-8")
    return {"inks": len(texts) / elapsed_s, "cer": 100 * cer}


def time_ours(exam: Exam, *, out: Path) -> dict[str, float]:
    """The same for this project. out: the folder that the stage writes."""
    # one position is the start token's; `generate` writes what it likes
    params = PredictParams(max_new_tokens=MAX_TOKENS - 1, constrained=False)

    def work() -> float:
        predict.run(params, model=exam.model, shards=exam.shards, out=out, device="cpu")
        table = pq.read_table(out / PREDICTIONS_NAME, columns=["reference", "prediction"])
        return _error_rate(table["reference"].to_pylist(), table["prediction"].to_pylist())

    cer, elapsed_s = timed(work)
    return {"inks": len(exam.files) / elapsed_s, "cer": 100 * cer}


def _error_rate(references: Sequence[str], texts: Sequence[str]) -> float:
    edits = count_edits(references, texts)
    return float(edits.char_errors.sum() / edits.num_chars.sum())


def run(
    folder: Path, *, raw: Path | None, inks: str, amount: Amount, pools: Pools
) -> tuple[list[Measured], list[Target]]:
    """Both evaluations, in turn, on all cores. inks: their name in the tables."""
    exam = pools.ours.submit(prepare, folder, raw=raw, amount=amount, jobs=pools.cores).result()
    answers, out = folder / "answers.json", folder / "predictions"
    few = replace(exam, files=exam.files[:BATCH], keys=exam.keys[:BATCH], references=exam.references[:BATCH])
    theirs = {"exam": exam, "workers": pools.cores, "answers": answers}
    jobs = {
        "baseline": Job(pool=pools.theirs, call=time_baseline, arguments=theirs, warm={"exam": few}),
        "latexify": Job(pool=pools.ours, call=time_ours, arguments={"exam": exam, "out": out}),
    }
    times = take_turns(jobs, repeats=amount.repeats, title=f"evaluation {inks}")
    rows = [
        (f"{who}: {what}", unit, found[key])
        for who, found in times.items()
        for key, what, unit in (("inks", "recognised and scored", "inks/s"), ("cer", "character error rate", "%"))
    ]
    rows.append(("inks that both recognise alike", "%", [100 * _share_alike(answers, out / PREDICTIONS_NAME)]))
    measured = [
        Measured(part="evaluation", name=name, inks=inks, cores=pools.cores, unit=unit, values=values)
        for name, unit, values in rows
    ]
    speed_up = statistics.median(ratios(times["latexify"]["inks"], times["baseline"]["inks"]))
    name = f"evaluation of {len(exam.files):,} inks against the baseline's"
    return measured, [Target(name=name, value=speed_up, limit=AT_LEAST, unit="x", at_least=True, inks=inks)]


def _share_alike(answers: Path, predictions: Path) -> float:
    """How many of the inks both have read the same text from."""
    theirs = json.loads(answers.read_text(encoding="utf-8"))
    table = pq.read_table(predictions, columns=["key", "prediction_raw"])
    pairs = zip(table["key"].to_pylist(), table["prediction_raw"].to_pylist(), strict=True)
    num_alike = sum(theirs[key] == text for key, text in pairs)
    return float(num_alike / len(theirs))
