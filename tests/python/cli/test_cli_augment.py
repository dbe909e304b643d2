"""`ninc train --augment`: what is read, what is refused, and that a run trains with it."""

import argparse
import json

import pytest

from ninc import cli
from ninc.cli.augment_option import augmentation
from support.command_line import usage
from support.small_training import random_npz


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("flip", "Flip(0.5)"),
        ("padcrop:2,flip:0.3,cutout:8", "Compose(PadCrop(2), Flip(0.3), Cutout(8))"),
        ("resizedcrop", "RandomResizedCrop(scale=(0.08, 1.0), ratio=(0.75, 1.3333333333333333))"),
        ("resizedcrop:0.5:0.9",
         "RandomResizedCrop(scale=(0.5, 0.9), ratio=(0.75, 1.3333333333333333))"),
        ("rotate:15, alternatingflip",
         "Compose(Rotation(15, ground=(128, 128, 128)), AlternatingFlip())"),
        ("rotate:15:black", "Rotation(15, ground=(0, 0, 0))"),
        ("jitter:0.4", "ColorJitter(brightness=0.4, contrast=0, saturation=0, hue=0)"),
        ("jitter:0.4:0.3:0.2:0.1",
         "ColorJitter(brightness=0.4, contrast=0.3, saturation=0.2, hue=0.1)"),
    ],
)  # fmt: skip
def test_augmentation_is_read_from_the_command_line(text, wanted):
    assert repr(augmentation(text)) == wanted


@pytest.mark.parametrize(
    "text, words",
    [
        ("blur", "must be steps with commas between them, of padcrop:PIXELS, .*got 'blur'"),
        ("", "got ''"),
        ("flip,,cutout:8", "got '' in 'flip,,cutout:8'"),
        ("cutout", "a step is written cutout:PIXELS, got 'cutout'"),
        ("cutout:8:8", "written cutout:PIXELS, got 'cutout:8:8'"),
        ("cutout:0", "got 'cutout:0': Cutout: size must be at least 1"),
        ("padcrop:x", "written padcrop:PIXELS, got 'padcrop:x'"),
        ("flip:2", "Flip: p must lie in 0..1"),
        ("rotate:10:pink", "must be white, grey, black or #rrggbb"),
        ("resizedcrop:0.9:0.1", "scale must not fall"),
        ("jitter:nan", "brightness must be a number of 0 or more"),
    ],
)
def test_what_is_no_augmentation_is_told(text, words):
    with pytest.raises(argparse.ArgumentTypeError, match=words):
        augmentation(text)


def test_augmentation_trains_and_is_told_in_the_run(tmp_path, capsys):
    data = random_npz(tmp_path / "columns.npz")
    run = ("train", data, "-o", tmp_path / "net.safetensors", "--model", "nin-mnist", "--epochs", 1,
           "--limit", 4, "--checkpoint", tmp_path / "run")  # fmt: skip
    assert cli.main([*map(str, run), "--augment", "rotate:15:black,padcrop:2"]) == 0
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    wanted = "Compose(Rotation(15, ground=(0, 0, 0)), PadCrop(2))"
    assert about["settings"]["augmentation"] == wanted
    assert cli.main([*map(str, run), "--resume", "--augment", "padcrop:2"]) == 1
    assert f"begun with augmentation {wanted}, now it is PadCrop(2)" in capsys.readouterr().err
    assert "not allowed with" in usage(capsys, *map(str, run), "--augment", "flip", "--no-augment")
