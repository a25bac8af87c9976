"""A user's YAML file, read safely: no code in tags, no key twice, and a line for every part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from judge.errors import InputError

# What PyYAML's own constructors raise for a tag whose value doesn't fit (`!!timestamp soon`).
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Document:
    """A parsed file: plain Python values, and the tree that knows their lines."""

    content: Any
    root: yaml.Node | None

    def line(self, path: Sequence[str | int]) -> int | None:
        """The 1-based line of the part under these keys and indices, or of its nearest parent."""
        node = self.root
        line: int | None = None
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return line


def _child(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark.line + 1, item
    return None


def read_yaml(file: Traversable) -> Document:
    """Read one YAML document.

    Raises:
        InputError: the file can't be read, isn't UTF-8, or isn't one YAML document; with the line
            where that is known.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file=file) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8", file=file, mend="save it as UTF-8") from None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        return Document(None if root is None else loader.construct_document(root), root)
    except yaml.reader.ReaderError as error:
        at = text.count("\n", 0, error.position) + 1
        raise InputError("is not YAML: a control character", file=file, line=at) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        line = None if mark is None else mark.line + 1
        raise InputError(f"is not YAML: {problem}", file=file, line=line) from None
    except RecursionError:
        raise InputError("is not YAML: nested too deeply", file=file) from None
    except _UNFIT:
        raise InputError("is not YAML: a value doesn't fit its tag", file=file) from None


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, of which YAML loaders silently keep one."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        mark = key_node.start_mark
        if isinstance(key, list | dict | set):
            raise yaml.MarkedYAMLError(problem="a key must be plain text", problem_mark=mark)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"key {key!r} twice", problem_mark=mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
