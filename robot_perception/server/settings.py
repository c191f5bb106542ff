"""What a user decides about the service, besides the parameters of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from robot_perception.core import ConfigError

TOKEN_VARIABLE = 'ROBOT_PERCEPTION_TOKEN'  # noqa: S105 - the name of a variable
_SHORTEST_TOKEN = 16
_MEBIBYTE = 2**20
_MAX_WAITING, _MAX_SECONDS, _MAX_BODY_MB = 10_000, 3600.0, 4096


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Access and limits of the service.

    Attributes:
        token: that clients must present, at least 16 printable characters; empty for none.
        max_waiting: requests that wait for a worker, 1 to 10000; those beyond get status 429.
        max_seconds: a request's time from its first byte to its answer, above 0, at most 3600.
        max_body_mb: size of a request's body in MiB, 1 to 4096.
        root_path: path under which a reverse proxy offers the service, such as ``/perception``.
    """

    token: str = field(default='', repr=False)
    max_waiting: int = 16
    max_seconds: float = 30.0
    max_body_mb: int = 32
    root_path: str = ''

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is out of its range.
        """
        _check('--queue', self.max_waiting, 1, _MAX_WAITING)
        _check('--max-body', self.max_body_mb, 1, _MAX_BODY_MB)
        if not 0 < self.max_seconds <= _MAX_SECONDS:
            raise ConfigError(
                'out_of_range',
                f'--deadline: expected above 0, at most {_MAX_SECONDS:g} s, got '
                f'{self.max_seconds:g}.',
            )
        if self.root_path and (self.root_path[0] != '/' or self.root_path[-1] == '/'):
            raise ConfigError(
                'wrong_format',
                '--root-path: expected a path such as /perception, with a slash at its beginning '
                f'only, got {self.root_path!r}.',
            )

    @property
    def max_body_bytes(self) -> int:
        """The largest body of a request."""
        return self.max_body_mb * _MEBIBYTE


def read_token(path: Path | None, environment: Mapping[str, str]) -> str:
    """Read the token from a file or, without one, from the environment; empty if in neither.

    Raises:
        ConfigError: the file cannot be read, or the token is too short or not printable.
    """
    if path is None:
        token, where = environment.get(TOKEN_VARIABLE, ''), TOKEN_VARIABLE
        if not token:
            return ''
    else:
        where = f'--token-file {path}'
        try:
            token = path.read_text(encoding='ascii').strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError('missing_file', f'{where}: cannot be read ({error}).') from None
    is_printable = token.isascii() and token.isprintable() and ' ' not in token
    if len(token) < _SHORTEST_TOKEN or not is_printable:
        raise ConfigError(
            'bad_token',
            f'{where}: expected at least {_SHORTEST_TOKEN} printable characters of ASCII without '
            f'spaces, got {len(token)} characters. Make one with "openssl rand -hex 32".',
        )
    return token


def _check(flag: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError('out_of_range', f'{flag}: expected {low} to {high}, got {value}.')
