# ruff: noqa: T201
"""Makes every call with the client that openapi-python-client generated in ./client: `… URL STROKES_AS_JSON`."""

import base64
import io
import json
import sys

sys.path.insert(0, ".")
from client import Client  # type: ignore[import-not-found]  # generated
from client.api.default import health, metrics, ready, recognize, recognize_batch  # type: ignore[import-not-found]
from client.models import (  # type: ignore[import-not-found]
    FileForm,
    ImageItem,
    InkmlItem,
    ItemList,
    RecognizeFormatsItem,
    StrokesItem,
)
from client.types import File  # type: ignore[import-not-found]

url, strokes = sys.argv[1], json.loads(sys.argv[2])
traces = "".join(f"<trace>{', '.join(f'{x} {y}' for x, y in stroke)}</trace>" for stroke in strokes)
inkml = f'<ink xmlns="http://www.w3.org/2003/InkML">{traces}</ink>'
client = Client(base_url=url, raise_on_unexpected_status=True)

for call in (health, ready, metrics):
    assert call.sync_detailed(client=client).status_code == 200
    print(call.__name__.rpartition(".")[2])

for body in (StrokesItem(strokes=strokes), InkmlItem(inkml=inkml), File(payload=io.BytesIO(inkml.encode()))):
    print(recognize.sync(client=client, body=body).latex)
answer = recognize.sync(
    client=client, body=StrokesItem(strokes=strokes), beams=3, drawings=1, formats=[RecognizeFormatsItem.MATHML]
)
assert len(answer.alternatives) == 2
assert "<math" in answer.formats["mathml"]
print(answer.latex)
items = ItemList(items=[StrokesItem(strokes=strokes), InkmlItem(inkml=inkml)])
for result in recognize_batch.sync(client=client, body=items).results:
    print(result.latex)
files = FileForm(file=[File(payload=io.BytesIO(inkml.encode()), file_name=name) for name in ("a.inkml", "b.inkml")])
for result in recognize_batch.sync(client=client, body=files).results:
    print(result.latex)
only = recognize.sync(client=client, body=StrokesItem(strokes=strokes), only="digits +")
print(only.latex)
for body in (StrokesItem(strokes=[[]]), ImageItem(image=base64.b64encode(b"no image").decode())):
    print(recognize.sync(client=client, body=body).status)
