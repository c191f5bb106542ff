"""Network architectures: preparation of their inputs and reading of their outputs.

A family is a class of one file, which is constructed with a checkpoint and an input size. It
chooses no device and runs nothing: `networks` names what a runtime computes, ``prepare`` makes the
input of an image, and ``read`` turns outputs into results. What each stage asks of its families
is in `robot_perception.models.families.interfaces`. A new family is a file and a row of
`FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from robot_perception.core import Stage


class FamilyRow(NamedTuple):
    """How checkpoints of one ``model_type`` are loaded.

    Attributes:
        network_class: name of the network in transformers.
        module: module that defines the family.
        family: name of its class.
        takes_text: whether it has a tokenizer.
        mask_class: name of the network in transformers that gives masks with its boxes, which
            ``architectures`` of a config.json names; empty if there is none.
        takes_depth: whether it takes the depth of a sensor.
        writes_text: whether its results are texts, written token by token.
    """

    network_class: str
    module: str
    family: str
    takes_text: bool = False
    mask_class: str = ''
    takes_depth: bool = False
    writes_text: bool = False


_HERE = __name__
_DINOV2 = (f'{_HERE}.dinov2', 'Dinov2')
_DEPTH_ANYTHING = (f'{_HERE}.depth_anything', 'DepthAnything')
_OWLVIT = (f'{_HERE}.owlvit', 'OwlVit', True)
_GROUNDING_DINO = (f'{_HERE}.grounding_dino', 'GroundingDino', True)
_OMDET_TURBO = (f'{_HERE}.omdet_turbo', 'OmDetTurbo', True)
_DETR = (f'{_HERE}.detr', 'Detr')
_SAM = (f'{_HERE}.sam', 'Sam')
_SAM2 = (f'{_HERE}.sam2', 'Sam2')
_EDGETAM = (f'{_HERE}.edgetam', 'EdgeTam')
_SAM3_TRACKER = (f'{_HERE}.sam3_tracker', 'Sam3Tracker')
_BACKBONE = (f'{_HERE}.backbone', 'Backbone')
_CLIP = (f'{_HERE}.clip', 'Clip', True)
_SIGLIP = (f'{_HERE}.siglip', 'Siglip', True)
_SIGLIP2 = (f'{_HERE}.siglip2', 'Siglip2', True)
_IMAGE_CLASSIFIER = (f'{_HERE}.image_classifier', 'ImageClassifier')
_PIXEL_LOGITS = (f'{_HERE}.pixel_logits', 'PixelLogits')
_CLIPSEG = (f'{_HERE}.clipseg', 'ClipSeg', True)
_MASK_QUERIES = (f'{_HERE}.mask_queries', 'MaskQueries')
_EOMT = (f'{_HERE}.eomt', 'Eomt')
_ZOEDEPTH = (f'{_HERE}.zoedepth', 'ZoeDepth')
_PROMPT_DEPTH_ANYTHING = (f'{_HERE}.prompt_depth_anything', 'PromptDepthAnything')
_DEPTH_PRO = (f'{_HERE}.depth_pro', 'DepthPro')
_VISION_LANGUAGE = (f'{_HERE}.vision_language', 'VisionLanguage', True)
_FLORENCE2_DESCRIBER = (f'{_HERE}.florence2_describer', 'Florence2', True)
_FLORENCE2_DETECTOR = (f'{_HERE}.florence2_detector', 'Florence2Detector', True)

DESCRIBER = 'describer'
"""The task that is no stage of the pipeline: to answer questions."""

FAMILIES: Mapping[str, dict[str, FamilyRow]] = {
    Stage.FEATURES: {
        'dinov2': FamilyRow('Dinov2Model', *_DINOV2),
        'dinov2_with_registers': FamilyRow('Dinov2WithRegistersModel', *_DINOV2),
        'dinov3_vit': FamilyRow('DINOv3ViTModel', *_DINOV2),
        'convnext': FamilyRow('ConvNextModel', *_BACKBONE),
        'convnextv2': FamilyRow('ConvNextV2Model', *_BACKBONE),
        'resnet': FamilyRow('ResNetModel', *_BACKBONE),
        'swin': FamilyRow('SwinModel', *_BACKBONE),
    },
    Stage.DEPTH: {
        'depth_anything': FamilyRow('DepthAnythingForDepthEstimation', *_DEPTH_ANYTHING),
        'depth_pro': FamilyRow('DepthProForDepthEstimation', *_DEPTH_PRO),
        'dpt': FamilyRow('DPTForDepthEstimation', *_DEPTH_ANYTHING),
        'prompt_depth_anything': FamilyRow(
            'PromptDepthAnythingForDepthEstimation', *_PROMPT_DEPTH_ANYTHING, takes_depth=True
        ),
        'zoedepth': FamilyRow('ZoeDepthForDepthEstimation', *_ZOEDEPTH),
    },
    Stage.DETECTOR: {
        'detr': FamilyRow('DetrForObjectDetection', *_DETR, mask_class='DetrForSegmentation'),
        'conditional_detr': FamilyRow(
            'ConditionalDetrForObjectDetection',
            *_DETR,
            mask_class='ConditionalDetrForSegmentation',
        ),
        'deformable_detr': FamilyRow('DeformableDetrForObjectDetection', *_DETR),
        'rt_detr': FamilyRow('RTDetrForObjectDetection', *_DETR),
        'rt_detr_v2': FamilyRow('RTDetrV2ForObjectDetection', *_DETR),
        'd_fine': FamilyRow('DFineForObjectDetection', *_DETR),
        'dab-detr': FamilyRow('DabDetrForObjectDetection', *_DETR),
        'deimv2': FamilyRow('Deimv2ForObjectDetection', *_DETR),
        'lw_detr': FamilyRow('LwDetrForObjectDetection', *_DETR),
        'rf_detr': FamilyRow(
            'RfDetrForObjectDetection', *_DETR, mask_class='RfDetrForInstanceSegmentation'
        ),
        'yolos': FamilyRow('YolosForObjectDetection', *_DETR),
        'owlvit': FamilyRow('OwlViTForObjectDetection', *_OWLVIT),
        'owlv2': FamilyRow('Owlv2ForObjectDetection', *_OWLVIT),
        'grounding-dino': FamilyRow('GroundingDinoForObjectDetection', *_GROUNDING_DINO),
        'florence2': FamilyRow(
            'Florence2ForConditionalGeneration', *_FLORENCE2_DETECTOR, writes_text=True
        ),
        'omdet-turbo': FamilyRow('OmDetTurboForObjectDetection', *_OMDET_TURBO),
        'mm-grounding-dino': FamilyRow('MMGroundingDinoForObjectDetection', *_GROUNDING_DINO),
    },
    Stage.SEGMENTER: {
        'sam': FamilyRow('SamModel', *_SAM),
        'sam2': FamilyRow('Sam2Model', *_SAM2),
        # Published checkpoints are video models that contain the image model.
        'sam2_video': FamilyRow('Sam2Model', *_SAM2),
        'edgetam': FamilyRow('EdgeTamModel', *_EDGETAM),
        'edgetam_video': FamilyRow('EdgeTamModel', *_EDGETAM),
        'sam3_tracker': FamilyRow('Sam3TrackerModel', *_SAM3_TRACKER),
        'sam3_video': FamilyRow('Sam3TrackerModel', *_SAM3_TRACKER),
    },
    Stage.SEMANTICS: {
        'mask2former': FamilyRow('Mask2FormerForUniversalSegmentation', *_MASK_QUERIES),
        'maskformer': FamilyRow('MaskFormerForInstanceSegmentation', *_MASK_QUERIES),
        'oneformer': FamilyRow('OneFormerForUniversalSegmentation', *_MASK_QUERIES),
        'eomt': FamilyRow('EomtForUniversalSegmentation', *_EOMT),
        'clipseg': FamilyRow('CLIPSegForImageSegmentation', *_CLIPSEG),
        'segformer': FamilyRow('SegformerForSemanticSegmentation', *_PIXEL_LOGITS),
        'upernet': FamilyRow('UperNetForSemanticSegmentation', *_PIXEL_LOGITS),
    },
    Stage.SCENE: {
        'clip': FamilyRow('CLIPModel', *_CLIP),
        'siglip': FamilyRow('SiglipModel', *_SIGLIP),
        'siglip2': FamilyRow('Siglip2Model', *_SIGLIP2),
        'beit': FamilyRow('BeitForImageClassification', *_IMAGE_CLASSIFIER),
        'convnext': FamilyRow('ConvNextForImageClassification', *_IMAGE_CLASSIFIER),
        'convnextv2': FamilyRow('ConvNextV2ForImageClassification', *_IMAGE_CLASSIFIER),
        'deit': FamilyRow('DeiTForImageClassification', *_IMAGE_CLASSIFIER),
        'dinov2': FamilyRow('Dinov2ForImageClassification', *_IMAGE_CLASSIFIER),
        'dinov2_with_registers': FamilyRow(
            'Dinov2WithRegistersForImageClassification', *_IMAGE_CLASSIFIER
        ),
        'mobilenet_v2': FamilyRow('MobileNetV2ForImageClassification', *_IMAGE_CLASSIFIER),
        'regnet': FamilyRow('RegNetForImageClassification', *_IMAGE_CLASSIFIER),
        'resnet': FamilyRow('ResNetForImageClassification', *_IMAGE_CLASSIFIER),
        'swin': FamilyRow('SwinForImageClassification', *_IMAGE_CLASSIFIER),
        'swinv2': FamilyRow('Swinv2ForImageClassification', *_IMAGE_CLASSIFIER),
        'vit': FamilyRow('ViTForImageClassification', *_IMAGE_CLASSIFIER),
    },
    DESCRIBER: {
        'blip-2': FamilyRow('Blip2ForConditionalGeneration', *_VISION_LANGUAGE),
        'florence2': FamilyRow('Florence2ForConditionalGeneration', *_FLORENCE2_DESCRIBER),
        'idefics3': FamilyRow('Idefics3ForConditionalGeneration', *_VISION_LANGUAGE),
        'internvl': FamilyRow('InternVLForConditionalGeneration', *_VISION_LANGUAGE),
        'llava': FamilyRow('LlavaForConditionalGeneration', *_VISION_LANGUAGE),
        'paligemma': FamilyRow('PaliGemmaForConditionalGeneration', *_VISION_LANGUAGE),
        'qwen2_vl': FamilyRow('Qwen2VLForConditionalGeneration', *_VISION_LANGUAGE),
        'qwen2_5_vl': FamilyRow('Qwen2_5_VLForConditionalGeneration', *_VISION_LANGUAGE),
        'qwen3_vl': FamilyRow('Qwen3VLForConditionalGeneration', *_VISION_LANGUAGE),
        'smolvlm': FamilyRow('SmolVLMForConditionalGeneration', *_VISION_LANGUAGE),
    },
}

ONNX_DETECTOR = FamilyRow('', f'{_HERE}.onnx_detector', 'OnnxDetector')
"""The family of ONNX files, which have no ``model_type``."""
