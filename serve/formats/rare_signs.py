"""Rare signs of LaTeX that stand for themselves in MathML and in Typst."""

# ruff: noqa: RUF001  # signs that resemble others


def _table(text: str) -> dict[str, str]:
    """Read pairs of a LaTeX command without backslash and its sign."""
    words = text.split()
    return {"\\" + name: sign for name, sign in zip(words[::2], words[1::2], strict=True)}


RARE_SIGNS = _table("""
    circledast ⊛ leftrightarrows ⇆ triangleq ≜ varpropto ∝ rightrightarrows ⇉ multimap ⊸ backepsilon ϶ bigtriangledown ▽
    nsubseteq ⊈ thicksim ∼ vartriangleleft ⊲ P ¶ S § amalg ⨿ approxeq ≊ blacktriangleright ▶ divideontimes ⋇ dotplus ∔
    eqslantless ⪕ gtreqless ⋛ gtreqqless ⪌ gtrless ≷ iiiint ⨌ lesseqgtr ⋚ lesseqqgtr ⪋ lessgtr ≶ lll ⋘ mho ℧
    nRightarrow ⇏ nshortparallel ∦ rightarrowtail ↣ shortparallel ∥ smallfrown ⌢ trianglelefteq ⊴
    Bbbk 𝕜 Finv Ⅎ circledS Ⓢ eqslantgtr ⪖ eth ð gneq ⪈ gneqq ≩ gvertneqq ≩ lessdot ⋖ ncong ≇ smallsmile ⌣ supseteqq ⫆
    supsetneqq ⫌ varsupsetneqq ⫌
""") | {
    "\\nleqslant": "⩽\u0338",
    "\\ngeqslant": "⩾\u0338",
    "\\ngeqq": "≧\u0338",
    "\\nsupseteqq": "⫆\u0338",
}
"""By command."""
