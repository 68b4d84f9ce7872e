"""Real photo folders: what can be decoded comes out right, the rest is named, nothing crashes."""

import os
import warnings

import numpy as np
import pytest
from PIL import Image

import kvision as kv

SHAPE = (24, 32, 3)


def served(root, **kwargs):
    """{class name: list of images} of everything that is served, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset, info = kv.data.load(root, split="train", with_info=True, **kwargs)
    assert len(dataset) == info.splits["train"].num_examples
    images = {name: [] for name in info.class_names}
    for example in dataset.as_numpy_iterator():
        assert example["image"].dtype == np.uint8
        assert example["image"].shape[-1] == 3
        images[info.class_names[example["label"]]].append(example["image"])
    return images


def only(root, **kwargs):
    images = [image for group in served(root, **kwargs).values() for image in group]
    assert len(images) == 1
    return images[0]


def refused(root):
    """{file name: reason} of what is not served, next to one good file."""
    with pytest.warns(UserWarning, match="cannot be served") as caught:
        dataset, info = kv.data.load(root, split="train", with_info=True)
    assert len(caught) == 1
    text = str(caught[0].message)
    reasons = {os.path.basename(file.name): file.reason for file in info.skipped}
    assert info.num_skipped == len(reasons)
    assert f"{len(reasons)} file(s)" in text
    assert all(name in text for name in list(reasons)[:10])
    assert len(list(dataset)) == len(dataset) == info.splits["train"].num_examples
    return reasons


@pytest.fixture
def root(tmp_path):
    return tmp_path / "photos"


def test_rgb_and_grey_jpeg(root, save_image):
    pixels = save_image(root / "a" / "rgb.jpg", quality=95, subsampling=0)
    grey = save_image(root / "b" / "grey.jpg", pixels[..., 0], quality=95)
    images = served(root)
    np.testing.assert_allclose(images["a"][0], pixels, atol=12)
    np.testing.assert_allclose(images["b"][0], np.stack([grey] * 3, -1), atol=12)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_truncated_jpeg(root, save_image, kept, progressive):
    save_image(root / "a" / "good.jpg")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype="uint8")
    save_image(root / "a" / "bad.jpg", noise, progressive=progressive)
    content = (root / "a" / "bad.jpg").read_bytes()
    (root / "a" / "bad.jpg").write_bytes(content[: int(kept * len(content))])
    assert "truncated" in refused(root)["bad.jpg"]


def test_truncated_png(root, save_image):
    save_image(root / "a" / "good.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype="uint8")
    save_image(root / "a" / "bad.png", noise)
    content = (root / "a" / "bad.png").read_bytes()
    (root / "a" / "bad.png").write_bytes(content[: len(content) // 2])
    assert "truncated" in refused(root)["bad.png"]


def test_no_image_and_empty_file(root, save_image):
    save_image(root / "a" / "good.jpg")
    (root / "a" / "zero.jpg").write_bytes(b"")
    (root / "a" / "text.jpg").write_text("not a picture")
    (root / "a" / "head.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 40)
    reasons = refused(root)
    assert reasons["zero.jpg"] == "the file is empty"
    assert reasons["text.jpg"] == "not an image"
    assert set(reasons) == {"zero.jpg", "text.jpg", "head.jpg"}


def test_errors_raise(root, save_image):
    save_image(root / "a" / "good.jpg")
    for number in range(12):
        (root / "a" / f"bad{number:02}.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"12 file\(s\)(.|\n)*bad09.jpg(.|\n)*and 2 more"):
        kv.data.load(root, errors="raise")


@pytest.mark.parametrize("name", ["picture.jpg", "picture", "picture.txt"])
def test_wrong_extension(root, save_image, name):
    pixels = save_image(root / "a" / "x.png")
    (root / "a" / "x.png").rename(root / "a" / name)
    np.testing.assert_array_equal(only(root), pixels)


def test_jpeg_named_png(root, save_image):
    pixels = save_image(root / "a" / "x.jpg", quality=95, subsampling=0)
    (root / "a" / "x.jpg").rename(root / "a" / "x.png")
    np.testing.assert_allclose(only(root), pixels, atol=12)


def test_cmyk_jpeg(root, save_image):
    red = np.zeros(SHAPE, "uint8")
    red[..., 0] = 220
    save_image(root / "a" / "x.jpg", Image.fromarray(red).convert("CMYK"), quality=95)
    with Image.open(root / "a" / "x.jpg") as image:
        assert image.mode == "CMYK"
    np.testing.assert_allclose(only(root), red, atol=12)


def test_16_bit_grey_png(root, save_image):
    values = np.linspace(0, 65535, 24 * 32).round().astype("uint16").reshape(24, 32)
    save_image(root / "a" / "x.png", values)
    np.testing.assert_allclose(only(root)[..., 0], values / 257.0, atol=0.51)


def test_16_bit_colour_png(root):
    import tensorflow as tf

    values = np.linspace(0, 65535, 24 * 32 * 3).round().astype("uint16").reshape(SHAPE)
    (root / "a").mkdir(parents=True)
    (root / "a" / "x.png").write_bytes(tf.io.encode_png(values).numpy())
    np.testing.assert_allclose(only(root), values / 257.0, atol=1.0)


def test_palette_png_and_gif(root, save_image):
    pixels = np.zeros(SHAPE, "uint8")
    pixels[:12, :, 0], pixels[12:, :, 2] = 200, 150
    palette = Image.fromarray(pixels).quantize(4)
    save_image(root / "png" / "x.png", palette)
    save_image(root / "gif" / "x.gif", palette)
    save_image(root / "one" / "x.png", Image.fromarray(pixels[..., 0] > 0))
    images = served(root)
    np.testing.assert_array_equal(images["png"][0], pixels)
    np.testing.assert_array_equal(images["gif"][0], pixels)
    np.testing.assert_array_equal(images["one"][0][..., 1] > 0, pixels[..., 0] > 0)


def test_animated_gif_gives_its_first_frame(root):
    frames = [Image.new("RGB", (32, 24), (value, 0, 0)) for value in (250, 120, 10)]
    (root / "a").mkdir(parents=True)
    frames[0].save(root / "a" / "x.gif", save_all=True, append_images=frames[1:], duration=50)
    image = only(root)
    assert image.shape == SHAPE
    assert image[..., 0].min() == 250


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_alpha_is_composited_on_white(root, save_image, mode):
    pixels = np.full((*SHAPE[:2], 4), (0, 0, 0, 255), "uint8")
    pixels[:12, :, 3] = 0
    image = Image.fromarray(pixels)
    options = {}
    if mode == "P":
        image = Image.fromarray((pixels[..., 3] > 0).astype("uint8"), "P")
        image.putpalette([9, 9, 9, 0, 0, 0])
        options["transparency"] = 0
    elif mode == "RGB":
        colours = np.zeros(SHAPE, "uint8")
        colours[:12] = (7, 8, 9)
        image, options["transparency"] = Image.fromarray(colours), (7, 8, 9)
    else:
        image = image.convert(mode)
    save_image(root / "a" / "x.png", image, **options)
    result = only(root)
    assert (result[:12] == 255).all()
    assert (result[12:] == 0).all()


def test_half_transparent(root, save_image):
    save_image(root / "a" / "x.png", np.full((4, 4, 4), (100, 0, 0, 128), "uint8"))
    np.testing.assert_allclose(only(root)[0, 0], (177, 127, 127), atol=1)


@pytest.mark.parametrize("suffix", ["bmp", "tif", "webp"])
def test_other_formats(root, save_image, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    pixels = save_image(root / "a" / f"x.{suffix}", **options)
    np.testing.assert_array_equal(only(root), pixels)


def test_float_tiff_is_named(root, save_image):
    save_image(root / "a" / "good.png")
    save_image(
        root / "a" / "float.tif", np.linspace(0, 1, 24 * 32, dtype="float32").reshape(24, 32)
    )
    assert "no known range" in refused(root)["float.tif"]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(root, save_image, suffix, orientation):
    pixels = np.zeros((16, 48, 3), "uint8")
    pixels[:8, :24, 0] = pixels[:8, 24:, 1] = pixels[8:, :24, 2] = 240
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Stored as the camera would: the upright picture turned the other way.
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(pixels)
    if orientation > 1:
        stored = stored.transpose(turns[orientation])
    options = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}
    save_image(root / "a" / f"x.{suffix}", stored, exif=exif, **options.get(suffix, {}))
    save_image(root / "b" / f"upright.{suffix}", pixels)
    image = served(root)["a"][0]
    assert image.shape == pixels.shape
    # JPEG rings at the borders of its blocks.
    np.testing.assert_allclose(image[2:6, 2:22], pixels[2:6, 2:22], atol=12)
    np.testing.assert_allclose(image[2:6, 26:46], pixels[2:6, 26:46], atol=12)
    np.testing.assert_allclose(image[10:14, 2:22], pixels[10:14, 2:22], atol=12)


def test_nonsense_orientation_is_ignored(root, save_image):
    exif = Image.Exif()
    exif[0x0112] = 9
    save_image(root / "a" / "x.jpg", exif=exif)
    assert only(root).shape == SHAPE


def test_names_with_spaces_and_letters_of_all_kinds(root, save_image):
    for name in ("grüne Äpfel", "猫", "it's [1] *"):
        save_image(root / name / "mein Foto (1) ünd 100%.jpg")
        save_image(root / name / "猫 #2.gif")
    images = served(root)
    assert {name: len(group) for name, group in images.items()} == dict.fromkeys(images, 2)
    assert set(images) == {"grüne Äpfel", "猫", "it's [1] *"}


def test_name_that_is_no_text(root, save_image):
    save_image(root / "a" / "good.png")
    content = (root / "a" / "good.png").read_bytes()
    for name in (b"caf\xe9.png", b"bad\xe9.png"):
        with open(os.path.join(os.fsencode(root / "a"), name), "wb") as file:
            file.write(content if name.startswith(b"caf") else b"")
    with pytest.warns(UserWarning, match="bad"):
        dataset = kv.data.load(root, split="train")
    assert len(list(dataset)) == 2


def test_empty_class_keeps_its_index(root, save_image):
    save_image(root / "a" / "x.png")
    save_image(root / "c" / "x.png")
    (root / "b").mkdir()
    with pytest.warns(UserWarning, match="No images in: 'b'"):
        dataset, info = kv.data.load(root, split="train", with_info=True)
    assert info.class_names == ["a", "b", "c"]
    assert info.splits["train"].class_counts == {"a": 1, "b": 0, "c": 1}
    assert {int(example["label"]) for example in dataset} == {0, 2}


def test_what_systems_leave_behind_is_no_class_and_no_image(root, save_image):
    save_image(root / "a" / "x.png")
    for junk in (".DS_Store", "Thumbs.db", "desktop.ini", "._x.png", "notes.txt"):
        (root / "a" / junk).write_bytes(b"junk")
        (root / junk).write_bytes(b"junk")
    save_image(root / ".thumbnails" / "x.png")
    save_image(root / "__MACOSX" / "a" / "x.png")
    assert list(served(root)) == ["a"]


def test_images_in_subfolders_of_a_class(root, save_image):
    save_image(root / "a" / "2024" / "may" / "x.png")
    save_image(root / "a" / "x.png")
    assert len(served(root)["a"]) == 2


def test_nothing_leaves_the_folder(root, tmp_path, save_image):
    save_image(root / "a" / "x.png")
    save_image(tmp_path / "outside" / "secret.png")
    (root / "a" / "link.png").symlink_to(tmp_path / "outside" / "secret.png")
    (root / "a" / "up.png").symlink_to("../../outside/secret.png")
    (root / "a" / "inside.png").symlink_to(root / "a" / "x.png")
    (root / "a" / "broken.png").symlink_to(root / "a" / "absent.png")
    (root / "a" / "folder").symlink_to(tmp_path / "outside")
    (root / "a" / "loop").symlink_to(root)
    (root / "outclass").symlink_to(tmp_path / "outside")
    reasons = refused(root)
    assert {name for name in reasons if "leaves the folder" in reasons[name]} == {
        "link.png",
        "up.png",
        "folder",
    }
    assert reasons["broken.png"] == "a link to nothing"
    assert reasons["loop"] == "a link to a folder"
    assert "outclass" in reasons
    with pytest.warns(UserWarning, match="cannot be served"):
        dataset, info = kv.data.load(root, split="train", with_info=True)
    assert info.class_names == ["a"]
    assert len(list(dataset)) == 2


def test_a_link_to_the_folder_itself_is_fine(root, tmp_path, save_image):
    save_image(root / "a" / "x.png")
    (tmp_path / "link").symlink_to(root)
    assert list(served(tmp_path / "link")) == ["a"]


def test_pipes_do_not_hang(root, save_image):
    save_image(root / "a" / "x.png")
    os.mkfifo(root / "a" / "pipe.jpg")
    assert refused(root)["pipe.jpg"] == "not a regular file"


def test_more_pixels_than_memory(root, save_image, monkeypatch):
    from kvision.data.sources import image_files

    save_image(root / "a" / "good.png")
    save_image(root / "a" / "huge.png", np.zeros((64, 64, 3), "uint8"))
    monkeypatch.setattr(image_files, "_MAX_PIXELS", 1000)
    assert "1,000 pixels" in refused(root)["huge.png"]


def test_documents_are_not_run(root, save_image):
    save_image(root / "a" / "good.png")
    (root / "a" / "x.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    (root / "a" / "y.jpg").write_bytes((root / "a" / "x.eps").read_bytes())
    assert refused(root) == {"y.jpg": "not an image"}


def test_nothing_that_can_be_decoded(root):
    (root / "a").mkdir(parents=True)
    (root / "a" / "x.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no image that can be decoded(.|\n)*x.jpg"):
        kv.data.load(root)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_size_that_the_decoder_does_not_give_is_not_believed(
    root, save_image, monkeypatch, suffix
):
    """The header is read by Pillow, the pixels by TensorFlow; where they differ, Pillow reads."""
    from kvision.data.sources import image_files

    save_image(root / "a" / f"x.{suffix}", shape=(24, 32))
    monkeypatch.setattr(image_files, "_decoded_sizes", lambda paths, decoder: [(2, 4)] * len(paths))
    (verdict,) = image_files.check_files([str(root / "a" / f"x.{suffix}")])
    assert (verdict.decoder, verdict.size, verdict.reason) == (image_files.PILLOW, (24, 32), None)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("shape", [(8, 8), (9, 23), (1, 2)])
def test_sizes_are_those_of_the_pixels(root, save_image, suffix, shape):
    from kvision.data.sources import image_files

    exif = Image.Exif()
    exif[0x0112] = 8
    save_image(root / f"x.{suffix}", shape=shape)
    save_image(root / f"y.{suffix}", shape=shape, exif=exif)
    first, second = image_files.check_files([str(root / f"{x}.{suffix}") for x in "xy"])
    assert (first.size, first.turned) == (shape, False)
    assert (second.size, second.turned) == (shape[::-1], True)
    fast = {"jpg": image_files.JPEG, "png": image_files.PNG}
    assert first.decoder == second.decoder == fast.get(suffix, image_files.PILLOW)
