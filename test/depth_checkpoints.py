"""A tiny seeded checkpoint of Prompt Depth Anything."""

from functools import partial

from checkpoints import CARD, seeded
import transformers

from robot_perception.models.network import write_checkpoint

SIDE = 84


def write_prompt_depth_anything(folder):
    """Write a network that takes the depth of a sensor; returns the folder."""
    backbone = transformers.Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
    )
    config = transformers.PromptDepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 16, 16, 32],
        fusion_hidden_size=16,
        depth_estimation_type='metric',
    )
    network = seeded(partial(transformers.PromptDepthAnythingForDepthEstimation, config))
    size = {'height': SIDE, 'width': SIDE}
    write_checkpoint(network, folder, {'size': size, 'keep_aspect_ratio': True}, CARD)
    return folder
