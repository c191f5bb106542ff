"""Licenses that the files of a folder state."""

import pytest

from robot_perception.models import find_license, license_notes

# The beginnings of the published texts.
APACHE = """
                                 Apache License
                           Version 2.0, January 2004
"""
CC_BY_NC = """Attribution-NonCommercial 4.0 International

=======================================================================

Creative Commons Corporation ("Creative Commons") is not a law firm
"""
APPLE = """Disclaimer: IMPORTANT: This Apple Machine Learning Research Model is
specifically developed and released by Apple Inc. ("Apple") for the sole purpose
of scientific research of artificial intelligence
"Research Purposes" means non-commercial scientific research
"""
GPL_2 = """                    GNU GENERAL PUBLIC LICENSE
                       Version 2, June 1991
(This alternative is allowed only for noncommercial distribution and only if
you received the program in object code
"""
UNLICENSE = """This is free and unencumbered software released into the public domain.

Anyone is free to copy, modify, publish, use, compile, sell, or
distribute this software, for any purpose, commercial or
non-commercial, and by any means.
"""


def card(*lines):
    return '\n'.join(['---', *lines, '---', '# A network', 'license: mit'])


@pytest.fixture
def folder(tmp_path):
    """Return a function that makes a folder with these files."""

    def make(**files):
        folder = tmp_path / 'network'
        folder.mkdir()
        for name, text in files.items():
            (folder / name.replace('_md', '.md')).write_text(text)
        return str(folder)

    return make


@pytest.mark.parametrize(
    ('text', 'license_id', 'note'),
    [
        (card('license: apache-2.0', 'tags: [vision]'), 'apache-2.0', ''),
        (card('license: cc-by-nc-4.0'), 'cc-by-nc-4.0', '(cc-by-nc-4.0) excludes commercial use.'),
        (
            card('license: other', 'license_name: apple-amlr'),
            'other: apple-amlr',
            'commercial use.',
        ),
        (card('license: other', 'license_name: mine'), 'other: mine', 'read it in {folder}.'),
        (card('license: [mit, cc-by-nc-sa-4.0]'), 'mit, cc-by-nc-sa-4.0', 'commercial use.'),
        (card('tags: [vision]'), '', ''),
        (card('license: ['), '', ''),
        (card('- license'), '', ''),
        ('# A network\n---\nlicense: cc-by-nc-4.0\n---\n', '', ''),
        ('---\r\nlicense: mit\r\n---\r\n', 'mit', ''),
        ('', '', ''),
    ],
)
def test_the_front_matter_of_the_card_counts(folder, text, license_id, note):
    path = folder(README_md=text)
    assert find_license(path) == license_id
    notes = license_notes([path, path])
    assert len(notes) == bool(note)
    assert all(one.endswith(note.format(folder=path)) and path in one for one in notes)


@pytest.mark.parametrize(
    ('text', 'title', 'may_exclude'),
    [
        (APACHE, 'Apache License', False),
        (GPL_2, 'GNU GENERAL PUBLIC LICENSE', False),
        (UNLICENSE, UNLICENSE.partition('\n')[0], False),
        (CC_BY_NC, 'Attribution-NonCommercial 4.0 International', True),
        (APPLE, APPLE.partition('\n')[0], True),
        ('# Weights\nFor research use only.', 'Weights', True),
        ('# Weights\nFor academic research use only.', 'Weights', True),
        ('# PolyForm Noncommercial License 1.0.0', 'PolyForm Noncommercial License 1.0.0', True),
        ('# Weights\nFor non commercial use.', 'Weights', True),
        ('  \n', '', False),
    ],
)
def test_a_text_is_named_where_it_limits_use(folder, text, title, may_exclude):
    path = folder(LICENSE=text, README_md='# A network')
    assert find_license(path) == title
    expected = f'The license of {path} may exclude commercial use: read {path}/LICENSE.'
    assert license_notes([path]) == ((expected,) if may_exclude else ())


def test_the_card_counts_more_than_the_text(folder):
    path = folder(LICENSE=CC_BY_NC, README_md=card('license: mit'))
    assert find_license(path) == 'mit'
    assert license_notes([path]) == ()


def test_files_that_are_no_text_state_nothing(folder, tmp_path):
    path = folder()
    (tmp_path / 'network' / 'README.md').write_bytes(b'\xff\xfe---\n')
    (tmp_path / 'network' / 'LICENSE').mkdir()
    assert find_license(path) == ''


def test_networks_of_the_package_are_no_folders(folder, monkeypatch, tmp_path):
    path = folder(README_md=card('license: cc-by-nc-4.0'))
    monkeypatch.chdir(tmp_path)
    for name in ('stub', 'demo'):
        (tmp_path / name).symlink_to(path)
    assert license_notes(['stub', 'demo', 'demo/mm_grounding_dino', '']) == ()
    assert len(license_notes(['network', 'stub'])) == 1
