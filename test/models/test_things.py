"""Classes that are things, in checkpoints that do not state them."""

from types import SimpleNamespace

from checkpoints import write_semantics
import pytest
import torch

from robot_perception.models import build_semantic_segmenter
from robot_perception.models.families.things import find_things

# The 150 classes of ADE20k in their order, from the tables of Mask2Former; a star is at stuff.
ADE20K = """
*wall,*building,*sky,*floor,*tree,*ceiling,*road,bed,window,*grass,cabinet,*sidewalk,person,*earth,
door,table,*mountain,*plant,curtain,chair,car,*water,painting,sofa,shelf,*house,*sea,mirror,*rug,
*field,armchair,seat,fence,desk,*rock,wardrobe,lamp,tub,rail,cushion,*base,box,column,signboard,
chest of drawers,counter,*sand,sink,*skyscraper,fireplace,refrigerator,*grandstand,*path,stairs,
*runway,case,pool table,pillow,screen door,*stairway,*river,*bridge,bookcase,*blind,coffee table,
toilet,flower,book,*hill,bench,countertop,stove,palm,kitchen island,computer,swivel chair,boat,
*bar,arcade machine,*hovel,bus,towel,light,truck,*tower,chandelier,awning,street lamp,booth,tv,
plane,*dirt track,clothes,pole,*land,bannister,*escalator,ottoman,bottle,*buffet,*poster,*stage,
van,ship,fountain,*conveyer belt,*canopy,washer,plaything,*pool,stool,barrel,basket,*falls,*tent,
bag,minibike,*cradle,oven,ball,food,step,*tank,trade name,microwave,pot,animal,bicycle,*lake,
dishwasher,screen,*blanket,sculpture,hood,sconce,vase,traffic light,tray,trash can,fan,*pier,
*crt screen,plate,monitor,bulletin board,*shower,radiator,glass,clock,flag
"""
ADE_NAMES = [name.strip() for name in ADE20K.split(',')]
ADE_THINGS = {index for index, name in enumerate(ADE_NAMES) if not name.startswith('*')}
ADE_NAMES = [name.lstrip('*') for name in ADE_NAMES]


def find(names, name='net', family='mask2former', **preprocessor):
    checkpoint = SimpleNamespace(preprocessor=preprocessor, name=name, family=family)
    return find_things(checkpoint, names)


@pytest.mark.parametrize(
    ('count', 'first', 'things'),
    [(133, 'person', {0, 79}), (19, 'person', {11, 18}), (19, 'cat', None), (150, 'wall', None)],
)
def test_things_of_known_data_sets(count, first, things):
    names = [f'class {index}' for index in range(count)]
    names[0 if count != 19 else 11] = first
    found = find(names)
    assert (found is None) == (things is None)
    if things:
        assert (min(found), max(found)) == (min(things), max(things))
        assert find(names, 'net-semantic') is None


@pytest.mark.parametrize(
    ('name', 'family', 'is_panoptic'),
    [
        ('facebook/mask2former-swin-large-ade-panoptic', 'mask2former', True),
        ('facebook/mask2former-swin-large-ade-semantic', 'mask2former', False),
        # Trained for classes alone.
        ('facebook/maskformer-swin-large-ade', 'maskformer', False),
        ('shi-labs/oneformer_ade20k_swin_tiny', 'oneformer', True),
        ('tue-mps/ade20k_panoptic_eomt_large_640', 'eomt', True),
        ('tue-mps/ade20k_semantic_eomt_large_512', 'eomt', False),
    ],
)
def test_things_of_ade20k_by_the_published_names(name, family, is_panoptic):
    assert (len(ADE_NAMES), len(ADE_THINGS)) == (150, 100)
    found = find(ADE_NAMES, name, family)
    assert found == (ADE_THINGS if is_panoptic else None)
    # Some files have further names, or a space after one.
    spelled = [f'{one}, thing' if index % 2 else f'{one} ' for index, one in enumerate(ADE_NAMES)]
    assert find(spelled, name, family) == found
    stated = find(ADE_NAMES, name, family, metadata={'thing_ids': [1, 2]})
    assert stated == {1, 2}


def test_other_classes_of_the_same_number_are_not_those_of_ade20k():
    assert find(ADE_NAMES[::-1], 'net-panoptic') is None


@pytest.mark.parametrize('family', ['mask2former', 'oneformer', 'eomt'])
def test_objects_of_things_are_separated(tmp_path, family):
    folder = write_semantics(
        tmp_path / f'{family}-ade-panoptic', family, names=ADE_NAMES, metadata=None
    )
    stage = build_semantic_segmenter(str(folder), device='cpu')
    assert stage.class_names == tuple(ADE_NAMES)
    # A wall, and a person at each side of it.
    wall, person, no_object = 0, 12, 150
    classes = 9 * torch.eye(151)[[wall, person, person, no_object]]
    sides = torch.full((4, 16, 16), -9.0)
    for query, columns in enumerate((slice(4, 12), slice(4), slice(12, 16))):
        sides[query, :, columns] = 9
    found = stage.family.read((classes[None], sides[None]), (64, 64))
    assert set(found.classes[:, 20:44].ravel()) == {wall}
    assert set(found.instances[:, 20:44].ravel()) == {0}
    for columns in (slice(12), slice(52, 64)):
        assert set(found.classes[:, columns].ravel()) == {person}
    assert len({*found.instances[:, 2], *found.instances[:, 61]} - {0}) == 2
