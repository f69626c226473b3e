"""Checks objects against the types of the Kubernetes API, as its official client has them."""

from __future__ import annotations

import re
from typing import Any

from kubernetes import client

_LIST = re.compile(r"^[Ll]ist\[(.+)\]$")
_MAP = re.compile(r"^[Dd]ict[\[(]str, (.+)[\])]$")
_PRIMITIVES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bytes": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
}
_ANYTHING = {"object", "datetime"}


def problems_of(item: dict[str, Any]) -> list[str]:
    """What the API server would refuse in an object: unknown, missing and mistyped fields.

    Kinds of custom resources are not known and are a problem as well.
    """
    version = str(item.get("apiVersion")).rpartition("/")[2]
    name = f"{version.capitalize()}{item.get('kind')}"
    if not hasattr(client, name):
        return [f"{item.get('apiVersion')}/{item.get('kind')}: no such kind in the Kubernetes API"]
    return _check(item, name, f"{item['kind']}/{item['metadata']['name']}")


def _check(value: Any, type_name: str, path: str) -> list[str]:
    if type_name in _ANYTHING or value is None:
        return [] if value is not None else [f"{path} is null"]
    if type_name in _PRIMITIVES:
        return _check_primitive(value, type_name, path)
    if found := _LIST.match(type_name):
        if not isinstance(value, list):
            return [f"{path} must be a list, it is {value!r}"]
        checks = (_check(one, found[1], f"{path}[{at}]") for at, one in enumerate(value))
        return [problem for check in checks for problem in check]
    if not isinstance(value, dict):
        return [f"{path} must be a map, it is {value!r}"]
    if found := _MAP.match(type_name):
        checks = (_check(one, found[1], f"{path}.{key}") for key, one in value.items())
        return [problem for check in checks for problem in check]
    return _check_model(value, getattr(client, type_name), path)


def _check_primitive(value: Any, type_name: str, path: str) -> list[str]:
    right = isinstance(value, _PRIMITIVES[type_name])
    if right and not (isinstance(value, bool) and type_name != "bool"):
        return []
    return [f"{path} must be of type {type_name}, it is {value!r}"]


def _check_model(value: dict[str, Any], model: Any, path: str) -> list[str]:
    fields = {wire: name for name, wire in model.attribute_map.items()}
    problems = [
        f"{path}.{key} is no field of {model.__name__}" for key in value if key not in fields
    ]
    for key, one in value.items():
        if key in fields:
            problems += _check(one, model.openapi_types[fields[key]], f"{path}.{key}")
    try:
        model(**{fields[key]: one for key, one in value.items() if key in fields})
    except ValueError as error:
        problems.append(f"{path}: {error}")
    return problems
