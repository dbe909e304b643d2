"""Files that Python writes: as careful with what is in their place as the core's."""

import os
import stat
import threading

import pytest

from ninc._base.files import check_writable, write_whole, written_whole
from ninc.errors import FileError


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    # Stands for /dev/null and /dev/stdout, which a rename by root would take from the whole system.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    check_writable(pipe)
    write_whole(pipe, b"table")
    reader.join(60)
    assert found == [b"table"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no such device here")
def test_a_device_can_be_named_by_who_may_not_write_beside_it():
    check_writable("/dev/null")


def test_a_folders_name_is_none_for_a_file(tmp_path):
    with pytest.raises(FileError, match="new/: names a folder"):
        check_writable(f"{tmp_path}/new/")
    with pytest.raises(FileError, match="is a folder"):
        check_writable(f"{tmp_path}/")


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    file, link = tmp_path / "disk" / "history", tmp_path / "link"
    file.write_bytes(b"before")
    link.symlink_to("disk/history")
    check_writable(link)
    write_whole(link, b"after")
    assert link.is_symlink()
    assert file.read_bytes() == b"after"
    assert sorted(os.listdir(tmp_path)) == ["disk", "link"]
    assert os.listdir(file.parent) == ["history"]


def test_a_link_to_nothing_becomes_the_file(tmp_path):
    (tmp_path / "link").symlink_to("gone")
    write_whole(tmp_path / "link", b"here")
    assert (tmp_path / "link").read_bytes() == b"here"


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    file = tmp_path / "private"
    file.write_bytes(b"before")
    file.chmod(0o640)
    write_whole(file, b"after")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_read_only_file_stays_as_it_is(tmp_path, monkeypatch):
    file = tmp_path / "kept"
    file.write_bytes(b"before")
    file.chmod(0o440)
    monkeypatch.setattr(os, "access", lambda *_: False)  # tests may run as root, who may all
    with pytest.raises(FileError, match="permission denied"):
        check_writable(file)
    with pytest.raises(FileError, match="permission denied"):
        write_whole(file, b"after")
    assert file.read_bytes() == b"before"


def test_an_error_while_writing_leaves_the_file_before(tmp_path):
    file = tmp_path / "table"
    file.write_bytes(b"before")
    with pytest.raises(ValueError, match="mine"), written_whole(file) as opened:
        opened.write(b"half")
        raise ValueError("mine")
    assert file.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["table"]
