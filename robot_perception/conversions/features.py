"""Conversion of scene features to robot_perception/msg/SceneFeatures."""

from __future__ import annotations

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import SceneFeatures


def features_message(
    factory: MessageFactory, header: ros.Header, features: SceneFeatures, *, with_patches: bool
) -> ros.SceneFeatures:
    """Build a robot_perception/msg/SceneFeatures.

    Args:
        factory: makes the message.
        header: header of the message.
        features: vector and patch grid.
        with_patches: whether to include the patch features, hundreds of times the vector in size;
            the size of the grid is always set.
    """
    patches = features.patches if with_patches else np.zeros(0, np.float32)
    return factory(
        ros.SceneFeatures,
        header=header,
        model=features.model,
        vector=factory.sequence(np.ascontiguousarray(features.vector)),
        grid_height=features.grid_hw[0],
        grid_width=features.grid_hw[1],
        patches=factory.sequence(np.ascontiguousarray(patches).reshape(-1)),
    )
