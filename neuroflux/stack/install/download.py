"""Fetch locked files into the per-user cache, in parallel; a partial download is resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from neuroflux.errors import DownloadFailed, Unreachable
from neuroflux.stack.install.lockfile import Artifact

WORKERS = 4
ATTEMPTS = 5
CHUNK = 1 << 18
TIMEOUTS = (10.0, 20.0)
"""Seconds to connect, and between two reads."""

Advance = Callable[[int], None]
"""Receives the number of new bytes, negative when a file is restarted. Called from several threads."""


def missing(artifacts: Iterable[Artifact], folder: Path) -> list[Artifact]:
    """The artifacts not in the folder. A file gets its name after it was verified, so the name is enough."""
    return [artifact for artifact in artifacts if not (folder / artifact.file_name).exists()]


def fetch_all(artifacts: Iterable[Artifact], folder: Path, base: str, advance: Advance) -> None:
    """Fetch from the Maven repository at ``base``; raises DownloadFailed, and keeps partial files as ``*.part``."""
    stop = Event()
    with ThreadPoolExecutor(WORKERS) as pool:
        jobs = [pool.submit(_fetch, artifact, folder, base, advance, stop) for artifact in missing(artifacts, folder)]
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _fetch(artifact: Artifact, folder: Path, base: str, advance: Advance, stop: Event) -> None:
    part = folder / f"{artifact.file_name}.part"
    advance(_length(part))
    retrying = Retrying(
        retry=retry_if_exception_type(Unreachable),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(0.5),
        sleep=_pause(stop),
        reraise=True,
    )
    try:
        retrying(_resume, f"{base}/{artifact.path}", part, artifact, advance, stop)
    except Unreachable as error:
        raise DownloadFailed(
            f"{artifact.file_name} can't be fetched: {error}; the next start resumes the download"
        ) from error
    if stop.is_set():
        return
    _check(part, artifact)
    part.rename(folder / artifact.file_name)


def _pause(stop: Event) -> Callable[[float], None]:
    def pause(seconds: float) -> None:
        stop.wait(seconds)

    return pause


def _resume(address: str, part: Path, artifact: Artifact, advance: Advance, stop: Event) -> None:
    """Request the missing bytes of ``part`` (RFC 9110, 14.2) and append them."""
    have = _length(part)
    if have == artifact.size or stop.is_set():
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(address, headers=headers, stream=True, timeout=TIMEOUTS) as answer:
            resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if answer.status_code == 416 or (answer.ok and have and not resumed):
                advance(-have)
            _refuse(answer, part, artifact)
            _append(answer, part, artifact, have if resumed else 0, advance, stop)
    except requests.RequestException as error:
        raise Unreachable(_reason(error)) from error


def _append(
    answer: requests.Response, part: Path, artifact: Artifact, have: int, advance: Advance, stop: Event
) -> None:
    """Append the answer to the ``have`` existing bytes, up to the locked size."""
    with part.open("ab" if have else "wb") as file:
        for chunk in answer.iter_content(CHUNK):
            have += len(chunk)
            if have > artifact.size:
                raise _other(part, artifact, f"it is longer than {artifact.size} bytes")
            file.write(chunk)
            advance(len(chunk))
            if stop.is_set():
                return


def _refuse(answer: requests.Response, part: Path, artifact: Artifact) -> None:
    """Raise unless the answer has a body: Unreachable if a retry may help."""
    if answer.status_code == 416:
        part.unlink()
        raise Unreachable("the partial file is longer than the whole")
    if answer.status_code in (408, 429) or answer.status_code >= 500:
        raise Unreachable(f"the repository answers {answer.status_code}")
    if not answer.ok:
        raise DownloadFailed(f"{artifact.file_name} can't be fetched: the repository answers {answer.status_code}")


def _check(part: Path, artifact: Artifact) -> None:
    if (size := _length(part)) != artifact.size:
        raise _other(part, artifact, f"it has {size} bytes, not {artifact.size}")
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != artifact.sha256:
        raise _other(part, artifact, f"its SHA-256 is {found}")


def _other(part: Path, artifact: Artifact, how: str) -> DownloadFailed:
    """The error for content that differs from the locked file; the partial file is deleted."""
    part.unlink()
    return DownloadFailed(f"{artifact.file_name} is not the locked file: {how}")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: requests.RequestException) -> str:
    """The cause in short: the text of requests nests four exceptions."""
    if isinstance(error, requests.Timeout):
        return "the repository does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the repository's certificate can't be checked (behind a proxy, set REQUESTS_CA_BUNDLE)"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection to the repository broke"
    return "the repository can't be reached"
