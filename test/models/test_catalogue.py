import re

import pytest

from robot_perception.models import CATALOGUE, find_row, known_models
from robot_perception.models.families import FAMILIES


@pytest.mark.parametrize('row', CATALOGUE, ids=lambda row: row.model)
def test_every_row_is_complete(row):
    assert row.task in FAMILIES
    assert re.fullmatch(r'[0-9a-f]{40}|main', row.revision)
    assert row.is_pinned == (row.revision != 'main')
    assert '/' in row.model
    assert all((row.family, row.license, row.unit, row.description))
    assert row.size_mb > 0


def test_names_are_unique():
    assert len(set(known_models())) == len(CATALOGUE)


def test_names_of_a_task():
    assert known_models('segmenter') == ('facebook/sam2.1-hiera-tiny',)
    assert set(known_models('detector')) < set(known_models())


def test_descriptions_mention_missing_pins():
    unpinned = [row for row in CATALOGUE if not row.is_pinned]
    assert [row.model for row in unpinned] == ['ustc-community/dfine-nano-coco']
    assert 'no commit is pinned' in unpinned[0].description


def test_rows_are_found_by_their_id():
    assert find_row('facebook/dinov2-small') is CATALOGUE[0]
    assert find_row('nobody/nothing') is None
