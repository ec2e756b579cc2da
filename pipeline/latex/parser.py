r"""Second half of the normalizer: parse prepared tokens into a tree without redundant braces.

Any list of tokens has a tree. Parts that do not parse (an unmatched brace, a script without content) stay tokens.
"""

from latexify.pipeline.latex import environments, rules, tables, tree
from latexify.pipeline.latex.prepare import match_braces, prepare
from latexify.pipeline.latex.tables import SYMBOLS
from latexify.pipeline.latex.tree import SEPARATORS, Command, Environment, Group, Item, Items, Verbatim

MAX_DEPTH = 50
"""Maximum nesting of a formula (CROHME has 7)."""

_MARKS = frozenset("^_'")
_NO_ARGUMENT = _MARKS | SEPARATORS | frozenset(tables.INFIX)
_SCOPED = frozenset(tables.INFIX) | frozenset(tables.FONT_SWITCHES)


class TooDeepError(ValueError):
    """A text is nested deeper than `MAX_DEPTH`."""


def parse(tokens: list[str], *, depth: int = 0) -> Items:
    """Parse the output of `prepare`, `depth` levels inside another formula. Raises TooDeepError."""
    return _Parser(tokens, depth).list_until(len(tokens))


class _Parser:
    def __init__(self, tokens: list[str], depth: int) -> None:
        self._tokens = tokens
        self._depth = depth
        self._at = 0
        self._partners = match_braces(tokens)
        self._has_scopes = not _SCOPED.isdisjoint(tokens)

    def list_until(self, end: int, *, raised: bool = False) -> Items:
        """Parse up to `end`. raised: inside a superscript, where leading primes are raised already."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeepError
        done: Items = []
        cell: Items = []
        while self._at < end:
            token = self._tokens[self._at]
            if token in SEPARATORS:
                self._at += 1
                done += [*self._finish(cell), token]
                cell = []
            elif token == "'" and raised and not cell:
                cell.extend(self._primes(end))
            else:
                items = [] if token in _MARKS else self._one(end)
                if self._at < end and self._tokens[self._at] in _MARKS:
                    items = self._scripted(items, end)
                cell += rules.spliced(items)
        self._depth -= 1
        return done + self._finish(cell)

    def _finish(self, cell: Items) -> Items:
        return rules.resolve_scopes(cell) if self._has_scopes else cell

    def _one(self, end: int) -> Items:  # noqa: PLR0911 (one return for each kind of token)
        """Parse one unit without its scripts. It may be several items; scripts then belong to the last."""
        token = self._tokens[self._at]
        self._at += 1
        if token == "{" and (partner := self._partners.get(self._at - 1)):
            return [Group(self._group(partner))]
        if token[0] != "\\" or token in SYMBOLS:
            return [token]
        if token in tables.ARITY:
            return self._command(token, end)
        if token in tables.TEXT_COMMANDS:
            return [self._text(token, end)]
        if token in tables.FONT_SWITCHES:
            return self._switch(token)
        if token.startswith("\\begin{"):
            return self._environment(token[7:-1], end)
        if token[1].isalpha() and not token.endswith("}") and token not in tables.INFIX:
            arguments = []
            while self._at < end and (partner := self._partners.get(self._at)):
                self._at += 1
                arguments.append(self._group(partner))
            return [Command(token, arguments)] if arguments else [token]
        return [token]

    def _group(self, partner: int, *, raised: bool = False) -> Items:
        """Parse from behind an opening brace up to and including its partner."""
        items = self.list_until(partner, raised=raised)
        self._at = partner + 1
        return items

    def _argument(self, end: int, *, raised: bool = False) -> Items | None:
        """Parse an argument: a group, or one unit without scripts. Returns None if there is none."""
        switch = None
        while self._at < end and self._tokens[self._at] in tables.FONT_SWITCHES:
            switch = self._tokens[self._at]
            self._at += 1
        if self._at >= end:
            return None
        token = self._tokens[self._at]
        if partner := self._partners.get(self._at):
            self._at += 1
            items = self._group(partner, raised=raised)
        elif not self._begins_argument(token, end):
            return None
        else:
            items = rules.spliced(self._nested_one(end))
        return rules.spliced([rules.with_font(tables.FONT_SWITCHES[switch], items)]) if switch else items

    def _begins_argument(self, token: str, end: int) -> bool:
        """Return whether `token`, which is not a matched opening brace, is an argument or begins one."""
        if token.startswith("\\begin{"):
            return self._end_of_environment(end) is not None
        return not (token in "{}" or token in _NO_ARGUMENT or token.startswith("\\end{"))

    def _nested_one(self, end: int) -> Items:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeepError
        items = self._one(end)
        self._depth -= 1
        return items

    def _command(self, name: str, end: int) -> Items:
        optional = self._optional(end) if name in tables.OPTIONAL_ARGUMENT else None
        arguments: list[Items] = []
        while len(arguments) < tables.ARITY[name] and (argument := self._argument(end)) is not None:
            arguments.append(argument)
        missing = tables.ARITY[name] - len(arguments)
        if missing:
            return [Command(name, arguments, optional, missing)]
        only = arguments[0][0] if len(arguments[0]) == 1 else None
        if name == "\\not" and isinstance(only, str) and only in tables.NEGATED:
            return [tables.NEGATED[only]]
        if name == "\\substack" and not any(isinstance(item, str) and tree.is_loose(item) for item in arguments[0]):
            return [Environment("matrix", [], rules.without_empty_rows(arguments[0]))]
        if name in tables.WORD_FONTS:
            return [rules.with_font(name, arguments[0])]
        return [Command(name, arguments, optional)]

    def _optional(self, end: int) -> Items | None:
        if self._at >= end or self._tokens[self._at] != "[":
            return None
        index = self._at + 1
        while index < end and self._tokens[index] != "]" and not self._is_stray(index):
            index = self._partners.get(index, index) + 1
        if index >= end or self._tokens[index] != "]":
            return None
        self._at += 1
        return self._group(index)

    def _switch(self, token: str) -> Items:
        r"""Parse ``\rm{x}`` as ``\mathrm{x}``. Other switches hold to the end of their group."""
        if not (partner := self._partners.get(self._at)):
            return [token]
        self._at += 1
        return [rules.with_font(tables.FONT_SWITCHES[token], self._group(partner))]

    def _text(self, name: str, end: int) -> Item:
        text_name, font_name = tables.TEXT_COMMANDS[name]
        if not (partner := self._partners.get(self._at)):
            argument = self._argument(end)
            return Command(text_name, [], None, 1) if argument is None else rules.with_font(font_name, argument)
        raw = self._tokens[self._at + 1 : partner]
        self._at = partner + 1
        items: Items = []
        for is_math, tokens in rules.split_text(raw):
            if is_math:
                items += rules.kept_apart(parse(prepare(tokens), depth=self._depth))
            elif rules.is_like_math(tokens):
                items.append(rules.with_font(font_name, parse(prepare(tokens), depth=self._depth)))
            elif len(signs := rules.canonical_text(tokens)) == 1 and signs[0] in rules.SAME_IN_MATH:
                items += signs
            else:
                items.append(Command(text_name, [[Verbatim(signs)]]))
        return items[0] if len(items) == 1 else Group(rules.spliced(items))

    def _end_of_environment(self, end: int) -> int | None:
        r"""Return the index of the ``\end`` that matches the ``\begin`` here, None if their names differ."""
        depth, index = 0, self._at
        while index < end and not self._is_stray(index):
            token = self._tokens[index]
            depth += token.startswith("\\begin{") - token.startswith("\\end{")
            if depth == 0:
                return index if token[5:] == self._tokens[self._at][7:] else None
            index = self._partners.get(index, index) + 1
        return None

    def _is_stray(self, index: int) -> bool:
        """Return whether an unmatched brace is at `index`."""
        return self._tokens[index] in "{}" and index not in self._partners

    def _environment(self, name: str, end: int) -> Items:
        self._at -= 1
        last = self._end_of_environment(end)
        self._at += 1
        if last is None:
            return [self._tokens[self._at - 1]]
        if name.endswith("*") or name in tables.OPTION_ENVIRONMENTS:
            while self._tokens[self._at] == "[" and self._tokens[self._at + 2 : self._at + 3] == ["]"]:
                self._at += 3
        if name.removesuffix("*") in tables.COUNTED_ENVIRONMENTS:
            self._at = self._partners.get(self._at, self._at - 1) + 1
        specification: list[str] = []
        if name == "array" and (partner := self._partners.get(self._at)):
            specification = self._tokens[self._at : partner + 1]
            self._at = partner + 1
        items = rules.without_empty_rows(self.list_until(last))
        self._at = last + 1
        return environments.canonical(name.removesuffix("*"), specification, items)

    def _primes(self, end: int) -> Items:
        primes: Items = []
        while self._at < end and self._tokens[self._at] == "'":
            self._at += 1
            primes.append("\\prime")
        return primes

    def _scripted(self, items: Items, end: int) -> Items:
        """Parse the scripts that follow and attach them to the last of `items`."""
        if items and isinstance(group := items[-1], Group):
            items = items[:-1] + rules.base_of(group)
        base = items.pop() if items and rules.can_carry_scripts(items[-1]) else None
        if isinstance(base, Group) and not base.items:
            base = None
        scripted = rules.with_scripts(base, self._scripts(end))
        return items if scripted is None else [*items, scripted]

    def _scripts(self, end: int) -> list[tuple[str, Items | None]]:
        scripts: list[tuple[str, Items | None]] = []
        upper: Items | None = None  # the superscript that takes further primes
        takes_script = False  # whether it holds primes only, so that the first superscript joins it
        while self._at < end and (mark := self._tokens[self._at]) in _MARKS:
            if mark == "'":
                if upper is None or (upper and tree.is_open(upper[-1])):
                    upper, takes_script = [], True
                    scripts.append(("^", upper))
                upper += self._primes(end)
                continue
            self._at += 1
            if mark == "_":
                content = self._argument(end)
                scripts.append((mark, content))
                if content is None:  # what follows must stay behind it, or it would become its argument
                    upper, takes_script = None, False
                continue
            content = self._primes(end) or self._argument(end, raised=True)
            if takes_script and upper is not None and content is not None:
                upper += content
            else:
                scripts.append((mark, content))
                upper = content
            takes_script = False
        return scripts
