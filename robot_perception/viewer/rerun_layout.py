"""How the viewer of Rerun lays a scene out."""

from __future__ import annotations

import rerun.blueprint as layout

from robot_perception.viewer import rerun_scene as paths
from robot_perception.viewer.rerun_log import FRAME

# Meters in the optical frame: beside and above the camera, looking at what is before it.
_EYE_M, _TARGET_M, _UP = (-0.6, -0.7, -0.5), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)


def blueprint() -> layout.Blueprint:
    """Space on the left, picture and depth on the right, times below."""
    return layout.Blueprint(
        layout.Vertical(
            layout.Horizontal(
                layout.Spatial3DView(
                    name='Space',
                    origin='/',
                    contents=[f'+ /{paths.POINTS}', f'+ /{paths.BOXES_3D}', f'+ /{paths.CAMERA}'],
                    eye_controls=layout.EyeControls3D(
                        position=_EYE_M, look_target=_TARGET_M, eye_up=_UP
                    ),
                ),
                layout.Vertical(
                    _picture_view('Objects', paths.IMAGE, paths.CLASSES, paths.BOXES_2D),
                    layout.Tabs(
                        _picture_view('Depth', paths.DEPTH, paths.RELATIVE_DEPTH),
                        _picture_view('Instances', paths.IMAGE, paths.INSTANCES),
                        _picture_view('Features', paths.FEATURES),
                    ),
                ),
                column_shares=[3, 2],
            ),
            layout.TimeSeriesView(name='Milliseconds of each stage', origin=f'/{paths.TIMING}'),
            row_shares=[4, 1],
        ),
        layout.TimePanel(timeline=FRAME, state='collapsed'),
        collapse_panels=True,
    )


def _picture_view(name: str, *entities: str) -> layout.Spatial2DView:
    return layout.Spatial2DView(
        name=name, origin=f'/{paths.CAMERA}', contents=[f'+ /{entity}' for entity in entities]
    )
