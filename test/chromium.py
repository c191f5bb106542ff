"""Headless Chromium over its debugging pipe, to test pages as a browser shows them."""

from __future__ import annotations

import base64
from contextlib import contextmanager
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time

import pytest

# Machines are busy; a page takes about a second.
_PATIENCE_S = 60
_ZERO = b'\0'


class Page:
    """One tab."""

    def __init__(self, to_browser, from_browser):
        self._to, self._from = to_browser, from_browser
        self._ids = itertools.count(1)
        self._rest = b''
        self._session = None
        self._loaded = False
        self.errors = []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self._session = self.call('Target.attachToTarget', targetId=target, flatten=True)[
            'sessionId'
        ]
        for domain in ('Page', 'Runtime', 'Log'):
            self.call(f'{domain}.enable')

    def call(self, method, **parameters):
        """Call a method of the protocol and return its result."""
        number = next(self._ids)
        message = {'id': number, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._to, json.dumps(message).encode() + _ZERO)
        while True:
            answer = self._receive()
            if answer.get('id') == number:
                assert 'error' not in answer, (method, answer['error'])
                return answer['result']

    def _receive(self):
        while _ZERO not in self._rest:
            part = os.read(self._from, 1 << 20)
            assert part, 'Chromium ended'
            self._rest += part
        text, self._rest = self._rest.split(_ZERO, 1)
        message = json.loads(text)
        method, values = message.get('method'), message.get('params', {})
        if method == 'Runtime.exceptionThrown':
            self.errors.append(values['exceptionDetails'])
        self._loaded |= method == 'Page.loadEventFired'
        if method == 'Log.entryAdded' and values['entry']['level'] == 'error':
            self.errors.append(values['entry'])
        return message

    def open(self, page, *, width, dark=False):
        """Open a file, or an address, in a window of a width, in light or dark colors."""
        self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        self.call('Emulation.setEmulatedMedia', features=[scheme])
        self.errors.clear()
        self._loaded = False
        self.call('Page.navigate', url=page if isinstance(page, str) else page.resolve().as_uri())
        end = time.monotonic() + _PATIENCE_S
        while not self._loaded:
            assert time.monotonic() < end, 'the page is not loaded'
            self.run('1')
            time.sleep(0.05)

    def run(self, script):
        """Return the value of a script."""
        result = self.call('Runtime.evaluate', expression=script, returnByValue=True)
        assert 'exceptionDetails' not in result, result['exceptionDetails']
        return result['result'].get('value')

    def press(self, key):
        """Press a key such as Escape."""
        codes = {'Escape': 27, 'ArrowRight': 39, 'ArrowLeft': 37}
        for kind in ('rawKeyDown', 'keyUp'):
            self.call(
                'Input.dispatchKeyEvent',
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
            )

    def screenshot(self, path, *, full=False):
        """Write a picture of the window, or of the full page."""
        data = self.call('Page.captureScreenshot', captureBeyondViewport=full)['data']
        path.write_bytes(base64.b64decode(data))


@contextmanager
def chromium(*flags):
    """Start Chromium and yield a page; skip the test where it is not installed."""
    program = next(
        filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
    )
    if program is None:
        pytest.skip('Chromium is not installed')
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = (
            f'exec 3<&{from_us} 4>&{to_us}; exec "$0" --headless --no-sandbox --disable-gpu '
            f'--disable-dev-shm-usage --no-first-run --user-data-dir="{folder}" '
            f'--remote-debugging-pipe {" ".join(flags)}'
        )
        process = subprocess.Popen(
            ['bash', '-c', command, program],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        try:
            yield Page(to_browser, from_browser)
        finally:
            os.close(to_browser)
            process.terminate()
            process.wait()
            os.close(from_browser)
