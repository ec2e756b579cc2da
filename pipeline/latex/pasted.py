r"""Signs that people paste or type on other keyboards, and the LaTeX that draws the same.

``²`` is ``^{2}``, ``⇒`` is ``\Rightarrow``, a full-width plus is ``+``, a double-struck R is ``\mathbb{R}``. A sign
that is not known here stays a token of its own.
"""

# ruff: noqa: RUF001  # signs that resemble others are what this module is about

import unicodedata
from functools import lru_cache

from latexify.pipeline.latex.lexer import tokenize

# Each sign with the name of its command. The first sign of a command is the one that is written for it (`SIGNS`).
_COMMANDS = """
α alpha β beta γ gamma δ delta ε varepsilon ϵ epsilon ζ zeta η eta θ theta ϑ vartheta ι iota κ kappa ϰ varkappa λ lambda
μ mu µ mu ν nu ξ xi π pi ϖ varpi ρ rho ϱ varrho σ sigma ς varsigma τ tau υ upsilon φ varphi ϕ phi χ chi ψ psi ω omega
ϝ digamma Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Υ Upsilon Φ Phi Ψ Psi Ω Omega
× times ÷ div ⋅ cdot · cdot ± pm ∓ mp ∘ circ • bullet ⋆ star ★ bigstar ∖ setminus ≀ wr ⊎ uplus ⊔ sqcup ⊓ sqcap
∪ cup ∩ cap ∧ wedge ∨ vee ⊕ oplus ⊖ ominus ⊗ otimes ⊘ oslash ⊙ odot ⊞ boxplus ⊟ boxminus ⊠ boxtimes ⊡ boxdot
⊻ veebar ⊼ barwedge ⌆ doublebarwedge ⋉ ltimes ⋊ rtimes † dagger ‡ ddagger ◯ bigcirc ⋄ diamond
◁ triangleleft ▷ triangleright △ triangle ▽ triangledown ▵ vartriangle
≤ le ≥ ge ≠ ne ⩽ leqslant ⩾ geqslant ≦ leqq ≧ geqq ≪ ll ≫ gg ≲ lesssim ≳ gtrsim ⪅ lessapprox ⪆ gtrapprox ⪇ lneq ≨ lneqq
≮ nless ≯ ngtr ≰ nleq ≱ ngeq ≡ equiv ≈ approx ∼ sim ∽ backsim ≅ cong ≃ simeq ≍ asymp ≐ doteq ∝ propto
≺ prec ≻ succ ⪯ preceq ⪰ succeq ≼ preccurlyeq ≽ succcurlyeq ≾ precsim ≿ succsim
∈ in ∉ notin ∋ ni ⊂ subset ⊃ supset ⊆ subseteq ⊇ supseteq ⊊ subsetneq ⊋ supsetneq ⊑ sqsubseteq ⊒ sqsupseteq
∣ mid ∤ nmid ∥ parallel ∦ nparallel ⟂ perp ⊥ perp ⊢ vdash ⊣ dashv ⊨ vDash ⊧ models ⊩ Vdash ⋈ bowtie ⋔ pitchfork
∴ therefore ∵ because ⌣ smile ⌢ frown
← leftarrow → rightarrow ↔ leftrightarrow ⇐ Leftarrow ⇒ Rightarrow ⇔ Leftrightarrow ↑ uparrow ↓ downarrow ↕ updownarrow
⇑ Uparrow ⇓ Downarrow ⇕ Updownarrow ⟵ longleftarrow ⟶ longrightarrow ⟷ longleftrightarrow ⟸ Longleftarrow
⟹ Longrightarrow ⟺ Longleftrightarrow ↦ mapsto ⟼ longmapsto ↩ hookleftarrow ↪ hookrightarrow ↗ nearrow ↘ searrow
↙ swarrow ↖ nwarrow ↼ leftharpoonup ↽ leftharpoondown ⇀ rightharpoonup ⇁ rightharpoondown ⇌ rightleftharpoons
⇋ leftrightharpoons ↠ twoheadrightarrow ↞ twoheadleftarrow ↺ circlearrowleft ↻ circlearrowright
↾ upharpoonright ↚ nleftarrow ↛ nrightarrow ↮ nleftrightarrow ⇝ rightsquigarrow
∑ sum ∏ prod ∐ coprod ∫ int ∬ iint ∭ iiint ∮ oint ⋂ bigcap ⋃ bigcup ⋀ bigwedge ⋁ bigvee ⨁ bigoplus ⨂ bigotimes ⨀ bigodot
⨄ biguplus ⨆ bigsqcup
∞ infty ∂ partial ∇ nabla ∀ forall ∃ exists ∄ nexists ∅ emptyset ¬ neg ⊤ top ∠ angle ∡ measuredangle ∢ sphericalangle
ℏ hbar ℓ ell ℘ wp ℵ aleph ℶ beth ℜ Re ℑ Im ı imath ȷ jmath Å AA √ sqrt ♭ flat ♮ natural ♯ sharp ♠ spadesuit
♥ heartsuit ♦ diamondsuit ♣ clubsuit □ Box ◇ Diamond ◊ lozenge ■ blacksquare ∁ complement
⟨ langle 〈 langle ⟩ rangle 〉 rangle ⌈ lceil ⌉ rceil ⌊ lfloor ⌋ rfloor ⌟ lrcorner
… dots ⋯ cdots ⋮ vdots ⋱ ddots
"""

_PAIRS = [(sign, "\\" + name) for sign, name in zip(*[iter(_COMMANDS.split())] * 2, strict=True)]

# Dashes that stand for a minus, primes, degrees (which `prepare` raises), full-width signs whose ASCII would be no sign
# but a command, and Greek letters that look Latin.
_OTHERS = r"""
−=- –=- ‐=- ‑=- ‒=- ′=' ’=' ″='' ‴=''' ‖=\| ∗=* ∕=/ ⁄=/ ∶=: ％=\% ＃=\# ＄=\$ ＆=\& ＿=\_ ｛=\{ ｝=\}
＼=\backslash ～=\sim °=\degree º=\degree ˚=\degree Α=A Β=B Ε=E Ζ=Z Η=H Ι=I Κ=K Μ=M Ν=N Ο=O Ρ=P Τ=T Χ=X ο=o
"""

_STYLES = {
    "BOLD": "\\mathbf",
    "BOLD ITALIC": "\\boldsymbol",
    "ITALIC": "",
    "DOUBLE-STRUCK": "\\mathbb",
    "SCRIPT": "\\mathcal",
    "FRAKTUR": "\\mathfrak",
    "BLACK-LETTER": "\\mathfrak",
    "SANS-SERIF": "\\mathsf",
    "MONOSPACE": "\\mathtt",
}
"""Styles of the mathematical alphabets, as Unicode names them: the font; those that are missing stay as they are."""

SIGNS: dict[str, str] = {command: sign for sign, command in reversed(_PAIRS)}
"""The sign of each command that has one."""


@lru_cache(maxsize=4096)
def spelling(token: str) -> tuple[str, ...] | None:
    r"""Return the LaTeX tokens of a pasted sign that is no script; None if it is none, or not known.

    A degree becomes ``\degree``, which `latexify.pipeline.latex.prepare` raises.
    """
    if len(token) != 1 or token.isascii():
        return None
    character = unicodedata.normalize("NFC", token)  # the signs of ohm and angstrom are letters
    if known := _SPELLINGS.get(character):
        return known
    if "\uff01" <= character <= "\uff5e":  # full-width ASCII, of Chinese and Japanese keyboards
        return (chr(ord(character) - 0xFEE0),)
    kind, _, parts = unicodedata.decomposition(character).partition(" ")
    if kind == "<fraction>":
        above, _, below = unicodedata.normalize("NFKC", character).partition("⁄")
        return ("\\frac", "{", *above, "}", "{", *below, "}") if below else None
    return _letter(character) if kind == "<font>" and " " not in parts else None


def _letter(character: str) -> tuple[str, ...] | None:
    r"""Spell a letter or digit of a mathematical alphabet: a bold x is ``\mathbf{x}``, an italic one ``x``."""
    plain = unicodedata.normalize("NFKC", character)
    inner = (plain,) if plain.isascii() else _SPELLINGS.get(plain)
    name = unicodedata.name(character).removeprefix("MATHEMATICAL ")
    style = name.partition(" CAPITAL")[0].partition(" SMALL")[0].partition(" DIGIT")[0]
    font = "" if name == "PLANCK CONSTANT" else _STYLES.get(style)
    if inner is None or font is None:
        return None
    return (font, "{", *inner, "}") if font else inner


@lru_cache(maxsize=512)
def script(token: str) -> tuple[str, tuple[str, ...]] | None:
    """Return mark and content of a raised or lowered sign (``²``, ``₁``); None if it is neither."""
    if len(token) != 1 or token.isascii():
        return None
    kind, _, codes = unicodedata.decomposition(token).partition(" ")
    mark = {"<super>": "^", "<sub>": "_"}.get(kind)
    if mark is None or " " in codes or token in _SPELLINGS or token == "ª":
        return None
    plain = chr(int(codes, 16))
    content = (plain,) if plain.isascii() else spelling(plain)
    return None if content is None else (mark, content)


_SPELLINGS: dict[str, tuple[str, ...]] = {
    **{sign: (command,) for sign, command in _PAIRS},
    **{pair[0]: tuple(tokenize(pair[2:])) for pair in _OTHERS.split()},
    "℃": ("\\degree", "C"),
    "℉": ("\\degree", "F"),
}
