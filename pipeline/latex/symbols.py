r"""Commands that take no argument: what follows one in braces is a group of its own.

A command that is neither here nor in `tables.ARITY` keeps the groups behind it in braces, since they may be its
arguments. So a sign that is missing here costs a spelling, never a meaning.
"""

from latexify.pipeline.latex.tables import command_names

SYMBOLS = command_names("""
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
    biguplus arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log
    max min Pr sec sin sinh sup tan tanh varlimsup varliminf varinjlim varprojlim injlim projlim bmod
    doteq eqsim backsimeq lneq gneq lneqq gneqq lvertneqq gvertneqq lnsim gnsim lnapprox gnapprox lesseqqgtr gtreqqless
    eqslantless eqslantgtr nleqq ngeqq nleqslant ngeqslant nprec nsucc npreceq nsucceq precneqq succneqq precnsim
    succnsim precapprox succapprox precnapprox succnapprox curlyeqprec curlyeqsucc nsim ncong nshortmid shortmid
    shortparallel nshortparallel varsubsetneq varsupsetneq subsetneqq supsetneqq varsubsetneqq varsupsetneqq
    nsubseteqq nsupseteqq nVdash nVDash ntriangleleft ntriangleright ntrianglelefteq ntrianglerighteq
    blacktriangleleft blacktriangleright bigstar backepsilon smallsmile smallfrown Rrightarrow Lleftarrow hslash
    dots cdots vdots ddots hline S P AA
""")
