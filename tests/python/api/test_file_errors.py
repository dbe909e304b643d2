"""Errors about files are Python's own, too; and a NUL in a path is told at every door."""

import contextlib
import copy
import errno
import multiprocessing
import os
import pickle
import tempfile
import traceback

import pytest

import ninc
from ninc._base.files import make_folder
from ninc.cli.common import load_network
from ninc.errors import FileError, reworded
from support.command_line import ninc_command
from support.small_pictures import noise, picture_network, save_noise
from support.small_training import bars, small_network

OF_ERRNO = {
    errno.ENOENT: FileNotFoundError,
    errno.EACCES: PermissionError,
    errno.EPERM: PermissionError,
    errno.EISDIR: IsADirectoryError,
    errno.ENOTDIR: NotADirectoryError,
    errno.EEXIST: FileExistsError,
    errno.ENOSPC: OSError,
    errno.EIO: OSError,
    None: OSError,
}


@pytest.mark.parametrize("code", OF_ERRNO)
def test_the_reason_chooses_the_class(code):
    error = FileError("cannot read x: because", code, "x")
    assert isinstance(error, FileError) and isinstance(error, OF_ERRNO[code])
    others = set(OF_ERRNO.values()) - {OSError, OF_ERRNO[code]}
    assert not isinstance(error, tuple(others))
    assert str(error) == "cannot read x: because"
    assert (error.errno, error.filename) == (code, "x")
    assert error.strerror == (None if code is None else os.strerror(code))


@pytest.mark.parametrize("code", OF_ERRNO)
def test_a_traceback_names_the_class_that_is_documented(code):
    error = FileError("cannot read x: because", code, "x")
    assert traceback.format_exception_only(type(error), error) == [
        "ninc.errors.FileError: cannot read x: because\n"
    ]
    assert repr(error).startswith("FileError(")


def test_a_class_of_somebody_elses_is_copied_as_it_is():
    error = Own("words", errno.ENOENT, "x")
    again = pickle.loads(pickle.dumps(error))
    assert type(error) is type(again) is Own and again.filename == "x"


class Own(FileError):
    pass


@pytest.mark.parametrize("name", ["x", "not utf-8 \udcff", b"bytes \xff", None])
@pytest.mark.parametrize("code", [errno.ENOENT, errno.ENOSPC, None])
def test_copies_are_the_same(code, name):
    error = FileError("a whole sentence", code, name)
    error.more = 3
    copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, 6)]
    for again in (*copies, copy.copy(error), copy.deepcopy(error), reworded(error, str(error))):
        assert type(again) is type(error) and str(again) == "a whole sentence"
        assert (again.errno, again.strerror) == (error.errno, error.strerror)
        assert again.filename == name and again.args == error.args
    assert copies[0].more == 3


def test_an_error_of_words_alone_is_a_file_error():
    assert type(FileError("words")) is FileError and type(FileError()) is FileError
    assert str(FileError("words")) == "words"
    assert FileError("words").errno is None and FileError("words").filename is None
    other = FileError.of(OSError(errno.EISDIR, "Is a directory"), "words", "here")
    assert isinstance(other, IsADirectoryError) and other.filename == "here"
    assert FileError.of(ValueError("damaged"), "words", "here").errno is None


def _load(path):
    ninc.load(path)


def test_an_error_comes_whole_out_of_another_process(tmp_path):
    path = str(tmp_path / "gone.safetensors")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(FileNotFoundError) as told:
            pool.apply(_load, (path,))
    assert isinstance(told.value, ninc.FileError)
    assert (told.value.errno, told.value.filename) == (errno.ENOENT, path)
    assert str(told.value) == f"cannot read {path}: No such file or directory"


# Calls that need the file, or the folder above it, and do not find it.
DOORS = {
    "load": ninc.load,
    "save": lambda gone: picture_network().save(gone),
    "data.load": ninc.data.load,
    "data.splits": ninc.data.splits,
    "predict": lambda gone: picture_network().predict(gone),
    "predict of many": lambda gone: picture_network().predict([noise(), gone]),
    "explain": lambda gone: ninc.explain(picture_network(), gone),
    "History.save": lambda gone: ninc.History().save(gone),
    "PictureFiles": lambda gone: ninc.data.PictureFiles([gone], ninc.preprocess.Framing(None, 3)),
    "open_picture": ninc.preprocess.open_picture,
    "picture_size": ninc.preprocess.picture_size,
}


@pytest.mark.parametrize("door", DOORS)
def test_a_missing_file_at_every_door(door, tmp_path):
    pytest.importorskip("PIL.Image")
    name = tmp_path / "gone" / "file"
    with pytest.raises(FileNotFoundError) as told:
        DOORS[door](name)
    error = told.value
    assert isinstance(error, ninc.FileError) and error.errno == errno.ENOENT
    assert os.fspath(error.filename) == str(name) and str(name) in str(error)


def test_a_run_cannot_make_its_folder_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    place = tmp_path / "file" / "run"
    with pytest.raises(NotADirectoryError, match="cannot make this folder") as told:
        ninc.Trainer(small_network()).fit(bars(), checkpoint_dir=place, progress=False)
    assert told.value.filename == str(place)


def test_folders_and_files_in_each_others_place(tmp_path):
    network = picture_network()
    (tmp_path / "file").write_bytes(b"")
    for call in (lambda: ninc.load(tmp_path), lambda: network.save(tmp_path)):
        with pytest.raises(IsADirectoryError) as told:
            call()
        assert isinstance(told.value, FileError) and told.value.filename == str(tmp_path)
    for call in (ninc.load, network.save):
        with pytest.raises(NotADirectoryError) as told:
            call(tmp_path / "file" / "m")
        assert told.value.filename == str(tmp_path / "file" / "m")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")


@contextlib.contextmanager
def nobody():
    """Root may read and write everything, so root becomes nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read_or_written():
    network = picture_network()
    with nobody(), tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "m")
        network.save(file)
        os.chmod(file, 0)
        for call in (lambda: ninc.load(file), lambda: network.save(file)):
            with pytest.raises(PermissionError) as told:
                call()
            assert isinstance(told.value, FileError)
            assert (told.value.errno, told.value.filename) == (errno.EACCES, file)
        locked = os.path.join(folder, "locked")
        os.mkdir(locked, 0)
        with pytest.raises(PermissionError, match="cannot read") as told:
            ninc.data.load(locked)
        assert told.value.errno == errno.EACCES and told.value.filename.startswith(locked)
        os.chmod(locked, 0o700)


def test_a_damaged_file_is_no_missing_one(tmp_path):
    pytest.importorskip("PIL.Image")
    file = tmp_path / "p.png"
    file.write_bytes(b"no picture")
    with pytest.raises(FileError, match="not a picture") as told:
        picture_network().predict(file)
    assert told.value.errno is None and told.value.filename == str(file)


def test_the_command_line_says_what_it_said(tmp_path, capsys):
    gone = tmp_path / "gone.safetensors"
    assert ninc_command("eval", gone, tmp_path) == 1
    assert capsys.readouterr().err.strip().endswith(f"{gone}: no such model file")
    with pytest.raises(FileNotFoundError) as told:
        load_network(str(gone))
    assert told.value.filename == str(gone)


# ---- A NUL in a path -----------------------------------------------------------------------------


NAMES = ["a.safetensors\0", "a.safetensors\0.user-upload", "\0", "~/\0", "some/folder\0/x.png"]


@pytest.mark.parametrize("name", NAMES)
def test_a_nul_is_a_value_error_at_every_door(name, tmp_path, monkeypatch):
    pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    network = picture_network()
    network.save("a.safetensors")
    explanation = ninc.explain(network, noise())
    history = ninc.History([{"epoch": 1, "loss": 1.0}])
    trainer = ninc.Trainer(small_network())
    before = {file: (tmp_path / file).read_bytes() for file in os.listdir()}
    doors = [
        lambda: ninc.load(name),
        lambda: network.save(name),
        lambda: network.predict(name),
        lambda: network.predict([noise(), name]),
        lambda: list(network.predict_each([name])),
        lambda: ninc.explain(network, name),
        lambda: explanation.save(name + ".png"),
        lambda: ninc.data.load(name),
        lambda: ninc.data.splits(name),
        lambda: ninc.data.PictureFiles([name], ninc.preprocess.Framing((4, 4), 3)),
        lambda: ninc.preprocess.open_picture(name),
        lambda: ninc.preprocess.picture_size(name),
        lambda: trainer.fit(bars(), checkpoint_dir=name, progress=False),
        lambda: history.save(name),
        lambda: history.plot(name + ".png"),
    ]
    for door in doors:
        with pytest.raises(ValueError, match="NUL in it") as told:
            door()
        assert isinstance(told.value, ninc.ArgumentError) and "\0" not in str(told.value)
    with pytest.raises(ValueError):
        open(name)  # as Python's own
    assert {file: (tmp_path / file).read_bytes() for file in os.listdir()} == before


def test_a_nul_never_reaches_the_core(tmp_path):
    """The core itself refuses, for those who come without Python's checks."""
    network = picture_network()
    path = os.fsencode(tmp_path / "kept")
    network.core.save(path)
    for call in (network.core.save, network.core.load):
        with pytest.raises(ninc.ArgumentError, match=r"name has a NUL in it, after '.*kept'"):
            call(path + b"\0.tmp")
    assert os.listdir(tmp_path) == ["kept"]


def test_the_command_line_and_a_nul(tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    picture_network().save("m.safetensors")
    save_noise(tmp_path / "p.png")
    before = sorted(os.listdir())
    for words in (
        ["predict", "m.safetensors\0x", "p.png"],
        ["predict", "m.safetensors", "p.png", "--csv", "table\0.csv"],
        ["explain", "m.safetensors", "p.png", "-o", "map\0.png"],
        ["train", "p\0", "-o", "new.safetensors"],
        ["eval", "m.safetensors", "p\0"],
    ):
        assert ninc_command(*words) == 1, words
        told = capsys.readouterr().err
        assert "NUL in it" in told and told.count("\n") == 1, words
    assert sorted(os.listdir()) == before


def test_names_that_are_no_utf8(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xe9t\xe9")
    for call in (ninc.load, ninc.data.load, lambda path: picture_network().save(path + "/m")):
        with pytest.raises(FileNotFoundError) as told:
            call(name)
        assert told.value.filename.startswith(name)
        with pytest.raises(FileNotFoundError):
            open(told.value.filename)


def test_an_empty_name():
    for call in (ninc.load, picture_network().save, lambda name: ninc.History().save(name)):
        with pytest.raises(FileNotFoundError):
            call("")
