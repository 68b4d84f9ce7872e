"""`sample_scene`: invents a scene from one whole number."""

import numpy as np

from kvision.data.scenes.arranging import Arrangement
from kvision.data.scenes.chance import Chance
from kvision.data.scenes.world import Scene


def check_difficulty(difficulty):
    """Makes sure that the difficulty is a number in 0..1.

    Raises:
        ValueError: if it is not.
    """
    number = isinstance(difficulty, (int, float)) and not isinstance(difficulty, bool)
    if not number or not 0 <= difficulty <= 1:
        raise ValueError(
            "`difficulty` must be a number from 0 (flat colours that tell the class) to 1 "
            f"(clutter, overlap, camouflage). Received: {difficulty!r}"
        )


def sample_scene(seed, difficulty=0.5, aspect=4 / 3):
    """Invents a scene: a floor, a wall, and bodies that stand and hang between them.

    At difficulty 0 every class has its colour, flat on grey, and nothing overlaps. Up to 0.5 the
    colours lose their meaning: from there on bodies, clutter and surfaces draw colours and textures
    from one distribution, whatever the class. All along, bodies become more, smaller, more turned
    and slanted and overlap more; textures, shading, shadows, noise and blur become stronger; and
    what is no class at all comes in between.

    Args:
        seed: a whole number, 0 or more. The same seed is the same scene everywhere.
        difficulty: 0..1.
        aspect: width by height of the pictures that the scene is arranged for, as seen from
            `Camera.for_size`.

    Returns:
        A `Scene`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:

    >>> scene = kv.data.scenes.sample_scene(seed=7)
    >>> [body.shape for body in scene.bodies]
    ['triangle', 'square', 'ring', 'heart', 'blob']
    """
    check_difficulty(difficulty)
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not whole or seed < 0:
        raise ValueError(f"`seed` must be a whole number, 0 or more. Received: {seed!r}")
    if not 0.1 <= aspect <= 10:
        raise ValueError(f"`aspect` must be width / height, 0.1 to 10. Received: {aspect!r}")
    chance = Chance(int(seed), float(difficulty))
    surfaces = chance.surfaces()
    light, sensor = chance.light(), chance.sensor()
    bodies = Arrangement(chance, float(aspect), surfaces).bodies()
    return Scene(surfaces, bodies, light, sensor, int(seed))
