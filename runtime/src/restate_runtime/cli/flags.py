"""Command-line flags made from the table of settings, so that help, parsing and documentation cannot differ."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Annotated, Any

import typer

from restate_runtime.config import SETTINGS, Setting, Settings, SettingsError, help_text, load

from .output import show_error


def with_settings(defaults: Mapping[str, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command one flag for each setting, and the Settings as the keyword argument `settings`.

    A value that makes no sense ends the command with exit code 2 before it begins.

    Args:
        defaults: texts by name of the setting, where the command's default differs from the table's.
    """

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command)
        parameters = [one for one in own.parameters.values() if one.name != "settings"]

        @wraps(command)
        def run(**given: Any) -> None:
            flags = {setting.name: given.pop(setting.name) for setting in SETTINGS}
            command(settings=_load(flags, defaults), **given)

        flags = [_flag(setting, defaults.get(setting.name)) for setting in SETTINGS]
        run.__signature__ = own.replace(parameters=[*parameters, *flags])  # type: ignore[attr-defined]
        return run

    return wrap


def _load(flags: Mapping[str, str | None], defaults: Mapping[str, str]) -> Settings:
    given = {name: text for name, text in os.environ.items() if text}
    environ = {setting.env: defaults[setting.name] for setting in SETTINGS if setting.name in defaults} | given
    try:
        return load(flags, environ)
    except SettingsError as error:
        show_error(str(error), "--help lists all settings.")
        raise typer.Exit(2) from None


def _flag(setting: Setting, default: str | None) -> inspect.Parameter:
    shown = setting if default is None else replace(setting, default=default)
    metavar = setting.unit.upper() or "TEXT"
    option = typer.Option(setting.flag, help=help_text(shown), metavar=metavar, show_default=False)
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option]
    )
