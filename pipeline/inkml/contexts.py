"""Find out what the numbers of a trace mean: their channels, units and directions, and the canvas transform.

Source: InkML, W3C Recommendation of 20 September 2011, sections 3.1 (trace formats) and 4 (contexts).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from latexify.pipeline.inkml.transforms import Affine, read_transform
from latexify.pipeline.inkml.xml import contradictory, unsupported

XML_ID: Final = "{http://www.w3.org/XML/1998/namespace}id"
MAX_REFERENCES: Final = 100
"""Longer chains of references are refused; no program writes them."""

_REFERENCES: Final = {
    "inkSourceRef": "inkSource",
    "traceFormatRef": "traceFormat",
    "canvasRef": "canvas",
    "canvasTransformRef": "canvasTransform",
}
"""Attributes of contexts that refer to an element."""

_MILLIMETRES: Final = {
    "m": 1000.0,
    "cm": 10.0,
    "mm": 1.0,
    "himetric": 0.01,
    "in": 25.4,
    "pt": 25.4 / 72,
    "pc": 25.4 / 6,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What the numbers of a trace mean.

    Attributes:
        num_channels: Number of declared channels; 2 if none are.
        x_at: Index of x among a point's values.
        y_at: Index of y.
        tip_at: Index of the value that is true while the pen touches the paper. None if it is not declared as boolean.
        affine: From values to x (to the right) and y (downward). None if the values are x and y already.
    """

    num_channels: int = 2
    x_at: int = 0
    y_at: int = 1
    tip_at: int | None = None
    affine: Affine | None = None


@dataclass(frozen=True, slots=True)
class _Context:
    """The elements in force. None: the Recommendation's default."""

    trace_format: Any = None
    ink_source: Any = None
    canvas: Any = None
    canvas_transform: Any = None


class Contexts:
    """The contexts of one document."""

    def __init__(self, root: Any) -> None:
        """Index the elements that can be referred to."""
        self._root = root
        self._by_id: dict[str, Any] = {}
        for element in root.iter("{*}*"):
            name = element.get(XML_ID) or element.get("id")
            if name is not None:
                self._by_id.setdefault(name, element)
        self._resolved: dict[tuple[Any, _Context], _Context] = {}
        self._meanings: dict[_Context, Meaning] = {}

    def refer(self, reference: str, *, kinds: Sequence[str]) -> Any:
        """Return the element of these kinds that a reference (`#id` or `id`) names.

        Raises UnusableInkError: CONTRADICTORY_INKML if there is none, UNSUPPORTED_INKML if it is in another file.
        """
        file, _, name = reference.strip().rpartition("#")
        if file:
            raise unsupported(f"a reference to another file: {reference}")
        element = self._by_id.get(name)
        if element is None or local_name(element) not in kinds:
            raise contradictory(f"{reference} refers to no {' or '.join(kinds)}")
        return element

    def meanings(self) -> Mapping[Any, Meaning]:
        """Return what the numbers of each `<trace>` mean.

        A `<context>` or `<traceFormat>` that is a child of the root is in force from there on. A trace or a group may
        refer to a context of its own.

        Raises UnusableInkError: CONTRADICTORY_INKML, UNSUPPORTED_INKML.
        """
        result: dict[Any, Meaning] = {}
        current = _Context()
        for child in self._root:
            name = local_name(child)
            if name == "context":
                current = self._resolve(child, current, depth=0)
            elif name == "definitions":
                self._collect(list(child), _Context(), result)
            elif (changed := self._with_element(current, child)) is not current:
                current = changed
            else:
                self._collect([child], current, result)
        return result

    def _collect(self, elements: Sequence[Any], context: _Context, result: dict[Any, Meaning]) -> None:
        """Find the meanings of traces, whatever they are grouped by."""
        stack = [(element, context) for element in elements]
        while stack:
            element, inherited = stack.pop()
            own = self._override(element, inherited, depth=0)
            if local_name(element) == "trace":
                result[element] = self._meaning(own)
            else:
                stack += [(child, own) for child in element]

    def _resolve(self, element: Any, inherited: _Context, *, depth: int) -> _Context:
        """Return what a `<context>` sets, on top of what it inherits."""
        if depth > MAX_REFERENCES:
            raise contradictory("contexts refer to each other in a circle")
        key = (element, inherited)
        if key not in self._resolved:
            context = self._override(element, inherited, depth=depth)
            for child in element:
                context = self._with_element(context, child)
            self._resolved[key] = context
        return self._resolved[key]

    def _override(self, element: Any, context: _Context, *, depth: int) -> _Context:
        """Apply the references of a context, trace or group."""
        reference = element.get("contextRef", "").strip()
        if reference == "#DefaultContext":
            context = _Context()
        elif reference and reference != "#CurrentContext":
            context = self._resolve(self.refer(reference, kinds=["context"]), _Context(), depth=depth + 1)
        for attribute, kind in _REFERENCES.items():
            if reference := element.get(attribute):
                context = self._with_element(context, self.refer(reference, kinds=[kind]))
        return context

    def _with_element(self, context: _Context, element: Any) -> _Context:
        """Return the context changed by a child element."""
        match local_name(element):
            case "traceFormat":
                return replace(context, trace_format=element)
            case "inkSource":
                own = next(element.iterchildren("{*}traceFormat"), None)
                if own is None and (reference := element.get("traceFormatRef")):
                    own = self.refer(reference, kinds=["traceFormat"])
                own = context.trace_format if own is None else own
                return replace(context, ink_source=element, trace_format=own)
            case "canvas":
                return replace(context, canvas=element)
            case "canvasTransform":
                return replace(context, canvas_transform=element)
        return context

    def _meaning(self, context: _Context) -> Meaning:
        if context not in self._meanings:
            self._meanings[context] = self._read(context)
        return self._meanings[context]

    def _read(self, context: _Context) -> Meaning:
        channels = _channels(context.trace_format)
        names = [_name(channel) for channel in channels] or ["X", "Y"]
        for axis in ("X", "Y"):
            if names.count(axis) != 1:
                raise contradictory(f"a trace format has {names.count(axis)} channels named {axis}")
        x_at, y_at = names.index("X"), names.index("Y")
        x, y = (channels[x_at], channels[y_at]) if channels else (None, None)
        tips = [index for index, each in enumerate(channels) if _name(each) == "S" and each.get("type") == "boolean"]
        affine = read_transform(context.canvas_transform, names=names, refer=self.refer)
        if affine is None:
            scale_x, scale_y = _scales(context.ink_source, x, y)
            affine = Affine.of_indices(x_at, y_at)
        else:
            canvas = None if context.canvas is None else next(context.canvas.iterchildren("{*}traceFormat"), None)
            on_canvas = {_name(each): each for each in _channels(canvas)}
            scale_x, scale_y = _sign(on_canvas.get("X")), _sign(on_canvas.get("Y"))
        scaled = affine.scaled(scale_x, scale_y)
        return Meaning(
            num_channels=len(names),
            x_at=x_at,
            y_at=y_at,
            tip_at=tips[0] if tips else None,
            affine=None if scaled == Affine.of_indices(x_at, y_at) else scaled,
        )


def local_name(element: Any) -> str:
    """Return the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _name(channel: Any) -> str:
    return str(channel.get("name", "")).strip().upper()


def _channels(trace_format: Any) -> list[Any]:
    """Return the channels of a format in the order of their values: regular ones, then intermittent ones.

    Raises UnusableInkError (UNSUPPORTED_INKML) if x or y is computed from values.
    """
    if trace_format is None:
        return []
    channels = list(trace_format.iterchildren("{*}channel"))
    for group in trace_format.iterchildren("{*}intermittentChannels"):
        channels += group.iterchildren("{*}channel")
    for channel in channels:
        for mapping in channel.iterchildren("{*}mapping"):
            if _name(channel) in ("X", "Y") and mapping.get("type", "unknown") != "identity":
                raise unsupported(f"channel {_name(channel)} has a mapping of its own")
    return channels


def _sign(channel: Any) -> float:
    """Return -1 for a channel whose values grow to the left or upward."""
    orientation = "+ve" if channel is None else channel.get("orientation", "+ve").strip()
    if orientation not in ("+ve", "-ve"):
        raise contradictory(f"orientation {orientation!r} is neither +ve nor -ve")
    return -1.0 if orientation == "-ve" else 1.0


def _scales(ink_source: Any, x: Any, y: Any) -> tuple[float, float]:
    """Return the factors that make x grow to the right, y downward, and their units equal."""
    lengths = [_length(ink_source, channel) for channel in (x, y)]
    if len({unit for _, unit in lengths}) > 1:
        raise unsupported("X is in {}, Y in {}".format(*(unit or "no unit" for _, unit in lengths)))
    ratio = lengths[1][0] / lengths[0][0]
    # 1000 in a centimetre and 2540 in an inch are equal but for rounding
    return _sign(x), _sign(y) * (1.0 if math.isclose(ratio, 1.0, rel_tol=1e-9) else ratio)


def _length(ink_source: Any, channel: Any) -> tuple[float, str]:
    """Return the length of a channel's value 1, and its unit (empty if none is declared)."""
    if channel is None:
        return 1.0, ""
    unit = channel.get("units", "").strip()
    factor = 1.0
    for element in () if ink_source is None else ink_source.iter("{*}channelProperty"):
        if str(element.get("channel", "")).strip().upper() == _name(channel) and element.get("name") == "resolution":
            factor, unit = _resolution(element, unit)
    known = _MILLIMETRES.get(unit)
    return (factor, unit) if known is None else (factor * known, "mm")


def _resolution(element: Any, unit: str) -> tuple[float, str]:
    """Read a resolution: `1000` `1/cm` (values in a centimetre) or `0.001` `cm` (the length of one)."""
    try:
        value = float(element.get("value", ""))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise contradictory(f"a resolution of {element.get('value')!r}, which is no positive number")
    unit = element.get("units", unit).strip()
    return (1 / value, unit[2:].strip()) if unit.startswith("1/") else (value, unit)
