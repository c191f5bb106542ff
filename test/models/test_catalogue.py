from pathlib import Path
import re

import pytest

from robot_perception.models import CATALOGUE, find_row, known_models
from robot_perception.models.families import FAMILIES


@pytest.mark.parametrize('row', CATALOGUE, ids=lambda row: row.model)
def test_every_row_is_complete(row):
    assert row.task in FAMILIES
    if row.is_pinned:
        assert re.fullmatch(r'[0-9a-f]{40}', row.revision)
        assert re.fullmatch(r'[0-9a-f]{64}', row.sha256)
    assert row.is_pinned == bool(row.sha256)
    assert row.license in {'Apache-2.0', 'MIT'} or (row.is_gated and 'other: ' in row.license)
    assert '/' in row.model
    assert all((row.family, row.license, row.unit, row.accuracy, row.description))
    assert row.size_mb > 0


def test_names_are_unique():
    assert len(set(known_models())) == len(CATALOGUE)


def test_names_of_a_task():
    assert known_models('segmenter') == (
        'facebook/sam2.1-hiera-tiny',
        'yonigozlan/EdgeTAM-hf',
        'facebook/sam3',
    )
    assert set(known_models('detector')) < set(known_models())


def test_figures_have_a_source_and_revisions_are_not_repeated():
    assert [row.task for row in CATALOGUE if not row.source] == ['depth']
    assert len({row.revision for row in CATALOGUE}) == len({row.sha256 for row in CATALOGUE})


def test_rows_are_found_by_their_id():
    assert find_row('facebook/dinov2-small') is CATALOGUE[0]
    assert find_row('nobody/nothing') is None


def test_the_documentation_lists_the_catalogue():
    text = (Path(__file__).parents[2] / 'docs' / 'models.md').read_text(encoding='utf-8')
    lines = [line for line in text.splitlines() if line.startswith('| `')]
    for line, row in zip(lines, CATALOGUE, strict=True):
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        assert cells[:2] == [f'`{row.model}`', row.task]
        assert cells[3:5] == [str(row.size_mb), row.accuracy]
        assert f'(https://{row.source})' in cells[5] or not row.source
    for family in (name for families in FAMILIES.values() for name in families):
        assert f'`{family}`' in text
