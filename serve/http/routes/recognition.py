"""The routes that recognise."""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic.json_schema import SkipJsonSchema

from latexify.eval.config import MAX_DRAWINGS
from latexify.serve.formats.formats import Format
from latexify.serve.http.api import openapi, schemas
from latexify.serve.http.api.requests import JSON, JSON_LINES
from latexify.serve.http.batching import SearchOptions
from latexify.serve.http.http_errors import CLIENT_GONE, HttpError
from latexify.serve.http.limits import MAX_BEAMS, MAX_ONLY_CHARS
from latexify.serve.http.request_body import BodyReceiver, wait_for_disconnect
from latexify.serve.http.worker import Answers, Wanted, Worker

Formats = Annotated[
    list[Format], Query(description="Formats in which the answer is wanted beside the LaTeX; may be repeated.")
]
Beams = Annotated[int, Query(ge=1, le=MAX_BEAMS, description="Beam width; above 1, alternatives are returned too.")]
Drawings = Annotated[
    int,
    Query(ge=1, le=MAX_DRAWINGS, description="Drawings of each picture whose answers vote: accurate, but slower."),
]
Only = Annotated[
    str | SkipJsonSchema[None],
    Query(
        max_length=MAX_ONLY_CHARS,
        description="The symbols that may be written: digits, letters, LaTeX tokens.",
        json_schema_extra={"format": "symbols"},
    ),
]


def _wanted(
    beams: Beams = 1,
    drawings: Drawings = 1,
    only: Only = None,
    formats: Formats = [],  # noqa: B006  # FastAPI copies it
) -> Wanted:
    return Wanted(options=SearchOptions(num_beams=beams, num_drawings=drawings, only=only), formats=formats)


def add_recognition(app: FastAPI, worker: Worker, bodies: BodyReceiver, *, errors: Mapping[int, str]) -> None:
    """Add the routes; `errors` are the statuses that they may answer with, and what each means."""

    async def recognize(request: Request, wanted: Annotated[Wanted, Depends(_wanted)]) -> Response:
        """Recognise an ink or an image.

        A file may also be sent as `image/*` or `application/inkml+xml`; its content decides what it is. Lists, forms
        and JSON lines are answered as `/recognize/batch` does.
        """
        return _render(await _answer(request, wanted, worker, bodies))

    async def recognize_batch(request: Request, wanted: Annotated[Wanted, Depends(_wanted)]) -> Response:
        """Recognise several inks and images: JSON, a form of files, or JSON lines (`application/jsonlines`).

        An item that cannot be read has an error in its place. JSON lines are answered by JSON lines.
        """
        return _render(await _answer(request, wanted, worker, bodies), is_list=True)

    for path in ("/recognize", "/invocations"):
        app.post(
            path,
            operation_id="recognize",
            responses=_described(schemas.responses(schemas.Answer, errors=errors), "recognize"),
            response_model=None,
            openapi_extra={"requestBody": openapi.body_of_one()},
            include_in_schema=path == "/recognize",
        )(recognize)
    app.post(
        "/recognize/batch",
        operation_id="recognize_batch",
        responses=_described(schemas.responses(schemas.AnswerList, errors=errors), "recognize_batch"),
        response_model=None,
        openapi_extra={"requestBody": openapi.body_of_several()},
    )(recognize_batch)


def _described(responses: schemas.Responses, operation: str) -> schemas.Responses:
    responses[HTTPStatus.OK]["content"] = {JSON: {"examples": openapi.answer_examples(operation)}}
    return responses


async def _answer(request: Request, wanted: Wanted, worker: Worker, bodies: BodyReceiver) -> Answers:
    worker.require_ready()
    timeout_s = worker.settings.limits.answer_timeout_s
    async with bodies.receive(request.receive, request.headers) as body:
        content_type = request.headers.get("content-type", "")
        work = asyncio.ensure_future(worker.answer(body, content_type=content_type, wanted=wanted))
        gone = asyncio.ensure_future(wait_for_disconnect(request.receive))
        try:
            await asyncio.wait({work, gone}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            return _result(work, has_gone=gone.done(), timeout_s=timeout_s)
        finally:
            work.cancel()
            gone.cancel()


def _result(work: "asyncio.Future[Answers]", *, has_gone: bool, timeout_s: float) -> Answers:
    if work.done():
        return work.result()
    if has_gone:
        raise HttpError(CLIENT_GONE, "the client disconnected")
    raise HttpError(HTTPStatus.GATEWAY_TIMEOUT, f"no answer within {timeout_s:g} s: send less, or try again later")


def _render(answers: Answers, *, is_list: bool = False) -> Response:
    if answers.form == "lines":
        lines = [json.dumps(result, ensure_ascii=False) + "\n" for result in answers.results]
        return Response("".join(lines), media_type=JSON_LINES)
    if answers.form == "list" or is_list:
        return JSONResponse({"results": answers.results})
    (result,) = answers.results
    return JSONResponse(result)
