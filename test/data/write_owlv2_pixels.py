"""Write owlv2_pixels.npz: inputs of OWLv2 as its processor in transformers makes them.

Run it where torchvision is installed. The committed file was made with transformers 5.23.0,
torch 2.13.0 and torchvision 0.28.0.
"""

from pathlib import Path

import numpy as np
import transformers

SIDE = 24
SIZES = ((20, 16), (24, 24), (48, 64), (90, 37))


def picture(height, width):
    """Return pixels that differ from each other, (H, W, 3) uint8."""
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


if __name__ == '__main__':
    processor = transformers.Owlv2ImageProcessor(size={'height': SIDE, 'width': SIDE})
    inputs = {
        f'{height}x{width}': processor(picture(height, width), return_tensors='np')[
            'pixel_values'
        ][0]
        for height, width in SIZES
    }
    np.savez_compressed(Path(__file__).with_name('owlv2_pixels.npz'), **inputs)
