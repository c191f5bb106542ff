#!/usr/bin/env python3
"""Report words that words.txt rejects, in Python, Markdown, RST, YAML, TOML, CMake and messages.

Python is parsed: identifiers are split at underscores and capitals, and only those that a file
defines are checked; prose is comments, docstrings and strings that contain a space.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
import io
from pathlib import Path
import re
import subprocess
import sys
import tokenize

ROOT = Path(__file__).resolve().parent.parent
WORDS = Path(__file__).with_name('words.txt')
KINDS = ('identifier', 'prose', 'both')
SUFFIXES = {'.py', '.md', '.rst', '.yaml', '.yml', '.toml', '.msg', '.xml', '.txt'}
CAMEL = re.compile(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+')
CODE = re.compile(r'``[^`]*``|`[^`\n]*`')
FENCE = re.compile(r'^ *```.*?^ *```', re.MULTILINE | re.DOTALL)
LINK_TARGET = re.compile(r'\]\([^)\s]*\)|https?://\S+')


@dataclass(frozen=True)
class Rule:
    """One line of the word list.

    Attributes:
        forms: Words, or phrases in prose. `=name` is a whole identifier, `*_of` an ending of a
            function's name, `name.py` a file, `^Word` the first word of a docstring. Forms with a
            capital match only with it.
        kind: Where it is looked for: identifier, prose or both.
        preferred: What to write instead.
        only: The rule holds in files of these patterns only; empty for all.
        allowed: The rule does not hold in files of these patterns.
        phrases: Phrases in which the word is right.
    """

    forms: tuple[str, ...]
    kind: str
    preferred: str
    only: tuple[str, ...]
    allowed: tuple[str, ...]
    phrases: tuple[str, ...]

    def applies_to(self, path: str) -> bool:
        """Return whether the rule holds in a file."""
        if self.only and not any(fnmatch(path, pattern) for pattern in self.only):
            return False
        return not any(fnmatch(path, pattern) for pattern in self.allowed)


@dataclass(frozen=True)
class Text:
    """A piece of a file: an identifier or prose, with the line where it begins."""

    kind: str
    text: str
    line: int
    is_function: bool = False
    is_docstring: bool = False


def read_rules(path: Path = WORDS) -> list[Rule]:
    """Read the word list.

    Raises:
        ValueError: A line is not of the form `words | kind | preferred | conditions`.
    """
    rules = []
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        forms, kind, preferred, *conditions = [part.strip() for part in line.split('|')]
        if kind not in KINDS or len(conditions) > 1:
            raise ValueError(f'{path}:{number}: expected words | kind | preferred | conditions')
        found: dict[str, list[str]] = {'only': [], 'not': [], 'phrase': []}
        for condition in filter(None, (c.strip() for c in ''.join(conditions).split(';'))):
            name, _, value = condition.partition(' ')
            found[name].append(value)
        rules.append(
            Rule(
                tuple(form.strip() for form in forms.split(',')),
                kind,
                preferred,
                tuple(found['only']),
                tuple(found['not']),
                tuple(found['phrase']),
            )
        )
    return rules


def check_file(path: str, source: str, rules: Iterable[Rule]) -> Iterator[str]:
    """Yield 'path:line: word, prefer ...' for each rejected word of a file."""
    rules = [rule for rule in rules if rule.applies_to(path)]
    for rule in rules:
        if Path(path).name in rule.forms:
            yield f'{path}:1: file name, prefer {rule.preferred}'
    texts = list(python_texts(source) if path.endswith('.py') else markup_texts(path, source))
    # A name is reported once, where it is first defined.
    first = {(text.kind, text.text, text.is_function): text for text in reversed(texts)}
    suspicious = _find_any(tuple(rules))
    for text in first.values():
        if not suspicious.search(text.text):
            continue
        for rule in rules:
            if rule.kind in {text.kind, 'both'}:
                for word, line in _matches(rule, text):
                    yield f'{path}:{line}: {text.kind} {word!r}, prefer {rule.preferred}'


def _matches(rule: Rule, text: Text) -> Iterator[tuple[str, int]]:
    for form in rule.forms:
        if text.kind == 'identifier':
            if _identifier_matches(form, text):
                yield text.text, text.line
        elif form.startswith('^'):
            if text.is_docstring and re.match(rf'\s*{form[1:]}\b', text.text):
                yield form[1:], text.line
        elif not form.startswith(('=', '*')):
            pattern = _pattern(form)
            if not pattern.search(text.text):
                continue
            prose = text.text
            for phrase in rule.phrases:
                words = r'\s+'.join(map(re.escape, phrase.split()))
                prose = re.sub(words, _blank, prose, flags=re.IGNORECASE)
            for match in pattern.finditer(prose):
                yield match[0], text.line + prose.count('\n', 0, match.start())


@cache
def _find_any(rules: tuple[Rule, ...]) -> re.Pattern[str]:
    """Return a pattern that is in every text with a match of any rule: checking is slow."""
    starts = {re.split(r'[ .]', form.lstrip('=*^'))[0] for rule in rules for form in rule.forms}
    return re.compile('|'.join(map(re.escape, sorted(starts))), re.IGNORECASE)


@cache
def _pattern(form: str) -> re.Pattern[str]:
    flags = re.IGNORECASE if form == form.lower() else 0
    return re.compile(r'\b' + r'[\s#]+'.join(map(re.escape, form.split())) + r'\b', flags)


def _identifier_matches(form: str, text: Text) -> bool:
    name = text.text.strip('_')
    if form.startswith('='):
        return name == form[1:]
    if form.startswith('*'):
        return text.is_function and text.text.endswith(form[1:])
    wanted = _parts(form) if ' ' not in form and '.' not in form else ()
    parts = _parts(name, lower=form == form.lower())
    length = len(wanted)
    return bool(wanted) and any(
        parts[i : i + length] == wanted for i in range(len(parts) - length + 1)
    )


@cache
def _parts(name: str, *, lower: bool = False) -> tuple[str, ...]:
    parts = CAMEL.findall(name)
    return tuple(part.lower() for part in parts) if lower else tuple(parts)


def python_texts(source: str) -> Iterator[Text]:
    """Yield the identifiers that Python code defines, and its prose."""
    tree = ast.parse(source)
    docstrings: set[int] = set()
    in_f_strings: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, 'body', None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            docstrings.add(id(body[0].value))
        if isinstance(node, ast.JoinedStr):
            in_f_strings.update(id(part) for part in node.values)
    for node in ast.walk(tree):
        yield from _names(node)
        text = _string(node) if id(node) not in in_f_strings else ''
        if ' ' in text:
            is_docstring = id(node) in docstrings
            line = getattr(node, 'lineno', 1)
            yield Text('prose', CODE.sub('', text), line, is_docstring=is_docstring)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith('#!'):
            yield Text('prose', CODE.sub('', token.string), token.start[0])


def _names(node: ast.AST) -> Iterator[Text]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield Text('identifier', node.name, node.lineno, is_function=True)
        case ast.ClassDef():
            yield Text('identifier', node.name, node.lineno)
        case ast.arg():
            yield Text('identifier', node.arg, node.lineno)
        case ast.Name(ctx=ast.Store()):
            yield Text('identifier', node.id, node.lineno)
        case ast.Attribute(ctx=ast.Store()):
            yield Text('identifier', node.attr, node.lineno)


def _string(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str()):
            return str(node.value)
        case ast.JoinedStr():
            return ''.join(_string(part) or '{}' for part in node.values)
    return ''


def _blank(match: re.Match[str]) -> str:
    """Replace a match by spaces; lines are kept."""
    return re.sub(r'[^\n]', ' ', match[0])


def markup_texts(path: str, source: str) -> Iterator[Text]:
    """Yield the prose of a text file, and the identifiers that Markdown has in backticks."""
    if path.endswith('.md'):
        source = LINK_TARGET.sub(_blank, FENCE.sub(_blank, source))
        for match in CODE.finditer(source):
            if re.fullmatch(r'[\w.]+', match[0].strip('`')):
                line = source.count('\n', 0, match.start()) + 1
                for name in match[0].strip('`').split('.'):
                    yield Text('identifier', name, line)
        yield Text('prose', CODE.sub(_blank, source), 1)
    elif path.endswith(('.rst', '.xml')):
        yield Text('prose', CODE.sub(_blank, source), 1)
    else:
        for number, text in enumerate(source.splitlines(), 1):
            _, mark, comment = text.partition('#')
            if mark:
                yield Text('prose', CODE.sub('', comment), number)


def tracked_files() -> list[str]:
    """Return the files of the checkout that are checked."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard']
    listing = subprocess.run(  # noqa: S603 - fixed
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    packages = ('bond', 'foxglove_msgs', 'tf2_msgs', 'vision_msgs')
    skipped = ('workspace/words.txt', *(f'workspace/{name}/' for name in packages))
    return [
        name
        for name in listing.splitlines()
        if Path(name).suffix in SUFFIXES
        and not name.startswith(skipped)
        and (ROOT / name).is_file()
    ]


def main() -> int:
    """Check the named files, or all that git knows."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('files', nargs='*', help='all files of the checkout by default')
    arguments = parser.parse_args()
    known = tracked_files()
    rules = read_rules()
    count = 0
    for path in arguments.files or known:
        if path in known:
            for problem in sorted(
                set(check_file(path, (ROOT / path).read_text(encoding='utf-8'), rules)),
                key=lambda text: int(text.split(':')[1]),
            ):
                print(problem)
                count += 1
    print(f'{count} words to replace' if count else 'no words to replace', file=sys.stderr)
    return 1 if count else 0


if __name__ == '__main__':
    sys.exit(main())
