"""Whether SVG elements are stroked or filled: attributes, `style` and simple selectors of style sheets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

_SELECTOR = re.compile(r"\*|[.#]?[\w-]+")
PROPERTIES = ("stroke", "fill", "display", "visibility", "opacity", "stroke-opacity", "fill-opacity", "stroke-width")
NOTHING = frozenset(["none", "transparent"])
_OWN = ("display", "opacity")
"""Properties that children do not inherit; a hidden group is not entered at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Values of the properties that matter, as text; SVG's defaults where none is set."""

    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_stroke(self) -> bool:
        """Whether the line is drawn."""
        is_drawn = self.values.get("stroke", "none").lower() not in NOTHING
        return is_drawn and not any(_is_zero(self.values.get(name)) for name in ("stroke-opacity", "stroke-width"))

    @property
    def has_fill(self) -> bool:
        """Whether the inside is drawn: by default it is."""
        return self.values.get("fill", "black").lower() not in NOTHING and not _is_zero(self.values.get("fill-opacity"))

    @property
    def is_hidden(self) -> bool:
        """Whether nothing of the element and its children is shown."""
        values = self.values
        is_invisible = values.get("visibility", "visible") in {"hidden", "collapse"}
        return values.get("display") == "none" or is_invisible or _is_zero(values.get("opacity"))


def _is_zero(value: str | None) -> bool:
    return value is not None and re.fullmatch(r"0*\.?0*(?:px|%)?", value) is not None and "0" in value


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleSheet:
    """The rules of all `<style>` elements, in their order: selector (`*`, `path`, `.class`, `#id`) and declarations."""

    rules: tuple[tuple[str, Mapping[str, str]], ...]

    @classmethod
    def of(cls, root: Any) -> Self:
        """Collect the rules of a document; those with other selectors are ignored."""
        text = "\n".join(element.text or "" for element in root.iter("{*}style"))
        plain = "".join(part.partition("*/")[2] if number else part for number, part in enumerate(text.split("/*")))
        rules = [
            (selector.strip(), _declarations(body))
            for selectors, _, body in (rule.partition("{") for rule in plain.split("}"))
            for selector in selectors.split(",")
            if _SELECTOR.fullmatch(selector.strip())
        ]
        return cls(rules=tuple(rules))

    def style_of(self, element: Any, name: str, *, inherited: Style) -> Style:
        """Return the style of an element: inherited, by attributes, by the sheet, by `style`; the last one wins."""
        values = {key: value for key, value in inherited.values.items() if key not in _OWN}
        values |= {key: element.get(key).strip() for key in PROPERTIES if element.get(key) is not None}
        classes = {f".{one}" for one in element.get("class", "").split()}
        mine = [{"*"}, {name}, classes, {f"#{element.get('id')}"}]  # from the weakest selectors to the strongest
        for selectors in mine:
            for selector, declarations in self.rules:
                if selector in selectors:
                    values |= declarations
        own = _declarations(element.get("style", ""))
        values |= own
        return Style(values={key: value for key, value in values.items() if value != "inherit"})


def _declarations(text: str) -> dict[str, str]:
    pairs = (part.partition(":")[::2] for part in text.split(";"))
    cleaned = {name.strip().lower(): value.replace("!important", "").strip() for name, value in pairs}
    return {name: value for name, value in cleaned.items() if name in PROPERTIES and value}
