"""Errors of the configuration. Each message is one line: what, why, and what to do."""

from __future__ import annotations


class ConfigError(Exception):
    """Root of everything `config` raises; a person has to act."""


class SettingsError(ConfigError):
    """An environment variable is missing or wrong."""


class SealError(ConfigError):
    """A stored secret cannot be read with the keys at hand."""
