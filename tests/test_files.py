"""One file, written whole: what is replaced, what is followed, what is written into."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from ntkflow._files import write_file
from ntkflow.errors import OutputError


def test_a_new_file_and_one_that_is_replaced(tmp_path):
    place = tmp_path / "a.txt"
    assert write_file(place, b"one") == place
    place.chmod(0o640)
    write_file(place, b"two")
    assert place.read_bytes() == b"two"
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_leads_to_the_file(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("old.txt", "new.txt"):
        (tmp_path / name).symlink_to(tmp_path / "there" / name)
    (tmp_path / "there" / "old.txt").write_bytes(b"one")
    for name in ("old.txt", "new.txt"):
        assert write_file(tmp_path / name, b"two") == tmp_path / name
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "there" / name).read_bytes() == b"two"


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_into(linked, tmp_path):
    """As a device is: renaming a file over it would destroy it."""
    pipe = place = tmp_path / "pipe"
    os.mkfifo(pipe)
    if linked:
        place = tmp_path / "link"
        place.symlink_to(pipe)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_file(place, b"words")
    reader.join(timeout=20)
    assert heard == [b"words"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "file").write_bytes(b"kept")
    for name in ("", "round", "none/a.txt", "file/a.txt", "x" * 300):
        with pytest.raises(OutputError, match=r"^path: "):
            write_file(tmp_path / name, b"words")
    assert sorted(os.listdir(tmp_path)) == ["file", "round"]
    assert (tmp_path / "file").read_bytes() == b"kept"
