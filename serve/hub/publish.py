"""Publishing a model: its folder and a card, in one commit, to a repository of the Hugging Face Hub.

The Hub is where the environment variable HF_ENDPOINT says, huggingface.co where it says nothing; the token is
huggingface_hub's (`hf auth login`, or HF_TOKEN).
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from httpx2 import TransportError
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RevisionNotFoundError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # exported while it runs

from latexify.artifacts.names import CARD_NAME
from latexify.common.errors import LatexifyError


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What was published. commit_url: where to look at it. num_files, num_bytes: of the folder, card included."""

    repo: str
    commit_url: str
    num_files: int
    num_bytes: int


def list_files(model: Path, *, card: str) -> dict[str, int]:
    """What :func:`publish` uploads: size in bytes by path in the repository, sorted. Hidden files stay at home."""
    sizes = {path.relative_to(model).as_posix(): path.stat().st_size for path in _visible_files(model)}
    return dict(sorted({**sizes, CARD_NAME: len(card.encode())}.items()))


def publish(  # noqa: PLR0913  # what and where to, all named
    model: Path,
    *,
    repo: str,
    card: str,
    message: str,
    private: bool = True,
    revision: str = "main",
) -> Publication:
    """Upload the folder `model` and `card` as README.md to `repo`, which is made where it does not exist.

    repo: `name` (in the token's own namespace) or `namespace/name`. private: whether a repository that is made here is
    seen by its owners only; one that exists stays as it is. revision: a branch, made where it does not exist.

    Raises LatexifyError where the name is invalid, there is no token, the Hub cannot be reached, or it refuses.
    """
    check_repo_name(repo)
    token = get_token()
    if token is None:
        raise LatexifyError("no token for the Hub: run `hf auth login`, or set HF_TOKEN to one that may write")
    api = HfApi(token=token, library_name="latexify")
    with _plain_errors(api.endpoint, repo=repo), _staged(model, card=card) as folder:
        url = api.create_repo(repo, private=private, exist_ok=True)
        if revision != "main":
            api.create_branch(url.repo_id, branch=revision, exist_ok=True)
        commit = api.upload_folder(repo_id=url.repo_id, folder_path=folder, commit_message=message, revision=revision)
    sizes = list_files(model, card=card)
    return Publication(
        repo=url.repo_id, commit_url=commit.commit_url, num_files=len(sizes), num_bytes=sum(sizes.values())
    )


def check_repo_name(repo: str) -> None:
    """Raise LatexifyError where `repo` cannot be the name of a repository."""
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        reason = str(error).split(": ")[0].rstrip(".")
        raise LatexifyError(f"{repo!r} cannot be the name of a repository: {reason}") from None


def _visible_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            yield path


@contextlib.contextmanager
def _staged(model: Path, *, card: str) -> Iterator[Path]:
    """A folder of links to the model's files, and the card: `model` itself is an output of DVC, and stays as it is."""
    with tempfile.TemporaryDirectory(prefix="latexify-publish-") as name:
        staged = Path(name)
        for path in _visible_files(model):
            link = staged / path.relative_to(model)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
        (staged / CARD_NAME).unlink(missing_ok=True)
        (staged / CARD_NAME).write_text(card, encoding="utf-8", newline="\n")
        yield staged


@contextlib.contextmanager
def _plain_errors(endpoint: str, *, repo: str) -> Iterator[None]:
    """Say in one line what the errors of huggingface_hub, and of hf_xet beneath it, mean."""
    try:
        yield
    except (TransportError, OfflineModeIsEnabled) as error:
        raise LatexifyError(
            f"the Hub at {endpoint} cannot be reached ({_line(error)}): "
            "check the network, HF_ENDPOINT and HF_HUB_OFFLINE"
        ) from None
    except HfHubHTTPError as error:
        raise LatexifyError(_explain(error, endpoint=endpoint, repo=repo)) from None
    except RuntimeError as error:  # what huggingface_hub makes of a failed upload of one file
        raise _upload_failed(error.__cause__ or error, endpoint=endpoint, repo=repo) from error
    except OSError as error:
        if error.errno is not None:
            raise  # this machine's, not the Hub's
        raise _upload_failed(error, endpoint=endpoint, repo=repo) from error
    except ValueError as error:
        if not str(error).startswith("Invalid metadata"):
            raise
        raise LatexifyError(f"the Hub does not take the card of {repo}: {_line(error)}") from None


def _upload_failed(error: BaseException, *, endpoint: str, repo: str) -> LatexifyError:
    if isinstance(error, HfHubHTTPError):
        return LatexifyError(_explain(error, endpoint=endpoint, repo=repo))
    return LatexifyError(f"the upload to {repo} failed ({_line(error)}): run the same command again")


def _explain(error: HfHubHTTPError, *, endpoint: str, repo: str) -> str:
    status = error.response.status_code
    said = f" ({error.server_message.strip()})" if error.server_message else ""
    if isinstance(error, RevisionNotFoundError):
        return f"{repo} has no such branch{said}: name another with --revision"
    if status == 401:
        return f"the Hub does not know the token{said}: run `hf auth login` again, or correct HF_TOKEN"
    if status in {403, 404}:
        return f"the token may not write to {repo}{said}: use one with write access, or a namespace that is yours"
    if status == 429 or status >= 500:
        return f"the Hub at {endpoint} cannot serve now (HTTP {status}{said}): run the same command again later"
    return f"the Hub refuses {repo} (HTTP {status}{said})"


def _line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())
