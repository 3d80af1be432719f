"""Parts from outside: Python files and modules that add parts to the tables.

description     a plugin as data: for run.json, and to be sent elsewhere
lines           the line of a plugin that an error went through
added_parts     the parts that a plugin added to the tables
loading         from a name to a loaded plugin

A plugin is code, and runs when it is loaded. So nothing here is called because a config names a file: `rnnlab.config`
loads what `plugins:` names only where its caller allows it.
"""

from rnnlab.plugins.description import Plugin, changes, path_of, shown
from rnnlab.plugins.lines import place_of, text_of
from rnnlab.plugins.loading import load_installed, load_plugin, load_sent, loaded, unload_plugin, used_by

__all__ = [
    "Plugin",
    "changes",
    "load_installed",
    "load_plugin",
    "load_sent",
    "loaded",
    "path_of",
    "place_of",
    "shown",
    "text_of",
    "unload_plugin",
    "used_by",
]
