"""Labels of whole images, as a user names them."""

from __future__ import annotations

from collections.abc import Sequence
import difflib

from robot_perception.core import ConfigError

PARAMETER = 'scene.labels'
_LISTED = 10


def choose_labels(labels: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the indices of the classes that labels name, all without labels.

    A class may have several names, separated by commas, as those of ImageNet do; each is enough.
    Upper and lower case make no difference.

    Raises:
        ConfigError: there is no such class.

    >>> choose_labels(['Tabby', 'office'], ['office', 'tabby, tabby cat'])
    [1, 0]
    """
    if not labels:
        return list(range(len(names)))
    chosen: dict[int, None] = {}
    for label in labels:
        wanted = label.casefold()
        found = [
            index
            for index, name in enumerate(names)
            if wanted in {name.casefold(), *(one.strip() for one in name.casefold().split(','))}
        ]
        if not found:
            nearest = difflib.get_close_matches(label, names, 1)
            rest = len(names) - _LISTED
            raise ConfigError(
                'unknown_class',
                f'{PARAMETER}: expected some of the {len(names)} classes of the stage, got '
                f'{label!r}. {f"Nearest: {nearest[0]}. " if nearest else ""}It has '
                f'{", ".join(names[:_LISTED])}{f" and {rest} others" if rest > 0 else ""}. '
                'For any other class use a model that compares images with text, such as CLIP, or '
                'a gallery with pictures of it (scene.gallery).',
            )
        chosen.update(dict.fromkeys(found))
    return list(chosen)
