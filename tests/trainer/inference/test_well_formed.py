"""The constraint of a model folder: from its tokenizer, its grammar, and the symbols that a user wants."""

import json
import lzma
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.studies.wellformed import flaw_of
from latexify.artifacts.names import GRAMMAR_NAME
from latexify.common.errors import LatexifyError
from latexify.pipeline.grammar.allowances import Allowances, learn_grammar, read_grammar, write_grammar
from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.vocab.tokenizer import build_latex_tokenizer
from latexify.serve.recognizer import Recognizer
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.well_formed import Vocabulary, constraint_for, read_vocabulary
from tests.support.labels import crohme_labels
from tests.support.reading_models import export_folder, make_loaded, random_pictures

EMPTY_ARGUMENTS = Allowances(names=frozenset({"empty argument"}))
LABELS = [r"ox\\l1", r"\frac{}{2}", "x^2^3", r"\begin{array}{r@{}l}a&b\end{array}", r"\begin{cases}\\a\end{cases}"]
LABELS += [r"\begin{matrix}\end{matrix}", r"\text{5%}", r"\sqrt[3]{x}+\alpha", r"\boxed{a\\b}", "a&b"]


def sentence(constraint: Constraint, ids: list[int], *, end_id: int) -> bool:
    """Whether a search under the constraint can return these tokens, with no room to spare."""
    stack = constraint.start
    for number, token_id in enumerate([*ids, end_id]):
        if constraint.table[constraint.case_of(stack, len(ids) + 1 - number), token_id] < 0:
            return False
        stack = constraint.after(stack, token_id)
    return stack is None


def refused_by_constraint(labels: list[str]) -> tuple[list[str], list[str]]:
    """The labels that the constraint of these training labels forbids, and those that learning the grammar refused."""
    words = sorted({token for label in labels for token in tokenize(label)} - {" "})
    tokenizer = build_latex_tokenizer(words)
    learnt = learn_grammar(labels, vocabulary=words)
    vocabulary = Vocabulary(
        tokenizer=tokenizer.backend_tokenizer.to_str(),
        num_ids=len(tokenizer),
        end_id=tokenizer.eos_token_id,
        allowances=learnt.allowances,
    )
    constraint = vocabulary.constraint()
    assert constraint is not None
    encoded = tokenizer(labels, add_special_tokens=False)["input_ids"]
    end_id = vocabulary.end_id
    forbidden = [
        label for label, ids in zip(labels, encoded, strict=True) if not sentence(constraint, ids, end_id=end_id)
    ]
    return forbidden, learnt.refused


def test_a_search_can_return_every_label_of_the_training() -> None:
    """The tables of the search, not only the grammar, must allow them, also where the length limit leaves no room."""
    labels = [normalize(label) for label in LABELS]
    assert refused_by_constraint(labels) == ([], [])
    assert refused_by_constraint([*labels, "a}"]) == (["a}"], ["a}"])


@pytest.mark.real
def test_a_search_can_return_every_label_of_real_data(real_data: Path) -> None:
    """Over CROHME's training inks, and formulas of Wikipedia, only labels without a partner or argument are refused."""
    with lzma.open(real_data / "labels" / "wikipedia-formulas.txt.xz", "rt", encoding="utf-8") as lines:
        wikipedia = {normalize(line) for line in islice(lines, 6000)}
    crohme = {normalize(label) for label in crohme_labels(real_data)}
    for labels in (crohme, wikipedia):
        forbidden, refused = refused_by_constraint(sorted(labels))
        assert forbidden == refused
        assert len(refused) <= 3


def test_the_vocabulary_of_a_model_folder(tmp_path: Path) -> None:
    """Tokens that are pieces of text cannot be constrained: no constraint, or an error if one was asked for."""
    folder = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    constraint = constraint_for(folder)
    assert constraint is not None
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert constraint.table.shape[1] == config["decoder"]["vocab_size"]
    pictures = list(random_pictures(9).numpy())
    answers = Recognizer(folder, device="cpu", constrained=True).read(pictures, num_beams=2)
    assert [flaw_of(answer.latex) for answer in answers] == [""] * 9
    free = Recognizer(folder, device="cpu", constrained=False).read(pictures)
    assert any(flaw_of(answer.latex) for answer in free)

    path = folder / "tokenizer.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    words = {**whole["model"]["vocab"], "fra": 99}
    path.write_text(json.dumps({**whole, "model": {**whole["model"], "vocab": words}}), encoding="utf-8")
    assert constraint_for(folder) is None
    with pytest.raises(LatexifyError, match="pieces of text"):
        Recognizer(folder, device="cpu", constrained=True)
    path.write_text(json.dumps({"model": {"type": "WordLevel"}}), encoding="utf-8")
    with pytest.raises(LatexifyError, match="no usable vocabulary"):
        constraint_for(folder)


def test_the_grammar_travels_with_the_model(tmp_path: Path) -> None:
    """Whoever copies, exports or publishes the folder must not lose it; an older folder has the strict grammar."""
    loaded = make_loaded("hybrid", tmp_path)
    strict = export_folder(loaded, tmp_path / "strict")
    assert not (strict / GRAMMAR_NAME).exists()
    wide = export_folder(replace(loaded, allowances=EMPTY_ARGUMENTS), tmp_path / "wide")
    assert read_grammar(wide) == EMPTY_ARGUMENTS
    words = json.loads((wide / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    ids = [words[token] for token in ("\\frac", "{", "}", "{", "2", "}")]
    for folder, expected in ((strict, False), (wide, True)):
        constraint = constraint_for(folder)
        assert constraint is not None
        assert sentence(constraint, ids, end_id=words["</s>"]) == expected
    # training again into the folder, without a grammar
    assert not (export_folder(loaded, wide) / GRAMMAR_NAME).exists()


def test_a_damaged_grammar_is_one_line(tmp_path: Path) -> None:
    """To ignore it would forbid right answers in silence."""
    folder = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    (folder / GRAMMAR_NAME).write_text('{"version": 9}', encoding="utf-8")
    with pytest.raises(LatexifyError, match=r"grammar.json cannot be used .*: run `latexify train` again"):
        constraint_for(folder)


def test_tables_are_made_once(tmp_path: Path) -> None:
    """Those of a large vocabulary take a second; every validation and every request asks for them."""
    folder = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    assert constraint_for(folder) is constraint_for(folder)
    vocabulary = read_vocabulary(folder)
    assert vocabulary is not None
    assert vocabulary.constraint(only="x y") is vocabulary.constraint(only="x y")
    write_grammar(folder, EMPTY_ARGUMENTS)
    assert constraint_for(folder) is not vocabulary.constraint()


@pytest.mark.parametrize("num_beams", [1, 3])
def test_only_the_chosen_symbols_are_written(tmp_path: Path, num_beams: int) -> None:
    """Who writes digits alone gets no letters, whatever the model prefers."""
    recognizer = Recognizer(export_folder(make_loaded("small-handwritten", tmp_path), tmp_path / "model"), device="cpu")
    pictures = list(random_pictures(9).numpy())
    everything = [answer.latex for answer in recognizer.read(pictures, num_beams=num_beams)]
    assert any("+" in latex or "y" in latex for latex in everything)
    limited = [answer.latex for answer in recognizer.read(pictures, num_beams=num_beams, only="digits x")]
    assert any(limited)
    assert all(set(latex) <= set("2x") for latex in limited)
    assert [answer.latex for answer in recognizer.read(pictures, num_beams=num_beams)] == everything


def test_symbols_that_the_model_does_not_know_are_named(tmp_path: Path) -> None:
    """One line, before anything is read."""
    folder = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    picture = np.full((16, 64), 255, np.uint8)
    with pytest.raises(LatexifyError, match=r"cannot write \\fract \(nearest: \\frac\)"):
        Recognizer(folder, device="cpu").read([picture], only=r"digits \fract")
    with pytest.raises(LatexifyError, match="constrained to well-formed LaTeX"):
        Recognizer(folder, device="cpu", constrained=False).read([picture], only="digits")
