r"""Tables of commands for the normalizer."""


def command_names(text: str) -> frozenset[str]:
    """Return command names from words without backslash."""
    return frozenset("\\" + word for word in text.split())


def _synonyms(text: str) -> dict[str, tuple[str, ...]]:
    r"""Read ``old=new`` pairs of command names; `new` gets no backslash if it is one character or not a word."""
    pairs = (pair.split("=", 1) for pair in text.split())
    return {"\\" + old: ("\\" + new if len(new) > 1 and new.isalpha() else new,) for old, new in pairs}


# Two spellings of one sign, from LaTeX, amsmath, plain TeX and MediaWiki. Signs that only look alike (\epsilon and
# \varepsilon, \bar and \overline, \mid and |) are not included. Sizes and spacing do not count (\dfrac, \iff).
_SYNONYMS = _synonyms(r"""
    leq=le geq=ge neq=ne to=rightarrow gets=leftarrow owns=ni land=wedge lor=vee lnot=neg
    iff=Longleftrightarrow implies=Longrightarrow impliedby=Longleftarrow
    lt=< gt=> lbrack=[ rbrack=] lparen=( rparen=) lbrace=\{ rbrace=\} vert=| lvert=| rvert=| Vert=\| lVert=\| rVert=\|
    ast=* colon=: slash=/ ldotp=. cdotp=cdot ldots=dots dotsc=dots dotso=dots hdots=dots dotsb=cdots dotsm=cdots
    dotsi=cdots intop=int sp=^ sb=_ cr=\\ newline=\\ tabularnewline=\\
    dfrac=frac tfrac=frac dbinom=binom tbinom=binom stackrel=overset
    operatorname=mathrm Bbb=mathbb frak=mathfrak bold=mathbf bm=boldsymbol pmb=boldsymbol
    restriction=upharpoonright square=Box Doteq=doteqdot llless=lll gggtr=ggg dasharrow=dashrightarrow
    infin=infty exist=exists part=partial lang=langle rang=rangle isin=in sub=subset sube=subseteq supe=supseteq
    and=wedge or=vee empty=emptyset bull=bullet sdot=cdot plusmn=pm ang=angle alef=aleph weierp=wp real=Re image=Im
    larr=leftarrow rarr=rightarrow harr=leftrightarrow lrarr=leftrightarrow uarr=uparrow darr=downarrow
    Larr=Leftarrow lArr=Leftarrow Rarr=Rightarrow rArr=Rightarrow Harr=Leftrightarrow hArr=Leftrightarrow
    thetasym=vartheta Dagger=ddagger clubs=clubsuit hearts=heartsuit spades=spadesuit diamonds=diamondsuit
    Alpha=A Beta=B Epsilon=E Zeta=Z Eta=H Iota=I Kappa=K Mu=M Nu=N Omicron=O Rho=P Tau=T Chi=X omicron=o
""")

# Invisible, or only about spacing, size and the position of limits. The commands of the last line act on a group, which
# is kept.
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

# Blackboard sets and a function of MediaWiki; bare signs that a label means literally.
_EXPANSIONS = {
    **{"\\" + name: ("\\mathbb", "{", name[0].upper(), "}") for name in ("R", "Z", "N", "Q", "C", "reals", "Complex")},
    "\\sgn": ("\\mathrm", "{", "s", "g", "n", "}"),
    "\\operatorname*": ("\\mathrm",),
    "%": ("\\%",),
    "#": ("\\#",),
}

REPLACEMENTS: dict[str, tuple[str, ...]] = {**dict.fromkeys(_DROPPED, ()), **_SYNONYMS, **_EXPANSIONS}
r"""Replacement of a token in any context. ``\ `` and ``\`` at the end of the text are spaces."""

DROPPED_ARGUMENTS = {
    **dict.fromkeys(command_names("hspace vspace phantom hphantom vphantom label color pagecolor textcolor tag"), 1),
    "\\rule": 2,
}
r"""Commands that are dropped with the groups that follow, and their number (``\textcolor{red}{x}`` is ``x``)."""

DROPPED_OPTION = command_names("rule color pagecolor textcolor")
"""Those of `DROPPED_ARGUMENTS` that may have an option in brackets before their groups."""

DROPPED_SIGN = command_names("tag phantom hphantom vphantom")
"""Those of `DROPPED_ARGUMENTS` whose argument may be a single sign without braces."""

SPACES = (
    command_names("""
    quad qquad enspace enskip thinspace medspace thickspace negthinspace negmedspace negthickspace space nobreakspace
    hspace hskip kern mskip mkern phantom hphantom
""")
    | {"\\" + character for character in ",!;:> "}
    | {"~"}
)
"""Spaces that a script behind them does not reach over: in ``x\\,_2F`` it belongs to what follows."""

VERBATIM_COMMANDS = command_names("ce pu")
"""Commands whose argument is in a language of its own (mhchem's), in which spaces and braces have other meanings."""

DIMENSION_COMMANDS = command_names("hskip vskip kern mskip mkern raise lower moveleft moveright")
"""Dropped together with the dimension that follows."""

SIZED_DELIMITERS = command_names("""
    left right middle big Big bigg Bigg bigl Bigl biggl Biggl bigr Bigr biggr Biggr bigm Bigm biggm Biggm
""")
r"""Dropped. The delimiter that follows is kept, except the empty one (``.``)."""

DELIMITERS = {"<": "\\langle", ">": "\\rangle", ".": ""}
"""Delimiters with another meaning after one of `SIZED_DELIMITERS`."""

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
"""Opening delimiter, environment and closing delimiter that replace an environment."""

ALIGNED_ENVIRONMENTS = frozenset(
    ["align", "aligned", "alignat", "alignedat", "eqnarray", "flalign", "split", "xalignat"]
)
"""Lines that are aligned at their relations: all become ``aligned``."""

GATHERED_ENVIRONMENTS = frozenset(["gather", "gathered"])
"""Centred lines: all become ``gathered``."""

COUNTED_ENVIRONMENTS = frozenset(["alignat", "alignedat", "xalignat"])
"""Environments whose first argument is the number of their columns."""

OPTION_ENVIRONMENTS = frozenset(["array", "aligned", "alignedat", "gathered"])
r"""Environments in which a bracket right after ``\begin`` is an option. Starred ones have one, too."""

INFIX = {"\\over": "\\frac", "\\choose": "\\binom", "\\atop": "matrix"}

_SWITCHES = _synonyms("rm=mathrm it=mathit bf=mathbf cal=mathcal tt=mathtt sf=mathsf mit=mathit")
FONT_SWITCHES = {switch: font for switch, (font,) in _SWITCHES.items()}
"""Fonts that hold to the end of the group."""

TEXT_COMMANDS = {
    **dict.fromkeys(command_names("text mbox hbox textrm textnormal textup fbox"), ("\\text", "\\mathrm")),
    **dict.fromkeys(command_names("textit emph textsl"), ("\\textit", "\\mathit")),
    "\\textbf": ("\\textbf", "\\mathbf"),
    "\\texttt": ("\\texttt", "\\mathtt"),
    "\\textsf": ("\\textsf", "\\mathsf"),
}
"""Canonical text command, and the font command that replaces it around letters and digits only."""

WORD_FONTS = frozenset(["\\mathrm", "\\mathit"])
"""Fonts that matter for a word (a name, not a product) and not for a single letter."""

OPERATORS = command_names("""
    arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max
    min Pr sec sin sinh sup tan tanh
""")
"""Named functions of LaTeX: an upright word of this list is the command."""

OPTIONAL_ARGUMENT = command_names("sqrt xrightarrow xleftarrow xleftrightarrow xRightarrow xLeftarrow")

ARITY: dict[str, int] = {
    **dict.fromkeys(
        OPTIONAL_ARGUMENT
        | command_names("""
        hat widehat check widecheck tilde widetilde acute grave dot ddot dddot ddddot breve bar vec mathring
        overline underline overrightarrow overleftarrow overleftrightarrow underrightarrow underleftarrow
        underleftrightarrow overbrace underbrace overbracket underbracket overparen underparen
        mathrm mathit mathbf mathbb mathcal mathfrak mathscr mathsf mathtt boldsymbol
        pmod mod pod not cancel bcancel xcancel boxed substack
        """),
        1,
    ),
    **dict.fromkeys(command_names("frac binom overset underset sideset cancelto"), 2),
}
"""Number of arguments of the commands that have any."""

NEGATED = {"=": "\\ne", "\\in": "\\notin", "\\exists": "\\nexists", "\\mid": "\\nmid", "\\parallel": "\\nparallel"}
r"""Negated form (``\not``) of the signs that have a command for it."""

# A command that is neither here nor in `ARITY` keeps the groups behind it in braces, since they may be its arguments.
# A sign that is missing here therefore costs a canonical spelling, never a meaning.
SYMBOLS = OPERATORS | command_names("""
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa varkappa lambda mu nu xi pi varpi rho
    varrho sigma varsigma tau upsilon phi varphi chi psi omega digamma Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi
    Psi Omega varGamma varDelta varTheta varLambda varXi varPi varSigma varUpsilon varPhi varPsi varOmega
    aleph beth gimel daleth hbar hslash ell wp Re Im imath jmath partial infty nabla emptyset varnothing forall exists
    nexists neg top bot angle measuredangle sphericalangle surd prime backprime flat natural sharp clubsuit diamondsuit
    heartsuit spadesuit complement eth mho Bbbk Finv Box Diamond lozenge blacklozenge blacksquare triangle triangledown
    vartriangle blacktriangle blacktriangledown bigstar diagup diagdown circledS degree backslash
    pm mp times div cdot star circ bullet cap cup uplus sqcap sqcup vee wedge setminus smallsetminus wr diamond
    bigtriangleup bigtriangledown triangleleft triangleright lhd rhd unlhd unrhd oplus ominus otimes oslash odot bigcirc
    dagger ddagger amalg ltimes rtimes leftthreetimes rightthreetimes curlywedge curlyvee circledast circledcirc
    circleddash boxplus boxminus boxtimes boxdot dotplus divideontimes centerdot intercal barwedge veebar doublebarwedge
    Cap Cup
    le ge ne ll gg lll ggg leqslant geqslant leqq geqq lesssim gtrsim lessapprox gtrapprox lessgtr gtrless lesseqgtr
    gtreqless lessdot gtrdot nless ngtr nleq ngeq equiv sim simeq approx approxeq cong doteq doteqdot asymp propto
    varpropto models perp mid parallel nmid nparallel smile frown bowtie prec succ preceq succeq preccurlyeq succcurlyeq
    precsim succsim subset supset subseteq supseteq subsetneq supsetneq nsubseteq nsupseteq subseteqq supseteqq Subset
    Supset sqsubset sqsupset sqsubseteq sqsupseteq in ni notin vdash dashv vDash Vdash Vvdash nvdash nvDash triangleq
    trianglelefteq trianglerighteq vartriangleleft vartriangleright thicksim thickapprox backsim between pitchfork
    therefore because multimap
    leftarrow rightarrow leftrightarrow Leftarrow Rightarrow Leftrightarrow longleftarrow longrightarrow
    longleftrightarrow Longleftarrow Longrightarrow Longleftrightarrow mapsto longmapsto hookleftarrow hookrightarrow
    uparrow downarrow updownarrow Uparrow Downarrow Updownarrow nearrow searrow swarrow nwarrow leftharpoonup
    leftharpoondown rightharpoonup rightharpoondown upharpoonright upharpoonleft rightleftharpoons leftrightharpoons
    leftrightarrows rightleftarrows rightrightarrows leftleftarrows twoheadrightarrow twoheadleftarrow rightarrowtail
    leftarrowtail rightsquigarrow leadsto dashrightarrow dashleftarrow nleftarrow nrightarrow nleftrightarrow
    nLeftarrow nRightarrow nLeftrightarrow curvearrowleft curvearrowright circlearrowleft circlearrowright
    langle rangle lfloor rfloor lceil rceil lgroup rgroup lmoustache rmoustache ulcorner urcorner llcorner lrcorner
    sum prod coprod int iint iiint iiiint oint oiint bigcap bigcup bigsqcup bigvee bigwedge bigodot bigotimes bigoplus
    biguplus varlimsup varliminf varinjlim varprojlim injlim projlim bmod
    doteq eqsim backsimeq lneq gneq lneqq gneqq lvertneqq gvertneqq lnsim gnsim lnapprox gnapprox lesseqqgtr gtreqqless
    eqslantless eqslantgtr nleqq ngeqq nleqslant ngeqslant nprec nsucc npreceq nsucceq precneqq succneqq precnsim
    succnsim precapprox succapprox precnapprox succnapprox curlyeqprec curlyeqsucc nsim ncong nshortmid shortmid
    shortparallel nshortparallel varsubsetneq varsupsetneq subsetneqq supsetneqq varsubsetneqq varsupsetneqq
    nsubseteqq nsupseteqq nVdash nVDash ntriangleleft ntriangleright ntrianglelefteq ntrianglerighteq
    blacktriangleleft blacktriangleright bigstar backepsilon smallsmile smallfrown Rrightarrow Lleftarrow hslash
    dots cdots vdots ddots hline S P AA
""")
"""Commands without arguments: braces behind one are a group of their own."""
