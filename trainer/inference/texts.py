"""Token ids to text: without the `tokenizers` package where the tokens are LaTeX tokens.

That package and what it depends on have 50 MB, and what it does for such tokens is `join_tokens`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from latexify.artifacts.names import TOKENIZER_NAME
from latexify.common.errors import first_line
from latexify.common.extras import missing_extra
from latexify.pipeline.latex import join_tokens

Texts = Callable[[Sequence[list[int]]], list[str]]

JOINING_DECODER: dict[str, Any] = {
    "type": "Sequence",
    "decoders": [
        {"type": "WordPiece", "prefix": "\0", "cleanup": False},
        {"type": "Fuse"},
        *(
            {"type": "Replace", "pattern": {"Regex": pattern}, "content": ""}
            for pattern in (r"(?:(?<= [a-zA-Z])|(?<=\A[a-zA-Z])) ", r" (?![a-zA-Z])", r"(?<![a-zA-Z]) ")
        ),
    ],
}
"""The decoder of `latexify.pipeline.vocab.tokenizer` in tokenizer.json: it joins tokens as `join_tokens` does."""


def open_texts(folder: Path) -> Texts:
    """Return the function that turns token ids into texts, without special tokens, by a folder's tokenizer.json.

    Raises:
        LatexifyError: If it needs the package `tokenizers`, which is not installed.
        OSError: If the file is missing. ValueError or KeyError: If it is damaged.
    """
    text = (folder / TOKENIZER_NAME).read_text(encoding="utf-8")
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"{TOKENIZER_NAME} is not a JSON object")  # noqa: TRY004  # as the loader's other errors
    if content["model"]["type"] == "WordLevel" and content["decoder"] == JOINING_DECODER:
        special = {token["content"] for token in content["added_tokens"] if token["special"]}
        words = {int(index): str(word) for word, index in content["model"]["vocab"].items() if word not in special}
        return lambda sequences: [join_tokens(words[index] for index in ids if index in words) for ids in sequences]
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415  # see above
    except ModuleNotFoundError:
        raise missing_extra(
            "train", package="tokenizers", needed_by=f"{folder}, whose tokens are pieces of text,"
        ) from None
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # noqa: BLE001  # it raises no other
        raise ValueError(f"{TOKENIZER_NAME} is damaged ({first_line(error)})") from None
    return lambda sequences: tokenizer.decode_batch(list(sequences), skip_special_tokens=True)
