"""A node whose networks can be made to fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
import tempfile

from robot_perception.faults.faulty_node import FAULT_FILE
from robot_perception.faults.node_process import NodeProcess
from robot_perception.pipeline import Value

_PROGRAM = 'robot_perception.faults.faulty_node'


class FaultyNode(NodeProcess):
    """The node with faults at the points of `faulty_node`."""

    def __init__(
        self,
        parameters: Mapping[str, Value] | None = None,
        *,
        fault: str = '',
        wait: bool = True,
    ) -> None:
        """Start the node; ``fault`` is the first one, empty for none."""
        with tempfile.NamedTemporaryFile('w', prefix='fault_', delete=False) as file:
            self._file = Path(file.name)
        self.set_fault(fault)
        super().__init__(
            parameters, program=_PROGRAM, wait=wait, environment={FAULT_FILE: str(self._file)}
        )

    def set_fault(self, fault: str) -> None:
        """Let the networks fail so from now on, see `faulty_node`; empty for never."""
        part = self._file.with_suffix('.part')
        part.write_text(fault, encoding='utf-8')
        part.replace(self._file)

    def await_faults(self, limit_s: float) -> float | None:
        """Wait until a fault with ``times`` has failed so often."""
        return self.wait(lambda: not self._file.stat().st_size, limit_s)

    @contextmanager
    def fault(self, fault: str) -> Iterator[None]:
        """Let the networks fail so in the body."""
        self.set_fault(fault)
        try:
            yield
        finally:
            self.set_fault('')

    def close(self) -> None:
        """End the node and remove the file."""
        super().close()
        self._file.unlink(missing_ok=True)
