"""A user's YAML file, read safely: no code in tags, no key twice, and a line for every part."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import yaml

from judge.errors import InputError
from judge.plain_file import read_plain

MOST_BYTES: Final = 2**18  # of a file that people write; YAML is slow to read
# What PyYAML's own constructors raise for a tag whose value doesn't fit (`!!timestamp soon`).
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


# Where YAML's own sign would stand: texts hold full-width ones.
_WRONG = re.compile(
    "(?:^|[{,，-]) *[A-Za-z_.]+ *(：)|(，)(?= *[A-Za-z_.]+ *[:：])|([｛｝［］－　\u00a0])|(^ *\t)"
)


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
        InputError: the file can't be read, is no plain file, is too large, isn't UTF-8, or isn't
            one YAML document; with the line where that is known.
    """
    try:
        text = _text(file)
    except OSError as error:
        problem = f"can't be read: {error.strerror}"
        raise InputError(problem, file=file, mend="check the path") from None
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
        mend = "" if line is None else _wrong_sign(text, line)
        raise InputError(f"is not YAML: {problem}", file=file, line=line, mend=mend) from None
    except RecursionError:
        raise InputError("is not YAML: nested too deeply", file=file) from None


def _text(file: Traversable) -> str:
    if isinstance(file, Path):
        return read_plain(file, MOST_BYTES).content.decode()
    return file.read_text(encoding="utf-8")  # our own, which may lie in an archive


def _wrong_sign(text: str, line: int) -> str:
    """The mend where a tab or a full-width sign, of Chinese keyboards, stands there or above."""
    lines = text.splitlines()
    for at in (line, line - 1):
        found = _WRONG.search(lines[at - 1]) if 0 < at <= len(lines) else None
        if found is not None:
            wrong = found[found.lastindex or 0]
            sign = unicodedata.normalize("NFKC", wrong).strip()
            told = f"`{wrong}`: write `{sign}`" if sign else "a tab or wide space: write plain ones"
            return f"line {at} has {told}"
    return ""


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, of which YAML loaders silently keep one.

    Numbers are those of YAML 1.2: 1:30 is no 90, and 010 no 8. What doesn't fit has its line.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except _UNFIT:
            problem = "a value doesn't fit its tag"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_MERGE = "tag:yaml.org,2002:merge"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in _NUMBERS]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"
        r"|[-+]?[0-9]+[eE][-+]?[0-9]+$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0|[1-9][0-9]*)$|0x[0-9a-fA-F]+$"),
    list("-+0123456789"),
)


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    """A mapping; what `<<` merges into it yields to its own keys."""
    _refuse_twice(loader, node)
    loader.flatten_mapping(node)  # what is merged comes first
    content: dict[Any, Any] = {}
    nodes: dict[Any, tuple[yaml.Node, yaml.Node]] = {}
    for key_node, value_node in node.value:
        key = _key(loader, key_node)
        content[key] = loader.construct_object(value_node, deep=True)
        nodes[key] = key_node, value_node
    node.value = list(nodes.values())  # for a part's line
    return content


def _refuse_twice(loader: yaml.SafeLoader, node: yaml.MappingNode) -> None:
    seen = set()
    for key_node, _ in node.value:
        key = "<<" if key_node.tag == _MERGE else _key(loader, key_node)
        if key in seen:
            mark = key_node.start_mark
            raise yaml.MarkedYAMLError(problem=f"key {key!r} twice", problem_mark=mark)
        seen.add(key)


def _key(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    key = loader.construct_object(node, deep=True)
    if isinstance(key, bool) or not isinstance(key, str | int):
        told = f": put {node.value!r} in quotes" if isinstance(node, yaml.ScalarNode) else ""
        problem = f"a key must be plain text{told}"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    return key


def _string(loader: yaml.SafeLoader, node: yaml.ScalarNode | yaml.MappingNode) -> str:
    """A text; the halves of a character that JSON writes as two escapes are one again."""
    written = str(loader.construct_scalar(node))
    try:
        text = written.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        problem = "half a character (a lone surrogate)"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None
    if isinstance(node, yaml.ScalarNode):
        node.value = text  # by which a key's line is found
    return text


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_SCALAR_TAG, _string)
