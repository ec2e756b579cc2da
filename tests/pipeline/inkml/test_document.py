"""InkML parsing: quirks of real files, and hostile files."""

import codecs
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latexify.pipeline.inkml.document import ParsedInk, parse_inkml
from latexify.pipeline.inkml.xml import MAX_DETAIL_CHARS, UnusableInkError
from latexify.pipeline.inks.ink import Reason

NAMESPACE = 'xmlns="http://www.w3.org/2003/InkML"'
LABEL = '<annotation type="truth">$x$</annotation>'


def parse(data: bytes | str, *, max_file_bytes: int = 1_000_000, max_points: int = 1000) -> ParsedInk:
    """Parse with limits small enough to reach."""
    raw = data.encode() if isinstance(data, str) else data
    return parse_inkml(raw, max_file_bytes=max_file_bytes, max_points=max_points)


def ink(body: str, *, namespace: str = NAMESPACE) -> str:
    """An InkML document around `body`."""
    return f"<ink {namespace}>{body}</ink>"


def points_of(body: str) -> list[list[list[float]]]:
    """Strokes of an ink as plain lists."""
    return [stroke.tolist() for stroke in parse(ink(body)).strokes]


def reason_of(data: bytes | str, **limits: int) -> Reason:
    """Return why the bytes are not an ink."""
    with pytest.raises(UnusableInkError) as caught:
        parse(data, **limits)
    return caught.value.reason


def test_crohme_layout_is_read() -> None:
    """A CROHME file as published: ids that are no NCName, newlines around points, MathML, nested symbol groups."""
    parsed = parse(
        ink(
            '<traceFormat><channel name="X" type="decimal"/><channel name="Y" type="decimal"/></traceFormat>'
            '<annotation type="writer">w1</annotation><annotation type="truth"> $3x$ </annotation>'
            '<annotationXML type="truth"><math xmlns="http://www.w3.org/1998/Math/MathML"><mn xml:id="3_1">3</mn>'
            '<semantics><annotation type="truth">wrong</annotation></semantics></math></annotationXML>'
            '<trace id="0">\r\n1.5 -2, 3 4\r\n</trace><trace id="1">\n5 6\n</trace>'
            '<traceGroup xml:id="2"><annotation type="truth">Segmentation</annotation>'
            '<traceGroup xml:id="3:3"><annotation type="truth">3</annotation><traceView traceDataRef="0"/>'
            '<annotationXML href="3_1"/></traceGroup></traceGroup>'
        )
    )
    assert [stroke.tolist() for stroke in parsed.strokes] == [[[1.5, -2], [3, 4]], [[5, 6]]]
    assert parsed.annotations == {"writer": "w1", "truth": "$3x$"}
    assert all(stroke.dtype == np.float32 for stroke in parsed.strokes)


def test_mathwriting_layout_is_read() -> None:
    """MathWriting separates x y t by commas without spaces; time must not become a coordinate."""
    body = (
        '<annotation type="label">a</annotation><annotation type="normalizedLabel">b</annotation>'
        '<traceFormat><channel name="X" type="decimal"/><channel name="Y" type="decimal"/>'
        '<channel name="T" type="decimal"/></traceFormat><trace id="0">1 2 0.0,3 4 10.5</trace>'
    )
    assert points_of(body) == [[[1, 2], [3, 4]]]
    assert parse(ink(body)).annotations["normalizedLabel"] == "b"


@pytest.mark.parametrize(
    ("channels", "trace", "expected"),
    [
        ("", "1 2, 3 4", [[1, 2], [3, 4]]),
        ("", "1 2 9 8, 3 4 9 8", [[1, 2], [3, 4]]),
        ("XYF", "1 2, 3 4", [[1, 2], [3, 4]]),
        ("XY", "1 2 9, 3 4 9", [[1, 2], [3, 4]]),
        ("TXY", "9 1 2, 9 3 4", [[1, 2], [3, 4]]),
        ("YX", "2 1, 4 3", [[1, 2], [3, 4]]),
        ("XYT", "1 2 5, 3 4", [[1, 2], [3, 4]]),
    ],
)
def test_declared_channels_say_where_x_and_y_are(channels: str, trace: str, expected: list[list[float]]) -> None:
    """81 CROHME files declare X Y F and hold two values; other programs put time or Y first."""
    declared = "".join(f'<channel name="{name}"/>' for name in channels)
    assert points_of(f"<traceFormat>{declared}</traceFormat><trace>{trace}</trace>") == [expected]


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        ("1e1 -2.5E-1", [[10, -0.25]]),
        ("+1 .5", [[1, 0.5]]),
        ("1 2, 3 4,", [[1, 2], [3, 4]]),
        (",1 2,, 3 4", [[1, 2], [3, 4]]),
        ("1\t2,\r\n3\n4", [[1, 2], [3, 4]]),
        ("7 7, 7 7, 7 7", [[7, 7]] * 3),
        ("1 <!-- pen -->2, 3 4", [[1, 2], [3, 4]]),
        ("<![CDATA[1 2, 3 4]]>", [[1, 2], [3, 4]]),
    ],
)
def test_unusual_number_texts_are_read(trace: str, expected: list[list[float]]) -> None:
    """Scientific notation, stray commas, repeated points, comments and CDATA occur in files found in the wild."""
    assert points_of(f"<trace>{trace}</trace>") == [expected]


@pytest.mark.parametrize(
    "trace",
    [
        "1 x",
        "1 nan",
        "1 inf",
        "NaN 1",
        "1 -Infinity",
        "0x10 1",
        "1_0 3",
        "1 1e39",
        "1",
        "1 2, 3",
        "१ २",
        "'1 2",
    ],
)
def test_points_that_are_not_numbers_reject_the_ink(trace: str) -> None:
    """A stroke with a broken coordinate must not be drawn without it."""
    assert reason_of(ink(f"<trace>1 2, 3 4</trace><trace>{trace}</trace>")) is Reason.BAD_POINTS


def test_missing_commas_reject_the_ink() -> None:
    """Points separated by newlines only, in some places, would silently become one dot for a whole stroke."""
    assert reason_of(ink("<trace>1 2,3 4</trace><trace>" + "1 2\n" * 20 + "</trace>")) is Reason.BAD_POINTS


def test_strokes_keep_document_order_and_empty_traces_vanish() -> None:
    """Writing order is data; empty, pen-up and repeated-id traces must not change it."""
    body = (
        '<trace id="b">1 1</trace><trace/><trace id="b"> </trace><trace type="penUp">8 8</trace>'
        "<traceGroup><trace>2 2</trace><traceGroup><trace>3 3</trace></traceGroup></traceGroup><trace>4 4</trace>"
        "<definitions><trace>9 9</trace></definitions>"
    )
    assert points_of(body) == [[[1, 1]], [[2, 2]], [[3, 3]], [[4, 4]]]


def test_traces_only_in_definitions_are_the_ink() -> None:
    """Files that hold all traces as definitions and show them through views would otherwise be empty."""
    body = '<definitions><trace xml:id="a">1 2</trace></definitions><traceView traceDataRef="#a"/>'
    assert points_of(body) == [[[1, 2]]]


@pytest.mark.parametrize("body", ["", "<trace/>", "<trace> , </trace>", '<trace type="penUp">1 2</trace>'])
def test_ink_without_points_is_rejected(body: str) -> None:
    """An empty picture with a label would teach the model to guess."""
    assert reason_of(ink(body)) is Reason.NO_STROKES


@pytest.mark.parametrize("namespace", ["", NAMESPACE, 'xmlns="urn:other"'])
def test_namespace_does_not_matter(namespace: str) -> None:
    """Files come with the InkML namespace, with another, and with none."""
    assert len(parse(ink(f"{LABEL}<trace>1 2</trace>", namespace=namespace)).strokes) == 1


def test_prefixed_elements_are_read() -> None:
    """A prefix instead of a default namespace is fine; one that is not declared is not InkML."""
    body = "<n:ink{}><n:annotation type='truth'>x</n:annotation><n:trace>1 2</n:trace></n:ink>"
    assert parse(body.format(" xmlns:n='urn:a'")).annotations == {"truth": "x"}
    assert reason_of(body.format("")) is Reason.NOT_INKML


def test_labels_come_from_the_root_only() -> None:
    """A symbol's label taken for the formula's would poison training; a misspelt attribute must not lose the label."""
    group = '<traceGroup><annotation type="truth">x</annotation></traceGroup>'
    assert parse(ink(group + "<trace>1 2</trace>")).annotations == {}
    misspelt = '<annotation typx="truth">$a$</annotation><trace>1 2</trace>'
    assert parse(ink(misspelt)).annotations == {"truth": "$a$"}
    twice = '<annotation type="truth">a</annotation><annotation type="truth">b</annotation><trace>1 2</trace>'
    assert parse(ink(twice)).annotations == {"truth": "a"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a &lt; b &amp; c", "a < b & c"),
        ("<![CDATA[a < b & c]]>", "a < b & c"),
        ("a<!-- no -->b", "ab"),
        ("&#x5d0;", "א"),
        ("수식", "수식"),
        ("a<i>b</i>c", "abc"),
    ],
)
def test_label_text_is_complete(written: str, read: str) -> None:
    """Entities, CDATA, comments and markup inside a label must not cut it short."""
    assert parse(ink(f'<annotation type="t">{written}</annotation><trace>1 2</trace>')).annotations["t"] == read


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("utf-32"),
        lambda text: text.encode("latin-1"),
        lambda text: b'<?xml version="1.0" encoding="ISO-8859-1"?>' + text.encode("latin-1"),
        lambda text: b'<?xml version="1.0" encoding="UTF-16"?>' + text.encode(),
        lambda text: b'<?xml version="1.0" encoding="punycode"?>' + text.encode(),
        lambda text: b'\n <?xml version="1.0" encoding="no-such"?>\n' + text.encode(),
        lambda text: ('<?xml version="1.0" encoding="UTF-16"?>' + text).encode("utf-16"),
    ],
)
def test_encodings(encode: Callable[[str], bytes]) -> None:
    """Byte order marks, wrong declarations and raw Latin-1 bytes (MfrDB0104) must not lose a file."""
    data = encode(ink('<annotation type="t">a·é</annotation><trace>1 2</trace>'))
    assert parse(data).annotations == {"t": "a·é"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b" \r\n", Reason.EMPTY_FILE),
        (b"\xef\xbb\xbf", Reason.MALFORMED_XML),
        (b"not xml", Reason.MALFORMED_XML),
        (b"<ink><trace>1 2</trace>", Reason.MALFORMED_XML),
        (b"<ink><trace>1 2</trace></ink><ink/>", Reason.MALFORMED_XML),
        (b"<ink><annotation type='t'>a < b</annotation><trace>1 2</trace></ink>", Reason.MALFORMED_XML),
        (b"<ink><annotation type='t'>a &nope; b</annotation><trace>1 2</trace></ink>", Reason.MALFORMED_XML),
        (b"<ink><trace>1 2\0</trace></ink>", Reason.MALFORMED_XML),
        (b"\0" * 100, Reason.MALFORMED_XML),
        (b"<svg/>", Reason.NOT_INKML),
        (b"<?xml version='1.0'?><!-- nothing -->", Reason.MALFORMED_XML),
        (b"<!DOCTYPE ink SYSTEM 'http://127.0.0.1:9/x.dtd'><ink><trace>1 2</trace></ink>", Reason.HOSTILE_XML),
        (b"<!DOCTYPE ink [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><ink>&x;</ink>", Reason.HOSTILE_XML),
        ("<!DOCTYPE ink [<!ENTITY x 'y'>]><ink>&x;</ink>".encode("utf-16"), Reason.HOSTILE_XML),
        (b"<ink>" + b"<traceGroup>" * 5000 + b"</traceGroup>" * 5000 + b"</ink>", Reason.MALFORMED_XML),
    ],
)
def test_unusable_files_are_rejected_with_a_reason(data: bytes, reason: Reason) -> None:
    """A truncated file above all: recovery would keep its label and silently drop the strokes that are missing."""
    assert reason_of(data) is reason
    # the parser is the same for all files of a thread
    assert points_of("<trace>1 2</trace>") == [[[1, 2]]]


def test_plain_doctype_is_harmless() -> None:
    """A DOCTYPE that declares and fetches nothing must not reject an ink."""
    assert len(parse("<!DOCTYPE ink><ink><trace>1 2</trace></ink>").strokes) == 1


def test_billion_laughs_cost_nothing() -> None:
    """One hostile file must not take down a worker."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 30))
    bomb = f'<!DOCTYPE ink [<!ENTITY e0 "ha">{entities}]><ink a="&e29;">&e29;</ink>'
    started = time.monotonic()
    tracemalloc.start()
    assert reason_of(bomb) is Reason.HOSTILE_XML
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.monotonic() - started < 1
    assert peak_bytes < 5_000_000


def test_limits() -> None:
    """Files and inks beyond the limits are refused; those at the limit are not."""
    at_limit = ink("<trace>" + ",".join(["1 2"] * 1000) + "</trace>")
    assert len(parse(at_limit).strokes[0]) == 1000
    beyond = ink("<trace>" + ",".join(["1 2"] * 600) + "</trace><trace>" + ",".join(["1 2"] * 401) + "</trace>")
    assert reason_of(beyond) is Reason.TOO_LARGE
    assert reason_of(ink("<trace>" + "1 2," * 100_000 + "</trace>")) is Reason.TOO_LARGE
    assert reason_of(at_limit, max_file_bytes=100) is Reason.TOO_LARGE


@given(st.binary(max_size=300))
@example(b"<ink><trace>1 2</trace></ink>")
def test_any_bytes_give_an_ink_or_a_reason(data: bytes) -> None:
    """Another exception would stop the run of a whole dataset because of one file."""
    wrapped = b"<ink><annotation type='t'>" + data + b"</annotation><trace>" + data + b"</trace></ink>"
    for each in (data, wrapped):
        outcome = _outcome(each)
        if isinstance(outcome, str):
            assert 0 < len(outcome) <= MAX_DETAIL_CHARS
            assert "\n" not in outcome
        else:
            assert all(np.isfinite(stroke).all() and len(stroke) for stroke in outcome.strokes)


def _outcome(data: bytes) -> ParsedInk | str:
    try:
        return parse(data)
    except UnusableInkError as error:
        return error.detail


coordinates = st.floats(width=32, allow_nan=False, allow_infinity=False)
strokes_strategy = st.lists(
    st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=8), min_size=1, max_size=8
)


@given(strokes_strategy, st.sampled_from([",", ", ", " ,\n"]), st.sampled_from(["", " 7"]))
def test_written_strokes_come_back_bit_for_bit(
    strokes: list[list[tuple[float, float]]], comma: str, extra: str
) -> None:
    """Parsing all traces at once must not move a point to another stroke or change its last digit."""
    traces = [comma.join(f"{x!r} {y!r}{extra}" for x, y in stroke) for stroke in strokes]
    parsed = parse(ink("".join(f"<trace>{trace}</trace>" for trace in traces)))
    assert len(parsed.strokes) == len(strokes)
    for found, written in zip(parsed.strokes, strokes, strict=True):
        np.testing.assert_array_equal(found, np.array(written, np.float32))
