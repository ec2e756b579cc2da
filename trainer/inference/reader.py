"""A trained model as the recogniser and the judge use it: pictures in, token ids and text out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer

from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import CONFIG_NAME, EXPORT_ONNX, GEOMETRY_NAME, MODEL, TOKENIZER_NAME, WEIGHTS_NAME
from latexify.common.errors import LatexifyError
from latexify.trainer.inference.backend import Engine, TokenDecoder
from latexify.trainer.inference.beams import beam_search
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.decoder import StepDecoder
from latexify.trainer.inference.encoder import make_encoder
from latexify.trainer.inference.onnx.backend import open_graphs
from latexify.trainer.inference.search import Hypothesis, Search, greedy_search
from latexify.trainer.model.canvas import Geometry

ONNX_CONTENT = "onnx"
"""In the manifest of a folder with graphs for onnxruntime: the size of each of their files, in bytes, by name."""

ENCODED_AT_ONCE = 8
"""Pictures that a CPU encodes at a time: more of them do not stay in its caches, and each takes half as long again."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads pictures.

    encode: pictures, uint8 [batch, height, width], to what `decoder.start` takes, floating [batch, ...], on `device`.
    """

    encode: Callable[[torch.Tensor], torch.Tensor]
    decoder: TokenDecoder[Any]
    device: torch.device
    start_id: int
    end_id: int

    @torch.inference_mode()
    def read(  # noqa: PLR0913  # all but the pictures are named
        self,
        pixels: torch.Tensor,
        *,
        max_tokens: int,
        num_beams: int = 1,
        num_best: int = 1,
        stop_loops: bool = True,
        constraint: Constraint | None = None,
    ) -> list[list[Hypothesis]]:
        """The `num_best` best readings of each picture, best first; greedy search knows one.

        pixels: uint8 [batch, height, width], ink 0, paper 255. max_tokens: the end token counts; cut to what the
        decoder has positions for. constraint: only its sentences are answers. Neighbours in a batch do not change an
        answer.
        """
        search = Search(
            start_id=self.start_id,
            end_id=self.end_id,
            max_tokens=min(max_tokens, self.decoder.max_positions - 1),  # the start token takes the first position
            num_beams=num_beams,
            num_best=min(num_best, num_beams),
            stop_loops=stop_loops,
            constraint=constraint,
        )
        find = greedy_search if num_beams == 1 else beam_search
        at_once = ENCODED_AT_ONCE if self.device.type == "cpu" else len(pixels)
        parts = [self.encode(pixels[start : start + at_once]) for start in range(0, len(pixels), at_once)]
        return find(self.decoder, torch.cat(parts), search)


@dataclass(frozen=True, kw_only=True)
class TrainedReader:
    """A reader with all that belongs to it. texts: token ids to text. manifest: of the model folder."""

    reader: Reader
    texts: Callable[[Sequence[list[int]]], list[str]]
    geometry: Geometry
    manifest: Manifest


def choose_engine(folder: Path, engine: Engine | None = None) -> Engine:
    """The engine that is to read the model in `folder`: the one named, or torch where the folder has weights for it.

    Raises LatexifyError where it is no model folder, or does not hold what that engine reads.
    """
    manifest = read_manifest(folder, MODEL)
    has_weights = any(folder.glob("*.safetensors"))
    if engine is None:
        engine = "torch" if has_weights or ONNX_CONTENT not in manifest.content else "onnx"
    if engine == "onnx" and ONNX_CONTENT not in manifest.content:
        raise LatexifyError(
            f"{folder} holds no graphs for onnxruntime: run `latexify export-onnx --model {folder}`, "
            "and name the folder that it writes by --model"
        )
    if engine == "torch" and not has_weights and ONNX_CONTENT in manifest.content:
        raise LatexifyError(f"{folder} holds graphs for onnxruntime only: leave out --engine torch")
    return engine


def open_reader(
    folder: Path, *, device: torch.device, engine: Engine | None = None, packed: bool = True
) -> TrainedReader:
    """Load a trained model from the folder that the train stage or `latexify export-onnx` wrote, to read in float32.

    Most models need nothing of transformers, whose import takes longer than reading a page; others are read by it.
    engine: see :func:`choose_engine`. packed: see :func:`make_encoder`.
    Raises LatexifyError where the folder is missing, incomplete or damaged, or the engine cannot read it.
    """
    engine = choose_engine(folder, engine)
    manifest = read_manifest(folder, MODEL)
    producer = EXPORT_ONNX if engine == "onnx" else MODEL.producer
    try:
        geometry = Geometry.from_params(json.loads((folder / GEOMETRY_NAME).read_text(encoding="utf-8")))
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        if engine == "onnx":
            reader: Reader | None = _read_graphs(folder, config, manifest.content[ONNX_CONTENT], device=device)
        else:
            reader = _read_weights(folder, config, device=device, packed=packed)
        texts = _texts_of(folder) if reader is not None else None
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise LatexifyError(f"{folder} holds no whole model ({_first_line(error)}): run `{producer}` again") from None
    if reader is None or texts is None:
        return _by_transformers(folder, device=device, geometry=geometry, manifest=manifest)
    return TrainedReader(reader=reader, texts=texts, geometry=geometry, manifest=manifest)


def _read_graphs(
    folder: Path, config: Mapping[str, Any], num_bytes: Mapping[str, int], *, device: torch.device
) -> Reader:
    """num_bytes: of each file, as it was written; onnxruntime reads some files that were cut short."""
    for name, size in num_bytes.items():
        found = (folder / name).stat().st_size
        if found != size:
            raise ValueError(f"{name} has {found:,} bytes, not {size:,}")
    encode, decoder = open_graphs(folder, config, device=device)
    return Reader(
        encode=encode,
        decoder=decoder,
        start_id=config["decoder_start_token_id"],
        end_id=config["eos_token_id"],
        device=torch.device("cpu"),  # where the engine's results are
    )


def _read_weights(folder: Path, config: Mapping[str, Any], *, device: torch.device, packed: bool) -> Reader | None:
    """None where transformers must read it: another encoder, or files that are laid out in another way."""
    if not ((folder / WEIGHTS_NAME).is_file() and (folder / TOKENIZER_NAME).is_file()):
        return None
    weights = {name: weight.float() for name, weight in load_file(folder / WEIGHTS_NAME, device=str(device)).items()}
    if "enc_to_dec_proj.weight" in weights:
        return None
    encoder = make_encoder(config["encoder"], _below(weights, "encoder."), packed=packed)
    if encoder is None:
        return None

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        return encoder(grey_of(pixels.to(device, non_blocking=True))[:, None])

    return Reader(
        encode=encode,
        decoder=StepDecoder(config["decoder"], _below(weights, "decoder.")),
        start_id=config["decoder_start_token_id"],
        end_id=config["eos_token_id"],
        device=device,
    )


def _below(weights: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}


def grey_of(pixels: torch.Tensor) -> torch.Tensor:
    """From uint8 (ink 0, paper 255) to float32 (ink -1, paper +1), as TrOCR's image processor does it."""
    return pixels.float().div_(127.5).sub_(1)  # in place: it is most of the cost


def _texts_of(folder: Path) -> Callable[[Sequence[list[int]]], list[str]]:
    text = (folder / TOKENIZER_NAME).read_text(encoding="utf-8")
    json.loads(text)  # tokenizers says of a damaged file what nothing narrower than `Exception` catches
    tokenizer = Tokenizer.from_str(text)

    def texts(sequences: Sequence[list[int]]) -> list[str]:
        return tokenizer.decode_batch(list(sequences), skip_special_tokens=True)

    return texts


def _by_transformers(folder: Path, *, device: torch.device, geometry: Geometry, manifest: Manifest) -> TrainedReader:
    from latexify.trainer.inference.transformers_reader import reader_of  # noqa: PLC0415  # takes seconds, and few models need it
    from latexify.trainer.model.model import load_model  # noqa: PLC0415

    loaded = load_model(folder)
    loaded.model.to(device)
    return TrainedReader(reader=reader_of(loaded), texts=loaded.texts, geometry=geometry, manifest=manifest)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(". ")
