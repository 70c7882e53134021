"""Models of a Hugging Face hub, by its own library: which files there are, with which hashes, and what they contain.

The library knows the hub's API, its tokens and its errors; its downloads begin anew in each process, so the pieces are
kept by :mod:`swarmgate.pulling.bringing`.  Importing it takes most of a second: only ``gateway models pull`` does.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import BinaryIO

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalTokenNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get  # pyright: ignore[reportUnknownVariableType]  # tqdm has no types
from huggingface_hub.utils import build_hf_headers  # pyright: ignore[reportUnknownVariableType]  # a dict of anything

from swarmgate.errors import PullError
from swarmgate.pulling.bringing import Parcel
from swarmgate.pulling.choosing import RepoFile, choose
from swarmgate.pulling.wanted import FromHub

_TOKEN_REMEDY = "set HF_TOKEN to a token that may read it, or log in with `hf auth login`"  # noqa: S105  # words


def endpoint() -> str:
    """Return where the hub is: what ``HF_ENDPOINT`` says, else huggingface.co."""
    return constants.ENDPOINT


def parcels(wanted: FromHub) -> tuple[Parcel, ...]:
    """Return the files of the model that is *wanted*, as they are brought from the hub.

    Raises:
        PullError: there is no such repository or file, or it may not be read, or the hub cannot be reached.

    """
    with translated(wanted.repo):
        info = HfApi().model_info(wanted.repo, revision=wanted.revision or None, files_metadata=True)
    files = [
        RepoFile(each.rfilename, each.size or 0, each.lfs.sha256 if each.lfs else "") for each in info.siblings or ()
    ]
    return tuple(_parcel(wanted, file, info.sha or wanted.revision) for file in choose(files, wanted))


def _parcel(wanted: FromHub, file: RepoFile, revision: str) -> Parcel:
    url = hf_hub_url(wanted.repo, file.path, revision=revision or None)

    def fetch(stream: BinaryIO, had: int) -> None:
        if file.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
            command = f"hf download {wanted.repo} {file.path} --local-dir FOLDER"
            raise PullError(f"{file.path} is too large for HTTP; bring it with `{command}`, and pull that file")
        with translated(wanted.repo):
            http_get(
                url,
                stream,
                resume_size=had,
                headers=build_hf_headers(),
                expected_size=file.size or None,
                displayed_filename=file.path,
            )

    identity = f"sha256:{file.sha256}" if file.sha256 else f"hub:{url}"
    return Parcel(f"{wanted.repo}/{file.path}", identity, file.size or None, file.sha256, fetch)


@contextmanager
def translated(what: str) -> Generator[None]:
    """Turn the errors of the library, and of the HTTP client below it, into ours; *what* was asked for."""
    hub = endpoint()
    try:
        yield
    except GatedRepoError:
        raise PullError(
            f"{what} is given only to who accepted its terms: do so at {hub}/{what}, and {_TOKEN_REMEDY}"
        ) from None
    except RevisionNotFoundError:
        raise PullError(f"{what} has no such revision at {hub}") from None
    except EntryNotFoundError:
        raise PullError(f"{what} has no such file at {hub} any more") from None
    except RepositoryNotFoundError:  # of one that may not be read the hub says just this
        raise PullError(f"{hub} has no {what}, or does not show it to everybody: {_TOKEN_REMEDY}") from None
    except LocalTokenNotFoundError as error:
        raise PullError(str(error)) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = f"; {_TOKEN_REMEDY}" if status in {401, 403} else "; try again later"
        raise PullError(f"{hub} answered {status} for {what}{remedy}") from None
    except OSError as error:
        raise PullError(f"{what} did not come whole: {error}; what came is kept, pull it again to go on") from None
    except Exception as error:
        # httpx or its successor, by the library's version: told by the name of its family, for both are not installed
        if type(error).__module__.partition(".")[0] not in {"httpx", "httpx2", "httpcore", "httpcore2"}:
            raise
        gist = str(error) or type(error).__name__
        raise PullError(
            f"{hub} cannot be reached for {what}: {gist}; what came is kept, pull it again to go on"
        ) from None
