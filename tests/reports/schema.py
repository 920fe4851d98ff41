"""As much of JSON Schema as the shipped schemas use: enough to hold our own documents against them."""

import re
from importlib.resources import files

import msgspec

Schema = dict[str, object]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_UNDERSTOOD = {
    "$schema", "title", "description", "format", "type", "enum", "const", "minimum", "pattern", "required",
    "properties", "additionalProperties", "propertyNames", "items", "prefixItems", "minItems", "maxItems",
}  # fmt: skip


def shipped(name: str) -> Schema:
    """A schema of the package."""
    return msgspec.json.decode((files("mailer.reports") / name).read_bytes(), type=Schema)


def complaints(value: object, schema: object, place: str = "") -> list[str]:
    """What is wrong with a value; empty when the schema is satisfied."""
    assert isinstance(schema, dict)
    assert schema.keys() <= _UNDERSTOOD, f"this validator does not know {schema.keys() - _UNDERSTOOD}"
    wrong = [f"{place}: {complaint}" for complaint in _own(value, schema)]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key, member in value.items():
            if (wanted := known.get(key, schema.get("additionalProperties"))) is not None:
                wrong += complaints(member, wanted, f"{place}/{key}")
            if (name := schema.get("propertyNames")) is not None:
                wrong += complaints(key, name, f"{place}/{key}")
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        for number, item in enumerate(value):
            wanted = first[number] if number < len(first) else schema.get("items")
            if wanted is not None:
                wrong += complaints(item, wanted, f"{place}/{number}")
    return wrong


def _own(value: object, schema: Schema) -> list[str]:
    """Complaints about the value itself, not about what is in it."""
    wrong = []
    if (types := schema.get("type")) is not None:
        names = [str(name) for name in (types if isinstance(types, list) else [types])]
        if not any(isinstance(value, _TYPES[name]) for name in names) or (
            isinstance(value, bool) > ("boolean" in names)
        ):
            wrong.append(f"{value!r} is not {types}")
    if "const" in schema and value != schema["const"]:
        wrong.append(f"{value!r} is not {schema['const']!r}")
    if isinstance(options := schema.get("enum"), list) and value not in options:
        wrong.append(f"{value!r} is none of {options}")
    if isinstance(value, int) and isinstance(least := schema.get("minimum"), int) and value < least:
        wrong.append(f"{value} is less than {least}")
    if isinstance(value, str) and isinstance(pattern := schema.get("pattern"), str) and not re.search(pattern, value):
        wrong.append(f"{value!r} does not match {pattern}")
    if isinstance(value, dict) and isinstance(required := schema.get("required"), list):
        wrong += [f"{key} is missing" for key in required if key not in value]
    if isinstance(value, list):
        least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
        if not (isinstance(least, int) and isinstance(most, int) and least <= len(value) <= most):
            wrong.append(f"{len(value)} items")
    return wrong
