"""Write edgetam_outputs.npz: outputs of a tiny EdgeTAM with the RepViT of timm.

Run it from the folder ``test`` where timm and torchvision are installed. The committed file was
made with transformers 5.23.0, torch 2.13.0 and timm 1.0.31, and with a stand-in for torchvision,
which timm imports and RepViT does not call.
"""

import json

import numpy as np
from segmenter_checkpoints import draw_weights, EDGETAM, edgetam_inputs, EDGETAM_OUTPUTS
import timm
import torch
import transformers

SIZE_HW = (80, 100)


def shapes(network):
    """Return name -> shape of all weights as JSON."""
    return json.dumps({name: list(value.shape) for name, value in network.state_dict().items()})


if __name__ == '__main__':
    network = transformers.EdgeTamModel(transformers.EdgeTamConfig.from_dict(EDGETAM)).eval()
    network.load_state_dict(draw_weights(json.loads(shapes(network))))
    pixels, boxes = edgetam_inputs()
    with torch.inference_mode():
        maps = network.vision_encoder.backbone(pixels).last_hidden_state
        output = network(pixel_values=pixels, input_boxes=boxes, multimask_output=False)
    masks = transformers.Sam2ImageProcessor().post_process_masks(output.pred_masks, [SIZE_HW])
    published = timm.create_model('repvit_m1', num_classes=0, features_only=True)
    np.savez_compressed(
        EDGETAM_OUTPUTS,
        shapes=shapes(network),
        repvit_m1=shapes(published),
        logits=output.pred_masks.numpy(),
        scores=output.iou_scores.numpy(),
        masks=masks[0].numpy(),
        **{f'map_{index}': one.numpy() for index, one in enumerate(maps)},
    )
