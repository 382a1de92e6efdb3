"""YAML that others read as it is meant: kubectl, helm and yq take more texts for numbers and truths than PyYAML."""

from __future__ import annotations

import re

import yaml

OTHERWISE = re.compile(r"[-+]?(\.?[0-9][0-9._]*([eE][-+]?[0-9]+)?|0[oOxXbB][0-9a-fA-F_]+)|[yYnN]")  # such as 09162000


class Dumper(yaml.SafeDumper):
    """Writes strings the same way whether hera is imported or not: it changes PyYAML's own dumpers."""


def _text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    style = "'" if OTHERWISE.fullmatch(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _text)
