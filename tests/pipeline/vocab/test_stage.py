"""Stage vocab: tokenizers that work without this project, and what they lose."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.artifacts import names
from latexify.artifacts.manifest import read_manifest, write_manifest
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import VocabParams
from latexify.pipeline.grammar.allowances import Allowances, read_grammar
from latexify.pipeline.latex import join_tokens, normalize, tokenize
from latexify.pipeline.vocab.encoder import read_encoder
from latexify.pipeline.vocab.stage import run
from latexify.pipeline.vocab.tokenizer import build_latex_tokenizer, encode_labels, load_tokenizer
from tests.support.vocab import EVALUATION, TRAIN, run_on, run_vocab, write_inks


def test_what_labels_need_of_the_grammar_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels of two lines, or with blanks, are trained on: without this, no answer could be like them."""
    out, metrics = run_on([r"ox\\l1", r"\frac{}{2}", "x"], tmp_path)
    grammar = read_grammar(out)
    assert grammar is not None
    assert grammar.names == {"cells at top level", "empty argument"}
    assert metrics["grammar"] == {"allowances": ["cells at top level", "empty argument"], "num_refused": 0}
    assert "warning" not in capsys.readouterr().err


def test_labels_that_cannot_be_written_are_counted_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user must learn it before the training, not from a score."""
    out, metrics = run_on(["a", r"\frac{a", "a}", "a}", "b"], tmp_path)
    assert metrics["grammar"] == {"allowances": [], "num_refused": 2}
    assert read_manifest(out, names.TOKENIZER).content["grammar"]["refused"] == [r"\frac{a", "a}"]
    warning = capsys.readouterr().err
    assert "warning: constrained search cannot write 2 of the distinct training labels, such as" in warning
    assert "'a}'" in warning


def test_a_tokenizer_made_anew_keeps_nothing_of_the_last(tmp_path: Path) -> None:
    """The grammar is that of the labels at hand."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    out, _ = run_on(["a", r"a\\b"], tmp_path / "a")
    inks = write_inks(tmp_path / "b/inks", {"train": ["a", "b"]})
    run(VocabParams(), base="scratch", inks=inks, out=out, metrics=tmp_path / "m.json")
    assert read_grammar(out) == Allowances()


def test_tokenizer_loads_where_this_project_is_not_installed(tmp_path: Path) -> None:
    """Users who download a model must be able to use it without our code."""
    out, _ = run_vocab(tmp_path)
    script = (
        "import json, sys\n"
        "from transformers import AutoTokenizer\n"
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "ids = [tokenizer(label).input_ids for label in sys.argv[2:]]\n"
        "assert 'pipeline' not in sys.modules\n"
        "print(json.dumps([ids, [tokenizer.decode(i, skip_special_tokens=True) for i in ids],"
        " tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(out), *TRAIN], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    ids, decoded, *special = json.loads(done.stdout)
    assert decoded == TRAIN
    assert special == [0, 1, 2, 3]
    ours = [list(map(int, i)) for i in encode_labels(load_tokenizer(out), TRAIN)]
    assert ids == ours
    assert all(i[-1] == 2 and min(i[:-1]) > 3 for i in ids)
    assert read_encoder(out).encode(TRAIN).to_pylist() == ours


TOKENS = [*"abxyzLR012+-=()[]{}<>/|^_&'*.,~", "é", r"\alpha", r"\beta", r"\a", r"\{", r"\\", r"\$", r"\mathbb{R}"]
TOKENS += [r"\begin{matrix}", r"\end{matrix}", r"\operatorname*", r"\frac", r"\%"]
TOKENIZER = build_latex_tokenizer(TOKENS)


@given(st.lists(st.sampled_from(TOKENS), max_size=20))
def test_every_row_of_known_tokens_survives(tokens: list[str]) -> None:
    r"""A wrong space would turn ``\alpha b`` into ``\alphab``, or a right prediction into a wrong one."""
    text = join_tokens(tokens)
    ids = TOKENIZER(text).input_ids
    assert TOKENIZER.convert_ids_to_tokens(ids[:-1]) == [token for token in tokenize(text) if token != " "]
    assert TOKENIZER.decode(ids, skip_special_tokens=True) == text


@given(st.text(alphabet=r"ab1{}^_\'<s>/ ", max_size=30).map(normalize))
def test_normalised_labels_survive(label: str) -> None:
    """The model could never write such a label correctly."""
    tokenizer = build_latex_tokenizer(sorted({*tokenize(label)} - {" "}))
    assert tokenizer.decode(tokenizer(label).input_ids, skip_special_tokens=True) == label


@pytest.mark.parametrize("label", ["<s>", "</s>", "<pad>", "<unk>", "a</s>b"])
def test_text_of_special_tokens_is_text(label: str) -> None:
    """A label that holds `</s>` would end there, and the model would learn to stop."""
    tokenizer = build_latex_tokenizer("abdknpsu<>/")
    ids = tokenizer(label).input_ids
    assert min(ids[:-1]) > 3
    assert tokenizer.decode(ids, skip_special_tokens=True) == label


def test_losses_are_counted_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A vocabulary with holes would look like a bad model."""
    out, metrics = run_vocab(tmp_path)
    splits = metrics["splits"]
    assert splits["train"]["num_unknown"] == splits["train"]["num_edits"] == 0
    assert splits["train"]["num_labels"] == len(TRAIN)
    assert splits["train"]["num_tokens"] == sum(len(i) for i in encode_labels(load_tokenizer(out), TRAIN))
    assert splits["test"]["num_unknown"] == 3
    assert splits["test"]["num_edits"] == len("_{}") + len("/") + len(r"\beta ")
    assert splits["test"]["round_trip_cer"] == splits["test"]["num_edits"] / sum(map(len, EVALUATION))
    content = read_manifest(out, names.TOKENIZER).content
    assert content["unknown"]["test"] == {"/": 1, r"\beta": 1, "_": 1}
    assert "warning: the tokenizer loses" in (told := capsys.readouterr().err)
    assert "test labels" in told
    assert "train labels" not in told
    assert json.loads((tmp_path / "metrics/vocab.json").read_text()) == metrics


def test_rare_tokens_become_unknown(tmp_path: Path) -> None:
    """`vocab.min_count` would do nothing."""
    out, metrics = run_vocab(tmp_path, min_count=2)
    assert metrics["splits"]["train"]["num_unknown"] > 0
    assert r"\mathbb{R}" not in load_tokenizer(out).get_vocab()


def test_same_labels_give_the_same_bytes(tmp_path: Path) -> None:
    """DVC would see a change where there is none, and train again."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = run_vocab(tmp_path / "one")[0], run_vocab(tmp_path / "two")[0]
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in two.iterdir())
    assert all(path.read_bytes() == (two / path.name).read_bytes() for path in one.iterdir())


@pytest.mark.parametrize("damage", ["lost", "cut off", "without facts"])
def test_an_incomplete_tokenizer_folder_is_refused(tmp_path: Path, damage: str) -> None:
    """A partly copied tokenizer must not end in a traceback."""
    out, _ = run_vocab(tmp_path)
    path = out / "tokenizer.json"
    if damage == "lost":
        path.unlink()
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[:100])
    else:
        write_manifest(out, replace(read_manifest(out, names.TOKENIZER), content={}))
    with pytest.raises(LatexifyError, match=r"does not hold a complete tokenizer .*: run `latexify vocab` again"):
        read_encoder(out)


def test_inks_must_be_there(tmp_path: Path) -> None:
    """An empty vocabulary must not be written silently."""
    with pytest.raises(LatexifyError, match="run `latexify ingest` first"):
        run(VocabParams(), base="scratch", inks=tmp_path, out=tmp_path / "out", metrics=tmp_path / "m.json")


def test_without_training_labels_the_others_make_the_tokenizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Test inks alone can be drawn and evaluated; nothing can be trained with this tokenizer."""
    inks = write_inks(tmp_path / "inks", {"test": ["x", "x+y"], "valid": ["z"]})
    result = run(VocabParams(), base="scratch", inks=inks, out=tmp_path / "out", metrics=tmp_path / "m.json")
    assert result["size"] == 4 + len("x+yz")
    assert "there are no training labels" in capsys.readouterr().err


def test_a_new_tokenizer_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    """AutoTokenizer would read leftovers of a base tokenizer with the new files."""
    out, _ = run_vocab(tmp_path)
    (out / "merges.txt").write_text("left over")
    run(VocabParams(), base="scratch", inks=tmp_path / "inks", out=out, metrics=tmp_path / "m.json")
    assert not (out / "merges.txt").exists()
