"""A profile of AWS's shared files, ``~/.aws/credentials`` and ``~/.aws/config``, as its own tools read them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from configparser import Error, MissingSectionHeaderError, ParsingError, RawConfigParser
from dataclasses import dataclass, field
from pathlib import Path

from imgflow_steps.contract.redaction import conceal
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store.variables import FILES, PROFILE

DEFAULT = "default"
PLACES = dict(zip(FILES, ("~/.aws/credentials", "~/.aws/config"), strict=True))
SECRET = ("aws_secret_access_key", "aws_session_token")
# With one of these the keys are not in the file: a role, a login or a program gives them for a while.
LENT = ("role_arn", "sso_session", "sso_start_url", "credential_process", "web_identity_token_file", "login_session")


@dataclass(frozen=True, slots=True)
class Profile:
    """What the files say under one name; nothing at all where nobody named it and it is not there."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_lent(self) -> bool:
        """Whether its keys are to be asked for."""
        return any(self.values.get(name) for name in LENT)

    def get(self, name: str) -> str:
        """A value; "" where there is none."""
        return self.values.get(name, "").strip()


def read(environment: Mapping[str, str]) -> Profile:
    """The profile that ``AWS_PROFILE`` names, else ``default``.

    Raises BadParametersError when one that is named is not there, or a file cannot be understood.
    """
    named = environment.get(PROFILE, "")
    name = named or DEFAULT
    credentials, config = (_sections(variable, environment, must=bool(named)) for variable in FILES)
    of_config = config.get(DEFAULT if name == DEFAULT else f"profile {name}", config.get(f"profile {name}"))
    of_credentials = credentials.get(name)
    if of_config is None and of_credentials is None:
        if named:
            raise BadParametersError(_missing(name, credentials, config, environment))
        return Profile(name)
    values = {**(of_config or {}), **(of_credentials or {})}
    conceal(*(values.get(secret, "") for secret in SECRET))
    service = _nested(config.get(f"services {values.get('services', '')}", {}).get("s3", "")).get("endpoint_url")
    return Profile(name, {**values, **({"endpoint_url": service} if service else {})})


def path(variable: str, environment: Mapping[str, str]) -> Path:
    """Where one of the two files is."""
    home = environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - stays where none has one
    given = environment.get(variable) or PLACES[variable]
    return Path(home + given[1:] if given.startswith("~/") else given)


def _sections(variable: str, environment: Mapping[str, str], *, must: bool) -> dict[str, dict[str, str]]:
    file = path(variable, environment)
    parser = RawConfigParser(default_section="", strict=False)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        if not must and isinstance(error, OSError):
            return {}  # nobody named it: as if it were not there
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadParametersError(f"{file} ({variable}) cannot be read: {why}") from None
    except Error as error:  # its own words repeat the line, which may hold a key
        raise BadParametersError(f"{file} ({variable}) cannot be read{_line(error)}: write `name = value`") from None
    return {" ".join(name.split()): dict(parser[name]) for name in parser.sections()}


def _line(error: Error) -> str:
    if isinstance(error, MissingSectionHeaderError):
        return f" at line {error.lineno}, before which there is no [section]"
    return f" at line {error.errors[0][0]}" if isinstance(error, ParsingError) and error.errors else ""


def _nested(text: str) -> dict[str, str]:
    """The indented lines ``name = value`` below a name."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _missing(
    name: str, credentials: Mapping[str, object], config: Mapping[str, object], environment: Mapping[str, str]
) -> str:
    known = {*credentials, *(s.removeprefix("profile ") for s in config if s == DEFAULT or s.startswith("profile "))}
    files = " nor ".join(str(path(variable, environment)) for variable in FILES)
    there = f"there are: {', '.join(sorted(known))}" if known else "there are none"
    return f"AWS_PROFILE names the profile {name!r}, which is neither in {files}; {there}"
