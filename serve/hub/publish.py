"""Upload a model's folder and its card, in one commit, to a repository on the Hugging Face Hub.

The environment variable HF_ENDPOINT names the Hub (default: huggingface.co). The token is huggingface_hub's
(`hf auth login`, or HF_TOKEN).
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
from latexify.common.errors import LatexifyError, one_line


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A published commit, with the number and size of its files, card included."""

    repo: str
    commit_url: str
    num_files: int
    num_bytes: int


def list_files(model: Path, *, card: str) -> dict[str, int]:
    """List the files that :func:`publish` uploads: size in bytes by path, sorted. Hidden files are left out."""
    sizes = {path.relative_to(model).as_posix(): path.stat().st_size for path in _visible_files(model)}
    return dict(sorted({**sizes, CARD_NAME: len(card.encode())}.items()))


def publish(  # noqa: PLR0913  # all keyword-only
    model: Path, *, repo: str, card: str, message: str, private: bool = True, revision: str = "main"
) -> Publication:
    """Upload a model with its card; repository and branch (`revision`) are created if they do not exist.

    `repo` is `name` (in the token's own namespace) or `namespace/name`. `private` is whether a new repository is
    private; an existing one stays as it is.

    Raises:
        LatexifyError: If the name is invalid, there is no token, or the Hub cannot be reached or refuses.
    """
    check_repo_name(repo)
    token = get_token()
    if token is None:
        raise LatexifyError("no token for the Hub: run `hf auth login`, or set HF_TOKEN to a token with write access")
    api = HfApi(token=token, library_name="latexify")
    with _one_line_errors(api.endpoint, repo=repo), _staged(model, card=card) as folder:
        url = api.create_repo(repo, private=private, exist_ok=True)
        if revision != "main":
            api.create_branch(url.repo_id, branch=revision, exist_ok=True)
        commit = api.upload_folder(repo_id=url.repo_id, folder_path=folder, commit_message=message, revision=revision)
    sizes = list_files(model, card=card)
    return Publication(
        repo=url.repo_id, commit_url=commit.commit_url, num_files=len(sizes), num_bytes=sum(sizes.values())
    )


def publish_space(space: Path, *, repo: str, message: str, private: bool = True) -> Publication:
    """Upload the folder of a Space (`latexify.serve.hub.space`), which is created if it does not exist.

    Takes and raises what :func:`publish` does.
    """
    token = get_token()
    if token is None:
        raise LatexifyError("no token for the Hub: run `hf auth login`, or set HF_TOKEN to a token with write access")
    api = HfApi(token=token, library_name="latexify")
    with _one_line_errors(api.endpoint, repo=repo):
        url = api.create_repo(repo, repo_type="space", space_sdk="docker", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=url.repo_id, repo_type="space", folder_path=space, commit_message=message, delete_patterns="*"
        )
    sizes = [path.stat().st_size for path in space.rglob("*") if path.is_file()]
    return Publication(repo=url.repo_id, commit_url=commit.commit_url, num_files=len(sizes), num_bytes=sum(sizes))


def check_repo_name(repo: str) -> None:
    """Raise LatexifyError if `repo` is not a valid name of a repository."""
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        reason = str(error).split(": ")[0].rstrip(".")
        raise LatexifyError(f"{repo!r} is not a valid name of a repository: {reason}") from None


def _visible_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            yield path


@contextlib.contextmanager
def _staged(model: Path, *, card: str) -> Iterator[Path]:
    """Make a folder of links to the model's files, and the card. `model` is an output of DVC and must not change."""
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
def _one_line_errors(endpoint: str, *, repo: str) -> Iterator[None]:
    """Turn the errors of huggingface_hub and hf_xet into one line that explains them."""
    try:
        yield
    except (TransportError, OfflineModeIsEnabled) as error:
        raise LatexifyError(
            f"the Hub at {endpoint} cannot be reached ({one_line(error)}): "
            "check the network, HF_ENDPOINT and HF_HUB_OFFLINE"
        ) from None
    except HfHubHTTPError as error:
        raise LatexifyError(_explain(error, endpoint=endpoint, repo=repo)) from None
    except RuntimeError as error:  # huggingface_hub raises it if the upload of one file failed
        raise _upload_failed(error.__cause__ or error, endpoint=endpoint, repo=repo) from error
    except OSError as error:
        if error.errno is not None:
            raise  # an error of this machine, not of the Hub
        raise _upload_failed(error, endpoint=endpoint, repo=repo) from error
    except ValueError as error:
        if not str(error).startswith("Invalid metadata"):
            raise
        raise LatexifyError(f"the Hub rejects the card of {repo}: {one_line(error)}") from None


def _upload_failed(error: BaseException, *, endpoint: str, repo: str) -> LatexifyError:
    if isinstance(error, HfHubHTTPError):
        return LatexifyError(_explain(error, endpoint=endpoint, repo=repo))
    return LatexifyError(f"the upload to {repo} failed ({one_line(error)}): run the same command again")


def _explain(error: HfHubHTTPError, *, endpoint: str, repo: str) -> str:
    status = error.response.status_code
    details = f" ({error.server_message.strip()})" if error.server_message else ""
    if isinstance(error, RevisionNotFoundError):
        return f"{repo} has no such branch{details}: choose another with --revision"
    if status == 401:
        return f"the Hub does not accept the token{details}: run `hf auth login` again, or correct HF_TOKEN"
    if status in {403, 404}:
        return f"the token may not write to {repo}{details}: use a token with write access, or your own namespace"
    if status == 429 or status >= 500:
        return f"the Hub at {endpoint} is unavailable (HTTP {status}{details}): run the same command again later"
    return f"the Hub refuses the upload to {repo} (HTTP {status}{details})"
