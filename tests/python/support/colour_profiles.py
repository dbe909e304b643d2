"""Colour profiles as files carry them, and what their colours are in sRGB."""

import struct

import numpy as np

# Columns: red, green and blue as XYZ under D50, of the profiles' definitions.
DISPLAY_P3 = np.array(
    [[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]]
)
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])


def icc_profile(primaries, gamma, name):
    """The smallest ICC version 2 profile of these primaries and one gamma for all."""

    def xyz(values):
        numbers = [round(value * 65536) for value in values]
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *numbers)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = name.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    described += bytes(-len(described) % 4)
    tags = [(b"desc", described), (b"cprt", b"text\0\0\0\0none\0\0\0\0")]
    tags += [(b"wtpt", xyz((0.9642, 1.0, 0.8249)))]
    for letter, column in zip(b"rgb", primaries.T):
        tags += [(bytes([letter]) + b"XYZ", xyz(column)), (bytes([letter]) + b"TRC", curve)]
    place = 132 + 12 * len(tags)
    directory, content = struct.pack(">I", len(tags)), b""
    for tag, value in tags:
        directory += struct.pack(">4sII", tag, place + len(content), len(value))
        content += value
    header = struct.pack(
        ">I4sI4s4s4s", place + len(content), b"    ", 0x02100000, b"mntr", b"RGB ", b"XYZ "
    )
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + directory + content


def srgb_of(pixels, primaries, gamma):
    """What the profile's colours are in sRGB (IEC 61966-2-1), clipped to it."""
    linear = (pixels / 255.0) ** gamma @ primaries.T @ np.linalg.inv(SRGB).T
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded * 255
