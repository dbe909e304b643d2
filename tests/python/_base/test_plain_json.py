"""What programs read is valid JSON, whatever numbers a run came upon."""

import json
import math

import numpy as np
import pytest

import ninc
from ninc._base.plain_json import json_text
from support.command_line import printed
from support.small_training import as_floats, bars, small_network


def strict(text):
    """`text` as a reader takes it that knows no NaN."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_without_a_word_become_null():
    value = {"a": [math.nan, 1.5, (math.inf, {"b": -math.inf})], "c": "NaN", "d": None, "e": 3}
    expected = {"a": [None, 1.5, [None, {"b": None}]], "c": "NaN", "d": None, "e": 3}
    assert strict(json_text(value)) == expected
    assert strict(json_text(value, indent=2)) == expected
    assert strict(json_text(np.float64(math.nan))) is None
    with pytest.raises(TypeError):
        json_text({"a": object()})


def test_a_held_out_loss_that_is_no_number(tmp_path):
    x, labels = as_floats(bars(32))
    too_large = x * np.float32(3e38)
    run = tmp_path / "run"
    trainer = ninc.Trainer(small_network(), ninc.SGD(0.01))
    options = dict(batch_size=16, progress=False, checkpoint_dir=run)
    history = trainer.fit((x, labels), (too_large, labels), epochs=2, **options)
    assert not np.isfinite(history["val_loss"]).any()
    lines = (run / "history.jsonl").read_text().splitlines()
    assert [strict(line)["val_loss"] for line in lines] == [None, None]
    assert strict((run / "run.json").read_text())["results"]["last"]["val_loss"] is None
    history.save(tmp_path / "history.jsonl")
    assert (tmp_path / "history.jsonl").read_text().splitlines() == lines
    # A checkpoint knows them as they were.
    again = ninc.Trainer(small_network(), ninc.SGD(0.01))
    resumed = again.fit((x, labels), (too_large, labels), epochs=2, resume=True, **options)
    np.testing.assert_array_equal(resumed["val_loss"], history["val_loss"])


def test_eval_of_logits_that_are_not_finite(tmp_path, capsys):
    x, labels = as_floats(bars(8))
    network = small_network()
    network.save(tmp_path / "net")
    np.savez(tmp_path / "data.npz", x=x * np.float32(3e38), y=labels)
    result = strict(printed(capsys, "eval", tmp_path / "net", tmp_path / "data.npz", "--json"))
    assert result["loss"] is None and result["images"] == 8 and None in result["precision"]
