"""The node over real DDS: its outputs, dropped frames, parameters and diagnostics."""

import threading
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

from graph import (
    BEST_EFFORT,
    CAMERA,
    FACTORY,
    FRAME_ID,
    Graph,
    header,
    LATCHED,
    random_rgb,
    RELIABLE,
    SECOND_NS,
    SIZE_HW,
    to_camera_info,
    to_image_message,
    TYPES,
)
from rcl_interfaces.srv import DescribeParameters
import rclpy
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from reasons import raises
from std_srvs.srv import SetBool

from robot_perception import conversions
from robot_perception.core import CameraModel, Image, MetricDepth, RelativeDepth
from robot_perception.core.errors import ConfigError, ModelError
from robot_perception.faults.image_mutations import mutated_images
from robot_perception.faults.mutation import Verdict
from robot_perception.models.stub import StubDepthEstimator, StubDetector, StubFeatureExtractor
from robot_perception.nodes.messages import message_class, message_stamp_ns
from robot_perception.nodes.worker import FrameWorker
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline
from robot_perception.stream import CameraTopics

pytestmark = pytest.mark.ros

OK, WARN, ERROR, STALE = b'\x00', b'\x01', b'\x02', b'\x03'


def create_camera(graph, qos=RELIABLE):
    return (
        graph.publisher('image', 'sensor_msgs/msg/Image', qos),
        graph.publisher('camera_info', 'sensor_msgs/msg/CameraInfo', qos),
    )


def process(graph, image, rgb, stamp_ns=SECOND_NS):
    """Publish one image and wait until the node has processed it."""
    before = graph.counts().received
    image.publish(to_image_message(rgb, stamp_ns))
    graph.spin_until(lambda: graph.counts().received > before, 'image')
    graph.settle()


def start_calibrated(graph, *topics, **parameters):
    """Start a node that receives a calibrated camera, and subscribe to its outputs."""
    graph.start(**parameters)
    image, info = create_camera(graph)
    graph.subscribe_outputs(*topics)
    graph.connect(image)
    graph.connect(info)
    info.publish(to_camera_info())
    graph.wait_for_camera_info()
    return image, info


def wait_for(graph, *topics, count=1):
    graph.spin_until(
        lambda: all(len(graph.received[topic]) >= count for topic in topics), f'{topics}'
    )


class TestTopics:
    @pytest.fixture
    def frame(self, graph):
        """One frame processed by the node, and by the library as `scene`."""
        image, _ = start_calibrated(graph, *TYPES, features__publish_patches=True)
        graph.subscribe('/perception/label_info', 'vision_msgs/msg/LabelInfo', LATCHED)
        process(graph, image, random_rgb(), stamp_ns=7 * SECOND_NS + 5)
        wait_for(graph, *TYPES, '/perception/label_info')
        graph.scene = PerceptionPipeline.from_preset('stub').process(
            Image(random_rgb(), 7 * SECOND_NS + 5, FRAME_ID), CAMERA
        )
        return graph

    def test_every_output_carries_the_header_of_the_image(self, frame):
        for topic in TYPES:
            (message,) = frame.received[topic]
            if topic == 'annotations':
                # They have no frame: pixels are those of the image.
                stamps = [one.timestamp for one in (*message.points, *message.texts)]
                assert stamps
                assert all(one == header(7 * SECOND_NS + 5).stamp for one in stamps)
                continue
            headers = (
                [marker.header for marker in message.markers]
                if topic == 'markers'
                else [message.header]
            )
            assert headers, topic
            assert all(one == header(7 * SECOND_NS + 5) for one in headers), topic

    def test_features(self, frame):
        (message,) = frame.received['features']
        features = frame.scene.features
        assert message.model == 'stub'
        assert np.array_equal(np.array(message.vector, np.float32), features.vector)
        assert (message.grid_height, message.grid_width) == features.grid_hw
        assert np.array_equal(np.array(message.patches, np.float32), features.patches.ravel())

    def test_depth_is_float_meters_with_nan(self, frame):
        (message,) = frame.received['depth/image']
        assert (message.encoding, message.height, message.width) == ('32FC1', *SIZE_HW)
        meters = np.frombuffer(bytes(message.data), np.float32).reshape(SIZE_HW)
        assert np.array_equal(meters, frame.scene.depth.meters, equal_nan=True)
        assert not np.any(meters == 0)

    def test_depth_calibration_is_that_of_the_image(self, frame):
        (message,) = frame.received['depth/camera_info']
        expected = to_camera_info(stamp_ns=7 * SECOND_NS + 5)
        assert serialize_message(message) == serialize_message(expected)

    def test_points_are_organized_and_colored(self, frame):
        (message,) = frame.received['points']
        assert (message.height, message.width, message.is_dense) == (*SIZE_HW, False)
        assert [field.name for field in message.fields] == ['x', 'y', 'z', 'rgb']
        assert len(message.data) == message.row_step * message.height
        packed = np.frombuffer(bytes(message.data), np.float32).reshape(*SIZE_HW, 4)
        cloud = frame.scene.cloud()
        assert np.array_equal(packed[..., :3], cloud.xyz_m, equal_nan=True)
        colors = packed[..., 3].copy().view(np.uint32)
        assert np.array_equal((colors >> 16) & 255, cloud.rgb[..., 0])
        assert np.array_equal(colors & 255, cloud.rgb[..., 2])

    def test_detections(self, frame):
        (message,) = frame.received['detections']
        detections = frame.scene.detections
        assert len(message.detections) == len(detections) > 0
        for item, box, name in zip(
            message.detections, detections.boxes_xyxy, detections.class_names, strict=True
        ):
            center = item.bbox.center.position
            assert center.x - item.bbox.size_x / 2 == pytest.approx(box[0], abs=1e-4)
            assert center.y + item.bbox.size_y / 2 == pytest.approx(box[3], abs=1e-4)
            assert [result.hypothesis.class_id for result in item.results] == [name]
        # The first frame's objects are numbered in order.
        numbers = [str(number) for number in range(1, len(detections) + 1)]
        assert [item.id for item in message.detections] == numbers

    def test_detections_3d_are_safe_to_plan_with(self, frame):
        (message,) = frame.received['detections_3d']
        assert len(message.detections) == len(frame.scene.objects)
        for item, scene_object in zip(message.detections, frame.scene.objects, strict=True):
            (result,) = item.results
            turn = item.bbox.center.orientation
            assert np.linalg.norm([turn.x, turn.y, turn.z, turn.w]) == pytest.approx(1)
            size = item.bbox.size
            assert (size.x, size.y, size.z) == pytest.approx(scene_object.position.box.size_m)
            center = result.pose.pose.position
            assert (center.x, center.y, center.z) == pytest.approx(scene_object.centroid_m)
            covariance = np.array(result.pose.covariance).reshape(6, 6)
            assert np.allclose(covariance[:3, :3], scene_object.position.covariance_m2)

    def test_masks(self, frame):
        (instances,) = frame.received['masks/instances']
        assert (instances.encoding, instances.is_bigendian) == ('mono16', 0)
        painted = np.frombuffer(bytes(instances.data), np.uint16).reshape(SIZE_HW)
        assert np.array_equal(painted, frame.scene.masks.instance_map())
        (classes,) = frame.received['masks/classes']
        assert classes.encoding == 'mono8'
        values = np.frombuffer(bytes(classes.data), np.uint8).reshape(SIZE_HW)
        (labels,) = frame.received['/perception/label_info']
        names = {item.class_id: item.class_name for item in labels.class_map}
        for index, name in enumerate(frame.scene.detections.class_names):
            assert {names[value] for value in values[painted == index + 1]} <= {name}
        assert names[0] == 'background'

    def test_scene_is_everything_in_one(self, frame):
        (message,) = frame.received['scene']
        back = conversions.to_scene(message, frame.scene.image)
        assert np.array_equal(back.depth.meters, frame.scene.depth.meters, equal_nan=True)
        assert np.array_equal(back.masks.pixels, frame.scene.masks.pixels)
        assert np.allclose(back.detections.boxes_xyxy, frame.scene.detections.boxes_xyxy)
        assert back.detections.class_names == frame.scene.detections.class_names
        assert [o.centroid_m for o in back.objects] == [o.centroid_m for o in frame.scene.objects]
        assert back.camera == CAMERA
        assert np.array_equal(back.features.vector, frame.scene.features.vector)

    def test_overlay_and_timing(self, frame):
        (overlay,) = frame.received['overlay']
        assert (overlay.encoding, overlay.height, overlay.width) == ('rgb8', *SIZE_HW)
        (timing,) = frame.received['timing']
        assert list(timing.stages) == [
            'decode', 'features', 'depth', 'detector', 'segmenter', 'lifting', 'pipeline',
            'publish',
        ]  # fmt: skip
        assert all(seconds > 0 for seconds in timing.last)
        assert timing.window == 1


class TestLaziness:
    def test_no_network_runs_without_subscribers(self, graph):
        image, _ = start_calibrated(graph)
        process(graph, image, random_rgb())
        counts = graph.counts()
        assert (counts.received, counts.published, counts.dropped) == (1, 0, {'no_subscriber': 1})

    @pytest.mark.parametrize(
        ('topic', 'stages'),
        [
            ('features', {'features'}),
            ('points', {'depth'}),
            ('detections', {'detector'}),
            ('masks/instances', {'detector', 'segmenter'}),
            ('markers', {'depth', 'detector', 'segmenter'}),
        ],
    )
    def test_only_what_a_topic_needs_runs(self, graph, topic, stages):
        image, _ = start_calibrated(graph, topic)
        process(graph, image, random_rgb())
        wait_for(graph, topic)
        _, _, values = graph.statuses()['timing']
        ran = {key.split('/')[0] for key in values if '/' in key}
        assert ran == stages | {'decode', 'lifting', 'pipeline', 'publish'}

    def test_every_k_leaves_gaps_and_no_stale_messages(self, graph):
        image, _ = start_calibrated(graph, 'features', 'detections', features__every_k=3)
        for index in range(6):
            process(graph, image, random_rgb(index), stamp_ns=(index + 1) * SECOND_NS)
        wait_for(graph, 'detections', count=6)
        assert [m.header.stamp.sec for m in graph.received['features']] == [1, 4]


class TestDropping:
    def test_the_newest_frame_wins_and_every_frame_is_accounted_for(self, graph, monkeypatch):
        entered, go_on = threading.Event(), threading.Event()
        detect = StubDetector.detect

        def slow(self, frame, **options):
            entered.set()
            assert go_on.wait(20)
            return detect(self, frame, **options)

        monkeypatch.setattr(StubDetector, 'detect', slow)
        image, _ = start_calibrated(graph, 'detections')
        image.publish(to_image_message(random_rgb(), SECOND_NS))
        graph.spin_until(entered.is_set, 'first frame')
        for index in range(2, 9):
            image.publish(to_image_message(random_rgb(index), index * SECOND_NS))
            graph.spin_until(lambda n=index: graph.counts().received == n, f'frame {index}')
        go_on.set()
        graph.settle()
        wait_for(graph, 'detections', count=2)
        counts = graph.counts()
        assert [m.header.stamp.sec for m in graph.received['detections']] == [1, 8]
        assert counts.published == 2
        assert counts.dropped == {'newer_frame': 6}
        assert counts.rejected == {}

    def test_a_failing_network_costs_one_frame(self, graph, monkeypatch):
        image, _ = start_calibrated(graph, 'features')

        def fail(self, frame):
            raise ModelError('out_of_memory', 'features.model: out of memory')

        with monkeypatch.context() as patch:
            patch.setattr(StubFeatureExtractor, 'extract', fail)
            process(graph, image, random_rgb())
        level, message, _ = graph.statuses()['model']
        assert (level, message) == (ERROR, 'features.model: out of memory')
        process(graph, image, random_rgb(), 2 * SECOND_NS)
        wait_for(graph, 'features')
        assert graph.counts().dropped == {'model_error': 1}
        assert graph.statuses()['model'][0] == OK

    def test_a_bug_costs_one_frame(self, graph, monkeypatch):
        image, _ = start_calibrated(graph, 'features')

        def fail(self, frame):
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(StubFeatureExtractor, 'extract', fail)
            process(graph, image, random_rgb())
        process(graph, image, random_rgb(), 2 * SECOND_NS)
        wait_for(graph, 'features')
        assert graph.counts().dropped == {'internal_error': 1}


class TestBadImages:
    def golden(self, graph, image, stamp_ns):
        for topic in TYPES:
            graph.received[topic].clear()
        process(graph, image, random_rgb(42), stamp_ns)
        # Messages of earlier images may still be on their way.
        graph.spin_until(lambda: self.is_complete(graph, stamp_ns), 'golden frame')
        return {
            topic: graph.received[topic][-1]
            for topic in TYPES
            if topic not in {'timing', 'scene'}  # These contain measured times.
        }

    def is_complete(self, graph, stamp_ns):
        last = {topic: graph.received[topic][-1] for topic in TYPES if graph.received[topic]}
        if len(last) < len(TYPES):
            return False
        # Annotations have no header.
        stamps = [one.timestamp for one in last.pop('annotations').points[:1]]
        first = [one for each in last.values() for one in getattr(each, 'markers', [each])[:1]]
        expected = header(stamp_ns)
        return stamps == [expected.stamp] and all(one.header == expected for one in first)

    def test_a_thousand_malformed_images_are_counted_and_change_nothing(self, graph):
        # Track numbers are never used twice, not even after stamps jump back.
        parameters = {'camera__fallback_hfov_deg': 60.0, 'tracking__enabled': False}
        image, _ = start_calibrated(graph, *TYPES, **parameters)
        # Both frames have one stamp.
        expected = self.golden(graph, image, SECOND_NS)
        valid, config = 0, PerceptionConfig.from_preset('stub')
        for one in mutated_images(1000, seed=1):
            message = one.subject.message(FACTORY)
            stamp_ns = message_stamp_ns(message)
            frame_set = graph.node.cameras[0].synchronizer.frame_set(
                message, stamp_ns, stamp_ns, config, CameraTopics()
            )
            graph.node.cameras[0].slot.put(frame_set)
            while graph.counts().waiting:
                time.sleep(0.0005)
            valid += one.verdict is Verdict.LEGAL
        counts = graph.counts()
        assert counts.received == 1001
        assert counts.published == 1 + valid
        assert sum(counts.rejected.values()) == 1000 - valid
        assert counts.dropped == {}
        assert {'step', 'encoding', 'data'} <= set(counts.rejected)
        assert self.golden(graph, image, SECOND_NS) == expected

    def test_diagnostics_name_the_reason(self, graph):
        image, _ = start_calibrated(graph, 'features')
        graph.statuses()
        broken = to_image_message(random_rgb())
        broken.encoding = 'xyz8'
        image.publish(broken)
        graph.spin_until(lambda: graph.counts().rejected, 'rejection')
        level, message, values = graph.statuses()['frames']
        assert (level, values['rejected/encoding']) == (WARN, '1')
        assert 'encoding' in message


class TestCalibration:
    @pytest.mark.parametrize(
        ('camera_info', 'message'),
        [
            (None, 'no CameraInfo has been received'),
            (CameraModel.nominal((480, 640), 60.0), 'size'),
            ('zero', 'K'),
        ],
    )
    def test_without_calibration_2d_goes_on(self, graph, camera_info, message):
        graph.start()
        image, info = create_camera(graph)
        graph.subscribe_outputs(*TYPES)
        graph.connect(image)
        graph.connect(info)
        if camera_info is not None:
            bad = to_camera_info() if camera_info == 'zero' else to_camera_info(camera_info)
            if camera_info == 'zero':
                bad.k = np.zeros(9)
            info.publish(bad)
            graph.wait_for_camera_info()
        process(graph, image, random_rgb())
        flat = {'features', 'depth/image', 'detections', 'masks/instances', 'overlay', 'scene'}
        wait_for(graph, *flat)
        level, text, _ = graph.statuses()['calibration']
        assert level == ERROR
        assert message in text
        for topic in ('points', 'detections_3d', 'markers', 'depth/camera_info'):
            assert not graph.received[topic], topic

    def test_a_nominal_field_of_view_may_stand_in(self, graph):
        graph.start(camera__fallback_hfov_deg=60.0)
        image, _ = create_camera(graph)
        graph.subscribe_outputs('points', 'depth/camera_info')
        graph.connect(image)
        process(graph, image, random_rgb())
        wait_for(graph, 'points', 'depth/camera_info')
        assert graph.received['depth/camera_info'][0].k[0] == pytest.approx(CAMERA.fx)

    def test_a_new_calibration_takes_effect(self, graph):
        image, info = start_calibrated(graph, 'depth/camera_info')
        process(graph, image, random_rgb())
        info.publish(to_camera_info(CameraModel.nominal(SIZE_HW, 90.0)))
        graph.spin(0.3)
        process(graph, image, random_rgb(), 2 * SECOND_NS)
        wait_for(graph, 'depth/camera_info', count=2)
        first, second = (message.k[0] for message in graph.received['depth/camera_info'])
        assert first == pytest.approx(CAMERA.fx)
        assert second == pytest.approx(CameraModel.nominal(SIZE_HW, 90.0).fx)


class TestSensorDepth:
    METERS = np.full(SIZE_HW, 1.25, np.float32)

    def start(self, graph, **parameters):
        image, _ = start_calibrated(
            graph, 'depth/image', 'detections', depth__source='sensor', **parameters
        )
        depth = graph.publisher('depth', 'sensor_msgs/msg/Image')
        graph.connect(depth)
        return image, depth

    def test_the_depth_of_the_images_time_is_used(self, graph):
        image, depth = self.start(graph)
        for stamp_ns, meters in ((SECOND_NS, 1.25), (2 * SECOND_NS, 7.0)):
            raw = MetricDepth(np.full(SIZE_HW, meters, np.float32))
            depth.publish(conversions.depth_message(FACTORY, header(stamp_ns), raw))
        graph.spin(0.3)
        process(graph, image, random_rgb(), SECOND_NS + 1_000_000)
        wait_for(graph, 'depth/image')
        meters = np.frombuffer(bytes(graph.received['depth/image'][0].data), np.float32)
        assert np.all(meters == np.float32(1.25))

    def test_a_frame_without_a_depth_stage_waits_for_none(self, graph):
        image, _ = self.start(graph, depth__enabled=False, depth__max_wait_s=10.0)
        process(graph, image, random_rgb())
        wait_for(graph, 'detections')
        assert graph.statuses()['depth'][:2] == (OK, 'not needed so far')

    def test_a_bag_that_loops_pairs_again_at_once(self, graph):
        image, depth = self.start(graph, depth__max_wait_s=5.0)
        for second in (100, 101, 1):
            stamp = header(second * SECOND_NS)
            depth.publish(conversions.depth_message(FACTORY, stamp, MetricDepth(self.METERS)))
            graph.spin(0.2)
            process(graph, image, random_rgb(second), second * SECOND_NS)
        wait_for(graph, 'depth/image', count=3)

    def test_an_image_waits_for_depth_on_its_way(self, graph):
        image, depth = self.start(graph, depth__max_wait_s=5.0)
        image.publish(to_image_message(random_rgb(), SECOND_NS))
        graph.spin(0.5)
        assert graph.counts().waiting == 1
        depth.publish(
            conversions.depth_message(FACTORY, header(SECOND_NS), MetricDepth(self.METERS))
        )
        wait_for(graph, 'depth/image')

    @pytest.mark.parametrize(
        ('meters', 'frame_id', 'message'),
        [
            (None, FRAME_ID, 'no sensor depth within'),
            (np.ones((10, 10), np.float32), FRAME_ID, r'sensor depth has size (10, 10)'),
            (METERS, 'depth_optical_frame', "in frame 'depth_optical_frame', the image in"),
        ],
    )
    def test_depth_that_does_not_fit_stops_3d_only(self, graph, meters, frame_id, message):
        image, depth = self.start(graph)
        if meters is not None:
            stamp = header(SECOND_NS, frame_id)
            depth.publish(conversions.depth_message(FACTORY, stamp, MetricDepth(meters)))
            graph.spin(0.3)
        process(graph, image, random_rgb())
        wait_for(graph, 'detections')
        level, text, _ = graph.statuses()['depth']
        assert level == ERROR
        assert message in text
        assert not graph.received['depth/image']


class TestParameters:
    def test_every_parameter_is_described_as_declared(self, graph):
        node = graph.start()
        client = graph.subscriber.create_client(
            DescribeParameters, '/perception/describe_parameters'
        )
        graph.spin_until(client.service_is_ready, 'service')
        wanted = list(PerceptionConfig().parameters())
        request = DescribeParameters.Request(names=[item.name for item in wanted])
        future = client.call_async(request)
        graph.spin_until(future.done, 'answer')
        for item, described in zip(wanted, future.result().descriptors, strict=True):
            assert described.description.startswith(item.constraint.description)
            assert item.constraint.unit in described.description
            assert described.read_only is item.constraint.startup
            ranges = [*described.integer_range, *described.floating_point_range]
            if item.kind in {int, float}:
                limits = ranges[0].from_value, ranges[0].to_value
                assert limits == item.constraint.limits
        assert node.get_parameter('detector.model').value == 'stub'

    def test_a_live_parameter_takes_effect_on_the_next_frame(self, graph):
        image, _ = start_calibrated(graph, 'detections')
        process(graph, image, random_rgb())
        (result,) = graph.node.set_parameters([Parameter('detector.max_objects', value=1)])
        assert result.successful
        process(graph, image, random_rgb(), 2 * SECOND_NS)
        wait_for(graph, 'detections', count=2)
        counts = [len(message.detections) for message in graph.received['detections']]
        assert counts[0] > 1
        assert counts[1] == 1

    @pytest.mark.parametrize(
        ('name', 'value', 'reason'),
        [
            ('detector.threshold', 1.5, 'threshold'),
            ('detector.threshold', float('nan'), 'threshold'),
            ('detector.model', 'other', 'fixed at'),
            ('preset', 'cpu', 'read-only'),
            ('depth.max_wait_s', -1.0, 'max_wait_s'),
            ('input.max_pixels', 1, 'Min: 4096'),
        ],
    )
    def test_a_refusal_has_a_reason(self, graph, name, value, reason):
        graph.start()
        (result,) = graph.node.set_parameters([Parameter(name, value=value)])
        assert not result.successful
        assert reason in result.reason

    def test_a_stage_that_was_off_cannot_be_switched_on_without_its_network(self, graph):
        graph.start(features__enabled=False)
        (result,) = graph.node.set_parameters([Parameter('features.enabled', value=True)])
        assert not result.successful
        assert 'features.enabled: the network was not loaded' in result.reason

    def test_a_bad_value_at_start_is_an_error_with_its_name(self, graph):
        with raises(ConfigError, 'unknown_value', match='precision'):
            graph.start(precision='int4')
        with raises(ConfigError, 'out_of_range', match='detector.max_objects'):
            graph.start(detector__max_objects=0)


class TestLifecycle:
    def test_it_starts_itself_or_waits(self, graph):
        graph.start()
        assert graph.node.lifecycle_state == 'active'

    def test_each_transition_and_back_again(self, graph):
        node = graph.start(autostart=False)
        assert graph.node.lifecycle_state == 'unconfigured'
        image, _ = create_camera(graph)
        graph.subscribe_outputs('detections')
        for round_number in range(1, 4):
            node.trigger_configure()
            assert graph.node.lifecycle_state == 'inactive'
            graph.spin_until(lambda: image.get_subscription_count() == 1, 'subscription')
            graph.spin(0.5)
            image.publish(to_image_message(random_rgb(), SECOND_NS))
            graph.spin_until(
                lambda n=round_number: graph.counts().dropped.get('inactive') == n,
                'drop',
            )
            node.trigger_activate()
            graph.connect(image)
            process(graph, image, random_rgb(), 2 * SECOND_NS)
            wait_for(graph, 'detections', count=round_number)
            node.trigger_deactivate()
            node.trigger_cleanup()
            assert graph.node.lifecycle_state == 'unconfigured'
            graph.spin_until(lambda: image.get_subscription_count() == 0, 'release')
        counts = graph.counts()
        assert counts.received == counts.published + counts.dropped['inactive'] == 6

    def test_a_missing_checkpoint_fails_configuration_and_can_be_corrected(self, graph):
        node = graph.start(detector__model='/no/such/folder')
        assert graph.node.lifecycle_state == 'unconfigured'
        level, message, _ = graph.statuses()['lifecycle']
        assert level == ERROR
        assert 'cannot configure: detector.model' in message
        (result,) = node.set_parameters([Parameter('detector.model', value='stub')])
        assert result.successful
        node.trigger_configure()
        node.trigger_activate()
        assert graph.statuses()['lifecycle'][:2] == (OK, 'active')

    def test_an_interrupt_before_the_worker_begins_is_no_error(self, graph, monkeypatch):
        def interrupt(self):
            raise KeyboardInterrupt

        monkeypatch.setattr(FrameWorker, 'start', interrupt)
        with pytest.raises(KeyboardInterrupt):
            graph.start()
        rclpy.try_shutdown(context=graph.context)  # Destroys the node that was being made.

    def test_enable_pauses_and_resumes(self, graph):
        image, _ = start_calibrated(graph, 'detections')
        client = graph.subscriber.create_client(SetBool, '/perception/enable')
        graph.spin_until(client.service_is_ready, 'service')
        for data, received in ((False, 1), (True, 2)):
            future = client.call_async(SetBool.Request(data=data))
            graph.spin_until(future.done, 'answer')
            assert future.result().success
            image.publish(to_image_message(random_rgb(), received * SECOND_NS))
            graph.spin_until(lambda n=received: graph.counts().received == n, 'image')
        wait_for(graph, 'detections')
        graph.settle()
        counts = graph.counts()
        assert (counts.published, counts.dropped) == (1, {'disabled': 1})


class TestReports:
    """Diagnostics and results when something is missing."""

    def test_an_unconfigured_node_is_reported(self, graph):
        graph.start(autostart=False)
        report = graph.statuses()
        assert report['lifecycle'][:2] == (WARN, 'unconfigured')
        assert report['frames'][:2] == (WARN, 'frames are not processed: unconfigured')

    def test_relative_depth_yields_no_points_and_is_reported(self, graph, monkeypatch):
        image, _ = start_calibrated(graph, 'points', 'detections')

        def relative(self, frame):
            return RelativeDepth(np.ones(frame.image.size_hw, np.float32))

        monkeypatch.setattr(StubDepthEstimator, 'estimate', relative)
        process(graph, image, random_rgb())
        wait_for(graph, 'detections')
        level, message, _ = graph.statuses()['depth']
        assert level == ERROR
        assert 'relative depth, which is not in meters' in message
        assert not graph.received['points']

    def test_a_latched_calibration_is_received_beside_a_silent_volatile_one(self, graph):
        latched = graph.publisher('camera_info', 'sensor_msgs/msg/CameraInfo', LATCHED)
        latched.publish(to_camera_info())
        # rclpy warns each publisher of the subscription that is for the other one.
        silent = graph.camera.create_publisher(
            message_class('sensor_msgs/msg/CameraInfo'),
            'camera_info',
            BEST_EFFORT,
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
        )
        graph.start()
        graph.wait_for_camera_info()
        graph.spin_until(lambda: silent.get_subscription_count() == 1, 'connection')
        graph.spin_until(lambda: latched.get_subscription_count() == 2, 'connection')
        assert graph.statuses()['connections'][0] == OK

    def test_a_calibration_of_another_camera_is_refused(self, graph):
        graph.start()
        image, info = create_camera(graph)
        graph.subscribe_outputs('points', 'detections')
        graph.connect(image)
        graph.connect(info)
        other = to_camera_info()
        other.header.frame_id = 'other_camera'
        info.publish(other)
        graph.wait_for_camera_info()
        process(graph, image, random_rgb())
        wait_for(graph, 'detections')
        level, message, _ = graph.statuses()['calibration']
        assert level == ERROR
        assert "has frame 'other_camera'" in message
        assert not graph.received['points']

    def test_an_output_that_fails_takes_no_other_with_it(self, graph, monkeypatch):
        image, _ = start_calibrated(graph, 'overlay', 'detections', 'timing')

        def fail(*_, **__):
            raise ZeroDivisionError

        monkeypatch.setattr('robot_perception.stream.output_frame.draw_overlay', fail)
        process(graph, image, random_rgb())
        wait_for(graph, 'detections', 'timing')
        assert graph.counts().published == 1
        level, message, _ = graph.statuses()['outputs']
        assert level == ERROR
        assert 'overlay: ZeroDivisionError' in message

    def test_age_includes_the_networks(self, graph, monkeypatch):
        detect = StubDetector.detect

        def slow(self, frame, **options):
            time.sleep(0.3)
            return detect(self, frame, **options)

        monkeypatch.setattr(StubDetector, 'detect', slow)
        image, _ = start_calibrated(graph, 'detections', 'timing')
        process(graph, image, random_rgb(), graph.node.get_clock().now().nanoseconds)
        wait_for(graph, 'timing')
        assert 0.3 < graph.received['timing'][0].age < 10

    def test_markers_go_when_there_is_no_3d_any_more(self, graph):
        image, _ = start_calibrated(graph, 'markers')
        process(graph, image, random_rgb())
        wait_for(graph, 'markers')
        graph.node.set_parameters([Parameter('depth.enabled', value=False)])
        process(graph, image, random_rgb(), 2 * SECOND_NS)
        wait_for(graph, 'markers', count=2)
        shown, gone = graph.received['markers']
        assert {marker.action for marker in shown.markers} == {0}
        assert {marker.action for marker in gone.markers} == {2}
        assert {m.id for m in gone.markers} == {m.id for m in shown.markers}


class TestTime:
    def test_stamps_that_jump_back_start_over(self, graph):
        image, _ = start_calibrated(graph, 'features', 'detections', features__every_k=3)
        for second in (10, 11, 1, 2):
            process(graph, image, random_rgb(second), second * SECOND_NS)
        wait_for(graph, 'detections', count=4)
        assert [m.header.stamp.sec for m in graph.received['features']] == [10, 1]

    def test_a_foreign_clock_is_named(self, graph):
        image, _ = start_calibrated(graph, 'features')
        process(graph, image, random_rgb())
        level, message, _ = graph.statuses()['clock']
        assert level == WARN
        assert 'use_sim_time' in message

    def test_simulated_time_jumping_back_resets_the_pipeline(self, graph):
        image, _ = start_calibrated(graph, 'features', features__every_k=3, use_sim_time=True)
        clock = graph.publisher('/clock', 'rosgraph_msgs/msg/Clock')
        graph.spin_until(lambda: clock.get_subscription_count() >= 1, 'clock')
        now = message_class('rosgraph_msgs/msg/Clock')()
        for second in (100, 101):
            now.clock.sec = second
            clock.publish(now)
            graph.spin(0.3)
        process(graph, image, random_rgb(), 101 * SECOND_NS)
        level, _, _ = graph.statuses()['clock']
        assert level == OK
        now.clock.sec = 5
        clock.publish(now)
        graph.spin_until(lambda: graph.node.get_clock().now().nanoseconds == 5 * SECOND_NS, 'jump')
        # Without a reset the next features would be those of the third image.
        process(graph, image, random_rgb(), 102 * SECOND_NS)
        wait_for(graph, 'features', count=2)
        assert [m.header.stamp.sec for m in graph.received['features']] == [101, 102]


class TestConnections:
    # rclpy's own handler of the event calls a deprecated method of its logger.
    @pytest.mark.filterwarnings('ignore:Deprecated in favor of:DeprecationWarning')
    @pytest.mark.parametrize('qos', [RELIABLE, BEST_EFFORT], ids=['reliable', 'best effort'])
    def test_the_input_takes_on_the_reliability_of_the_camera(self, graph, qos):
        graph.start()
        image, _ = create_camera(graph, qos)
        graph.subscribe_outputs('features')
        graph.connect(image)
        process(graph, image, random_rgb())
        wait_for(graph, 'features')
        (ours,) = graph.node.get_subscriptions_info_by_topic('/image')
        assert ours.qos_profile.reliability == qos.reliability

    # rclpy's own handler of the event calls a deprecated method of its logger.
    @pytest.mark.filterwarnings('ignore:Deprecated in favor of:DeprecationWarning')
    def test_a_subscriber_with_incompatible_qos_is_named(self, graph, capfd):
        graph.start()
        graph.subscribe_outputs('features', qos=LATCHED)
        graph.spin(0.5)
        graph.statuses()
        level, message, _ = graph.statuses()['connections']
        assert capfd.readouterr().err.count(message) == 1
        assert level == ERROR
        assert '/perception/features' in message
        assert 'node subscriber is reliable and transient_local' in message
        assert 'qos_overrides./perception/features.publisher.durability' in message

    def test_a_topic_of_the_wrong_type_is_named(self, graph):
        graph.start(input__transport='raw')
        # One participant has one type for a topic: the other camera needs a process of its own.
        other = Graph()
        try:
            other.publisher('image', 'sensor_msgs/msg/CompressedImage')
            # The name of the other process's node arrives after its publisher.
            graph.spin_until(
                lambda: (
                    [peer.node_name for peer in graph.node.get_publishers_info_by_topic('/image')]
                    == ['camera']
                ),
                'discovery',
            )
            _, message, _ = graph.statuses()['connections']
        finally:
            other.close()
        assert 'node camera sends sensor_msgs/msg/CompressedImage' in message
        assert 'Set input.transport to compressed' in message

    def test_silence_is_stale(self, graph):
        graph.start()
        graph.statuses()
        level, message, _ = graph.statuses()['frames']
        assert (level, message) == (STALE, 'no image on /image')

    @pytest.mark.parametrize(
        ('transport', 'topic'),
        [
            ('compressed', 'image/compressed'),
            ('auto', 'image/compressed'),
            ('compressed', 'image'),
            ('auto', 'image'),
        ],
    )
    def test_compressed_images(self, graph, transport, topic):
        graph.start(input__transport=transport)
        other = Graph()  # One participant has one type for a topic.
        try:
            self.send_compressed(graph, other, topic)
        finally:
            other.close()

    def send_compressed(self, graph, other, topic):
        image = other.publisher(topic, 'sensor_msgs/msg/CompressedImage')
        graph.subscribe_outputs('features')
        graph.connect(image)
        _, encoded = cv2.imencode('.png', random_rgb()[..., ::-1])
        message = message_class('sensor_msgs/msg/CompressedImage')(
            header=header(SECOND_NS), format='png'
        )
        message.data = FACTORY.sequence(encoded.ravel())
        image.publish(message)
        wait_for(graph, 'features')
        expected = PerceptionPipeline.from_preset('stub').process(random_rgb()).features.vector
        assert np.array_equal(np.array(graph.received['features'][0].vector, np.float32), expected)
