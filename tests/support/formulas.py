r"""Random whole formulas in the normal form, of what models write and of what labels hold besides."""

from hypothesis import strategies as st

from latexify.pipeline.latex import normalize

_SIGNS = r"""
    a b d x y 0 1 2 + - = < > ( ) [ ] | , . ! / : \{ \} \| \alpha \pi \le \ne \rightarrow \times \cdot \infty \int
    \sum \sin \lim \prime \dots \langle \rangle \in * \cup \partial
"""


def _rows(cells: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.lists(cells, min_size=1, max_size=2).map("&".join), min_size=1, max_size=3).map(r"\\".join)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    row = st.lists(inner, min_size=1, max_size=4).map(" ".join)
    base = st.sampled_from([*"abx)]|", r"\sum", r"\int", r"\alpha", r"\lim"]) | row.map("{{{}}}".format)
    return st.one_of(
        row,
        st.tuples(row, row).map(lambda parts: rf"\frac{{{parts[0]}}}{{{parts[1]}}}"),
        row.map(r"\sqrt{{{}}}".format),
        st.tuples(row, row).map(lambda parts: rf"\sqrt[{{{parts[0]}}}]{{{parts[1]}}}"),
        st.tuples(base, row).map(lambda parts: f"{parts[0]}_{{{parts[1]}}}"),
        st.tuples(base, row).map(lambda parts: f"{parts[0]}^{{{parts[1]}}}"),
        st.tuples(base, row, row).map(lambda parts: f"{parts[0]}_{{{parts[1]}}}^{{{parts[2]}}}"),
        st.tuples(base, st.sampled_from(["'", "''", "'^2", "_1'"])).map("".join),
        st.sampled_from([r"\mathrm{erf}", r"\mathbf{x}", r"\mathbb{R}", r"\text{if so}", r"\hat{x}", r"\overline{ab}"]),
        row.map("({})".format),
        row.map("|{}|".format),
        _rows(row).map(r"\begin{{matrix}}{}\end{{matrix}}".format),
        _rows(row).map(r"(\begin{{matrix}}{}\end{{matrix}})".format),
        _rows(row).map(r"\{{\begin{{matrix}}{}\end{{matrix}}".format),
        _rows(row).map(r"\begin{{aligned}}{}\end{{aligned}}".format),
        _rows(row).map(r"\begin{{cases}}{}\end{{cases}}".format),
    )


FORMULAS = st.recursive(st.sampled_from(_SIGNS.split()), _larger, max_leaves=10).map(normalize).filter(bool)
