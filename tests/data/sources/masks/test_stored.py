"""Masks give the numbers that are stored in the file, written here byte by byte."""

import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import kvision as kv
from kvision.data.sources.masks.mask_files import read_mask

NUMBERS = [[0, 1, 2, 3], [3, 0, 0, 1]]


def packed(rows, bits):
    """Rows of numbers as bytes, the first number in the highest bits."""
    if bits == 16:
        return [struct.pack(f">{len(row)}H", *row) for row in rows]
    texts = ["".join(f"{number:0{bits}b}" for number in row) for row in rows]
    return [
        int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))
        for text in texts
    ]


def png(rows, bits, palette=False, extra=b""):
    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), bits, 3 * palette, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    if palette:
        content += chunk(b"PLTE", bytes([9, 9, 9] * 2**bits))
    content += chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in packed(rows, bits))))
    return content + chunk(b"IEND", b"")


def tiff(rows, bits, black=1, compression=1, orientation=1, order=1):
    pixels = b"".join(packed(rows, bits))
    pixels = zlib.compress(pixels) if compression == 8 else pixels
    pixels += b"\0" * (len(pixels) % 2)
    tags = {256: len(rows[0]), 257: len(rows), 258: bits, 259: compression, 262: black, 273: 8}
    tags[266] = order  # 2 where a byte begins with its lowest bit
    tags |= {274: orientation, 277: 1, 278: len(rows), 279: len(pixels)}
    entries = [struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items()]
    head = b"MM\0*" + struct.pack(">I", 8 + len(pixels)) + pixels
    return head + struct.pack(">H", len(tags)) + b"".join(entries) + b"\0\0\0\0"


def bmp(rows, bits, palette):
    pixels = b"".join(row + b"\0" * (-len(row) % 4) for row in packed(rows[::-1], bits))
    start = 54 + 4 * len(palette)
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    head += struct.pack("<IiiHHI", 40, len(rows[0]), len(rows), 1, bits, 0)
    head += struct.pack("<IiiII", len(pixels), 0, 0, len(palette), 0)
    return head + b"".join(bytes([*colour, 0]) for colour in palette) + pixels


def pgm(rows, most):
    return f"P2\n4 2\n{most}\n".encode() + " ".join(str(n) for row in rows for n in row).encode()


COLOURS = [(200, i, 7) for i in range(256)]
GREYS = [(i, i, i) for i in range(256)]


@pytest.mark.parametrize(
    "content",
    [
        *(pytest.param(png(NUMBERS, bits), id=f"png {bits}") for bits in (2, 4, 8, 16)),
        *(
            pytest.param(png(NUMBERS, bits, palette=True), id=f"palette {bits}")
            for bits in (2, 4, 8)
        ),
        *(pytest.param(tiff(NUMBERS, bits), id=f"tiff {bits}") for bits in (2, 4, 8, 16)),
        *(
            pytest.param(tiff(NUMBERS, bits, compression=8), id=f"deflated tiff {bits}")
            for bits in (2, 4, 8, 16)
        ),
        *(
            pytest.param(pgm(NUMBERS, most), id=f"pgm to {most}")
            for most in (3, 4, 15, 200, 255, 300, 65535)
        ),
        pytest.param(bmp(NUMBERS, 4, COLOURS[:16]), id="bmp 4"),
        pytest.param(bmp(NUMBERS, 8, COLOURS), id="bmp 8"),
        pytest.param(bmp(NUMBERS, 8, GREYS), id="grey bmp 8"),
    ],
)
def test_what_is_stored_comes_out(tmp_path, content):
    (tmp_path / "mask").write_bytes(content)
    pixels, coloured = read_mask(tmp_path / "mask")
    np.testing.assert_array_equal(pixels, NUMBERS)
    assert not coloured


@pytest.mark.parametrize("bits", [2, 4])
def test_every_number_of_few_bits(tmp_path, bits):
    rows = np.arange(2**bits).reshape(2, -1).tolist()
    (tmp_path / "mask").write_bytes(png(rows, bits))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask")[0], rows)


@pytest.mark.parametrize("encode", [png, tiff])
def test_single_bits_are_told_from_numbers(tmp_path, encode):
    (tmp_path / "mask").write_bytes(encode([[0, 1, 1, 0]], 1))
    pixels, _ = read_mask(tmp_path / "mask")
    assert pixels.dtype == bool
    assert pixels.tolist() == [[False, True, True, False]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(NUMBERS, 8, black=0), "must store black as 0"),
        (tiff(NUMBERS, 4, black=0), "must store black as 0"),
        (tiff(NUMBERS, 8, black=0, order=2), "must store black as 0"),
        # Pillow takes two numbers of these for one, or nothing but 0 and 255 for different.
        (bmp(NUMBERS, 4, GREYS[:16]), "BMP with this palette"),
        (bmp([[0, 1, 1, 0]] * 2, 8, [(0, 0, 0), (255, 255, 255)]), "BMP with this palette"),
    ],
    ids=[
        "8 bits, white is 0",
        "4 bits, white is 0",
        "reversed, white is 0",
        "grey palette",
        "palette of two",
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, content, reason):
    (tmp_path / "mask").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_mask(tmp_path / "mask")


def test_few_bits_in_a_folder(tmp_path, save_image, served):
    save_image(tmp_path / "images" / "a.png", np.zeros((2, 4, 3), "uint8"))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.png").write_bytes(png(NUMBERS, 2))
    masks, info = served(tmp_path)
    assert len(info.class_names) == 4
    np.testing.assert_array_equal(masks[0], NUMBERS)


def test_the_white_of_single_bits_is_that_of_the_folder(save_folder, served):
    """It is the number 1 where that is a class, and 255 where this is one; it is never void."""
    bits = np.eye(6, 8, dtype=bool)
    one = Image.fromarray(bits)
    three = np.arange(48, dtype="uint8").reshape(6, 8) % 3
    for others, options in (
        ((three,), {}),
        ((bits.astype("uint8"),), {}),
        ((bits * np.uint8(255),), {}),
        ((), {"class_names": ["a", "b", "c"]}),
        ((), {"class_names": {0: "a", 255: "b"}}),
        ((), {"colors": {"a": (0, 0, 0), "b": (255, 255, 255)}}),
        ((), {"void": 255}),
    ):
        masks, _ = served(save_folder(one, *others), **options)
        np.testing.assert_array_equal(masks[0], bits, err_msg=str((others, options)))


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("x.webp", {"quality": 90}, "a lossy WebP"),
        ("x.webp", {"quality": 90, "save_all": True}, "a lossy WebP"),
        ("x.tif", {"compression": "jpeg"}, "jpeg compression in a TIFF"),
        ("x.jp2", {}, "JPEG2000"),
        ("x.avif", {"quality": 90}, "AVIF"),
    ],
)
def test_lossy_formats_are_refused(tmp_path, name, options, kind):
    grey = np.kron(np.arange(24, dtype="uint8").reshape(4, 6), np.ones((8, 8), "uint8"))
    Image.fromarray(grey).save(tmp_path / name, **options)
    with pytest.raises(ValueError, match=f"{kind} changes the labels of a mask; save it as PNG"):
        read_mask(tmp_path / name)


@pytest.mark.parametrize(
    "labels", [(0, 1), (0, 1, 2), (1,), range(24), (0, 1, 255), (0, 2, 1, 255)]
)
@pytest.mark.parametrize("quality", [75, 95])
def test_labels_in_a_jpeg_are_not_taken_for_black_and_white(tmp_path, labels, quality):
    """They are nearly black, all of them."""
    mask = np.resize(np.array(labels, "uint8"), (4, 6)).repeat(40, 0).repeat(40, 1)
    Image.fromarray(mask).save(tmp_path / "x.jpg", quality=quality)
    with pytest.raises(ValueError, match=r"JPEG changes the labels.*not just black and white"):
        read_mask(tmp_path / "x.jpg")


@pytest.mark.parametrize("quality", [30, 65, 75, 100])
@pytest.mark.parametrize("white", [(0, 0), (30, 71), (0, 200)])
def test_black_and_white_in_a_jpeg(tmp_path, white, quality):
    mask = np.zeros((100, 120), "uint8")
    mask[slice(*white)] = 255
    Image.fromarray(mask).save(tmp_path / "x.jpg", quality=quality)
    np.testing.assert_array_equal(read_mask(tmp_path / "x.jpg")[0], mask)


@pytest.mark.parametrize("options", [{}, {"save_all": True}, {"exif": Image.Exif().tobytes()}])
def test_lossless_webp_is_exact(tmp_path, options):
    colours = np.random.default_rng(0).integers(0, 256, (8, 9, 3), "uint8")
    Image.fromarray(colours).save(tmp_path / "x.webp", lossless=True, **options)
    pixels, coloured = read_mask(tmp_path / "x.webp")
    assert coloured
    np.testing.assert_array_equal(pixels, colours.astype(int) @ [65536, 256, 1])


def test_a_turned_tiff_is_turned_once(tmp_path):
    (tmp_path / "x.tif").write_bytes(tiff(NUMBERS, 8, orientation=6))
    np.testing.assert_array_equal(read_mask(tmp_path / "x.tif")[0], np.rot90(NUMBERS, -1))


def test_16_bit_colours_in_a_tiff_are_refused(tmp_path):
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "x.tif"), np.full((4, 4, 3), 300, "uint16"))
    with pytest.raises(ValueError, match="a 16-bit TIFF must be grey"):
        read_mask(tmp_path / "x.tif")


def test_notes_of_an_earlier_reading_do_not_count(save_folder, cache_home):
    root = save_folder(np.eye(6, 8, dtype="uint8"))
    kv.data.load(root)
    (file,) = cache_home.glob("kvision/checked/*-masks.json")
    notes = json.loads(file.read_text())
    notes["version"] -= 1
    file.write_text(json.dumps(notes).replace("[0, 1]", "[0, 85]"))
    assert len(kv.data.load(root, with_info=True)[1].class_names) == 2
    assert json.loads(file.read_text())["version"] == notes["version"] + 1
