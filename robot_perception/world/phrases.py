"""Phrases for objects of the demo world, such as "red cup", and which objects they mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from robot_perception.core import Int64Array
from robot_perception.world.color_names import COLOR_NAMES, color_numbers
from robot_perception.world.vocabulary import CLASS_NAMES

ANY = -1
"""Color of a phrase that names only the kind."""

_UNSEEN = (('green', 'ball'), ('blue', 'cup'), ('red', 'box'), ('white', 'can'))
_SYNONYMS = {'gray': ('grey',), 'purple': ('violet',)}
# Share of absent phrases of kinds that are not in the scene that are chosen last.
_EASY = 0.7


@dataclass(frozen=True, slots=True)
class Phrase:
    """Color and kind of an object in words.

    Attributes:
        color: index in `COLOR_NAMES`, or `ANY`.
        kind: index in `CLASS_NAMES`.
    """

    color: int
    kind: int

    def __str__(self) -> str:
        """Return the phrase.

        >>> str(Phrase(COLOR_NAMES.index('red'), CLASS_NAMES.index('cup')))
        'red cup'
        """
        return ' '.join(words[0] for words in self.words())

    def words(self) -> Iterator[tuple[str, ...]]:
        """Yield for each word of the phrase all that can be used for it, the usual one first."""
        if self.color != ANY:
            name = COLOR_NAMES[self.color]
            yield (name, *_SYNONYMS.get(name, ()))
        name = CLASS_NAMES[self.kind]
        yield (name, plural(name))

    def describes(self, kind: str, color: str | None) -> bool | None:
        """Return whether the phrase means an object of such a kind and color.

        Args:
            kind: one of `CLASS_NAMES`.
            color: one of `COLOR_NAMES`, None = no clear name.

        Returns:
            None if that is not clear, since a color is asked for.
        """
        kinds = np.array([self.kind if kind == CLASS_NAMES[self.kind] else -1])
        meant, is_known = self.is_meant(kinds, color_numbers([color]))
        return len(meant) > 0 if is_known else None

    def is_meant(self, kinds: Int64Array, colors: Int64Array) -> tuple[Int64Array, bool]:
        """Return the objects that the phrase means.

        Args:
            kinds: (N,) index in `CLASS_NAMES`, -1 = an object that does not count.
            colors: (N,) index in `COLOR_NAMES`, -1 = no clear name.

        Returns:
            (M,) int64 indices of the objects, and whether they are known: False if a color is
            asked for and an object of the kind has none.
        """
        of_kind = kinds == self.kind
        if self.color == ANY:
            return np.flatnonzero(of_kind), True
        is_known = not (of_kind & (colors < 0)).any()
        return np.flatnonzero(of_kind & (colors == self.color)), is_known


KINDS = tuple(Phrase(ANY, kind) for kind in range(len(CLASS_NAMES)))
COLORED = tuple(Phrase(color, one.kind) for color in range(len(COLOR_NAMES)) for one in KINDS)
UNSEEN_PHRASES = tuple(
    Phrase(COLOR_NAMES.index(color), CLASS_NAMES.index(kind)) for color, kind in _UNSEEN
)
"""Those that mean no object that counts in training scenes of the prompted detector."""
TRAINED_PHRASES = tuple(phrase for phrase in COLORED if phrase not in UNSEEN_PHRASES)


@dataclass(frozen=True, slots=True)
class Selection:
    """Phrases to ask for in a scene, all of known truth.

    Attributes:
        phrases: P phrases.
        meant: of each phrase the (M,) indices of the objects that it means; empty for an absent
            one.
    """

    phrases: tuple[Phrase, ...]
    meant: tuple[Int64Array, ...]


def select_phrases(
    kinds: Int64Array,
    colors: Int64Array,
    phrases: Sequence[Phrase],
    rng: np.random.Generator,
    count: int,
) -> Selection | None:
    """Select phrases at random, of which half mean an object if the scene has so many.

    Phrases whose truth is not known are left out. Of absent phrases, those of kinds that are in
    the scene are preferred, as they are the hard ones.

    Args:
        kinds: (N,) as in `Phrase.is_meant`.
        colors: (N,) as in `Phrase.is_meant`.
        phrases: to choose from, of which no two mean the same object.
        rng: source of randomness.
        count: how many to choose; all of fewer.

    Returns:
        The phrases in random order, None if too few are left.
    """
    count = min(count, len(phrases))
    present: list[Phrase] = []
    absent: list[Phrase] = []
    for index in rng.permutation(len(phrases)):
        meant, is_known = phrases[index].is_meant(kinds, colors)
        if is_known:
            (present if len(meant) else absent).append(phrases[index])
    absent.sort(key=lambda phrase: phrase.kind not in kinds and rng.random() < _EASY)
    half = max((count + int(rng.integers(2))) // 2, count - len(absent))
    chosen = [*present[:half], *absent][:count]
    if len(chosen) < count:
        return None
    ordered = tuple(chosen[index] for index in rng.permutation(count))
    return Selection(ordered, tuple(one.is_meant(kinds, colors)[0] for one in ordered))


def read_phrase(text: str) -> Phrase | None:
    """Return the phrase that a text spells in one of its forms, None if there is none.

    >>> str(read_phrase('Violet boxes'))
    'purple box'
    """
    return _BY_TEXT.get(' '.join(text.split()).casefold())


def plural(noun: str) -> str:
    """Return the plural of a kind.

    >>> plural('box'), plural('cup')
    ('boxes', 'cups')
    """
    return noun + ('es' if noun.endswith('x') else 's')


def vocabulary() -> tuple[str, ...]:
    """Return every word that phrases consist of."""
    words = (word for phrase in COLORED for forms in phrase.words() for word in forms)
    return tuple(dict.fromkeys(words))


_BY_TEXT = {
    ' '.join(words): phrase for phrase in (*KINDS, *COLORED) for words in product(*phrase.words())
}
