"""The features of an example, a module each: how one is checked, kept, resized and moved.

`kvision.tasks` says which features a task has; `tasks.part("data.features", name)` finds their
modules, here or in a package from outside. An input without a module of its own is a picture, as
`image`. A module must have:

- `DTYPE`: in which the feature is kept and batched;
- `check(name, spec)`: raises a ValueError where the specification of the feature does not fit.

It may have:

- `beside(spec)`: whether what comes beside an image in a pair is this feature;
- `read(features, alone, masks)`: the feature of an example of any source; `alone` where it is the
  one target, `masks` where its masks are wanted. Without it: the value, cast to `DTYPE`;
- `IS_PICTURE`: whether augmentation colours it and interpolates between its pixels;
- `PIXEL_BYTES`: what it takes in memory for each pixel of the image; 0 without it;
- `FILL`: of a map beside the picture, the value where nothing is known. Augmentation moves such a
  map with the picture, taking the nearest pixels;
- `resized(value, frame)`: the value after resizing, by the methods of `resizing.Frame`;
- `moving(name, value, width)` and `moved(name, value, changed)`: what augmentation has to move (a
  dict: `boxes`, and maps by their names), and the value made of it afterwards. Without them a
  picture or map moves by itself, and anything else stays;
- `follow(value, matrix)`: the value where pixel (x, y, 1) of the new picture shows what was at
  `matrix` @ (x, y, 1), for numbers that mean directions or lengths in the picture: a disparity is
  halved with the width, an angle changes its sign in a mirror. `matrix` is float32 (3, 3). It is
  called after resizing and after augmentation, which then must be of layers that are affine;
- `WEIGHT`: the feature that `fit` takes as its weights where there is one;
- `WANTS_SIZE`: whether the truth tells the `size` of what is shown, in the pixels of the source;
- `padding(spec, most)` and `limited(value, most)`: the pair of shapes and fills with which examples
  are padded to one size in a batch, to `most` rows if that is no None, and a value cut to so many;
- `for_fit(value, batch)`: what `fit` gets of it; the value without it;
- `with_masks(features)` and `MASK_BYTES`: raises where the examples lack masks of single objects,
  and what these take in memory for each pixel;
- `mosaic(probability, size, count)`: the augmentation step that makes mosaics;
- `class_names(description)`: of its entry in `info.features`, in the order of their numbers;
- `relabelled(value, table)`: the value with its classes numbered as the list `table` says;
- `PLURAL`: what many of it are called; `IS_CLASS`: whether it is the class of a whole picture.
"""
