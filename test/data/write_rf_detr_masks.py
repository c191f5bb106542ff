"""Write rf_detr_masks.npz: outputs of a tiny RF-DETR, and its masks as transformers reads them.

Run it from the folder ``test`` where torchvision is installed. The committed file was made with
transformers 5.23.0, torch 2.13.0 and torchvision 0.28.0.
"""

from pathlib import Path

from checkpoints import MASK_DETECTORS, seeded
import numpy as np
import torch
import transformers

SIZE_HW = (50, 70)

if __name__ == '__main__':
    network = seeded(MASK_DETECTORS['rf_detr'][0])
    pixels = torch.randn((1, 3, 96, 96), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        outputs = network(pixel_values=pixels)
    read = transformers.RfDetrImageProcessor().post_process_instance_segmentation(
        outputs,
        threshold=0,
        target_sizes=[SIZE_HW],
        return_binary_maps=True,
        top_k=outputs.logits[0].numel(),
    )[0]
    np.savez_compressed(
        Path(__file__).with_name('rf_detr_masks.npz'),
        **{
            name: getattr(outputs, name).numpy() for name in ('logits', 'pred_boxes', 'pred_masks')
        },
        masks=read['segmentation'].numpy(),
        labels=[one['label_id'] for one in read['segments_info']],
        scores=[one['score'] for one in read['segments_info']],
    )
