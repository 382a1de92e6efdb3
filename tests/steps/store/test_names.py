"""Which keys every store can hold, and what their copies are called on disk."""

from __future__ import annotations

import hashlib

import pytest

from imgflow_steps.store.names import local_name, unstorable


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("a/b.jpg", ""),
        ("a/" + "b" * 255, ""),
        ("é" * 127 + "/x", ""),
        ("/".join(["c" * 255] * 4), ""),
        ("\ud800.jpg", "not valid UTF-8"),
        ("a/" * 512 + "b", "1025 bytes; keys end at 1024"),
        ("a/" * 511 + "bb", ""),
        ("a//b", "empty"),
        ("/a", "empty"),
        ("a/", "empty"),
        ("a/./b", "'.'"),
        ("../b", "'..'"),
        ("a/...", ""),
        ("a/" + "b" * 256, "more than 255 bytes"),
        ("é" * 128, "more than 255 bytes"),
        ("a\0b", "NUL"),
    ],
)
def test_a_key_that_some_store_cannot_hold_is_told_why(key: str, why: str) -> None:
    said = unstorable(key)
    assert why in said
    assert bool(said) == bool(why)


@pytest.mark.parametrize(
    ("key", "suffix"),
    [
        ("a/b.jpg", ".jpg"),
        ("a/b.JPEG", ".JPEG"),
        ("a/b", ""),
        ("a.jpg/b", ""),
        ("a.b.tiff", ".tiff"),
        ("a.12345678", ".12345678"),
        ("a.123456789", ""),
        ("a.", ""),
        ("a.jpg ", ""),
        ("a.\u0130", ""),
    ],
)
def test_a_copy_s_name_is_its_key_s_hash_with_a_harmless_suffix(key: str, suffix: str) -> None:
    assert local_name(key) == hashlib.sha256(key.encode()).hexdigest()[:32] + suffix
