from dataclasses import replace

import pytest
from reasons import raises

from robot_perception.core.errors import SourceError
from robot_perception.sources.bag_topics import choose_topics, Topic, TopicWish
from robot_perception.sources.sample import Role


def image(name, encoding='rgb8'):
    return Topic(name, 'sensor_msgs/msg/Image', encoding)


def jpeg(name, image_format='rgb8; jpeg compressed bgr8'):
    return Topic(name, 'sensor_msgs/msg/CompressedImage', image_format)


def info(name):
    return Topic(name, 'sensor_msgs/msg/CameraInfo')


def tf(name):
    return Topic(name, 'tf2_msgs/msg/TFMessage')


CASES = {
    'one camera': (
        [image('/cam/image_raw'), info('/cam/camera_info')],
        {'/cam/image_raw': Role.IMAGE, '/cam/camera_info': Role.CAMERA_INFO},
    ),
    'topics at the root': (
        [image('/image'), info('/camera_info')],
        {'/image': Role.IMAGE, '/camera_info': Role.CAMERA_INFO},
    ),
    'compressed only': (
        [jpeg('/cam/image_raw/compressed'), info('/cam/camera_info')],
        {
            '/cam/image_raw/compressed': Role.COMPRESSED_IMAGE,
            '/cam/camera_info': Role.CAMERA_INFO,
        },
    ),
    'raw before its compressed copy': (
        [jpeg('/cam/image_raw/compressed'), image('/cam/image_raw'), info('/cam/camera_info')],
        {'/cam/image_raw': Role.IMAGE, '/cam/camera_info': Role.CAMERA_INFO},
    ),
    'realsense': (
        [
            image('/camera/color/image_raw'),
            info('/camera/color/camera_info'),
            image('/camera/aligned_depth_to_color/image_raw', '16UC1'),
            info('/camera/aligned_depth_to_color/camera_info'),
            image('/camera/depth/image_rect_raw', '16UC1'),
            info('/camera/depth/camera_info'),
            tf('/tf'),
            tf('/tf_static'),
        ],
        {
            '/camera/color/image_raw': Role.IMAGE,
            '/camera/color/camera_info': Role.CAMERA_INFO,
            '/camera/aligned_depth_to_color/image_raw': Role.DEPTH,
            '/camera/aligned_depth_to_color/camera_info': Role.DEPTH_CAMERA_INFO,
            '/tf': Role.TF,
            '/tf_static': Role.TF_STATIC,
        },
    ),
    'results of this package beside a camera': (
        [
            jpeg('/left/eye/image/compressed'),
            Topic('/left/perception/scene', 'robot_perception/msg/Scene'),
            jpeg('/left/perception/overlay/compressed'),
            info('/left/perception/camera_info'),
            jpeg('/left/perception/depth/image/compressedDepth', '32FC1; compressedDepth png'),
        ],
        {'/left/eye/image/compressed': Role.COMPRESSED_IMAGE},
    ),
    'depth known by its encoding': (
        [image('/a/image'), image('/b/image', '32FC1')],
        {'/a/image': Role.IMAGE, '/b/image': Role.DEPTH},
    ),
    'colored depth is neither': (
        [image('/a/image'), image('/depth/colored', 'bgr8')],
        {'/a/image': Role.IMAGE},
    ),
    'compressed depth, with its calibration': (
        [
            image('/a/image'),
            jpeg('/b/depth/compressedDepth', '16UC1; compressedDepth png'),
            info('/b/camera_info'),
        ],
        {
            '/a/image': Role.IMAGE,
            '/b/depth/compressedDepth': Role.COMPRESSED_DEPTH,
            '/b/camera_info': Role.DEPTH_CAMERA_INFO,
        },
    ),
    'raw depth rather than compressed, and compressedDepth rather than png': (
        [
            image('/a/image'),
            jpeg('/b/depth/compressedDepth', '32FC1; compressedDepth rvl'),
            image('/b/depth', '32FC1'),
            jpeg('/b/depth/compressed', '32FC1; png compressed '),
        ],
        {'/a/image': Role.IMAGE, '/b/depth': Role.DEPTH},
    ),
    'compressedDepth rather than png': (
        [
            image('/a/image'),
            jpeg('/b/depth/compressedDepth', '16UC1; compressedDepth rvl'),
            jpeg('/b/depth/compressed', '16UC1; png compressed '),
        ],
        {'/a/image': Role.IMAGE, '/b/depth/compressedDepth': Role.COMPRESSED_DEPTH},
    ),
    'depth in lower case': (
        [image('/a/image'), image('/b', '16uc1')],
        {'/a/image': Role.IMAGE, '/b': Role.DEPTH},
    ),
    'depth that has lost its values is neither': (
        [image('/a/image'), jpeg('/b/depth/compressed', '16UC1; jpeg compressed ')],
        {'/a/image': Role.IMAGE},
    ),
    'a tf topic of another type': (
        [image('/a/image'), Topic('/tf', 'std_msgs/msg/String')],
        {'/a/image': Role.IMAGE},
    ),
}


@pytest.mark.parametrize(('topics', 'roles'), CASES.values(), ids=CASES.keys())
def test_choice(topics, roles):
    assert choose_topics(topics, TopicWish(), 'bag').roles == roles
    assert choose_topics(topics[::-1], TopicWish(), 'bag').roles == roles


TWO_CAMERAS = [
    image('/left/image'),
    info('/left/camera_info'),
    image('/right/image', 'mono8'),
    info('/right/camera_info'),
    image('/near', '16UC1'),
    image('/far', '16UC1'),
]


@pytest.mark.parametrize(
    ('depth', 'role'),
    [
        (image('/far', 'mono16'), Role.DEPTH),
        (jpeg('/far', '16UC1; compressedDepth rvl'), Role.COMPRESSED_DEPTH),
    ],
)
def test_depth_by_name(depth, role):
    topics = [image('/a/image'), image('/near', '16UC1'), depth]
    wish = TopicWish('/a/image', depth='/far')
    assert choose_topics(topics, wish, 'bag').roles['/far'] is role


def test_wishes_choose():
    wish = TopicWish('/right/image', 'left/camera_info', '/far')
    assert choose_topics(TWO_CAMERAS, wish, 'bag').roles == {
        '/right/image': Role.IMAGE,
        '/left/camera_info': Role.CAMERA_INFO,
        '/far': Role.DEPTH,
    }


@pytest.mark.parametrize(
    ('topics', 'wish', 'message'),
    [
        ([], TopicWish(), r'bag: expected a topic of camera images, got none\. Record one'),
        (
            [info('/cam/camera_info'), image('/depth', '16UC1')],
            TopicWish(),
            r'got /cam/camera_info \(sensor_msgs/msg/CameraInfo\), /depth \(.*, 16UC1\)',
        ),
        (
            TWO_CAMERAS,
            TopicWish(),
            r'expected one camera, got /left/image \(.*rgb8\), /right/image .*\(--image-topic\)',
        ),
        (
            TWO_CAMERAS,
            TopicWish(image='/middle'),
            (
                r'image_topic \(--image-topic\): expected a topic of bag .* '
                r"got '/middle'\. Choose one of: /far .*, /left"
            ),
        ),
        (
            TWO_CAMERAS,
            TopicWish('/left/image', camera_info='/left/image'),
            (
                r"camera_info_topic \(--camera-info-topic\): .* got '/left/image'\. "
                r'Choose one of: /left/camera_info'
            ),
        ),
        (
            TWO_CAMERAS,
            TopicWish('/left/image', depth='/none'),
            r"depth_topic \(--depth-topic\): expected a topic of bag that fits, got '/none'",
        ),
    ],
)
def test_refusals(topics, wish, message):
    with pytest.raises(SourceError, match=message):
        choose_topics(topics, wish, 'bag')


def test_the_camera_is_what_has_a_calibration_beside_it():
    topics = [image('/truth/instances', 'mono16'), image('/camera/image_raw', 'rgb8')]
    choice = choose_topics([*topics, info('/camera/camera_info')], TopicWish(), 'bag')
    assert choice.roles == {
        '/camera/image_raw': Role.IMAGE,
        '/camera/camera_info': Role.CAMERA_INFO,
    }
    with raises(SourceError, 'several_cameras'):
        choose_topics(topics, TopicWish(), 'bag')


def test_notes_name_what_is_missing():
    choice = choose_topics([*TWO_CAMERAS[2:], image('/x/image')], TopicWish('/x/image'), 'bag')
    calibration, depth = choice.notes
    assert 'no /x/camera_info beside /x/image' in calibration
    assert '/right/camera_info' in calibration
    assert 'several depth topics, none published: /far' in depth


def framed(topic, frame_id):
    return replace(topic, frame_id=frame_id)


def test_only_calibration_of_the_frame_is_taken_wherever_it_lies():
    topics = [
        framed(image('/front/image_raw'), 'front_optical'),
        framed(info('/front/image_raw/camera_info'), 'front_optical'),
        framed(info('/rear/camera_info'), 'rear_optical'),
        framed(image('/sensor/depth', '16UC1'), 'depth_optical'),
        framed(info('/calibrations/depth'), 'depth_optical'),
    ]
    choice = choose_topics(topics, TopicWish(), 'bag')
    assert choice.roles == {
        '/front/image_raw': Role.IMAGE,
        '/front/image_raw/camera_info': Role.CAMERA_INFO,
        '/sensor/depth': Role.DEPTH,
        '/calibrations/depth': Role.DEPTH_CAMERA_INFO,
    }
    (note,) = choice.notes
    assert 'the only calibration of its frame front_optical' in note


@pytest.mark.parametrize('frame_ids', [('front', 'front'), ('', ''), ('other', 'third')])
def test_calibration_that_is_not_certain_is_not_taken(frame_ids):
    topics = [framed(image('/a/image'), frame_ids[0])]
    topics += [framed(info(f'/{n}/camera_info'), one) for n, one in enumerate(frame_ids)]
    if frame_ids[0] == 'other':
        topics[0] = framed(topics[0], 'mine')
    choice = choose_topics(topics, TopicWish(), 'bag')
    assert choice.roles == {'/a/image': Role.IMAGE}
    assert 'choose one with camera_info_topic' in choice.notes[0]
