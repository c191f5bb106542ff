"""Decoding of compressed images, compared with Pillow."""

import ctypes
import io
import resource
import struct
import sys
import time
from types import SimpleNamespace
import zlib

import cv2
from image_bombs import make_jpeg, make_png, png_chunk
from image_messages import mosaic, smooth, STAMP_NS
import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms, PngImagePlugin
import pytest
from reasons import raises

from robot_perception.conversions import compressed_to_image, SensorBits
from robot_perception.core.errors import ConversionError
from robot_perception.image_files.decoder_output import captured_decoder_output


def picture(height=40, width=60):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([4 * columns, 255 - 6 * rows, 2 * rows + 2 * columns], -1).astype(np.uint8)


RGB = picture()


def encoded(pillow, kind, **options):
    buffer = io.BytesIO()
    pillow.save(buffer, kind, **options)
    return buffer.getvalue()


JPEG = encoded(Pillow.fromarray(RGB), 'JPEG', quality=95)
PNG = encoded(Pillow.fromarray(RGB), 'PNG')


def peak_kib():
    """Return the peak memory of this process, including allocations of OpenCV."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def message(data, name='jpeg', sec=STAMP_NS // 10**9):
    stamp = SimpleNamespace(sec=sec, nanosec=STAMP_NS % 10**9)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id='camera'), format=name, data=data
    )


def reference(data):
    return np.asarray(Pillow.open(io.BytesIO(data)).convert('RGB'))


FORMATS = ['jpeg', 'png', 'jpg', '', 'rgb8; jpeg compressed bgr8', 'bgr8; png compressed ']


@pytest.mark.parametrize('name', FORMATS)
def test_the_format_is_detected_from_the_data(name):
    image = compressed_to_image(message(PNG, name))
    np.testing.assert_array_equal(image.rgb, RGB)
    assert (image.stamp_ns, image.frame_id) == (STAMP_NS, 'camera')
    assert np.abs(compressed_to_image(message(JPEG, name)).rgb.astype(int) - RGB).mean() < 3


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview, np.frombuffer])
def test_data_of_any_type(kind):
    data = kind(PNG, np.uint8) if kind is np.frombuffer else kind(PNG)
    np.testing.assert_array_equal(compressed_to_image(message(data)).rgb, RGB)


KINDS = {
    'progressive': encoded(Pillow.fromarray(RGB), 'JPEG', progressive=True, quality=95),
    'no_subsampling': encoded(Pillow.fromarray(RGB), 'JPEG', subsampling=0, quality=95),
    'restarts': encoded(Pillow.fromarray(RGB), 'JPEG', restart_marker_rows=1),
    'comment': encoded(Pillow.fromarray(RGB), 'JPEG', comment=b'\xff\xc0' * 50, quality=95),
    'gray_jpeg': encoded(Pillow.fromarray(RGB[..., 0]), 'JPEG', quality=95),
    'cmyk_jpeg': encoded(Pillow.fromarray(RGB).convert('CMYK'), 'JPEG', quality=95),
    'gray_png': encoded(Pillow.fromarray(RGB[..., 0]), 'PNG'),
    'palette_png': encoded(Pillow.fromarray(RGB).convert('P'), 'PNG'),
    'interlaced_png': encoded(Pillow.fromarray(RGB), 'PNG', interlace=1),
    'bit_png': encoded(Pillow.fromarray(RGB[..., 0] > 90), 'PNG'),
}


@pytest.mark.parametrize('name', KINDS)
def test_kinds_of_files(name):
    data = KINDS[name]
    difference = np.abs(compressed_to_image(message(data)).rgb.astype(int) - reference(data))
    assert difference.max() <= (0 if 'png' in name else 4)


def test_16_bit_png_keeps_the_upper_8():
    gray = np.random.default_rng(2).integers(0, 65536, (20, 30), np.uint16)
    image = compressed_to_image(message(encoded(Pillow.fromarray(gray), 'PNG'), 'png'))
    np.testing.assert_array_equal(image.rgb, np.repeat((gray >> 8)[..., None], 3, -1))


def test_an_alpha_channel_is_dropped():
    alpha = np.arange(40 * 60, dtype=np.uint8).reshape(40, 60, 1)
    data = encoded(Pillow.fromarray(np.concatenate([RGB, alpha], -1)), 'PNG')
    np.testing.assert_array_equal(compressed_to_image(message(data, 'png')).rgb, RGB)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_rotation_is_ignored(orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = encoded(Pillow.fromarray(RGB), 'JPEG', exif=exif, quality=95)
    image = compressed_to_image(message(data))
    assert image.size_hw == (40, 60)
    assert np.abs(image.rgb.astype(int) - RGB).mean() < 3


def png_claiming(width, height):
    """Return a complete PNG whose header states another size than its pixels have."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = [(b'IHDR', header), (b'IDAT', zlib.compress(bytes(10**6))), (b'IEND', b'')]
    return PNG[:8] + b''.join(png_chunk(*chunk) for chunk in chunks)


def jpeg_claiming(width, height):
    at = JPEG.index(b'\xff\xc0')
    return JPEG[: at + 5] + struct.pack('>HH', height, width) + JPEG[at + 9 :]


REJECTED = [
    (b'', 'jpeg', 'data', r'expected a whole image file, got nothing'),
    (b'\0\0\0\1gB\0\x1e', 'h264', 'encoding', r"got format 'h264' and bytes that start with 00 0"),
    (b'\0\0\0\1gB\0\x1e', '', 'encoding', r'raw images or to MJPEG'),
    (b'\0\0\1\x40\1\x0c', 'jpeg', 'encoding', r'H\.264 or H\.265 video'),
    (b'\x12\0\n\x0a', 'HEVC', 'encoding', r'H\.264 or H\.265 video'),
    (
        b'\0' * 12 + PNG,
        '16UC1; compressedDepth png',
        'encoding',
        r'depth. Remap that topic to the d',
    ),
    (PNG, '16UC1; png compressed ', 'encoding', r'is depth. Remap that topic'),
    (PNG, '32fc1; tiff compressed ', 'encoding', r'is depth. Remap that topic'),
    (
        b'GIF89a' + PNG,
        'gif',
        'encoding',
        r"expected a jpeg, png, tiff or webp file, got format 'gif'",
    ),
    (b'hello', None, 'encoding', r'got format NoneType'),
    (JPEG[1:], 'jpeg', 'encoding', r"got format 'jpeg' and bytes that start with d8 ff"),
    (b'\xff\xd8\xff', 'jpeg', 'data', r'a jpeg without its header'),
    (b'\xff\xd8' + b'\xff' * 5000, 'jpeg', 'data', r'a jpeg without its header'),
    (b'\xff\xd8' + b'\xff\xe0\0\0' * 5000, 'jpeg', 'data', r'a jpeg without its header'),
    (b'\xff\xd8' + b'\xff\xd0' * 5000, 'jpeg', 'data', r'a jpeg without its header'),
    (b'\xff\xd8\xff\xda\0\2', 'jpeg', 'data', r'a jpeg without its header'),
    (JPEG[:-3], 'jpeg', 'data', r'a truncated jpeg'),
    (PNG[:8], 'png', 'data', r'a truncated png'),
    (PNG[:-9], 'png', 'data', r'a truncated png'),
    (PNG[:8] + PNG[33:], 'png', 'data', r'a png without its header'),
    (
        jpeg_claiming(65535, 65535),
        'jpeg',
        'too_large',
        r'at most 33554432 pixels, got 65535x65535',
    ),
    (jpeg_claiming(0, 0), 'jpeg', 'size', r'at least one pixel, got 0x0'),
    (png_claiming(30_000, 30_000), 'png', 'too_large', r'got 30000x30000'),
    (png_claiming(2**31 - 1, 2**31 - 1), 'png', 'too_large', r'got 2147483647x2147483647'),
    (png_claiming(2**21, 1), 'png', 'data', r'a truncated png'),
    (PNG[:33] + b'\x95' + PNG[34:], 'png', 'data', r'a truncated png'),
    (PNG[:33] + png_chunk(b'tEXt', b'') * 10_000 + PNG[33:], 'png', 'data', r'truncated'),
    (png_claiming(600, 900), 'png', 'data', r'a truncated png'),
    (png_claiming(60, 90), 'png', 'too_large', r'a png with 16290 bytes of pixels, got more'),
    ([1, 2], 'jpeg', 'data', r'expected contiguous bytes, got list'),
]


@pytest.mark.parametrize(('data', 'name', 'reason', 'match'), REJECTED)
def test_bad_files_are_rejected(data, name, reason, match, capfd):
    before = peak_kib()
    with raises(ConversionError, reason, match):
        compressed_to_image(message(data, name))
    assert peak_kib() - before < 64 * 1024
    capfd.readouterr()  # the decoders print what they think of it


def test_stamp_is_checked():
    with raises(ConversionError, 'stamp', 'sec=-1'):
        compressed_to_image(message(JPEG, sec=-1))


def test_the_caller_sets_the_limit():
    with raises(ConversionError, 'too_large', 'at most 2399 pixels'):
        compressed_to_image(message(PNG), max_pixels=2399)
    assert compressed_to_image(message(PNG), max_pixels=2400).size_hw == (40, 60)


@pytest.mark.parametrize('data', [JPEG, KINDS['progressive'], PNG], ids=['jpeg', 'prog', 'png'])
def test_truncated_files_are_rejected(data, capfd):
    for sixteenths in range(16):
        with pytest.raises(ConversionError) as caught:
            compressed_to_image(message(data[: len(data) * sixteenths // 16]))
        assert caught.value.reason in {'data', 'encoding'}
    capfd.readouterr()


@pytest.mark.parametrize('data', [JPEG, PNG], ids=['jpeg', 'png'])
def test_corrupted_files_give_an_image_or_an_error(data, capfd):
    rng = np.random.default_rng(5)
    reasons = set()
    before = peak_kib()
    for _ in range(150):
        bad = np.frombuffer(data, np.uint8).copy()
        bad[rng.integers(0, len(bad), rng.integers(1, 6))] = rng.integers(0, 256)
        try:
            assert compressed_to_image(message(bad), max_pixels=10**6).rgb.dtype == np.uint8
        except ConversionError as error:
            reasons.add(error.reason)
    capfd.readouterr()
    assert reasons <= {'data', 'encoding', 'size', 'too_large'}
    assert peak_kib() - before < 64 * 1024
    np.testing.assert_array_equal(compressed_to_image(message(PNG)).rgb, RGB)


@pytest.mark.parametrize(
    ('decode', 'match'),
    [
        (lambda *_: np.zeros((40, 61, 3), np.uint8), 'a header of 60x40 before 61x40 pixels'),
        (lambda *_: None, 'cannot be decoded'),
        (lambda *_: cv2.resize(RGB, (0, 0)), r'cannot be decoded \(.+\)'),
    ],
)
def test_a_decoded_size_other_than_in_the_header_is_an_error(monkeypatch, decode, match):
    # No file is known that makes the installed OpenCV do these; other versions may.
    monkeypatch.setattr('cv2.imdecode', decode)
    with raises(ConversionError, 'data', match):
        compressed_to_image(message(PNG))


def read_noting(data, name='jpeg'):
    remarks = []
    image = compressed_to_image(message(data, name), remark=lambda *remark: remarks.append(remark))
    return image, remarks


FLAT = np.full((240, 320, 3), 120, np.uint8)
WITH_END = {
    'jpeg': JPEG,
    'progressive': KINDS['progressive'],
    'restarts': KINDS['restarts'],
    'gray': KINDS['gray_jpeg'],
    'last byte is zero': cv2.imencode('.jpg', FLAT)[1].tobytes(),
}


@pytest.mark.parametrize('padding', [b'', bytes(1), bytes(5000)], ids=['end', '1', '5000'])
@pytest.mark.parametrize('name', WITH_END)
def test_a_jpeg_without_its_end_marker_is_read_with_a_remark(name, padding):
    data = WITH_END[name]
    image, remarks = read_noting(data[:-2] + padding)
    np.testing.assert_array_equal(image.rgb, compressed_to_image(message(data)).rgb)
    assert [reason for reason, _ in remarks] == ['no_end']
    assert read_noting(data)[1] == []


def read_or_none(data):
    try:
        return compressed_to_image(message(data)).rgb
    except ConversionError:
        return None


@pytest.mark.parametrize('name', ['jpeg', 'progressive', 'restarts'])
def test_a_jpeg_without_its_end_is_read_only_if_no_pixel_is_missing(name):
    data, whole = WITH_END[name], compressed_to_image(message(WITH_END[name])).rgb
    lengths = range(len(data) - 2, len(data) // 2, -3)
    read = [rgb for length in lengths if (rgb := read_or_none(data[:length])) is not None]
    assert len(read) in {1, 2}
    for rgb in read:
        np.testing.assert_array_equal(rgb, whole)
    # Where zeros follow, the last bytes may be taken for some.
    assert all(read_or_none(data[:length] + bytes(3000)) is None for length in lengths[8:])


def test_zeros_after_the_end_are_no_fault():
    image, remarks = read_noting(JPEG + bytes(1000))
    np.testing.assert_array_equal(image.rgb, compressed_to_image(message(JPEG)).rgb)
    assert remarks == []


def test_what_decoders_print_becomes_a_remark(capfd):
    scan = JPEG.index(b'\xff\xda') + 40
    image, remarks = read_noting(JPEG[:scan] + JPEG[scan + 300 :])
    assert image.size_hw == (40, 60)
    assert [reason for reason, _ in remarks] == ['decoder']
    assert 'Corrupt JPEG data' in remarks[0][1]
    with raises(ConversionError, 'data', r'cannot be decoded \(libpng error'):
        compressed_to_image(message(make_png(bytes([9]) + RAW[1:]), 'png'))
    assert capfd.readouterr().err == ''


def test_what_other_code_prints_is_passed_on(capfd):
    library = ctypes.CDLL(None)
    with captured_decoder_output() as lines:
        stream = ctypes.c_void_p.in_dll(library, 'stderr')
        library.fputs(b'[INFO] [1.5] [node]: hello, JPEG\n', stream)
        library.fputs(b'libpng warning: oops\n', stream)
        print('from Python', file=sys.stderr)
    assert lines == ['libpng warning: oops']
    assert sorted(capfd.readouterr().err.splitlines()) == [
        '[INFO] [1.5] [node]: hello, JPEG',
        'from Python',
    ]


# Files of other formats, as the transport `compressed` writes them.


@pytest.mark.parametrize('suffix', ['.tiff', '.webp', '.png'])
def test_lossless_formats(suffix):
    data = cv2.imencode(suffix, RGB[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    image = compressed_to_image(message(data, f'rgb8; {suffix[1:]} compressed bgr8'))
    np.testing.assert_array_equal(image.rgb, RGB)


@pytest.mark.parametrize('options', [{'quality': 90}, {'lossless': True, 'exact': True}])
@pytest.mark.parametrize('mode', ['RGB', 'RGBA'])
def test_webp_of_every_kind(options, mode):
    data = encoded(Pillow.fromarray(RGB).convert(mode), 'WEBP', **options)
    image = compressed_to_image(message(data, 'webp'))
    assert np.abs(image.rgb.astype(int) - reference(data)).max() <= 2


@pytest.mark.parametrize('compression', ['raw', 'tiff_lzw', 'tiff_adobe_deflate', 'packbits'])
def test_tiff_of_every_kind(compression):
    data = encoded(Pillow.fromarray(RGB), 'TIFF', compression=compression)
    np.testing.assert_array_equal(compressed_to_image(message(data, 'tiff')).rgb, RGB)


def test_tiff_of_16_bits_and_of_floating_point():
    gray = np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27
    for pixels, expected in ((gray, gray >> 8), (gray / np.float32(65535), np.rint(gray / 257))):
        data = cv2.imencode('.tiff', pixels)[1].tobytes()
        image = compressed_to_image(message(data, 'tiff'))
        np.testing.assert_array_equal(image.rgb[..., 1], expected)


@pytest.mark.parametrize('kind', ['TIFF', 'WEBP'])
def test_truncated_tiff_and_webp_are_rejected(kind):
    data = encoded(Pillow.fromarray(RGB), kind)
    for sixteenths in range(1, 16):
        with raises(ConversionError, 'data'):
            compressed_to_image(message(data[: len(data) * sixteenths // 16]))


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize(
    'name', ['bayer_{}8; jpeg compressed bayer_{}8', 'bayer_{}8; png compressed ', 'BAYER_{}8']
)
def test_a_mosaic_in_a_file_is_demosaiced(pattern, name):
    raw = mosaic(smooth(), pattern)
    suffix = '.jpg' if 'jpeg' in name else '.png'
    data = cv2.imencode(suffix, raw, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    image = compressed_to_image(message(data, name.format(pattern, pattern)))
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(image.rgb[inner].astype(int) - smooth()[inner]).max() <= 12


def test_a_mosaic_of_16_bits_in_a_file_is_demosaiced():
    raw = mosaic(smooth(), 'rggb').astype(np.uint16) << 4
    data = cv2.imencode('.png', raw)[1].tobytes()
    bits = SensorBits()
    image = compressed_to_image(
        message(data, 'bayer_rggb16; png compressed '), find_bits=bits.update
    )
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(image.rgb[inner].astype(int) - smooth()[inner]).max() <= 6


def test_a_mosaic_in_three_equal_channels_is_demosaiced():
    raw = np.repeat(mosaic(smooth(), 'grbg')[..., None], 3, -1)
    data = cv2.imencode('.png', raw)[1].tobytes()
    image = compressed_to_image(message(data, 'bayer_grbg8; png compressed bayer_grbg8'))
    gray = cv2.imencode('.png', mosaic(smooth(), 'grbg'))[1].tobytes()
    expected = compressed_to_image(message(gray, 'bayer_grbg8; png compressed '))
    np.testing.assert_array_equal(image.rgb, expected.rgb)


@pytest.mark.parametrize(
    ('pixels', 'name'),
    [
        (RGB, 'bayer_rggb8; jpeg compressed bgr8'),
        (RGB[..., 0], 'bayer_rggb8; jpeg compressed mono8'),
    ],
)
def test_a_file_of_an_image_without_mosaic_is_left_alone(pixels, name):
    data = encoded(Pillow.fromarray(pixels), 'PNG')
    np.testing.assert_array_equal(compressed_to_image(message(data, name)).rgb, reference(data))


# Files that take long or much memory to decode, and files of cameras that look like them.


RAW = bytes(16 * 49)
INFLATED = zlib.compress(bytes(8_000_000), 9)
ENTRY = struct.Struct('<HHII')


def make_tiff(*entries):
    tags = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 279: 256, **dict(entries)}
    directory = b''.join(ENTRY.pack(tag, 4, 1, value) for tag, value in sorted(tags.items()))
    start = b'II*\0' + struct.pack('<I', 8 + 256) + bytes(256)
    return start + struct.pack('<H', len(tags)) + directory + bytes(4)


def make_webp(kind, body):
    data = b'WEBP' + kind + struct.pack('<I', len(body)) + body
    return b'RIFF' + struct.pack('<I', len(data)) + data


HOSTILE = {
    'scans': (make_jpeg(5792, 3000), 'too_large'),
    'few scans of many pixels': (make_jpeg(5792, 10), 'too_large'),
    'size without data': (jpeg_claiming(5792, 5792), 'data'),
    'scans of few pixels': (make_jpeg(64, 60), 'too_large'),
    'scans without markers': (make_jpeg(64, 0)[:-2] + b'\xff' * 10**6, 'data'),
    'scan of stuffed zeros': (make_jpeg(64, 0)[:-2] + b'\xff\0' * 10**6, 'data'),
    'jpeg of segments': (JPEG[:2] + b'\xff\xe1\0\2' * 10**5 + JPEG[2:], 'data'),
    'text': (make_png(RAW, *[(b'zTXt', b'k\0\0' + INFLATED)] * 5), 'too_large'),
    'little texts': (make_png(RAW, *[(b'zTXt', b'k\0\0' + INFLATED[:900])] * 900), 'too_large'),
    'international text': (make_png(RAW, (b'iTXt', b'k\0\1\0\0\0' + INFLATED)), 'too_large'),
    'profile': (make_png(RAW, (b'iCCP', b'k\0\0' + INFLATED)), 'too_large'),
    'many bytes for each pixel': (make_png(RAW, size=(5000, 5000), bits=16, kind=6), 'too_large'),
    'pixels after the last row': (make_png(RAW + bytes(8_000_000)), 'too_large'),
    'png of chunks': (make_png(RAW, *[(b'tEXt', b'')] * 10_001), 'data'),
    'tiff': (make_tiff((256, 60_000), (257, 60_000)), 'too_large'),
    'tile': (make_tiff((322, 60_000), (323, 60_000)), 'too_large'),
    'channels': (make_tiff((277, 60_000)), 'encoding'),
    'many bytes for each pixel of a tiff': (
        make_tiff((256, 5000), (257, 5000), (258, 64)),
        'too_large',
    ),
    'jpeg in a tiff': (make_tiff((259, 7)), 'encoding'),
    'webp': (make_webp(b'VP8 ', bytes(3) + b'\x9d\1\x2a\xff\x3f\xff\x3f'), 'too_large'),
    'lossless webp': (make_webp(b'VP8L', b'\x2f' + b'\xff' * 5), 'too_large'),
    'canvas of a webp': (make_webp(b'VP8X', bytes(4) + b'\xff' * 6), 'too_large'),
    'animated webp': (make_webp(b'VP8X', b'\2' + bytes(9)), 'encoding'),
}
# The bound is 50 ms; machines that run tests are shared.
LIMIT_S = 1.0


@pytest.mark.parametrize('name', HOSTILE)
def test_files_that_would_take_long_are_rejected_at_once(name, capfd):
    data, reason = HOSTILE[name]
    before = peak_kib()
    start = time.thread_time()
    with raises(ConversionError, reason):
        compressed_to_image(message(data))
    assert time.thread_time() - start < LIMIT_S
    assert peak_kib() - before < 32 * 1024
    assert capfd.readouterr().err == ''


def test_files_with_profiles_text_and_scans_of_usual_number_are_read():
    text = PngImagePlugin.PngInfo()
    text.add_text('Comment', 'x' * 5000, zip=True)
    text.add_itxt('Title', '\u00e4' * 5000, zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    pillow = Pillow.fromarray(RGB)
    for data in (
        encoded(pillow, 'PNG', pnginfo=text, icc_profile=profile),
        encoded(pillow, 'PNG', icc_profile=bytes(range(256)) * 4000),
        encoded(pillow.convert('P'), 'PNG', transparency=3),
        encoded(pillow, 'JPEG', progressive=True, icc_profile=profile * 200, quality=95),
        encoded(pillow, 'WEBP', lossless=True, icc_profile=profile),
    ):
        difference = np.abs(compressed_to_image(message(data)).rgb.astype(int) - reference(data))
        assert difference.max() <= 4
