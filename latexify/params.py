"""The schema of ``params.yaml``, and its reader, which reports all mistakes together."""

import difflib
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from latexify.common.errors import LatexifyError, one_line
from latexify.common.renamed import replace_old_names
from latexify.common.section import Section
from latexify.eval.config import PredictParams, ReportParams, ScoreParams
from latexify.pipeline.config import ComposedParams, DatasetParams, IngestParams, RasterizeParams, VocabParams
from latexify.trainer.config import ModelParams, TrainParams


class Params(DatasetParams):
    """All of ``params.yaml``; the defaults are those of the committed file.

    Two defaults depend on other parameters: a model from scratch freezes nothing, since its parts are untrained, and
    where `datasets` names several, `dataset` is null.
    """

    composed: ComposedParams = ComposedParams()
    ingest: IngestParams = IngestParams()
    vocab: VocabParams = VocabParams()
    rasterize: RasterizeParams = RasterizeParams()
    model: ModelParams = ModelParams()
    train: TrainParams = TrainParams()
    predict: PredictParams = PredictParams()
    score: ScoreParams = ScoreParams()
    report: ReportParams = ReportParams()

    @model_validator(mode="before")
    @classmethod
    def _name_no_dataset_beside_several(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("datasets") and "dataset" not in raw:
            return {**raw, "dataset": None}
        return raw

    @model_validator(mode="before")
    @classmethod
    def _freeze_nothing_from_scratch(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        model, train = raw.get("model"), raw.get("train", {})
        is_scratch = isinstance(model, dict) and model.get("base") == "scratch"
        if is_scratch and isinstance(train, dict) and "freeze" not in train:
            return {**raw, "train": {**train, "freeze": []}}
        return raw

    @model_validator(mode="after")
    def _check_combinations(self) -> "Params":
        problems = _combination_problems(self)
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _combination_problems(params: Params) -> list[str]:  # noqa: C901, PLR0912  # a list of independent checks
    canvas, problems, sections = params.rasterize, _dataset_problems(params), params.sections
    if params.vocab.tokenizer != "latex" and params.model.base == "scratch":
        problems.append(
            f"vocab.tokenizer: `{params.vocab.tokenizer}` needs a base model, but model.base is `scratch`: use `latex`"
        )
    if params.synthetic.min_tokens > params.synthetic.max_tokens:
        problems.append("synthetic.min_tokens: larger than synthetic.max_tokens")
    if params.composed.min_tokens > params.composed.max_tokens:
        problems.append("composed.min_tokens: larger than composed.max_tokens")
    if params.composed.num_inks and not any(params.composed.label_mix.model_dump().values()):
        problems.append("composed.label_mix: all are 0, so no label can be chosen")
    if canvas.variants > 1 and canvas.variation == canvas.stroke_dropout == 0:
        problems.append("rasterize.variants: all variants are equal without rasterize.variation or stroke_dropout")
    if 2 * canvas.margin_px + canvas.widest_pen_px >= min(canvas.height_px, canvas.width_px):
        problems.append("rasterize.margin_px: two margins and the pen leave no room on the canvas")
    if canvas.width_step_px is not None and canvas.width_px % canvas.width_step_px:
        problems.append("rasterize.width_step_px: does not divide rasterize.width_px")
    if canvas.height_step_px is not None and canvas.height_px % canvas.height_step_px:
        problems.append("rasterize.height_step_px: does not divide rasterize.height_px")
    if params.train.warmup_steps > params.train.max_steps:
        problems.append("train.warmup_steps: larger than train.max_steps")
    if params.model.base == "scratch" and (params.train.freeze or params.train.layerwise_lr_decay < 1):
        problems.append(
            "train.freeze, train.layerwise_lr_decay: need a base model, but model.base is `scratch`: "
            "set freeze to [] and layerwise_lr_decay to 1"
        )
    for name in ("inkml", "images"):
        section = getattr(params, name)
        if section.valid_fraction + section.test_fraction >= 1:
            problems.append(f"{name}.valid_fraction: with {name}.test_fraction leaves nothing to train on")
    if list(sections) == ["images"] and not params.images.trace and canvas.variants > 1:
        problems.append(
            "rasterize.variants: pictures that are not traced have none: set it to 1, or images.trace to true"
        )
    if list(sections) == ["images"] and params.composed.num_inks:
        problems.append("composed.num_inks: inks are composed of inks, and `dataset: images` has none: set it to 0")
    return problems


def _dataset_problems(params: Params) -> list[str]:
    """Check that one dataset is named, or several, each once."""
    names = [item.name for item in params.datasets]
    if params.dataset is None and not names:
        return ["dataset: name one, or several in datasets"]
    problems = [f"datasets: names `{name}` twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if names and params.dataset is not None and set(names) != {params.dataset}:
        problems.append(
            f"dataset: names `{params.dataset}`, and datasets names {', '.join(f'`{name}`' for name in names)}: "
            "set dataset to null, or datasets to []"
        )
    return problems


def load_params(path: Path) -> Params:
    """Read and validate ``params.yaml``. Raises LatexifyError that lists all mistakes."""
    return check_params(read_yaml(path), path=path)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the sections of a file without validating them. Raises LatexifyError if it is not valid YAML."""
    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))  # DVC's parser: `5e-5` is a number
    except FileNotFoundError:
        problem = "run latexify in the project's folder, or name the file with --params"
        raise LatexifyError(f"{path} not found: {problem}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise LatexifyError(f"{path} is not valid YAML: {one_line(error)}") from None
    if not isinstance(raw, dict | None):
        raise LatexifyError(f"{path} must hold sections (`name: value`), not a {type(raw).__name__}")
    return raw or {}


def check_params(raw: dict[str, Any], *, path: Path) -> Params:
    """Validate parameters that were read from `path`. Raises LatexifyError that lists all mistakes."""
    current, problems = replace_old_names(raw)
    try:
        params = Params.model_validate(current if problems else raw)
    except ValidationError as error:
        problems += [line for item in error.errors() for line in _describe(item)]
    else:
        if not problems:
            return params
    raise LatexifyError(f"{path}: {len(problems)} mistake(s)\n" + "\n".join(f"  {line}" for line in problems))


def _describe(item: Any) -> list[str]:
    """Describe one mistake, with the nearest valid name for an unknown one; a line per failed combination."""
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        known = _sibling_names(item["loc"])
        guess = difflib.get_close_matches(str(item["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f", did you mean `{guess[0]}`?" if guess else f"; known: {', '.join(known)}"
        return [f"{name}: unknown parameter{hint}"]
    if not name:
        return str(item["ctx"]["error"]).splitlines()
    return [f"{name}: {item['msg'][0].lower()}{item['msg'][1:]}, found {item['input']!r}"]


def _sibling_names(location: tuple[Any, ...]) -> list[str]:
    """Return the names of the parameters that are allowed at this location."""
    model: type[Section] = Params
    for part in (part for part in location[:-1] if isinstance(part, str)):
        annotation = model.model_fields[part].annotation
        if get_origin(annotation) is list:
            [annotation] = get_args(annotation)
        assert isinstance(annotation, type)
        assert issubclass(annotation, Section)
        model = annotation
    return list(model.model_fields)
