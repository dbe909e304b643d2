"""`ninc predict --bulk`: parts that are whole, runs that go on, and what is refused."""

import contextlib
import dataclasses
import json
import os
import signal
import sys

import numpy as np
import pytest

import ninc
from ninc.distributed import bulk, part_files, part_work, ray_parts
from support.command_line import ninc_command, printed_json, usage
from support.processes import python
from support.small_pictures import CLASSES, network_and_photos, noise, picture_network, save

pytest.importorskip("PIL.Image")

COUNT, PART = 23, 4  # five whole parts and one of three pictures
DAMAGED = ("photos/b/07.png", "photos/c/20.png")
OPTIONS = ("--part-size", PART, "--batch-size", 2)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a network and pictures below one folder; two are damaged, one is none."""
    folder = network_and_photos(tmp_path_factory.mktemp("world"), COUNT, "abc")
    for name in DAMAGED:
        (folder / name).write_bytes((folder / name).read_bytes()[:60])
    (folder / "photos" / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def there(world, monkeypatch):
    """The same as the folder to work in, with an empty place for answers beside it."""
    monkeypatch.chdir(world)
    return world


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(capsys, out, *more, model="net.safetensors", given=("photos",)):
    """(status, stdout, stderr)."""
    capsys.readouterr()
    status = ninc_command("predict", model, *given, "--bulk", out, *OPTIONS, *more)
    return status, *capsys.readouterr()


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def rows(out):
    """What the parts hold, in order."""
    lines = [line for path in sorted(out.glob("part-*.jsonl")) for line in open(path, "rb")]
    return [json.loads(line) for line in lines]


def bad(out):
    return [json.loads(line) for path in sorted(out.glob("_bad-*")) for line in open(path, "rb")]


JSON = ("--bulk-format", "jsonl")


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    """The files of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    before = os.getcwd()
    os.chdir(world)
    try:
        words = ("net.safetensors", "photos", "--bulk", out, *OPTIONS, *JSON)
        assert ninc_command("predict", *words, "--on-corrupt", "skip") == 0
    finally:
        os.chdir(before)
    return contents(out)


# ---- What is written -----------------------------------------------------------------------------


def test_answers_are_those_of_predict_to_the_bit(there, out, capsys):
    status, said, told = run(capsys, out, *JSON)
    assert status == 1 and said == f"wrote {out}: 21 pictures in 6 parts\n"
    assert told.splitlines() == [
        "ninc: photos: 1 file is no picture and passed over: notes.txt",
        f"ninc: 2 pictures could not be read: {out}/_bad-*.jsonl says why",
    ]
    names = {f"part-{part:05}.jsonl" for part in range(6)}
    # The pictures are sorted, so that 07.png is the eleventh and 20.png the last but one.
    names |= {"_bad-00002.jsonl", "_bad-00005.jsonl", "_listing.jsonl", "_run.json"}
    assert set(contents(out)) == names

    ninc_command("predict", "net.safetensors", "photos", "--batch-size", 2, "--top", 3, "--json")
    captured = capsys.readouterr()
    wanted = [json.loads(line) for line in captured.out.splitlines()]
    found = rows(out)
    assert [row["path"] for row in found] == [row["image"] for row in wanted]
    for row, answer in zip(found, wanted):
        best = answer["predictions"]
        assert [row["class"], row["probability"]] == [best[0]["class"], best[0]["probability"]]
        given = {each["class"]: each["probability"] for each in best}
        assert dict(zip(CLASSES, row["probabilities"])) == given
    assert [row["path"] for row in bad(out)] == list(DAMAGED)
    words = [f"ninc: {row['error']}" for row in bad(out)]
    assert words == captured.err.splitlines()[1:]


def test_parquet_has_the_same_rows(there, out, whole, tmp_path, capsys):
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="pyarrow writes Parquet")
    assert run(capsys, out)[0] == 1  # it is what is written where pyarrow is there
    table = pyarrow.read_table(out)  # the run's own files are not taken for parts
    assert table.column_names == ["path", "class", "probability", "probabilities"]
    (tmp_path / "json").mkdir()
    for name, content in whole.items():
        (tmp_path / "json" / name).write_bytes(content)
    assert table.to_pylist() == rows(tmp_path / "json")
    assert len(list(out.glob("part-*.parquet"))) == 6


def test_a_part_of_bad_pictures_alone_is_done_too(there, out, tmp_path, capsys):
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(b"junk")
    status, said, _ = run(capsys, out, "--on-corrupt", "skip", given=sorted(tmp_path.glob("*.jpg")))
    assert status == 0 and "0 pictures in 1 part" in said
    assert len(bad(out)) == 3
    assert "1 of 1 part done before" in run(capsys, out, given=sorted(tmp_path.glob("*.jpg")))[2]


def test_names_that_are_no_utf8_are_kept(there, out, tmp_path, capsys):
    if sys.platform != "linux":
        pytest.skip("file names are text here")
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    save(tmp_path / "1.png", noise()).rename(name)
    assert run(capsys, out, *JSON, given=[name])[0] == 0
    assert [row["path"] for row in rows(out)] == [name]
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="pyarrow writes Parquet")
    assert run(capsys, tmp_path / "parquet", given=[name])[0] == 0
    [path] = pyarrow.read_table(tmp_path / "parquet")["path"].to_pylist()
    assert path == f"{tmp_path}/caf\\xe9.png"


def test_without_a_model_the_packaged_network_answers(there, out, capsys):
    status = ninc_command("predict", "photos/a", "--bulk", out, *JSON)
    assert status == 0 and "the packaged network cifar10" in capsys.readouterr().err
    names = sorted(str(path) for path in (there / "photos" / "a").iterdir())
    probabilities = ninc.pretrained().predict(names)
    assert [row["probabilities"] for row in rows(out)] == probabilities.tolist()
    about = json.loads((out / "_run.json").read_text("utf-8"))
    assert about["classes"] == ninc.pretrained().classes


# ---- Runs that go on -----------------------------------------------------------------------------


def test_a_run_that_is_done_does_nothing_again(there, out, whole, capsys):
    run(capsys, out, *JSON)
    times = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    (out / "part-00001.jsonl").unlink()
    status, said, told = run(capsys, out, *JSON)
    assert status == 1 and f"ninc: {out}: 5 of 6 parts done before" in told.splitlines()
    assert "21 pictures in 6 parts" in said and contents(out) == whole
    again = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert [path.name for path in times if again[path] != times[path]] == ["part-00001.jsonl"]


@pytest.mark.parametrize("pictures", [0, 3, 9])
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    there, out, whole, pictures, capsys, monkeypatch
):
    count = iter(range(1000))

    def interrupted(*args):
        for row in real(*args):
            if next(count) == pictures:
                raise KeyboardInterrupt
            yield row

    real = part_work.rows
    monkeypatch.setattr(part_work, "rows", interrupted)
    status, said, told = run(capsys, out, *JSON)
    assert (status, said) == (1, "")
    line = told.splitlines()[-1]
    assert line.startswith(
        f"ninc: interrupted; {out} has {pictures // PART} of 6 parts; go on with"
    )
    assert f"ninc predict net.safetensors photos --bulk {out} --part-size 4" in line
    assert not [path for path in out.iterdir() if path.name[0] == "."]
    monkeypatch.setattr(part_work, "rows", real)
    assert run(capsys, out, *JSON)[0] == 1 and contents(out) == whole


DIES = """
import os, signal, sys
from ninc.cli import main
from ninc.distributed import part_work

count, real = iter(range(1000)), part_work.rows

def dying(*args):
    for row in real(*args):
        if next(count) == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
        yield row

part_work.rows = dying
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("pictures", [2, 10, 22])
def test_a_run_that_was_killed_goes_on_to_the_same_files(there, out, whole, pictures, capsys):
    words = ("predict", "net.safetensors", "photos", "--bulk", out, *OPTIONS, *JSON)
    assert python("-c", DIES, pictures, *words).returncode == -signal.SIGKILL
    assert len(list(out.glob("part-*"))) == pictures // PART
    assert [path for path in out.iterdir() if path.name[:6] == ".part-"]  # it was at a part
    assert run(capsys, out, *JSON)[0] == 1 and contents(out) == whole


def test_a_run_killed_before_it_began_begins_anew(there, out, whole, capsys):
    out.mkdir()
    (out / "_listing.jsonl").write_bytes(b'["photos/half')
    (out / "._run.json.123").write_bytes(b"{")
    assert run(capsys, out, *JSON)[0] == 1 and contents(out) == whole


# ---- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more, words",
    [
        (("--tta", "flip"), "--tta, none then and flip now"),
        (("--part-size", 6), "--part-size, 4 then and 6 now"),
        (("--batch-size", 4), "--batch-size, 2 then and 4 now"),
        (("--at-least", 0.5), "--at-least, none then and 0.5 now"),
        (("--bulk-format", "parquet"), "--bulk-format, jsonl then and parquet now"),
    ],
)
def test_other_settings_are_refused(there, out, whole, more, words, capsys):
    if "parquet" in more:
        pytest.importorskip("pyarrow", reason="pyarrow writes Parquet")
    run(capsys, out, *JSON)
    status, said, told = run(capsys, out, *JSON, *more)
    assert (status, said) == (1, "") and contents(out) == whole
    assert told.splitlines()[-1] == (
        f"ninc: {out}: holds a run that differs in {words}; give --bulk another folder, or the "
        "same settings to go on with this run"
    )


def test_another_network_or_other_pictures_are_refused(there, out, tmp_path, capsys):
    folder = tmp_path / "mine"
    for number in range(5):
        save(folder / f"{number}.png", noise(seed=number))
    run(capsys, out, *JSON, given=[folder])
    before = contents(out)

    def refused(words, model="net.safetensors", given=(folder,)):
        status, _, told = run(capsys, out, *JSON, model=model, given=given)
        assert status == 1 and words in told and contents(out) == before

    refused("the pictures named", given=[folder, "photos"])
    other = picture_network()
    other.classes = ["a", "b", "c"]
    other.save(tmp_path / "other")
    refused("differs in the network; give", model=tmp_path / "other")
    save(folder / "3a.png", noise())
    refused(f"over other pictures: {folder}/3a.png where it had {folder}/4.png; give")
    (folder / "3a.png").unlink()
    save(folder / "5.png", noise())
    refused(f"{folder}/5.png is new")
    (folder / "5.png").unlink()
    save(folder / "2.png", noise(9, 9))
    refused(f"{folder}/2.png has changed since")
    (folder / "4.png").unlink()
    (folder / "2.png").unlink()
    refused(f"{folder}/3.png where it had {folder}/2.png")


def test_a_folder_of_something_else_is_refused(there, out, tmp_path, capsys):
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    assert "holds other files, such as letter.txt; give --bulk a new" in run(capsys, out)[2]
    assert contents(out) == {"letter.txt": b"mine"}
    (out / "letter.txt").unlink()
    (out / "_run.json").write_text("[")
    assert "_run.json: damaged" in run(capsys, out)[2]
    assert "cannot make this folder" in run(capsys, out / "_run.json")[2]


def test_two_runs_at_a_time_are_refused(there, out, capsys):
    network = (there / "net.safetensors").read_bytes()
    other = bulk.BulkRun(str(out), network, ["photos/a"], "jsonl")
    assert "another bulk run is using this folder" in run(capsys, out)[2]
    other.close()
    assert "differs in the pictures named, photos/a then" in run(capsys, out, *JSON)[2]


def test_other_last_digits_are_not_mixed_in(there, out, capsys, monkeypatch):
    run(capsys, out, *JSON)
    about = json.loads((out / "_run.json").read_text("utf-8"))
    assert about["arithmetic"] == f"cpu, {ninc.target()} instructions, precision float32"
    part = min(out.glob("part-*"))
    part.unlink()
    monkeypatch.setattr(bulk, "arithmetic_of", lambda network: "an abacus")
    told = run(capsys, out, *JSON)[2]
    assert "differs in what computes" in told and "and an abacus now" in told
    with pytest.raises(ninc.Error, match="computes on cpu, .* was begun on an abacus, whose last"):
        other = bulk.BulkRun(str(out.with_name("other")), (there / "net.safetensors").read_bytes(),
                             ["photos"], "jsonl")  # fmt: skip
        with contextlib.closing(other):
            other.finish()


def test_pictures_are_taken_once(there, out, capsys):
    for given in (["photos", "photos/a"], ["photos/a/00.png", "photos"], ["photos", "./photos"]):
        status, _, told = run(capsys, out, given=given)
        assert status == 1 and "too; name it once" in told and not out.exists()
    status, _, told = run(capsys, "photos/out")
    assert status == 1 and "photos/out lies in photos, whose pictures are to be read" in told
    assert not (there / "photos" / "out").exists()


def test_a_folder_without_pictures_begins_nothing(there, out, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    status, _, told = run(capsys, out, given=["photos", tmp_path / "empty"])
    assert status == 1 and f"{tmp_path}/empty: no pictures in this folder" in told
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "words, told",
    [
        (["--ray"], "--ray goes with --bulk"),
        (["--part-size", "3"], "--part-size goes with --bulk"),
        (["--bulk-format", "jsonl"], "--bulk-format goes with --bulk"),
        (["--bulk", "out", "--json"], "not allowed with"),
        (["--bulk", "out", "--csv", "-"], "not allowed with"),
        (["--bulk", "out", "--top", "2"], "--top would be ignored"),
        (["--bulk", "out", "--part-size", "0"], "at least 1"),
        (["--bulk", "out", "--ray", "--device", "cuda"], "--ray computes on processors"),
        (["-", "--bulk", "out"], "no picture from standard input"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(there, words, told, capsys):
    assert told in usage(capsys, "predict", "net.safetensors", "photos", *words)
    assert not (there / "out").exists()


# ---- What is not installed -----------------------------------------------------------------------


def test_without_pyarrow_json_lines_are_written(there, out, whole, capsys, monkeypatch):
    monkeypatch.setattr(part_files, "find_spec", lambda name: None)
    assert run(capsys, out)[0] == 1 and contents(out) == whole
    status, _, told = run(capsys, out / "other", "--bulk-format", "parquet")
    assert status == 1 and "needs pyarrow: pip install 'ninc[ray]'" in told
    assert list((out / "other").iterdir()) == []


def test_without_ray_the_extra_is_named(there, out, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    status, _, told = run(capsys, out, "--ray")
    assert (status, told) == (1, "ninc: --ray needs Ray: pip install 'ninc[ray]'\n")
    assert not out.exists()


def test_an_actor_tells_what_is_wrong_with_the_run(there, out):
    network = (there / "net.safetensors").read_bytes()
    with contextlib.closing(
        bulk.BulkRun(str(out), network, ["photos/a"], "jsonl", PART, batch_size=2)
    ) as run:
        actor = ray_parts.PartActor(run.work)
        parts = [dataclasses.asdict(part) for part in run.parts]
        batch = {name: np.array([part[name] for part in parts]) for name in parts[0]}
        assert actor(batch) == {"done": [4, 4], "error": ["", ""]}
        assert run.remaining() == []
        (out / "_listing.jsonl").unlink()
        told = actor(batch)["error"]
        assert all("_listing.jsonl: cannot read (no such file" in each for each in told)


def test_the_batches_of_a_part_are_those_of_predict(there, out, capsys):
    """A part has whole batches, whatever was asked for: 3 pictures become 4."""
    run(capsys, out, *JSON, "--part-size", 3)
    assert json.loads((out / "_run.json").read_text("utf-8"))["part_size"] == 4
    assert len(list(out.glob("part-*"))) == 6
    told = printed_json(capsys, "predict", "net.safetensors", "photos/a/00.png", "--top", 3)
    first = {each["class"]: each["probability"] for each in told["predictions"]}
    found = dict(zip(CLASSES, rows(out)[0]["probabilities"]))
    assert found == pytest.approx(first, abs=1e-6)
    assert np.isclose(sum(found.values()), 1.0)
