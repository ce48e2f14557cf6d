"""Files that are complete or absent, and their digests."""

import hashlib
import os
import stat

import pytest

from sklearn_ser._utils import _files as files
from sklearn_ser._utils import digest_of, file_digest, write_atomically


@pytest.mark.parametrize("stopped_by", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_a_file_that_could_not_be_written_is_as_it_was(stopped_by, tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"be", memoryview(b"fore"))

    def stop(*_):
        raise stopped_by

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(type(stopped_by)):
        write_atomically(path, b"after", sync=True)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"before")]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_is_for_all_that_may_read_new_files(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "file", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_digests_are_sha256_of_what_is_joined(tmp_path):
    content = b"abc" * 100_000
    expected = hashlib.sha256(content).hexdigest()
    assert digest_of(content[:7], memoryview(content[7:])) == expected[:32]
    assert digest_of("é", b"!") == hashlib.sha256("é!".encode()).hexdigest()[:32]
    (tmp_path / "file").write_bytes(content)
    assert file_digest(tmp_path / "file") == expected


@pytest.mark.parametrize("settled", [True, False])
def test_a_file_is_hashed_again_unless_its_dates_tell_of_changes(settled, tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_ser._utils._files.SETTLED_NS", -(10**18) if settled else 10**18)
    path, hashed, original = tmp_path / "file", [], files.open_regular
    path.write_bytes(b"content")
    monkeypatch.setattr(files, "open_regular", lambda *args: hashed.append(1) or original(*args))
    assert len({file_digest(path) for _ in range(3)}) == 1
    assert len(hashed) == (1 if settled else 3)
    path.write_bytes(b"changed")
    assert file_digest(path) == hashlib.sha256(b"changed").hexdigest()


@pytest.mark.skipif(os.name != "posix", reason="named pipes of POSIX")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        file_digest(tmp_path / "pipe")
