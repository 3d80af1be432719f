"""From the name of a file or a module to a plugin that is loaded."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rnnlab.errors import PluginError
from rnnlab.plugins.added_parts import MODULE, added, remove, restore, snapshot
from rnnlab.plugins.description import Plugin, path_of, shown
from rnnlab.plugins.lines import note_files, place_of, text_of
from rnnlab.regular import read_regular

GROUP = "rnnlab.parts"
"""The entry points of installed packages whose modules are loaded without being asked for."""
_MOST_BYTES = 1 << 24
_LOADED: dict[str, Plugin] = {}
"""The plugins of this process, by every name that they were loaded under."""
_installed = False


def load_plugin(name: str | os.PathLike[str], folder: str | os.PathLike[str] = "") -> Plugin:
    """Run a plugin, so that its parts are known to configs, sweeps and lists of this process.

    name: the path of a Python file, from `folder` (the working directory) on, or the name of an installed module.

    A file that was loaded already is loaded anew if it has changed. Raises PluginError for a file or module that is not
    there, for what goes wrong inside it, with its line, and where it adds no part or one whose name is taken.
    """
    path = path_of(os.fspath(name), folder)
    if path is None:
        return _load_module(os.fspath(name))
    try:
        source = read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise PluginError(f"{shown(path)}: the plugin cannot be read: {error.strerror or error}") from error
    return _load_source(path, source)


def unload_plugin(plugin: Plugin) -> None:
    """Take the parts of a plugin out of the tables; what was made of them stays."""
    remove(plugin.parts)
    for name in [name for name, known in _LOADED.items() if known is plugin]:
        del _LOADED[name]


def load_sent(plugin: Plugin) -> None:
    """Load a plugin that another process had loaded, from what it sent. Raises PluginError."""
    if plugin.source:
        _load_source(plugin.name, plugin.source.encode())
    elif _load_module(plugin.name).sha256 != plugin.sha256:
        raise PluginError(f"the module {plugin.name} is another one here than where the sweep was started")


def load_installed() -> None:
    """Load the modules that installed packages name in the entry point group `rnnlab.parts`, once in a process."""
    global _installed
    if _installed:
        return
    _installed = True
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.name
        try:
            _load_module(entry.module, package)
        except PluginError as error:
            raise PluginError(f"{error} (of the installed package {package})") from error


def loaded(name: str) -> Plugin | None:
    """The plugin that was loaded under this name, or None.

    A file that is not on this machine is also known by its last name: a run's config says where it was when the run was
    trained.
    """
    if name in _LOADED or os.path.exists(name) or path_of(name) is None:
        return _LOADED.get(name)
    same = (plugin for known, plugin in _LOADED.items() if os.path.basename(known) == os.path.basename(name))
    return next(same, None)


def used_by(parts: Iterable[tuple[str, str]]) -> list[Plugin]:
    """The plugins that brought these parts (kind and name), in the order in which they were loaded."""
    chosen = set(parts)
    plugins = {plugin.name: plugin for plugin in _LOADED.values() if chosen & set(plugin.parts)}
    return [*plugins.values()]


def _load_source(path: str, source: bytes) -> Plugin:
    digest = hashlib.sha256(source).hexdigest()
    known = next((plugin for plugin in _LOADED.values() if plugin.source and plugin.sha256 == digest), None)
    if known is not None:  # the same text under another name
        _LOADED[path] = known
        return known
    before, old = snapshot(), _LOADED.get(path)
    if old is not None:
        remove(old.parts)
    name = f"{MODULE}{Path(path).stem}_{digest[:8]}"
    module = ModuleType(name)
    module.__file__ = path
    # pydantic looks annotations up in the module of a class.
    sys.modules[name] = module
    note_files([path])
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
        parts = added(before, module)
        text = source.decode("utf-8-sig")
    except (Exception, SystemExit) as error:
        restore(before)
        del sys.modules[name]
        raise _failure(error, path) from error
    for other in [other for other, plugin in _LOADED.items() if plugin is old]:
        del _LOADED[other]
    plugin = _LOADED[path] = Plugin(path, digest, parts, text)
    return plugin


def _load_module(name: str, distribution: str = "") -> Plugin:
    if name in _LOADED:
        return _LOADED[name]
    before = snapshot()
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin:
        beside = f"; did you mean {name}.py?" if os.path.exists(f"{name}.py") else ""
        raise PluginError(f"there is no module {name!r} to load as a plugin{beside}")
    folders = [*(spec.submodule_search_locations or ())]
    note_files(folders or [spec.origin])
    try:
        module = import_module(name)
        parts = added(before, module)
    except (Exception, SystemExit) as error:
        restore(before)
        raise _failure(error, name) from error
    plugin = _LOADED[name] = Plugin(name, _digest(folders, spec.origin), parts, "", distribution)
    return plugin


def _digest(folders: Iterable[str], origin: str) -> str:
    """The SHA-256 of a module's file, or of the names and contents of all Python files of a package."""
    files = [(str(path.relative_to(folder)), path) for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    if not files:
        return hashlib.sha256(read_regular(origin)).hexdigest()
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{name}\0{hashlib.sha256(read_regular(path)).hexdigest()}\0".encode())
    return digest.hexdigest()


def _failure(error: BaseException, name: str) -> PluginError:
    """The error that a user gets for one that was raised while a plugin was loaded."""
    if isinstance(error, PluginError):
        return error
    text = text_of(error)
    if isinstance(error, ModuleNotFoundError) and (path := path_of(name)):
        beside = Path(path).with_name(f"{str(error.name).partition('.')[0]}.py")
        if beside.exists():
            text += "; a plugin is one file: make a package of several, install it, and give its name"
    return PluginError(f"{place_of(error) or shown(name)}: {text}")
