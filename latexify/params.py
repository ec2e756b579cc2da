"""The schema of ``params.yaml``, and the one place that reads it.

All mistakes are reported together, before any work.
"""

import difflib
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from latexify.common.errors import LatexifyError, one_line
from latexify.common.section import Section
from latexify.eval.config import PredictParams, ReportParams, ScoreParams
from latexify.pipeline.config import ComposedParams, DatasetParams, IngestParams, RasterizeParams, VocabParams
from latexify.trainer.config import ModelParams, TrainParams


class Params(DatasetParams):
    """All of ``params.yaml``. A section left out takes its defaults."""

    composed: ComposedParams = ComposedParams()
    ingest: IngestParams = IngestParams()
    vocab: VocabParams = VocabParams()
    rasterize: RasterizeParams = RasterizeParams()
    model: ModelParams = ModelParams()
    train: TrainParams = TrainParams()
    predict: PredictParams = PredictParams()
    score: ScoreParams = ScoreParams()
    report: ReportParams = ReportParams()

    @model_validator(mode="after")
    def _check_combinations(self) -> "Params":
        problems = list(_combination_problems(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _combination_problems(params: Params) -> list[str]:
    problems = []
    if params.vocab.tokenizer == "base" and params.model.base == "scratch":
        problems.append("vocab.tokenizer: `base` needs a base model, but model.base is `scratch`: use `latex`")
    if params.synthetic.min_tokens > params.synthetic.max_tokens:
        problems.append("synthetic.min_tokens: larger than synthetic.max_tokens")
    if params.composed.min_tokens > params.composed.max_tokens:
        problems.append("composed.min_tokens: larger than composed.max_tokens")
    if params.composed.num_inks and not any(params.composed.label_mix.model_dump().values()):
        problems.append("composed.label_mix: all are 0, so there is nothing to write")
    canvas = params.rasterize
    if canvas.variants > 1 and canvas.variation == canvas.stroke_dropout == 0:
        problems.append("rasterize.variants: would all be alike without rasterize.variation or stroke_dropout")
    if 2 * canvas.margin_px + canvas.widest_pen_px >= min(canvas.height_px, canvas.width_px):
        problems.append("rasterize.margin_px: two margins and the pen leave no room on the canvas")
    if params.train.warmup_steps > params.train.max_steps:
        problems.append("train.warmup_steps: larger than train.max_steps")
    if params.model.base == "scratch" and (params.train.freeze or params.train.layerwise_lr_decay < 1):
        problems.append(
            "train.freeze, train.layerwise_lr_decay: of no use to a model that starts from nothing (model.base)"
        )
    if params.inkml.valid_fraction + params.inkml.test_fraction >= 1:
        problems.append("inkml.valid_fraction: with inkml.test_fraction leaves nothing to train on")
    return problems


def load_params(path: Path) -> Params:
    """Read and validate ``params.yaml``. Raises LatexifyError that names every mistake at once."""
    return check_params(read_yaml(path), path=path)


def read_yaml(path: Path) -> dict[str, Any]:
    """The sections of a file, not yet validated (YAML 1.2, by the parser that DVC uses, so ``5e-5`` is a number)."""
    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LatexifyError(
            f"{path} not found: run latexify in the project's folder, or name it with --params"
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise LatexifyError(f"{path} is not valid YAML: {one_line(error)}") from None
    if not isinstance(raw, dict | None):
        raise LatexifyError(f"{path} must hold sections (`name: value`), found {type(raw).__name__}")
    return raw or {}


def check_params(raw: dict[str, Any], *, path: Path) -> Params:
    """Validate what was read from `path`. Raises LatexifyError that names every mistake at once."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        problems = [line for item in error.errors() for line in _describe(item)]
        raise LatexifyError(f"{path}: {len(problems)} mistake(s)\n" + "\n".join(f"  {p}" for p in problems)) from None


def _describe(item: Any) -> list[str]:
    """One line for each mistake, with the nearest valid name for a misspelt one."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        guess = difflib.get_close_matches(str(item["loc"][-1]), _names_beside(item["loc"]), n=1, cutoff=0.5)
        hint = f", did you mean `{guess[0]}`?" if guess else f"; known: {', '.join(_names_beside(item['loc']))}"
        return [f"{where}: unknown parameter{hint}"]
    if not where:
        return str(item["ctx"]["error"]).splitlines()
    return [f"{where}: {item['msg'][0].lower()}{item['msg'][1:]}, found {item['input']!r}"]


def _names_beside(location: tuple[Any, ...]) -> list[str]:
    """Names of the parameters that are allowed where the unknown one was found."""
    model: type[Section] = Params
    for part in location[:-1]:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, Section)
        model = annotation
    return list(model.model_fields)
