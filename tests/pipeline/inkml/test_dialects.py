"""InkML as the Recommendation allows it: each dialect must give the strokes of its plain twin."""

import pytest

from latexify.pipeline.inkml.document import parse_inkml, read_document
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason

L_SHAPE = [[[10, 0], [10, 40], [30, 40]]]
"""The strokes of the plain twin: an L."""

PLAIN = "10 0,10 40,30 40"


def channels(names: str, *, intermittent: str = "", attributes: dict[str, str] | None = None) -> str:
    """The content of a trace format; `attributes` are those of channels by name."""

    def write(each: str) -> str:
        return "".join(f'<channel name="{name}" {(attributes or {}).get(name, "")}/>' for name in each)

    return write(names) + (
        f"<intermittentChannels>{write(intermittent)}</intermittentChannels>" if intermittent else ""
    )


def trace_format(names: str, *, xml_id: str = "", intermittent: str = "", **attributes: str) -> str:
    """A trace format of these channels."""
    content = channels(names, intermittent=intermittent, attributes=attributes)
    return f'<traceFormat xml:id="{xml_id}">{content}</traceFormat>'


def transform(matrix: str, *, inside: str = "") -> str:
    """A context with an affine canvas transform."""
    return (
        f'<context>{inside}<canvasTransform><mapping type="affine"><affine>{matrix}</affine></mapping>'
        "</canvasTransform></context>"
    )


def resolution(x: str, y: str, *, units: str = "1/in", units_y: str = "") -> str:
    """A context whose pen has these resolutions."""
    return (
        '<context><inkSource xml:id="pen">' + trace_format("XY") + "<channelProperties>"
        f'<channelProperty channel="X" name="resolution" value="{x}" units="{units}"/>'
        f'<channelProperty channel="Y" name="resolution" value="{y}" units="{units_y or units}"/>'
        "</channelProperties></inkSource></context>"
    )


YX_CONTEXT = f'<context xml:id="yx">{trace_format("YX")}</context>'
YX_FORMAT = trace_format("YX", xml_id="f")
YX_PEN = f'<inkSource xml:id="pen">{trace_format("YX")}</inkSource>'
TWO_TRACES = '<trace xml:id="a">10 0,10 40</trace><trace xml:id="b">30 40,99 99</trace>'
L_IN_DEFINITIONS = f'<definitions><trace xml:id="l">{PLAIN}</trace><trace xml:id="other">7 7,8 8</trace></definitions>'

DIALECTS = {
    # values (section 3.2.1)
    "plain": f"<trace>{PLAIN}</trace>",
    "first differences": "<trace>10 0,'0'40,20 0</trace>",
    "first differences, signs without spaces": "<trace>10 0,'0'40,20-0</trace>",
    "second differences": "<trace>10 0,'0'40,\"20\"-40</trace>",
    "explicit after differences": "<trace>10 0,'0'40,!30!40</trace>",
    "a prefix holds for its channel only": "<trace>10 0,10'40,30 0</trace>",
    "a prefix, then white space": "<trace>10 0,' 0 ' 40, 20 0</trace>",
    "a sign, then white space": "<trace>10 0,'0'40,20 - 0</trace>",
    "hexadecimal": "<trace>#A #0,#A #28,#1E #28</trace>",
    "no change": "<trace>10 0,* 40,30 *</trace>",
    "no change among differences": "<trace>10 0,'0'40,20*</trace>",
    "a point without a report of x": "<trace>10 0,10 40,? 99,30 40</trace>",
    "booleans": f"{trace_format('XYB')}<trace>10 0 T,10 40 F,30 40 T</trace>",
    "points separated by spaces": "<trace>10 0 10 40 30 40</trace>",
    "points separated by spaces, three channels": f"{trace_format('XYF')}<trace>10 0 5\n10 40 5\n30 40 5</trace>",
    # channels (section 3.1)
    "y before x": f"{trace_format('YX')}<trace>0 10,40 10,40 30</trace>",
    "names in lower case": trace_format("xy", y='units="mm"', x='units="cm"') + "<trace>10 0,10 400,30 400</trace>",
    "y before x, pressure not sent": f"{trace_format('YX', intermittent='F')}<trace>0 10,40 10,40 30</trace>",
    "y before x, pressure sent at times": f"{trace_format('YX', intermittent='F')}<trace>0 10,40 10 9,40 30</trace>",
    "pressure first, time not sent": f"{trace_format('FXYT')}<trace>5 10 0,5 10 40,5 30 40</trace>",
    "pressure declared and not sent": f"{trace_format('XYF')}<trace>{PLAIN}</trace>",
    # contexts (section 4)
    "contextRef of a trace": f'<definitions>{YX_CONTEXT}</definitions><trace contextRef="#yx">0 10,40 10,40 30</trace>',
    "contextRef of a group": f"<definitions>{YX_CONTEXT}</definitions>"
    '<traceGroup contextRef="#yx"><trace>0 10,40 10,40 30</trace></traceGroup>',
    "contextRef of a context": f'<definitions>{YX_CONTEXT}<context xml:id="c" contextRef="#yx"/></definitions>'
    '<trace contextRef="#c">0 10,40 10,40 30</trace>',
    "the context before a trace": f"{YX_CONTEXT}<trace>0 10,40 10,40 30</trace>",
    "the last context before a trace": f"<context>{trace_format('YX')}</context><context>{trace_format('XY')}</context>"
    f"<trace>{PLAIN}</trace>",
    "traceFormatRef": f'<definitions>{YX_FORMAT}</definitions><context traceFormatRef="#f"/>'
    "<trace>0 10,40 10,40 30</trace>",
    "inkSourceRef": f'<definitions>{YX_PEN}</definitions><context inkSourceRef="#pen"/><trace>0 10,40 10,40 30</trace>',
    "a context that is not used": f"<definitions>{YX_CONTEXT}</definitions><trace>{PLAIN}</trace>",
    "the default context by name": f'{YX_CONTEXT}<trace contextRef="#DefaultContext">{PLAIN}</trace>',
    # directions, units (sections 3.1.1 and 4.2)
    "y grows upward": trace_format("XY", Y='orientation="-ve"') + "<trace>10 0,10 -40,30 -40</trace>",
    "x grows to the left": trace_format("XY", X='orientation="-ve"') + "<trace>-10 0,-10 40,-30 40</trace>",
    "y in millimetres, x in centimetres": trace_format("XY", X='units="cm"', Y='units="mm"')
    + "<trace>10 0,10 400,30 400</trace>",
    "unequal resolution": resolution("1000", "2000") + "<trace>10 0,10 80,30 80</trace>",
    "equal resolution in different units": resolution("1000", "2540", units="1/cm", units_y="1/in")
    + f"<trace>{PLAIN}</trace>",
    "resolution as a length": resolution("0.001", "0.0005", units="in") + "<trace>10 0,10 80,30 80</trace>",
    # canvas transforms (section 4.4)
    "canvas transform, shifted": transform("1 0 5, 0 1 -7") + "<trace>5 7,5 47,25 47</trace>",
    "canvas transform, flipped": transform("1 0 0, 0 -1 0") + "<trace>10 0,10 -40,30 -40</trace>",
    "canvas transform, a quarter turn": transform("0 1 0, -1 0 0") + "<trace>0 10,-40 10,-40 30</trace>",
    "canvas transform, three channels": transform("1 0 0 0, 0 1 0 0", inside=trace_format("XYF"))
    + "<trace>10 0 9,10 40 9,30 40 9</trace>",
    "canvas transform, bound": '<context><canvasTransform><mapping type="affine"><bind source="Y"/><bind source="X"/>'
    '<bind target="X"/><bind target="Y"/><affine>0 1 0, 1 0 0</affine></mapping></canvasTransform></context>'
    f"<trace>{PLAIN}</trace>",
    "canvas transform, identity": '<context><canvasTransform><mapping type="identity"/></canvasTransform></context>'
    f"<trace>{PLAIN}</trace>",
    # collections (section 3.2)
    "a view of one of two definitions": f'{L_IN_DEFINITIONS}<traceView traceDataRef="#l"/>',
    "a view of points": '<definitions><trace xml:id="l">9 9,10 0,10 40,30 40,9 9</trace></definitions>'
    '<traceView traceDataRef="#l" from="2" to="4"/>',
    "a view of a group": '<definitions><traceGroup xml:id="g"><trace>9 9</trace>'
    f'<trace>9 9,{PLAIN}</trace></traceGroup></definitions><traceView traceDataRef="#g" from="2:2"/>',
    "a view of a view": f'{L_IN_DEFINITIONS[:-14]}<traceView xml:id="v" traceDataRef="#l"/></definitions>'
    '<traceView><traceView traceDataRef="#v"/></traceView>',
    "a view that groups": f'<trace xml:id="l">{PLAIN}</trace><traceView traceDataRef="#l" from="1" to="2"/>',
    "continuation": '<trace xml:id="a" continuation="begin">10 0</trace>'
    '<trace xml:id="b" continuation="middle" priorRef="#a">10 40</trace>'
    '<trace continuation="end" priorRef="#b">30 40</trace>',
    "continuation without references": '<trace continuation="begin">10 0,10 40</trace>'
    '<trace continuation="end">30 40</trace>',
    "a pen that is up": f'<trace type="penUp">1 1,2 2</trace><trace type="penDown">{PLAIN}</trace>',
    "a pen that hovers": f'<trace type="hover">1 1,2 2</trace><trace>{PLAIN}</trace>',
    "a tip that is up": trace_format("XYS", S='type="boolean"') + "<trace>1 1 F,10 0 T,10 40 T,30 40 T,2 2 F</trace>",
}
"""Each is the body of an InkML document."""


def parse(body: str) -> list[list[list[float]]]:
    """The strokes of an InkML document with this body."""
    document = f'<ink xmlns="http://www.w3.org/2003/InkML">{body}</ink>'
    return [stroke.tolist() for stroke in parse_inkml(document.encode(), max_file_bytes=10**6, max_points=1000).strokes]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_gives_the_strokes_of_its_plain_twin(dialect: str) -> None:
    """Half of these were refused, the others drawn mirrored, stretched, or with a stroke too many, without a word."""
    assert parse(DIALECTS[dialect]) == L_SHAPE


def test_the_example_of_the_recommendation() -> None:
    """Section 3.2.1: second differences, intermittent channels, values without spaces."""
    declared = (
        '<traceFormat><channel name="X"/><channel name="Y"/><intermittentChannels><channel name="B1" type="boolean"/>'
        '<channel name="B2" type="boolean"/></intermittentChannels></traceFormat>'
    )
    trace = "1125 18432,'23'43,\"7\"-8,3-5,7 -3,6 2,6 8,3 6 T,2 4*T,3 6,3-3 F"
    assert parse(f"{declared}<trace>{trace}</trace>")[0][:8] == [
        [1125, 18432],
        [1148, 18475],
        [1178, 18510],
        [1211, 18540],
        [1251, 18567],
        [1297, 18596],
        [1349, 18633],
        [1404, 18676],
    ]


REFUSED = {
    "a first difference at the start": (Reason.BAD_POINTS, "<trace>'1 2,3 4</trace>"),
    "a second difference after one point": (Reason.BAD_POINTS, '<trace>10 0,"1"2</trace>'),
    "a wildcard at the start": (Reason.BAD_POINTS, "<trace>* 2,3 4</trace>"),
    "a letter": (Reason.BAD_POINTS, "<trace>1 2,'3 x</trace>"),
    "a number of a thousand digits": (Reason.BAD_POINTS, f"<trace>1 '2,{'9' * 1000} 4</trace>"),
    "a coordinate that is true": (Reason.BAD_POINTS, "<trace>T 2,3 4</trace>"),
    "too few values for the channels": (Reason.BAD_POINTS, f"{trace_format('TXY')}<trace>1 2,3 4</trace>"),
    "no channel y": (Reason.CONTRADICTORY_INKML, f"{trace_format('XZ')}<trace>1 2,3 4</trace>"),
    "two channels x": (Reason.CONTRADICTORY_INKML, f"<context>{trace_format('XXY')}</context><trace>1 2 3</trace>"),
    "a context that does not exist": (Reason.CONTRADICTORY_INKML, '<trace contextRef="#c">1 2,3 4</trace>'),
    "a context of a group that does not exist": (
        Reason.CONTRADICTORY_INKML,
        '<traceGroup contextRef="#c"><trace>1 2,3 4</trace></traceGroup>',
    ),
    "a context that is no context": (
        Reason.CONTRADICTORY_INKML,
        f'<definitions>{YX_FORMAT}</definitions><trace contextRef="#f">1 2,3 4</trace>',
    ),
    "a context in another file": (Reason.UNSUPPORTED_INKML, '<trace contextRef="http://x.invalid/a#c">1 2</trace>'),
    "a circle of contexts": (
        Reason.CONTRADICTORY_INKML,
        (
            '<definitions><context xml:id="a" contextRef="#b"/><context xml:id="b" contextRef="#a"/></definitions>'
            '<trace contextRef="#a">1 2,3 4</trace>'
        ),
    ),
    "a canvas transform without inverse": (
        Reason.CONTRADICTORY_INKML,
        transform("1 1 0, 2 2 0") + "<trace>1 2</trace>",
    ),
    "NaN in a matrix": (Reason.CONTRADICTORY_INKML, transform("1 0 nan, 0 1 0") + "<trace>1 2</trace>"),
    "words in a matrix": (Reason.CONTRADICTORY_INKML, transform("1 0 a, 0 1 0") + "<trace>1 2</trace>"),
    "a matrix of one row": (Reason.CONTRADICTORY_INKML, transform("1 0 0") + "<trace>1 2</trace>"),
    "a matrix of too many columns": (Reason.CONTRADICTORY_INKML, transform("1 0 0 0, 0 1 0 0") + "<trace>1 2</trace>"),
    "an empty matrix": (Reason.CONTRADICTORY_INKML, transform("") + "<trace>1 2</trace>"),
    "a canvas transform by a formula": (
        Reason.UNSUPPORTED_INKML,
        '<context><canvasTransform><mapping type="mathml"/></canvasTransform></context><trace>1 2</trace>',
    ),
    "a channel that is computed": (
        Reason.UNSUPPORTED_INKML,
        trace_format("XY").replace("/>", '><mapping type="mathml"/></channel>', 1) + "<trace>1 2</trace>",
    ),
    "an orientation that is neither": (
        Reason.CONTRADICTORY_INKML,
        trace_format("XY", Y='orientation="up"') + "<trace>1 2</trace>",
    ),
    "a unit of x only": (Reason.UNSUPPORTED_INKML, trace_format("XY", X='units="mm"') + "<trace>1 2</trace>"),
    "a resolution of nothing": (Reason.CONTRADICTORY_INKML, resolution("0", "1") + "<trace>1 2</trace>"),
    "a view of nothing": (
        Reason.CONTRADICTORY_INKML,
        f'{L_IN_DEFINITIONS}<traceView traceDataRef="#nothing"/>',
    ),
    "a view past the end": (Reason.CONTRADICTORY_INKML, f'{L_IN_DEFINITIONS}<traceView traceDataRef="#l" to="9"/>'),
    "a view from zero": (Reason.CONTRADICTORY_INKML, f'{L_IN_DEFINITIONS}<traceView traceDataRef="#l" from="0"/>'),
    "a circle of views": (
        Reason.CONTRADICTORY_INKML,
        (
            '<definitions><traceView xml:id="a" traceDataRef="#b"/><traceView xml:id="b" traceDataRef="#a"/>'
            '</definitions><traceView traceDataRef="#a"/>'
        ),
    ),
    "a continuation of nothing": (Reason.CONTRADICTORY_INKML, '<trace continuation="end">1 2</trace>'),
    "a continuation of one of two": (
        Reason.CONTRADICTORY_INKML,
        2 * '<trace continuation="begin">1 2</trace>' + '<trace continuation="end">5 6</trace>',
    ),
    "an unknown continuation": (Reason.CONTRADICTORY_INKML, '<trace continuation="more">1 2</trace>'),
}
"""Bodies that are not understood, and the reason."""


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_understood_is_refused(case: str) -> None:
    """A guess would put a wrong picture beside a right label."""
    reason, body = REFUSED[case]
    with pytest.raises(UnusableInkError) as caught:
        parse(body)
    assert caught.value.reason is reason
    assert caught.value.detail


def test_many_views_of_a_long_trace_are_limited() -> None:
    """A file of a megabyte could otherwise show a hundred million points."""
    trace = ",".join(f"{number} {number}" for number in range(900))
    views = "".join(f'<traceView traceDataRef="#l" from="{number}"/>' for number in range(1, 500))
    with pytest.raises(UnusableInkError) as caught:
        parse(f'<definitions><trace xml:id="l">{trace}</trace></definitions>{views}')
    assert caught.value.reason is Reason.TOO_LARGE


def test_axes_in_one_unit_are_plain() -> None:
    """1,200 of CROHME's files name it. The slow way would take several times as long, and cut no symbols from them."""
    declared = trace_format("XYT", X='units="pt"', Y='units="pt"', T='units="ms"')
    document = f"<ink>{declared}<trace>10 0 1,10 40 2,30 40 3</trace></ink>".encode()
    assert read_document(document, max_file_bytes=1000).is_plain
    assert parse(f"{declared}<trace>10 0 1,10 40 2,30 40 3</trace>") == L_SHAPE
