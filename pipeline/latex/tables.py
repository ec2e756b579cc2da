r"""What the normaliser knows about single commands."""


def command_names(text: str) -> frozenset[str]:
    """Read command names, written without their backslash."""
    return frozenset("\\" + word for word in text.split())


def _synonyms(text: str) -> dict[str, tuple[str, ...]]:
    r"""Read ``old=new`` pairs of command names; a `new` of one character, or that is no word, stands for itself."""
    pairs = (pair.split("=", 1) for pair in text.split())
    return {"\\" + old: ("\\" + new if len(new) > 1 and new.isalpha() else new,) for old, new in pairs}


def _unicode(signs: str, names: str) -> dict[str, tuple[str, ...]]:
    return {sign: ("\\" + name,) for sign, name in zip(signs, names.split(), strict=True)}


# Two spellings of one sign, from LaTeX, amsmath, plain TeX and MediaWiki. Signs that only look alike (\epsilon and
# \varepsilon, \bar and \overline, \mid and |) are not here. Sizes and spacing are not meaning (\dfrac, \iff).
_SYNONYMS = _synonyms(r"""
    leq=le geq=ge neq=ne to=rightarrow gets=leftarrow owns=ni land=wedge lor=vee lnot=neg
    iff=Longleftrightarrow implies=Longrightarrow impliedby=Longleftarrow
    lt=< gt=> lbrack=[ rbrack=] lparen=( rparen=) lbrace=\{ rbrace=\} vert=| lvert=| rvert=| Vert=\| lVert=\| rVert=\|
    ast=* colon=: slash=/ ldotp=. cdotp=cdot ldots=dots dotsc=dots dotso=dots hdots=dots dotsb=cdots dotsm=cdots
    dotsi=cdots intop=int sp=^ sb=_ cr=\\ newline=\\ tabularnewline=\\
    dfrac=frac tfrac=frac cfrac=frac dbinom=binom tbinom=binom stackrel=overset
    operatorname=mathrm Bbb=mathbb frak=mathfrak bold=mathbf bm=boldsymbol pmb=boldsymbol
    restriction=upharpoonright square=Box Doteq=doteqdot llless=lll gggtr=ggg dasharrow=dashrightarrow
    infin=infty exist=exists part=partial lang=langle rang=rangle isin=in sub=subset sube=subseteq supe=supseteq
    and=wedge or=vee empty=emptyset bull=bullet sdot=cdot plusmn=pm ang=angle alef=aleph weierp=wp real=Re image=Im
    larr=leftarrow rarr=rightarrow harr=leftrightarrow lrarr=leftrightarrow uarr=uparrow darr=downarrow
    Larr=Leftarrow lArr=Leftarrow Rarr=Rightarrow rArr=Rightarrow Harr=Leftrightarrow hArr=Leftrightarrow
    thetasym=vartheta Dagger=ddagger clubs=clubsuit hearts=heartsuit spades=spadesuit diamonds=diamondsuit
    Alpha=A Beta=B Epsilon=E Zeta=Z Eta=H Iota=I Kappa=K Mu=M Nu=N Omicron=O Rho=P Tau=T Chi=X omicron=o
""")

# Invisible, or only about spacing, size and the place of limits. The commands of the last line act on a group that is
# kept without them.
_DROPPED = (
    command_names("""
    quad qquad enspace enskip thinspace medspace thickspace negthinspace negmedspace negthickspace space nobreakspace
    limits nolimits displaylimits displaystyle textstyle scriptstyle scriptscriptstyle tiny scriptsize footnotesize
    small normalsize large Large LARGE huge Huge strut mathstrut null nonumber notag allowbreak nobreak break
    relax noindent protect boldmath hfill hfil
    mathop mathrel mathbin mathord mathopen mathclose mathpunct mathinner mathnormal ensuremath smash
    vtop vbox vcenter
""")
    | {"\\" + character for character in ",!;:> /-()[]@"}
    | {" ", "~", "\\"}
)

# Blackboard sets and a function of MediaWiki; bare signs that TeX reads otherwise but a label means literally.
_EXPANSIONS = {
    **{"\\" + name: ("\\mathbb", "{", name[0].upper(), "}") for name in ("R", "Z", "N", "Q", "C", "reals", "Complex")},
    "\\sgn": ("\\mathrm", "{", "s", "g", "n", "}"),
    "\\operatorname*": ("\\mathrm",),
    "%": ("\\%",),
    "#": ("\\#",),
}

# The commonest signs that people paste instead of typing a command.
_UNICODE = {
    **_unicode(
        "\xd7\xf7\xb7\xb1∓≤≥≠≈≡∞→∑∏∫∂∇∈∀∃√\u2026",
        """
        times div cdot pm mp le ge ne approx equiv infty rightarrow sum prod int partial nabla in forall exists sqrt
        dots
    """,
    ),
    **_unicode(
        "\u03b1β\u03b3δεζηθκλμ\u03bdξπ\u03c1\u03c3τφχψωΓΔΘΛΞΠΣΦΨΩ",
        """
        alpha beta gamma delta varepsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau varphi chi psi omega
        Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
    """,
    ),
    "\u2212": ("-",),
    "\u2032": ("'",),
    "\u2033": ("'", "'"),
    "\u2019": ("'",),
}

REPLACEMENTS: dict[str, tuple[str, ...]] = {**dict.fromkeys(_DROPPED, ()), **_SYNONYMS, **_EXPANSIONS, **_UNICODE}
r"""What stands for a token, whatever surrounds it. ``\ `` and ``\`` at the end of the text are spaces."""

DROPPED_WITH_ARGUMENT = command_names("hspace vspace phantom hphantom vphantom label color pagecolor rule textcolor")
r"""Dropped together with the group that follows (``\textcolor{red}{x}`` is ``x``)."""

DIMENSION_COMMANDS = command_names("hskip vskip kern mskip mkern raise lower moveleft moveright")
"""Dropped together with the dimension that follows."""

SIZED_DELIMITERS = command_names("""
    left right middle big Big bigg Bigg bigl Bigl biggl Biggl bigr Bigr biggr Biggr bigm Bigm biggm Biggm
""")
r"""Dropped; the delimiter that follows is kept, but for the empty one (``.``)."""

DELIMITERS = {"<": "\\langle", ">": "\\rangle", ".": ""}
"""What a delimiter means after one of `SIZED_DELIMITERS`, where that is not itself."""

OPENING = frozenset(["(", "[", "\\{", "\\langle", "\\lfloor", "\\lceil"])
CLOSING = frozenset([")", "]", "\\}", "\\rangle", "\\rfloor", "\\rceil"])

DROPPED_ENVIRONMENTS = frozenset(["math", "displaymath", "equation"])
PLAIN_ENVIRONMENTS = {
    "smallmatrix": ("", "matrix", ""),
    "array": ("", "matrix", ""),
    "pmatrix": ("(", "matrix", ")"),
    "bmatrix": ("[", "matrix", "]"),
    "Bmatrix": ("\\{", "matrix", "\\}"),
    "vmatrix": ("|", "matrix", "|"),
    "Vmatrix": ("\\|", "matrix", "\\|"),
    "dcases": ("", "cases", ""),
}
"""Opening delimiter, environment and closing delimiter that stand for an environment."""

INFIX = {"\\over": "\\frac", "\\choose": "\\binom", "\\atop": "matrix"}

FONT_SWITCHES = {
    "\\rm": "\\mathrm",
    "\\it": "\\mathit",
    "\\bf": "\\mathbf",
    "\\cal": "\\mathcal",
    "\\tt": "\\mathtt",
    "\\sf": "\\mathsf",
    "\\mit": "\\mathit",
}
"""Fonts that hold to the end of the group."""

TEXT_COMMANDS = {
    **dict.fromkeys(command_names("text mbox hbox textrm textnormal textup fbox"), ("\\text", "\\mathrm")),
    **dict.fromkeys(command_names("textit emph textsl"), ("\\textit", "\\mathit")),
    "\\textbf": ("\\textbf", "\\mathbf"),
    "\\texttt": ("\\texttt", "\\mathtt"),
    "\\textsf": ("\\textsf", "\\mathsf"),
}
"""Canonical text command, and the font command that stands for it around letters and digits alone."""

WORD_FONTS = frozenset(["\\mathrm", "\\mathit"])
"""Fonts that say something of a word (one name, not a product), and nothing of a single letter."""

OPERATORS = command_names("""
    arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max
    min Pr sec sin sinh sup tan tanh
""")
"""Named functions of LaTeX: an upright word of this list is the command."""

OPTIONAL_ARGUMENT = command_names("sqrt xrightarrow xleftarrow xleftrightarrow xRightarrow xLeftarrow")

ARITY: dict[str, int] = {
    **dict.fromkeys(
        command_names("""
        sqrt xrightarrow xleftarrow xleftrightarrow xRightarrow xLeftarrow
        hat widehat check widecheck tilde widetilde acute grave dot ddot dddot ddddot breve bar vec mathring
        overline underline overrightarrow overleftarrow overleftrightarrow underrightarrow underleftarrow
        underleftrightarrow overbrace underbrace overbracket underbracket overparen underparen
        mathrm mathit mathbf mathbb mathcal mathfrak mathscr mathsf mathtt boldsymbol
        pmod mod pod not cancel bcancel xcancel boxed substack tag
        """),
        1,
    ),
    **dict.fromkeys(command_names("frac binom overset underset sideset cancelto"), 2),
}
"""Number of arguments of the commands that take some."""

NEGATED = {"=": "\\ne", "\\in": "\\notin", "\\exists": "\\nexists", "\\mid": "\\nmid", "\\parallel": "\\nparallel"}
r"""Signs with a stroke of their own: what ``\not`` makes of them."""
