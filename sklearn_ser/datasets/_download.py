"""Downloading a corpus: once, whole, and as it was published; used by the `fetch_` functions."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import stat
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

__all__ = ["Archive", "Source", "download"]

LOGGER = logging.getLogger("sklearn_ser.datasets")
ENVIRONMENT_VARIABLE = "SKLEARN_SER_DATA"
TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 16  # of an interrupted download less than this is lost
N_THREADS = 8  # of clips that are published one by one
POINTER = re.compile(rb"version https://git-lfs\S+\noid (sha256:[0-9a-f]{64})\nsize (\d+)\n")


@dataclass(frozen=True)
class Archive:
    """A published zip file of clips, or of Git LFS pointers to clips.

    Parameters
    ----------
    folder : str
        Where it is unpacked, below the folder of data.
    url : str
        The publisher's address.
    file : str
        What it is called if it is put into the folder of data by hand.
    checksum : str
        "md5:…" of the file; or "git:…": the name of Git's tree of its content. An archive that
        GitHub makes is not the same to the byte each time, and what is in it is.
    size : int
        Bytes to download, about.
    takes : tuple of str
        Below the one folder that an archive of GitHub holds: what is taken; by default everything.
    clips : tuple of str
        Addresses of the folder that holds clips whose pointers are in the archive.
    """

    folder: str
    url: str
    file: str
    checksum: str
    size: int
    takes: tuple[str, ...] = ()
    clips: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A corpus: its archives, its terms, and how to get it without this module."""

    corpus: str
    archives: Mapping[str, Archive]
    terms: str
    by_hand: str = "download {url} and put it, as it is, at {file}; or unpack it into {folder}"


def _data_folder(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of data: `data_home`, else what the environment says, else the default."""
    home = data_home or os.environ.get(ENVIRONMENT_VARIABLE) or Path("~", "sklearn_ser_data")
    return Path(home).expanduser().absolute()


def download(
    source: Source,
    names: Iterable[str],
    data_home: str | os.PathLike[str] | None,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
    verbose: bool,
) -> Path:
    """Return the folder of data, with archives of a corpus unpacked in it, having downloaded them.

    A folder that is there, and not empty, is taken as it is. One that is made here appears at once
    and whole: an archive is checked before it is unpacked, in a folder that is renamed at the end.
    What was downloaded before an interruption is kept beside, and the next call goes on from it.
    Of several processes one downloads, and the others wait.

    Raises
    ------
    OSError
        If an archive is not there and may not be downloaded, or cannot be.
    ValueError
        If an archive that was put there by hand is not the one that was published, or names files
        outside its folder.
    """
    import filelock

    home = _data_folder(data_home)

    def missing() -> list[Archive]:
        archives = [source.archives[name] for name in names]
        return [archive for archive in archives if not _is_filled(home / archive.folder)]

    absent = [archive for archive in missing() if not (home / archive.file).is_file()]
    if absent and not download_if_missing:
        raise OSError(
            f"{source.corpus} is not in {home / absent[0].folder}, and download_if_missing is "
            f"False. {_advice(source, absent[0], home)}"
        )
    if not missing():
        return home
    home.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(home / f".{source.corpus}.lock"), _quiet_pooch():
        archives = missing()
        to_download = [archive for archive in archives if not (home / archive.file).is_file()]
        if to_download:
            size = sum(archive.size for archive in to_download) / 1e6
            urls = " and ".join(archive.url for archive in to_download)
            LOGGER.warning(  # without any settings, Python prints warnings to standard error
                "Downloading %s (%.0f MB) from %s to %s. %s",
                *(source.corpus, size, urls, home, source.terms),
            )
        for archive in archives:
            fetch = _Fetch(n_retries, delay, verbose)
            try:
                _make(archive, home, fetch)
            except _Failed as failed:
                raise OSError(
                    f"{source.corpus} could not be downloaded: {failed}. "
                    f"{_advice(source, archive, home)}"
                ) from failed.__cause__
    return home


def _make(archive: Archive, home: Path, fetch: _Fetch) -> None:
    """Make the folder of an archive; its name in the folder of work changes with its content."""
    folder, by_hand = home / archive.folder, home / archive.file
    name = archive.folder.replace("/", "-")
    work = home / f".{name}-{archive.checksum[-8:]}.partial"
    files = work / "files"
    files.mkdir(parents=True, exist_ok=True)
    if by_hand.is_file():
        found = _checksum(by_hand, archive)
        if found != archive.checksum:
            raise ValueError(
                f"{by_hand} is not the archive that was published: its checksum is {found}, and "
                f"not {archive.checksum}. Delete it, or download it again."
            )
        whole = by_hand
    else:
        whole = work / archive.file
        fetch(whole, [archive.url], archive.checksum, lambda path: _checksum(path, archive))
    pointers = _unpack(whole, archive, files)
    fetch.all(pointers, files, archive.clips)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir():  # it is empty
        folder.rmdir()
    files.rename(folder)
    shutil.rmtree(work)


class _Failed(Exception):
    """A download that did not succeed, however often it was tried; it says why."""


@dataclass(frozen=True)
class _Fetch:
    """Downloads files, each from the first of its addresses that gives it, several times."""

    n_retries: int
    delay: float
    verbose: bool

    def __call__(
        self,
        path: Path,
        urls: Sequence[str],
        checksum: str,
        checksum_of: Callable[[Path], str],
        *,
        bar: bool = True,
    ) -> None:
        import pooch
        import requests

        known_hash = None if checksum.startswith("git:") else checksum  # pooch does not know Git's
        downloader = _Resuming(path, checksum, checksum_of, self._bar(disable=not bar))
        for attempt in range(self.n_retries + 1):
            url = urls[attempt % len(urls)]
            try:
                pooch.retrieve(url, known_hash, path.name, path.parent, downloader=downloader)
                return
            except (requests.RequestException, ValueError) as error:
                if attempt == self.n_retries:
                    raise _Failed(f"{url}: {_cause(error)}") from error
                time.sleep(self.delay)

    def all(
        self, pointers: Mapping[str, tuple[str, int]], files: Path, urls: Iterable[str]
    ) -> None:
        """Download the clips that pointers name, which have a checksum and a size each."""
        if not pointers:
            return
        with ExitStack() as stack:
            threads = ThreadPoolExecutor(N_THREADS)
            stack.callback(threads.shutdown, cancel_futures=True)
            n_bytes = sum(size for _, size in pointers.values())
            progress = stack.enter_context(self._bar()(total=n_bytes))
            sizes = {}
            for name, (checksum, size) in pointers.items():
                (files / name).parent.mkdir(parents=True, exist_ok=True)
                addresses = [f"{url}/{name.partition('/')[2]}" for url in urls]
                arguments = (files / name, addresses, checksum, _sha256)
                sizes[threads.submit(self, *arguments, bar=False)] = size
            for done in as_completed(sizes):
                done.result()
                progress.update(sizes[done])

    def _bar(self, *, disable: bool = False) -> Callable[..., Any]:
        from functools import partial

        from tqdm.auto import tqdm

        off = disable or not self.verbose
        return partial(tqdm, unit="B", unit_scale=True, disable=True if off else None)


@dataclass(frozen=True)
class _Resuming:
    """A downloader for pooch that goes on where the last attempt stopped, and checks at the end."""

    path: Path
    checksum: str
    checksum_of: Callable[[Path], str]
    bar: Callable[..., Any]

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        import requests

        part = self.path.with_name(f"{self.path.name}.part")
        there = part.stat().st_size if part.is_file() else 0
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={there}-"} if there else {})}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink()  # it holds more than the file, or all of it
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                there = 0
            length = response.headers.get("Content-Length")
            total = None if length is None else there + int(length)
            with (
                open(part, "ab" if there else "wb") as file,
                self.bar(total=total, initial=there, desc=self.path.name) as progress,
            ):
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    progress.update(len(chunk))
        size = part.stat().st_size
        if total is not None and size != total:
            raise requests.exceptions.ChunkedEncodingError(f"cut short at {size} of {total} bytes")
        found = self.checksum_of(part)
        if found != self.checksum:
            part.unlink()
            raise ValueError(f"what came has the checksum {found}, and not {self.checksum}")
        os.replace(part, output_file)


def _unpack(path: Path, archive: Archive, files: Path) -> dict[str, tuple[str, int]]:
    """Unpack an archive, but for pointers to clips: of these return checksum and size by name."""
    pointers = {}
    with zipfile.ZipFile(path) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        for member in members:
            _refuse_unsafe(member, path)
        for member in members:
            name = _below_root(member.filename)
            if archive.takes and not name.startswith(archive.takes):
                continue
            pointer = POINTER.fullmatch(opened.read(member)) if archive.clips else None
            if pointer is None:
                opened.extract(member, files)
            else:
                pointers[name] = (pointer[1].decode(), int(pointer[2]))
    return pointers


def _refuse_unsafe(member: zipfile.ZipInfo, path: Path) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    outside = name.is_absolute() or ".." in name.parts or PureWindowsPath(name).drive
    if outside or stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(
            f"{path} is not unpacked: its member {member.filename!r} would be a link, or lie "
            "outside the folder."
        )


def _below_root(name: str) -> str:
    return name.partition("/")[2]


def _checksum(path: Path, archive: Archive) -> str:
    """Return the checksum of an archive, of the kind that is known of it."""
    import pooch

    kind = archive.checksum.partition(":")[0]
    if kind != "git":
        return f"{kind}:{pooch.file_hash(str(path), alg=kind)}"
    files = {}
    try:
        with zipfile.ZipFile(path) as opened:
            for member in opened.infolist():
                name = _below_root(member.filename)
                if not member.is_dir() and name.startswith(archive.takes or ""):
                    files[name] = _git_object("blob", opened.read(member))
    except zipfile.BadZipFile as error:
        return f"git: none, as it is no zip file ({error})"
    return f"git:{_git_tree(files).hex()}"


def _sha256(path: Path) -> str:
    import pooch

    return f"sha256:{pooch.file_hash(str(path), alg='sha256')}"


def _git_tree(files: Mapping[str, bytes]) -> bytes:
    """Return the name of Git's tree of files, which are not executable, of their blobs' names."""
    folders: dict[str, dict[str, bytes]] = {}
    entries = {}
    for path, blob in files.items():
        first, _, rest = path.partition("/")
        if rest:
            folders.setdefault(first, {})[rest] = blob
        else:
            entries[first] = b"100644 " + first.encode() + b"\0" + blob
    for name, inside in folders.items():  # Git sorts a folder as if its name ended in "/"
        entries[f"{name}/"] = b"40000 " + name.encode() + b"\0" + _git_tree(inside)
    return _git_object("tree", b"".join(entries[name] for name in sorted(entries)))


def _git_object(kind: str, content: bytes) -> bytes:
    header = f"{kind} {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).digest()


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _advice(source: Source, archive: Archive, home: Path) -> str:
    places = {"file": home / archive.file, "folder": home / archive.folder}
    return f"To do it by hand: {source.by_hand.format(url=archive.url, **places)}."


def _cause(error: Exception) -> str:
    """Return what an error of requests says in its innermost part."""
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", inner)) or type(error).__name__


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch from logging a line for each of thousands of clips."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)
