"""Whether an answer in words is the true one."""

from __future__ import annotations

from collections.abc import Sequence
import re

YES, NO = 'yes', 'no'
# Of the ten people who answered each question of VQAv2, as many make an answer right.
_PEOPLE = 3
# Replaced as by the evaluation of VQAv2.
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten')
    )
}
_NUMBERS['none'] = '0'
_ARTICLES = frozenset({'a', 'an', 'the'})
_APOSTROPHE = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}]")
# A comma or a period between digits belongs to the number.
_PUNCTUATION = re.compile(r'(?<!\d)[.,]|[.,](?!\d)|[^\w\s.,-]|(?<!\w)-|-(?!\w)|_')
_SENTENCE_END = re.compile(r'[.!?\n]')
_NEGATIONS = frozenset({'no', 'not', 'cannot', 'isnt', 'arent', 'doesnt', 'dont', 'cant'})


def normalize_answer(text: str) -> str:
    """Return an answer as the evaluation of VQAv2 compares it.

    Lower case, without punctuation, articles and apostrophes, and with digits for numbers up to
    ten.

    >>> normalize_answer('There are Two cups.'), normalize_answer("It isn't a cup!")
    ('there are 2 cups', 'it isnt cup')
    """
    words = _PUNCTUATION.sub(' ', _APOSTROPHE.sub('', text.lower())).split()
    return ' '.join(_NUMBERS.get(word, word) for word in words if word not in _ARTICLES)


def is_exact(answer: str, truths: Sequence[str]) -> bool:
    """Return whether the normalized answer is one of the truths."""
    return normalize_answer(answer) in set(map(normalize_answer, truths))


def is_contained(answer: str, truths: Sequence[str]) -> bool:
    """Return whether the answer has a truth in it, or a truth the answer; nothing matches ''.

    After lower case and trimming only, as parts of words: a lenient figure.
    """
    given = answer.strip().lower()
    return any(
        bool(given and true) and (given in true or true in given)
        for true in (truth.strip().lower() for truth in truths)
    )


def soft_accuracy(answer: str, truths: Sequence[str]) -> float:
    """Return min(1, people who gave the answer / 3), the accuracy of VQAv2.

    Its evaluation also takes the mean over each nine of the ten people, which this does not.

    >>> soft_accuracy('two', ['2', 'two', 'three', '3', '3'])
    0.6666666666666666
    """
    given = normalize_answer(answer)
    return min(1.0, sum(given == normalize_answer(truth) for truth in truths) / _PEOPLE)


def read_yes_no(answer: str) -> str | None:
    """Return 'yes' or 'no' as POPE reads an answer; None for an empty one.

    Its first sentence is 'no' if it has a negation, and 'yes' otherwise.

    >>> read_yes_no('No, there is none.'), read_yes_no('There is a cup. Not a big one.')
    ('no', 'yes')
    """
    words = normalize_answer(_SENTENCE_END.split(answer.strip(), maxsplit=1)[0]).split()
    if not words:
        return None
    return NO if words == [_NUMBERS['none']] or _NEGATIONS.intersection(words) else YES
