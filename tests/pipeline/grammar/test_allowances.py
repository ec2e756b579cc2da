"""The grammar writes every label that it learnt from, and permits no more than these labels need."""

import lzma
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.studies.wellformed import flaw_of
from latexify.artifacts.names import GRAMMAR_NAME
from latexify.common.errors import LatexifyError
from latexify.pipeline.grammar.allowances import (
    Allowances,
    LearntGrammar,
    kinds_of,
    learn_grammar,
    read_grammar,
    write_grammar,
)
from latexify.pipeline.grammar.extras import ALLOWANCES
from latexify.pipeline.grammar.kinds import END, kind_of
from latexify.pipeline.grammar.latex import grammar_of, owners_of
from latexify.pipeline.grammar.token_grammar import derive
from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.latex.parser import MAX_DEPTH
from tests.support.labels import crohme_labels

NEEDS = [
    (r"ox\\l1", {"cells at top level"}),
    (r"a&b\newline c", {"cells at top level"}),
    (r"\\a\cr", {"cells at top level"}),
    (r"x{a\\b}", {"cells in groups"}),
    (r"\boxed{a\\b}", {"cells in arguments"}),
    (r"\sqrt[a&b]{x}", {"cells in options"}),
    (r"\frac{}{2}", {"empty argument"}),
    (r"\underline{\ \ }", {"empty argument"}),
    (r"\dot{}", {"empty argument"}),
    (r"\xrightarrow[+g]{}", {"empty argument"}),
    (r"x^2^3", {"double scripts"}),
    (r"x_1_2^3^4", {"double scripts"}),
    (r"\begin{array}{r@{}l}a&b\end{array}", {"any columns"}),
    (r"\begin{array}{*{3}{c}}a&b&c\end{array}", {"any columns"}),
    (r"\begin{array}{||}a\end{array}", {"any columns"}),
    (r"\begin{matrix}\\a\end{matrix}", {"empty first row"}),
    (r"\begin{cases}\end{cases}", {"empty environment"}),
    (r"\text{5% & more}", {"signs in text"}),
    (r"\text{a\alpha b}", {"commands in text"}),
    (r"\text{a\emph{b}c d}", {"commands in text"}),
    (r"a\over b\over c", {"infix commands"}),
    (r"\sqrt[\begin{matrix}a\end{matrix}]{x}", {"environment in option"}),
    (r"x_{1}^{2}\frac{\sqrt[3]{a}}{b}\text{ if }\begin{matrix}a&b\\c&d\end{matrix}", set()),
    ("", set()),
]
"""Labels as they are found, and what the strict grammar lacks to write them."""

PIECES = (
    *(
        "a",
        "1",
        "+",
        "l",
        "|",
        "*",
        "[",
        "]",
        "%",
        "&",
        "\\\\",
        "\\alpha",
        "\\foo",
        "\\mathbb{R}",
        "'",
        "<",
        "\xd7",
        "\\cr",
    ),
    *("\\over ", "\\rm ", "\\left(", "\\right)", "\\,", "$", "~", "{}", "\\{", "\\hline ", "é"),
)
WRAPPERS = (
    *("{%s}", "\\frac{%s}{b}", "\\frac a{%s}", "\\sqrt{%s}", "\\sqrt[%s]{x}", "\\boxed{%s}", "x^{%s}", "x_{%s}^{2}"),
    *(
        "x^{2}^{%s}",
        "\\text{%s}",
        "\\textbf{%s}",
        "\\begin{matrix}%s\\end{matrix}",
        "\\begin{aligned}a&%s\\\\b\\end{aligned}",
    ),
    *("\\begin{array}{r@{}l|}%s\\end{array}", "\\begin{array}{cc}%s\\end{array}", "\\begin{cases}\\\\%s\\end{cases}"),
    *("\\mathrm{%s}", "\\overset{%s}{=}", "\\left(%s\\right.", "{%s\\choose 2}", "\\substack{%s}", "\\foo{%s}{c}"),
)
FORMULAS = st.recursive(
    st.lists(st.sampled_from(PIECES), max_size=4).map("".join),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(WRAPPERS), inner).map(lambda pair: pair[0].replace("%s", pair[1])),
        st.lists(inner, max_size=3).map("".join),
    ),
    max_leaves=12,
)
"""Texts whose braces, environments and arguments are complete, but which may be strange in every other way."""


def learn(*labels: str) -> LearntGrammar:
    """Learn from normalised labels, with the vocabulary of these labels."""
    return learn_grammar(labels, vocabulary={token for label in labels for token in tokenize(label)} - {" "})


def writes(allowances: Allowances, label: str) -> bool:
    """Whether the grammar with these allowances writes a normalised label."""
    kinds = {token: kind_of(token) for token in tokenize(label)}
    present = [*sorted(set(kinds.values())), END]
    return derive(grammar_of(present, allowances=allowances.names), kinds_of(label, kinds)) is not None


@pytest.mark.parametrize(("text", "needed"), NEEDS)
def test_what_a_label_needs(text: str, needed: set[str]) -> None:
    """More would let the model write what no label has; less would forbid right answers."""
    label = normalize(text)
    learnt = learn(label)
    assert learnt.allowances.names == needed
    assert not learnt.refused
    assert writes(learnt.allowances, label)
    assert writes(Allowances(), label) == (not needed)


def test_each_allowance_has_an_example() -> None:
    """An allowance that no label can need is a mistake in the grammar. `~` outside text has no normal form."""
    assert set().union(*(needed for _, needed in NEEDS)) == ALLOWANCES - {"spaces"}
    assert learn("a~b").allowances.names == {"spaces"}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(FORMULAS, min_size=1, max_size=3))
def test_every_label_that_was_learnt_from_is_written(texts: list[str]) -> None:
    """A label that is trained on and then forbidden makes the model fail in silence."""
    labels = [normalize(text) for text in texts]
    learnt = learn(*labels)
    for label in labels:
        assert writes(learnt.allowances, label) == (label not in learnt.refused)
        if flaw_of(label) == "" and label.isascii():
            assert label not in learnt.refused
    assert set(learnt.refused) <= {label for label in labels if not _is_complete(label)}


def _is_complete(label: str) -> bool:
    """Whether nothing lacks its partner, its argument or its content."""
    flaw = flaw_of(label)
    allowed = {"", "double scripts", "an empty argument", "empty environment", "a command in text", "an infix command"}
    return flaw in allowed | {"a cell outside an environment"} and "\\over" not in label


def test_a_label_that_needs_nothing_changes_nothing() -> None:
    """The grammar of well-formed labels is the strict one."""
    learnt = learn("x^{2}+1", "\\begin{matrix}a&b\\\\c&d\\end{matrix}")
    assert learnt.allowances == Allowances()


@pytest.mark.parametrize("text", [r"\frac{a", "x^", "a}", "{a", r"\begin{a}x", r"x\end{b}", r"a_&b", r"\hat"])
def test_broken_labels_are_refused(text: str) -> None:
    """They are counted and listed, since no grammar should teach a model to write them."""
    label = normalize(text)
    assert learn("a", label, "b").refused == [label]


def test_tokens_that_are_not_in_the_vocabulary_are_refused() -> None:
    """With `vocab.min_count`, rare tokens become the unknown token, which no answer has."""
    learnt = learn_grammar(["a+b", "a-b"], vocabulary={"a", "b", "+"})
    assert learnt.refused == ["a-b"]


def test_deep_labels_raise_the_limit_of_the_stack() -> None:
    """A label nested as deep as the normal form permits can still be written."""
    depth = MAX_DEPTH - 2
    label = normalize("\\sqrt{" * depth + "a" + "}" * depth)
    learnt = learn(label)
    assert not learnt.refused
    assert learnt.allowances.max_symbols > depth


def test_only_an_allowance_permits_what_it_owns() -> None:
    """What the strict grammar writes must be written in the same way with any allowances."""
    kinds = [
        END,
        "{",
        "}",
        "sign",
        "&",
        "\\\\",
        "[",
        "]",
        "^",
        "_",
        "\\begin{matrix}",
        "\\end{matrix}",
        "text",
        "infix",
    ]
    strict, wide = grammar_of(kinds), grammar_of(kinds, allowances=ALLOWANCES)
    owners = owners_of(kinds)
    for symbol, options in wide.rules.items():
        for kind, replacement in options.items():
            if (symbol, kind) in owners:
                assert kind not in strict.rules.get(symbol, {})
            else:
                assert strict.rules[symbol][kind] == replacement


def test_the_file_keeps_them(tmp_path: Path) -> None:
    """The model folder must have what the tokenizer learnt."""
    allowances = Allowances(names=frozenset({"double scripts", "any columns"}), max_symbols=40)
    write_grammar(tmp_path, allowances)
    assert read_grammar(tmp_path) == allowances
    (tmp_path / GRAMMAR_NAME).unlink()
    assert read_grammar(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"version": 2, "allowances": [], "max_symbols": 32}',
        '{"version": 1, "allowances": ["new ones"], "max_symbols": 32}',
        '{"version": 1, "allowances": []}',
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, content: str) -> None:
    """With an unknown allowance left out, the model could not write some of its labels."""
    (tmp_path / GRAMMAR_NAME).write_text(content, encoding="utf-8")
    with pytest.raises(LatexifyError, match=r"cannot be used \(.*\): run `latexify vocab` again"):
        read_grammar(tmp_path)


@pytest.mark.real
def test_every_label_of_wikipedia_is_written(real_data: Path) -> None:
    """Of 30,000 formulas by people, only those are refused that lack a brace or an argument."""
    with lzma.open(real_data / "labels" / "wikipedia-formulas.txt.xz", "rt", encoding="utf-8") as lines:
        labels = sorted({normalize(line) for number, line in enumerate(lines) if number % 8 == 0})
    learnt = learn(*labels)
    assert len(labels) > 28_000
    assert all(not _is_complete(label) for label in learnt.refused), learnt.refused
    assert len(learnt.refused) < 10


@pytest.mark.real
def test_every_label_of_crohme_is_written(real_data: Path) -> None:
    """The two labels without a closing brace are refused; all others can be written."""
    labels = sorted({normalize(label) for label in crohme_labels(real_data)})
    learnt = learn(*labels)
    assert len(labels) > 4_500
    assert all(not _is_complete(label) for label in learnt.refused), learnt.refused
    assert len(learnt.refused) <= 2


def test_every_documented_form_of_mathwriting_is_written() -> None:
    """The forms that MathWriting's paper and readme describe, and the strange ones found among its labels."""
    forms = (
        *(
            r"x_{1}^{2}",
            r"a^{\prime}",
            r"\dots",
            r"\rightarrow",
            r"sin x",
            r"\le",
            r"(\begin{matrix}1&2\\3&4\end{matrix})",
        ),
        *(r"\frac{1}{2}", r"\sqrt[n]{x}", r"\overline{AB}", r"\mathbb{R}", r"\operatorname*{argmax}_x f", r"{{x}}"),
        *(
            r"\begin{matrix}a\\b\\\end{matrix}",
            r"\ast",
            r"\hat{x}",
            r"\underline{x}",
            r"\binom{n}{k}",
            r"\oint",
            r"\$5",
        ),
        *(r"\begin{cases}a&b\\c&d\end{cases}", r"\%", r"\&", r"\#", r"\_", r"\{x\}", r"\lfloor x\rfloor", r"&7\\ 3&5"),
    )
    labels = [normalize(form) for form in forms]
    assert not learn(*labels).refused


@pytest.mark.parametrize(
    "token", [r"\degree", "\N{RIGHTWARDS DOUBLE ARROW}", "\N{SUPERSCRIPT TWO}", "\N{VULGAR FRACTION ONE HALF}"]
)
def test_signs_of_an_older_normal_form_may_still_be_written(token: str) -> None:
    """A model that was trained on them would never write them again, without a word."""
    assert kind_of(token) in {"sign", "symbol"}
