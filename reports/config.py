"""survey.toml: one form that says what a survey is, where its data lie and what to make of them."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from ..survey.errors import Problems, refuse
from .families import FAMILIES
from .parts import BEST, Faults, Form, Part, near
from .study import Study

__all__ = ["BEST", "config_from", "family_of", "read_config"]

UNION_MEMBER = re.compile(r"constrained-\w+|float|int|str|bool|dict\[.*\]|literal\[.*\]|function-.*|tuple\[.*\]")
# What pydantic finds wrong with a value, by the names of its kinds.
MUST = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list: […, …]"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a section, or {{ … = … }}"),
    "string_type": 'text in quotes: "…"',
    "greater_than": "above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "below {lt:g}",
    "less_than_equal": "{le:g} or less",
}


def read_config(path: str | Path) -> Form:
    """The form in a file.

    Raises
    ------
    SurveyError : no such file, a TOML mistake with its line, unknown keys with what may have been meant, wrong values;
        all faults of the form at once
    """
    path = Path(path)
    if path.is_dir():
        path = path / "survey.toml"
    if not path.is_file():
        raise refuse(
            "there is no such file", "Check the path, or start one with `uncia init`", file=path, value=str(path)
        )
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise refuse("the file is not in UTF-8", "Save it as UTF-8 text", file=path) from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(str(error), path, text) from None
    return config_from(content, path, text)


def config_from(content: dict, file: str | Path, text: str = "") -> Form:
    """The form in a dictionary; `file` and its `text` are for messages."""
    form = family_of(content, file, text).form
    try:
        return form.model_validate(content)
    except ValidationError as error:
        bad, told = Problems(), set()
        for fault in error.errors():
            loc, several = _place(fault["loc"]), fault.get("ctx", {}).get("error")
            if isinstance(several, Faults):
                for what, fix, keys in several.found:
                    bad.add(what, fix, file=file, row=_row(text, keys) if keys else None)
            elif loc not in told:  # every member of a union complains about one and the same value
                what, fix, value = _in_words(fault, loc, form)
                bad.add(what, fix, file=file, row=_row(text, loc), value=value)
            told.add(loc)
        bad.raise_any()
        raise


# ---- the kind of survey -------------------------------------------------------------------------------------------


def family_of(content: dict, file: str | Path = "survey.toml", text: str = "") -> type[Study]:
    """The kind of survey that a form is about: that of its models, or else that of its data.

    Raises
    ------
    SurveyError : a model that there is not
    """
    if isinstance(content.get("series"), dict):  # all years from one source
        return next(family for family in FAMILIES if "series" in family.form.model_fields)
    for key in ("years", "parks", "sites"):
        if isinstance(content.get(key), list):
            return next(family for family in FAMILIES if key in family.form.model_fields)
    by_model = {name: family for family in FAMILIES for name in family.form.model_names}
    for i, name in enumerate(_model_names(content)):
        if name in by_model:
            return by_model[name]
        if name is not None:
            row = _row(text, ("models", i, "model"))
            raise refuse("there is no such model", near(str(name), by_model), file=file, row=row, value=name)
    by_format = {name: family for family in reversed(FAMILIES) for name in family.form.formats}
    data = content.get("data")
    format = str(data.get("format")) if isinstance(data, dict) else ""
    close = get_close_matches(format, by_format, n=1)
    return by_format[close[0]] if close else FAMILIES[0]


def _model_names(content: dict) -> list[Any]:
    models = content.get("models")
    entries = models if isinstance(models, list) else []
    return [entry.get("model") for entry in entries if isinstance(entry, dict)]


# ---- what is wrong with a form ------------------------------------------------------------------------------------


def _syntax(message: str, path: Path, text: str):
    where = re.search(r"\(at line (\d+), column \d+\)", message)
    row = int(where[1]) if where else text.count("\n") + 1
    what = re.sub(r"\s*\(at .*\)", "", message)
    fix = 'Text needs quotes ("…"), a list needs [ ], and a key stands in one section only once'
    return refuse(f"this is not TOML: {what[:1].lower()}{what[1:]}", fix, file=path, row=row)


def _place(loc: tuple) -> tuple:
    """The keys and numbers that lead to a value, without pydantic's names for the members of a union."""
    known = {name for family in FAMILIES for name in family.form.model_names}
    tag = loc[2] if len(loc) > 2 and loc[0] == "models" and loc[2] in known else None
    rest = (*loc[:2], *loc[3:]) if tag else loc
    return tuple(part for part in rest if isinstance(part, int) or not UNION_MEMBER.fullmatch(part))


def _in_words(fault: dict, loc: tuple, form: type[Part]) -> tuple[str, str, object]:
    """What is wrong, how to fix it and the value, from one fault that pydantic found."""
    where, key = _section(loc[:-1]), loc[-1] if loc else ""
    kind, value = fault["type"], fault.get("input")
    shown = value if isinstance(value, (str, int, float, bool)) else None
    if kind == "extra_forbidden":
        known = _keys(fault["loc"][:-1], form)
        if len(fault["loc"]) == 1:  # perhaps a section that makes the form one of another kind
            known += get_close_matches(str(key), [name for f in FAMILIES for name in f.form.model_fields], n=1)
        return f"{where} has no key {key!r}", near(str(key), known), None
    if kind == "missing" and loc == ("models",):
        return "the form has no models", f"Add [[models]] with a name and a model ({', '.join(_names(form))})", None
    if kind == "missing":
        return f"{where} lacks the key {key!r}", f"Add {key} = …", None
    if kind == "union_tag_not_found":
        return f"{_section(loc)} lacks the key 'model'", f"Add model = … ({', '.join(_names(form))})", None
    if kind == "union_tag_invalid":
        what = f"{_section(loc)}: this model is not for these data, or not beside the others"
        return what, f"Use one of {', '.join(_names(form))}", fault["ctx"]["tag"]
    if kind == "value_error":
        what, fix = fault["ctx"]["error"].args
        return what, fix, None
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
        return f"{where}: {key} is not one of the possible values", near(str(value), allowed), shown
    must = MUST.get(kind, "").format(**fault.get("ctx", {}))
    said = f"{where}: {key} must be {must}" if must else f"{where}: {key}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
    return said, "Correct the value", shown


def _names(form: type[Part]) -> tuple[str, ...]:
    return form.model_names if issubclass(form, Form) else ()


def _section(loc: tuple) -> str:
    names = [part for part in loc if isinstance(part, str)]
    return f"[{'.'.join(names)}]" if names else "the form"


def _keys(loc: tuple, form: type[Part]) -> list[str]:
    """The keys that the section at `loc` knows, as a form writes them."""
    parts = [form]
    for name in loc:
        held = [part.model_fields[name] for part in parts if name in part.model_fields]
        chosen = [part for part in parts if part.__name__ == name]  # of several, such as kinds of models
        parts = chosen or [inner for field in held for inner in _parts_in(field.annotation)] or parts
    return [field.alias or name for name, field in parts[0].model_fields.items()]


def _parts_in(annotation: Any) -> list[type[Part]]:
    """The sections within a type such as tuple[Model, ...]."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _parts_in(inner)]


def _row(text: str, loc: tuple) -> int | None:
    """The line of the form that holds the key at `loc`, or else the heading of its section."""
    *section, key = [part for part in loc if isinstance(part, str)] or [""]
    if not key:
        return None
    nth = next((part for part in loc if isinstance(part, int)), 0)
    seen, current, index, heading = Counter(), "", 0, None
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r"\s*\[{1,2}\s*([^\]]+?)\s*\]", line)
        if found:
            current = found[1]
            index, seen[current] = seen[current], seen[current] + 1
            here = current in (".".join(section), ".".join([*section, key])) and index == nth
            heading = number if here else heading
        elif (
            current == ".".join(section)
            and (not current or heading)
            and re.match(rf"\s*[\"']?{re.escape(key)}\b", line)
        ):
            if not current or index == nth:
                return number
    return heading
