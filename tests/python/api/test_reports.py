"""Faults that people reported about other programs, rebuilt small; docs/reports.md lists them all.

Those that belong to one part of ninc are tested beside it.
"""

import numpy as np
import pytest

from ninc import Trainer, data, nn
from ninc.data.survey import shared_images
from ninc.errors import DTypeError, ShapeError
from support.command_line import ninc_command
from support.small_pictures import save_around

pytest.importorskip("PIL.Image")


def test_pictures_in_both_sets_are_told(tmp_path, capsys):
    """joojs/fairface#21: thousands of training pictures were among those to validate with."""
    for seed, (name, level) in enumerate((("dark", 60), ("light", 190))):
        save_around(tmp_path / "train" / name, level, 6, seed, (28, 28, 3))
        save_around(tmp_path / "test" / name, level, 2, seed + 10, (28, 28, 3))
        copied = tmp_path / "train" / name / "3.png"
        (tmp_path / "test" / name / "other-name.png").write_bytes(copied.read_bytes())
    train, test = (data.load(tmp_path, split) for split in ("train", "test"))
    assert shared_images(train, test) == 2 and shared_images(test, train) == 2
    options = ("-o", tmp_path / "n", "--epochs", 1, "--model", "nin-mnist")
    assert ninc_command("train", tmp_path, *options) == 0
    told = capsys.readouterr().err
    assert "2 of the 6 pictures to test with are also among those to train with" in told
    (tmp_path / "test/dark/other-name.png").unlink()
    (tmp_path / "test/light/other-name.png").unlink()
    assert shared_images(train, data.load(tmp_path, "test")) == 0
    as_it_goes = data.load(tmp_path, "test", in_memory=False)
    assert shared_images(train, as_it_goes) is None


@pytest.mark.parametrize("channels", [3, 1])
def test_channels_that_come_last_are_told(channels):
    """LeeJunHyun/Image_Segmentation#29: "expected 3 channels, but got 512 channels instead"."""
    net = nn.Sequential(nn.Conv2d(channels, 2, 3), nn.GlobalAvgPool2d())
    x = np.zeros((4, 20, 24, channels), np.float32)
    for call in (
        lambda: net(x),
        lambda: Trainer(net).fit((x, np.arange(4) % 2), progress=False),
    ):
        with pytest.raises(ShapeError, match=r"conv1 .*looks like N×H×W×C: x.transpose\(0, 3, 1"):
            call()
    assert net(x.transpose(0, 3, 1, 2)).shape == (4, 2)
    with pytest.raises(ShapeError) as told:
        net(np.zeros((4, 7, 24, 24), np.float32))  # channels first, and too many of them
    assert "transpose" not in str(told.value)


def test_pictures_given_to_the_network_itself_are_told_where_they_go():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.GlobalAvgPool2d())
    for call in (net, net.class_maps):
        with pytest.raises(DTypeError, match="float32, got uint8; .*predict and ninc.explain take"):
            call(np.zeros((1, 3, 8, 8), np.uint8))
        with pytest.raises(DTypeError, match=r"got float64; use x.astype\(np.float32\)"):
            call(np.zeros((1, 3, 8, 8)))
